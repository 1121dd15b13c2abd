"""What eyes and cameras see of a workspace, each picture by a second route."""

import math

import cv2
import numpy as np
import pytest

pytest.importorskip('mujoco', reason='needs mujoco')
pytest.importorskip('mink', reason='needs mink')

from gaze_robot.camera import CameraModel
from gaze_robot.foveation import FILL, FoveationPattern, Foveator
from gaze_robot.geometry import panorama_pixel
from gaze_robot_sim.bcrl.batch import PATTERN
from gaze_robot_sim.physics.conditions import condition_of, CONDITIONS, PATCH
from gaze_robot_sim.physics.views import can_draw, Painter
from gaze_robot_sim.physics.world import PhysicsConfig, PhysicsWorld
from gaze_robot_sim.render import Panorama

if can_draw():
    pytest.skip(can_draw(), allow_module_level=True)


@pytest.fixture(scope='module')
def scene():
    world = PhysicsWorld('bucket', 0, 4)
    world.step(world.joints(), world.aim())
    painter = Painter(world)
    yield world, painter
    painter.close()


def apart(first, second):
    """Grey levels, RMS, after a blur that forgives half a sample."""
    return float(np.sqrt(np.mean((cv2.blur(first, (3, 3)).astype(float)
                                  - cv2.blur(second, (3, 3))) ** 2)))


def test_the_eye_sees_what_the_panorama_shows_there(scene):
    world, painter = scene
    panorama = Panorama(painter.panorama(), brief=True)
    seen = painter.levels(PATTERN)
    told = panorama.levels(*world.gaze, PATTERN)
    for level, (one, other) in enumerate(zip(seen, told)):
        inside = PATTERN.inside_camera(90.0, 0.75)[level]
        assert (one[~inside] == FILL).all()
        rows = inside.all(axis=1)
        assert apart(one[rows], other[rows]) < 7, level
        assert np.std(one[rows]) > 15


def test_the_eye_sees_what_a_robot_samples_from_its_camera(scene):
    _, painter = scene
    camera = CameraModel.from_hfov(640, 480, math.pi / 2)
    view = Foveator(PATTERN, camera)(painter.photograph(camera))
    for one, other, valid in zip(painter.levels(PATTERN), view.levels, view.valid):
        rows = valid.all(axis=1)
        assert apart(one[rows], other[rows]) < 7


def test_the_panorama_has_things_where_they_are(scene):
    world, painter = scene
    image = painter.panorama().astype(int)
    for name in ('thing', 'place0'):
        colour = world.task.wanted[0 if name == 'thing' else 1][0]
        strong = {'red': (0,), 'green': (1,), 'blue': (2,), 'yellow': (0, 1), 'magenta': (0, 2),
                  'cyan': (1, 2)}[colour]
        u, v = panorama_pixel(world.position(name) + [0, 0, 0.01] - world.eye, 1024, 512)
        patch = image[int(v) - 2:int(v) + 3, int(u) - 2:int(u) + 3].reshape(-1, 3).mean(axis=0)
        weak = [channel for channel in range(3) if channel not in strong]
        assert patch[list(strong)].min() > patch[weak].max() + 25, (name, colour, patch)


def test_the_wide_camera_is_a_part_of_the_panorama(scene):
    _, painter = scene
    wide = painter.unfolded((35.0, 105.0), (32, 96))
    image = painter.panorama()
    part = image[256 - 100:256 + 100, 512 - 299:512 + 299]        # 35 and 105 degrees
    assert apart(wide, cv2.resize(part, (96, 32), interpolation=cv2.INTER_AREA)) < 6


def test_an_eye_does_not_see_its_own_head_and_others_do():
    config = PhysicsConfig()
    world = PhysicsWorld('press', 0, 0, config)
    painter = Painter(world)
    assert np.count_nonzero((painter.panorama() < 12).all(axis=2)) < 50     # it is black
    assert np.count_nonzero((painter.picture('exo', 480, 360) < 30).all(axis=2)) > 10
    painter.close()


def test_only_a_fovea_reads_the_mark():
    """The two kinds of mark: far apart in the fovea, the same in what is around it."""
    seen = {}
    for index in range(20):
        world = PhysicsWorld('read', 8, index)
        seen.setdefault(world.task.says, world)
    changes = {}
    for says, world in seen.items():
        toward = world.position('sign') - world.eye
        gaze = np.array([math.atan2(toward[1], toward[0]),
                         math.atan2(-toward[2], math.hypot(*toward[:2]))])
        world.step(world.joints(), gaze)
        painter = Painter(world)
        for level, picture in enumerate(painter.levels(PATTERN)):
            half = round(math.tan(math.radians(4)) / PATTERN.half_tangent(level) * 16)
            part = picture[16 - half:16 + half, 16 - half:16 + half].astype(float).mean(axis=2)
            along = abs(np.diff(part, axis=0)).mean(), abs(np.diff(part, axis=1)).mean()
            changes.setdefault(level, {})[says] = along[0] - along[1]
        painter.close()
    assert changes[0][0] > 25 > -25 > changes[0][1]               # across: left; upright: right
    assert abs(changes[1][0] - changes[1][1]) < 12


@pytest.mark.parametrize('name', list(CONDITIONS))
def test_every_condition_gives_as_many_tokens(name, scene):
    _, painter = scene
    condition = condition_of(name)
    pictures = condition.look(painter)
    assert tuple(picture.shape[:2] for picture in pictures) == condition.levels
    tokens = sum(height * width for height, width in condition.levels) // PATCH ** 2
    assert tokens == len(condition.places) == 48
    assert all(np.std(picture) > 5 for picture in pictures)


def test_the_wrist_camera_sees_what_is_below_the_hand():
    world = PhysicsWorld('bucket', 0, 4)
    from gaze_robot_sim.physics.expert import Expert
    expert = Expert(world)
    while not world.holds('thing'):
        world.step(expert.act())
    painter = Painter(world)
    picture = painter.picture('arm/wrist', 96, 96).astype(int)
    painter.close()
    strong = {'red': 0, 'green': 1, 'blue': 2, 'yellow': 0, 'magenta': 2, 'cyan': 2}[
        world.task.wanted[0][0]]
    middle = picture[30:66, 36:60, strong] - picture[30:66, 36:60].min(axis=2)
    assert np.mean(middle > 40) > 0.1


def test_patterns_of_any_size_are_drawn(scene):
    _, painter = scene
    for side in (8, 64, 200):
        pattern = FoveationPattern((15.0, 90.0), (side, side), (8,))
        assert [level.shape for level in painter.levels(pattern)] == [(side, side, 3)] * 2
