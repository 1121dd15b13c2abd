"""What eyes saw lately, of many worlds, for the hand to learn from.

C capacity   B eyes
"""

import dataclasses

import numpy as np
import torch

from gaze_robot.errors import ConfigError
from gaze_robot_sim.bcrl.sight import Sight

FIELDS = tuple(item.name for item in dataclasses.fields(Sight))


class Replay:
    """A ring of sights: a new one takes the place of the oldest."""

    def __init__(self, capacity: int) -> None:
        """Make an empty one.

        Raises:
            ConfigError: no room at all.
        """
        if capacity < 1:
            raise ConfigError(f'a replay holds at least one sight, got {capacity}')
        self.capacity, self.size, self.next = capacity, 0, 0
        self._rows: dict[str, np.ndarray] = {}

    def add(self, sight: Sight, which: np.ndarray) -> None:
        """Keep some rows, (len,) indices, of a sight."""
        at = (self.next + np.arange(len(which))) % self.capacity
        for name in FIELDS:
            values = getattr(sight, name)
            if name not in self._rows:
                self._rows[name] = np.zeros((self.capacity, *values.shape[1:]), values.dtype)
            self._rows[name][at] = values[which]
        self.next = int(self.next + len(which)) % self.capacity
        self.size = min(self.capacity, self.size + len(which))

    def sample(self, rng: np.random.Generator, count: int) -> dict[str, torch.Tensor]:
        """Rows drawn with replacement, each (count, ...).

        Raises:
            ConfigError: it is empty.
        """
        if not self.size:
            raise ConfigError('nothing has been seen yet')
        rows = rng.integers(self.size, size=count)
        return {name: torch.from_numpy(values[rows]) for name, values in self._rows.items()}

    def state(self) -> dict[str, np.ndarray]:
        """Everything in it, for a checkpoint."""
        return {name: rows[:self.size] for name, rows in self._rows.items()}

    def restore(self, rows: dict[str, np.ndarray], following: int) -> None:
        """Take what `state` gave, and the number of the place that comes next."""
        self.size, self.next = len(rows[FIELDS[0]]), following
        for name in FIELDS:
            full = np.zeros((self.capacity, *rows[name].shape[1:]), rows[name].dtype)
            full[:self.size] = rows[name]
            self._rows[name] = full
