"""Who is pursued: things that are seen to move, near the gaze."""

import math

import numpy as np
import pytest

from gaze_robot.control.controller import Controller
from gaze_robot.control.pursuit import pursue, WITHIN_RAD
from gaze_robot.types import GazeTarget, PanTiltLimits, PanTiltState

DT = 1 / 30


def target(pan, source='search'):
    return GazeTarget(np.array([math.cos(pan), math.sin(pan), 0.0]), 0.9, True, source)


def watch(path, source='search', error=0.05, controller=None):
    """What is said after a target was seen along a path of pans; the gaze is `error` behind."""
    controller = Controller(PanTiltLimits()) if controller is None else controller
    said = None
    for pan in path:
        said = pursue(controller, target(pan, source), error, PanTiltState(pan - error, 0.0), DT)
    return said


def moving(speed, count=20):
    return [speed * step * DT for step in range(count)]


@pytest.mark.parametrize('source', ['search', 'people'])
def test_a_thing_that_moves_is_pursued_with_its_speed(source):
    direction, command, mode = watch(moving(0.5), source)
    assert mode == 'pursue'
    assert command.pan_rad_s == pytest.approx(0.5, rel=0.25)
    assert direction == pytest.approx(target(0.5 * 19 * DT).direction)


@pytest.mark.parametrize('path, options', [
    ([0.2] * 20, {}), (moving(0.02), {}), (moving(0.5), {'source': 'salience'}),
    (moving(0.5), {'error': WITHIN_RAD + 0.01}), (moving(0.5), {'error': None})],
    ids=['rests', 'creeps', 'a place', 'far from the gaze', 'out of view'])
def test_anything_else_is_left_to_whoever_looks_for_it(path, options):
    if options.get('error', 0.0) is None:
        controller = Controller(PanTiltLimits())
        for pan in path:
            assert pursue(controller, target(pan), None, PanTiltState(pan, 0.0), DT) is None
    else:
        assert watch(path, **options) is None


def test_noise_does_not_make_a_resting_thing_move():
    rng = np.random.default_rng(0)
    controller = Controller(PanTiltLimits())
    said = [pursue(controller, target(0.2 + noise), 0.01, PanTiltState(0.19, 0.0), DT)
            for noise in rng.normal(0.0, 0.003, 200)]
    assert sum(one is not None for one in said) < 10


def test_nobody_and_a_busy_controller_pursue_nothing():
    pose = PanTiltState(0.0, 0.0)
    assert pursue(Controller(PanTiltLimits()), None, None, pose, DT) is None
    assert pursue(None, target(0.1), 0.01, pose, DT) is None


def test_a_thing_missed_in_a_picture_is_still_the_same():
    controller = Controller(PanTiltLimits())
    watch(moving(0.5), controller=controller)
    pursue(controller, None, None, PanTiltState(0.0, 0.0), DT)
    pan = 0.5 * 21 * DT
    _, command, _ = pursue(controller, target(pan), 0.05, PanTiltState(pan - 0.05, 0.0), DT)
    assert command.pan_rad_s == pytest.approx(0.5, rel=0.25)
