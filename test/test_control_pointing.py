"""A target that is pointed out again and again is where it goes, not where it was."""

import math

import numpy as np
import pytest

from gaze_robot.control.pointing import PointedTarget
from gaze_robot.errors import CommandError
from gaze_robot.geometry import angle_between, direction_from_pan_tilt

SPEED = math.radians(30)


def at(seconds, speed=SPEED, start=-0.5):
    return direction_from_pan_tilt(start + speed * seconds, 0.1)


def test_a_stream_is_carried_on_between_and_beyond_its_points():
    rng, target, errors, stale = np.random.default_rng(0), PointedTarget(), [], []
    for number in range(40):                            # 10 points a second, seen 80 ms late
        seconds = 10.0 + number / 10
        point = at(number / 10) + rng.normal(0, 0.001, 3)
        target.point(point, seconds)
        for later in (0.08, 0.113, 0.146):
            truth = at(number / 10 + later)
            errors.append(float(angle_between(target.at(seconds + later), truth)))
            stale.append(float(angle_between(point, truth)))
    assert np.degrees(np.sqrt(np.mean(np.square(errors[30:])))) < 0.6
    assert np.degrees(np.sqrt(np.mean(np.square(stale[30:])))) > 3.0


def test_once_the_stream_ends_the_last_point_counts():
    target = PointedTarget()
    for number in range(10):
        target.point(at(number / 10), number / 10)
    assert float(angle_between(target.at(0.95), at(0.95))) < math.radians(0.5)
    np.testing.assert_allclose(target.at(2.0), at(0.9), atol=1e-12)


def test_places_far_apart_in_time_are_places():
    target = PointedTarget()
    for number in range(5):
        target.point(at(number, math.radians(5)), float(number))
        np.testing.assert_allclose(target.at(number + 0.3), at(number, math.radians(5)),
                                   atol=1e-12)


def test_a_still_target_stays():
    target = PointedTarget()
    for number in range(20):
        target.point(at(0.0), number / 20)
    assert float(angle_between(target.at(1.0), at(0.0))) < 1e-9


def test_across_the_back_there_is_no_jump():
    target = PointedTarget()
    for number in range(20):
        target.point(at(number / 20, start=math.pi - 0.2), number / 20)
    assert float(angle_between(target.at(1.0), at(1.0, start=math.pi - 0.2))) < math.radians(0.3)


def test_without_stamps_or_when_the_clock_goes_back_it_is_the_place_itself():
    target = PointedTarget()
    assert not target
    for stamp_s in (None, 5.0, 4.0, 4.0):
        target.point(at(0.3), stamp_s)
        np.testing.assert_allclose(target.at(4.1), at(0.3), atol=1e-12)
    target.clear()
    assert not target


@pytest.mark.parametrize('direction, stamp_s', [
    ([0.0, 0.0, 0.0], 1.0), ([math.nan, 0.0, 1.0], 1.0), ([1.0, 0.0], 1.0),
    ([1.0, 0.0, 0.0], math.nan)])
def test_what_is_no_direction_is_refused_and_the_old_one_stays(direction, stamp_s):
    target = PointedTarget()
    target.point(at(0.0), 0.5)
    with pytest.raises(CommandError):
        target.point(np.array(direction), stamp_s)
    np.testing.assert_allclose(target.at(0.5), at(0.0), atol=1e-12)
