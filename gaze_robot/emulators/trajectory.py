"""A JointTrajectoryController of ros2_control, by its rules and without ROS.

Cubic splines through positions and speeds; a new trajectory replaces the old one from the state
it has reached; at the end it holds. Source: ros2_controllers' documentation, 'Trajectory
Representation' and 'Trajectory Replacement'.
"""

from collections.abc import Callable, Sequence
import time

import numpy as np

from gaze_robot.errors import CommandError
from gaze_robot.types import PanTiltState

Knot = tuple[float, tuple[float, float], tuple[float, float]]


class TrajectoryEmulator:
    """Two joints; give `send` and `latest` to a `TrajectoryDriver`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic,
                 start: tuple[float, float] = (0.0, 0.0)) -> None:
        self.sent: list[list[Knot]] = []
        """Every trajectory taken."""
        self.silent = False
        """Whether the joint states stay away, as when the broadcaster died."""
        self._clock = clock
        self._knots: list[Knot] = [(clock(), start, (0.0, 0.0))]
        """Times are absolute here."""
        self._last: PanTiltState | None = None

    def send(self, points: Sequence[Knot]) -> None:
        """Follow a trajectory from now on.

        Raises:
            CommandError: what a controller refuses: no points, times that do not grow, values
                that are not finite, a speed left at the end.
        """
        times = [point[0] for point in points]
        if not points or times[0] <= 0 or any(a >= b for a, b in zip(times, times[1:])):
            raise CommandError(f'times of a trajectory grow from above 0, got {times}')
        if not all(np.isfinite([*position, *speed]).all() for _, position, speed in points):
            raise CommandError('a trajectory must be finite')
        if any(points[-1][2]):
            raise CommandError('a trajectory ends at rest')
        now_s = self._clock()
        position, speed, _ = self.at(now_s)
        self.sent.append(list(points))
        self._knots = [(now_s, (position[0], position[1]), (speed[0], speed[1])),
                       *((now_s + after_s, x, v) for after_s, x, v in points)]

    def latest(self) -> PanTiltState | None:
        """The newest joint state."""
        if not self.silent:
            now_s = self._clock()
            position, speed, _ = self.at(now_s)
            self._last = PanTiltState(float(position[0]), float(position[1]), float(speed[0]),
                                      float(speed[1]), now_s)
        return self._last

    def at(self, time_s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Position, speed and acceleration at a moment, each (2,)."""
        for (start_s, x0, v0), (end_s, x1, v1) in zip(self._knots, self._knots[1:]):
            if time_s < end_s:
                return _cubic(np.array(x0), np.array(v0), np.array(x1), np.array(v1),
                              end_s - start_s, max(time_s - start_s, 0.0))
        return np.array(self._knots[-1][1]), np.zeros(2), np.zeros(2)


def _cubic(x0: np.ndarray, v0: np.ndarray, x1: np.ndarray, v1: np.ndarray, span_s: float,
           t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The third-order polynomial with these ends."""
    slope = (x1 - x0) / span_s
    second = (3 * slope - 2 * v0 - v1) / span_s
    third = (v0 + v1 - 2 * slope) / span_s ** 2
    return (x0 + t * (v0 + t * (second + t * third)), v0 + t * (2 * second + 3 * t * third),
            2 * second + 6 * t * third)
