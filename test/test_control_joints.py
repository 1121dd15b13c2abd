"""Where a hand was when a picture was taken."""

import math

import numpy as np
import pytest

from gaze_robot.control.joints import JointBuffer

NAMES = ('shoulder', 'elbow')


@pytest.fixture
def buffer():
    made = JointBuffer(NAMES)
    for step in range(5):
        made.add(10 + 0.1 * step, ('elbow', 'pan', 'shoulder'), (step, 99.0, -step))
    return made


def test_joints_are_found_by_name_and_interpolated(buffer):
    np.testing.assert_allclose(buffer.at(10.25, 0.1), [-2.5, 2.5])


def test_outside_the_nearest_counts_if_it_is_near(buffer):
    np.testing.assert_allclose(buffer.at(10.45, 0.1), [-4.0, 4.0])
    assert buffer.at(10.6, 0.1) is None
    assert buffer.at(9.8, 0.1) is None


def test_before_the_first_state_there_is_none():
    assert JointBuffer(NAMES).at(0.0, 1.0) is None


@pytest.mark.parametrize('names, positions', [
    (('pan', 'tilt'), (0.0, 0.0)), ((), ()), (NAMES, ())])
def test_states_of_other_joints_are_passed_over(buffer, names, positions):
    assert not buffer.add(11.0, names, positions)
    assert buffer.dropped == 0


@pytest.mark.parametrize('stamp_s, positions', [
    (11.0, (math.nan, 0.0)), (11.0, (math.inf, 0.0)), (math.nan, (0.0, 0.0)), (10.4, (7.0, 7.0)),
    (10.1, (7.0, 7.0))])
def test_what_is_not_finite_or_not_newer_is_dropped_and_counted(buffer, stamp_s, positions):
    assert not buffer.add(stamp_s, NAMES, positions)
    assert buffer.dropped == 1
    np.testing.assert_allclose(buffer.at(10.4, 0.1), [-4.0, 4.0])


def test_joints_may_come_in_messages_of_their_own(buffer):
    for stamp_s in (11.0, 11.1):
        assert buffer.add(stamp_s, NAMES[:1], (stamp_s,))
    assert buffer.at(11.05, 0.1) is None                        # of the other nothing is known
    assert buffer.add(11.04, (*NAMES[1:], 'tilt'), (3.0, 0.0))
    np.testing.assert_allclose(buffer.at(11.05, 0.1), [11.05, 3.0])
    assert buffer.dropped == 0


def test_a_clock_that_starts_anew_is_followed(buffer):
    assert buffer.add(1.0, NAMES, (5.0, 6.0))
    np.testing.assert_allclose(buffer.at(1.0, 0.1), [5.0, 6.0])
    assert buffer.at(10.2, 0.1) is None
