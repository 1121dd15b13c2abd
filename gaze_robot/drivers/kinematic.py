"""A head made of arithmetic: the time-optimal motion every simulated or imagined head follows."""

import functools

import numpy as np

from gaze_robot.errors import CommandError
from gaze_robot.types import PanTiltLimits


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
        return _trapezoid(position, velocity, goal, fastest, fastest, strength, dt_s)[:2]
    return _chase(position, velocity, goal, np.asarray(goal_velocity, dtype=float), limits, dt_s)


def _trapezoid(position: np.ndarray, velocity: np.ndarray, goal: np.ndarray, up: np.ndarray,
               down: np.ndarray, strength: np.ndarray, dt_s: float
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

    Where that plan could not be stopped before a limit, the head heads for the limit instead.
    """
    low, high, fastest, strength = _rows(limits)
    drift = np.minimum(np.maximum(drift, -fastest), fastest)
    moved, relative, turned, turning = _trapezoid(
        position, velocity - drift, goal, fastest - drift, fastest + drift, strength, dt_s)
    # The braking point was passed at an unknown time; its speed there is what matters, and where
    # it lies in the base frame is bounded by the drift over the whole step.
    speed, peak = relative + drift, turning + drift
    reached = moved + drift * dt_s
    worst = turned + np.maximum(drift * dt_s, 0.0), turned + np.minimum(drift * dt_s, 0.0)
    stop, stop_peak = speed * np.abs(speed), peak * np.abs(peak)
    over = np.maximum(reached + stop / (2 * strength),
                      worst[0] + stop_peak / (2 * strength)) > high
    under = np.minimum(reached + stop / (2 * strength),
                       worst[1] + stop_peak / (2 * strength)) < low
    edge = np.where(over, high, np.where(under, low, np.clip(goal + drift * dt_s, low, high)))
    safe_position, safe_velocity, *_ = _trapezoid(position, velocity, edge, fastest, fastest,
                                                  strength, dt_s)
    unsafe = over | under
    return np.where(unsafe, safe_position, reached), np.where(unsafe, safe_velocity, speed)
