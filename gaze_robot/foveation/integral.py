"""The same levels from a summed-area table: many fixations in one picture.

The table (Crow 1984) costs one pass over the picture; after it a sample costs the same however
many pixels it covers. For one fixation per picture the plain `Foveator` is quicker.
"""

import cv2
import numpy as np

from gaze_robot.foveation.pyramid import FILL, Foveator
from gaze_robot.types import FoveatedView

_INT32_PIXELS = (2 ** 31 - 1) // 255
"""Sums of this many bytes fit into 32 bits: 2901 pixels squared."""


class IntegralFoveator(Foveator):
    """A `Foveator` that reads area sums from a table of whole numbers.

    Exact: equal to `Foveator` where a level's square is a whole multiple of its window, and within
    one grey level where pixels are shared between samples. Where the camera is coarser than the
    window both interpolate.
    """

    def __call__(self, image: np.ndarray, fixation_px: tuple[float, float] | None = None
                 ) -> FoveatedView:
        """See `Foveator`."""
        return self.views(image, [fixation_px])[0]

    def views(self, image: np.ndarray, fixations: list[tuple[float, float] | None]
              ) -> list[FoveatedView]:
        """Foveate one picture at several fixations.

        Args:
            image: (height, width, 3) uint8, of the camera's size.
            fixations: (u, v) of the fovea's centre; None is the optical axis.

        Raises:
            ImageError: wrong size or type, or a fixation that is not finite.
        """
        for fixation in fixations:
            self.check(image, fixation)
        table = integral(image)
        found = []
        for fixation in fixations:
            sampled = [self._summed(image, table, level, fixation)
                       for level in range(self.pattern.levels)]
            found.append(FoveatedView(tuple(s[0] for s in sampled), tuple(s[1] for s in sampled)))
        return found

    def _summed(self, image: np.ndarray, table: np.ndarray, level: int,
                fixation_px: tuple[float, float] | None) -> tuple[np.ndarray, np.ndarray]:
        left, top, side = self.box_px(level, fixation_px)
        window = self.pattern.window[level]
        valid = self.valid(level, fixation_px)
        if side < window or not valid.any():
            return self._sample(image, level, fixation_px)
        cells = np.arange(window + 1) * side / window
        sums = np.diff(np.diff(_read(table, top + cells, left + cells), axis=0), axis=1)
        sample = _rounded(sums, side / window)
        sample[~valid] = FILL
        return sample, valid


def integral(image: np.ndarray) -> np.ndarray:
    """Sums of all pixels above and to the left: (height + 1, width + 1, 3), always exact.

    In int32 up to 2901 x 2901 pixels; above, as whole numbers in float64, exact to 2 ** 53.
    """
    small = image.shape[0] * image.shape[1] <= _INT32_PIXELS
    return cv2.integral(np.ascontiguousarray(image), sdepth=cv2.CV_32S if small else cv2.CV_64F)


def _read(table: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Sums above and left of (R,) x (C,) edges: (R, C, 3) float64.

    Edges may cut a pixel, or leave the picture, where its border repeats.
    """
    (top, down), (left, right) = (
        (pixel, edges - pixel) for edges, size in zip((rows, columns), table.shape)
        for pixel in [np.clip(np.floor(edges).astype(int), 0, size - 2)])
    corners = table[np.stack([top, top + 1])[:, None, :, None],
                    np.stack([left, left + 1])[None, :, None, :]].astype(np.float64)
    beside = corners[:, 0] + right[:, None] * (corners[:, 1] - corners[:, 0])    # (2, R, C, 3)
    return beside[0] + down[:, None, None] * (beside[1] - beside[0])


def _rounded(sums: np.ndarray, stride: float) -> np.ndarray:
    """Means of squares of `stride` pixels as uint8, with halves rounded as OpenCV does.

    Its resize rounds them up for squares of 2 x 2 and to even for all others.
    """
    if stride == 2:
        return ((sums.astype(np.int64) + 2) >> 2).astype(np.uint8)
    mean = sums.astype(np.float32) * np.float32(1 / stride ** 2)
    return np.clip(np.rint(mean), 0, 255).astype(np.uint8)
