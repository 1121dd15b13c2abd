"""How late a head follows: from steps that were commanded, and the motion seen afterwards.

The delay is what shifts the motion that the head's limits allow onto the one that was seen. First
motion alone would be late: a motion that begins with a limited jerk takes 15 ms to become visible.
"""

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

from gaze_robot.control.profile import after, AxisLimits, AxisState, duration_s, meet
from gaze_robot.errors import CalibrationError

LONGEST_S = 0.5
LEAST_STEPS = 5
_LEAST_MOVED = 0.3
"""Share of a step that must be seen; less is no motion."""
_MOST_MISFIT = 0.06
"""RMS of the misfit, of the way moved, above which a step does not count."""
_MOST_SPREAD_S = 0.04
_STRETCHES = tuple(np.geomspace(1.0, 4.0, 22))


@dataclass(frozen=True, eq=False)
class Step:
    """One commanded step, and what was measured around it."""

    commanded_s: float
    """When the command was sent, on the clock of `time_s`."""

    way_rad: float
    """How far, signed."""

    time_s: np.ndarray
    """(N,) of the measurements, from before the command until after the motion."""

    angle_rad: np.ndarray
    """(N,) along the axis that was moved; its zero and its scale do not matter."""

    def __post_init__(self) -> None:
        if self.time_s.shape != self.angle_rad.shape or self.time_s.ndim != 1:
            raise CalibrationError('times and angles of a step are as many as each other, got '
                                   f'{self.time_s.shape} and {self.angle_rad.shape}')
        if not (np.isfinite(self.time_s).all() and np.isfinite(self.angle_rad).all()):
            raise CalibrationError('a measurement during a step is not finite; check the encoders '
                                   'of the head and the stamps of the camera')


@dataclass(frozen=True)
class StepFit:
    """A step, explained."""

    delay_s: float
    moved_rad: float
    """How the measured angle changed."""

    misfit: float
    """RMS of what remains, of the way moved."""

    stretch: float
    """How many times slower the head moved than its limits allow."""


@dataclass(frozen=True)
class DeadTime:
    """From command to motion."""

    seconds: float
    """The median."""

    spread_s: float
    """Standard deviation over the steps."""

    used: int
    left_out: int
    """Steps that did not fit."""

    stretch: float
    """The median of the steps'."""


def fit_step(step: Step, limits: AxisLimits, stretch: float | None = None) -> StepFit:
    """The delay that explains a step.

    Args:
        step: at least 3 measurements before and 6 after the command.
        limits: of the joint.
        stretch: how many times slower than its limits the head is; None: find out.

    Raises:
        CalibrationError: too few measurements.
    """
    before = int((step.time_s < step.commanded_s).sum())
    if before < 3 or len(step.time_s) - before < 6:
        raise CalibrationError(f'{before} pictures before and {len(step.time_s) - before} after '
                               'a step; 3 and 6 are needed: does the camera run at 15 Hz or more?')
    motion = _motion(step, limits)
    since_s = step.time_s - step.commanded_s
    best = (math.inf, 0.0, 0.0, 1.0)
    for slower in _STRETCHES if stretch is None else (stretch,):
        delay_s, scale, rest = _best_delay(motion, slower, since_s, step.angle_rad)
        if rest < best[0] * (0.98 if slower > 1 else 1.0):
            best = rest, delay_s, scale, slower
    rest, delay_s, scale, slower = best
    way = abs(step.way_rad)
    return StepFit(delay_s, scale * way, rest / max(abs(scale) * way, 1e-9), float(slower))


def dead_time(steps: Sequence[Step], limits: AxisLimits) -> DeadTime:
    """The delay of many steps.

    Raises:
        CalibrationError: the head did not move, the steps disagree, or were too few.
    """
    if len(steps) < LEAST_STEPS:
        raise CalibrationError(f'{len(steps)} steps; {LEAST_STEPS} at least')
    slower = float(np.median([fit_step(step, limits).stretch for step in steps]))
    fits = [fit_step(step, limits, slower) for step in steps]
    # Measured angles may run against the joint's: what counts is that all do, or none.
    sign = math.copysign(1.0, sum(fit.moved_rad * step.way_rad for fit, step in zip(fits, steps)))
    moved = [sign * fit.moved_rad / step.way_rad for fit, step in zip(fits, steps)]
    if float(np.median(moved)) < _LEAST_MOVED:
        raise CalibrationError(
            f'of the steps only {100 * float(np.median(moved)):.0f} % were seen as motion: does '
            'the head move, is the camera on it, and is there something to see?')
    good = [fit.delay_s for fit, share in zip(fits, moved)
            if share > _LEAST_MOVED and fit.misfit < _MOST_MISFIT]
    if len(good) < max(LEAST_STEPS, len(steps) // 2):
        raise CalibrationError(
            f'only {len(good)} of {len(steps)} steps look like a step of this head (limits.pan.* '
            'as in its parameters?): look at the residual picture; is something moving in the '
            'picture, or is it too dark and smeared?')
    delays = np.array(good)
    middle = float(np.median(delays))
    near = np.abs(delays - middle) <= max(4 * 1.4826 * float(np.median(np.abs(delays - middle))),
                                          0.004)
    spread_s = float(delays[near].std(ddof=1))
    if spread_s > _MOST_SPREAD_S:
        raise CalibrationError(
            f'the delays scatter by {1000 * spread_s:.0f} ms (standard deviation), at most '
            f'{1000 * _MOST_SPREAD_S:.0f}: this machine is too busy, or pictures are not stamped '
            'when they are taken')
    middle = float(np.median(delays[near]))
    if not -0.005 <= middle <= LONGEST_S:
        raise CalibrationError(
            f'the head seems to follow after {1000 * middle:.0f} ms: are the clocks of the camera '
            'and of this machine alike?')
    return DeadTime(max(middle, 0.0), spread_s, int(near.sum()), len(steps) - int(near.sum()),
                    slower)


def predicted(step: Step, found: StepFit, limits: AxisLimits, at_s: np.ndarray) -> np.ndarray:
    """Share of the way, 0 to 1, that the fitted motion has covered at times after the command."""
    times_s, covered = _motion(step, limits)
    return np.interp((at_s - found.delay_s) / found.stretch, times_s, covered / abs(step.way_rad))


def _motion(step: Step, limits: AxisLimits) -> tuple[np.ndarray, np.ndarray]:
    """A table of what the limits allow: seconds, and radians covered."""
    phases = meet(AxisState(0.0), abs(step.way_rad), 0.0, limits)
    times_s = np.linspace(0.0, duration_s(phases), 129)
    return times_s, np.array([after(AxisState(0.0), phases, at_s).position
                              for at_s in times_s.tolist()])


def _best_delay(motion: tuple[np.ndarray, np.ndarray], slower: float, since_s: np.ndarray,
                angle: np.ndarray) -> tuple[float, float, float]:
    """(delay, scale, RMS of the rest): a grid of 4 ms, then ever finer around its best.

    For each delay, scale and offset follow in closed form.
    """
    wanted = angle - angle.mean()
    low, high, step_s = -0.05, LONGEST_S + 0.05, 0.004
    for _ in range(4):
        delays = np.arange(low, high + step_s / 2, step_s)
        shape = np.interp((since_s - delays[:, None]) / slower, *motion)          # (D, N)
        shape -= shape.mean(axis=1, keepdims=True)
        power = (shape ** 2).sum(axis=1)
        scale = shape @ wanted / np.maximum(power, 1e-15)
        rest = ((wanted - scale[:, None] * shape) ** 2).mean(axis=1)
        best = int(rest.argmin())
        low, high, step_s = delays[best] - step_s, delays[best] + step_s, step_s / 8
    return float(delays[best]), float(scale[best]), float(np.sqrt(rest[best]))
