"""A goal now and then becomes a stream of setpoints that a head can follow to the letter."""

import math

from gaze_robot.control.profile import (
    after,
    AxisLimits,
    AxisState,
    change_speed,
    meet,
    Phase,
    stop_at,
)
from gaze_robot.errors import CommandError
from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState

COAST_S = 0.1
"""How long the speed of a goal is followed when no newer goal comes."""

_FASTEST_GOAL = 0.95
"""Share of the speed limit that a goal may move at: one as fast as the head is never met."""

_TOLERANCE_RAD = 1e-9


class Setpoints:
    """Where a head should be when, inside its limits of position, speed, acceleration and jerk.

    Between any two setpoints the head can follow without breaking a limit, and after any of them
    it can still stop inside. Each axis moves in the least time; see `profile`.
    """

    def __init__(self, limits: PanTiltLimits, start: PanTiltState, now_s: float) -> None:
        """Begin with a head's measured state.

        Args:
            limits: of the head.
            start: its acceleration counts as none. From outside the limits the way leads back in.
            now_s: on the clock of `aim` and `at`, which must not run backwards.

        Raises:
            CommandError: the state is not finite.
        """
        rows = zip(limits.min_position, limits.max_position, limits.max_velocity,
                   limits.max_acceleration, limits.max_jerk)
        states = ((start.pan_rad, start.pan_rad_s), (start.tilt_rad, start.tilt_rad_s))
        if not all(math.isfinite(value) for state in states for value in state):
            raise CommandError(f'a head cannot start from {start}: it is not finite')
        self._axes = [_Axis(AxisLimits(*row), *state, now_s) for row, state in zip(rows, states)]

    def aim(self, goal: PanTiltCommand, now_s: float) -> None:
        """Head for a goal from now on, and move along with it for `COAST_S`."""
        self._axes[0].aim(goal.pan_rad, goal.pan_rad_s, now_s)
        self._axes[1].aim(goal.tilt_rad, goal.tilt_rad_s, now_s)

    def stop(self, now_s: float) -> None:
        """Come to rest as soon as the limits allow."""
        for axis in self._axes:
            axis.stop(now_s)

    def at(self, now_s: float) -> PanTiltCommand:
        """The setpoint of a moment, not before that of the last call."""
        (pan, pan_speed, _), (tilt, tilt_speed, _) = (axis.at(now_s) for axis in self._axes)
        return PanTiltCommand(pan, tilt, pan_speed, tilt_speed)


class _Axis:
    """One joint: a plan, and the last state that was given out."""

    def __init__(self, limits: AxisLimits, position: float, speed: float, now_s: float) -> None:
        self._limits = limits
        self._state = _begin(position, speed, limits)
        self._time_s = self._plan_s = now_s
        self._from, self._phases = self._state, list[Phase]()
        self._coast_until_s = math.inf
        self._goal = self._state.position
        self._drift = 0.0
        self._rest(self._state.position)

    def aim(self, goal: float, drift: float, now_s: float) -> None:
        self.at(now_s)
        limits = self._limits
        drift = min(max(drift, -_FASTEST_GOAL * limits.speed), _FASTEST_GOAL * limits.speed)
        end = goal + drift * COAST_S
        if drift == 0 or not limits.low <= goal <= limits.high or not (
                limits.low <= end <= limits.high):
            self._rest(end)
            return
        self._goal, self._drift, self._coast_until_s = goal, drift, now_s + COAST_S
        self._plan(meet(self._state, goal, drift, limits))

    def stop(self, now_s: float) -> None:
        self.at(now_s)
        limits = self._limits
        self._drift, self._coast_until_s = 0.0, math.inf
        self._plan(list(change_speed(self._state.speed, self._state.acceleration, 0.0,
                                     limits.acceleration, limits.jerk)))

    def at(self, now_s: float) -> AxisState:
        if now_s > self._coast_until_s:
            self._move(self._coast_until_s)
            if self._drift:
                self._rest(self._goal + self._drift * COAST_S)
        self._move(now_s)
        return self._state

    def _move(self, now_s: float) -> None:
        """Follow the plan; where it could no longer be stopped inside, leave it before that."""
        if now_s <= self._time_s:
            return
        state = after(self._from, self._phases, now_s - self._plan_s)
        if self._drift and not self._stops_inside(state):
            self._rest(self._goal + self._drift * COAST_S)
            state = after(self._from, self._phases, now_s - self._plan_s)
        self._state, self._time_s = state, now_s

    def _rest(self, goal: float) -> None:
        """From the last state on, go to a place and stay."""
        self._drift, self._coast_until_s = 0.0, math.inf
        goal = min(max(goal, self._limits.low), self._limits.high)
        self._plan(meet(self._state, goal, 0.0, self._limits))

    def _plan(self, phases: list[Phase]) -> None:
        self._from, self._plan_s, self._phases = self._state, self._time_s, phases

    def _stops_inside(self, state: AxisState) -> bool:
        end = stop_at(state, self._limits)
        return (self._limits.low - _TOLERANCE_RAD <= min(end, state.position)
                and max(end, state.position) <= self._limits.high + _TOLERANCE_RAD)


def _begin(position: float, speed: float, limits: AxisLimits) -> AxisState:
    """The state to begin with: as it is, or at rest if it cannot stop inside its limits."""
    state = AxisState(position, min(max(speed, -limits.speed), limits.speed))
    end = stop_at(state, limits)
    inside = limits.low <= min(position, end) and max(position, end) <= limits.high
    return state if inside else AxisState(position)
