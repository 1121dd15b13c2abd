"""Samples that fall between those of the levels: which ones to read, and with what weight.

B batch   S samples of all planes   T taps   C channels
"""

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

from gaze_robot.foveation.pattern import FoveationPattern

UNIT = 1024
"""Weights are multiples of 1 / UNIT: products with bytes are exact in float32, so every library
that adds them up, in any order, gets the same."""


@dataclass(frozen=True)
class Plane:
    """One level, averaged down by a power of two."""

    level: int
    shrink: int

    side: int
    """Samples across, after averaging."""

    half: float
    """Tangent of half the level's field of view."""

    @property
    def step(self) -> float:
        """Size of a sample, as a tangent."""
        return 2 * self.half / self.side


@dataclass(frozen=True, eq=False)
class Taps:
    """Weighted sums over samples of some planes."""

    planes: tuple[Plane, ...]
    """Flattened one after another, rows first, they are what `index` counts."""

    index: np.ndarray
    """(R, W, T) int64"""

    weight: np.ndarray
    """(R, W, T) float32, multiples of 1 / UNIT; each sum is exactly 1."""

    def read(self, levels: Sequence[np.ndarray]) -> np.ndarray:
        """Sum up: (B, window, window, C) per level to (B, R, W, C) float32."""
        flat = []
        for plane in self.planes:
            level = levels[plane.level]
            batch, shrink = len(level), plane.shrink
            flat.append(level.reshape(batch, plane.side, shrink, plane.side, shrink, -1).mean(
                axis=(2, 4), dtype=np.float32).reshape(batch, plane.side ** 2, -1))
        source = np.concatenate(flat, axis=1)                                # (B, S, C)
        return sum(source[:, self.index[..., tap]] * self.weight[..., tap, None]
                   for tap in range(self.index.shape[-1]))


def polar_taps(pattern: FoveationPattern, inner: float, ring_step: float, wedge_step: float,
               shape: tuple[int, int]) -> Taps:
    """Taps of a log-polar image.

    Args:
        pattern: levels to read from.
        inner: tangent of the radius where the first ring begins.
        ring_step, wedge_step: log radius and angle from sample to sample.
        shape: (R, W) samples outward and around; W is a multiple of 4.
    """
    rings, wedges = shape
    radius = inner * np.exp((np.arange(rings) + 0.5) * ring_step)
    choices = _planes(pattern)
    chosen = [_choose(choices, r * math.exp(ring_step / 2), r * min(ring_step, wedge_step))
              for r in radius]
    planes = tuple(plane for plane in choices if plane in chosen)
    start = dict(zip(planes, np.cumsum([0, *(plane.side ** 2 for plane in planes)])))
    rows = [_ring(plane, r, ring_step, wedge_step, wedges // 4)
            for plane, r in zip(chosen, radius)]
    most = max(index.shape[-1] for index, _ in rows)
    all_index, all_weight = (np.zeros((rings, wedges // 4, 4, most), kind)
                             for kind in (np.int64, np.float32))
    for ring, (plane, (index, weight)) in enumerate(zip(chosen, rows)):
        row, column = np.divmod(index, plane.side)
        taps = index.shape[-1]
        for turn in range(4):               # quarter turns of the plane: the same to the last bit
            all_index[ring, :, turn, :taps] = start[plane] + row * plane.side + column
            row, column = column, plane.side - 1 - row
        all_index[ring, :, :, taps:] = start[plane]
        all_weight[ring, :, :, :taps] = weight[:, None]
    return Taps(planes, *(table.transpose(0, 2, 1, 3).reshape(rings, wedges, most)
                          for table in (all_index, all_weight)))


def _planes(pattern: FoveationPattern) -> list[Plane]:
    """Every level, whole and averaged down by powers of two."""
    planes = []
    for level, window in enumerate(pattern.window):
        shrink = 1
        while window % shrink == 0 and shrink <= 8:
            planes.append(Plane(level, shrink, window // shrink, pattern.half_tangent(level)))
            shrink *= 2
    return planes


def _choose(planes: list[Plane], reach: float, wanted: float) -> Plane:
    """The coarsest plane as fine as wanted, of those that reach so far; else the finest."""
    widest = max(plane.half for plane in planes)
    there = [plane for plane in planes
             if plane.half == widest or reach + plane.step / 2 <= plane.half]
    fine = [plane for plane in there if plane.step <= wanted * (1 + 1e-9)]
    if fine:
        return max(fine, key=lambda plane: plane.step)
    return min(there, key=lambda plane: plane.step)


def _ring(plane: Plane, radius: float, ring_step: float, wedge_step: float, count: int
          ) -> tuple[np.ndarray, np.ndarray]:
    """Taps of the first `count` samples of a ring, each the mean of a few interpolated points.

    Returns:
        index (count, T) into the plane, weight (count, T).
    """
    outward, around = (max(1, math.ceil(radius * step / plane.step - 1e-9))
                       for step in (ring_step, wedge_step))
    r = radius * np.exp(((np.arange(outward) + 0.5) / outward - 0.5) * ring_step)
    angle = (np.arange(count)[:, None] + (np.arange(around) + 0.5) / around) * wedge_step
    x, y = (np.multiply.outer(turn(angle), r).reshape(count, -1) for turn in (np.cos, np.sin))
    column, row = ((along / plane.half + 1) / 2 * plane.side - 0.5 for along in (x, y))
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    index, weight = [], []
    for down in (0, 1):
        for right in (0, 1):
            index.append(np.clip(top + down, 0, plane.side - 1) * plane.side
                         + np.clip(left + right, 0, plane.side - 1))
            weight.append(np.abs(1 - down - (row - top)) * np.abs(1 - right - (column - left)))
    return _merged(np.concatenate(index, axis=1),
                   np.concatenate(weight, axis=1) / (outward * around))


def _merged(index: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Add up the weights of equal taps and round them to multiples of 1 / UNIT that sum to 1."""
    order = index.argsort(axis=1, kind='stable')
    index = np.take_along_axis(index, order, axis=1)
    weight = np.take_along_axis(weight, order, axis=1)
    first = np.diff(index, axis=1, prepend=-1) != 0
    slot = first.cumsum(axis=1) - 1
    most = int(slot.max()) + 1
    sums = np.zeros((len(index), most))
    kept = np.repeat(index[:, :1], most, axis=1)
    rows = np.arange(len(index))[:, None]
    np.add.at(sums, (rows, slot), weight)
    kept[rows, slot] = index
    units = np.floor(sums * UNIT)
    missing = UNIT - units.sum(axis=1, keepdims=True)
    rank = (units - sums * UNIT).argsort(axis=1, kind='stable').argsort(axis=1, kind='stable')
    return kept, ((units + (rank < missing)) / UNIT).astype(np.float32)


def pad_around(image: np.ndarray) -> np.ndarray:
    """A log-polar image (R, W, C) with its last column before the first and the first after it."""
    return np.concatenate([image[:, -1:], image, image[:, :1]], axis=1)


def bilinear(image: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Read (height, width, C) at fractional places (...), clipped to it: (..., C) float32."""
    row, column = (np.clip(place, 0, size - 1)
                   for place, size in zip((row, column), image.shape))
    top = np.minimum(row.astype(int), max(0, image.shape[0] - 2))
    left = np.minimum(column.astype(int), max(0, image.shape[1] - 2))
    down, right = (row - top)[..., None], (column - left)[..., None]
    below, beside = np.minimum(top + 1, image.shape[0] - 1), np.minimum(
        left + 1, image.shape[1] - 1)
    upper = image[top, left] * (1 - right) + image[top, beside] * right
    lower = image[below, left] * (1 - right) + image[below, beside] * right
    return (upper * (1 - down) + lower * down).astype(np.float32)
