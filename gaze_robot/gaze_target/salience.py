"""Salience: what stands out of its level, without an exemplar and without learning.

The features are those of Itti, Koch and Niebur (1998): intensity, red-green, blue-yellow, and how
strongly and along what direction the picture changes. A cell is as salient as its features are
improbable among those of its level (self-information, Bruce and Tsotsos 2009; here under one
normal distribution per feature).

They are read from the same samples as the encoder's tokens, at the heatmap's resolution. The
tokens themselves are too coarse for it: by what is unusual among them the odd one of 9 to 25
things was found in 9 % of 240 displays, or 19 % with tokens whitened over rooms; by these features
in 96 % (chance is 8 %; measured on three levels of 4 x 4 tokens).

B batch   L levels   C cells across a level
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from gaze_robot.gaze_target.evidence import CELLS

FEATURES = 6
"""Intensity, red-green, blue-yellow, change, and its direction as a double angle's two parts."""

_FLOOR = 4.0
"""Grey levels by which the features of a flat surface spread all the same: noise is no news."""

_HALF = 2.0
"""How many times more improbable than an average cell a cell of salience 1/2 is."""


def cell_features(levels: Sequence[torch.Tensor]) -> torch.Tensor:
    """What is where: grey levels, and of the change of grey levels per fine sample the square.

    Args:
        levels: one (B, window, window, 3) uint8 tensor per level; windows are multiples of CELLS.

    Returns:
        (B, L, FEATURES, C, C) float32.
    """
    fine = 2 if all(level.shape[1] % (2 * CELLS) == 0 for level in levels) else 1
    r, g, b = torch.cat([
        F.avg_pool2d(level.permute(0, 3, 1, 2).float(), level.shape[1] // (fine * CELLS))[:, None]
        for level in levels], dim=1).unbind(2)                             # (B, L, side, side)
    seen = torch.stack([(r + g + b) / 3, r - g, b - (r + g) / 2], dim=2).flatten(0, 1)
    around = F.pad(seen, (1, 1, 1, 1), mode='replicate')
    right = around[:, :, 1:-1, 2:] - around[:, :, 1:-1, :-2]
    down = around[:, :, 2:, 1:-1] - around[:, :, :-2, 1:-1]
    across, along = (right * right).sum(1), (down * down).sum(1)
    change = torch.stack([across + along, across - along, 2 * (right * down).sum(1)], dim=1) / 4
    cells = F.avg_pool2d(torch.cat([seen, change], dim=1), fine)
    return cells.view(-1, len(levels), FEATURES, CELLS, CELLS)


def in_grey_levels(features: torch.Tensor) -> torch.Tensor:
    """The features with change, an energy so far, in the unit of the others."""
    change = (features[:, :, 3:4].clamp_min(0) + 1).sqrt()
    return torch.cat([features[:, :, :3], change, features[:, :, 4:] / change], dim=2)


class Salience(nn.Module):
    """Self-information of every cell among those of its level."""

    def forward(self, features: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """Judge.

        Args:
            features: (B, L, FEATURES, C, C) of `cell_features`.
            valid: (B, L, C, C) bool, False outside the picture.

        Returns:
            (B, L, C, C) float32 in [0, 1): 0 for what is no rarer than an average cell; 0 outside
            the picture and, as the picture's edge is none of the world's, right beside it.
        """
        outside = F.max_pool2d((~valid).float(), 3, 1, 1)
        inside = (1 - outside)[:, :, None]                                  # (B, L, 1, C, C)
        shown = _averaged(inside).clamp_min(1e-6)
        features = in_grey_levels(_averaged(features * inside) / shown)
        count = inside.sum(dim=(3, 4), keepdim=True).clamp_min(1)
        mean = (features * inside).sum(dim=(3, 4), keepdim=True) / count
        apart = (features - mean) ** 2 * inside
        spread = apart.sum(dim=(3, 4), keepdim=True) / count + _FLOOR ** 2
        rarity = _averaged((apart / spread).mean(dim=2, keepdim=True))[:, :, 0]
        excess = (rarity - 1).clamp_min(0)
        return excess / (excess + _HALF) * inside[:, :, 0]


def _averaged(maps: torch.Tensor) -> torch.Tensor:
    """Means of 3 x 3 cells of (B, L, K, C, C)."""
    pooled = F.avg_pool2d(maps.flatten(0, 1), 3, 1, 1, count_include_pad=False)
    return pooled.view(maps.shape)
