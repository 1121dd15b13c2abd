"""How the eye's samples become tokens: one interface, one class per way.

Whatever the front end, nested square levels are sampled first (`Foveator` from a camera's picture,
the simulator's renderer from a panorama); a front end cuts them into patches. So the number of
tokens depends on the configuration alone.

B batch   L levels   N tokens   P side of a token's patch, samples
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from gaze_robot.foveation.pattern import FoveationPattern
from gaze_robot.schema import to_mapping


class FrontEnd(ABC):
    """Tokens of one shape at fixed places around the fixation, cut from the sampled levels.

    A front end is a dataclass whose fields are what a user may choose; see `make_front_end`.
    """

    name: ClassVar[str]
    """In configurations and checkpoints."""

    pattern: FoveationPattern
    """The nested square levels that are sampled."""

    token_side: int
    """P: every token is P x P samples when the encoder reads it."""

    position_rad: np.ndarray
    """(N, 2) float64 visual angle (right, down) of each token's centre."""

    sample_rad: np.ndarray
    """(N,) float64 visual angle that one sample of each token covers, at its centre."""

    @property
    def tokens(self) -> int:
        """N, the length of the token sequence."""
        return len(self.position_rad)

    @property
    def config(self) -> dict[str, Any]:
        """What `make_front_end` needs, beside the pattern, to make the same; JSON's types only."""
        return {name: value for name, value in to_mapping(self).items() if name != 'pattern'}

    @abstractmethod
    def patches(self, levels: Sequence[np.ndarray]) -> np.ndarray:
        """Cut sampled levels into tokens, the reference for `encoder.tokens`.

        Args:
            levels: one (B, window, window, 3) uint8 array per level of `pattern`.

        Returns:
            (B, N, P, P, 3) float32 grey levels, 0 to 255.
        """

    @abstractmethod
    def locate(self, x: np.ndarray, y: np.ndarray
               ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which token and which of its samples shows a place: the sharpest that does.

        Args:
            x: (...) tangent-plane coordinate to the right of the fixation (1 is 45 degrees).
            y: (...) the same, down.

        Returns:
            token (...) int, -1 outside every token; row and column (...) int in its patch.
        """

    def cell_tokens(self, level: int, cells: int) -> np.ndarray:
        """The token at the centre of each cell of a level's heatmap: (cells, cells) int."""
        steps = ((np.arange(cells) + 0.5) / cells * 2 - 1) * self.pattern.half_tangent(level)
        x, y = np.meshgrid(steps, steps)
        return self.locate(x, y)[0]

    def mosaic(self, patches: np.ndarray, side: int) -> np.ndarray:
        """Draw what the encoder receives as one picture.

        Args:
            patches: (N, P, P, 3) of one view, any number type.
            side: width and height of the picture, pixels; it covers the widest level.

        Returns:
            (side, side, 3) of the same type; 0 where there is no token.
        """
        token, row, column = self.locate(*self._raster(side))
        picture = np.asarray(patches)[np.maximum(token, 0), row, column]
        picture[token < 0] = 0
        return picture

    def paint(self, values: np.ndarray, side: int) -> np.ndarray:
        """Draw one number per token, (N,), over the same picture: (side, side), NaN outside."""
        token, _, _ = self.locate(*self._raster(side))
        picture = np.asarray(values, np.float64)[np.maximum(token, 0)]
        picture[token < 0] = np.nan
        return picture

    def _raster(self, side: int) -> tuple[np.ndarray, np.ndarray]:
        steps = ((np.arange(side) + 0.5) / side * 2 - 1) * self.pattern.half_tangent(
            self.pattern.levels - 1)
        x, y = np.meshgrid(steps, steps)
        return x, y


def cut(level: np.ndarray, patch: int, side: int) -> np.ndarray:
    """Cut a level into patches, rows first.

    Args:
        level: (B, window, window, C); the window is a multiple of `patch`.
        patch: samples across a patch, a multiple of `side`: it is averaged down to that.
        side: P.

    Returns:
        (B, N, P, P, C) float32.
    """
    batch, across, pool = len(level), level.shape[1] // patch, patch // side
    blocks = level.reshape(batch, across, side, pool, across, side, pool, -1)
    mean = blocks.mean(axis=(3, 6), dtype=np.float32)            # (B, across, P, across, P, C)
    return mean.transpose(0, 1, 3, 2, 4, 5).reshape(batch, across ** 2, side, side, -1)


@dataclass(eq=False)
class PyramidFrontEnd(FrontEnd):
    """Every level cut into a grid of square patches, sharpest level first, rows first.

    EyeRobot's nested crops of growing field of view; levels overlap.
    """

    name = 'pyramid'

    pattern: FoveationPattern = field(default_factory=FoveationPattern)

    def __post_init__(self) -> None:
        self.token_side = self.pattern.token_side
        positions, samples = [], []
        for level, across in enumerate(self.pattern.tokens_across):
            half = self.pattern.half_tangent(level)
            steps = np.arctan(((np.arange(across) + 0.5) / across * 2 - 1) * half)
            positions.append(np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2))
            samples.append(np.full(across ** 2, 2 * half / (across * self.token_side)))
        self.position_rad = np.concatenate(positions)
        self.sample_rad = np.concatenate(samples)

    def patches(self, levels: Sequence[np.ndarray]) -> np.ndarray:
        """See `FrontEnd`; patches larger than P are averaged down to it."""
        return np.concatenate([cut(level, patch, self.token_side)
                               for level, patch in zip(levels, self.pattern.patch)], axis=1)

    def locate(self, x: np.ndarray, y: np.ndarray
               ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `FrontEnd`."""
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        token, row, column = (np.full(x.shape, start) for start in (-1, 0, 0))
        first = self.pattern.tokens
        for level in reversed(range(self.pattern.levels)):
            across, half = self.pattern.tokens_across[level], self.pattern.half_tangent(level)
            first -= across ** 2
            inside = (np.abs(x) < half) & (np.abs(y) < half)
            sample_x, sample_y = (
                np.minimum(((along[inside] / half + 1) / 2 * across * self.token_side),
                           across * self.token_side - 1).astype(int) for along in (x, y))
            token[inside] = first + (sample_y // self.token_side * across
                                     + sample_x // self.token_side)
            row[inside], column[inside] = sample_y % self.token_side, sample_x % self.token_side
        return token, row, column
