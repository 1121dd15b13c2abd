"""Search source: from tokens, an exemplar and its correlation evidence to a heatmap per level.

B batch   L levels   N tokens   D width   C cells across a level   K compared features
"""

import functools
import math

import numpy as np
import torch
from torch import nn

from gaze_robot.foveation import FrontEnd, PyramidFrontEnd
from gaze_robot.gaze_target.evidence import CELLS

_COMPARED = 8
_POINTS = 3
"""Points across a cell at which tokens are asked, where tokens do not divide the cells."""


class SearchHead(nn.Module):
    """Judges every cell of every level: is this what the exemplar shows?

    Each level has its own distribution over its cells and "not in view", so that a coarse level's
    guess can be compared with, and overruled by, a sharp one's.
    """

    def __init__(self, width: int, front_end: FrontEnd) -> None:
        super().__init__()
        across = front_end.pattern.tokens_across
        self.tokens_across: tuple[int, ...] = ()
        """Of each level, where every token has whole cells (or cells whole tokens) of its own."""
        if isinstance(front_end, PyramidFrontEnd) and not any(CELLS % side for side in across):
            self.tokens_across = across
            self.subdivision = max(CELLS // side for side in across)
        else:
            cells = max(int(np.bincount(tokens[tokens >= 0]).max()) for tokens in (
                front_end.cell_tokens(level, CELLS) for level in range(front_end.pattern.levels)))
            self.subdivision = math.ceil(math.sqrt(cells))
            self.register_buffer('points', torch.from_numpy(
                cell_points(front_end, self.subdivision)), persistent=False)
        self.compared = _COMPARED
        self.view = nn.Linear(width, self.subdivision ** 2 * _COMPARED)
        self.query = nn.Linear(width, _COMPARED)
        self.judge = nn.Sequential(nn.Conv2d(_COMPARED + 5, 24, 3, padding=1), nn.GELU(),
                                   nn.Conv2d(24, 1, 1))
        self.absent = nn.Sequential(nn.Linear(_COMPARED + 5, 24), nn.GELU(), nn.Linear(24, 1))

    def _cells(self, tokens: torch.Tensor) -> torch.Tensor:
        """Spread each token over its cells: (B, N, D) -> (B, L, K, C, C)."""
        if not self.tokens_across:
            parts = self.view(tokens).reshape(tokens.shape[0], -1, self.compared)
            points = self.get_buffer('points')
            sums = functools.reduce(torch.add, (parts.index_select(1, point) for point in points))
            return (sums / len(points)).view(tokens.shape[0], -1, CELLS, CELLS, self.compared
                                             ).permute(0, 1, 4, 2, 3)
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


def cell_points(front_end: FrontEnd, subdivision: int) -> np.ndarray:
    """Which part of which token shows each of a few points of every cell.

    A point that no token shows asks the one that comes next on the way to the fixation.

    Args:
        front_end: whose tokens these are.
        subdivision: parts across a token.

    Returns:
        (_POINTS ** 2, L * CELLS * CELLS) int64, token * subdivision ** 2 + its part, rows first.
    """
    side, fine = front_end.token_side, CELLS * _POINTS
    steps = (np.arange(fine) + 0.5) / fine * 2 - 1
    grid = np.stack(np.meshgrid(steps, steps))                                   # (2, fine, fine)
    half = [front_end.pattern.half_tangent(level) for level in range(front_end.pattern.levels)]
    x, y = np.multiply.outer(half, grid).transpose(1, 0, 2, 3)                   # (L, fine, fine)
    token, row, column = front_end.locate(x, y)
    for reach in np.linspace(1, 0, 101)[1:]:
        lost = token < 0
        if not lost.any():
            break
        token[lost], row[lost], column[lost] = front_end.locate(x[lost] * reach, y[lost] * reach)
    part = (token * subdivision + row * subdivision // side) * subdivision + (
        column * subdivision // side)
    return part.reshape(-1, CELLS, _POINTS, CELLS, _POINTS).transpose(2, 4, 0, 1, 3).reshape(
        _POINTS ** 2, -1)
