"""Rings and wedges around the fixation, with a sharp square in their middle.

The retina's own map (Schwartz 1977; Foveated Retinotopy): the distance from the fixation enters by
its logarithm, so turning a picture about the fixation moves its log-polar image along the wedges,
and magnifying it moves the image along the rings.

N tokens   P patch side   R samples outward   W samples around   T taps
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
import math

import numpy as np

from gaze_robot.errors import ConfigError
from gaze_robot.foveation._taps import bilinear, pad_around, polar_taps, Taps
from gaze_robot.foveation.front_end import cut, FrontEnd
from gaze_robot.foveation.pattern import FoveationPattern


@dataclass(eq=False)
class LogPolarFrontEnd(FrontEnd):
    """The sharpest level's tokens, then `rings` x `wedges` tokens around it, innermost first.

    The log-polar part reaches from the circle inside the sharpest level, which fills the centre as
    it is, to the circle inside the widest one; corners beyond that are not seen. A patch has its
    rows outward and its columns around, from the right towards below. It is read from the coarsest
    level that is as fine as it needs, averaged where that is finer.

    Raises:
        ConfigError: impossible geometry; the text has the arithmetic.
    """

    name = 'log_polar'

    pattern: FoveationPattern = field(default_factory=FoveationPattern)

    rings: int = 4
    """Tokens outward."""

    wedges: int = 12
    """Tokens around."""

    def __post_init__(self) -> None:
        pattern, side = self.pattern, self.pattern.token_side
        if self.rings < 1 or self.wedges < 1:
            raise ConfigError(f'rings and wedges must be at least 1, got {self.rings} and '
                              f'{self.wedges}')
        if pattern.levels < 2:
            raise ConfigError('log_polar needs 2 levels or more: the sharpest is its centre, the '
                              f'rings reach from there to the edge of the widest; got 1 of '
                              f'{pattern.fov_deg[0]} degrees')
        if self.wedges * side % 4:
            raise ConfigError(f'{self.wedges} wedges of {side} samples cannot be turned by a '
                              f'quarter ({self.wedges} x {side} / 4 = '
                              f'{self.wedges * side / 4:.2f}; needs an integer)')
        self.token_side = side
        self.inner = pattern.half_tangent(0)
        """Tangent of the angle at which the rings begin."""
        self.ring_step = math.log(pattern.half_tangent(pattern.levels - 1) / self.inner) / (
            self.rings * side)
        """Growth of log radius from sample to sample."""
        self.wedge_step = 2 * math.pi / (self.wedges * side)
        """Angle about the fixation from sample to sample, radians."""
        across = pattern.tokens_across[0]
        self.central = across ** 2
        """Tokens of the sharp square."""
        steps = ((np.arange(across) + 0.5) / across * 2 - 1) * self.inner
        square = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
        radius = self.inner * np.exp((np.arange(self.rings) + 0.5) * side * self.ring_step)
        angle = (np.arange(self.wedges) + 0.5) * side * self.wedge_step
        around = radius[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        self.position_rad = np.arctan(np.concatenate([square, around.reshape(-1, 2)]))
        self.sample_rad = np.concatenate([
            np.full(self.central, 2 * self.inner / (across * side)),
            np.repeat(radius * math.sqrt(self.ring_step * self.wedge_step), self.wedges)])
        self.taps: Taps = polar_taps(pattern, self.inner, self.ring_step, self.wedge_step,
                                     (self.rings * side, self.wedges * side))
        """Where the log-polar samples are read, (R, W) of them."""

    def patches(self, levels: Sequence[np.ndarray]) -> np.ndarray:
        """See `FrontEnd`."""
        return np.concatenate([
            cut(levels[0], self.pattern.patch[0], self.token_side),
            np.stack([self.split(image) for image in self.taps.read(levels)])], axis=1)

    def split(self, image: np.ndarray) -> np.ndarray:
        """Cut a log-polar image (R, W, C) into patches (rings * wedges, P, P, C)."""
        side = self.token_side
        return image.reshape(self.rings, side, self.wedges, side, -1).transpose(
            0, 2, 1, 3, 4).reshape(self.rings * self.wedges, side, side, -1)

    def image(self, patches: np.ndarray) -> np.ndarray:
        """Undo `split`: the log-polar image (R, W, C), rows outward, in patches (N, P, P, C)."""
        side = self.token_side
        return patches[self.central:].reshape(
            self.rings, self.wedges, side, side, -1).transpose(0, 2, 1, 3, 4).reshape(
                self.rings * side, self.wedges * side, -1)

    def inverse(self, patches: np.ndarray, side: int) -> np.ndarray:
        """Back to a picture, interpolated between samples; `mosaic` shows them as they are.

        Args:
            patches: (N, P, P, C) of one view.
            side: width and height of the picture, pixels; it covers the widest level.

        Returns:
            (side, side, C) float32; 0 in the corners, which are not seen.
        """
        x, y = self._raster(side)
        radius = np.hypot(x, y)
        row = np.log(np.maximum(radius, 1e-9) / self.inner) / self.ring_step - 0.5
        column = np.arctan2(y, x) % (2 * math.pi) / self.wedge_step - 0.5
        around = pad_around(self.image(np.asarray(patches, np.float32)))
        picture = bilinear(around, row, column + 1)
        across = self.pattern.tokens_across[0]
        middle = np.asarray(patches[:self.central], np.float32).reshape(
            across, across, self.token_side, self.token_side, -1).transpose(0, 2, 1, 3, 4).reshape(
                across * self.token_side, across * self.token_side, -1)
        inside = (np.abs(x) < self.inner) & (np.abs(y) < self.inner)
        picture[inside] = bilinear(middle, *(
            (along[inside] / self.inner + 1) / 2 * len(middle) - 0.5 for along in (y, x)))
        picture[radius >= self.pattern.half_tangent(self.pattern.levels - 1)] = 0
        return picture

    def locate(self, x: np.ndarray, y: np.ndarray
               ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `FrontEnd`."""
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        side, across = self.token_side, self.pattern.tokens_across[0]
        outward = np.floor(np.log(np.maximum(np.hypot(x, y), 1e-9) / self.inner)
                           / self.ring_step).astype(int)
        around = np.floor(np.arctan2(y, x) % (2 * math.pi) / self.wedge_step).astype(int) % (
            self.wedges * side)
        square_x, square_y = (
            np.clip(np.floor((along / self.inner + 1) / 2 * across * side), 0,
                    across * side - 1).astype(int) for along in (x, y))
        sharp = (np.abs(x) < self.inner) & (np.abs(y) < self.inner)
        row, column = np.where(sharp, square_y, outward), np.where(sharp, square_x, around)
        token = np.where(sharp, row // side * across + column // side,
                         self.central + row // side * self.wedges + column // side)
        token = np.where(sharp | ((outward >= 0) & (outward < self.rings * side)), token, -1)
        return token, row % side, column % side
