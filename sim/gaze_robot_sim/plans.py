"""Which taps a view is read with, and from which copies of the panorama.

P taps, places where a copy is read
"""

from collections.abc import Sequence
from dataclasses import dataclass
import functools
import math

import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.errors import ConfigError
from gaze_robot.foveation import FoveationPattern
from gaze_robot_sim.mips import copies_for, Copy, places

_COARSE = 0.75
"""Panorama pixels per sample up to which one tap is enough: it is interpolated, not averaged."""

_THIRDS, _QUARTERS = 3, 4
"""Taps along a side of a sample. Rows of three from smooth copies come within 2 grey levels of
exact means; four where a third of a sample is about a pixel (_ODD), which smooth copies cannot
tell from two, and in panoramas without smooth copies.
"""

_ODD = (2.5, 5.0)
"""Panorama pixels per sample."""

_LONGEST_ROW = 1 << 14
"""Columns of a map for cv2.remap, which reads rows of 32 half as quickly as long ones."""


@dataclass(frozen=True, eq=False)
class Plan:
    """How to read panoramas of one size through a set of rays: blocks of squares, flattened."""

    rays: np.ndarray
    """(3, P) float32, optical frame, of any length."""

    copies: tuple[Copy, ...]
    """Of the panorama, in its atlas."""

    to_column: tuple[np.ndarray, np.ndarray]
    """Scale and shift, (P,) float32 each, that take a tap's angle to a column of the atlas."""

    to_row: tuple[np.ndarray, np.ndarray]
    """The same for the angle from straight up and the rows."""

    columns: int
    """Of the map that cv2.remap gets."""

    blocks: tuple[tuple[slice, tuple[int, int, int]], ...]
    """Where each block lies among the taps, and its (rows, columns, 3)."""

    @classmethod
    def make(cls, blocks: Sequence[np.ndarray], width: int, height: int, averaged: bool,
             wider: float = 1.0) -> 'Plan':
        """From (rows, columns, 3) unit rays each.

        Args:
            width, height: of the panoramas.
            averaged: whether a tap stands for its whole share of the view, or for a point of it.
            wider: how many times as wide as their distance taps count as; sqrt 2 takes the plain
                copy nearest in size, where 1 takes the next finer one.
        """
        rays = np.concatenate([block.reshape(-1, 3) for block in blocks])
        pixels = np.concatenate([_footprint(block).ravel() for block in blocks])
        copies, which = copies_for(wider * pixels * width / (2 * math.pi), width, height,
                                   averaged)
        spots = places(width, height, copies)
        u = np.array([[p.width / (2 * math.pi), p.left - 0.5] for p in spots], np.float32)[which]
        v = np.array([[p.height / math.pi, p.top - 0.5] for p in spots], np.float32)[which]
        ends = np.cumsum([0] + [block.shape[0] * block.shape[1] for block in blocks])
        return cls(np.ascontiguousarray(rays.T, np.float32), copies,
                   (u[:, 0].copy(), u[:, 1].copy()), (v[:, 0].copy(), v[:, 1].copy()),
                   next(len(rays) // parts for parts in range(1, len(rays) + 1)
                        if len(rays) % parts == 0 and len(rays) // parts <= _LONGEST_ROW),
                   tuple((slice(first, last), block.shape)
                         for first, last, block in zip(ends, ends[1:], blocks)))


def _footprint(rays: np.ndarray) -> np.ndarray:
    """(rows, columns) square root of the solid angle between neighbouring rays, radians."""
    if min(rays.shape[:2]) < 2:
        return np.full(rays.shape[:2], 1e-3)
    down, right = np.gradient(rays, axis=(0, 1))
    return np.sqrt(np.linalg.norm(np.cross(down, right), axis=-1))


def square_rays(side: int, half_tangent: float, roll_rad: float = 0.0) -> np.ndarray:
    """Unit optical rays (side, side, 3) through the cells of a square ahead."""
    steps = ((np.arange(side) + 0.5) / side * 2 - 1) * half_tangent
    x, y = np.meshgrid(steps, steps)
    cos, sin = math.cos(roll_rad), math.sin(roll_rad)
    ray = np.stack([x * cos + y * sin, y * cos - x * sin, np.ones_like(x)], axis=-1)
    return ray / np.linalg.norm(ray, axis=-1, keepdims=True)


@functools.lru_cache(maxsize=64)
def level_plan(pattern: FoveationPattern, width: int, height: int, samples: int, brief: bool
               ) -> Plan:
    """One block per level; samples 0 chooses the taps per level, 1 is quick.

    Raises:
        ConfigError: samples is negative or above 8, or such panoramas are too large for this.
    """
    if not 0 <= samples <= 8:
        raise ConfigError(f'samples is 0 (as many as needed) to 8, got {samples}')
    blocks = []
    for level, window in enumerate(pattern.window):
        half = pattern.half_tangent(level)
        pixels = 2 * half / window * width / (2 * math.pi)
        enough = _QUARTERS if brief or _ODD[0] < pixels < _ODD[1] else _THIRDS
        side = samples or (enough if pixels > _COARSE else 1)
        blocks.append(square_rays(window * side, half))
    # One tap from a plain mip reads a third of the memory: what quick training waits for.
    # And taps in a copy nearly twice as fine would pass over some of its pixels.
    return Plan.make(blocks, width, height, averaged=not brief and samples != 1,
                      wider=math.sqrt(2) if brief and samples != 1 else 1.0)


@functools.lru_cache(maxsize=64)
def camera_plan(camera: CameraModel, width: int, height: int) -> Plan:
    """One tap per pixel."""
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = camera.unproject(np.stack([u, v], axis=-1))
    return Plan.make([rays], width, height, averaged=False)
