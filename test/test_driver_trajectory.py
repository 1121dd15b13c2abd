"""ros2_control: plans for a JointTrajectoryController, judged by an emulated one."""

import math

from hypothesis import example, given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from gaze_robot.drivers.contract import DriverContract
from gaze_robot.drivers.kinematic import KinematicDriver
from gaze_robot.drivers.registry import make_driver
from gaze_robot.drivers.trajectory import knots, SOONEST_S, TrajectoryDriver
from gaze_robot.emulators.clock import ManualClock
from gaze_robot.emulators.trajectory import TrajectoryEmulator
from gaze_robot.errors import ConfigError, DriverConnectionError, DriverTimeoutError
from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState

LIMITS = PanTiltLimits((-1.0, -0.5), (1.0, 0.5), (2.0, 1.5), (20.0, 15.0))


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def controller(clock):
    return TrajectoryEmulator(clock)


def driver_of(controller):
    return TrajectoryDriver(controller.send, controller.latest, LIMITS, controller._clock)


class TestTrajectoryDriver(DriverContract):
    tolerance_rad = 1e-6

    def make_driver(self):
        return driver_of(self.controller)

    def wait(self, driver, seconds):
        self.controller._clock.wait(seconds)

    @pytest.fixture(autouse=True)
    def use(self, controller):
        self.controller = controller


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-2, 2), st.floats(-2, 2), st.floats(-9, 9), st.floats(-9, 9),
                          st.floats(0.0, 0.6)), min_size=1, max_size=6))
@example([(0.0, 5.960464477539063e-08, 0.0, 0.0, 0.5)])
@example([(1e-9, 1.0, 0.0, 0.0, 0.01), (0.0, 1.0, 0.0, 0.0, 0.5)])
@example([(0.0, 0.0, 1.0, 2e-05, 0.5)])
@example([(0.0, 1.0, 0.0, 0.0, 0.25), (0.0, 0.0, 0.0, 0.0, 1e-06), (0.0, 1.0, 0.0, 0.0, 0.5)])
@example([(0.0, 1.0, 2e-05, 0.0, 0.5)])
def test_between_its_points_the_spline_keeps_every_limit(script):
    """Every few milliseconds, of commands that interrupt each other, whatever their speeds."""
    clock = ManualClock()
    controller = TrajectoryEmulator(clock)
    with driver_of(controller) as head:
        for pan, tilt, pan_s, tilt_s, wait_s in script:
            head.command(PanTiltCommand(pan, tilt, pan_s, tilt_s))
            for time_s in np.arange(clock(), clock() + wait_s, 0.004):
                position, speed, acceleration = controller.at(time_s)
                assert (position >= np.array(LIMITS.min_position) - 1e-6).all()
                assert (position <= np.array(LIMITS.max_position) + 1e-6).all()
                # What changes within a microsecond of another point is not told.
                assert (np.abs(speed) <= np.array(LIMITS.max_velocity)
                        + 2 * SOONEST_S * np.array(LIMITS.max_acceleration)).all()
                assert (np.abs(acceleration) <= 1.02 * np.array(LIMITS.max_acceleration)).all()
            clock.wait(wait_s)


def test_the_way_is_that_of_the_simulated_head(controller, clock):
    with driver_of(controller) as head, KinematicDriver(LIMITS, clock) as simulated:
        for driver in (head, simulated):
            driver.command(PanTiltCommand(0.8, -0.3))
        for _ in range(40):
            clock.wait(0.02)
            expected, found = simulated.read(), head.read()
            assert (found.pan_rad, found.tilt_rad) == pytest.approx(
                (expected.pan_rad, expected.tilt_rad), abs=1e-6)


def test_knots_of_a_plain_move_by_hand():
    """1 m at 2 m/s and 20 m/s^2: 0.1 s up to 0.1, cruise 0.4 s to 0.9, 0.1 s down; tilt rests."""
    made = knots(PanTiltState(0.0, 0.0), (1.0, 0.0), LIMITS)
    assert [time_s for time_s, _, _ in made] == pytest.approx([0.1, 0.5, 0.6])
    assert [position[0] for _, position, _ in made] == pytest.approx([0.1, 0.9, 1.0])
    assert [speed[0] for _, _, speed in made] == pytest.approx([2.0, 2.0, 0.0])


def test_without_joint_states_it_cannot_be_connected(controller):
    controller.silent = True
    with pytest.raises(DriverConnectionError, match='joint_state_broadcaster'):
        driver_of(controller).connect()


def test_states_that_stop_coming_are_a_time_out_and_their_return_recovers(controller, clock):
    with driver_of(controller) as head:
        controller.silent = True
        clock.wait(0.5)
        head.read()
        clock.wait(1.0)
        with pytest.raises(DriverTimeoutError):
            head.read()
        with pytest.raises(DriverTimeoutError):
            head.command(PanTiltCommand(0.1, 0.0))
        controller.silent = False
        head.command(PanTiltCommand(0.1, 0.0))
        clock.wait(1.0)
        assert head.read().pan_rad == pytest.approx(0.1)


def test_it_lives_in_the_node():
    with pytest.raises(ConfigError, match='pan_tilt_node'):
        make_driver('trajectory')


def test_times_are_always_in_the_future_and_apart():
    for goal in (0.0, 1e-9, 1e-4, 0.5):
        made = knots(PanTiltState(0.0, 0.0), (goal, 0.0), LIMITS)
        times = [0.0, *(time_s for time_s, _, _ in made)]
        assert all(b - a >= 0.99e-6 for a, b in zip(times, times[1:]))
        assert math.isclose(made[-1][1][0], goal)
