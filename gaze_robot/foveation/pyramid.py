"""Picture + fixation -> foveated view, by exact area averages of nested square crops."""

import math

import cv2
import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.errors import ImageError
from gaze_robot.foveation.pattern import FoveationPattern
from gaze_robot.types import FoveatedView

FILL = 128
"""Grey level of samples outside the picture (their `valid` is False)."""

_MOSTLY_PADDING = 2.5
"""Squares this many times larger than their part of the picture are averaged without padding them:
a field of view near 180 degrees is thousands of pictures wide."""


class Foveator:
    """Samples one camera's pictures with one pattern.

    Each level is a square of whole camera pixels around the fixation, averaged down to its window.
    Where the square is a whole multiple of the window, every sample is the exact mean of its
    pixels, rounded; at a multiple of one it is the pixel itself. Where the camera is coarser than
    the window the level is interpolated, never invented.
    """

    def __init__(self, pattern: FoveationPattern, camera: CameraModel) -> None:
        self.pattern = pattern
        self.camera = camera
        self.side_px = tuple(self._side(level) for level in range(pattern.levels))
        self._axis_rays: dict[int, tuple[np.ndarray, ...]] = {}

    def _side(self, level: int) -> int:
        """Camera pixels across a level: the distance between its edge rays, rounded."""
        half = np.radians(self.pattern.fov_deg[level]) / 2
        edge = np.array([[np.sin(half), 0, np.cos(half)], [-np.sin(half), 0, np.cos(half)]])
        pixel, _ = self.camera.project(edge)
        side = float(pixel[0, 0] - pixel[1, 0])
        if half > self.camera.fold_angle_rad:           # beyond the lens model: mostly padding
            flat = half if self.camera.model == 'equidistant' else np.tan(half)
            side = 2 * self.camera.fx * float(flat)
        return max(1, round(side))

    @property
    def centre_px(self) -> tuple[float, float]:
        """Where the optical axis meets the picture."""
        return self.camera.cx, self.camera.cy

    def box_px(self, level: int, fixation_px: tuple[float, float] | None = None
               ) -> tuple[int, int, int]:
        """(left, top, side) of a level's square in camera pixels; may leave the picture."""
        u, v = self.centre_px if fixation_px is None else fixation_px
        side = self.side_px[level]
        # floor(x + 0.5), not round(): halves must all go the same way, or a square would jump by 0
        # or 2 pixels when the fixation moves by 1.
        return math.floor(u - side / 2 + 0.5), math.floor(v - side / 2 + 0.5), side

    def __call__(self, image: np.ndarray, fixation_px: tuple[float, float] | None = None
                 ) -> FoveatedView:
        """Foveate one picture.

        Args:
            image: (height, width, 3) uint8, of the camera's size.
            fixation_px: (u, v) of the fovea's centre; None is the optical axis.

        Raises:
            ImageError: wrong size or type, or a fixation that is not finite.
        """
        self.check(image, fixation_px)
        sampled = [self._sample(image, level, fixation_px)
                   for level in range(self.pattern.levels)]
        return FoveatedView(tuple(s[0] for s in sampled), tuple(s[1] for s in sampled))

    def check(self, image: np.ndarray, fixation_px: tuple[float, float] | None) -> None:
        """Raise ImageError unless these can be sampled."""
        if image.dtype != np.uint8 or image.shape != (self.camera.height, self.camera.width, 3):
            raise ImageError(
                f'this eye samples {self.camera.width}x{self.camera.height} RGB pictures of '
                f'uint8, got {image.shape} {image.dtype}')
        if fixation_px is not None and not np.all(np.isfinite(fixation_px)):
            raise ImageError(f'fixation_px must be finite, got {fixation_px}')

    def valid(self, level: int, fixation_px: tuple[float, float] | None = None) -> np.ndarray:
        """Samples of a level whose centre lies in the picture: (window, window) bool."""
        left, top, side = self.box_px(level, fixation_px)
        window = self.pattern.window[level]
        centres = (np.arange(window) + 0.5) * side / window
        return (((centres + top >= 0) & (centres + top <= self.camera.height))[:, None]
                & ((centres + left >= 0) & (centres + left <= self.camera.width))[None, :])

    def _sample(self, image: np.ndarray, level: int, fixation_px: tuple[float, float] | None
                ) -> tuple[np.ndarray, np.ndarray]:
        left, top, side = self.box_px(level, fixation_px)
        window = self.pattern.window[level]
        height, width = image.shape[:2]
        x0, x1 = max(left, 0), min(left + side, width)
        y0, y1 = max(top, 0), min(top + side, height)
        valid = self.valid(level, fixation_px)
        if x0 >= x1 or y0 >= y1:
            return np.full((window, window, 3), FILL, np.uint8), np.zeros_like(valid)
        crop = image[y0:y1, x0:x1]
        if side > window and side * side > _MOSTLY_PADDING * crop.shape[0] * crop.shape[1]:
            sample = _average(crop, _cell_weights(top - y0, side, window, y1 - y0),
                              _cell_weights(left - x0, side, window, x1 - x0))
        elif side % window == 0:
            sample = _whole_cells(crop, y0 - top, x0 - left, side // window, window)
        else:
            if crop.shape[:2] != (side, side):
                crop = cv2.copyMakeBorder(crop, y0 - top, top + side - y1, x0 - left,
                                          left + side - x1, cv2.BORDER_REPLICATE)
            sample = cv2.resize(crop, (window, window), interpolation=(
                cv2.INTER_AREA if side > window else cv2.INTER_LINEAR))
        sample[~valid] = FILL
        return sample, valid

    def cell_rays(self, cells: int, fixation_px: tuple[float, float] | None = None
                  ) -> tuple[np.ndarray, ...]:
        """Unit optical-frame rays of the centres of a cells x cells grid on each level.

        Returns:
            One (cells, cells, 3) float64 array per level, exact through the lens model.
        """
        if fixation_px is None and cells in self._axis_rays:
            return self._axis_rays[cells]
        rays = []
        for level in range(self.pattern.levels):
            left, top, side = self.box_px(level, fixation_px)
            steps = (np.arange(cells) + 0.5) * side / cells
            pixels = np.stack(np.meshgrid(left + steps, top + steps), axis=-1)
            rays.append(self.camera.unproject(pixels))
        if fixation_px is None:
            self._axis_rays[cells] = tuple(rays)
        return tuple(rays)


def _whole_cells(crop: np.ndarray, down: int, right: int, step: int, window: int) -> np.ndarray:
    """Means of cells of step x step pixels: those that the crop touches, and `FILL`.

    Args:
        crop: the picture's part of the square.
        down, right: where it begins in the square, pixels.
        step: pixels across a cell.
        window: cells across the square.
    """
    height, width = crop.shape[:2]
    rows = slice(down // step, -(-(down + height) // step))
    columns = slice(right // step, -(-(right + width) // step))
    padding = (down - rows.start * step, rows.stop * step - down - height,
               right - columns.start * step, columns.stop * step - right - width)
    if any(padding):
        crop = cv2.copyMakeBorder(crop, *padding, cv2.BORDER_REPLICATE)
    sample = np.full((window, window, 3), FILL, np.uint8)
    sample[rows, columns] = crop if step == 1 else cv2.resize(
        crop, (columns.stop - columns.start, rows.stop - rows.start), interpolation=cv2.INTER_AREA)
    return sample


def _cell_weights(start: int, side: int, window: int, pixels: int) -> np.ndarray:
    """Share (window, pixels) of each pixel in each of `window` cells of a span from `start`.

    The first and last pixel stand for everything beyond them.
    """
    edges = start + np.arange(window + 1) * (side / window)
    borders = np.arange(pixels + 1, dtype=float)
    borders[0], borders[-1] = -np.inf, np.inf
    overlap = (np.minimum(edges[1:, None], borders[None, 1:])
               - np.maximum(edges[:-1, None], borders[None, :-1]))
    return (np.maximum(overlap, 0) * (window / side)).astype(np.float32)


def _average(crop: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Weighted means of crop (height, width, 3): rows (window, height), columns likewise."""
    window, (height, width, channels) = len(rows), crop.shape
    tall = rows @ crop.reshape(height, width * channels).astype(np.float32)
    mean = np.einsum('jw,iwc->ijc', columns, tall.reshape(window, width, channels), optimize=True)
    return np.rint(mean).astype(np.uint8)
