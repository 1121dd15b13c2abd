"""What a goal of an action asks of a head, and when it is reached. No ROS."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import math

import numpy as np

from gaze_robot.errors import CommandError
from gaze_robot.nodes._aim import Aim
from gaze_robot.nodes._goals import (
    GOAL_TOLERANCE_VIOLATED,
    INVALID_GOAL,
    OLD_HEADER_TIMESTAMP,
    PATH_TOLERANCE_VIOLATED,
    Verdict,
)
from gaze_robot.nodes._head import Head, RefusedError
from gaze_robot.nodes._trajectory import goal_at, least_time_s, Point
from gaze_robot.types import PanTiltCommand, PanTiltState

LONGEST_S = 60.0
"""A goal may last longer than a plain trajectory: it can be cancelled, and says what it does."""

AGAIN_S = 0.1
"""A head that is waited for is told its goal again this often."""

POINTED_RAD = 0.03
"""A head that points closer than this, and rests, has arrived."""

RESTS_RAD_S = 0.1
EASED_STEPS = 40
LATE_S = 3.0
"""How much longer than it needs at least a head may take to point somewhere."""

GOAL_RAD = 0.03
"""Tolerance of the last point where a goal gives none."""

GOAL_TIME_S = 2.0
"""How late it may come, where a goal does not say."""


@dataclass(eq=False)
class PointGoal:
    """Point an axis of the head at a place (control_msgs/PointHead)."""

    aim: Aim
    place: np.ndarray
    """(3,) base frame, metres."""

    min_duration_s: float = 0.0
    """Take at least so long."""

    max_velocity: float = 0.0
    """Neither joint faster than this, rad/s; 0: as fast as the limits allow."""

    verdict: Verdict | None = None
    error_rad: float = math.inf
    """Between axis and place, when last looked at."""

    def check(self, head: Head) -> None:
        """Raise CommandError if the head cannot do this from where it is."""
        for name in ('min_duration_s', 'max_velocity'):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise CommandError(f'{name} must be finite and not negative, got {value}')
        self._goal = head.clip(self.aim.joints(self.place, head.pose, head.limits))
        short = self.aim.error(self.place, self._goal)
        if short > POINTED_RAD:
            raise CommandError('the head cannot point there: its limits end the move '
                               f'{math.degrees(short):.1f} degrees short of it')

    def start(self, head: Head, now_s: float) -> None:
        """Set out; refused if the limits end the move short of the place."""
        self.check(head)
        pose = head.pose
        needs_s = least_time_s(pose, self._goal, head.limits)
        slowly_s = max(self.min_duration_s, math.pi / 2 * _furthest(self._goal, pose)
                       / self.max_velocity if self.max_velocity else 0.0)
        paced = slowly_s > needs_s
        head.accept(_eased(pose, self._goal, slowly_s) if paced else [(0.0, self._goal)],
                    longest_s=LONGEST_S)
        self._paced_until_s = now_s + slowly_s if paced else now_s
        self._late_s = now_s + max(needs_s, slowly_s) + LATE_S
        self._again_s = now_s + min(AGAIN_S, head.command_timeout_s / 2)
        self.error_rad = self.aim.error(self.place, pose)

    def step(self, head: Head, now_s: float) -> Verdict | None:
        """Arrived, too late, or on the way."""
        self.error_rad = self.aim.error(self.place, head.pose)
        if now_s < self._paced_until_s:
            return None
        fastest = max(abs(head.pose.pan_rad_s), abs(head.pose.tilt_rad_s))
        if self.error_rad <= POINTED_RAD and fastest <= RESTS_RAD_S:
            return Verdict('succeeded')
        if now_s > self._late_s:
            return Verdict('aborted', f'still {math.degrees(self.error_rad):.1f} degrees off '
                           f'{LATE_S:g} s after the head should have been there; is it blocked?')
        if now_s >= self._again_s:
            head.accept([(0.0, self._goal)])
            self._again_s = now_s + min(AGAIN_S, head.command_timeout_s / 2)
        return None


@dataclass(frozen=True)
class Tolerance:
    """How far a joint may be off; inf: as far as it likes."""

    position: float = math.inf
    """Radians."""

    velocity: float = math.inf
    """rad/s."""


@dataclass(eq=False)
class TrajectoryGoal:
    """Follow a trajectory within tolerances (control_msgs/FollowJointTrajectory).

    Positions between points are straight lines in time. Tolerances of acceleration are passed
    over: no head measures it.
    """

    points: Sequence[Point]
    joints: tuple[str, str]
    stamp_s: float | None = None
    """When it starts; None: now."""

    path: Mapping[str, Tolerance] = field(default_factory=dict)
    goal: Mapping[str, Tolerance] = field(default_factory=dict)
    goal_time_s: float = GOAL_TIME_S
    verdict: Verdict | None = None
    desired: PanTiltCommand = PanTiltCommand(0.0, 0.0)
    actual: PanTiltState = PanTiltState(0.0, 0.0)

    def start(self, head: Head, now_s: float) -> None:
        """Set out, if every point and the way between them is within the limits."""
        if not self.points:
            raise CommandError('a trajectory to follow has at least one point')
        self.actual = pose = head.pose
        # From where the head is, said explicitly: a single point would be gone to at once.
        ahead = [point for point in self.points if point[0] > 0.0]
        first = self.points[0][1] if self.points[0][0] <= 0.0 else _place_of(pose)
        if _furthest(first, pose) > GOAL_RAD:
            raise CommandError('the first point is due at once and the head is '
                               f'{_furthest(first, pose):.2f} rad away from it')
        self._points = [(0.0, first), *ahead]
        for _, point in self._points:
            if _furthest(head.clip(point), point) > 1e-6:
                raise CommandError(f'the point ({point.pan_rad:.3f}, {point.tilt_rad:.3f}) is '
                                   f'beyond the limits {head.limits.min_position} to '
                                   f'{head.limits.max_position}')
        self._check_speed(head)
        head.accept(self._points, self.stamp_s, longest_s=LONGEST_S)
        self._start_s = now_s if self.stamp_s is None else self.stamp_s
        self._end_s = self._start_s + self._points[-1][0]
        self._again_s = -math.inf
        self.desired = first

    def _check_speed(self, head: Head) -> None:
        for (before_s, before), (after_s, after) in zip(self._points, self._points[1:]):
            for axis, (step, fastest) in enumerate(zip(
                    (after.pan_rad - before.pan_rad, after.tilt_rad - before.tilt_rad),
                    head.limits.max_velocity)):
                if abs(step) > 1.001 * fastest * (after_s - before_s) + 1e-6:
                    raise CommandError(
                        f'{self.joints[axis]} would have to turn {abs(step):.3f} rad in '
                        f'{after_s - before_s:.3f} s; its limit is {fastest:g} rad/s')

    def step(self, head: Head, now_s: float) -> Verdict | None:
        """On the path, off it, arrived, or too late."""
        self.actual, elapsed_s = head.pose, now_s - self._start_s
        self.desired = goal_at(self._points, elapsed_s)
        if now_s < self._end_s:
            off = _off(self.joints, self.path, self.desired, self.actual)
            return None if not off else Verdict('aborted', f'off the path: {off}',
                                                PATH_TOLERANCE_VIOLATED)
        self.desired = PanTiltCommand(self.desired.pan_rad, self.desired.tilt_rad)
        off = _off(self.joints, self.goal, self.desired, self.actual)
        if not off:
            return Verdict('succeeded')
        if now_s > self._end_s + self.goal_time_s:
            return Verdict('aborted', f'not at the goal {self.goal_time_s:g} s after its time: '
                           f'{off}', GOAL_TOLERANCE_VIOLATED)
        if now_s >= self._again_s:
            head.accept([(0.0, self.desired)])
            self._again_s = now_s + min(AGAIN_S, head.command_timeout_s / 2)
        return None


def code_of(error: CommandError) -> int:
    """The error code for a trajectory that was refused."""
    stale = isinstance(error, RefusedError) and error.reason == 'stale'
    return OLD_HEADER_TIMESTAMP if stale else INVALID_GOAL


def _off(joints: tuple[str, str], tolerances: Mapping[str, Tolerance], wanted: PanTiltCommand,
         actual: PanTiltState) -> str:
    """Which joint is off by how much more than it may; '' if none is."""
    for joint, position, velocity in (
            (joints[0], actual.pan_rad - wanted.pan_rad, actual.pan_rad_s - wanted.pan_rad_s),
            (joints[1], actual.tilt_rad - wanted.tilt_rad, actual.tilt_rad_s - wanted.tilt_rad_s)):
        allowed = tolerances.get(joint, Tolerance())
        if abs(position) > allowed.position:
            return f'{joint} by {abs(position):.4f} rad, {allowed.position:g} allowed'
        if abs(velocity) > allowed.velocity:
            return f'{joint} by {abs(velocity):.4f} rad/s, {allowed.velocity:g} allowed'
    return ''


def _eased(pose: PanTiltState, goal: PanTiltCommand, duration_s: float) -> list[Point]:
    """From rest to rest along half a cosine, whose fastest is pi / 2 of its mean.

    At an even speed, a head that starts late would catch up faster than it was told to move.
    """
    points = []
    for step in range(EASED_STEPS + 1):
        share = 0.5 - 0.5 * math.cos(math.pi * step / EASED_STEPS)
        points.append((step / EASED_STEPS * duration_s, PanTiltCommand(
            pose.pan_rad + share * (goal.pan_rad - pose.pan_rad),
            pose.tilt_rad + share * (goal.tilt_rad - pose.tilt_rad))))
    return points


def _place_of(pose: PanTiltState) -> PanTiltCommand:
    return PanTiltCommand(pose.pan_rad, pose.tilt_rad)


def _furthest(one: PanTiltCommand, other: PanTiltCommand | PanTiltState) -> float:
    return max(abs(one.pan_rad - other.pan_rad), abs(one.tilt_rad - other.tilt_rad))
