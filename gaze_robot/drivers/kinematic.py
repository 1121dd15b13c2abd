"""A head made of arithmetic: the time-optimal motion every simulated or imagined head follows."""

from collections.abc import Callable
import functools
import time
from types import TracebackType

import numpy as np

from gaze_robot.errors import CommandError, DriverConnectionError
from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState


@functools.lru_cache(maxsize=64)
def _rows(limits: PanTiltLimits) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(min_position, max_position, max_velocity, max_acceleration), each (2,) float64."""
    return (np.array(limits.min_position), np.array(limits.max_position),
            np.array(limits.max_velocity), np.array(limits.max_acceleration))


def advance(position: np.ndarray, velocity: np.ndarray, goal: np.ndarray, limits: PanTiltLimits,
            dt_s: float, goal_velocity: np.ndarray | float = 0.0
            ) -> tuple[np.ndarray, np.ndarray]:
    """Move heads towards goals for `dt_s`, in the least time their limits allow.

    Closed form, so the step size does not matter: speed up, cruise, slow down, evaluated at
    `dt_s`. From inside the limits with room left to stop, position, speed and acceleration stay
    inside them at every instant; from outside, the head comes back as fast as it may.

    Args:
        position: (..., 2) pan and tilt, rad.
        velocity: (..., 2) rad/s.
        goal: (..., 2) rad; clipped to the limits.
        limits: of all heads alike.
        dt_s: seconds, >= 0.
        goal_velocity: (..., 2) or 0, rad/s: how the goal itself moves during the step. A head that
            reaches a moving goal stays on it.

    Returns:
        (position, velocity), each (..., 2) float64, `dt_s` later.

    Raises:
        CommandError: if anything is not finite or dt_s is negative.
    """
    low, high, fastest, strength = _rows(limits)
    position, velocity = np.asarray(position, dtype=float), np.asarray(velocity, dtype=float)
    if not (0.0 <= dt_s < np.inf
            and np.isfinite(position + velocity + goal + goal_velocity).all()):
        raise CommandError('motion needs finite position, velocity, goal and a time step >= 0, '
                           f'got {position}, {velocity}, {goal}, {goal_velocity}, {dt_s}')
    goal = np.minimum(np.maximum(goal, low), high)
    if not np.any(goal_velocity):
        return approach(position, velocity, goal, fastest, strength, dt_s)
    return _chase(position, velocity, goal, np.asarray(goal_velocity, dtype=float), limits, dt_s)


def approach(position: np.ndarray, velocity: np.ndarray, goal: np.ndarray, fastest: np.ndarray,
             strength: np.ndarray, dt_s: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`advance` to a standing goal for heads that differ; nothing is checked or clipped.

    Args:
        position, velocity, goal: (..., 2) as for `advance`.
        fastest: rad/s, `strength`: rad/s^2, both positive, and `dt_s`: seconds >= 0; each of a
            shape that broadcasts to (..., 2).
    """
    return _trapezoid(position, velocity, goal, fastest, fastest, strength, dt_s)[:2]


def _trapezoid(position: np.ndarray, velocity: np.ndarray, goal: np.ndarray, up: np.ndarray,
               down: np.ndarray, strength: np.ndarray, dt_s: float | np.ndarray
               ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Come to rest at `goal`: speed limit `up` in the positive, `down` in the negative direction.

    Returns:
        (position, velocity) after dt_s, and the same at the last moment before braking for the
        goal (or after dt_s, if that is earlier).
    """
    error = goal - position
    braking = velocity * np.abs(velocity) / (2 * strength)      # signed distance to a stop
    sign = np.where(error >= braking, 1.0, -1.0)
    error, speed = error * sign, velocity * sign
    half_square = 0.5 * speed * speed
    cap = up if up is down else np.where(sign > 0, up, down)
    peak = np.minimum(np.sqrt(np.maximum(strength * error + half_square, 0.0)), cap)
    change = peak - speed
    t_first = np.abs(change) / strength
    distance = 0.5 * (speed + peak) * t_first
    t_last = peak / strength
    t_cruise = np.maximum(error - distance - 0.5 * peak * t_last, 0.0) / np.maximum(peak, 1e-12)

    in_first = np.minimum(t_first, dt_s)
    rest = dt_s - in_first
    in_cruise = np.minimum(t_cruise, rest)
    in_last = rest - in_cruise
    fast = speed + np.copysign(strength, change) * in_first
    before = 0.5 * (speed + fast) * in_first + fast * in_cruise
    done = t_first + t_cruise + t_last <= dt_s
    slowed = fast - strength * in_last
    moved = before + 0.5 * (fast + slowed) * in_last
    return (np.where(done, goal, position + sign * moved), np.where(done, 0.0, sign * slowed),
            position + sign * before, sign * fast)


def _chase(position: np.ndarray, velocity: np.ndarray, goal: np.ndarray, drift: np.ndarray,
           limits: PanTiltLimits, dt_s: float) -> tuple[np.ndarray, np.ndarray]:
    """`advance` for moving goals: the same trapezoid in the goal's frame.

    Where that plan could not be stopped before a limit, the head heads for the place the goal will
    have reached, at rest.
    """
    low, high, fastest, strength = _rows(limits)
    drift = np.minimum(np.maximum(drift, -fastest), fastest)
    moved, relative, turned, turning = _trapezoid(
        position, velocity - drift, goal, fastest - drift, fastest + drift, strength, dt_s)
    reached, speed = moved + drift * dt_s, relative + drift
    # Where a stop would end is extreme at the end of the step or when braking began; the plan does
    # not say when that was, so the goal's whole shift is allowed for.
    shift, peak = drift * dt_s, turning + drift
    stop_end = reached + speed * np.abs(speed) / (2 * strength)
    stop_peak = turned + peak * np.abs(peak) / (2 * strength)
    unsafe = ((np.maximum(stop_end, stop_peak + np.maximum(shift, 0.0)) > high)
              | (np.minimum(stop_end, stop_peak + np.minimum(shift, 0.0)) < low))
    ahead = np.minimum(np.maximum(goal + shift, low), high)
    safe_position, safe_velocity, _, _ = _trapezoid(
        position, velocity, ahead, fastest, fastest, strength, dt_s)
    return np.where(unsafe, safe_position, reached), np.where(unsafe, safe_velocity, speed)


class KinematicDriver:
    """A head that exists only as numbers: `advance` on a clock.

    It never fails and needs nothing; it is what the simulator and every demonstration moves.
    """

    def __init__(self, limits: PanTiltLimits | None = None,
                 clock: Callable[[], float] = time.monotonic,
                 start: tuple[float, float] = (0.0, 0.0), coast_s: float = 0.1) -> None:
        """Make a head at rest.

        Args:
            limits: what it can do; None: the defaults of `PanTiltLimits`.
            clock: seconds; may stand still, and time that runs backwards is not lived through.
            start: (pan, tilt) rad, brought inside the limits.
            coast_s: how long the speed of a command is followed when no newer one comes.

        Raises:
            CommandError: start is not finite.
        """
        self.limits = PanTiltLimits() if limits is None else limits
        resting = self.limits.clip(PanTiltCommand(*start))
        self._clock = clock
        self._coast_s = coast_s
        self._connected = False
        self._position = np.array([resting.pan_rad, resting.tilt_rad])
        self._velocity = np.zeros(2)
        self._goal, self._drift = self._position, np.zeros(2)
        self._time_s = clock()
        self._coast_until_s = self._time_s

    def connect(self) -> None:
        """Start to obey. Raises DriverConnectionError when already connected."""
        if self._connected:
            raise DriverConnectionError('the simulated head is already connected')
        self._connected = True

    def read(self) -> PanTiltState:
        """Position and speed now, on the driver's clock."""
        self._require_connection()
        self._live()
        return PanTiltState(float(self._position[0]), float(self._position[1]),
                            float(self._velocity[0]), float(self._velocity[1]), self._time_s)

    def command(self, goal: PanTiltCommand) -> PanTiltCommand:
        """Head for a goal from now on; returns it clipped to the limits."""
        self._require_connection()
        self._live()
        sent = self.limits.clip(goal)
        self._goal = np.array([sent.pan_rad, sent.tilt_rad])
        self._drift = np.array([sent.pan_rad_s, sent.tilt_rad_s])
        self._coast_until_s = self._time_s + self._coast_s
        return sent

    def stop(self) -> None:
        """Brake as hard as the limits allow and stay there."""
        self._live()
        strength = np.array(self.limits.max_acceleration)
        self._goal = self._position + self._velocity * np.abs(self._velocity) / (2 * strength)
        self._drift = np.zeros(2)

    def set_torque(self, on: bool) -> None:
        """Nothing to switch; raises DriverConnectionError when not connected."""
        self._require_connection()

    def health(self) -> dict[str, float | str]:
        """Nothing that could go wrong."""
        return {}

    def disconnect(self) -> None:
        """Stop and obey no more."""
        if self._connected:
            self.stop()
            self._connected = False

    def __enter__(self) -> 'KinematicDriver':
        """Connect."""
        self.connect()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """Disconnect."""
        self.disconnect()

    def _require_connection(self) -> None:
        if not self._connected:
            raise DriverConnectionError(
                'the simulated head is not connected; call connect() first')

    def _live(self) -> None:
        """Catch up with the clock: follow the goal while it moves, then where it stopped."""
        now_s = self._clock()
        if now_s < self._time_s:
            self._coast_until_s = min(self._coast_until_s, now_s)
        coasting_s = min(now_s, self._coast_until_s) - self._time_s
        if coasting_s > 0:
            self._position, self._velocity = advance(
                self._position, self._velocity, self._goal, self.limits, coasting_s, self._drift)
            self._goal = self._goal + self._drift * coasting_s
        resting_s = now_s - max(self._time_s, self._coast_until_s)
        if resting_s > 0:
            self._position, self._velocity = advance(
                self._position, self._velocity, self._goal, self.limits, resting_s)
        self._time_s = now_s
