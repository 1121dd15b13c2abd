"""The shipped eye in a room that turns round it: what it looks for moves, and is kept in view."""

import math

import numpy as np
import pytest

pytest.importorskip('torch', reason='the eye needs torch')

from gaze_robot.camera import CameraModel
from gaze_robot.config import GazeConfig
from gaze_robot.control.latency import ahead
from gaze_robot.drivers.kinematic import KinematicDriver
from gaze_robot.geometry import (
    angle_between,
    direction_from_pan_tilt,
    pan_tilt_from_direction,
)
from gaze_robot.pipeline import GazePipeline
from gaze_robot.types import Frame
from gaze_robot_sim.scenes import open_world

CAMERA = CameraModel.from_hfov(320, 240, math.radians(90))
PERIOD_S, DELAY = 1 / 30, 2
"""Of the pictures, and how many periods they are old when they are looked at."""


@pytest.fixture(scope='module')
def pipeline():
    made = GazePipeline.from_checkpoint(config=GazeConfig(model_device='cpu'))
    made.warm_up()
    return made


def errors_deg(pipeline, scene_number, turn_deg_s, seconds=3.0):
    """((T,) angle between gaze and target, modes), once per picture."""
    scene = open_world('procedural', 7).scene(scene_number)
    panorama = scene.panorama()
    target = scene.sample_target(np.random.default_rng(scene_number))
    pan, tilt = (float(angle) for angle in pan_tilt_from_direction(target.direction))
    start, speed = -0.6, math.radians(turn_deg_s)       # the target starts 34 degrees to the right
    now_s, waiting, errors, modes = 0.0, [], [], []
    head = KinematicDriver(pipeline.limits, lambda: now_s)
    head.connect()
    pipeline.look_for(target.exemplar)
    for _ in range(round(seconds / PERIOD_S)):
        pose = head.read()
        looking = direction_from_pan_tilt(pose.pan_rad, pose.tilt_rad)
        errors.append(float(angle_between(
            looking, direction_from_pan_tilt(start + speed * now_s, tilt))))
        turned = pan - start - speed * now_s
        waiting.append((pose, Frame(panorama.picture(CAMERA, pose.pan_rad + turned,
                                                     pose.tilt_rad), now_s, CAMERA)))
        if len(waiting) > DELAY:
            then, picture = waiting.pop(0)
            result = pipeline.step(picture, then)
            modes.append(result.mode)
            head.command(ahead(result.command, now_s - picture.stamp_s, pipeline.limits))
        now_s += PERIOD_S
    return np.degrees(errors), modes


def test_what_moves_at_30_degrees_per_second_is_kept_in_the_middle(pipeline):
    middle = []
    for scene in range(3):
        errors, modes = errors_deg(pipeline, scene, 30.0)
        middle.append(np.median(errors[60:]))
        assert modes.count('pursue') > 30
    assert np.median(middle) < 1.5


def test_what_rests_is_found_and_held_as_before(pipeline):
    for scene in range(3):
        errors, _ = errors_deg(pipeline, scene, 0.0)
        assert np.median(errors[60:]) < 1.0
