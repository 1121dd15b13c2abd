"""From 'look there' to head goals: saccade or pursuit, from the pose the picture was taken at."""

import bisect
import dataclasses
from dataclasses import dataclass
import math
import threading

import numpy as np

from gaze_robot.errors import CommandError, ConfigError, DriverError
from gaze_robot.geometry import angle_between, direction_from_pan_tilt, pan_tilt_from_direction
from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState


class PoseBuffer:
    """Recent head poses, asked for at the stamp of a picture.

    Aiming with the pose of the moment a picture is processed, not taken, is off by speed times
    latency: 9 degrees at 180 deg/s and 50 ms. Safe to fill from one thread and read from another.
    """

    def __init__(self, capacity: int = 256, max_extrapolation_s: float = 0.05,
                 restart_after_s: float = 1.0) -> None:
        """Make an empty buffer.

        Args:
            capacity: poses kept, newest first to stay.
            max_extrapolation_s: how far beyond the newest pose its speed is trusted.
            restart_after_s: a stamp this much older than the newest is taken for a restarted
                clock (a simulation, a looping recording): the buffer empties and begins again.
        """
        if capacity < 2:
            raise ConfigError(f'capacity must be 2 or more to interpolate, got {capacity}')
        self.capacity = capacity
        self.max_extrapolation_s = max_extrapolation_s
        self.restart_after_s = restart_after_s
        self.dropped = 0
        """Poses refused so far: not finite, or older than one already here."""
        self._states: list[PanTiltState] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._states)

    @property
    def latest(self) -> PanTiltState | None:
        """The newest pose, or None."""
        with self._lock:
            return self._states[-1] if self._states else None

    def add(self, state: PanTiltState) -> bool:
        """Keep a pose; returns False where it was dropped and counted instead."""
        with self._lock:
            if not all(math.isfinite(value) for value in dataclasses.astuple(state)):
                self.dropped += 1
                return False
            if self._states:
                late_s = self._states[-1].stamp_s - state.stamp_s
                if late_s > self.restart_after_s:
                    self._states.clear()
                elif late_s >= 0:
                    self.dropped += 1
                    return False
            self._states.append(state)
            if len(self._states) > self.capacity:
                del self._states[0]
            return True

    def at(self, stamp_s: float) -> PanTiltState:
        """The pose at a moment.

        Returns:
            Position and speed interpolated linearly between the poses around it; up to
            `max_extrapolation_s` beyond the newest, carried on at its speed; else the nearest
            pose, with that pose's own stamp.

        Raises:
            DriverError: no pose has arrived yet.
            CommandError: stamp_s is not finite.
        """
        if not math.isfinite(stamp_s):
            raise CommandError(f'a stamp must be finite, got {stamp_s}')
        with self._lock:
            states = self._states
            if not states:
                raise DriverError('no head pose has arrived yet; is the head running and are its '
                                  'joint states published?')
            index = bisect.bisect_left(states, stamp_s, key=lambda state: state.stamp_s)
            if index == 0:
                return states[0]
            if index == len(states):
                return self._beyond(states[-1], stamp_s)
            return _between(states[index - 1], states[index], stamp_s)

    def _beyond(self, newest: PanTiltState, stamp_s: float) -> PanTiltState:
        ahead_s = stamp_s - newest.stamp_s
        if ahead_s > self.max_extrapolation_s:
            return newest
        return dataclasses.replace(
            newest, stamp_s=stamp_s, pan_rad=newest.pan_rad + newest.pan_rad_s * ahead_s,
            tilt_rad=newest.tilt_rad + newest.tilt_rad_s * ahead_s)


def _between(before: PanTiltState, after: PanTiltState, stamp_s: float) -> PanTiltState:
    part = (stamp_s - before.stamp_s) / (after.stamp_s - before.stamp_s)
    pan, tilt, pan_speed, tilt_speed = (
        first + part * (second - first) for first, second in zip(
            dataclasses.astuple(before)[:4], dataclasses.astuple(after)[:4]))
    return PanTiltState(pan, tilt, pan_speed, tilt_speed, stamp_s)


@dataclass(frozen=True)
class ControllerConfig:
    """How the head is moved; angles between where it looks and where it should."""

    saccade_above_rad: float = 0.12
    """Errors larger than this are jumped to; smaller ones pursued."""

    deadband_rad: float = 0.003
    """Errors smaller than this are left alone."""

    on_target_rad: float = math.radians(5.0)
    """Within this the target counts as looked at."""

    settle_s: float = 0.1
    """It counts after being there for so long."""

    pursuit_gain: float = 0.8
    """Share of the target's estimated speed sent along. Below 1: a fixation that only follows the
    head's own motion must die away, not sustain itself."""

    smoothing_s: float = 0.1
    """Time constant of the speed estimate."""

    forget_after_s: float = 0.5
    """After a gap this long between steps, the speed starts anew."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f'{field.name} must be finite and not negative, got {value}')
        if self.deadband_rad >= self.saccade_above_rad:
            raise ConfigError(f'deadband_rad ({self.deadband_rad}) must be below '
                              f'saccade_above_rad ({self.saccade_above_rad})')
        if self.pursuit_gain >= 1:
            raise ConfigError(f'pursuit_gain must be below 1, got {self.pursuit_gain}: a head '
                              'that follows its own motion would never stop')


class Controller:
    """Turns a direction to look at into head goals inside the limits."""

    _STILL_RAD_S = 0.03
    """A target slower than this may be held: it leaves the deadband in 0.1 s, then is pursued."""

    def __init__(self, limits: PanTiltLimits, config: ControllerConfig | None = None) -> None:
        self.limits = limits
        self.config = ControllerConfig() if config is None else config
        self.reset()

    def reset(self) -> None:
        """Forget the target's motion and what was held."""
        self._last_goal: tuple[float, float] | None = None
        self._speed = np.zeros(2)
        self._held: PanTiltCommand | None = None

    def step(self, fixation_direction: np.ndarray, pose: PanTiltState, dt_s: float
             ) -> tuple[PanTiltCommand, str]:
        """One decision per picture.

        Args:
            fixation_direction: (3,) where to look, base frame, any length but zero.
            pose: of the head when the picture was taken.
            dt_s: seconds since the previous step's picture.

        Returns:
            (command inside the limits, 'saccade', 'pursue' or 'hold').

        Raises:
            CommandError: a direction, pose or time that is not finite, or no direction at all.
                The controller is then as it was before.
        """
        _check_finite(pose, dt_s)
        direction = _unit(fixation_direction)
        pan, tilt = (float(angle) for angle in pan_tilt_from_direction(direction))
        wanted = self._reachable_pan(pan, pose.pan_rad), tilt
        self._estimate_speed(wanted, dt_s)
        # The error of what can be reached: a target behind the limits is held at the limit.
        goal = self.limits.clip(PanTiltCommand(*wanted, *(self.config.pursuit_gain * self._speed)))
        error = _angle(goal, pose)
        if error > self.config.saccade_above_rad:
            self._held, self._speed = None, np.zeros(2)
            return PanTiltCommand(goal.pan_rad, goal.tilt_rad), 'saccade'
        if error < self.config.deadband_rad and np.abs(self._speed).max() < self._STILL_RAD_S:
            if self._held is None or _angle(self._held, goal) > self.config.deadband_rad:
                self._held = PanTiltCommand(goal.pan_rad, goal.tilt_rad)
            return self._held, 'hold'
        self._held = None
        return goal, 'pursue'

    def _reachable_pan(self, pan_rad: float, current_rad: float) -> float:
        """The same direction, whole turns away, that the head can best reach.

        Where it can reach none, the one beyond the nearer limit, with a preference for the limit
        it is at: a target wandering behind the head must not swing it from end to end.
        """
        low, high = self.limits.min_position[0], self.limits.max_position[0]
        first = math.floor((low - pan_rad) / math.tau)
        last = math.ceil((high - pan_rad) / math.tau)
        turns = [pan_rad + math.tau * turn for turn in range(first, last + 1)]
        inside = [pan for pan in turns if low <= pan <= high]
        if inside:
            return min(inside, key=lambda pan: abs(pan - current_rad))

        def cost(pan: float) -> float:
            at_limit = min(max(pan, low), high)
            return abs(pan - at_limit) + 0.1 * abs(at_limit - current_rad)
        return min(turns, key=cost)

    def _estimate_speed(self, goal: tuple[float, float], dt_s: float) -> None:
        if self._last_goal is None or dt_s > self.config.forget_after_s:
            self._speed = np.zeros(2)
        elif dt_s > 0:
            change = np.subtract(goal, self._last_goal)
            if np.abs(change).max() > self.config.saccade_above_rad:
                self._speed = np.zeros(2)               # another target, not a fast one
            else:
                share = -math.expm1(-dt_s / max(self.config.smoothing_s, 1e-9))
                self._speed = self._speed + share * (change / dt_s - self._speed)
        self._last_goal = goal


class Settling:
    """Whether the head has looked at the target for `settle_s`: passing over it is not enough."""

    def __init__(self, config: ControllerConfig) -> None:
        self.config = config
        self.reset()

    def reset(self) -> None:
        """The wait begins anew."""
        self._near_s: float | None = None

    def step(self, error_rad: float | None, dt_s: float) -> bool:
        """One picture.

        Args:
            error_rad: angle between gaze and target; None: no target is in view.
            dt_s: seconds since the previous picture.

        Returns:
            Whether the target has been within `on_target_rad` for `settle_s`.
        """
        if error_rad is None or error_rad > self.config.on_target_rad:
            self._near_s = None
            return False
        self._near_s = 0.0 if self._near_s is None else self._near_s + dt_s
        return self._near_s >= self.config.settle_s - 1e-9


def _angle(goal: PanTiltCommand, pose: PanTiltCommand | PanTiltState) -> float:
    """Angle between where two poses look."""
    return float(angle_between(direction_from_pan_tilt(goal.pan_rad, goal.tilt_rad),
                               direction_from_pan_tilt(pose.pan_rad, pose.tilt_rad)))


def _unit(direction: np.ndarray) -> np.ndarray:
    direction = np.asarray(direction, dtype=float)
    if direction.shape != (3,) or not np.all(np.isfinite(direction)) or not direction.any():
        raise CommandError(
            f'a fixation direction is 3 finite numbers, not all 0, got {direction}')
    direction = direction / np.abs(direction).max()         # first: its square may overflow
    return direction / np.linalg.norm(direction)


def _check_finite(pose: PanTiltState, dt_s: float) -> None:
    if not (math.isfinite(pose.pan_rad) and math.isfinite(pose.tilt_rad)):
        raise CommandError(f'the head pose is not finite: {pose}')
    if not 0 <= dt_s < math.inf:
        raise CommandError(f'dt_s must be finite and not negative, got {dt_s}')
