"""Sampled levels in, patches out, and where each patch sits: what the encoder is given.

B batch   N tokens   P patch side
"""

from collections.abc import Sequence
from dataclasses import dataclass
import functools

import numpy as np
import torch

from gaze_robot.foveation import FoveationPattern
from gaze_robot.foveation.front_end import FrontEnd, PyramidFrontEnd


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


def patchify(levels: Sequence[torch.Tensor], patch: Sequence[int]) -> torch.Tensor:
    """Cut views into patches.

    Args:
        levels: one (B, window, window, 3) uint8 tensor per level.
        patch: side of a patch on each level; larger ones are averaged down to the smallest, P.

    Returns:
        (B, N, P * P * 3) float32 in [-1, 1].
    """
    rows, fine = [], min(patch)
    for level, size in zip(levels, patch):
        batch, across, pool = level.shape[0], level.shape[1] // size, size // fine
        if pool > 1:                     # sums of slices: no float copy of the full resolution
            level = functools.reduce(torch.add, (
                level[:, y::pool, x::pool].to(torch.int32)
                for y in range(pool) for x in range(pool))).float() / pool ** 2
        cut = level.reshape(batch, across, fine, across, fine, 3).permute(0, 1, 3, 2, 4, 5)
        rows.append(cut.reshape(batch, across * across, fine * fine * 3).float())
    return torch.cat(rows, dim=1).div_(127.5).sub_(1.0)
