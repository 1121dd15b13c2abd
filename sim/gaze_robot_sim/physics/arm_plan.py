"""What an arm was told to do, and where it should be by now."""

from collections.abc import Sequence

import numpy as np

from gaze_robot.errors import CommandError


class ArmPlan:
    """The newest trajectory, read at any time; afterwards its last point holds."""

    def __init__(self, names: Sequence[str], start: np.ndarray,
                 bounds: tuple[np.ndarray, np.ndarray]) -> None:
        """Hold a posture.

        Args:
            start: (J,) in the order of `names`.
            bounds: (J,) each, the least and the greatest position; no plan goes beyond.
        """
        self.names, self._bounds = tuple(names), bounds
        self._times, self._rows = np.zeros(1), np.asarray(start, float)[None]

    def follow(self, names: Sequence[str], times: Sequence[float],
               rows: Sequence[Sequence[float]], now_s: float) -> None:
        """Do this from now on, beginning where the plan until now is.

        Args:
            names: every joint, in any order.
            times: seconds from now of each point; none at all: hold.
            rows: positions of each point, in the order of `names`.

        Raises:
            CommandError: other joints, numbers that are missing or not finite, times that run
                backwards; the plan stays as it was.
        """
        if sorted(names) != sorted(self.names):
            raise CommandError(f'the trajectory is for {", ".join(names)}; this arm has '
                               f'{", ".join(self.names)}')
        start = self.at(now_s)
        if any(len(row) != len(names) for row in rows) or len(times) != len(rows):
            raise CommandError(f'every point has {len(names)} positions and a time')
        order = [list(names).index(name) for name in self.names]
        points = np.array(rows, float).reshape(len(rows), len(names))[:, order]
        due = np.asarray(times, float)
        if not (np.isfinite(points).all() and np.isfinite(due).all()):
            raise CommandError('a trajectory has finite numbers only')
        if (due < 0).any() or (np.diff(due) <= 0).any():
            raise CommandError('time_from_start must grow from point to point')
        points = np.clip(points, *self._bounds)
        if len(due) and due[0] == 0:
            self._times, self._rows = now_s + due, points
        else:
            self._times = now_s + np.concatenate([[0.0], due])
            self._rows = np.concatenate([start[None], points])

    def at(self, now_s: float) -> np.ndarray:
        """(J,) where the arm should be at a time."""
        return np.array([np.interp(now_s, self._times, column) for column in self._rows.T])
