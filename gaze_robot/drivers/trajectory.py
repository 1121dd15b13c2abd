"""Any JointTrajectoryController of ros2_control, as a head: a plan to the goal for every command.

The controller enforces no speed limit and splines between the points it gets. So every command
becomes the time-optimal motion from where the joints are, told by the moments at which its
acceleration changes, with position and speed there: the cubic between two such points is that
very motion, and the limits hold. What carries the messages is handed in: nothing here knows ROS.
"""

from collections.abc import Callable, Sequence
import math

import numpy as np

from gaze_robot.drivers._linked import LinkedDriver, monotonic
from gaze_robot.drivers._servos import stopping_point
from gaze_robot.drivers.kinematic import approach
from gaze_robot.errors import ConfigError, DriverConnectionError, DriverTimeoutError
from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState

Knot = tuple[float, tuple[float, float], tuple[float, float]]
"""Seconds from now, positions (rad) and speeds (rad/s) of pan and tilt."""

SOONEST_S = 1e-6
"""A controller refuses points that are not in the future, and two at one time."""

_BRIEF_S, _STRETCHED_S = 1e-4, 6e-4
"""A joint's motion of under a tenth of a millisecond (a microradian at most) is one cubic, given
that much longer: with no point between its ends it would accelerate up to 1.5 times as hard as the
plan."""


class TrajectoryDriver(LinkedDriver):
    """Two joints behind a trajectory controller; motors are powered by their own hardware."""

    kind = 'ros2_control'

    def __init__(self, send: Callable[[Sequence[Knot]], None] | None = None,
                 latest: Callable[[], PanTiltState | None] | None = None,
                 limits: PanTiltLimits | None = None,
                 clock: Callable[[], float] = monotonic,
                 controller: str = 'joint_trajectory_controller', timeout_s: float = 1.0) -> None:
        """Describe a head.

        Args:
            send: gives the controller a trajectory in place of the one it follows.
            latest: the newest joint state, stamped by `clock`; None before the first.
            limits: of both joints.
            clock: seconds.
            controller: its name, for messages.
            timeout_s: a state older than this is an error.

        Raises:
            ConfigError: nothing carries the messages.
        """
        super().__init__(limits, clock, controller)
        if send is None or latest is None:
            raise ConfigError('the trajectory backend lives in pan_tilt_node, which carries its '
                              'messages: start that node with backend:=trajectory')
        self._publish, self._latest, self._timeout_s = send, latest, timeout_s

    def _open(self) -> None:
        if self._latest() is None:
            raise DriverConnectionError(
                f'no state of the joints of {self.label} has arrived; is joint_state_broadcaster '
                'active, and are parameter joints their names? (ros2 control list_controllers)')

    def _close(self) -> None:
        """Nothing to close: the messages' carrier belongs to who made it."""

    def _measure(self) -> PanTiltState:
        state = self._latest()
        if state is None or self._clock() - state.stamp_s > self._timeout_s:
            raise DriverTimeoutError(self.label, self._timeout_s)
        return state

    def _send(self, goal: PanTiltCommand) -> None:
        self._publish(knots(self._measure(), stopping_point(goal, self.limits), self.limits))

    def _halt(self) -> None:
        state = self._measure()
        self._publish(knots(state, stopping_point(state, self.limits), self.limits))


def knots(state: PanTiltState, goal: tuple[float, float], limits: PanTiltLimits) -> list[Knot]:
    """The motion from `state` to rest at `goal` (rad), where its acceleration changes.

    Returns:
        At least one point, the last at rest at the goal; times grow.
    """
    start = np.array([state.pan_rad, state.tilt_rad])
    speed = np.array([state.pan_rad_s, state.tilt_rad_s])
    fastest, strength = np.array(limits.max_velocity), np.array(limits.max_acceleration)
    changes = [_changes(*axis) for axis in zip(np.array(goal) - start, speed, fastest, strength)]
    brief = np.array([of[-1] < _BRIEF_S for of in changes])
    moments = [moment for of, short in zip(changes, brief)
               for moment in (of if not short else [_STRETCHED_S] if of[-1] else ())]
    end_s = max(moments, default=_STRETCHED_S)
    times = [end_s]
    for moment in sorted(moments, reverse=True):
        if SOONEST_S <= moment <= times[-1] - SOONEST_S:
            times.append(moment)
    made = []
    for time_s in reversed(times):
        moved, turning = approach(start, speed, np.array(goal), fastest, strength, time_s)
        moved, turning = np.where(brief, _cubic(start, speed, np.array(goal), time_s),
                                  (moved, turning))
        made.append((time_s, (float(moved[0]), float(moved[1])),
                     (float(turning[0]), float(turning[1]))))
    made[-1] = (end_s, goal, (0.0, 0.0))
    return made


def _cubic(start: np.ndarray, speed: np.ndarray, goal: np.ndarray, time_s: float) -> np.ndarray:
    """(2, 2) positions, and speeds, of cubics that come to rest at the goal in _STRETCHED_S."""
    part = min(time_s / _STRETCHED_S, 1.0)
    left = 1.0 - part
    moved = goal + (start - goal) * left ** 2 * (1 + 2 * part) + (
        speed * _STRETCHED_S * part * left ** 2)
    turning = 6 * part * left * (goal - start) / _STRETCHED_S + speed * left * (1 - 3 * part)
    return np.array([moved, turning])


def _changes(error: float, speed: float, fastest: float, strength: float) -> list[float]:
    """When the acceleration of the quickest motion over `error` to rest changes, seconds."""
    if error < speed * abs(speed) / (2 * strength):         # first turn round, or brake
        error, speed = -error, -speed
    half_square = 0.5 * speed * speed
    peak = min(math.sqrt(max(strength * error + half_square, 0.0)), fastest)
    first_s, last_s = abs(peak - speed) / strength, peak / strength
    rest = error - 0.5 * (speed + peak) * first_s - 0.5 * peak * last_s
    cruise_s = max(rest, 0.0) / max(peak, 1e-12)
    return [first_s, first_s + cruise_s, first_s + cruise_s + last_s]
