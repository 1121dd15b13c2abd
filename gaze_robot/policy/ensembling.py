"""Temporal ensembling: what several predictions say of the same moment, averaged.

Source: Zhao et al., 'Learning fine-grained bimanual manipulation with low-cost hardware' (ACT),
2023, section IV-B: weights exp(-m i), i = 0 for the oldest prediction.

K steps of a chunk   A actions
"""

from collections import deque
import math

import numpy as np

from gaze_robot.errors import ConfigError

DECAY = 0.01
"""m of that paper: the smaller, the sooner new predictions count."""


class TemporalEnsemble:
    """Averages overlapping chunks of absolute actions."""

    def __init__(self, period_s: float, decay: float = DECAY) -> None:
        """Know no chunk yet.

        Args:
            period_s: between the actions of a chunk, seconds.
            decay: m, per prediction.

        Raises:
            ConfigError: a period that is not above 0, or a decay below 0.
        """
        if not (0 < period_s < math.inf and 0 <= decay < math.inf):
            raise ConfigError(f'a period is above 0 and a decay at least 0, got {period_s} and '
                              f'{decay}')
        self.period_s, self.decay = period_s, decay
        self._chunks: deque[tuple[float, np.ndarray]] = deque()

    def reset(self) -> None:
        """Forget all chunks: another task, or the clock went back."""
        self._chunks.clear()

    def add(self, stamp_s: float, chunk: np.ndarray) -> np.ndarray:
        """Take in a prediction.

        Args:
            stamp_s: the moment of its first action; one before the last chunk's starts anew.
            chunk: (K, A) absolute actions, `period_s` apart.

        Returns:
            (K, A): for each of its moments the average of all chunks that reach it.
        """
        if self._chunks and (stamp_s < self._chunks[-1][0]
                             or chunk.shape != self._chunks[-1][1].shape):
            self.reset()
        self._chunks.append((stamp_s, chunk))
        while stamp_s > self._chunks[0][0] + (len(self._chunks[0][1]) - 1) * self.period_s:
            self._chunks.popleft()
        moments = stamp_s + np.arange(len(chunk)) * self.period_s
        total = np.zeros(chunk.shape)
        weights = np.zeros((len(chunk), 1))
        for index, (first_s, rows) in enumerate(self._chunks):
            times = first_s + np.arange(len(rows)) * self.period_s
            reached = (moments <= times[-1] + 1e-9)[:, None]
            said = np.stack([np.interp(moments, times, column) for column in rows.T], axis=1)
            weight = math.exp(-self.decay * index) * reached
            total += weight * said
            weights += weight
        return total / weights
