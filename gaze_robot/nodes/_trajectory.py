"""Where a trajectory is when, and how soon a head can be somewhere. No ROS."""

from collections.abc import Sequence
from dataclasses import replace
import math

from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState

Point = tuple[float, PanTiltCommand]
"""Seconds from the start of a trajectory, and the goal then."""


def goal_at(points: Sequence[Point], elapsed_s: float) -> PanTiltCommand:
    """The goal of a trajectory after `elapsed_s`: straight lines between its points.

    Before the first point it is the first, after the last the last.
    """
    if elapsed_s <= points[0][0] and len(points) > 1:
        return replace(points[0][1], pan_rad_s=0.0, tilt_rad_s=0.0)
    for (before_s, before), (after_s, after) in zip(points, points[1:]):
        if elapsed_s < after_s:
            share = (elapsed_s - before_s) / (after_s - before_s)
            pan, tilt = after.pan_rad - before.pan_rad, after.tilt_rad - before.tilt_rad
            return PanTiltCommand(before.pan_rad + share * pan, before.tilt_rad + share * tilt,
                                  pan / (after_s - before_s), tilt / (after_s - before_s))
    return points[-1][1]


def brought_forward(goal: PanTiltCommand, due_in_s: float) -> PanTiltCommand:
    """Where a goal that moves at its own speed is now, if it is due in `due_in_s` seconds."""
    return replace(goal, pan_rad=goal.pan_rad - due_in_s * goal.pan_rad_s,
                   tilt_rad=goal.tilt_rad - due_in_s * goal.tilt_rad_s)


def least_time_s(pose: PanTiltState, goal: PanTiltCommand, limits: PanTiltLimits) -> float:
    """Seconds a head needs at least from `pose` to rest at `goal`: its slower axis.

    Speed up, cruise, slow down, from the speed it has; the goal's own speed counts as none.
    """
    axes = ((pose.pan_rad, pose.pan_rad_s, goal.pan_rad),
            (pose.tilt_rad, pose.tilt_rad_s, goal.tilt_rad))
    return max(_axis_s(to - at, speed, limits.max_velocity[axis], limits.max_acceleration[axis])
               for axis, (at, speed, to) in enumerate(axes))


def _axis_s(error: float, speed: float, fastest: float, strength: float) -> float:
    """Seconds to cover `error` rad and stop, from `speed`; the closed form of `advance`."""
    if error < speed * abs(speed) / (2 * strength):         # first turn round, or brake
        error, speed = -error, -speed
    half_square = 0.5 * speed * speed
    peak = min(math.sqrt(max(strength * error + half_square, 0.0)), fastest)
    speeding_s, slowing_s = abs(peak - speed) / strength, peak / strength
    rest = error - 0.5 * (speed + peak) * speeding_s - 0.5 * peak * slowing_s
    return speeding_s + slowing_s + max(rest, 0.0) / max(peak, 1e-12)
