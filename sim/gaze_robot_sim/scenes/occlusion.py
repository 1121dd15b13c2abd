"""How much of a sprite is hidden by those in front of it."""

from collections.abc import Iterable
import math

import numpy as np

from gaze_robot_sim.scenes.overlay import axes, Sprite

_ACROSS = 12
_OPAQUE = 128


def opaque_points(picture: np.ndarray) -> np.ndarray:
    """Where a picture (height, width, 4) is opaque: (K, 2) of (right, down) in [-1, 1]."""
    height, width = picture.shape[:2]
    side = (np.arange(_ACROSS) + 0.5) / _ACROSS
    down, right = np.meshgrid(side, side, indexing='ij')
    seen = picture[(down * height).astype(int), (right * width).astype(int), 3] >= _OPAQUE
    return 2 * np.stack([right[seen], down[seen]], axis=1) - 1


def hidden_share(sprite: Sprite, points: np.ndarray, nearer: Iterable[Sprite]) -> float:
    """The share of a sprite's opaque points that nearer sprites cover, in [0, 1].

    Args:
        points: `opaque_points` of its picture.
    """
    covered = np.zeros(len(points), bool)
    rays = None
    for other in nearer:
        between = math.acos(max(-1.0, min(1.0, float(sprite.direction @ other.direction))))
        if between > sum(math.atan(math.hypot(*one.half_size)) for one in (sprite, other)):
            continue
        if rays is None:
            right, down, forward = np.array(axes(sprite.direction, sprite.roll_rad))
            half = sprite.half_size
            rays = (points[:, :1] * half[0] * right + points[:, 1:] * half[1] * down + forward)
        covered |= _covers(other, rays)
    return float(covered.mean()) if len(points) else 0.0


def _covers(sprite: Sprite, rays: np.ndarray) -> np.ndarray:
    """Which of some rays (K, 3) meet an opaque pixel of a sprite, (K,) bool."""
    right, down, depth = np.array(axes(sprite.direction, sprite.roll_rad)) @ rays.T
    height, width = sprite.picture.shape[:2]
    half = sprite.half_size
    ahead = np.maximum(depth, 1e-6)
    column = np.floor((right / ahead / half[0] + 1) * (width / 2))
    row = np.floor((down / ahead / half[1] + 1) * (height / 2))
    inside = (depth > 1e-3) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    row, column = (np.where(inside, value, 0).astype(int) for value in (row, column))
    return inside & (sprite.picture[row, column, 3] >= _OPAQUE)
