"""Any ONNX file with the interface of the published gazelle-dinov3 family, in ONNX Runtime.

    image_bgr         float32 [1, 3, H, W]      BGR, 0 to 255; H, W such as 640, 416 or 320
    bboxes_x1y1x2y2   float32 [1, heads, 4]     shares of the picture
    heatmap           float32 [heads, h, w]     probabilities
    inout             float32 [heads]           where the model tells; files without it are taken

See github.com/PINTO0309/gazelle-dinov3.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gaze_robot.errors import CheckpointError
from gaze_robot.people.records import Gazes, Head
from gaze_robot.runtime.sessions import OnnxRuntime

_IMAGE, _BOXES, _HEATMAP, _INOUT = 'image_bgr', 'bboxes_x1y1x2y2', 'heatmap', 'inout'
_RANKS = {_IMAGE: 4, _BOXES: 3, _HEATMAP: 3, _INOUT: 1}
_WANTED = (f'{_IMAGE} float32 [1, 3, H, W] and {_BOXES} float32 [1, heads, 4] in, {_HEATMAP} '
           f'float32 [heads, h, w] and, if it can tell, {_INOUT} float32 [heads] out')
_NOBODY = (0.0, 0.0, 0.0, 0.0)
"""Covers no cell, as no head given does in upstream's torch code."""


class OnnxGaze:
    """A gaze model: see `GazeModel`."""

    def __init__(self, graph: bytes, source: str, threads: int = 1) -> None:
        """Load a graph and check what it takes and gives.

        Raises:
            MissingDependencyError: onnxruntime is not installed.
            CheckpointError: not an ONNX file, or one of another interface: the text says where.
        """
        self.source = source
        self._session = OnnxRuntime([graph], threads)
        wrong = _mismatches(self._session)
        if wrong:
            raise CheckpointError(f'{source} is no gaze model of the published interface: '
                                  f'{"; ".join(wrong)}. Wanted: {_WANTED}')
        shape = self._session.declared[_IMAGE][1]
        self.height, self.width = int(shape[2]), int(shape[3])
        count = self._session.declared[_BOXES][1][1]
        self._count = count if isinstance(count, int) else None
        self.tells_inout = _INOUT in self._session.outputs

    def __call__(self, image: np.ndarray, heads: Sequence[Head | None]) -> Gazes:
        """See `GazeModel`; the whole graph runs once, however many heads there are.

        Raises:
            CheckpointError: the file was made for another number of heads, or its answer is not
                what its declaration promises.
        """
        if not heads:
            return Gazes(np.zeros((0, 1, 1), np.float32),
                         np.zeros(0, np.float32) if self.tells_inout else None)
        if self._count not in (None, len(heads)):
            raise CheckpointError(
                f'{self.source} was made for {self._count} heads in a picture and this one has '
                f'{len(heads)}; take the file whose name ends in 1xNx4')
        resized = cv2.resize(image, (self.width, self.height), interpolation=cv2.INTER_LINEAR)
        pixels = np.ascontiguousarray(resized[..., ::-1].transpose(2, 0, 1)[None], np.float32)
        boxes = np.array([[head.box if head else _NOBODY for head in heads]], np.float32)
        given = {_IMAGE: pixels, _BOXES: boxes.clip(0, 1)}
        found = self._session.run([given[name] for name in self._session.inputs])
        heatmaps, inside = found[_HEATMAP], found.get(_INOUT)
        if heatmaps.ndim != 3 or len(heatmaps) != len(heads) or (
                inside is not None and inside.shape != (len(heads),)):
            raise CheckpointError(
                f'{self.source} answers {len(heads)} heads with {_HEATMAP} {heatmaps.shape}'
                + (f' and {_INOUT} {inside.shape}' if inside is not None else '')
                + f'. Wanted: {_WANTED}')
        if not np.isfinite(heatmaps).all() or (
                inside is not None and not np.isfinite(inside).all()):
            raise CheckpointError(f'{self.source} answers with numbers that are not finite')
        return Gazes(heatmaps.clip(0, 1), None if inside is None else inside.clip(0, 1))


def load_onnx(path: Path, source: str = '', threads: int = 1) -> OnnxGaze:
    """Read a file.

    Raises:
        CheckpointError: there is none, or see `OnnxGaze`.
    """
    if not path.is_file():
        raise CheckpointError(f'there is no file {path}; `gaze-robot weights list` names the '
                              'published ones')
    return OnnxGaze(path.read_bytes(), source or path.stem, threads)


def _mismatches(session: OnnxRuntime) -> list[str]:
    """What is wrong with a graph's inputs and outputs, one line each."""
    wrong = [f'no input {name}, its inputs are {", ".join(session.inputs)}'
             for name in (_IMAGE, _BOXES) if name not in session.inputs]
    wrong += [f'it asks for {name}' for name in session.inputs if name not in (_IMAGE, _BOXES)]
    if _HEATMAP not in session.outputs:
        wrong.append(f'no output {_HEATMAP}, its outputs are {", ".join(session.outputs)}')
    for name, rank in _RANKS.items():
        if name not in session.declared:
            continue
        kind, shape = session.declared[name]
        if kind != 'tensor(float)':
            wrong.append(f'{name} is a {kind}, not of float32')
        if len(shape) != rank:
            wrong.append(f'{name} has {len(shape)} dimensions {_spelt(shape)}, not {rank}')
        elif name == _IMAGE and (shape[:2] != (1, 3)
                                 or not all(isinstance(side, int) for side in shape[2:])):
            wrong.append(f'{name} is {_spelt(shape)}, not [1, 3, H, W] of one size')
        elif name == _BOXES and (shape[0] not in (1, None) or shape[2] != 4):
            wrong.append(f'{name} is {_spelt(shape)}, not [1, heads, 4]')
    return wrong


def _spelt(shape: tuple[Any, ...]) -> str:
    return '[' + ', '.join('?' if side is None else str(side) for side in shape) + ']'
