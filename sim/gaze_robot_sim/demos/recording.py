"""A demonstration as other people's files hold it: read, not yet known to fit together.

T rows   J joints   A actions
"""

from dataclasses import dataclass, replace
from pathlib import Path
import re
from typing import Any
import zlib

import numpy as np

from gaze_robot.errors import DemoError
from gaze_robot_sim.scenes.fixed_camera import FixedCamera

TASK_NUMBERS = 32
"""D of `task_embedding`, where nothing else is asked for."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Rows of numbers beside a video; anything may be wrong with them but their shapes."""

    name: str
    instruction: str
    joint_names: tuple[str, ...]
    joints: np.ndarray
    """(T, J) float64; NaN where something is missing."""

    action_names: tuple[str, ...]
    actions: np.ndarray
    """(T, A) float64, likewise."""

    row: np.ndarray
    """(T,) int64: the number of each row; what is not counted here is missing."""

    stamp_s: np.ndarray
    """(T,) float64: when each row was recorded, seconds."""

    rate_hz: float
    """Rows per second, as the files state it; 0: they do not."""

    video: Path
    first_frame: int = 0
    frames: int | None = None
    """How many frames of the video belong to this demonstration; None: all after the first."""

    view: FixedCamera | None = None
    """Where the camera looks; None: all around."""

    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        rows = len(self.joints)
        shapes = {'joints': (self.joints, (rows, len(self.joint_names))),
                  'actions': (self.actions, (rows, len(self.action_names))),
                  'row numbers': (self.row, (rows,)), 'time stamps': (self.stamp_s, (rows,))}
        for what, (values, shape) in shapes.items():
            if values.shape != shape:
                raise DemoError(f'{self.name}: {what} have shape {values.shape}, not {shape}')
        if rows < 2:
            raise DemoError(f'{self.name} has {rows} rows; a demonstration has at least 2')

    def noted(self, note: str, **changed: Any) -> 'Recording':
        """The same with some fields changed, and a note that says so."""
        return replace(self, **changed, notes=(*self.notes, note))


def task_embedding(instruction: str, numbers: int = TASK_NUMBERS) -> np.ndarray:
    """An instruction as (numbers,) float32 of length 1: equal words in any order, equal vectors.

    Every word goes to one place with one sign, both taken from its checksum (feature hashing:
    Weinberger et al., 2009). It knows no synonyms.

    Raises:
        DemoError: there is no word in it.
    """
    out = np.zeros(numbers, np.float32)
    words = re.findall(r'\w+', instruction.lower())
    for word in words:
        code = zlib.crc32(word.encode())
        out[code % numbers] += 1 if code >> 31 else -1
    if not words:
        raise DemoError(f'an instruction has words, got {instruction!r}')
    length = float(np.linalg.norm(out))
    if not length:                                 # two words that cancel out
        out[zlib.crc32(' '.join(sorted(words)).encode()) % numbers] = length = 1.0
    return out / np.float32(length)
