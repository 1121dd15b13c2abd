"""Gaze-LLE: a decoder that reads where people look from a frozen DINOv2's features.

Ryan et al., "Gaze-LLE: Gaze Target Estimation via Large-Scale Learned Encoders" (CVPR 2025). The
names of modules are those of the published checkpoints, which hold the decoder alone.

B pictures   P people of all pictures   W width of the backbone   D 256   G 32 cells across
N = G * G scene tokens, rows first
"""

from collections.abc import Sequence
import math

import torch
from torch import nn
from torch.nn import functional as F

from gaze_robot.errors import ConfigError, ImageError
from gaze_robot.people.records import Box

SIDE, PATCH = 448, 14
GRID = SIDE // PATCH
HEATMAP = 2 * GRID

_WIDTH, _HEADS, _BLOCKS = 256, 8, 3
_EPS = 1e-6
"""Of layer norms: that of timm 1.0.31, whose blocks upstream's code imports; once it was 1e-5."""


_AT_ONCE = 2
"""People whose tokens fit a core's cache together: twelve at once take a tenth longer."""


class _Attention(nn.Module):
    """Multi-head self-attention, as timm lays out its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(_WIDTH, 3 * _WIDTH, bias=False)
        self.proj = nn.Linear(_WIDTH, _WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        qkv = self.qkv(x).unflatten(-1, (3, _HEADS, -1)).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(*qkv.unbind(0))            # (P, heads, N, d)
        return self.proj(out.transpose(1, 2).flatten(2))


class _Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(_WIDTH, 4 * _WIDTH)
        self.fc2 = nn.Linear(4 * _WIDTH, _WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class _Block(nn.Module):
    """A transformer block with its norms first (Vaswani et al. 2017, Xiong et al. 2020)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(_WIDTH, eps=_EPS) for _ in range(2))
        self.attn, self.mlp = _Attention(), _Mlp()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class GazeDecoder(nn.Module):
    """Features and heads in, a heatmap for each head out."""

    def __init__(self, width: int, inout: bool) -> None:
        """Make the layers, at random.

        Args:
            width: W.
            inout: whether it also says how likely the target is inside the picture.
        """
        super().__init__()
        self.width, self.inout = width, inout
        self.linear = nn.Conv2d(width, _WIDTH, 1)
        self.head_token = nn.Embedding(1, _WIDTH)
        self.pos_embed: torch.Tensor
        self.register_buffer('pos_embed', sine_positions(_WIDTH, GRID, GRID))
        if inout:
            self.inout_token = nn.Embedding(1, _WIDTH)
        self.transformer = nn.Sequential(*(_Block() for _ in range(_BLOCKS)))
        self.heatmap_head = nn.Sequential(nn.ConvTranspose2d(_WIDTH, _WIDTH, 2, stride=2),
                                          nn.Conv2d(_WIDTH, 1, 1, bias=False))
        if inout:
            self.inout_head = nn.Sequential(nn.Linear(_WIDTH, 128), nn.ReLU(), nn.Dropout(0.1),
                                            nn.Linear(128, 1))

    def forward(self, features: torch.Tensor, boxes: Sequence[Sequence[Box | None]]
                ) -> tuple[list[torch.Tensor], list[torch.Tensor] | None]:
        """Decode.

        Args:
            features: (B, W, G, G) of the backbone.
            boxes: for each picture its heads, (x_min, y_min, x_max, y_max) in [0, 1] of the
                picture; None asks without saying whose gaze.

        Returns:
            For each picture (people, 64, 64) of probabilities, and (people,) of the target being
            inside the picture; None in the latter's place from a decoder that cannot tell.

        Raises:
            ImageError: features of another shape, or a box that is none.
        """
        if features.shape[1:] != (self.width, GRID, GRID) or len(features) != len(boxes):
            raise ImageError(f'{len(boxes)} pictures need features of shape '
                             f'{(len(boxes), self.width, GRID, GRID)}, got '
                             f'{tuple(features.shape)}')
        counts = [len(row) for row in boxes]
        scene = (self.linear(features) + self.pos_embed).flatten(2).transpose(1, 2)  # (B, N, D)
        whose = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        masks = head_masks([box for row in boxes for box in row]).to(features)       # (P, N)
        x = scene[whose.to(features.device)] + masks[..., None] * self.head_token.weight
        if self.inout:
            x = torch.cat([self.inout_token.weight.expand(len(x), 1, -1), x], dim=1)
        x = torch.cat([self.transformer(some) for some in x.split(_AT_ONCE)])
        heatmaps = self._heatmaps(x[:, int(self.inout):])
        inside = self.inout_head(x[:, 0])[:, 0].sigmoid() if self.inout else None
        return (list(heatmaps.split(counts)),
                None if inside is None else list(inside.split(counts)))

    def _heatmaps(self, x: torch.Tensor) -> torch.Tensor:
        """(P, N, D) to (P, 2 G, 2 G).

        Both layers of the head are linear and nothing is between them: one product of D x 4 in
        place of one of D x 4 D and one of D x 1.
        """
        kernel, bias = (self.heatmap_head[0].get_parameter(name) for name in ('weight', 'bias'))
        weigh = self.heatmap_head[1].get_parameter('weight')[0, :, 0, 0]
        weight = torch.einsum('dcij,c->dij', kernel, weigh).flatten(1)               # (D, 4)
        cells = (x @ weight + bias @ weigh).sigmoid()
        cells = cells.view(-1, GRID, GRID, 2, 2).permute(0, 1, 3, 2, 4)
        return cells.reshape(-1, HEATMAP, HEATMAP)


def sine_positions(width: int, rows: int, columns: int) -> torch.Tensor:
    """Two-dimensional sines and cosines (Vaswani et al. 2017, 3.5), (width, rows, columns).

    The first half of the channels speaks of the column, the second of the row; sine and cosine
    alternate.

    Raises:
        ConfigError: `width` is not a multiple of four.
    """
    if width % 4:
        raise ConfigError(f'positions in two directions need 4 n channels, not {width}')
    half = width // 2
    speed = torch.exp(torch.arange(0.0, half, 2) * -(math.log(10000.0) / half))
    out = torch.zeros(width, rows, columns)
    for first, count, axis in ((0, columns, 2), (half, rows, 1)):
        angle = speed[:, None] * torch.arange(float(count))                 # (half / 2, count)
        angle = angle.unsqueeze(3 - axis).expand(-1, rows, columns)
        out[first:first + half:2], out[first + 1:first + half:2] = angle.sin(), angle.cos()
    return out


def head_masks(boxes: Sequence[Box | None]) -> torch.Tensor:
    """Which cells each head covers, (P, N) float32 of 0 and 1; None covers nothing.

    Edges are rounded to cells, halves to the even one: a head narrower than a cell may cover
    none. Parts outside the picture are left out.

    Raises:
        ImageError: numbers that are not finite, or edges in the wrong order.
    """
    masks = torch.zeros(len(boxes), GRID, GRID)
    for mask, box in zip(masks, boxes):
        if box is None:
            continue
        x_min, y_min, x_max, y_max = box
        if not (all(map(math.isfinite, box)) and x_min <= x_max and y_min <= y_max):
            raise ImageError('a head is (x_min, y_min, x_max, y_max) as shares of the picture, '
                             f'got {tuple(box)}')
        left, top, right, bottom = (round(min(max(edge, 0.0), 1.0) * GRID) for edge in box)
        mask[top:bottom, left:right] = 1
    return masks.flatten(1)
