"""A small vision transformer over foveated views.

B batch   L levels   N tokens   D width   P patch side
"""

from collections.abc import Sequence
from dataclasses import dataclass
import functools
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from gaze_robot.encoder.positions import frequencies, rotate, rotation
from gaze_robot.errors import ConfigError
from gaze_robot.foveation import FoveationPattern


@dataclass(frozen=True)
class EncoderConfig:
    """Size of the encoder."""

    width: int = 96
    depth: int = 3
    heads: int = 4
    registers: int = 4
    patch: int = 16

    def __post_init__(self) -> None:
        if self.width % (4 * self.heads):
            raise ConfigError(f'width {self.width} must be a multiple of 4 x heads = '
                              f'{4 * self.heads}: rotary positions turn pairs in x and in y')


@dataclass(frozen=True, eq=False)
class TokenLayout:
    """Where tokens sit and how coarse they are."""

    position_rad: torch.Tensor
    """(N, 2) or (B, N, 2) visual angle (right, down) of each token's centre."""

    log_scale: torch.Tensor
    """(N,) or (B, N) natural log of the visual angle of one sample, over one degree."""

    @classmethod
    def of_pattern(cls, pattern: FoveationPattern) -> 'TokenLayout':
        """Tokens of a foveated view, level by level, rows first."""
        positions, scales = [], []
        for level in range(pattern.levels):
            side = pattern.tokens_across[level]
            steps = ((np.arange(side) + 0.5) / side * 2 - 1) * pattern.half_tangent(level)
            x, y = np.meshgrid(np.arctan(steps), np.arctan(steps))
            positions.append(np.stack([x, y], axis=-1).reshape(-1, 2))
            sample = 2 * pattern.half_tangent(level) / (side * pattern.token_side)
            scales.append(np.full(side * side, math.log(math.degrees(sample))))
        return cls(torch.from_numpy(np.concatenate(positions)).float(),
                   torch.from_numpy(np.concatenate(scales)).float())

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


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        batch, count, width = x.shape
        q, k, v = (self.qkv(self.norm1(x))
                   .view(batch, count, 3, self.heads, width // self.heads)
                   .permute(2, 0, 3, 1, 4).unbind(0))                  # (B, heads, N, D / heads)
        mixed = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, count, width))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate='tanh'))


class FoveatedViT(nn.Module):
    """Patches of all levels in one sequence, nested rotary positions, register tokens.

    A patch knows its place by rotation and its coarseness by an additive embedding of the log of
    its sample size, so the same weights read any pattern and an exemplar of any angular size.
    Registers (Darcet et al. 2023) are dropped from the output.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Linear(config.patch ** 2 * 3, config.width)
        self.scale = nn.Linear(3, config.width)
        self.registers = nn.Parameter(torch.randn(config.registers, config.width) * 0.02)
        self.blocks = nn.ModuleList(_Block(config.width, config.heads)
                                    for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.frequency: torch.Tensor
        self.register_buffer('frequency', frequencies(config.width // config.heads),
                             persistent=False)

    def forward(self, patches: torch.Tensor, layout: TokenLayout) -> torch.Tensor:
        """Encode (B, N, P * P * 3) patches to (B, N, D) tokens."""
        batch, registers = len(patches), self.config.registers
        s = layout.log_scale[..., None]
        x = self.embed(patches) + self.scale(torch.cat([s, s.sin(), s.cos()], dim=-1))
        x = torch.cat([self.registers.expand(batch, -1, -1), x], dim=1)
        cos, sin = rotation(layout.position_rad, self.frequency)
        cos = F.pad(cos, (0, 0, registers, 0), value=1.0)    # registers sit at the fixation
        sin = F.pad(sin, (0, 0, registers, 0))
        if cos.ndim == 3:
            cos, sin = cos[:, None], sin[:, None]
        for block in self.blocks:
            x = block(x, cos, sin)
        return self.norm(x[:, registers:])
