"""One sequence of tokens whose stride grows outward, ring around ring, without overlap.

The sampling of Look, Focus, Act and of Segment This Thing: a sharp square in the middle, and
around it square rings of ever coarser tokens, each of which fits exactly around the last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.errors import ConfigError
from gaze_robot.foveation.front_end import cut, FrontEnd, PyramidFrontEnd
from gaze_robot.foveation.integral import IntegralFoveator
from gaze_robot.foveation.pattern import FoveationPattern


@dataclass(eq=False)
class RingsFrontEnd(FrontEnd):
    """All tokens of the sharpest square, then of each ring around it, rows first.

    The defaults make 16 + 12 + 12 + 12 = 52 tokens; a uniform grid as sharp as the middle has
    32 x 32 = 1024.

    Raises:
        ConfigError: the rings do not fit around each other; the text has the arithmetic.
    """

    name = 'rings'

    fov_deg: float = 90.0
    """Full field of view across the outermost ring, degrees."""

    strides: tuple[int, ...] = (1, 2, 4, 8)
    """Size of a sample of each ring, in samples of the middle; grows outward."""

    grids: tuple[int, ...] = (4, 4, 4, 4)
    """Tokens across each ring, from edge to edge."""

    patch: int = 16
    """Samples across a token."""

    def __post_init__(self) -> None:
        self.strides, self.grids = tuple(self.strides), tuple(self.grids)
        holes = _holes(self.strides, self.grids)
        if not 0 < self.fov_deg < 180:
            raise ConfigError(f'fov_deg must lie between 0 and 180, got {self.fov_deg}')
        if self.patch < 1:
            raise ConfigError(f'patch must be at least 1 sample, got {self.patch}')
        self.token_side = self.patch
        across = [stride * grid for stride, grid in zip(self.strides, self.grids)]
        edge = math.tan(math.radians(self.fov_deg) / 2)
        fov = [2 * math.degrees(math.atan(edge * side / across[-1])) for side in across]
        self.pattern = FoveationPattern((*fov[:-1], self.fov_deg),
                                        tuple(grid * self.patch for grid in self.grids),
                                        (self.patch,) * len(self.grids))
        self.hole = holes
        """Tokens across the hole in each level's grid, which the sharper rings fill."""
        everything = PyramidFrontEnd(self.pattern)
        self.kept = np.concatenate([
            first + np.flatnonzero(~_in_hole(grid, hole)) for first, grid, hole in zip(
                np.cumsum([0, *(grid ** 2 for grid in self.grids)]), self.grids, holes)])
        """(N,) index of each token among those of all whole levels."""
        self.position_rad = everything.position_rad[self.kept]
        self.sample_rad = everything.sample_rad[self.kept]
        self._token = np.full(everything.tokens, -1)
        self._token[self.kept] = np.arange(len(self.kept))
        self._everything = everything
        self._edge = self.pattern.half_tangent(self.pattern.levels - 1)

    def patches(self, levels: Sequence[np.ndarray]) -> np.ndarray:
        """See `FrontEnd`."""
        return np.concatenate([
            cut(level, self.patch, self.patch)[:, ~_in_hole(grid, hole)]
            for level, grid, hole in zip(levels, self.grids, self.hole)], axis=1)

    def locate(self, x: np.ndarray, y: np.ndarray
               ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `FrontEnd`."""
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        token, row, column = self._everything.locate(x, y)
        token[token >= 0] = self._token[token[token >= 0]]
        border = (token < 0) & (np.maximum(np.abs(x), np.abs(y)) < self._edge)
        if border.any():                             # of a hole, to the last bit: what fills it
            token[border], row[border], column[border] = self.locate(
                x[border] * (1 - 1e-9), y[border] * (1 - 1e-9))
        return token, row, column

    def sample(self, image: np.ndarray, camera: CameraModel,
               fixation_px: tuple[float, float] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Tokens straight from a camera's picture, by its summed-area table.

        For users of the tokens alone: the pipeline also needs the levels, for correlation.

        Args:
            image: (height, width, 3) uint8, of the camera's size.
            camera: its lens.
            fixation_px: (u, v) of the middle; None is the optical axis.

        Returns:
            patches (N, P, P, 3) float32 grey levels; valid (N, P, P) bool, False outside the
            picture.

        Raises:
            ImageError: wrong size or type, or a fixation that is not finite.
        """
        view = IntegralFoveator(self.pattern, camera)(image, fixation_px)
        valid = self.patches([mask[None, ..., None] for mask in view.valid])
        return self.patches([level[None] for level in view.levels])[0], valid[0, ..., 0] > 0


def _holes(strides: tuple[int, ...], grids: tuple[int, ...]) -> tuple[int, ...]:
    """Tokens across the hole of each level, 0 in the middle; ConfigError where one cannot be."""
    if not strides or len(strides) != len(grids):
        raise ConfigError(f'strides has {len(strides)} rings and grids has {len(grids)}; '
                          'give one of each per ring')
    if min(strides) < 1 or min(grids) < 1:
        raise ConfigError(f'strides {strides} and grids {grids} must be at least 1')
    if strides[0] != 1:
        raise ConfigError(f'strides count samples of the middle: the first is 1, got {strides}')
    holes = [0]
    for ring in range(1, len(strides)):
        stride, grid = strides[ring], grids[ring]
        if stride <= strides[ring - 1]:
            raise ConfigError(f'strides must grow outward, got {strides}')
        inner = strides[ring - 1] * grids[ring - 1]
        hole, rest = divmod(inner, stride)
        if rest or (grid - hole) % 2 or hole >= grid:
            raise ConfigError(
                f'ring {ring}: a hole of {inner} cannot be centred in a {grid}x{grid} grid of '
                f'stride {stride} ({strides[ring - 1]} x {grids[ring - 1]} = {inner}; {inner} / '
                f'{stride} = {inner / stride:.2f}; needs an integer below {grid} and '
                f'{"even" if grid % 2 == 0 else "odd"} as it is)')
        holes.append(hole)
    return tuple(holes)


def _in_hole(grid: int, hole: int) -> np.ndarray:
    """Which tokens of a grid, (grid * grid,) rows first, lie in its central hole."""
    inside = np.zeros((grid, grid), bool)
    start = (grid - hole) // 2
    inside[start:start + hole, start:start + hole] = True
    return inside.ravel()
