"""Where people look, read from a small encoder's attention: what the robot runs, and its file.

The network is in `attention_net`. A checkpoint is a folder of meta.json and weights.safetensors,
loaded strictly; nothing in it is executed.
"""

from collections.abc import Sequence
from dataclasses import asdict
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
import torch
from torch.nn import functional as F

from gaze_robot import __version__
from gaze_robot.checkpoint import fill, META, sha256, WEIGHTS
from gaze_robot.encoder import EncoderConfig
from gaze_robot.errors import CheckpointError, ConfigError, ImageError
from gaze_robot.people.attention_net import AttentionReader, ReaderConfig
from gaze_robot.people.face_gaze import cut_faces, facings
from gaze_robot.people.records import Box, Facing, Gazes, Head
from gaze_robot.schema import from_mapping

SHIPPED = Path(__file__).parents[1] / 'weights' / 'people'
"""The weights in the package."""

HEATMAP = 64
"""Cells across an answer."""

_KIND, _FORMAT = 'people-attention', 2


class AttentionGaze:
    """A gaze model: see `GazeModel`."""

    source = 'attention'

    def __init__(self, reader: AttentionReader, ceiling: float = 1.0) -> None:
        """Take a network.

        Args:
            reader: trained.
            ceiling: the highest confidence that its answers deserve.
        """
        self.reader, self._ceiling = reader.eval().requires_grad_(False), ceiling

    def __call__(self, image: np.ndarray, heads: Sequence[Head | None]) -> Gazes:
        """See `GazeModel`; the encoder runs once, however many heads there are."""
        return self.look(image, heads)[0]

    def look(self, image: np.ndarray, heads: Sequence[Head | None]) -> tuple[Gazes, list[Facing]]:
        """The same, and which way each face looks."""
        if any(head is None for head in heads):
            raise ImageError('this model starts from a head, and none was found or given')
        boxes = [head.box for head in heads if head is not None]
        if not boxes:
            return Gazes(np.zeros((0, HEATMAP, HEATMAP), np.float32), np.zeros(0, np.float32),
                         self._ceiling), []
        given = [torch.from_numpy(part)[None] for part in prepared(
            image, boxes, self.reader.config.side)]
        with torch.inference_mode():
            cells, inside, features, _ = self.reader(*given)
            maps = heatmaps(cells[0])
            faces = facings(*self.reader.encoder.face.bins(features[0]))
        return Gazes(maps.numpy(), inside[0].sigmoid().numpy(), self._ceiling), faces


def heatmaps(cells: torch.Tensor) -> torch.Tensor:
    """Logits (P, C, C) to probabilities (P, HEATMAP, HEATMAP)."""
    return F.interpolate(cells[:, None], (HEATMAP, HEATMAP), mode='bicubic')[:, 0].sigmoid()


def prepared(image: np.ndarray, boxes: Sequence[Box], side: int
             ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What the network is given of one picture, (h, w, 3) uint8 RGB, and its heads.

    Returns:
        (side, side, 3) uint8, (P, FACE, FACE, 3) uint8, (P, 4) and () float32.
    """
    shrinks = min(image.shape[:2]) > side
    square = cv2.resize(image, (side, side),
                        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return (square, cut_faces(image, boxes), np.array(boxes, np.float32).reshape(-1, 4),
            np.array(image.shape[1] / image.shape[0], np.float32))


def save_reader(path: Path, reader: AttentionReader, meta: dict[str, Any]) -> None:
    """Write a folder of meta.json and weights.safetensors, in 16-bit floats."""
    path.mkdir(parents=True, exist_ok=True)
    part = path / (WEIGHTS + '.part')
    save_file({name: value.detach().cpu().half().contiguous()
               for name, value in reader.state_dict().items()}, part)
    part.chmod(0o644)
    about = {**meta, 'kind': _KIND, 'format': _FORMAT, 'gaze_robot_version': __version__,
             'weights_sha256': sha256(part), 'model': asdict(reader.config)}
    part.replace(path / WEIGHTS)
    (path / META).write_text(json.dumps(about, indent=2) + '\n')


def load_reader(path: Path = SHIPPED) -> tuple[AttentionReader, dict[str, Any]]:
    """Read a folder that `save_reader` wrote, or a run directory of `train people`.

    Raises:
        CheckpointError: it is missing, altered, of another kind, or does not fit.
    """
    path = path / 'policy' if (path / 'policy' / META).is_file() else path
    if not (path / META).is_file() or not (path / WEIGHTS).is_file():
        raise CheckpointError(f'{path} holds no weights for people; train some with `gaze-robot '
                              'train people --out DIR`')
    try:
        meta = json.loads((path / META).read_text())
        if not isinstance(meta, dict) or (meta.get('kind'), meta.get('format')) != (_KIND,
                                                                                    _FORMAT):
            raise CheckpointError(f'{path / META} is of no network that reads attention')
        if meta.get('weights_sha256') != sha256(path / WEIGHTS):
            raise CheckpointError(f'{path / WEIGHTS} does not match its {META}: a damaged or '
                                  'partial copy; fetch or train it again')
        reader = AttentionReader(_config(meta['model']))
        tensors = {name: value.float() for name, value in load_file(path / WEIGHTS).items()}
    except (json.JSONDecodeError, UnicodeDecodeError, SafetensorError, ConfigError, KeyError,
            TypeError) as error:
        raise CheckpointError(f'{path} cannot be read: {error}') from error
    fill(reader, reader.state_dict(), tensors, '', path)
    return reader.eval(), meta


def _config(given: dict[str, Any]) -> ReaderConfig:
    return ReaderConfig(int(given['side']), from_mapping(EncoderConfig, given['encoder']))
