"""A small vision transformer over foveated views.

B batch   N tokens   D width   P patch side
"""

from dataclasses import dataclass, field
import math

import torch
from torch import nn
from torch.nn import functional as F

from gaze_robot.encoder.positions import frequencies, rotate, rotation
from gaze_robot.encoder.pruning import Fusion, TokenBudget
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
        if min(self.width, self.depth, self.heads, self.patch) < 1 or self.registers < 0:
            raise ConfigError('width, depth, heads and patch are at least 1 and registers not '
                              f'negative, got {self}')
        if self.width % (4 * self.heads):
            raise ConfigError(f'width {self.width} must be a multiple of 4 x heads = '
                              f'{4 * self.heads}: rotary positions turn pairs in x and in y')


class Block(nn.Module):
    """A transformer block, norms first, with rotary positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, show: bool = False
                ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Mix and transform tokens; returns the attention, (B, heads, N, N), too if `show`."""
        batch, count, width = x.shape
        qkv = (self.qkv(self.norm1(x)).view(batch, count, 3, self.heads, width // self.heads)
               .permute(2, 0, 3, 1, 4))                            # (3, B, heads, N, D / heads)
        q, k = rotate(qkv[:2], cos, sin)
        v = qkv[2]
        attention = None
        if show:
            attention = (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(dim=-1)
            if torch.is_grad_enabled() and not attention.requires_grad:      # frozen weights
                attention.requires_grad_()
            mixed = attention @ v
        else:
            mixed = F.scaled_dot_product_attention(q, k, v)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, count, width))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate='tanh')), attention


@dataclass(eq=False)
class Watch:
    """What an explanation needs of one pass through the encoder."""

    attention: list[torch.Tensor] = field(default_factory=list)
    """Per block (B, heads, R + N, R + N), R registers first; narrower once tokens are fused."""

    fusion: list[Fusion | None] = field(default_factory=list)
    """Per block, which of its tokens stand for several."""

    tokens: torch.Tensor | None = None
    """(B, N, D) what the heads are given."""


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
        self.blocks = nn.ModuleList(Block(config.width, config.heads)
                                    for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.frequency: torch.Tensor
        self.register_buffer('frequency', frequencies(config.width // config.heads),
                             persistent=False)
        self.watch: Watch | None = None
        """Where the next passes leave their attention; None computes none."""

    def forward(self, patches: torch.Tensor, layout: TokenLayout,
                budget: TokenBudget | None = None) -> torch.Tensor:
        """Encode (B, N, P * P * 3) patches to (B, N, D) tokens."""
        batch, registers = patches.shape[0], self.config.registers
        s = layout.log_scale[..., None]
        x = self.embed(patches) + self.scale(torch.cat([s, s.sin(), s.cos()], dim=-1))
        x = torch.cat([self.registers.expand(batch, -1, -1), x], dim=1)
        cos, sin = self._rotation(layout.position_rad)
        whole, fusion = x, None
        for index, block in enumerate(self.blocks):
            limit = budget if budget and budget.spares(int(patches.shape[1]), index) else None
            x, attention = block(x, cos, sin, bool(limit or self.watch))
            if self.watch is not None:
                self.watch.attention.append(attention)
                self.watch.fusion.append(fusion)
            if limit is not None:
                fusion = Fusion.by_score(attention[..., registers:].mean(dim=(1, 2)), limit)
                whole = x
                x = torch.cat([x[:, :registers], fusion.fuse(x[:, registers:])], dim=1)
                cos, sin = self._rotation(fusion.fuse(layout.position_rad.expand(batch, -1, -1)))
        x = x[:, registers:]
        if fusion is not None:
            x = fusion.restore(whole[:, registers:], x)
        x = self.norm(x)
        if self.watch is not None:
            self.watch.tokens = x
        return x

    def _rotation(self, position_rad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of registers and tokens; registers sit at the fixation."""
        cos, sin = rotation(position_rad, self.frequency)
        cos = F.pad(cos, (0, 0, self.config.registers, 0), value=1.0)
        sin = F.pad(sin, (0, 0, self.config.registers, 0))
        return (cos[:, None], sin[:, None]) if cos.ndim == 3 else (cos, sin)
