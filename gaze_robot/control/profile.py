"""From one state of motion to another in the least time that speed, acceleration and jerk allow.

One axis, plain numbers. A motion is a change of speed, a cruise and a change of speed back, each
change at most three phases of constant jerk: the double-S profile (Biagiotti and Melchiorri,
'Trajectory Planning for Automatic Machines and Robots', 2008, section 3.4), here from any speed
and acceleration, with the cruising speed found by bisection (as Haschke, Weitnauer and Ritter,
'On-line planning of time-optimal, jerk-limited trajectories', IROS 2008).
"""

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import NamedTuple

Phase = tuple[float, float]
"""(seconds, jerk)."""

_HALVINGS = 40


class AxisState(NamedTuple):
    """Where one axis is, how fast, and how that changes: rad, rad/s, rad/s^2."""

    position: float
    speed: float = 0.0
    acceleration: float = 0.0


@dataclass(frozen=True)
class AxisLimits:
    """What one axis may do: rad, rad/s, rad/s^2, rad/s^3."""

    low: float
    high: float
    speed: float
    acceleration: float
    jerk: float


def after(state: AxisState, phases: Sequence[Phase], seconds: float = math.inf) -> AxisState:
    """The state after some seconds of phases; once they are over it goes on at constant speed.

    With infinite `seconds`: at the end of the last phase.
    """
    position, speed, acceleration = state
    for length, jerk in phases:
        t = min(length, seconds)
        position += t * (speed + t * (acceleration / 2 + t * jerk / 6))
        speed += t * (acceleration + t * jerk / 2)
        acceleration += t * jerk
        seconds -= t
        if seconds <= 0:
            break
    if 0 < seconds < math.inf:
        return AxisState(position + seconds * speed, speed, 0.0)
    return AxisState(position, speed, acceleration)


def change_speed(speed: float, acceleration: float, to: float, strongest: float, jerk: float
                 ) -> tuple[Phase, Phase, Phase]:
    """Reach a speed with no acceleration left, in the least time."""
    settled = speed + acceleration * abs(acceleration) / (2 * jerk)
    sign = 1.0 if to >= settled else -1.0
    change, now = sign * (to - speed), sign * acceleration
    peak = min(math.sqrt(max(jerk * change + 0.5 * now * now, 0.0)), strongest)
    ramp_s = abs(peak - now) / jerk
    rest = change - 0.5 * (peak + now) * ramp_s - 0.5 * peak * peak / jerk
    hold_s = max(rest, 0.0) / peak if peak > 0 else 0.0
    return ((ramp_s, math.copysign(jerk, sign * (peak - now))), (hold_s, 0.0),
            (peak / jerk, -sign * jerk))


def stop_at(state: AxisState, limits: AxisLimits) -> float:
    """Where the axis comes to rest if it brakes now."""
    phases = change_speed(state.speed, state.acceleration, 0.0, limits.acceleration, limits.jerk)
    return after(state, phases).position


def meet(state: AxisState, goal: float, drift: float, limits: AxisLimits) -> list[Phase]:
    """Phases that end on a goal which moves at constant speed, and with its speed.

    Args:
        state: now.
        goal: where the goal is now, rad.
        drift: its speed, rad/s; below the limit, or it could not be caught up with.
        limits: `low` and `high` are not looked at. From a state inside the limits that could still
            stop there, no motion to a resting goal inside leaves them: nowhere on the way would a
            stop end beyond the goal, or beyond where it ends now.
    """
    strongest, jerk = limits.acceleration, limits.jerk
    error, speed = goal - state.position, state.speed - drift       # in the goal's frame
    brake = change_speed(speed, state.acceleration, 0.0, strongest, jerk)
    beyond = error - after(AxisState(0.0, speed, state.acceleration), brake).position
    if abs(beyond) < 1e-12:
        return list(brake)
    sign = math.copysign(1.0, beyond)
    start = AxisState(0.0, sign * speed, sign * state.acceleration)
    error *= sign

    def via(cruise: float) -> tuple[list[Phase], list[Phase], float]:
        """Phases before and after cruising at this speed, and what they leave of the way."""
        first = change_speed(start.speed, start.acceleration, cruise, strongest, jerk)
        last = change_speed(cruise, 0.0, 0.0, strongest, jerk)
        moved = after(start, first).position + after(AxisState(0.0, cruise), last).position
        return list(first), list(last), error - moved
    settled = start.speed + start.acceleration * abs(start.acceleration) / (2 * jerk)
    slow, fast = 0.0, limits.speed - sign * drift
    if via(fast)[2] < 0:
        middle = min(max(settled, 0.0), fast)
        if via(middle)[2] >= 0:         # above it, the way grows with the speed: the quickest plan
            slow = middle
        else:                           # a brake that is already on is let go a little
            fast = middle
        for _ in range(_HALVINGS):
            middle = 0.5 * (slow + fast)
            slow, fast = (middle, fast) if via(middle)[2] >= 0 else (slow, middle)
    else:
        slow = fast
    first, last, rest = via(slow)
    cruise_s = max(rest, 0.0) / slow if slow > 1e-9 else 0.0
    return [(seconds, sign * value) for seconds, value in [*first, (cruise_s, 0.0), *last]]


def duration_s(phases: Sequence[Phase]) -> float:
    """Seconds that phases take."""
    return sum(seconds for seconds, _ in phases)
