"""Where the hand was at the moment a picture was taken."""

from collections import deque
from collections.abc import Sequence

import numpy as np

_KEPT = 256


class JointBuffer:
    """Recent positions of the joints of a hand, asked for at the stamp of a picture."""

    def __init__(self, names: Sequence[str], restart_after_s: float = 1.0) -> None:
        """Make an empty buffer.

        Args:
            names: of the joints, in the order in which they are wanted.
            restart_after_s: a stamp this much older than the newest is taken for a restarted
                clock: the buffer empties and begins again.
        """
        self.names = tuple(names)
        self.restart_after_s = restart_after_s
        self.dropped = 0
        """Joint states refused so far: not finite, or not newer than the last."""
        self._rows: deque[tuple[float, np.ndarray]] = deque(maxlen=_KEPT)

    def add(self, stamp_s: float, names: Sequence[str], positions: Sequence[float]) -> bool:
        """Keep a joint state; False where it was of other joints, or dropped and counted."""
        order = {name: index for index, name in enumerate(names)}
        rows = [order.get(name, len(positions)) for name in self.names]
        if max(rows, default=0) >= len(positions):
            return False
        row = np.array([positions[index] for index in rows], float)
        late_s = self._rows[-1][0] - stamp_s if self._rows else -1.0
        if late_s > self.restart_after_s:
            self._rows.clear()
        if not (np.isfinite(row).all() and np.isfinite(stamp_s)) or 0 <= late_s <= (
                self.restart_after_s):
            self.dropped += 1
            return False
        self._rows.append((stamp_s, row))
        return True

    def at(self, stamp_s: float, within_s: float) -> np.ndarray | None:
        """(J,) positions at a moment, between the two states around it.

        Returns:
            Outside the states that are kept, the nearest one; None if that is more than
            `within_s` away, or there is none.
        """
        if not self._rows:
            return None
        times = np.array([at_s for at_s, _ in self._rows])
        if np.abs(times - stamp_s).min() > within_s:
            return None
        positions = np.array([row for _, row in self._rows])
        return np.array([np.interp(stamp_s, times, column) for column in positions.T])
