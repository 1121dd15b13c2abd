"""What the eye can do in one step: EyeRobot's discrete moves, or a continuous one."""

import math

import numpy as np

from gaze_robot.errors import CommandError

STEP_DEG = (10.0, 3.0, 1.0)
"""Sizes of the discrete moves."""

MAX_STEP_RAD = math.radians(max(STEP_DEG))


def _moves() -> np.ndarray:
    rows = [(0.0, 0.0)]
    for size in STEP_DEG:
        for direction in range(8):
            angle = direction * math.pi / 4
            rows.append((math.radians(size) * math.cos(angle),
                         math.radians(size) * math.sin(angle)))
    return np.array(rows)


MOVES = _moves()
"""(25, 2) radians of (pan, tilt): stay, then 8 directions of 10, of 3 and of 1 degree."""

STAY = 0


def move(action: np.ndarray, discrete: bool) -> np.ndarray:
    """Turn policy outputs into displacements.

    Args:
        action: discrete: (...,) integers in [0, 25); continuous: (..., 2) in [-1, 1], fractions of
            10 degrees.
        discrete: which of the two.

    Returns:
        (..., 2) radians of (pan, tilt), at most 10 degrees per axis.

    Raises:
        CommandError: an index out of range or a value that is not finite.
    """
    if discrete:
        index = np.asarray(action)
        if index.dtype.kind not in 'iu' or np.any((index < 0) | (index >= len(MOVES))):
            raise CommandError(f'a discrete action is an integer from 0 to {len(MOVES) - 1}, '
                               f'got {action}')
        return MOVES[index]
    value = np.asarray(action, dtype=float)
    if not np.all(np.isfinite(value)):
        raise CommandError(f'an action must be finite, got {action}')
    return np.clip(value, -1.0, 1.0) * MAX_STEP_RAD


def nearest_move(towards: np.ndarray) -> np.ndarray:
    """The discrete moves (B,) that come nearest to displacements (B, 2), radians."""
    size = np.linalg.norm(towards, axis=1, keepdims=True)
    reach = np.linalg.norm(MOVES, axis=1).max()
    wanted = towards * np.minimum(1.0, reach / np.maximum(size, 1e-9))
    nearest = np.linalg.norm(MOVES[None] - wanted[:, None], axis=2).argmin(axis=1)
    return np.where(size[:, 0] < 1e-9, STAY, nearest)
