"""Motions of one axis: as quick as they can be, inside every limit, whatever the start."""

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from gaze_robot.control.profile import (
    after,
    AxisLimits,
    AxisState,
    change_speed,
    duration_s,
    meet,
    stop_at,
)

# From ruckig 0.19.4 (`pip install ruckig`), which solves the same by other means: InputParameter
# in the goal's frame, i.e. from position 0, speed v - w and acceleration a to the goal at rest,
# with max_velocity V - w and min_velocity -V - w. Columns: goal, v, a, w (speed of the goal),
# V, strongest acceleration, jerk, seconds. Starts and limits were drawn at random.
RUCKIG = [
    (-0.004, 0.555, -2.192, 0.0, 1.213, 11.319, 500, 0.158223311),
    (-1.893, 0.248, 42.388, 0.0, 0.746, 56.386, 5000, 2.587689503),
    (-1.22, -3.085, 0.0, 0.0, 3.965, 10.791, 20000, 0.500789493),
    (-0.001, -0.89, 13.383, 0.0, 4.646, 33.902, 100, 0.261757157),
    (-0.393, 0.0, -11.968, 0.0, 2.227, 51.628, 1500, 0.247235698),
    (0.205, -0.372, -46.375, 4.962, 5.542, 57.11, 500, 3.338351990),
    (0.936, 0.469, 0.0, 0.0, 4.887, 12.005, 5000, 0.524351492),
    (0.293, -0.228, 0.205, 0.0, 0.633, 12.804, 500, 0.562994231),
    (-0.001, -0.618, -19.872, 0.0, 1.214, 36.136, 1500, 0.115661347),
    (-0.177, 2.682, 1.633, 0.0, 4.005, 49.919, 1500, 0.245842700),
    (-0.453, 0.806, 18.503, 0.0, 3.209, 46.939, 500, 0.396970219),
    (-0.342, -3.342, -24.098, 0.0, 3.986, 39.159, 1500, 0.152253515),
    (1.225, 0.0, 0.0, 0.0, 3.382, 35.574, 5000, 0.464395942),
    (1.062, -2.829, -8.449, 0.0, 3.905, 14.884, 5000, 0.801041138),
    (-1.114, 0.0, 15.512, 0.0, 1.763, 44.41, 20000, 0.674713086),
    (-0.649, -3.721, 0.0, 0.0, 5.262, 53.673, 5000, 0.183499388),
    (0.001, -4.375, 6.017, 0.0, 4.43, 23.968, 500, 0.501052769),
    (0.003, -0.023, 12.735, 0.0, 0.838, 58.433, 1500, 0.036530637),
    (0.267, -1.983, -14.517, 0.0, 4.2, 37.715, 100, 1.010347947),
    (-1.422, 0.0, -1.129, 0.0, 2.032, 11.843, 1500, 0.878560564),
    (0.005, 0.0, 0.0, 0.0, 4.691, 37.232, 500, 0.068399038),
    (-1.829, 0.0, -6.24, 0.0, 3.515, 16.322, 100, 0.850989250),
    (0.007, -3.738, 39.945, 0.283, 5.03, 45.156, 100, 1.316675327),
    (1.725, -2.949, 29.055, 0.0, 3.921, 55.622, 1500, 0.609925883),
]


def limits_of(speed, strength, jerk):
    return AxisLimits(-100.0, 100.0, speed, strength, jerk)


@pytest.mark.parametrize('goal, v, a, w, speed, strength, jerk, seconds', RUCKIG)
def test_motions_take_the_least_time(goal, v, a, w, speed, strength, jerk, seconds):
    phases = meet(AxisState(0.0, v, a), goal, w, limits_of(speed, strength, jerk))
    assert duration_s(phases) == pytest.approx(seconds, rel=1e-6, abs=1e-7)


def test_from_rest_to_rest_it_is_the_textbooks_double_s():
    """1 rad at 2 rad/s, 10 rad/s^2, 100 rad/s^3: 0.1 s ramps, 0.3 s to full speed, by hand."""
    phases = meet(AxisState(0.0), 1.0, 0.0, limits_of(2.0, 10.0, 100.0))
    lengths = [seconds for seconds, _ in phases]
    assert lengths == pytest.approx([0.1, 0.1, 0.1, 0.2, 0.1, 0.1, 0.1], abs=1e-9)
    assert [jerk for seconds, jerk in phases] == [100, 0, -100, 0, -100, 0, 100]
    halfway = after(AxisState(0.0), phases, 0.4)
    assert halfway == pytest.approx((0.5, 2.0, 0.0), abs=1e-9)


def test_after_the_end_it_goes_on_at_constant_speed():
    phases = change_speed(0.0, 0.0, 1.5, 10.0, 100.0)
    end = after(AxisState(0.0), phases)
    later = after(AxisState(0.0), phases, duration_s(phases) + 2.0)
    assert later == pytest.approx((end.position + 2.0 * 1.5, 1.5, 0.0), abs=1e-9)


numbers = st.floats(-1.0, 1.0)
axes = st.tuples(st.floats(0.3, 8.0), st.floats(2.0, 100.0), st.floats(50.0, 2e4))


@settings(deadline=None, max_examples=300)
@given(axes, numbers, numbers, st.floats(-3.0, 3.0), st.floats(-0.9, 0.9))
def test_it_arrives_and_breaks_no_limit_on_the_way(axis, share, push, goal, drift):
    limits = limits_of(*axis)
    speed, acceleration = share * limits.speed, push * limits.acceleration
    settled = speed + acceleration * abs(acceleration) / (2 * limits.jerk)
    if abs(settled) > limits.speed:             # it could not have come there inside the limits
        acceleration = 0.0
    start, drift = AxisState(0.0, speed, acceleration), drift * limits.speed
    phases = meet(start, goal, drift, limits)
    seconds = duration_s(phases)
    end = after(start, phases)
    assert end.position == pytest.approx(goal + drift * seconds, abs=1e-7)
    assert end.speed == pytest.approx(drift, abs=1e-6)
    assert end.acceleration == pytest.approx(0.0, abs=1e-5 * limits.acceleration)
    assert all(length >= 0 for length, _ in phases)
    assert all(abs(jerk) <= limits.jerk for _, jerk in phases)
    for step in range(101):
        state = after(start, phases, seconds * step / 100)
        assert abs(state.speed) <= limits.speed * (1 + 1e-9)
        assert abs(state.acceleration) <= limits.acceleration * (1 + 1e-9)


@settings(deadline=None, max_examples=200)
@given(axes, st.floats(-3.0, 3.0), numbers)
def test_a_resting_goal_ahead_is_never_passed_nor_could_be(axis, goal, share):
    """At every moment of the way a stop would end between the start and the goal."""
    limits = limits_of(*axis)
    start = AxisState(0.0, share * limits.speed)
    stop = stop_at(start, limits)
    low, high = min(0.0, stop, goal), max(0.0, stop, goal)
    phases = meet(start, goal, 0.0, limits)
    for step in range(51):
        state = after(start, phases, duration_s(phases) * step / 50)
        assert low - 1e-9 <= state.position <= high + 1e-9
        assert low - 1e-9 <= stop_at(state, limits) <= high + 1e-9
