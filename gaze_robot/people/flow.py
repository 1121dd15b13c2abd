"""Heads in every picture from a finder too slow for every picture.

The finder looks at some pictures, in a second thread if asked; in between heads move with what is
in them, by pyramidal Lucas-Kanade (Bouguet 2001). What it finds late is carried from the picture
it looked at to the newest one in the same way.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
import dataclasses
from typing import Any

import cv2
import numpy as np

from gaze_robot.errors import ConfigError
from gaze_robot.people.heads import HeadFinder
from gaze_robot.people.records import Box, Head

_WIDTH = 320
"""Pictures are followed at this width."""
_GRID = 5
"""Points along each side of a head."""
_WINDOW: Any = {
    'winSize': (15, 15), 'maxLevel': 3,
           'criteria': (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03)}
_BACK_PX = 1.0
"""A point that does not come back to within this when followed backwards is lost."""
_LEAST = 6
"""Points that must be left of a head."""
_MISSED = 2
"""Searches after which a head that they do not find is let go; flow alone drifts."""


class FlowHeads:
    """A `HeadFinder` for pictures that come in order."""

    def __init__(self, finder: HeadFinder, every: int = 5, background: bool = False) -> None:
        """Take a finder.

        Args:
            finder: called from one thread at a time.
            every: pictures from one search to the next, at least.
            background: search in a second thread, so that no picture waits for it; what is found
                then depends on timing.

        Raises:
            ConfigError: `every` below 1.
        """
        if every < 1:
            raise ConfigError(f'every is at least 1, got {every}')
        self._finder, self._every = finder, every
        self._pool = ThreadPoolExecutor(1, 'heads') if background else None
        self._job: tuple[Future[list[Head]], np.ndarray] | None = None
        self._since = every
        self._before: np.ndarray | None = None
        self._heads: list[tuple[Head, int]] = []
        """With the number of searches in a row that have not found it."""

    def __call__(self, image: np.ndarray) -> list[Head]:
        """Heads in the next picture, (h, w, 3) uint8 RGB."""
        grey = _small_grey(image)
        if self._before is not None and self._before.shape != grey.shape:
            self._heads, self._before, self._since = [], None, self._every
        if self._before is not None and self._heads:
            moved = followed(self._before, grey, [head for head, _ in self._heads])
            self._heads = [(head, missed) for head, (_, missed) in zip(moved, self._heads)
                           if head is not None]
        self._search(image, grey)
        self._before, self._since = grey, self._since + 1
        return sorted((head for head, _ in self._heads), key=lambda head: head.box[0])

    def close(self) -> None:
        """End the thread."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _search(self, image: np.ndarray, grey: np.ndarray) -> None:
        if self._job is not None and self._job[0].done():
            job, self._job = self._job, None
            moved = followed(job[1], grey, job[0].result()) if job[1].shape == grey.shape else []
            self._take([head for head in moved if head is not None])
        if self._since < self._every or self._job is not None:
            return
        self._since = 0
        if self._pool is None:
            self._take(self._finder(image))
        else:
            self._job = self._pool.submit(self._finder, image.copy()), grey

    def _take(self, found: Sequence[Head]) -> None:
        """What a search says, and for a while what it does not."""
        kept = [(head, missed + 1) for head, missed in self._heads
                if missed < _MISSED and not any(_same(head.box, new.box) for new in found)]
        self._heads = [*((head, 0) for head in found), *kept]


def followed(before: np.ndarray, now: np.ndarray, heads: Sequence[Head]) -> list[Head | None]:
    """Where heads of one picture are in another: moved and scaled; None: lost.

    Args:
        before, now: (h, w) uint8 of one size.
        heads: of the picture before.
    """
    if not heads:
        return []
    height, width = before.shape
    size = np.array([width, height, width, height])
    steps = (np.arange(_GRID) + 0.5) / _GRID
    across, down = (axis.ravel() for axis in np.meshgrid(steps, steps))
    boxes = [np.array(head.box) * size for head in heads]
    start = np.concatenate([np.stack([box[0] + across * (box[2] - box[0]),
                                      box[1] + down * (box[3] - box[1])], axis=1)
                            for box in boxes]).astype(np.float32)
    follow: Any = cv2.calcOpticalFlowPyrLK               # its stubs do without None
    there, found, _ = follow(before, now, start, None, **_WINDOW)
    back, again, _ = follow(now, before, there, None, **_WINDOW)
    kept = (found.ravel() > 0) & (again.ravel() > 0) & (
        np.abs(back - start).max(axis=1) < _BACK_PX)
    out: list[Head | None] = []
    for row, (head, box) in enumerate(zip(heads, boxes)):
        part = slice(row * _GRID ** 2, (row + 1) * _GRID ** 2)
        good = kept[part]
        out.append(_moved(head, box, start[part][good], there[part][good], size)
                   if good.sum() >= _LEAST else None)
    return out


def _moved(head: Head, box: np.ndarray, start: np.ndarray, there: np.ndarray, size: np.ndarray
           ) -> Head | None:
    """By the median of the points' ways, scaled by the median of their distances' ratios."""
    shift = np.median(there - start, axis=0)
    apart = [np.linalg.norm(points - np.median(points, axis=0), axis=1)
             for points in (start, there)]
    wide = apart[0] > 1.0
    grown = float(np.clip(np.median(apart[1][wide] / apart[0][wide]), 0.8, 1.25)) \
        if wide.any() else 1.0
    middle = (box[:2] + box[2:]) / 2 + shift
    half = (box[2:] - box[:2]) / 2 * grown
    edges = np.concatenate([middle - half, middle + half]) / size
    if not ((middle / size[:2] > 0) & (middle / size[:2] < 1)).all():
        return None
    left, top, right, bottom = (float(edge) for edge in edges)
    return dataclasses.replace(head, box=(left, top, right, bottom))


def _small_grey(image: np.ndarray) -> np.ndarray:
    size = _WIDTH, max(16, round(image.shape[0] * _WIDTH / image.shape[1]))
    return cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)


def _same(one: Box, other: Box) -> bool:
    """Whether the middle of one lies in the other."""
    for first, second in ((one, other), (other, one)):
        x, y = (first[0] + first[2]) / 2, (first[1] + first[3]) / 2
        if second[0] < x < second[2] and second[1] < y < second[3]:
            return True
    return False
