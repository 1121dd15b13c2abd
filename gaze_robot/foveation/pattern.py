"""What the eye samples: nested square views of growing field of view around the fixation."""

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import Any

import numpy as np

from gaze_robot.errors import ConfigError

_NEAR_FOV_DEG = 30.0


@dataclass(frozen=True)
class FoveationPattern:
    """A pyramid of square levels, sharpest first.

    The half-widths of the defaults have tangents 0.1, 0.2, 0.4 and 1, so a 640x480 camera of 90
    degrees is averaged by exactly 1x1, 2x2, 4x4 and 5x5 pixels. 64 tokens do where a uniform grid
    as sharp as the fovea needs 1600.
    """

    fov_deg: tuple[float, ...] = tuple(
        2 * math.degrees(math.atan(tangent)) for tangent in (0.1, 0.2, 0.4, 1.0))
    """Full horizontal (= vertical) field of view of each level, degrees, growing, below 180."""

    window: tuple[int, ...] = (64, 64, 64, 128)
    """Side of each level, samples."""

    patch: tuple[int, ...] = (16, 16, 16, 32)
    """Side of one token's patch on each level, samples; divides the window. A level whose patches
    are larger than the smallest ones is averaged down for the encoder; what reads samples
    directly (correlation with an exemplar) keeps its full resolution. One number is for all."""

    def __post_init__(self) -> None:
        sides, window = _integers('patch', self.patch), _integers('window', self.window)
        if len(sides) == 1:
            sides *= len(window)
        object.__setattr__(self, 'patch', sides)
        object.__setattr__(self, 'window', window)
        try:
            object.__setattr__(self, 'fov_deg', tuple(float(fov) for fov in self.fov_deg))
        except (TypeError, ValueError) as error:
            raise ConfigError(f'fov_deg is one angle per level, got {self.fov_deg!r}') from error
        if not self.fov_deg or len(self.fov_deg) != len(self.window):
            raise ConfigError(f'fov_deg has {len(self.fov_deg)} levels and window has '
                              f'{len(self.window)}; give one of each per level')
        if not all(0 < fov < 180 for fov in self.fov_deg):
            raise ConfigError(f'fov_deg must lie between 0 and 180, got {self.fov_deg}')
        if any(b <= a for a, b in zip(self.fov_deg, self.fov_deg[1:])):
            raise ConfigError(f'fov_deg must grow from level to level, got {self.fov_deg}')
        if len(self.patch) != len(self.window):
            raise ConfigError(f'patch has {len(self.patch)} levels and window has '
                              f'{len(self.window)}; give one of each per level')
        for level, (side, patch) in enumerate(zip(self.window, self.patch)):
            if patch <= 0 or side <= 0 or side % patch:
                raise ConfigError(
                    f'level {level}: a window of {side} cannot be cut into patches of '
                    f'{patch} ({side} / {patch} = {side / max(patch, 1):.2f}; '
                    'needs an integer)')
        for level, patch in enumerate(self.patch):
            if patch % min(self.patch):
                raise ConfigError(f'level {level}: patches of {patch} cannot be averaged down to '
                                  f'{min(self.patch)} (needs a multiple)')

    @property
    def levels(self) -> int:
        """Number of levels."""
        return len(self.window)

    @property
    def near_levels(self) -> int:
        """Number of levels that are sharp enough to tell look-alikes apart, at least 1."""
        return max(1, sum(fov < _NEAR_FOV_DEG for fov in self.fov_deg))

    @property
    def tokens_across(self) -> tuple[int, ...]:
        """Tokens along a side of each level."""
        return tuple(side // patch for side, patch in zip(self.window, self.patch))

    @property
    def token_side(self) -> int:
        """Samples along a side of what the encoder embeds as one token."""
        return min(self.patch)

    @property
    def tokens_per_level(self) -> tuple[int, ...]:
        """Tokens of each level."""
        return tuple(across ** 2 for across in self.tokens_across)

    @property
    def tokens(self) -> int:
        """Length of the token sequence; depends on nothing but this pattern."""
        return sum(self.tokens_per_level)

    def half_tangent(self, level: int) -> float:
        """Tangent of half a level's field of view."""
        return math.tan(math.radians(self.fov_deg[level]) / 2)

    def inside_camera(self, hfov_deg: float, aspect: float) -> tuple[np.ndarray, ...]:
        """Which samples a pinhole camera shows when it looks where the eye does.

        Args:
            hfov_deg: horizontal field of view of the camera, degrees.
            aspect: its height over its width.

        Returns:
            One (window, window) bool array per level: what `Foveator` calls valid.
        """
        edge = math.tan(math.radians(hfov_deg) / 2)
        masks = []
        for level, window in enumerate(self.window):
            steps = np.abs((np.arange(window) + 0.5) / window * 2 - 1) * self.half_tangent(level)
            masks.append((steps <= edge * aspect)[:, None] & (steps <= edge)[None, :])
        return tuple(masks)


def _integers(name: str, given: Any) -> tuple[int, ...]:
    """One or many integers as a tuple."""
    values = tuple(given) if isinstance(given, Sequence | np.ndarray) else (given,)
    if not all(isinstance(value, int | np.integer) for value in values):
        raise ConfigError(f'{name} is one integer per level, got {given!r}')
    return tuple(int(value) for value in values)
