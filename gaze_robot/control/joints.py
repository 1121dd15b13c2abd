"""Where the hand was at the moment a picture was taken."""

from collections import deque
from collections.abc import Sequence
import math

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
        self._rows: dict[str, deque[tuple[float, float]]] = {
            name: deque(maxlen=_KEPT) for name in self.names}
        self._newest_s = -math.inf

    def add(self, stamp_s: float, names: Sequence[str], positions: Sequence[float]) -> bool:
        """Keep what a joint state says of these joints: a gripper may publish its own.

        Returns:
            False where it was of other joints, or dropped and counted.
        """
        said = {name: float(position) for name, position in zip(names, positions)
                if name in self._rows}
        if not said:
            return False
        if stamp_s < self._newest_s - self.restart_after_s:
            for rows in self._rows.values():
                rows.clear()
            self._newest_s = -math.inf
        late = any(self._rows[name] and stamp_s <= self._rows[name][-1][0] for name in said)
        if late or not (math.isfinite(stamp_s) and all(map(math.isfinite, said.values()))):
            self.dropped += 1
            return False
        for name, position in said.items():
            self._rows[name].append((stamp_s, position))
        self._newest_s = max(self._newest_s, stamp_s)
        return True

    def at(self, stamp_s: float, within_s: float) -> np.ndarray | None:
        """(J,) positions at a moment, each between the two states around it.

        Returns:
            Outside the states that are kept, the nearest one; None if that of a joint is more than
            `within_s` away, or there is none.
        """
        found = []
        for rows in self._rows.values():
            if not rows:
                return None
            times, positions = np.array(rows).T
            if np.abs(times - stamp_s).min() > within_s:
                return None
            found.append(np.interp(stamp_s, times, positions))
        return np.array(found)
