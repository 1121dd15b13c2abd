"""The safety authority: limits, time-outs, refusals, mounts; a simulated head, a hand clock."""

import math

import numpy as np
import pytest

from gaze_robot.config import PanTiltConfig
from gaze_robot.drivers._servos import stopping_point
from gaze_robot.drivers.kinematic import advance, KinematicDriver
from gaze_robot.errors import DriverConnectionError, DriverError
from gaze_robot.nodes._head import Head, LONGEST_S, RefusedError
from gaze_robot.nodes._mount import Mount
from gaze_robot.nodes._trajectory import goal_at, least_time_s
from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState


class Clock:
    """Seconds that pass when told to."""

    def __init__(self):
        self.s = 1000.0

    def __call__(self):
        return self.s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make_head(clock):
    def make(**settings):
        return Head(lambda limits: KinematicDriver(limits, clock=clock),
                    PanTiltConfig(**settings), clock)
    return make


def run(head, clock, seconds, rate=100.0):
    """Tick for some time; every pose on the way."""
    poses = []
    for _ in range(round(seconds * rate)):
        clock.s += 1.0 / rate
        poses.append(head.tick())
    return poses


def now(pan, tilt=0.0, pan_speed=0.0):
    return [(0.0, PanTiltCommand(pan, tilt, pan_speed))]


def test_a_goal_is_reached(make_head, clock):
    head = make_head()
    head.accept(now(0.5, -0.2))
    pose = run(head, clock, 0.29)[-1]
    assert (pose.pan_rad, pose.tilt_rad) == pytest.approx((0.5, -0.2), abs=1e-6)


def test_a_goal_beyond_the_limits_stops_at_them_and_is_counted(make_head, clock):
    head = make_head(command_timeout=5.0, limits_pan_max_position=2.0,
                     limits_tilt_min_position=-0.6)
    head.accept(now(99.0, -99.0))
    poses = run(head, clock, 3.0)
    assert max(pose.pan_rad for pose in poses) <= 2.0 + 1e-9
    assert poses[-1].tilt_rad == pytest.approx(-0.6)
    assert head.limit_hits == 1


def test_without_commands_the_head_holds_before_it_arrives(make_head, clock):
    head = make_head(command_timeout=0.3)
    head.accept(now(2.9))
    run(head, clock, 1.0)
    still = run(head, clock, 0.5)
    assert still[0].pan_rad == still[-1].pan_rad < 2.0
    assert head.timeouts == 1


def test_a_pursuit_speed_does_not_outlive_the_timeout(make_head, clock):
    head = make_head(command_timeout=0.2)
    head.accept(now(0.0, pan_speed=1.0))
    run(head, clock, 1.0)
    assert head.pose.pan_rad_s == 0.0
    assert head.pose.pan_rad < 0.5


@pytest.mark.parametrize('act, reason', [
    (lambda head: head.run_stop(True), 'stopped'),
    (lambda head: head.enable(False), 'torque off')])
def test_what_may_not_move_refuses_and_counts(make_head, clock, act, reason):
    head = make_head()
    head.accept(now(1.0))
    run(head, clock, 0.1)
    act(head)
    with pytest.raises(RefusedError) as refused:
        head.accept(now(2.0))
    head.count_refusal(refused.value)
    assert head.refused == {reason: 1}
    with pytest.raises(RefusedError):
        head.home()
    poses = run(head, clock, 1.0)
    assert poses[-1].pan_rad == poses[-50].pan_rad < 0.6


def test_released_it_obeys_again(make_head, clock):
    head = make_head()
    head.run_stop(True)
    head.run_stop(False)
    head.accept(now(0.1))
    assert run(head, clock, 0.25)[-1].pan_rad == pytest.approx(0.1)


def test_hardware_starts_without_torque(make_head):
    head = make_head(enable_at_start=False)
    with pytest.raises(RefusedError, match='torque_enable'):
        head.accept(now(0.1))


@pytest.mark.parametrize('age_s', [-10.0, 1.0])
def test_stale_and_far_future_commands_are_refused(make_head, clock, age_s):
    with pytest.raises(RefusedError, match='clocks'):
        make_head().accept(now(0.5), clock.s - age_s)


def test_a_stamped_command_within_the_timeout_is_followed(make_head, clock):
    head = make_head(command_timeout=0.3)
    head.accept(now(0.2), clock.s - 0.1)
    assert run(head, clock, 0.2)[-1].pan_rad == pytest.approx(0.2)


def test_an_empty_trajectory_means_hold(make_head, clock):
    head = make_head()
    head.accept(now(2.0))
    run(head, clock, 0.2)
    head.accept([])
    poses = run(head, clock, 0.5)
    assert poses[-1].pan_rad == poses[20].pan_rad < 1.0


def test_a_timed_trajectory_takes_its_time(make_head, clock):
    head = make_head()
    head.accept([(1.0, PanTiltCommand(1.0, 0.0)), (2.0, PanTiltCommand(1.0, 0.4))])
    halfway = run(head, clock, 0.5)[-1]
    assert halfway.pan_rad == pytest.approx(0.5, abs=0.05)
    corner = run(head, clock, 0.5)[-1]
    assert (corner.pan_rad, corner.tilt_rad) == pytest.approx((1.0, 0.0), abs=0.05)
    end = run(head, clock, 1.2)[-1]
    assert (end.pan_rad, end.tilt_rad) == pytest.approx((1.0, 0.4), abs=1e-3)


def test_home_needs_no_further_command(make_head, clock):
    head = make_head(command_timeout=0.1)
    head.accept(now(0.2, 0.1))
    run(head, clock, 0.3)
    head.home()
    pose = run(head, clock, 1.0)[-1]
    assert (pose.pan_rad, pose.tilt_rad) == pytest.approx((0.0, 0.0), abs=1e-6)
    assert head.timeouts <= 1


def test_soft_zero_moves_the_angles_and_not_the_limits(make_head, clock):
    head = make_head(command_timeout=5.0, limits_pan_max_position=2.0)
    head.accept(now(1.0))
    run(head, clock, 1.0)
    head.set_zero()
    assert head.pose.pan_rad == pytest.approx(0.0, abs=1e-9)
    head.accept(now(9.0))
    assert run(head, clock, 2.0)[-1].pan_rad == pytest.approx(2.0 - 1.0)
    head.reset()
    assert head.pose.pan_rad == pytest.approx(2.0)


@pytest.mark.parametrize('direction', [(1, 1), (-1, 1), (-1, -1)])
@pytest.mark.parametrize('offset', [(0.0, 0.0), (0.4, -0.2)])
def test_mounts_undo_themselves_and_keep_limits_on_the_joint(direction, offset):
    mount = Mount(direction, offset)
    goal = PanTiltCommand(0.3, -0.2, 0.5, 0.1)
    motor = mount.to_motor(goal)
    joint = mount.to_joint(PanTiltState(motor.pan_rad, motor.tilt_rad, motor.pan_rad_s,
                                        motor.tilt_rad_s, 5.0))
    assert (joint.pan_rad, joint.tilt_rad, joint.pan_rad_s, joint.tilt_rad_s, joint.stamp_s) == \
        pytest.approx((0.3, -0.2, 0.5, 0.1, 5.0))
    limits = PanTiltLimits((-1.0, -0.5), (2.0, 0.7))
    ends = sorted(mount.to_motor(PanTiltCommand(pan, 0.0)).pan_rad for pan in (-1.0, 2.0))
    found = mount.limits(limits)
    assert [found.min_position[0], found.max_position[0]] == pytest.approx(ends)


def test_a_reversed_motor_still_looks_left_for_positive_pan(clock):
    motors = []

    def make(limits):
        motors.append(KinematicDriver(limits, clock=clock, start=(0.4, 0.0)))
        return motors[0]
    head = Head(make, PanTiltConfig(direction=(-1, 1), offset=(0.4, 0.0)), clock)
    assert head.pose.pan_rad == pytest.approx(0.0)
    head.accept(now(0.5))
    assert run(head, clock, 0.29)[-1].pan_rad == pytest.approx(0.5)
    assert motors[0].read().pan_rad == pytest.approx(0.4 - 0.5)


class FailingDriver(KinematicDriver):
    """A head whose cable comes loose."""

    loose = False

    def read(self):
        if self.loose:
            raise DriverConnectionError('the cable is loose')
        return super().read()


def test_a_failing_driver_is_a_fault_until_reset(clock):
    drivers = []

    def make(limits):
        drivers.append(FailingDriver(limits, clock=clock))
        return drivers[0]
    head = Head(make, PanTiltConfig(), clock)
    head.accept(now(0.2))
    run(head, clock, 0.25)
    drivers[0].loose = True
    before = head.pose
    assert head.tick() == before
    assert 'loose' in head.fault
    assert head.report()[0].startswith('fault')
    with pytest.raises(RefusedError, match='~/reset'):
        head.accept(now(0.4))
    drivers[0].loose = False
    head.reset()
    head.accept(now(0.4))
    assert run(head, clock, 0.25)[-1].pan_rad == pytest.approx(0.4)


@pytest.fixture
def loose(clock):
    """A head 0.2 rad to the left whose cable has just come loose, and its driver."""
    drivers = []

    def make(limits):
        drivers.append(FailingDriver(limits, clock=clock))
        return drivers[0]
    head = Head(make, PanTiltConfig(), clock)
    head.accept(now(0.2))
    run(head, clock, 0.25)
    drivers[0].loose = True
    return head, drivers[0]


def test_a_command_that_finds_the_head_unreadable_moves_nothing(loose, clock):
    head, driver = loose
    with pytest.raises(RefusedError, match='loose'):
        head.accept(now(1.5))
    assert head.accepted == 1
    clock.s += 5.0
    driver.loose = False
    assert driver.read().pan_rad == pytest.approx(0.2)


@pytest.mark.parametrize('service', ['reset', 'set_zero'])
def test_a_service_that_cannot_read_the_head_says_so(loose, service):
    head, driver = loose
    with pytest.raises(DriverError, match='loose'):
        getattr(head, service)()
    driver.loose = False
    head.reset()
    assert head.pose.pan_rad == pytest.approx(0.2), 'its zero has not moved'


def test_home_that_cannot_be_sent_says_so(loose, monkeypatch):
    head, driver = loose

    def refuse(goal):
        raise DriverConnectionError('the cable is loose')
    monkeypatch.setattr(driver, 'command', refuse)
    with pytest.raises(DriverError, match='loose'):
        head.home()


def test_a_trajectory_that_would_outlive_its_sender_for_long_is_refused(make_head, clock):
    head = make_head()
    slow = [(1.0, PanTiltCommand(0.1, 0.0)), (LONGEST_S + 1.0, PanTiltCommand(1.0, 0.0))]
    with pytest.raises(RefusedError, match='send the rest later') as refused:
        head.accept(slow)
    assert refused.value.reason == 'too long'
    with pytest.raises(RefusedError, match='send the rest later'):
        head.accept([(LONGEST_S - 1.0, PanTiltCommand(1.0, 0.0))], clock.s + 2.0)
    assert run(head, clock, 0.5)[-1].pan_rad == 0.0
    head.accept([(LONGEST_S, PanTiltCommand(1.0, 0.0))])


def test_a_head_that_cannot_be_read_at_the_start_is_an_error(clock):
    def make(limits):
        driver = FailingDriver(limits, clock=clock)
        driver.loose = True
        return driver
    with pytest.raises(DriverError, match='loose'):
        Head(make, PanTiltConfig(), clock)


def test_random_commands_never_break_a_limit(make_head, clock):
    """Position and speed as the limits say, whatever is asked, judged by the ticks."""
    head = make_head(limits_pan_min_position=-2.0, limits_pan_max_position=2.0,
                     limits_pan_max_velocity=3.0)
    rng = np.random.default_rng(3)
    poses = []
    for _ in range(60):
        goal = rng.uniform(-4, 4, 2)
        speed = rng.uniform(-6, 6, 2)
        head.accept([(0.0, PanTiltCommand(*goal, *speed))])
        poses += run(head, clock, float(rng.uniform(0.02, 0.5)))
    pan = np.array([pose.pan_rad for pose in poses])
    tilt = np.array([pose.tilt_rad for pose in poses])
    assert np.abs(pan).max() <= 2.0 + 1e-9
    assert np.abs(tilt).max() <= 1.05 + 1e-9
    assert np.abs(np.diff(pan)).max() <= 3.0 / 100 + 1e-9


def test_goal_at_is_linear_between_points():
    points = [(0.0, PanTiltCommand(0.0, 1.0)), (2.0, PanTiltCommand(1.0, 0.0))]
    middle = goal_at(points, 1.0)
    assert (middle.pan_rad, middle.tilt_rad) == (0.5, 0.5)
    assert (middle.pan_rad_s, middle.tilt_rad_s) == (0.5, -0.5)
    assert goal_at(points, -1.0).pan_rad == 0.0
    assert goal_at(points, 9.0).pan_rad == 1.0


@pytest.mark.parametrize('start', [0.0, 2.5, -3.1])
@pytest.mark.parametrize('goal', [(1.5, -0.3), (-0.02, 0.0), (0.0, 1.0), (0.0, 0.0)])
def test_the_least_time_is_when_the_simulated_head_arrives(start, goal):
    limits = PanTiltLimits(max_velocity=(3.14, 1.0), max_acceleration=(30.0, 4.0))
    least_s = least_time_s(PanTiltState(0.0, 0.0, start, 0.0), PanTiltCommand(*goal), limits)

    def at(seconds):
        position, speed = advance(np.zeros(2), np.array([start, 0.0]), np.array(goal), limits,
                                  seconds)
        return [*position, *speed]
    assert at(least_s + 1e-6) == pytest.approx([*goal, 0.0, 0.0], abs=1e-9)
    if least_s > 0:
        assert at(0.98 * least_s) != pytest.approx([*goal, 0.0, 0.0], abs=1e-6)


def stream(head, clock, due_s, delay_ticks=5):
    """Two turns of the head by single goals at 30 Hz, due when `due_s` says; every pose."""
    poses = [head.pose] * (delay_ticks + 1)
    for goal in [PanTiltCommand(1.5, -0.3)] * 30 + [PanTiltCommand(-0.4, 0.2)] * 30:
        head.accept([(due_s(poses[-1 - delay_ticks], goal), goal)])
        poses += run(head, clock, 0.03)
    return np.array([(pose.pan_rad, pose.tilt_rad) for pose in poses])


@pytest.mark.parametrize('fastest', [1.0, 3.14, 12.0])
def test_goals_due_in_the_least_time_move_the_head_as_fast_as_goals_due_at_once(
        make_head, clock, fastest):
    """A sender knows the pose of 50 ms ago, and not the limits of this head."""
    settings = {'limits_pan_max_velocity': fastest}
    at_once = stream(make_head(**settings), clock, lambda pose, goal: 0.0)
    due = stream(make_head(**settings), clock,
                 lambda pose, goal: max(1 / 30, least_time_s(pose, goal, PanTiltLimits())))
    np.testing.assert_allclose(due, at_once, atol=1e-9)


def test_a_goal_due_at_once_is_given_up_after_the_timeout_whenever_it_was_due(make_head, clock):
    head = make_head(command_timeout=0.1)
    head.accept([(1.0, PanTiltCommand(3.0, 0.0))])
    poses = run(head, clock, 1.0)
    assert head.timeouts == 1
    assert poses[-1].pan_rad == poses[40].pan_rad < 0.6


def test_a_single_goal_with_time_to_spare_is_paced(make_head, clock):
    head = make_head()
    head.accept([(2.0, PanTiltCommand(1.0, 0.0))])
    assert run(head, clock, 1.0)[-1].pan_rad == pytest.approx(0.5, abs=0.05)


def test_the_report_counts_and_says_what_to_do(make_head, clock):
    head = make_head()
    assert head.report()[1]['command age s'] == 'none yet'
    head.accept(now(0.1))
    clock.s += 0.25
    message, values = head.report()
    assert message == 'ok'
    assert math.isclose(float(values['command age s']), 0.25)
    head.run_stop(True)
    assert '~/runstop' in head.report()[0]


# --- hardware


class Servos(KinematicDriver):
    """A head with a torque switch and a wire that is listened to."""

    streams = True

    def __init__(self, limits, clock):
        super().__init__(limits, clock=clock)
        self.wire, self.powered = [], False

    def command(self, goal):
        if not self.powered:
            raise DriverError('the motors are not powered')
        self.wire.append(goal)
        return super().command(PanTiltCommand(*stopping_point(goal, self.limits)))

    def set_torque(self, on):
        self.wire.append(f'torque {on}')
        self.powered = on

    def health(self):
        return {'pan temperature C': 31.0}


@pytest.fixture
def servos(clock):
    """Makes a head on servos; returns both."""
    def make(**settings):
        drivers = []

        def driver(limits):
            drivers.append(Servos(limits, clock))
            return drivers[0]
        head = Head(driver, PanTiltConfig(backend='dynamixel', **settings), clock)
        return head, drivers[0]
    return make


def test_nothing_moves_nor_is_powered_before_it_is_enabled(servos, clock):
    head, driver = servos()
    for act in (lambda: head.accept(now(0.5)), head.home,
                lambda: head.accept([(1.0, PanTiltCommand(0.5, 0.0))])):
        with pytest.raises(RefusedError, match='torque_enable'):
            act()
        run(head, clock, 0.2)
    head.run_stop(True)
    head.run_stop(False)
    head.stop()
    head.reset()
    head.set_zero()
    run(head, clock, 0.2)
    assert driver.wire == []
    assert head.pose.pan_rad == 0.0


def test_enabling_powers_the_motors_before_anything_moves(servos, clock):
    head, driver = servos()
    head.enable(True)
    run(head, clock, 0.2)
    assert driver.wire == ['torque True']
    head.accept(now(0.5))
    assert run(head, clock, 0.5)[-1].pan_rad == pytest.approx(0.5, abs=1e-3)


def test_motors_that_cannot_be_powered_are_a_fault_and_refuse(servos, clock, monkeypatch):
    head, driver = servos()

    def refuse(on):
        raise DriverError('overload; switch it off and on')
    monkeypatch.setattr(driver, 'set_torque', refuse)
    with pytest.raises(DriverError, match='overload'):
        head.enable(True)
    with pytest.raises(RefusedError, match='overload'):
        head.accept(now(0.5))
    assert driver.wire == []


@pytest.mark.parametrize('act', [
    lambda head: head.run_stop(True), lambda head: head.enable(False), lambda head: head.stop(),
    lambda head: head.accept([]), lambda head: head.close()],
    ids=['run-stop', 'torque off', 'stop', 'empty trajectory', 'close'])
def test_a_streaming_head_stops_in_the_middle_of_a_motion(servos, clock, act):
    head, driver = servos(enable_at_start=True)
    head.accept(now(2.5))
    run(head, clock, 0.3)
    assert driver.read().pan_rad_s > 2.0
    sent = len(driver.wire)
    act(head)
    braking = driver._position[0], driver._velocity[0]
    clock.s += 1.0
    driver._live()
    assert driver._velocity[0] == 0.0
    assert driver._position[0] - braking[0] == pytest.approx(braking[1] ** 2 / (2 * 30.0))
    if head.fault == '' and act.__name__:
        assert len(driver.wire) == sent, 'and nothing more is sent'


def test_a_streaming_head_holds_within_the_timeout_when_its_sender_dies(servos, clock):
    head, driver = servos(enable_at_start=True, command_timeout=0.2)
    head.accept(now(0.0, pan_speed=1.0))
    poses = run(head, clock, 1.0)
    assert head.timeouts == 1
    moving = [pose.stamp_s for pose in poses if abs(pose.pan_rad_s) > 0]
    assert max(moving) - 1000.0 < 0.2 + 0.02 + 3.14 / 30
    sent = len(driver.wire)
    run(head, clock, 1.0)
    assert len(driver.wire) == sent


def test_after_a_stop_it_starts_from_where_it_is(servos, clock):
    """Not from a setpoint of before."""
    head, driver = servos(enable_at_start=True)
    head.accept(now(1.0))
    run(head, clock, 0.2)
    head.stop()
    run(head, clock, 0.3)
    driver._position = np.array([-1.0, 0.0])            # turned by hand
    head.accept(now(-0.9))
    first = len(driver.wire)
    run(head, clock, 0.05)
    assert driver.wire[first].pan_rad == pytest.approx(-1.0, abs=0.01)


def test_a_head_that_stands_far_outside_its_limits_can_be_brought_back(servos, clock):
    head, driver = servos(enable_at_start=True, limits_pan_max_position=1.0)
    driver._position = np.array([2.5, 0.0])
    for _ in range(100):
        head.accept(now(0.5))
        run(head, clock, 0.03)
    assert head.pose.pan_rad == pytest.approx(0.5, abs=1e-3)
    assert max(goal.pan_rad for goal in driver.wire[1:]) <= 1.0, 'and no goal is outside'


@pytest.mark.parametrize('bad', [math.nan, math.inf])
def test_a_head_that_says_it_is_nowhere_is_at_fault(make_head, clock, monkeypatch, bad):
    head = make_head()
    head.accept(now(0.5))
    monkeypatch.setattr(KinematicDriver, 'read', lambda self: PanTiltState(bad, 0.0))
    before = head.pose
    assert head.tick() == before
    assert 'no place' in head.fault
    with pytest.raises(RefusedError, match='no place'):
        head.accept(now(0.1))


def test_a_moving_goal_is_where_it_should_be_when_it_is_due(make_head, clock):
    """Due in 0.1 s at 0.3 rad with 1 rad/s: it is at 0.2 now, and passes 0.3 then."""
    head = make_head()
    head.accept([(0.1, PanTiltCommand(0.3, 0.0, 1.0))])
    positions = []
    for _ in range(5):
        head.accept([(0.1, PanTiltCommand(0.3 + clock.s - 1000.0, 0.0, 1.0))])
        positions += [(pose.stamp_s - 1000.0, pose.pan_rad) for pose in run(head, clock, 0.05)]
    time_s, pan = positions[-1]
    assert pan == pytest.approx(0.2 + time_s, abs=1e-6)


def test_what_the_driver_has_to_say_is_reported(servos):
    head, _ = servos()
    assert head.report()[1]['pan temperature C'] == '31.0'
