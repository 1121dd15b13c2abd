"""A stream of setpoints: nothing asked of it gets a head past its limits."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from gaze_robot.control.setpoints import COAST_S, Setpoints
from gaze_robot.errors import CommandError
from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState

LIMITS = PanTiltLimits((-1.0, -0.5), (2.0, 0.6), (3.0, 1.5), (30.0, 10.0), (1500.0, 400.0))
TICK = 0.01


def stream(made, seconds, start_s=0.0, tick_s=TICK):
    """(time, 4) setpoints of some seconds."""
    times = start_s + tick_s * np.arange(1, round(seconds / tick_s) + 1)
    points = [made.at(time_s) for time_s in times]
    return np.array([(p.pan_rad, p.tilt_rad, p.pan_rad_s, p.tilt_rad_s) for p in points])


def assert_inside(rows, limits, tick_s=TICK):
    """Position, speed, acceleration and jerk of evenly spaced setpoints, from their positions."""
    place = rows[:, :2]
    assert np.isfinite(rows).all()
    assert (place >= np.array(limits.min_position) - 1e-8).all()
    assert (place <= np.array(limits.max_position) + 1e-8).all()
    for order, most in ((1, limits.max_velocity), (2, limits.max_acceleration),
                        (3, limits.max_jerk)):
        change = np.abs(np.diff(place, order, axis=0)) / tick_s ** order
        assert (change <= np.array(most) * (1 + 1e-6) + 1e-8 / tick_s ** order).all(), order
    assert (np.abs(rows[:, 2:]) <= np.array(limits.max_velocity) * (1 + 1e-9)).all()


def test_a_goal_is_reached_and_kept():
    made = Setpoints(LIMITS, PanTiltState(0.0, 0.0), 0.0)
    made.aim(PanTiltCommand(1.5, -0.4), 0.0)
    rows = stream(made, 2.0)
    assert_inside(rows, LIMITS)
    np.testing.assert_allclose(rows[-1], [1.5, -0.4, 0.0, 0.0], atol=1e-9)
    assert rows[:, 0].max() <= 1.5 + 1e-9


def test_asked_again_and_again_it_is_the_same_motion():
    """A sender that repeats itself at 30 Hz must not make the head start anew each time."""
    once, often = (Setpoints(LIMITS, PanTiltState(0.0, 0.0), 0.0) for _ in range(2))
    once.aim(PanTiltCommand(1.5, -0.4), 0.0)
    rows = []
    for tick in range(100):
        if tick % 3 == 0:
            often.aim(PanTiltCommand(1.5, -0.4), tick * TICK)
        rows.append(stream(often, TICK, tick * TICK)[0])
    np.testing.assert_allclose(rows, stream(once, 1.0), atol=1e-6)


def test_a_moving_goal_is_met_and_kept_company():
    made = Setpoints(LIMITS, PanTiltState(0.0, 0.0), 0.0)
    rows = []
    for tick in range(100):
        if tick % 3 == 0:
            made.aim(PanTiltCommand(0.5 * tick * TICK - 0.2, 0.0, 0.5), tick * TICK)
        rows.append(stream(made, TICK, tick * TICK)[0])
    rows = np.array(rows)
    assert_inside(rows, LIMITS)
    later = TICK * np.arange(51, 101)
    np.testing.assert_allclose(rows[50:, 0], 0.5 * later - 0.2, atol=1e-6)


def test_a_moving_goal_stands_still_when_no_newer_one_comes():
    made = Setpoints(LIMITS, PanTiltState(0.0, 0.0), 0.0)
    made.aim(PanTiltCommand(0.2, 0.0, 1.0), 0.0)
    rows = stream(made, 1.5)
    assert_inside(rows, LIMITS)
    np.testing.assert_allclose(rows[-1], [0.2 + COAST_S * 1.0, 0, 0, 0], atol=1e-9)


def test_stop_is_the_shortest_way_to_rest():
    made = Setpoints(LIMITS, PanTiltState(0.0, 0.0), 0.0)
    made.aim(PanTiltCommand(2.0, 0.0), 0.0)
    moving = stream(made, 0.3)
    made.stop(0.3)
    rows = stream(made, 1.0, 0.3)
    assert_inside(np.vstack([moving, rows]), LIMITS)
    speed = moving[-1, 2]
    assert speed == pytest.approx(3.0)
    # From cruising: braking takes v / a + a / j = 0.12 s, and half of v times that.
    assert rows[-1, 0] - moving[-1, 0] == pytest.approx(3.0 * 0.12 / 2, abs=1e-6)


def test_a_head_too_fast_to_stop_inside_begins_at_rest():
    made = Setpoints(LIMITS, PanTiltState(1.9, 0.59, 50.0, 50.0), 0.0)
    made.aim(PanTiltCommand(0.0, 0.0), 0.0)
    assert_inside(stream(made, 1.0), LIMITS)


def test_a_head_outside_its_limits_is_led_back_no_faster_than_they_allow():
    made = Setpoints(LIMITS, PanTiltState(4.0, -2.0), 0.0)
    made.aim(PanTiltCommand(9.0, -9.0), 0.0)
    rows = stream(made, 3.0)
    assert np.abs(np.diff(rows[:, :2], axis=0, prepend=[[4.0, -2.0]])).max() <= 3.0 * TICK + 1e-9
    np.testing.assert_allclose(rows[-1], [2.0, -0.5, 0.0, 0.0], atol=1e-9)


@pytest.mark.parametrize('state', [PanTiltState(math.nan, 0.0), PanTiltState(0.0, 0.0, math.inf)],
                         ids=str)
def test_a_start_that_is_no_place_is_refused(state):
    with pytest.raises(CommandError, match='not finite'):
        Setpoints(LIMITS, state, 0.0)


goals = st.tuples(st.floats(-9, 9), st.floats(-9, 9), st.floats(-9, 9), st.floats(-9, 9))
HEADS = (LIMITS, PanTiltLimits(),
         PanTiltLimits((-0.3, 0.1), (0.3, 0.2), (0.05, 6.0), (0.2, 90.0), (3.0, 9e4)))


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(HEADS), st.lists(st.tuples(
    st.one_of(goals, st.none()), st.integers(1, 30)), min_size=1, max_size=12))
def test_no_sequence_of_goals_gets_past_a_limit(limits, script):
    """Position, speed, acceleration and jerk of what would go over the wire; None is a stop."""
    middle = [0.5 * (low + high) for low, high in zip(limits.min_position, limits.max_position)]
    made, tick, rows = Setpoints(limits, PanTiltState(*middle), 0.0), 0, []
    for goal, ticks in script:
        if goal is None:
            made.stop(tick * TICK)
        else:
            made.aim(PanTiltCommand(*goal), tick * TICK)
        for _ in range(ticks):
            tick += 1
            rows.append(stream(made, TICK, (tick - 1) * TICK)[0])
    assert_inside(np.array(rows), limits)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(goals, st.floats(0.0, 0.5)), min_size=1, max_size=10))
def test_uneven_ticks_change_nothing(script):
    made, now_s, before, before_s = Setpoints(LIMITS, PanTiltState(0.0, 0.0), 0.0), 0.0, None, 0.0
    for goal, wait_s in script:
        made.aim(PanTiltCommand(*goal), now_s)
        now_s += wait_s
        point = made.at(now_s)
        assert LIMITS.min_position[0] - 1e-8 <= point.pan_rad <= LIMITS.max_position[0] + 1e-8
        assert LIMITS.min_position[1] - 1e-8 <= point.tilt_rad <= LIMITS.max_position[1] + 1e-8
        if before is not None:
            reach = LIMITS.max_velocity[0] * (now_s - before_s)
            assert abs(point.pan_rad - before.pan_rad) <= reach + 1e-8
        before, before_s = point, now_s
