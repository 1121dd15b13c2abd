"""Copies of a panorama, smaller and smoother, all in one picture: the atlas that taps read.

A smooth copy shows the mean over squares of one size on the sphere: its rows are smoothed over
1 / cos(latitude) times as many columns, so the poles need no special case.
"""

from collections.abc import Sequence
from dataclasses import dataclass
import functools
import math

import cv2
import numpy as np

from gaze_robot.errors import ConfigError

_STEPS = 4
"""Sizes of squares per octave; half as many below _PIXELS_ACROSS, where steps matter less."""

_PIXELS_ACROSS = 3.0
"""A smooth copy has this many pixels per square (fewer where the panorama itself has): it is read
by linear interpolation."""

_UNSMOOTHED = 2 ** 0.25
"""Squares up to this size are rounded to one pixel or less: the panorama as it is shows them."""

_MOST_PIXELS = 32766
"""Along a side of what cv2.remap reads and writes: it counts them with 16 bits."""

_BAND_STEPS = 4
"""Rows whose smoothing differs by less than 1 / 4 octave are smoothed together."""


@dataclass(frozen=True)
class Copy:
    """One version of a panorama."""

    shrink: float
    """How many times smaller it is."""

    square: float = 0.0
    """Side of the squares that are averaged, pixels of the panorama; 0: it is only made smaller.
    """

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the copy of a panorama."""
        return max(1, round(width / self.shrink)), max(1, round(height / self.shrink))


@dataclass(frozen=True)
class Place:
    """Where a copy lies in the atlas, without its border of one pixel."""

    left: int
    top: int
    width: int
    height: int


def copies_for(pixels: np.ndarray, width: int, height: int, averaged: bool
               ) -> tuple[tuple[Copy, ...], np.ndarray]:
    """Which copies to read for taps of some sizes.

    Args:
        pixels: (P,) side of what each tap stands for, in pixels of the panorama's equator.
        averaged: True: smooth copies, each the mean over such squares. False: the coarsest plain
            one whose pixels are not larger.

    Returns:
        (copies, (P,) the number of each tap's copy).
    """
    most = max(1.0, min(width, height) / 4)
    octave = np.log2(np.maximum(pixels, 0.25))
    if averaged:
        steps = np.where(octave < math.log2(_PIXELS_ACROSS), _STEPS / 2, _STEPS)
        square = 2 ** (np.round(octave * steps) / steps)
        shrink = np.clip(square / _PIXELS_ACROSS, 1, most)
        square[square < _UNSMOOTHED] = 0.0
    else:
        shrink = np.clip(2 ** np.floor(octave + 1e-6), 1, most)
        square = np.zeros(len(shrink))
    # As complex numbers, which sort by both: much quicker than unique rows.
    kinds, which = np.unique(shrink + 1j * square, return_inverse=True)
    return tuple(Copy(float(kind.real), float(kind.imag)) for kind in kinds), which


@functools.lru_cache(maxsize=128)
def places(width: int, height: int, copies: tuple[Copy, ...]) -> tuple[Place, ...]:
    """Shelves of copies, each as wide as the panorama, the largest copies on top.

    Raises:
        ConfigError: they are too many for one picture that OpenCV can read.
    """
    found, left, top, shelf = [], 1, 1, 0
    for copy in copies:                             # sorted by size
        size = copy.size(width, height)
        if left > 1 and left + size[0] > width + 2:
            left, top, shelf = 1, top + shelf + 2, 0
        found.append(Place(left, top, *size))
        left, shelf = left + size[0] + 2, max(shelf, size[1])
    if max(width + 2, top + shelf + 1) > _MOST_PIXELS:
        raise ConfigError(f'a panorama of {width}x{height} is too large for these views, which '
                          f'read {len(copies)} copies of it; make it smaller (half as wide '
                          'will do), or choose a pattern with wider samples or fewer levels')
    return tuple(found)


def make_atlas(image: np.ndarray, copies: tuple[Copy, ...]) -> np.ndarray:
    """Every copy of a panorama (height, width, 3) uint8, with borders that continue it."""
    spots = places(image.shape[1], image.shape[0], copies)
    right = max(place.left + place.width for place in spots) + 1
    bottom = max(place.top + place.height for place in spots) + 1
    atlas = np.zeros((bottom, right, 3), np.uint8)
    halved, shrunk = image, 1
    for copy, place in zip(copies, spots):
        while 2 * shrunk <= copy.shrink:
            shrunk *= 2
            halved = _halved(halved, (max(1, image.shape[1] // shrunk),
                                      max(1, image.shape[0] // shrunk)))
        small = _smoothed(halved, copy, shrunk)
        if small.shape[1::-1] != (place.width, place.height):
            small = cv2.resize(small, (place.width, place.height), interpolation=cv2.INTER_AREA)
        _put(small, atlas, place)
    return atlas


def _put(image: np.ndarray, atlas: np.ndarray, place: Place) -> None:
    """Into the atlas, with a border of one pixel as `_continued` has it, but copied once."""
    block = atlas[place.top - 1:place.top + place.height + 1,
                  place.left - 1:place.left + place.width + 1]
    block[1:-1, 1:-1] = image
    half = image.shape[1] // 2
    block[0, 1:-1] = np.roll(image[0], half, axis=0)
    block[-1, 1:-1] = np.roll(image[-1], half, axis=0)
    block[:, 0], block[:, -1] = block[:, -2], block[:, 1]


def remapped(atlas: np.ndarray, column: np.ndarray, row: np.ndarray, across: int) -> np.ndarray:
    """The atlas at places (B, P) float32, linearly: (B, P, 3).

    Args:
        across: columns of the maps that OpenCV gets, a divisor of P; any shape does, long rows
            are quicker.
    """
    if column.size <= across * _MOST_PIXELS:
        u, v, spare = column, row, 0
    else:                                       # a narrow map, too high for OpenCV
        across = 1 << 10
        spare = -column.size % across
        u, v = (np.pad(along.ravel(), (0, spare)) for along in (column, row))
    read = cv2.remap(atlas, u.reshape(-1, across), v.reshape(-1, across), cv2.INTER_LINEAR)
    return read.reshape(-1, 3)[:column.size].reshape(*column.shape, 3)


def _halved(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Half as large, without a drift: a mean of 2x2 that ends in .5 is rounded up in every other
    row and down in the others, where OpenCV alone rounds it up, 1 / 4 grey level per halving.
    """
    half = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    other = cv2.resize(cv2.bitwise_not(image), size, interpolation=cv2.INTER_AREA)
    half[::2] = cv2.bitwise_not(other)[::2]
    return half


def _continued(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """With a border: round the seam, and half a turn away beyond the poles."""
    turned = np.roll(image, image.shape[1] // 2, axis=1)
    if rows:
        image = np.concatenate([turned[rows - 1::-1], image, turned[:-rows - 1:-1]])
    return cv2.copyMakeBorder(image, 0, 0, columns, columns, cv2.BORDER_WRAP)


def _smoothed(image: np.ndarray, copy: Copy, shrunk: int) -> np.ndarray:
    """What a copy is made of, before the rest of its shrinking, which would alias by itself.

    Args:
        shrunk: how many times smaller than the panorama `image` already is.
    """
    # Making it smaller averages too, and so will linear interpolation: together on average as much
    # as a square of variance 1 / 4 of a pixel of the copy, against 0 in the full picture.
    done = 0.25 * (copy.shrink ** 2 - 1) / shrunk ** 2
    square = copy.square / shrunk
    if square ** 2 / 12 - done < 0.01:
        return image
    height, width = image.shape[:2]
    kernel = box_kernel(square ** 2 / 12 - done)
    reach = min(len(kernel) // 2, height)
    tall = _continued(image, reach, 0)
    tall = cv2.sepFilter2D(tall, -1, np.ones(1, np.float32), kernel)[reach:-reach]
    latitude = ((np.arange(height) + 0.5) / height - 0.5) * math.pi
    wide = np.minimum(square / np.cos(latitude), width / 4)
    step = np.round(np.log2(wide) * _BAND_STEPS) / _BAND_STEPS
    ends = [0, *(np.nonzero(np.diff(step))[0] + 1).tolist(), height]
    out = np.empty_like(image)
    for first, last in zip(ends, ends[1:]):
        _smooth_rows(tall[first:last], 4.0 ** step[first] / 12 - done, out[first:last])
    return out


def _smooth_rows(rows: np.ndarray, variance: float, out: np.ndarray) -> None:
    """Smooth along the rows, round the seam, into `out`."""
    kernel = box_kernel(variance)
    reach = len(kernel) // 2
    ringed = cv2.copyMakeBorder(rows, 0, 0, reach, reach, cv2.BORDER_WRAP)
    if len(kernel) > 9:
        smooth = cv2.blur(ringed, (len(kernel) - (kernel[0] < kernel[1] / 2) * 2, 1))
    else:
        smooth = cv2.sepFilter2D(ringed, -1, kernel, np.ones(1, np.float32))
    out[:] = smooth[:, reach:smooth.shape[1] - reach]


def box_kernel(variance: float) -> np.ndarray:
    """Weights (odd,) float32 with sum 1: a box with thinner ends, of a variance in pixels^2."""
    reach = max(1, math.ceil((math.sqrt(1 + 12 * max(variance, 0.0)) - 1) / 2))
    inner = 2 * reach - 1
    spread = (reach - 1) * reach * inner / 3                    # sum of squares from -m to m
    end = (variance * inner - spread) / (2 * (reach ** 2 - variance))
    kernel: Sequence[float] = [end, *[1.0] * inner, end]
    return (np.array(kernel) / (inner + 2 * end)).astype(np.float32)
