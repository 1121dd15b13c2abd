"""Sampled levels in, patches out, and where each patch sits: what the encoder is given.

B batch   N tokens   P patch side
"""

from collections.abc import Sequence
from dataclasses import dataclass
import functools

import numpy as np
import torch
from torch import nn

from gaze_robot.errors import ConfigError
from gaze_robot.foveation import (
    FoveationPattern,
    FrontEnd,
    LogPolarFrontEnd,
    PyramidFrontEnd,
    RingsFrontEnd,
)

_CACHED = 4
"""Log-polar views whose samples fit a processor's cache: more at once take twice the time."""


@dataclass(frozen=True, eq=False)
class TokenLayout:
    """Where tokens sit and how coarse they are."""

    position_rad: torch.Tensor
    """(N, 2) or (B, N, 2) visual angle (right, down) of each token's centre."""

    log_scale: torch.Tensor
    """(N,) or (B, N) natural log of the visual angle of one sample, over one degree."""

    @classmethod
    def of(cls, front_end: FrontEnd) -> 'TokenLayout':
        """Of the tokens of a front end, in its order."""
        return cls(torch.from_numpy(front_end.position_rad).float(),
                   torch.from_numpy(np.log(np.degrees(front_end.sample_rad))).float())

    @classmethod
    def of_pattern(cls, pattern: FoveationPattern) -> 'TokenLayout':
        """Tokens of a pyramid, level by level, rows first."""
        return cls.of(PyramidFrontEnd(pattern))

    def to(self, device: torch.device) -> 'TokenLayout':
        """The same on another device."""
        return TokenLayout(self.position_rad.to(device), self.log_scale.to(device))

    @classmethod
    def of_squares(cls, width_rad: torch.Tensor, window: int, patch: int) -> 'TokenLayout':
        """Tokens of square pictures that cover these angles, (B,): exemplars."""
        side = window // patch
        steps = (torch.arange(side, device=width_rad.device) + 0.5) / side - 0.5
        y, x = torch.meshgrid(steps, steps, indexing='ij')
        grid = torch.stack([x, y], dim=-1).reshape(-1, 2)
        position = grid[None] * width_rad[:, None, None]
        scale = torch.log(torch.rad2deg(width_rad) / window)[:, None].expand(-1, side * side)
        return cls(position, scale)


class Cutter(nn.Module):
    """Sampled levels to the patches of a front end; equal to `FrontEnd.patches`, in torch.

    Made of slices and of look-ups by constant indices, so that it exports with the network. It
    has no weights: nothing of it is in a checkpoint.
    """

    def __init__(self, front_end: FrontEnd) -> None:
        super().__init__()
        self.front_end = front_end
        constants: dict[str, np.ndarray] = {}
        if isinstance(front_end, RingsFrontEnd):
            constants = {'kept': front_end.kept}
        elif isinstance(front_end, LogPolarFrontEnd):
            # In the order of tokens; one look-up per tap.
            places = front_end.split(np.arange(front_end.taps.index[..., 0].size).reshape(
                front_end.taps.index.shape[:2])[..., None]).ravel()
            taps = front_end.taps.index.shape[2]
            constants = {'index': front_end.taps.index.reshape(-1, taps)[places].T,
                         'weight': front_end.taps.weight.reshape(-1, taps)[places].T[..., None]}
        elif not isinstance(front_end, PyramidFrontEnd):
            raise ConfigError(f'{type(front_end).__name__} has no torch code in '
                              'gaze_robot.encoder.tokens; add it to Cutter')
        for name, values in constants.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(values)),
                                 persistent=False)

    def forward(self, levels: Sequence[torch.Tensor]) -> torch.Tensor:
        """One (B, window, window, 3) uint8 per level to (B, N, P * P * 3) float32 in [-1, 1]."""
        pattern = self.front_end.pattern
        if isinstance(self.front_end, LogPolarFrontEnd):
            return self._log_polar(levels, self.front_end)
        patches = patchify(levels, pattern.patch)
        if isinstance(self.front_end, RingsFrontEnd):
            patches = patches.index_select(1, self.get_buffer('kept'))
        return patches

    def _log_polar(self, levels: Sequence[torch.Tensor], front_end: LogPolarFrontEnd
                   ) -> torch.Tensor:
        if levels[0].shape[0] > _CACHED:
            return torch.cat([self._log_polar(some, front_end)
                              for some in zip(*(level.split(_CACHED) for level in levels))])
        index, weight = self.get_buffer('index'), self.get_buffer('weight')
        source = torch.cat([pooled(levels[plane.level], plane.shrink).flatten(1, 2).float()
                            for plane in front_end.taps.planes], dim=1)              # (B, S, 3)
        around = functools.reduce(torch.add, (source.index_select(1, index[tap]) * weight[tap]
                                              for tap in range(len(index))))
        side = front_end.token_side
        around = around.reshape(source.shape[0], front_end.rings * front_end.wedges,
                                side * side * 3)
        middle = _cut(pooled(levels[0], front_end.pattern.patch[0] // side), side)
        return torch.cat([middle, around], dim=1).div_(127.5).sub_(1.0)


def patchify(levels: Sequence[torch.Tensor], patch: Sequence[int]) -> torch.Tensor:
    """Cut views into patches.

    Args:
        levels: one (B, window, window, 3) uint8 tensor per level.
        patch: side of a patch on each level; larger ones are averaged down to the smallest, P.

    Returns:
        (B, N, P * P * 3) float32 in [-1, 1].
    """
    fine = min(patch)
    rows = [_cut(pooled(level, size // fine), fine) for level, size in zip(levels, patch)]
    return torch.cat(rows, dim=1).div_(127.5).sub_(1.0)


def pooled(level: torch.Tensor, shrink: int) -> torch.Tensor:
    """Means of squares: (B, window, window, 3) uint8 to a side of window / shrink, float32.

    Sums of whole rows first: they lie in one piece. As it is where `shrink` is 1.
    """
    if shrink == 1:
        return level
    batch, side = level.shape[0], level.shape[1] // shrink
    rows = level.float().reshape(batch, side, shrink, side, shrink, 3)
    tall = functools.reduce(torch.add, (rows[:, :, row] for row in range(shrink)))
    return functools.reduce(torch.add, (tall[:, :, :, column] for column in range(shrink))
                            ) / shrink ** 2


def _cut(level: torch.Tensor, side: int) -> torch.Tensor:
    """(B, window, window, 3) to (B, N, P * P * 3) float32, rows first."""
    batch, across = level.shape[0], level.shape[1] // side
    cut = level.reshape(batch, across, side, across, side, 3).permute(0, 1, 3, 2, 4, 5)
    return cut.reshape(batch, across * across, side * side * 3).float()
