"""Heads that somebody else finds: by stamp, turned with the camera, never from the future."""

import math

import numpy as np
import pytest

from gaze_robot.camera import CameraModel
from gaze_robot.people.given import GivenHeads
from gaze_robot.types import Frame, PanTiltState

CAMERA = CameraModel.from_hfov(640, 480, math.radians(90))
PICTURE = np.zeros((480, 640, 3), np.uint8)
BOX = (300.0, 220.0, 340.0, 260.0)


def look(given: GivenHeads, stamp_s: float, pan_rad: float = 0.0) -> list[tuple[float, ...]]:
    given.now(Frame(PICTURE, stamp_s, CAMERA), PanTiltState(pan_rad, 0.0))
    return [tuple(np.multiply(head.box, (640, 480, 640, 480))) for head in given(PICTURE)]


def test_heads_of_this_picture_are_told_as_they_are() -> None:
    given = GivenHeads()
    given.put(1.0, [(BOX, 0.7)])
    np.testing.assert_allclose(look(given, 1.0), [BOX])


def test_heads_of_an_earlier_picture_turn_with_the_camera() -> None:
    """The camera turns left by 0.2 rad: what was straight ahead is tan(0.2) to the right."""
    given = GivenHeads()
    look(given, 1.0)
    given.put(1.0, [(BOX, 0.7)])
    (left, top, right, bottom), = look(given, 1.2, 0.2)
    assert (left + right) / 2 == pytest.approx(320 + 320 * math.tan(0.2))
    assert (top + bottom) / 2 == pytest.approx(240)
    assert right - left == pytest.approx(40)


def test_what_is_old_or_of_a_later_picture_is_not_used() -> None:
    given = GivenHeads()
    given.put(2.0, [(BOX, 0.7)])
    assert look(given, 1.0) == []
    assert len(look(given, 2.1)) == 1
    assert look(given, 2.8) == []


def test_heads_that_left_the_picture_are_gone() -> None:
    given = GivenHeads()
    look(given, 1.0)
    given.put(1.0, [(BOX, 0.7)])
    assert look(given, 1.1, 1.2) == []


def test_a_clock_that_jumps_back_does_no_harm() -> None:
    given = GivenHeads()
    look(given, 100.0)
    given.put(1.0, [(BOX, 2.0)])                               # a score beyond 1 is 1
    assert len(look(given, 1.0)) == 1


def test_nobody_asked_nobody_there() -> None:
    assert GivenHeads()(PICTURE) == []
