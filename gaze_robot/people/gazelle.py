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


_LEFT = 0.05
"""Share of attention that must be left without the head's tokens: below, differences of sums lose
digits."""

_AT_ONCE = 2
"""People whose tokens fit a core's cache together: twelve at once take a tenth longer."""


class _Linear(nn.Linear):
    """A linear layer by oneDNN where that is there.

    MKL, which multiplies matrices for torch, leaves half of the vector unit of CPUs that are not
    Intel's idle: on an AMD EPYC with AVX-512 it takes twice the time.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.is_cpu and not torch.is_grad_enabled() and torch.backends.mkldnn.is_available():
            return F.linear(x.to_mkldnn(), self.weight, self.bias).to_dense()
        return super().forward(x)


class _Attention(nn.Module):
    """Multi-head self-attention, as timm lays out its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = _Linear(_WIDTH, 3 * _WIDTH, bias=False)
        self.proj = _Linear(_WIDTH, _WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        qkv = self.qkv(x).unflatten(-1, (3, _HEADS, -1)).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(*qkv.unbind(0))            # (P, heads, N, d)
        return self.proj(out.transpose(1, 2).flatten(2))


class _Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = _Linear(_WIDTH, 4 * _WIDTH)
        self.fc2 = _Linear(4 * _WIDTH, _WIDTH)

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


class SharedScene:
    """The first block's work on a scene, done once for all of its people.

    People differ in the tokens that their head covers, a handful of a thousand. Attention is a
    ratio of two sums over tokens, so a person's is the scene's with those terms exchanged.
    """

    def __init__(self, block: _Block, scene: torch.Tensor) -> None:
        """Attend once; scene (N, D)."""
        self._block, self._scene = block, scene
        self._q, self._k, self._v = self._project(scene)                      # (heads, N, d)
        scores = self._q @ self._k.transpose(1, 2) * self._q.shape[-1] ** -0.5
        self._log_sum = scores.logsumexp(dim=2, keepdim=True)                 # (heads, N, 1)
        self._share = scores.sub_(self._log_sum).exp_()                       # (heads, N, N)
        self._out = self._share @ self._v

    def with_head(self, mask: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
        """The first block's output (N, D) with `token` (D,) added where `mask` (N,) is 1."""
        covered = mask.nonzero()[:, 0]
        x, out = self._scene, self._out
        if len(covered):
            x = x.clone()
            x[covered] += token
            out = self._exchanged(x, covered)
        x = x + self._block.attn.proj(out.transpose(0, 1).flatten(1))
        y: torch.Tensor = x + self._block.mlp(self._block.norm2(x))
        return y

    def _exchanged(self, x: torch.Tensor, covered: torch.Tensor) -> torch.Tensor:
        q, k, v = self._project(x[covered])                                   # (heads, M, d)
        scale = q.shape[-1] ** -0.5
        gone = self._share[:, :, covered]                                     # (heads, N, M)
        left = 1 - gone.sum(dim=2, keepdim=True)
        if left.min() < _LEFT:
            return self._anew(x)
        new = (self._q @ k.transpose(1, 2) * scale - self._log_sum).exp()
        out = (self._out - gone @ self._v[:, covered] + new @ v) / (
            left + new.sum(dim=2, keepdim=True))
        keys, values = self._k.clone(), self._v.clone()
        keys[:, covered], values[:, covered] = k, v
        out[:, covered] = F.scaled_dot_product_attention(q[None], keys[None], values[None])[0]
        return out

    def _anew(self, x: torch.Tensor) -> torch.Tensor:
        """All of it, where too little would be left to subtract from."""
        q, k, v = self._project(x)
        return F.scaled_dot_product_attention(q[None], k[None], v[None])[0]

    def _project(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        qkv = self._block.attn.qkv(self._block.norm1(x))
        parts: tuple[torch.Tensor, ...] = qkv.unflatten(-1, (3, _HEADS, -1)).permute(
            1, 2, 0, 3).unbind(0)
        return parts


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
        if self.inout:                                                   # one token more, N + 1
            scene = torch.cat([self.inout_token.weight.expand(len(scene), 1, -1), scene], dim=1)
            masks = F.pad(masks, (1, 0))
        seen = [SharedScene(self._blocks[0], one) for one in scene]
        heatmaps, inside = self._decoded(seen, whose.tolist(), masks)
        return (list(heatmaps.split(counts)),
                None if inside is None else list(inside.split(counts)))

    def _decoded(self, scenes: 'Sequence[SharedScene]', whose: Sequence[int], masks: torch.Tensor
                 ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Heatmaps (P, 2 G, 2 G) and (P,) of all people, a few at once."""
        weight, bias = self._readout()
        first, last = int(self.inout), self._blocks[-1]
        # The last layer and the readout are linear: (4 D x D) and (D x 4) are one (4 D x 4).
        out = last.mlp.fc2
        whole, bias = weight.T @ out.weight, out.bias @ weight + bias
        cells, inside = [], []
        for start in range(0, len(whose), _AT_ONCE):
            some = range(start, min(start + _AT_ONCE, len(whose)))
            x = torch.stack([scenes[whose[k]].with_head(masks[k], self.head_token.weight[0])
                             for k in some])
            for block in self._blocks[1:-1]:
                x = block(x)
            x = x + last.attn(last.norm1(x))
            hidden = F.gelu(last.mlp.fc1(last.norm2(x)))
            cells.append((F.linear(hidden, whole, bias) + F.linear(x, weight.T))[:, first:])
            if self.inout:
                inside.append(self.inout_head(x[:, 0] + out(hidden[:, 0]))[:, 0].sigmoid())
        if not cells:
            none = masks.new_zeros(0)
            return none.view(0, HEATMAP, HEATMAP), none if self.inout else None
        heat = torch.cat(cells).sigmoid().view(-1, GRID, GRID, 2, 2).permute(0, 1, 3, 2, 4)
        return heat.reshape(-1, HEATMAP, HEATMAP), torch.cat(inside) if self.inout else None

    @property
    def _blocks(self) -> list[_Block]:
        return [block for block in self.transformer if isinstance(block, _Block)]

    def _readout(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(D, 4) and a bias: both layers of the head are linear and nothing is between them."""
        kernel, bias = (self.heatmap_head[0].get_parameter(name) for name in ('weight', 'bias'))
        weigh = self.heatmap_head[1].get_parameter('weight')[0, :, 0, 0]
        return torch.einsum('dcij,c->dij', kernel, weigh).flatten(1), bias @ weigh


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
