"""A small vision transformer over foveated views.

B batch   N tokens   D width   P patch side
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from gaze_robot.encoder.positions import frequencies, rotate, rotation
from gaze_robot.encoder.tokens import TokenLayout
from gaze_robot.errors import ConfigError


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
        batch, registers = patches.shape[0], self.config.registers
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
