"""What every driver is tested for: inherit `DriverContract`, provide `make_driver`.

    class TestMyHead(DriverContract):
        def make_driver(self):
            return MyHead(port=FakePort())

Nothing here knows pytest; a runner only has to call the methods whose names begin with `test_`.
"""
# ruff: noqa: D102     (a test's name is its description)

from collections.abc import Iterator
import contextlib
import math
import time

from gaze_robot.drivers.base import PanTiltDriver
from gaze_robot.errors import CommandError, DriverConnectionError, GazeRobotError
from gaze_robot.types import PanTiltCommand, PanTiltState


class DriverContract:
    """The tests; slow and fake heads override `wait`, `tolerance_rad` and `sample_s`."""

    tolerance_rad = 0.01
    """How near its goal a resting head must be."""

    sample_s = 0.02
    """How often a moving head is watched."""

    def make_driver(self) -> PanTiltDriver:
        """A driver that is not connected, on hardware or a fake wire."""
        raise TypeError(f'{type(self).__name__} must define make_driver()')

    @contextlib.contextmanager
    def ready(self) -> Iterator[PanTiltDriver]:
        """A head that is connected and powered; disconnected at the end."""
        with self.make_driver() as driver:
            driver.set_torque(True)
            yield driver

    def wait(self, driver: PanTiltDriver, seconds: float) -> None:
        """Let the head live for a while; fakes turn their clock instead."""
        time.sleep(seconds)

    def watch(self, driver: PanTiltDriver, seconds: float) -> list[PanTiltState]:
        """Poses of the next seconds, every `sample_s`."""
        states = [driver.read()]
        for _ in range(math.ceil(seconds / self.sample_s)):
            self.wait(driver, self.sample_s)
            states.append(driver.read())
        return states

    def test_is_a_driver(self) -> None:
        assert isinstance(self.make_driver(), PanTiltDriver)

    def test_use_before_connect_is_an_error(self) -> None:
        driver = self.make_driver()
        with refuses(DriverConnectionError):
            driver.read()
        with refuses(DriverConnectionError):
            driver.command(PanTiltCommand(0.0, 0.0))

    def test_stop_and_disconnect_are_allowed_before_connect(self) -> None:
        driver = self.make_driver()
        driver.stop()
        driver.disconnect()

    def test_connecting_twice_is_an_error(self) -> None:
        with self.make_driver() as driver, refuses(DriverConnectionError):
            driver.connect()

    def test_disconnecting_twice_is_allowed_and_connecting_again_works(self) -> None:
        driver = self.make_driver()
        driver.connect()
        driver.disconnect()
        driver.disconnect()
        driver.stop()
        with driver:
            driver.read()

    def test_leaving_the_context_disconnects_also_after_an_error(self) -> None:
        driver = self.make_driver()
        with contextlib.suppress(KeyError), driver:
            raise KeyError('anything')
        with refuses(DriverConnectionError):
            driver.read()

    def test_connecting_moves_nothing(self) -> None:
        with self.make_driver() as driver:
            first, *_, last = self.watch(driver, 10 * self.sample_s)
            assert abs(last.pan_rad - first.pan_rad) <= self.tolerance_rad
            assert abs(last.tilt_rad - first.tilt_rad) <= self.tolerance_rad

    def test_switching_the_power_on_moves_nothing(self) -> None:
        with self.make_driver() as driver:
            first = driver.read()
            driver.set_torque(True)
            *_, last = self.watch(driver, 10 * self.sample_s)
            assert abs(last.pan_rad - first.pan_rad) <= self.tolerance_rad
            assert abs(last.tilt_rad - first.tilt_rad) <= self.tolerance_rad

    def test_health_is_text_and_numbers_from_any_state(self) -> None:
        driver = self.make_driver()
        found = [driver.health()]
        with driver:
            found.append(driver.health())
        found.append(driver.health())
        for values in found:
            assert all(isinstance(value, (str, float, int)) for value in values.values())

    def test_goal_inside_the_limits_is_sent_as_it_is_and_reached(self) -> None:
        with self.ready() as driver:
            goal = inside(driver)
            assert driver.command(goal) == goal
            end = self.watch(driver, travel_s(driver))[-1]
            assert abs(end.pan_rad - goal.pan_rad) <= self.tolerance_rad
            assert abs(end.tilt_rad - goal.tilt_rad) <= self.tolerance_rad

    def test_goal_beyond_a_limit_is_clipped_and_reported(self) -> None:
        with self.ready() as driver:
            limits = driver.limits
            for sign, bound in ((1, limits.max_position), (-1, limits.min_position)):
                sent = driver.command(PanTiltCommand(99.0 * sign, 99.0 * sign, 99.0, -99.0))
                assert (sent.pan_rad, sent.tilt_rad) == bound
                assert abs(sent.pan_rad_s) <= limits.max_velocity[0]
                assert abs(sent.tilt_rad_s) <= limits.max_velocity[1]

    def test_head_never_leaves_its_limits(self) -> None:
        with self.ready() as driver:
            limits, states = driver.limits, []
            for sign in (1, -1, 1):
                driver.command(PanTiltCommand(99.0 * sign, -99.0 * sign, 99.0 * sign, 0.0))
                states += self.watch(driver, 0.3 * travel_s(driver))
            for state in states:
                for axis, position in enumerate((state.pan_rad, state.tilt_rad)):
                    assert position >= limits.min_position[axis] - self.tolerance_rad
                    assert position <= limits.max_position[axis] + self.tolerance_rad

    def test_goal_that_is_not_finite_is_refused_and_moves_nothing(self) -> None:
        with self.ready() as driver:
            before = driver.read()
            for value in (math.nan, math.inf, -math.inf):
                with refuses(CommandError):
                    driver.command(PanTiltCommand(value, 0.0))
            after = self.watch(driver, 5 * self.sample_s)[-1]
            assert abs(after.pan_rad - before.pan_rad) <= self.tolerance_rad
            assert abs(after.tilt_rad - before.tilt_rad) <= self.tolerance_rad

    def test_stop_brings_a_moving_head_to_rest_short_of_its_goal(self) -> None:
        with self.ready() as driver:
            limits = driver.limits
            driver.command(PanTiltCommand(limits.max_position[0], 0.0))
            self.wait(driver, 0.2 * limits.max_position[0] / limits.max_velocity[0])
            driver.stop()
            self.wait(driver, 2 * limits.max_velocity[0] / limits.max_acceleration[0] + 0.1)
            first, *_, last = self.watch(driver, 0.2)
            assert abs(last.pan_rad - first.pan_rad) <= self.tolerance_rad
            assert last.pan_rad < limits.max_position[0] - self.tolerance_rad

    def test_stamps_grow(self) -> None:
        with self.ready() as driver:
            stamps = [state.stamp_s for state in self.watch(driver, 5 * self.sample_s)]
            assert all(first < second for first, second in zip(stamps, stamps[1:]))

    def test_positive_pan_and_tilt_go_where_they_say(self) -> None:
        with self.ready() as driver:
            before, goal = driver.read(), inside(driver)
            driver.command(goal)
            after = self.watch(driver, travel_s(driver))[-1]
            assert (after.pan_rad > before.pan_rad) == (goal.pan_rad > before.pan_rad)
            assert (after.tilt_rad > before.tilt_rad) == (goal.tilt_rad > before.tilt_rad)


def inside(driver: PanTiltDriver) -> PanTiltCommand:
    """A goal three quarters of the way from the lower to the upper limits."""
    low, high = driver.limits.min_position, driver.limits.max_position
    return PanTiltCommand(low[0] + 0.75 * (high[0] - low[0]), low[1] + 0.75 * (high[1] - low[1]))


def travel_s(driver: PanTiltDriver) -> float:
    """Long enough to go from one end to the other."""
    limits = driver.limits
    return 0.1 + max(
        (high - low) / speed + speed / strength for low, high, speed, strength in zip(
            limits.min_position, limits.max_position, limits.max_velocity,
            limits.max_acceleration))


@contextlib.contextmanager
def refuses(kind: type[GazeRobotError]) -> Iterator[None]:
    """Fail unless the block raises this error."""
    try:
        yield
    except kind:
        return
    raise AssertionError(f'expected {kind.__name__}, nothing was raised')
