"""Heads, things and gazes of drawn figures, found in a picture; see `figure_net`."""

from collections.abc import Sequence
from dataclasses import dataclass
import math

import cv2
import numpy as np
import torch

from gaze_robot.people.figure_net import CROP, FigureNet, MARGIN, normal, STRIDE, WIDTH
from gaze_robot.people.records import Box, Facing, Head

_SURE = 0.35
"""Least score of a head or thing."""

_SHARPER, _STRICTER = 2.0, 1.0
"""From a head's logit to its confidence: what is no head has too high scores, in rooms of `Follow`
0.36 to 0.8 (10 to 90 %, median 0.46), those of figures are 0.7 to 0.97 (0.88)."""

_MOST = 24
"""Of each kind in a picture."""


@dataclass(frozen=True)
class Sight:
    """What one picture shows."""

    heads: list[Head]
    """From left to right, with a gaze each."""

    things: list[Box]
    """Places of things that somebody may look at, the surest first; shares of the picture."""


class FigureFinder:
    """A `HeadFinder` for the simulator's figures."""

    def __init__(self, network: FigureNet) -> None:
        """Take weights; see `figure_weights.load_figures`."""
        self._network = network.eval()
        self._last: tuple[np.ndarray, Sight] | None = None

    def __call__(self, image: np.ndarray) -> list[Head]:
        """See `HeadFinder`."""
        return self.look(image).heads

    def look(self, image: np.ndarray) -> Sight:
        """Heads and things in (h, w, 3) uint8 RGB: one pass, and a small one for all heads.

        Asked again about the same array, it answers the same.
        """
        if self._last is None or self._last[0] is not image:
            self._last = image, self._look(image)
        return self._last[1]

    def _look(self, image: np.ndarray) -> Sight:
        height, width = image.shape[:2]
        tall = max(STRIDE, round(height * WIDTH / width))
        small = image if (tall, WIDTH) == (height, width) else cv2.resize(
            image, (WIDTH, tall), interpolation=cv2.INTER_AREA)
        with torch.inference_mode():
            cells = self._network.scene(normal(torch.from_numpy(np.ascontiguousarray(small))[None])
                                        )[0].numpy()
        size = np.array([WIDTH, tall]) / STRIDE
        found = [(box, score) for x, y, told, score in _peaks(cells[0], cells[1:5])
                 if (box := _box(x, y, np.exp(told[2:]), size)) is not None]
        heads = self.facing(image, [Head(box, _confidence(score)) for box, score in found])
        things = [box for x, y, told, _ in _peaks(cells[5], cells[6:9])
                  if (box := _box(x, y, np.exp(told[[2, 2]]), size)) is not None]
        return Sight(sorted(heads, key=lambda head: head.box[0]), things)

    def facing(self, image: np.ndarray, heads: Sequence[Head]) -> list[Head]:
        """The same heads, whoever found them, with where their owners look."""
        crops = [(head, head_crop(image, head.box)) for head in heads]
        shown = [crop for _, crop in crops if crop is not None]
        if not shown:
            return list(heads)
        with torch.inference_mode():
            mean, kappa = self._network.face(normal(torch.from_numpy(np.stack(shown))))
        told = iter(zip(mean.tolist(), kappa.tolist()))
        return [head if crop is None else _looking(head, *next(told)) for head, crop in crops]


def head_crop(image: np.ndarray, box: Box) -> np.ndarray | None:
    """The square around a head, (CROP, CROP, 3) uint8; what is outside repeats the edge.

    Args:
        image: (h, w, 3) uint8 RGB.
        box: shares of it.

    Returns:
        None for a head whose middle is outside, or of less than 6 pixels.
    """
    height, width = image.shape[:2]
    x, y = (box[0] + box[2]) / 2 * width, (box[1] + box[3]) / 2 * height
    side = MARGIN * (box[3] - box[1]) * height
    if not (0 <= x < width and 0 <= y < height) or side < 6 * MARGIN:
        return None
    left, top, size = round(x - side / 2), round(y - side / 2), max(1, round(side))
    cut = image[max(top, 0):top + size, max(left, 0):left + size]
    if left < 0 or top < 0 or left + size > width or top + size > height:
        cut = cv2.copyMakeBorder(cut, max(-top, 0), max(top + size - height, 0), max(-left, 0),
                                 max(left + size - width, 0), cv2.BORDER_REPLICATE)
    return cv2.resize(cut, (CROP, CROP), interpolation=(
        cv2.INTER_AREA if size > CROP else cv2.INTER_LINEAR))


def _looking(head: Head, mean: Sequence[float], kappa: float) -> Head:
    right, down, away = mean
    return Head(head.box, head.confidence, head.id, Facing(
        math.atan2(right, -away), math.asin(min(max(down, -1.0), 1.0)),
        min(1.0 / math.sqrt(kappa), 3.0), eyes=True))


def _confidence(score: float) -> float:
    return 1 / (1 + math.exp(_STRICTER) * ((1 - score) / max(score, 1e-9)) ** _SHARPER)


def _peaks(logits: np.ndarray, told: np.ndarray) -> list[tuple[float, float, np.ndarray, float]]:
    """Cells that are sure and surer than their eight neighbours, the surest first.

    Args:
        logits: (h, w).
        told: (K, h, w); its first two channels are x and y from a cell's middle, in cells.

    Returns:
        (x, y) in cells, what is told there (K,), score.
    """
    around = cv2.dilate(logits, np.ones((3, 3), np.uint8))
    rows, columns = np.nonzero((logits >= around) & (logits > math.log(_SURE / (1 - _SURE))))
    order = np.argsort(-logits[rows, columns])[:_MOST]
    return [(columns[k] + 0.5 + float(told[0, rows[k], columns[k]]),
             rows[k] + 0.5 + float(told[1, rows[k], columns[k]]), told[:, rows[k], columns[k]],
             1 / (1 + math.exp(-float(logits[rows[k], columns[k]])))) for k in order]


def _box(x: float, y: float, size: np.ndarray, cells: np.ndarray) -> Box | None:
    """Shares of the picture, cut at its edges; None outside or of no size."""
    half = np.clip(size, 0.1, 2 * cells) / 2
    low = np.clip((np.array([x, y]) - half) / cells, 0, 1)
    high = np.clip((np.array([x, y]) + half) / cells, 0, 1)
    if not (low < high).all():
        return None
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])
