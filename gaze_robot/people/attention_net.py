"""A small encoder that heads are tokens of, and a decoder that reads its attention.

ViTGaze (Song et al. 2024) found that a transformer's attention from a head to the rest of the
picture already says where its owner looks, so that almost no decoder is needed. This is the same
for a small encoder: the picture is cut into patches, each head comes as one token more, made from
a closer look at its face, and all of them go through the blocks together, once, however many heads
there are. The rows of attention from a head to the patches, one per block and attention head, are
read by a few small convolutions. Cells of a patch are also judged by whether they show something
to look at, how large, and lie the way the face looks (`attention_space`): towards such patches the
last block's attention from a head is shifted, and the decoder sees it, too.

B pictures   P heads in each   N patches, rows first   G patches across   W width   R registers
"""

from dataclasses import dataclass, field
import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from gaze_robot.encoder import Block, EncoderConfig, patchify
from gaze_robot.encoder.positions import rotate
from gaze_robot.errors import ConfigError
from gaze_robot.people.attention_space import in_sight, Towards
from gaze_robot.people.face_gaze import FaceNet

FINER = 2
"""Cells that the decoder makes of a patch, in each direction."""

_DIRECTIONS, _LONGEST, _SHORTEST = 4, 4.0, 0.25
"""Rotary positions: along so many directions, wavelengths over the picture's mean side."""
_CHANNELS, _HIDDEN = 16, 12
_STEM = (16, 32, 64)
"""Channels of the convolutions over a patch; with one more, four halvings: it has 16 pixels."""
_CLOSER = 24
"""Channels of those over cells."""
_FAINT = 1e-6
"""Added to attention before its logarithm."""
_THING = math.log(0.1)
"""Logarithm of a usual size of things, over the picture's mean side."""


@dataclass(frozen=True)
class ReaderConfig:
    """Size of the network."""

    side: int = 160
    """Pixels across the picture as the network reads it, whatever its shape."""

    encoder: EncoderConfig = field(default_factory=lambda: EncoderConfig(96, 3, 4, 4, 16))

    def __post_init__(self) -> None:
        if self.encoder.patch != 2 ** (len(_STEM) + 1):
            raise ConfigError(f'patches have 16 pixels here, not {self.encoder.patch}')
        if self.side % self.encoder.patch or self.encoder.width // self.encoder.heads % (
                2 * _DIRECTIONS):
            raise ConfigError(f'side {self.side} is a multiple of the patch {self.encoder.patch}, '
                              f'and the width of an attention head of {2 * _DIRECTIONS}')

    @property
    def grid(self) -> int:
        """G."""
        return self.side // self.encoder.patch


USUAL = ReaderConfig()


class PeopleEncoder(nn.Module):
    """Patches and heads in, attention from heads to patches and the heads' own tokens out."""

    def __init__(self, config: ReaderConfig) -> None:
        """Make the layers, at random."""
        super().__init__()
        self.config, size = config, config.encoder
        self.face = FaceNet(size.width)
        self.embed = nn.Linear(size.patch ** 2 * 3, size.width)
        self.stem = _stem()
        self.closer = nn.Sequential(nn.Conv2d(_STEM[-1], _CLOSER, 3, padding=1), nn.GELU(),
                                    nn.Conv2d(_CLOSER, 2, 3, padding=1))
        self.join = nn.Conv2d(_STEM[-1], size.width, 3, stride=2, padding=1, bias=False)
        nn.init.zeros_(self.join.weight)
        self.place = nn.Linear(4 * _DIRECTIONS, size.width)
        self.head = nn.Linear(size.width + 2, size.width)
        self.towards = Towards(size.heads + 1)
        self.things = nn.Linear(size.width, 2 * FINER ** 2)
        self.heed = nn.Parameter(torch.ones(size.heads))
        self.registers = nn.Parameter(torch.randn(size.registers, size.width) * 0.02)
        self.blocks = nn.ModuleList(Block(size.width, size.heads) for _ in range(size.depth))
        self.frequency: torch.Tensor
        self.register_buffer('frequency', _frequencies(size.width // size.heads // 2),
                             persistent=False)
        self.grid: torch.Tensor
        self.register_buffer('grid', _grid(config.grid), persistent=False)
        self.cells: torch.Tensor
        self.register_buffer('cells', F.pixel_unshuffle(_grid(config.grid * FINER).T.unflatten(
            1, (config.grid * FINER,) * 2)[:, None], FINER).permute(2, 3, 1, 0).reshape(-1, 2),
                             persistent=False)

    def forward(self, pictures: torch.Tensor, faces: torch.Tensor, boxes: torch.Tensor,
                aspect: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Encode.

        Args:
            pictures: (B, side, side, 3) uint8 RGB, squeezed to a square.
            faces: (B, P, FACE, FACE, 3) uint8 RGB.
            boxes: (B, P, 4) heads, as shares of the picture.
            aspect: (B,) width over height of the picture before it was squeezed.

        Returns:
            attention (B, P, depth * heads, N) of heads to patches; heads (B, P, W) what became of
            their tokens; features (B, P, W) of their faces; things (B, N, 2, FINER ** 2): logits
            of something that can be looked at being in a cell, and the logarithm of its longer
            side over the picture's mean side; fits (B, P, N, FINER ** 2): how well cells suit a
            face.
        """
        batch, people = boxes.shape[:2]
        registers = self.registers.shape[0]
        stretch = torch.stack([aspect.sqrt(), aspect.rsqrt()], dim=-1)[:, None]      # (B, 1, 2)
        middle, size = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
        middle, size = (middle - 0.5) * stretch, (size * stretch).clamp(min=1e-3)
        places = torch.cat([(self.grid - 0.5) * stretch, middle], dim=1)
        features = self.face(faces.flatten(0, 1)).unflatten(0, (batch, people))
        heads = self.head(torch.cat([features, size.log()], dim=-1))
        near = self.stem(pictures.permute(0, 3, 1, 2).float() / 127.5 - 1)
        patches = self.embed(patchify([pictures], [self.config.encoder.patch])) + self.join(
            near).flatten(2).transpose(1, 2)
        tokens = torch.cat([patches, heads], dim=1) + self.place(_waves(places))
        x = torch.cat([self.registers.expand(batch, -1, -1), tokens], dim=1)
        angle = (places[..., None] * self.frequency).sum(dim=-2)            # (B, N + P, d / 2)
        cos, sin = (F.pad(part, (0, 0, registers, 0), value=value)[:, None]
                    for part, value in ((angle.cos(), 1.0), (angle.sin(), 0.0)))
        rows = []
        for block in self.blocks[:-1]:
            x, attention = block(x, cos, sin, True)
            rows.append(attention[:, :, -people:] if people else attention[:, :, :0])
        patches = x[:, registers:registers + self.config.grid ** 2]
        things = (self.things(patches) + F.pixel_unshuffle(self.closer(near), FINER).flatten(
            2).transpose(1, 2)).float().unflatten(-1, (2, -1))
        things = torch.cat([things[:, :, :1], (things[:, :, 1:] + _THING).clamp(-4, 0.5)], dim=2)
        fits = self._judged(features, middle, size, things[:, :, 1], stretch, aspect)
        worth = fits[..., :-1] + self.heed * things[:, None, :, 0, :, None]
        shift = F.pad(worth.logsumexp(dim=3).permute(0, 3, 1, 2), (registers, people))
        x, attention = _asking(self.blocks[-1], x, cos, sin, shift)
        rows.append(attention)
        seen = torch.cat(rows, dim=1)[..., registers:registers + self.config.grid ** 2]
        return seen.transpose(1, 2), x, features, things, fits[..., -1]

    def _judged(self, features: torch.Tensor, middle: torch.Tensor, sides: torch.Tensor,
                sizes: torch.Tensor, stretch: torch.Tensor, aspect: torch.Tensor) -> torch.Tensor:
        """(B, P, N, FINER ** 2, heads + 1): what `Towards` says of all cells."""
        cells, size = (self.cells - 0.5) * stretch, sides.amax(dim=-1)
        offset = cells[:, None] - middle[:, :, None]
        # How large heads are is known; the larger one hides the other.
        known = torch.where((offset.abs() < sides[:, :, None] / 2).all(dim=-1), size[..., None], 0)
        nearest = known.amax(dim=1)
        sizes = torch.where(nearest > 0, nearest, sizes.flatten(1).exp())
        direction, spread = self.face.direction(features)
        return self.towards(direction, spread, offset, size, *in_sight(
            direction, (middle, size), (cells, sizes), aspect)).unflatten(2, (-1, FINER ** 2))


def _asking(block: Any, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, shift: torch.Tensor
            ) -> tuple[torch.Tensor, torch.Tensor]:
    """A block for the last tokens alone: they attend to all, the others are not needed any more.

    Args:
        shift: (B, heads, P, R + N + P) of the logits of attention.

    Returns:
        (B, P, W) their tokens; (B, heads, P, R + N + P) their attention.
    """
    (batch, count, width), people = x.shape, shift.shape[2]
    first = count - people
    q, k, v = block.qkv(block.norm1(x)).view(batch, count, 3, block.heads, -1).permute(
        2, 0, 3, 1, 4).unbind(0)
    q, k = rotate(q[:, :, first:], cos[:, :, first:], sin[:, :, first:]), rotate(k, cos, sin)
    attention = (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]) + shift).softmax(dim=-1)
    x = x[:, first:] + block.out((attention @ v).transpose(1, 2).reshape(batch, people, width))
    return x + block.down(F.gelu(block.up(block.norm2(x)), approximate='tanh')), attention


class AttentionDecoder(nn.Module):
    """Rows of attention to a heatmap and to the odds that the target is in the picture."""

    def __init__(self, rows: int, width: int, grid: int) -> None:
        """Make the layers, at random.

        Args:
            rows: of attention for each head.
            width: of a head's token.
            grid: G.
        """
        super().__init__()
        self.grid = grid
        self.read = nn.Conv2d(rows + 2 * FINER ** 2, _CHANNELS, 3, padding=1)
        self.draw = nn.Conv2d(_CHANNELS + 2 * FINER ** 2, FINER ** 2, 3, padding=1)
        self.judge = nn.Sequential(nn.Linear(width + rows + 2, _HIDDEN), nn.GELU(),
                                   nn.Linear(_HIDDEN, 1))

    def forward(self, attention: torch.Tensor, heads: torch.Tensor, things: torch.Tensor,
                fits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Decode.

        Args:
            attention: (B, P, rows, N).
            heads: (B, P, W).
            things: (B, N, FINER ** 2) logits, the same for all heads.
            fits: (B, P, N, FINER ** 2).

        Returns:
            logits (B, P, FINER * G, FINER * G) and (B, P).
        """
        shape = attention.shape[:-2]
        # In units of even attention: the number of patches does not matter then.
        level = (attention * attention.shape[-1] + _FAINT).log().flatten(0, -3).clamp(min=-8)
        cells = torch.cat([fits, things[:, None].expand_as(fits)], dim=-1)
        shown = cells.flatten(0, 1).transpose(1, 2).unflatten(-1, (self.grid, self.grid))
        maps = F.gelu(self.read(torch.cat([level.unflatten(-1, shown.shape[-2:]), shown], dim=1)))
        cells = F.pixel_shuffle(self.draw(torch.cat([maps, shown], dim=1)), FINER)[:, 0]
        peaks = torch.stack([cells.flatten(1).amax(dim=1), cells.flatten(1).logsumexp(dim=1)],
                            dim=-1)
        facts = torch.cat([heads.flatten(0, -2), level.amax(dim=-1), peaks], dim=-1)
        return cells.unflatten(0, shape), self.judge(facts)[..., 0].unflatten(0, shape)


class AttentionReader(nn.Module):
    """Encoder and decoder; see the module."""

    def __init__(self, config: ReaderConfig = USUAL) -> None:
        """Make the layers, at random."""
        super().__init__()
        self.config = config
        self.encoder = PeopleEncoder(config)
        self.decoder = AttentionDecoder(config.encoder.depth * config.encoder.heads,
                                        config.encoder.width, config.grid)

    def forward(self, pictures: torch.Tensor, faces: torch.Tensor, boxes: torch.Tensor,
                aspect: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """See `PeopleEncoder` for what it takes.

        Returns:
            logits of a heatmap (B, P, FINER * G, FINER * G) and of the target being in the
            picture (B, P), features of the faces (B, P, W), and things (B, 2, FINER * G,
            FINER * G): see `PeopleEncoder`.
        """
        attention, heads, features, things, fits = self.encoder(pictures, faces, boxes, aspect)
        cells, inside = self.decoder(attention, heads, things[:, :, 0], fits)
        grid = self.config.grid
        things = F.pixel_shuffle(things.permute(0, 2, 3, 1).unflatten(3, (grid, grid)), FINER)
        return cells, inside, features, things[:, :, 0]


def _stem() -> nn.Sequential:
    """What cells show, by convolutions: sooner learned than by a product with a patch alone.

    What patches are told of it begins with zeros (Xiao et al. 2021 put such stems in the product's
    place).
    """
    layers: list[nn.Module] = []
    before = 3
    for after in _STEM:
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(4, after),
                   nn.GELU()]
        before = after
    return nn.Sequential(*layers)


def _frequencies(pairs: int) -> torch.Tensor:
    """(2, pairs): wave numbers along several directions, so that oblique lines are as easy as
    level ones (Heo et al. 2024: rotary positions with mixed axes).
    """
    lengths = pairs // _DIRECTIONS
    steps = torch.linspace(0, 1, lengths) if lengths > 1 else torch.zeros(1)
    wave = 2 * math.pi / (_LONGEST * (_SHORTEST / _LONGEST) ** steps)
    turn = torch.arange(_DIRECTIONS) * (math.pi / _DIRECTIONS)
    return torch.stack([(turn.cos()[:, None] * wave).flatten(),
                        (turn.sin()[:, None] * wave).flatten()])


def _grid(across: int) -> torch.Tensor:
    """(N, 2) middles of patches (right, down), as shares of the picture."""
    steps = (torch.arange(across) + 0.5) / across
    down, right = torch.meshgrid(steps, steps, indexing='ij')
    return torch.stack([right, down], dim=-1).reshape(-1, 2)


def _waves(places: torch.Tensor) -> torch.Tensor:
    """(..., 4 * _DIRECTIONS): sines and cosines of places (..., 2), two wavelengths."""
    turn = torch.arange(_DIRECTIONS, device=places.device) * (math.pi / _DIRECTIONS)
    along = places[..., :1] * turn.cos() + places[..., 1:] * turn.sin()
    return torch.cat([wave(along * speed) for speed in (math.pi, 3 * math.pi)
                      for wave in (torch.sin, torch.cos)], dim=-1)
