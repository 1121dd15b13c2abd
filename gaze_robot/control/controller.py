"""From 'look there' to head goals: saccade, pursuit or rest, from the pose of the picture."""

import dataclasses
from dataclasses import dataclass
import math

import numpy as np

from gaze_robot.control.tracker import Tracker
from gaze_robot.errors import CommandError, ConfigError
from gaze_robot.geometry import angle_between, direction_from_pan_tilt, pan_tilt_from_direction
from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState


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

    pursuit_gain: float = 0.9
    """Share of the target's estimated speed sent along. Below 1: a fixation that only follows the
    head's own motion must die away, not sustain itself. 0: places are looked at, nothing moves."""

    noise_rad: float = 0.003
    """Standard deviation of the direction that one picture gives, per axis."""

    timing_s: float = 0.02
    """How exactly pictures and poses are dated. Times the head's speed it is noise of a direction,
    too: else a head whose camera stamps late would chase its own motion."""

    agility_rad_s2: float = 1.0
    """Standard deviation of the target's acceleration."""

    forget_after_s: float = 0.5
    """After a gap this long between steps, the speed starts anew."""

    suppress_above_rad_s: float = 0.7
    """During a saccade, pictures that sweep over the target faster than this are smeared, and not
    used; at the exposure of 20 ms usual indoors that is 0.8 degrees. 0: all are used."""

    longest_saccade_s: float = 1.5
    """Not for longer than this."""

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

    _MOVING_RAD_S = 0.08

    _SURE_SIGMA = 2.0
    """A speed of no more than this many of its own standard deviations counts as none."""

    def __init__(self, limits: PanTiltLimits, config: ControllerConfig | None = None) -> None:
        self.limits = limits
        self.config = ControllerConfig() if config is None else config
        self._tracker = Tracker(self.config.noise_rad, self.config.agility_rad_s2,
                                self.config.forget_after_s)
        self.reset()

    def reset(self) -> None:
        """Forget the target's motion, what was held, and a saccade under way."""
        self._tracker.reset()
        self.moving = False
        """Whether the target of the last step moved, beyond doubt."""
        self._held: PanTiltCommand | None = None
        self._saccade: PanTiltCommand | None = None
        self._saccade_s = 0.0

    def step(self, fixation_direction: np.ndarray, pose: PanTiltState, dt_s: float
             ) -> tuple[PanTiltCommand, str]:
        """One decision per picture.

        Args:
            fixation_direction: (3,) where to look, base frame, any length but zero.
            pose: of the head when the picture was taken.
            dt_s: seconds since the previous step's picture.

        Returns:
            (command inside the limits, 'saccade', 'pursue' or 'hold'). The command says where the
            target was when the picture was taken, and its speed: see `latency.ahead`.

        Raises:
            CommandError: a direction, pose or time that is not finite, or no direction at all.
                The controller is then as it was before.
        """
        _check_finite(pose, dt_s)
        direction = _unit(fixation_direction)
        if self._smeared(pose, dt_s):
            return self._fly_on(dt_s), 'saccade'
        pan, tilt = (float(angle) for angle in pan_tilt_from_direction(direction))
        wanted = self._reachable_pan(pan, pose.pan_rad), tilt
        goal, still = self._goal(wanted, pose, dt_s)
        error = _angle(goal, pose)
        if error > self.config.saccade_above_rad:
            self._held = None
            self._saccade_s = 0.0 if self._saccade is None else self._saccade_s + dt_s
            self._saccade = goal
            return goal, 'saccade'
        self._saccade = None
        if error < self.config.deadband_rad and still:
            if self._held is None or _angle(self._held, goal) > self.config.deadband_rad:
                self._held = PanTiltCommand(goal.pan_rad, goal.tilt_rad)
            return self._held, 'hold'
        self._held = None
        return goal, 'pursue'

    def unseen(self, dt_s: float) -> None:
        """A picture that did not show the target."""
        self._tracker.predict(dt_s)

    def _smeared(self, pose: PanTiltState, dt_s: float) -> bool:
        """Whether a saccade swept the target over this picture."""
        if self._saccade is None or not self.config.suppress_above_rad_s:
            return False
        if self._saccade_s + dt_s > self.config.longest_saccade_s:
            return False
        slip = math.hypot((pose.pan_rad_s - self._saccade.pan_rad_s) * math.cos(pose.tilt_rad),
                          pose.tilt_rad_s - self._saccade.tilt_rad_s)
        return slip > self.config.suppress_above_rad_s

    def _fly_on(self, dt_s: float) -> PanTiltCommand:
        """The saccade's goal, which has gone on moving meanwhile."""
        assert self._saccade is not None
        self._saccade_s += dt_s
        self._tracker.predict(dt_s)
        self._saccade = self.limits.clip(dataclasses.replace(
            self._saccade, pan_rad=self._saccade.pan_rad + dt_s * self._saccade.pan_rad_s,
            tilt_rad=self._saccade.tilt_rad + dt_s * self._saccade.tilt_rad_s))
        return self._saccade

    def _goal(self, wanted: tuple[float, float], pose: PanTiltState, dt_s: float
              ) -> tuple[PanTiltCommand, bool]:
        """Where the target is and goes, clipped; and whether it may be taken to stand still.

        The error of what can be reached counts: a target behind the limits is held at the limit.
        """
        if not self.config.pursuit_gain:
            return self.limits.clip(PanTiltCommand(*wanted)), True
        tracker = self._tracker
        tracker.see(np.array(wanted), dt_s,
                    self.config.timing_s * math.hypot(pose.pan_rad_s, pose.tilt_rad_s))
        assert tracker.position is not None
        # Noise taken for motion would be led like motion: small speeds count less than they are.
        square = float(tracker.speed @ tracker.speed)
        doubt = (self._SURE_SIGMA * tracker.speed_deviation) ** 2
        speed = max(0.0, 1.0 - doubt / max(square, 1e-12)) * tracker.speed
        goal = self.limits.clip(PanTiltCommand(*tracker.position.tolist(),
                                               *(self.config.pursuit_gain * speed).tolist()))
        self.moving = float(np.abs(speed).max()) > self._MOVING_RAD_S
        return goal, bool(np.abs(speed).max() < self._STILL_RAD_S)

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
    if not all(math.isfinite(value) for value in (pose.pan_rad, pose.tilt_rad, pose.pan_rad_s,
                                                  pose.tilt_rad_s)):
        raise CommandError(f'the head pose is not finite: {pose}')
    if not 0 <= dt_s < math.inf:
        raise CommandError(f'dt_s must be finite and not negative, got {dt_s}')
