"""Gaze-LLE from picture to heatmaps: DINOv2 once per picture, the decoder once per head."""

from collections.abc import Mapping, Sequence
import math
from pathlib import Path
import pickle

import numpy as np
import torch
from torch.nn import functional as F

from gaze_robot.backbones.backbone import Backbone, BackboneConfig, load_backbone
from gaze_robot.encoder import patchify, TokenLayout
from gaze_robot.errors import CheckpointError
from gaze_robot.people.gazelle import GazeDecoder, GRID, PATCH, SIDE
from gaze_robot.people.records import Gazes, Head

_BACKBONES = {768: 'dinov2-base', 1024: 'dinov2-large'}
_OFFSET = 0.1
"""Cells by which DINOv2's own code stretches its grid of positions; Gaze-LLE was trained so."""


class GazeLLE:
    """A gaze model: any number of heads in one pass of the backbone."""

    def __init__(self, backbone: Backbone, decoder: GazeDecoder, source: str) -> None:
        """Put both parts together.

        Args:
            backbone: of DINOv2, reading patches of 14 with `half_tangent` 1.
            decoder: for its width.
            source: name in the results.

        Raises:
            CheckpointError: the decoder is for a backbone of another width.
        """
        if backbone.config.width != decoder.width:
            raise CheckpointError(f'{source} reads a backbone {decoder.width} wide, '
                                  f'{backbone.config.name} is {backbone.config.width}')
        self.backbone, self.decoder, self.source = backbone.eval(), decoder.eval(), source
        self._layout = uniform_layout()

    def __call__(self, image: np.ndarray, heads: Sequence[Head | None]) -> Gazes:
        """See `GazeModel`."""
        with torch.inference_mode():
            heatmaps, inside = self.decoder(self.features(image),
                                            [[head and head.box for head in heads]])
        return Gazes(heatmaps[0].numpy(), None if inside is None else inside[0].numpy())

    def features(self, image: np.ndarray) -> torch.Tensor:
        """(1, W, 32, 32) of a picture (h, w, 3) uint8 RGB: the backbone, once."""
        pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
        pixels = F.interpolate(pixels, (SIDE, SIDE), mode='bilinear', antialias=True)
        patches = patchify([pixels.permute(0, 2, 3, 1)], [PATCH])
        tokens = self.backbone(patches, self._layout)                       # (1, N, W)
        return tokens.transpose(1, 2).unflatten(2, (GRID, GRID))


def uniform_layout() -> TokenLayout:
    """Where the tokens of the whole picture sit, in DINOv2's own resized grid of positions.

    Its code resizes the grid by (32 + 0.1) / 37 and not by 32 / 37, so that a picture's last
    tokens sit a tenth of a cell farther in than they should.
    """
    place = (torch.arange(GRID, dtype=torch.float64) + 0.5) * (2 / (GRID + _OFFSET)) - 1
    down, right = torch.meshgrid(place, place, indexing='ij')
    position = torch.stack([right, down], dim=-1).reshape(-1, 2).atan().float()
    return TokenLayout(position, torch.full((GRID * GRID,), math.log(90.0 / SIDE)))


def load_decoder(path: Path) -> GazeDecoder:
    """Read a published checkpoint, a dictionary of the decoder's tensors.

    Raises:
        CheckpointError: no such file, or it is damaged, holds anything but tensors, lacks some of
            the decoder's or has others, or has one of the wrong shape or that is not finite.
    """
    tensors = read_tensors(path)
    projection = tensors.get('linear.weight')
    width = projection.shape[1] if projection is not None and projection.ndim == 4 else 0
    if width not in _BACKBONES:
        raise CheckpointError(f'{path} is no Gaze-LLE decoder: it has no linear.weight for a '
                              f'backbone {" or ".join(map(str, _BACKBONES))} wide; it holds '
                              f'{_names(tensors)}')
    inout = any(name.startswith('inout_') for name in tensors)
    decoder = GazeDecoder(width, inout)
    load_tensors(decoder, tensors, f'{path} does not fit Gaze-LLE')
    return decoder.eval().requires_grad_(False)


def load_gazelle(path: Path, backbone_folder: str = '') -> GazeLLE:
    """Read Gaze-LLE: a decoder and the DINOv2 that it is for; never from the network.

    Args:
        path: of the decoder's checkpoint.
        backbone_folder: where DINOv2 lies; '' is the weight store.

    Raises:
        CheckpointError: see `load_decoder` and `load_backbone`.
    """
    decoder = load_decoder(path)
    config = BackboneConfig(_BACKBONES[decoder.width], backbone_folder, patch=PATCH)
    return GazeLLE(load_backbone(config, half_tangent=1.0), decoder, path.stem)


def load_tensors(network: torch.nn.Module, tensors: dict[str, torch.Tensor], what: str) -> None:
    """Give a network exactly its own tensors.

    Args:
        what: begins the error.

    Raises:
        CheckpointError: some are missing, unknown, of another shape, or not finite; up to eight
            are named.
    """
    own = network.state_dict()
    wrong = [f'missing {name}' for name in own if name not in tensors]
    wrong += [f'unknown {name}' for name in tensors if name not in own]
    wrong += [f'{name} has shape {tuple(tensors[name].shape)}, not {tuple(value.shape)}'
              for name, value in own.items()
              if name in tensors and tensors[name].shape != value.shape]
    wrong += [f'{name} is not finite' for name, value in tensors.items()
              if not value.isfinite().all()]
    if wrong:
        raise CheckpointError(f'{what}: {"; ".join(sorted(wrong)[:8])}'
                              + (f' and {len(wrong) - 8} more' if len(wrong) > 8 else ''))
    network.load_state_dict(tensors)


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """A published checkpoint, as float32; nothing in it is executed.

    Raises:
        CheckpointError: there is no such file, or it is not a dictionary of tensors alone.
    """
    if not path.is_file():
        raise CheckpointError(f'there is no file {path}; `gaze-robot weights list` names the '
                              'published decoders')
    try:
        found = torch.load(path, map_location='cpu', weights_only=True)
    except (RuntimeError, OSError, pickle.UnpicklingError, EOFError, ValueError,
            KeyError) as error:
        raise CheckpointError(f'{path} cannot be read as a checkpoint of tensors: '
                              f'{" ".join(str(error).split())[:200]}') from error
    if not isinstance(found, dict) or not found or not all(
            isinstance(value, torch.Tensor) for value in found.values()):
        holds = _names(found) if isinstance(found, dict) else type(found).__name__
        raise CheckpointError(f'{path} is not a dictionary of tensors alone, it holds {holds}')
    return {str(name): value.float() for name, value in found.items()}


def _names(found: Mapping[str, object]) -> str:
    names = sorted(map(str, found))
    return ', '.join(names[:6]) + (f' and {len(names) - 6} more' if len(names) > 6 else '')
