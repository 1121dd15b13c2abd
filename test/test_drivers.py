"""Heads: the contract, and the motion law against a brute-force integration."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from gaze_robot.drivers import DRIVERS, make_driver
from gaze_robot.drivers.contract import DriverContract
from gaze_robot.drivers.kinematic import advance, KinematicDriver
from gaze_robot.errors import CommandError, ConfigError, DriverConnectionError
from gaze_robot.types import PanTiltCommand, PanTiltLimits

LIMITS = PanTiltLimits()
# One symmetric fast head, one slow head with odd, lopsided limits.
HEADS = (LIMITS, PanTiltLimits((-0.5, 0.1), (2.0, 0.4), (0.7, 0.05), (0.9, 4.0)))


class FakeClock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class TestKinematicDriver(DriverContract):
    tolerance_rad = 1e-9

    def make_driver(self):
        self.clock = FakeClock()
        return KinematicDriver(LIMITS, self.clock)

    def wait(self, driver, seconds):
        self.clock.now_s += seconds


class TestKinematicDriverWithLopsidedLimits(TestKinematicDriver):
    def make_driver(self):
        self.clock = FakeClock()
        return KinematicDriver(HEADS[1], self.clock, start=(0.0, 0.2))


def trapezoid_time(distance, velocity, acceleration):
    """Seconds from rest to rest, from the textbook."""
    if distance <= velocity ** 2 / acceleration:
        return 2 * math.sqrt(distance / acceleration)
    return distance / velocity + velocity / acceleration


@pytest.mark.parametrize('steps_hz', [30, 100, 1000], ids=lambda hz: f'{hz}Hz')
@pytest.mark.parametrize('distance', [0.001, 0.1, 0.3287, 1.0, 2.9])
def test_rest_to_rest_takes_the_textbook_time(distance, steps_hz):
    goal, expected = np.array([distance, -distance / 3]), trapezoid_time(distance, 3.14, 30.0)
    position = velocity = np.zeros(2)
    for _ in range(math.floor(expected * steps_hz)):
        position, velocity = advance(position, velocity, goal, LIMITS, 1 / steps_hz)
    rest_s = expected - math.floor(expected * steps_hz) / steps_hz
    early, _ = advance(position, velocity, goal, LIMITS, 0.99 * rest_s)
    late, stopped = advance(position, velocity, goal, LIMITS, 1.0001 * rest_s + 1e-9)
    assert abs(early[0]) < distance
    np.testing.assert_allclose(late, goal, atol=1e-12)
    np.testing.assert_array_equal(stopped, 0)


def test_motion_matches_a_fine_bang_bang_integration():
    """Second route: 20,000 Euler steps of 'brake when the stopping distance is what is left'."""
    rng, dt_s = np.random.default_rng(3), 2e-5
    position, velocity = rng.uniform(-1, 1, (16, 2)), rng.uniform(-3, 3, (16, 2))
    goal = rng.uniform(-1, 1, (16, 2))
    x, v = position.copy(), velocity.copy()
    for _ in range(20_000):
        towards = np.sign(goal - x - v * np.abs(v) / 60.0)
        v = np.clip(v + towards * 30.0 * dt_s, -3.14, 3.14)
        x = x + v * dt_s
    reached, speed = advance(position, velocity, goal, LIMITS, 0.4)
    np.testing.assert_allclose(reached, x, atol=2e-3)
    np.testing.assert_allclose(speed, v, atol=1e-2)


def test_step_size_does_not_matter():
    rng = np.random.default_rng(0)
    position, velocity = rng.uniform(-1, 1, (64, 2)), rng.uniform(-3, 3, (64, 2))
    goal, drift = rng.uniform(-0.8, 0.8, (64, 2)), rng.uniform(-0.5, 0.5, (64, 2))
    x, v, moving = position, velocity, goal
    for _ in range(30):
        x, v = advance(x, v, moving, LIMITS, 0.01, drift)
        moving = moving + 0.01 * drift
    once = advance(position, velocity, goal, LIMITS, 0.3, drift)
    np.testing.assert_allclose(x, once[0], atol=1e-9)
    np.testing.assert_allclose(v, once[1], atol=1e-6)


def test_head_stays_on_a_goal_that_moves():
    position, velocity, goal = np.zeros(2), np.zeros(2), np.array([0.3, -0.2])
    drift = np.array([0.5, 0.2])
    for step in range(60):
        position, velocity = advance(position, velocity, goal + drift * step / 30, LIMITS, 1 / 30,
                                     drift)
    np.testing.assert_allclose(position, goal + drift * 2, atol=1e-9)
    np.testing.assert_allclose(velocity, drift, atol=1e-9)


def test_many_heads_at_once_move_as_each_alone():
    rng = np.random.default_rng(1)
    arrays = [rng.uniform(-1, 1, (3, 5, 2)) for _ in range(4)]
    together = advance(*arrays[:3], LIMITS, 0.1, arrays[3])
    for index in np.ndindex(3, 5):
        alone = advance(*(array[index] for array in arrays[:3]), LIMITS, 0.1, arrays[3][index])
        np.testing.assert_array_equal(together[0][index], alone[0])
        np.testing.assert_array_equal(together[1][index], alone[1])


@pytest.mark.parametrize('limits', HEADS, ids=['even', 'lopsided'])
@pytest.mark.parametrize('dt_s', [0.01, 1 / 30, 0.3, 3.0])
def test_chasing_a_moving_goal_always_leaves_room_to_stop(limits, dt_s):
    """From 20,000 states that can still be stopped, towards goals that run against the limits."""
    rng, shape = np.random.default_rng(5), (20_000, 2)
    low, high = np.array(limits.min_position), np.array(limits.max_position)
    fastest, strength = np.array(limits.max_velocity), np.array(limits.max_acceleration)
    position, goal = rng.uniform(low, high, shape), rng.uniform(low - 0.2, high + 0.2, shape)
    room = np.sqrt(2 * strength * (high - position)), np.sqrt(2 * strength * (position - low))
    velocity = rng.uniform(-np.minimum(fastest, room[1]), np.minimum(fastest, room[0]))
    drift = rng.uniform(-1.5, 1.5, shape) * fastest
    for _ in range(3):
        moved, speed = advance(position, velocity, goal, limits, dt_s, drift)
        stop = moved + speed * np.abs(speed) / (2 * strength)
        assert (np.abs(speed) <= fastest + 1e-9).all()
        assert (np.abs(speed - velocity) <= strength * dt_s + 1e-9).all()
        assert (np.abs(moved - position) <= fastest * dt_s + 1e-9).all()
        assert ((moved >= low - 1e-9) & (moved <= high + 1e-9)).all()
        assert ((stop >= low - 1e-9) & (stop <= high + 1e-9)).all()
        position, velocity, goal = moved, speed, goal + drift * dt_s


def test_inputs_are_left_alone():
    position, velocity, goal = np.zeros(2), np.ones(2), np.full(2, 99.0)
    advance(position, velocity, goal, LIMITS, 0.1, np.ones(2))
    np.testing.assert_array_equal([position, velocity, goal], [[0, 0], [1, 1], [99, 99]])


@pytest.mark.parametrize('which', range(4), ids=['position', 'velocity', 'goal', 'drift'])
@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf])
def test_motion_from_nonsense_is_refused(which, bad):
    arrays = [np.zeros((4, 2)) for _ in range(4)]
    arrays[which][2, 1] = bad
    with pytest.raises(CommandError, match='finite'):
        advance(*arrays[:3], LIMITS, 0.1, arrays[3])


@pytest.mark.parametrize('dt_s', [-0.1, math.nan, math.inf])
def test_time_that_runs_backwards_is_refused(dt_s):
    with pytest.raises(CommandError, match='time step'):
        advance(np.zeros(2), np.zeros(2), np.ones(2), LIMITS, dt_s)


def test_head_pushed_out_of_its_limits_comes_back_without_a_jump():
    position, velocity = np.array([3.5, -1.5]), np.zeros(2)
    moved, _ = advance(position, velocity, np.zeros(2), LIMITS, 0.05)
    np.testing.assert_allclose(np.abs(moved - position), 0.5 * 30 * 0.05 ** 2)
    back, _ = advance(position, velocity, np.array([9.0, -9.0]), LIMITS, 5.0)
    np.testing.assert_array_equal(back, [3.14, -1.05])


numbers = st.floats(-10, 10)
commands = st.tuples(numbers, numbers, numbers, numbers)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(HEADS), st.lists(st.tuples(
    st.one_of(st.none(), commands), st.floats(0, 0.7)), max_size=12))
def test_no_command_sequence_breaks_a_limit(limits, script):
    """Position, speed and acceleration, watched every few milliseconds; None is stop()."""
    clock = FakeClock()
    low, high = np.array(limits.min_position), np.array(limits.max_position)
    with KinematicDriver(limits, clock) as driver:
        before = driver.read()
        for wish, duration_s in script:
            if wish is None:
                driver.stop()
            else:
                driver.command(PanTiltCommand(*wish))
            for _ in range(7):
                clock.now_s += duration_s / 7
                after = driver.read()
                elapsed_s = after.stamp_s - before.stamp_s
                position = np.array([after.pan_rad, after.tilt_rad])
                velocity = np.array([after.pan_rad_s, after.tilt_rad_s])
                moved = position - (before.pan_rad, before.tilt_rad)
                change = velocity - (before.pan_rad_s, before.tilt_rad_s)
                assert ((position >= low - 1e-9) & (position <= high + 1e-9)).all()
                assert (np.abs(velocity) <= np.array(limits.max_velocity) + 1e-9).all()
                assert (np.abs(moved) <= np.array(limits.max_velocity) * elapsed_s + 1e-9).all()
                assert (np.abs(change)
                        <= np.array(limits.max_acceleration) * elapsed_s + 1e-6).all()
                before = after


def test_speed_of_a_command_is_followed_for_a_moment_then_the_head_rests():
    clock = FakeClock()
    with KinematicDriver(LIMITS, clock, coast_s=0.1) as driver:
        driver.command(PanTiltCommand(0.0, 0.0, 0.4, 0.0))
        clock.now_s += 1.0
        state = driver.read()
        assert (state.pan_rad, state.pan_rad_s) == (pytest.approx(0.04), 0.0)


def test_clock_that_jumps_back_moves_nothing():
    clock = FakeClock()
    with KinematicDriver(LIMITS, clock) as driver:
        driver.command(PanTiltCommand(1.0, 0.5, 0.1, 0.1))
        clock.now_s += 5.0
        before = driver.read()
        clock.now_s = 3.0
        after = driver.read()
        assert (after.pan_rad, after.tilt_rad, after.stamp_s) == (
            before.pan_rad, before.tilt_rad, 3.0)


def test_head_follows_the_wall_clock_by_default():
    with KinematicDriver() as driver:
        driver.command(PanTiltCommand(1.0, 0.0))
        first, second = driver.read(), driver.read()
        assert second.stamp_s >= first.stamp_s
        assert second.pan_rad >= first.pan_rad


def test_start_outside_the_limits_is_brought_inside():
    with KinematicDriver(LIMITS, FakeClock(), start=(9.0, -9.0)) as driver:
        state = driver.read()
        assert (state.pan_rad, state.tilt_rad) == (3.14, -1.05)


def test_registry_makes_the_simulated_head():
    clock = FakeClock()
    driver = make_driver('sim', limits=HEADS[1], clock=clock)
    assert isinstance(driver, KinematicDriver)
    assert driver.limits == HEADS[1]


def test_unknown_backend_names_the_known_ones_and_the_nearest():
    with pytest.raises(ConfigError, match=r"'simm'.*did you mean 'sim'\?.*known: "):
        make_driver('simm')
    with pytest.raises(ConfigError, match=', '.join(sorted(DRIVERS))):
        make_driver('xyz')


def test_unknown_driver_option_names_the_known_ones():
    with pytest.raises(ConfigError, match='no option prot; it has .*limits'):
        make_driver('sim', prot='/dev/ttyUSB0')


def test_contract_notices_a_head_that_ignores_its_limits():
    class Unclipped(KinematicDriver):
        def command(self, goal):
            super().command(goal)
            return goal

    class Contract(DriverContract):
        def make_driver(self):
            return Unclipped(LIMITS, FakeClock())

    with pytest.raises(AssertionError):
        Contract().test_goal_beyond_a_limit_is_clipped_and_reported()


def test_contract_notices_a_missing_error():
    class AlwaysOpen(KinematicDriver):
        def _require_connection(self):
            return None

    class Contract(DriverContract):
        def make_driver(self):
            return AlwaysOpen(LIMITS, FakeClock())

    with pytest.raises(AssertionError, match='expected DriverConnectionError'):
        Contract().test_use_before_connect_is_an_error()
    with pytest.raises(DriverConnectionError):
        KinematicDriver().read()
