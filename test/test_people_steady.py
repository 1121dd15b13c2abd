"""Gazes over time: a camera that turns moves no target, and one odd picture changes little."""

import math

import numpy as np
import pytest

from gaze_robot.camera import CameraModel
from gaze_robot.geometry import angle_between, direction_from_pan_tilt, optical_ray
from gaze_robot.people.records import PersonGaze
from gaze_robot.people.steady import KEEP_S, SteadyGazes, turned_map
from gaze_robot.types import PanTiltState

CAMERA = CameraModel.from_hfov(640, 480, math.radians(90))
SIDE = 64
CELL_RAD = 2 / SIDE


def seen(direction: np.ndarray, pose: PanTiltState, number: int = 1, peak: float = 0.8
         ) -> PersonGaze:
    """Somebody who looks along a base-frame direction, as a model would say of the picture."""
    pixel, visible = CAMERA.project(optical_ray(direction, pose.pan_rad, pose.tilt_rad))
    assert visible
    x, y = pixel / (CAMERA.width, CAMERA.height)
    rows, columns = np.indices((SIDE, SIDE)) + 0.5
    heat = peak * np.exp(-((columns / SIDE - x) ** 2 + (rows / SIDE - y) ** 2) / (2 * 0.05 ** 2))
    return PersonGaze(number, (0.4, 0.4, 0.5, 0.5), (float(x), float(y)), 0.9,
                      0.9 * float(heat.max()), 'drawn', heat.astype(np.float32))


def test_a_turning_camera_does_not_move_the_target() -> None:
    gazes, target = SteadyGazes(), direction_from_pan_tilt(0.2, 0.1)
    for step in range(30):
        pose = PanTiltState(0.02 * step - 0.3, 0.01 * step - 0.1)
        known, = gazes([seen(target, pose)], CAMERA, pose, step / 30)
        assert angle_between(known.target.direction, target) < 1.5 * CELL_RAD
        assert known.target.in_view


def test_without_turning_the_map_along_it_would_lag_behind() -> None:
    """The second route: the same pictures, taken for those of a camera that stands still."""
    gazes, target = SteadyGazes(fade_s=1.0), direction_from_pan_tilt(0.2, 0.0)
    still = PanTiltState(0.0, 0.0)
    for step in range(20):
        pose = PanTiltState(0.03 * step - 0.3, 0.0)
        known, = gazes([seen(target, pose)], CAMERA, still, step / 30)
    alike = SteadyGazes(fade_s=1.0)
    for step in range(20):
        pose = PanTiltState(0.03 * step - 0.3, 0.0)
        right, = alike([seen(target, pose)], CAMERA, pose, step / 30)
    expected = seen(target, pose).gaze_point[0]
    assert abs(right.person.gaze_point[0] - expected) < 0.03
    assert abs(known.person.gaze_point[0] - expected) > 0.05


def test_one_odd_picture_is_not_believed_and_several_are() -> None:
    gazes, pose = SteadyGazes(), PanTiltState(0.0, 0.0)
    here, there = direction_from_pan_tilt(0.3, 0.0), direction_from_pan_tilt(-0.3, 0.1)
    for step in range(10):
        known, = gazes([seen(here, pose)], CAMERA, pose, step / 30)
    known, = gazes([seen(there, pose)], CAMERA, pose, 10 / 30)
    assert angle_between(known.target.direction, here) < 2 * CELL_RAD
    for step in range(11, 20):
        known, = gazes([seen(there, pose)], CAMERA, pose, step / 30)
    assert angle_between(known.target.direction, there) < 2 * CELL_RAD


def test_people_are_kept_apart_and_for_a_while() -> None:
    gazes, pose = SteadyGazes(), PanTiltState(0.0, 0.0)
    left, right = direction_from_pan_tilt(0.4, 0.0), direction_from_pan_tilt(-0.4, 0.0)
    both = gazes([seen(right, pose, 2), seen(left, pose, 1)], CAMERA, pose, 0.0)
    assert [known.person.id for known in both] == [1, 2]
    assert angle_between(both[0].target.direction, left) < CELL_RAD
    later = gazes([seen(right, pose, 2)], CAMERA, pose, KEEP_S)
    assert [known.target.in_view for known in later] == [False, True]
    assert [known.person.id for known in gazes([], CAMERA, pose, KEEP_S + 0.1)] == [2]
    assert gazes([], CAMERA, pose, 3 * KEEP_S) == []


def test_a_clock_that_jumps_back_starts_anew() -> None:
    gazes, pose = SteadyGazes(), PanTiltState(0.0, 0.0)
    here, there = direction_from_pan_tilt(0.3, 0.0), direction_from_pan_tilt(-0.3, 0.0)
    for step in range(10):
        gazes([seen(here, pose)], CAMERA, pose, 100 + step / 30)
    known, = gazes([seen(there, pose)], CAMERA, pose, 1.0)
    assert angle_between(known.target.direction, there) < CELL_RAD


def test_smoothing_what_is_always_the_same_changes_nothing() -> None:
    gazes, pose = SteadyGazes(), PanTiltState(0.1, 0.0)
    person = seen(direction_from_pan_tilt(0.2, 0.0), pose)
    for step in range(5):
        known, = gazes([person], CAMERA, pose, step / 30)
    np.testing.assert_allclose(known.person.heatmap, person.heatmap, atol=1e-6)
    assert known.person.confidence == pytest.approx(person.confidence, rel=1e-5)


def test_what_the_old_picture_did_not_show_is_unknown() -> None:
    heat = np.ones((SIDE, SIDE), np.float32)
    moved, shown = turned_map(heat, (CAMERA, PanTiltState(0.0, 0.0)),
                              (CAMERA, PanTiltState(0.5, 0.0)))
    assert shown[32, 63]                                     # the camera has turned to the left
    assert not shown[32, 0]
    np.testing.assert_array_equal(moved[~shown], 0)
    np.testing.assert_allclose(moved[shown], 1.0)
