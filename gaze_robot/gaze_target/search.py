"""Search source: from tokens, an exemplar and its correlation evidence to a heatmap per level.

B batch   L levels   N tokens   D width   C cells across a level   K compared features
"""

import torch
from torch import nn

from gaze_robot.errors import ConfigError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.gaze_target.evidence import CELLS

_COMPARED = 8


class SearchHead(nn.Module):
    """Judges every cell of every level: is this what the exemplar shows?

    Each level has its own distribution over its cells and "not in view", so that a coarse level's
    guess can be compared with, and overruled by, a sharp one's.
    """

    def __init__(self, width: int, pattern: FoveationPattern) -> None:
        super().__init__()
        self.tokens_across = pattern.tokens_across
        if any(CELLS % across for across in self.tokens_across):
            raise ConfigError(f'{CELLS} heatmap cells cannot be shared out to '
                              f'{self.tokens_across} tokens; choose window / patch to divide them')
        self.subdivision = max(CELLS // across for across in self.tokens_across)
        self.compared = _COMPARED
        self.view = nn.Linear(width, self.subdivision ** 2 * _COMPARED)
        self.query = nn.Linear(width, _COMPARED)
        self.judge = nn.Sequential(nn.Conv2d(_COMPARED + 5, 24, 3, padding=1), nn.GELU(),
                                   nn.Conv2d(24, 1, 1))
        self.absent = nn.Sequential(nn.Linear(_COMPARED + 5, 24), nn.GELU(), nn.Linear(24, 1))

    def _cells(self, tokens: torch.Tensor) -> torch.Tensor:
        """Spread each token over its cells: (B, N, D) -> (B, L, K, C, C)."""
        levels, start = [], 0
        for across in self.tokens_across:
            part = tokens[:, start:start + across ** 2]
            start += across ** 2
            fine = self.view(part).view(-1, across, across, self.subdivision, self.subdivision,
                                        self.compared)
            fine = fine.permute(0, 5, 1, 3, 2, 4).reshape(
                part.shape[0], self.compared, across * self.subdivision, across * self.subdivision)
            if fine.shape[-1] != CELLS:
                fine = nn.functional.avg_pool2d(fine, fine.shape[-1] // CELLS)
            levels.append(fine)
        return torch.stack(levels, dim=1)

    def forward(self, tokens: torch.Tensor, exemplar: torch.Tensor, evidence: torch.Tensor,
                valid: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of the target's place.

        Args:
            tokens: (B, N, D) of the view.
            exemplar: (B, M, D) tokens of the exemplar.
            evidence: (B, L, C, C) correlation in [-1, 1].
            valid: (B, L, C, C) bool, False outside the picture.
            size: (B, L) log of the exemplar's width in cells.

        Returns:
            (B, L, C * C + 1); the last entry is "not in this level's view".
        """
        batch, levels = evidence.shape[:2]
        query = self.query(exemplar.mean(dim=1))                             # (B, K)
        compared = self._cells(tokens) * query[:, None, :, None, None]
        masked = evidence.masked_fill(~valid, -1.0)
        top = masked.flatten(2).amax(dim=2)                                  # (B, L)
        peak = top[:, :, None, None].expand_as(evidence)
        overall = top.amax(dim=1)[:, None, None, None].expand_as(evidence)
        planes = torch.stack([evidence, evidence - peak, evidence - overall, valid.float(),
                              size[:, :, None, None].expand_as(evidence)], dim=2)
        cells = self.judge(torch.cat([compared, planes], dim=2).flatten(0, 1))
        cells = cells.view(batch, levels, -1).masked_fill(~valid.flatten(2), -30.0)
        second = masked.flatten(2).topk(8, dim=2).values[..., -1]
        absent = self.absent(torch.cat([
            query[:, None].expand(-1, levels, -1), top[..., None],
            top.amax(dim=1)[:, None, None].expand(-1, levels, 1), second[..., None],
            size[..., None], valid.float().mean(dim=(2, 3))[..., None]], dim=2))
        return torch.cat([cells, absent], dim=2).log_softmax(dim=2)
