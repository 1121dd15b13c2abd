"""What the pipeline makes of what perception sees.

Perception here is made by hand, not trained: a place counts as the target where its correlation
with the exemplar exceeds about 0.85. Everything around it is what runs on the robot.
"""

import math

import cv2
import numpy as np
import pytest
import torch

from gaze_robot.camera import CameraModel
from gaze_robot.checkpoint import make_policy
from gaze_robot.config import GazeConfig
from gaze_robot.encoder import EncoderConfig
from gaze_robot.foveation import FoveationPattern
from gaze_robot.geometry import angle_between, direction_from_pan_tilt
from gaze_robot.pipeline import GazePipeline
from gaze_robot.types import Exemplar, Frame, PanTiltState
from gaze_robot_sim.render import Panorama

CAMERA = CameraModel.from_hfov(640, 480, math.pi / 2)
EVIDENCE = 8                     # plane of the head's judge, after eight compared features
DT = 1 / 30
PATTERN = FoveationPattern(tuple(2 * math.degrees(math.atan(t)) for t in (0.2, 0.4, 1.0)),
                           (64, 64, 128), (16, 16, 32))


def sighted():
    """A policy whose search head judges by correlation alone."""
    torch.manual_seed(0)
    policy = make_policy(PATTERN, EncoderConfig(16, 1, 2, 0, 16))
    head = policy.perception.search
    for part in (head.judge[0], head.judge[2], head.absent[2]):
        torch.nn.init.zeros_(part.weight)
        torch.nn.init.zeros_(part.bias)
    with torch.no_grad():
        head.judge[0].weight[0, EVIDENCE, 1, 1], head.judge[0].bias[0] = 40.0, -26.0
        head.judge[2].weight[0, 0] = 1.0
        head.absent[2].bias[0] = 7.5
    return policy


@pytest.fixture(scope='module')
def panorama():
    rng, total = np.random.default_rng(0), np.zeros((1024, 2048, 3), np.float32)
    for octave in range(3, 9):
        coarse = rng.standard_normal((2 ** (octave - 1), 2 ** octave, 3)).astype(np.float32)
        total += cv2.resize(coarse, (2048, 1024), interpolation=cv2.INTER_CUBIC)
    return Panorama(np.clip(128 + 24 * total, 0, 255).astype(np.uint8))


class Watched:
    """A pipeline that is shown a panorama from poses of our choice."""

    def __init__(self, panorama, target, **settings):
        self.panorama, self.truth, self.now_s = panorama, direction_from_pan_tilt(*target), 0.0
        self.made = GazePipeline(sighted(), config=GazeConfig(**settings))
        width = math.radians(9)
        self.made.look_for(Exemplar(panorama.patch(self.truth, width, 48), width))

    def look(self, pan, tilt, image=None):
        picture = self.panorama.picture(CAMERA, pan, tilt) if image is None else image
        self.now_s += DT
        return self.made.step(Frame(picture, self.now_s, CAMERA),
                              PanTiltState(pan, tilt, stamp_s=self.now_s))

    def error_deg(self, result):
        return math.degrees(angle_between(result.target.direction, self.truth))


GREY = np.full((480, 640, 3), 128, np.uint8)


@pytest.mark.parametrize('offset_deg', [(0.0, 0.0), (3.0, -2.0), (-4.0, 1.5)], ids=str)
@pytest.mark.parametrize('pan', [0.3, 3.1, -2.0])
def test_target_in_the_fovea_is_recognised_and_placed(panorama, pan, offset_deg):
    off = np.radians(offset_deg)
    watched = Watched(panorama, (pan + off[0], 0.1 + off[1]))
    result = watched.look(pan, 0.1)
    assert result.target is not None
    assert result.target.in_view
    assert result.target.confidence > 0.5
    assert watched.error_deg(result) < 1.0
    assert not result.on_target                              # not yet settled
    assert [watched.look(pan, 0.1).on_target for _ in range(4)][-1]
    assert result.mode != 'search'


@pytest.mark.parametrize('offset_deg', [(15.0, 5.0), (-25.0, -8.0), (30.0, 0.0)], ids=str)
def test_target_in_the_periphery_is_placed_but_not_yet_reached(panorama, offset_deg):
    off = np.radians(offset_deg)
    watched = Watched(panorama, (0.5 + off[0], off[1]), confidence_threshold=0.05)
    result = watched.look(0.5, 0.0)
    assert result.target is not None
    assert watched.error_deg(result) < 4.0
    assert not result.on_target


def test_target_that_is_not_there_is_not_found(panorama):
    watched = Watched(panorama, (math.pi, 0.0))
    for pan in (0.0, 0.5, -0.5):
        result = watched.look(pan, 0.0)
        assert result.target is None
        assert result.mode == 'search'
        assert not result.on_target


def test_target_out_of_view_is_remembered(panorama):
    watched = Watched(panorama, (0.3, 0.05))
    cell = math.atan(0.0125)                                 # half a cell of the fovea
    watched.look(0.3 - cell, 0.05 - cell)
    result = watched.look(2.3, 0.0)
    assert result.target is not None
    assert not result.target.in_view
    assert watched.error_deg(result) < 7.5                   # to a memory bin or two
    assert not result.on_target


def test_target_taken_away_is_forgotten_when_looked_at_again(panorama):
    watched = Watched(panorama, (0.3, 0.05))
    assert watched.look(0.3, 0.05).target is not None
    for _ in range(20):
        result = watched.look(0.3, 0.05, GREY)
    assert result.target is None
    assert result.mode == 'search'


@pytest.mark.parametrize('on_lost, goal', [('home', (0.0, 0.0)), ('hold', (0.3, 0.05))])
def test_a_lost_target_is_waited_for_as_configured(panorama, on_lost, goal):
    watched = Watched(panorama, (0.3, 0.05), on_target_lost=on_lost, target_timeout=0.4)
    assert [watched.look(0.3, 0.05).on_target for _ in range(5)][-1]
    for _ in range(40):
        result = watched.look(0.3, 0.05, GREY)
    assert (result.command.pan_rad, result.command.tilt_rad) == pytest.approx(goal, abs=0.01)
    found = [watched.look(0.3, 0.05) for _ in range(5)][-1]
    assert found.on_target
    assert found.target.in_view


def test_a_target_never_seen_is_searched_for_whatever_is_configured(panorama):
    """Nothing is lost that was not found."""
    watched = Watched(panorama, (math.pi, 0.0), on_target_lost='hold', target_timeout=0.1)
    commands = {watched.look(0.3 + 0.01 * step, 0.05).command.pan_rad - 0.01 * step
                for step in range(10)}
    assert max(abs(pan - 0.3) for pan in commands) > math.radians(0.9)


def test_electronic_eye_places_the_target_in_the_whole_picture(panorama):
    """The camera stands at (0, 0); the target is 20 degrees to its left."""
    watched = Watched(panorama, (math.radians(20), -0.05), eye='picture')
    for _ in range(40):
        watched.made.look_at(watched.truth)
        watched.look(0.0, 0.0)
    watched.made.look_at(None)
    result = watched.look(0.0, 0.0)
    assert result.target is not None
    assert result.target.source == 'search'
    assert watched.error_deg(result) < 2.0
    pose = result.pose
    assert math.degrees(angle_between(
        direction_from_pan_tilt(pose.pan_rad, pose.tilt_rad), watched.truth)) < 1.0
