"""Goals of actions: who has the head, how each ends; a simulated head, a hand clock, no ROS."""

import math

import numpy as np
import pytest

from gaze_robot.config import PanTiltConfig
from gaze_robot.drivers.kinematic import KinematicDriver
from gaze_robot.errors import CommandError, DriverError
from gaze_robot.head_geometry import HeadGeometry
from gaze_robot.nodes._aim import aim_of
from gaze_robot.nodes._goal_kinds import code_of, PointGoal, Tolerance, TrajectoryGoal
from gaze_robot.nodes._goals import (
    GOAL_TOLERANCE_VIOLATED,
    Goals,
    INVALID_GOAL,
    OLD_HEADER_TIMESTAMP,
    PATH_TOLERANCE_VIOLATED,
)
from gaze_robot.nodes._head import Head
from gaze_robot.types import PanTiltCommand

JOINTS = ('pan', 'tilt')
TIGHT = dict.fromkeys(JOINTS, Tolerance(0.03))


class Clock:
    """Seconds that pass when told to."""

    def __init__(self):
        self.s = 1000.0

    def __call__(self):
        return self.s


class Desk:
    """A head, its goals and their clock."""

    def __init__(self, make_driver=KinematicDriver, **settings):
        self.clock = Clock()
        self.driver = None

        def make(limits):
            self.driver = make_driver(limits, clock=self.clock)
            return self.driver
        self.head = Head(make, PanTiltConfig(**settings), self.clock)
        self.goals = Goals(self.head, self.clock)

    def run(self, seconds, until=lambda: False, rate=100.0):
        """Tick for some time; every pose on the way."""
        poses = []
        for _ in range(round(seconds * rate)):
            self.clock.s += 1.0 / rate
            poses.append(self.head.tick())
            self.goals.tick()
            if until():
                break
        return poses

    def end(self, goal, seconds=20.0):
        begin_s = self.clock.s
        self.run(seconds, until=lambda: goal.verdict is not None)
        return goal.verdict, self.clock.s - begin_s


def point(azimuth_rad, height_rad=0.0, **options):
    place = 2.0 * np.array([math.cos(azimuth_rad) * math.cos(height_rad),
                            math.sin(azimuth_rad) * math.cos(height_rad), math.sin(height_rad)])
    return PointGoal(aim_of(HeadGeometry()), place, **options)


def follow(*points, **options):
    return TrajectoryGoal([(at, PanTiltCommand(pan, tilt)) for at, pan, tilt in points], JOINTS,
                          **{'goal': TIGHT, **options})


def test_pointing_up_and_left_turns_pan_positive_and_tilt_negative():
    desk = Desk()
    goal = point(0.8, 0.4)
    desk.goals.begin(goal)
    verdict, took_s = desk.end(goal)
    assert verdict.state == 'succeeded'
    assert (desk.head.pose.pan_rad, desk.head.pose.tilt_rad) == pytest.approx((0.8, -0.4), abs=.03)
    assert goal.error_rad < 0.03
    assert took_s < 1.0


def test_a_long_move_outlives_the_command_timeout():
    desk = Desk(command_timeout=0.2, limits_pan_max_velocity=0.5)
    goal = point(2.5)
    desk.goals.begin(goal)
    assert desk.end(goal)[0].state == 'succeeded'


@pytest.mark.parametrize('options', [{'max_velocity': 0.4}, {'min_duration_s': 2.5}])
def test_max_velocity_and_min_duration_are_kept(options):
    desk = Desk()
    goal = point(1.0, **options)
    desk.goals.begin(goal)
    begin_s = desk.clock.s
    poses = desk.run(10.0, until=lambda: goal.verdict is not None)
    assert goal.verdict.state == 'succeeded'
    assert desk.clock.s - begin_s >= 2.49
    assert max(abs(pose.pan_rad_s) for pose in poses) < 1.05 * options.get('max_velocity', 0.7)


def test_what_the_limits_end_short_of_is_refused_and_the_head_stays():
    desk = Desk(limits_pan_max_position=1.0)
    with pytest.raises(CommandError, match=r'5[67].\d degrees short'):
        desk.goals.begin(point(2.0))
    assert desk.goals.active is None
    assert max(abs(pose.pan_rad) for pose in desk.run(0.5)) == 0.0


def test_a_newer_goal_aborts_the_older_and_has_the_head():
    desk = Desk()
    first, second = point(1.5), point(-0.5)
    desk.goals.begin(first)
    desk.run(0.1)
    desk.goals.begin(second)
    assert (first.verdict.state, second.verdict) == ('aborted', None)
    assert 'newer' in first.verdict.text
    assert desk.end(second)[0].state == 'succeeded'
    assert desk.head.pose.pan_rad == pytest.approx(-0.5, abs=0.03)


def test_an_impossible_newer_goal_leaves_the_older_one_the_head():
    desk = Desk(limits_pan_max_position=1.0)
    goal = point(0.9)
    desk.goals.begin(goal)
    with pytest.raises(CommandError):
        desk.goals.begin(point(2.5))
    with pytest.raises(CommandError):
        desk.goals.begin(follow((0.01, -1.0, 0.0)))
    assert desk.end(goal)[0].state == 'succeeded'


def test_cancel_stops_the_head():
    desk = Desk()
    goal = point(2.5)
    desk.goals.begin(goal)
    desk.run(0.3)
    desk.goals.cancel(goal)
    assert goal.verdict.state == 'canceled'
    poses = desk.run(1.0)
    assert poses[-1].pan_rad_s == 0.0
    assert poses[40].pan_rad == poses[-1].pan_rad < 2.0


@pytest.mark.parametrize('act, says', [
    (lambda head: head.run_stop(True), 'run-stopped'), (lambda head: head.enable(False), 'torque'),
    (lambda head: head.stop(), 'somebody'), (lambda head: head.home(), 'somebody'),
    (lambda head: head.accept([(0.0, PanTiltCommand(0.1, 0.1))]), 'somebody')])
def test_whatever_else_moves_or_stops_the_head_aborts(act, says):
    desk = Desk()
    goal = point(2.5)
    desk.goals.begin(goal)
    desk.run(0.1)
    act(desk.head)
    verdict, _ = desk.end(goal, 0.1)
    assert verdict.state == 'aborted'
    assert says in verdict.text


class Dying(KinematicDriver):
    """Fails when told to."""

    dead = False

    def read(self):
        if self.dead:
            raise DriverError('the cable is out')
        return super().read()


def test_a_fault_aborts_with_its_reason():
    desk = Desk(Dying)
    goal = point(2.5)
    desk.goals.begin(goal)
    desk.driver.dead = True
    assert 'the cable is out' in desk.end(goal, 0.2)[0].text


class Stuck(KinematicDriver):
    """Moves as it should, but says it stands still."""

    def read(self):
        from dataclasses import replace
        return replace(super().read(), pan_rad=0.0, pan_rad_s=0.0)


def test_a_blocked_head_is_given_up():
    desk = Desk(Stuck)
    goal = point(1.0)
    desk.goals.begin(goal)
    verdict, took_s = desk.end(goal)
    assert verdict.state == 'aborted'
    assert '57.3 degrees off' in verdict.text
    assert took_s < 4.5


def test_a_trajectory_is_followed_along_straight_lines():
    desk = Desk()
    goal = follow((0.5, 0.4, 0.0), (1.0, 0.4, -0.3), (2.0, 0.0, 0.0),
                  path=dict.fromkeys(JOINTS, Tolerance(0.08)))
    desk.goals.begin(goal)
    poses = desk.run(0.75)
    assert (poses[-1].pan_rad, poses[-1].tilt_rad) == pytest.approx((0.4, -0.15), abs=0.06)
    assert desk.end(goal)[0].state == 'succeeded'
    assert goal.verdict.code == 0
    assert desk.head.pose.pan_rad == pytest.approx(0.0, abs=0.03)


def test_leaving_the_path_aborts_and_stops():
    desk = Desk(Stuck)
    goal = follow((2.0, 1.0, 0.0), path={'pan': Tolerance(0.1)})
    desk.goals.begin(goal)
    verdict, took_s = desk.end(goal)
    assert verdict.code == PATH_TOLERANCE_VIOLATED
    assert 'pan by 0.1' in verdict.text
    assert 0.2 <= took_s < 0.3


def test_missing_the_goal_aborts_after_its_grace():
    desk = Desk(Stuck)
    goal = follow((1.0, 1.0, 0.0), goal_time_s=0.5)
    desk.goals.begin(goal)
    verdict, took_s = desk.end(goal)
    assert verdict.code == GOAL_TOLERANCE_VIOLATED
    assert 'pan by 1.0000 rad, 0.03 allowed' in verdict.text
    assert 1.5 <= took_s < 1.6


def test_an_open_tolerance_takes_what_comes():
    desk = Desk(Stuck)
    goal = follow((0.5, 1.0, 0.0), goal={})
    desk.goals.begin(goal)
    assert desk.end(goal)[0].state == 'succeeded'


def test_a_slow_head_may_come_within_the_grace():
    desk = Desk(limits_pan_max_velocity=0.5)
    goal = follow((2.0, 0.9995, 0.0))
    desk.goals.begin(goal)
    assert desk.end(goal)[0].state == 'succeeded'


def test_a_trajectory_longer_than_plain_ones_may_be():
    desk = Desk()
    goal = follow((15.0, 1.0, 0.0))
    desk.goals.begin(goal)
    verdict, took_s = desk.end(goal, 30.0)
    assert verdict.state == 'succeeded'
    assert took_s == pytest.approx(15.0, abs=0.1)


@pytest.mark.parametrize('goal, says', [
    (follow(), 'at least one point'), (follow((1.0, 9.0, 0.0)), 'beyond the limits'),
    (follow((0.1, 1.0, 0.0)), 'pan would have to turn 1.000 rad in 0.100 s'),
    (follow((1.0, 0.0, 0.0), (1.1, 0.0, 1.0)), 'tilt would have to turn'),
    (follow((0.0, 0.5, 0.0)), 'due at once'), (follow((99.0, 0.5, 0.0)), '60 s is the most'),
    (point(0.5, max_velocity=-1.0), 'max_velocity'),
    (point(0.5, min_duration_s=math.nan), 'min_duration')])
def test_unsound_goals_are_refused_with_the_reason(goal, says):
    with pytest.raises(CommandError, match=says) as refused:
        Desk().goals.begin(goal)
    assert code_of(refused.value) == INVALID_GOAL


def test_a_trajectory_of_the_past_has_its_own_code():
    desk = Desk()
    with pytest.raises(CommandError) as refused:
        desk.goals.begin(follow((1.0, 0.1, 0.0), stamp_s=desk.clock.s - 60.0))
    assert code_of(refused.value) == OLD_HEADER_TIMESTAMP


def test_a_stopped_head_takes_no_goal():
    desk = Desk()
    desk.head.run_stop(True)
    with pytest.raises(CommandError, match='run-stopped'):
        desk.goals.begin(point(0.5))
