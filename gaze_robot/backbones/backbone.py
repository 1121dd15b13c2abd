"""DINOv2 and DINOv3 read foveated tokens: their blocks, our patches and positions.

A pretrained picture spans [-1, 1] in both directions. Here the tangent plane around the fixation
out to the widest level takes its place, so the tokens of all levels share one picture: a sharp
level's tokens lie close together in its middle, as those of an enlarged picture would. What
shows a straight line in the world then stays on a straight line of positions, as in the
photographs that the model was trained on.

B batch   N tokens   D width   P side of a token's patch
"""

from collections.abc import Sequence
import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from gaze_robot.backbones.adapt import patch_embedding, rotary, sample_grid
from gaze_robot.backbones.loading import read_model
from gaze_robot.backbones.store import how_to_get, known_sha256, model_folder
from gaze_robot.backbones.table import backbone_row
from gaze_robot.encoder import TokenLayout
from gaze_robot.errors import CheckpointError, ConfigError


@dataclass(frozen=True)
class BackboneConfig:
    """Which pretrained model, and what of it is used."""

    name: str = 'dinov2-small'
    """See `gaze-robot weights list`."""

    folder: str = ''
    """Where its config.json and model.safetensors lie; '' is the weight store."""

    layers: tuple[int, ...] = (-1,)
    """Whose tokens are given, side by side in one vector: 0 is what enters the first block, i
    what leaves block i, -1 the last; each is normalised by the model's last norm."""

    patch: int = 16
    """Side of the patches that it is given, samples."""

    frozen: bool = True
    """Leave the weights as they are: no gradients, no dropout."""

    width: int = 0
    """Channels of a token; 0 asks the weights."""

    revision: str = ''
    """Commit of the hub repository they come from; filled in."""

    sha256: tuple[str, ...] = ()
    """Of its files, in the order of the table; () takes what is there, and is filled in."""


@dataclass(frozen=True, eq=False)
class Features:
    """All that a backbone says of a batch of views; register tokens are never part of it."""

    tokens: torch.Tensor
    """(B, N, D) after the last norm."""

    class_token: torch.Tensor
    """(B, D) after the last norm."""

    layers: tuple[torch.Tensor, ...]
    """(B, N, D) each, of the layers asked for, without the last norm."""


class Backbone(nn.Module):
    """A pretrained transformer in the place of `FoveatedViT`: same call, same shapes."""

    def __init__(self, model: Any, config: BackboneConfig, half_tangent: float) -> None:
        """Take a model of transformers apart.

        Args:
            model: a `Dinov2Model`, `Dinov2WithRegistersModel` or `DINOv3ViTModel`; its blocks
                are used, not copied.
            config: its `width` is filled in.
            half_tangent: tangent of the angle from the fixation to the edge of the widest level.

        Raises:
            ConfigError: a layer or a width that the model does not have.
        """
        super().__init__()
        own, parts = model.config, model.embeddings
        self.rotary = own.model_type == 'dinov3_vit'
        self.antialias = own.model_type == 'dinov2_with_registers'
        self.half_tangent = half_tangent
        self.blocks = model.model.layer if self.rotary else model.encoder.layer
        self.norm = model.norm if self.rotary else model.layernorm
        depth, width = len(self.blocks), own.hidden_size
        self._layers = [_layer(layer, depth) for layer in config.layers]
        if config.width not in (0, width * len(config.layers)) or not config.layers:
            raise ConfigError(f'width {config.width} is not that of layers {config.layers} of '
                              f'{config.name}: {len(config.layers)} x {width}; leave it 0')
        self.config = dataclasses.replace(config, width=width * len(config.layers))
        convolution = parts.patch_embeddings
        if not self.rotary:
            convolution = convolution.projection
        self.embed = nn.Linear(config.patch ** 2 * 3, width)
        weight, bias = patch_embedding(convolution.weight, convolution.bias, config.patch)
        self.embed.weight, self.embed.bias = nn.Parameter(weight), nn.Parameter(bias)
        prefix = [parts.cls_token.detach()[0]]
        if not self.rotary:
            positions = parts.position_embeddings.detach()[0]
            prefix[0] = prefix[0] + positions[:1]
            side = round((len(positions) - 1) ** 0.5)
            self.grid = nn.Parameter(positions[1:].reshape(side, side, width).clone())
        else:
            self.frequency: torch.Tensor
            self.register_buffer('frequency', model.rope_embeddings.inv_freq.detach().clone())
        if hasattr(parts, 'register_tokens'):
            prefix.append(parts.register_tokens.detach()[0])
        self.prefix = nn.Parameter(torch.cat(prefix).clone())
        """(1 + registers, D): the class token and the registers, in the model's order."""
        self.requires_grad_(not config.frozen)
        self.train(False)

    def train(self, mode: bool = True) -> 'Backbone':
        """See `nn.Module.train`; a frozen backbone stays as it was trained."""
        return super().train(mode and not self.config.frozen)

    def forward(self, patches: torch.Tensor, layout: TokenLayout) -> torch.Tensor:
        """Encode (B, N, P * P * 3) patches in [-1, 1] to (B, N, D) tokens, D `config.width`."""
        states = self._states(patches, layout)
        return torch.cat([self.norm(states[layer][:, len(self.prefix):])
                          for layer in self._layers], dim=-1)

    def features(self, patches: torch.Tensor, layout: TokenLayout, layers: Sequence[int] = ()
                 ) -> Features:
        """Encode and give the parts apart.

        Args:
            patches: (B, N, P * P * 3) in [-1, 1].
            layout: where the N tokens sit.
            layers: as in `BackboneConfig.layers`.

        Raises:
            ConfigError: a layer that the model does not have.
        """
        chosen = [_layer(layer, len(self.blocks)) for layer in layers]
        states, first = self._states(patches, layout), len(self.prefix)
        last = self.norm(states[-1])
        return Features(last[:, first:], last[:, 0],
                        tuple(states[layer][:, first:] for layer in chosen))

    def _states(self, patches: torch.Tensor, layout: TokenLayout) -> list[torch.Tensor]:
        """What enters the first block and what leaves each, (B, 1 + registers + N, D)."""
        place = layout.position_rad.tan() / self.half_tangent
        x = self.embed(patches)
        given = {}
        if self.rotary:
            cos, sin = rotary(self.frequency, place)
            if cos.ndim == 3:                             # one layout per picture: all heads alike
                cos, sin = cos[:, None], sin[:, None]
            given['position_embeddings'] = cos, sin
        else:
            sample = torch.deg2rad(layout.log_scale.exp())
            x = x + sample_grid(self.grid, place, sample * (self.config.patch / self.half_tangent),
                                self.antialias)
        states = [torch.cat([self.prefix.expand(x.shape[0], -1, -1), x], dim=1)]
        for block in self.blocks:
            out = block(states[-1], **given)
            states.append(out[0] if isinstance(out, tuple) else out)
        return states


def load_backbone(config: BackboneConfig, half_tangent: float) -> Backbone:
    """Read a pretrained backbone from the weight store or a folder; never from the network.

    Args:
        config: which.
        half_tangent: see `Backbone`; `pattern.half_tangent(pattern.levels - 1)`.

    Raises:
        ConfigError: no such model.
        CheckpointError: its files are missing, altered, those of another model, or others than
            `config.sha256` asks for.
    """
    row = backbone_row(config.name)
    folder = model_folder(row, config.folder)
    found = known_sha256(row, folder)
    if config.sha256 not in ((), found):
        wrong = [file.name for file, here, wanted in zip(row.files, found, config.sha256)
                 if here != wanted]
        raise CheckpointError(
            f'{" and ".join(wrong) or "what there is"} of {row.name} in {folder} differs from '
            f'what the heads were trained with (revision {config.revision or "unknown"}); get '
            f'that again: {how_to_get(row)}; or train anew')
    config = dataclasses.replace(config, revision=row.revision, sha256=found)
    return Backbone(read_model(folder, row.kind, row.width), config, half_tangent)


def _layer(layer: int, depth: int) -> int:
    """Index into the states from one that may count from the end."""
    if not -depth - 1 <= layer <= depth:
        raise ConfigError(f'there is no layer {layer}: the model has blocks 1 to {depth}, and 0 '
                          'is what enters the first')
    return layer % (depth + 1)
