"""Heads and a gaze model together: pictures in, people and where they look out."""

from collections.abc import Iterator, Sequence
import dataclasses
import math
from pathlib import Path

import cv2
import numpy as np

from gaze_robot.backbones.store import model_folder
from gaze_robot.backbones.table import TABLE
from gaze_robot.errors import ConfigError, ImageError
from gaze_robot.optional import require
from gaze_robot.people.heads import HeadFinder, make_finder
from gaze_robot.people.records import GazeModel, Head, people_of, PersonGaze
from gaze_robot.people.tracks import HeadTracks

KINDS = ('gaze-lle', 'gaze-onnx')
"""Of the rows of the weight table that hold a gaze model."""

_PICTURES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp')


def make_model(name: str, hfov_rad: float = math.radians(60), threads: int = 1, seed: int = 0
               ) -> GazeModel:
    """A gaze model.

    Args:
        name: 'coarse' (geometry, no weights), 'figures' (the simulator's), 'attention' (the
            package's own small network, made-up pictures only), a run of `gaze-robot train
            people`, a name of `gaze-robot weights list`, or the path of a Gaze-LLE checkpoint
            (.pt) or of an ONNX file of the published interface (.onnx).
        hfov_rad: of the camera; only geometry asks for it.
        threads: cores for an ONNX file.
        seed: of what geometry draws.

    Raises:
        ConfigError: no such model.
        CheckpointError: its files are missing or others.
        MissingDependencyError: a library it needs is not installed.
    """
    model: GazeModel
    if name == 'coarse':
        model = require('gaze_robot.people.coarse').CoarseGaze(hfov_rad, seed)
        return model
    if name == 'figures':
        finder = require('gaze_robot.people.figure_weights').figure_finder()
        model = require('gaze_robot.people.figure_gaze').FigureGaze(finder, hfov_rad, seed)
        return model
    kind, path = '', Path(name)
    if name == 'attention' or path.is_dir():
        read = require('gaze_robot.people.attention_read')
        reader, _ = read.load_reader(read.SHIPPED if name == 'attention' else path)
        model = read.AttentionGaze(reader)
        return model
    if name in TABLE:
        kind = TABLE[name].kind
        path = model_folder(TABLE[name]) / TABLE[name].files[0].name
    if kind == 'gaze-onnx' or path.suffix == '.onnx':
        model = require('gaze_robot.people.gazelle_onnx').load_onnx(path, threads=threads)
        return model
    if kind == 'gaze-lle' or path.suffix in ('.pt', '.pth'):
        model = require('gaze_robot.people.gazelle_model').load_gazelle(path)
        return model
    known = [row.name for row in TABLE.values() if row.kind in KINDS]
    raise ConfigError(f'there is no gaze model "{name}": attention, coarse, figures, '
                      f'{", ".join(known)}, a run of `train people`, or the path of a .pt or '
                      '.onnx file')


class PeopleWatcher:
    """Finds heads, follows them if pictures come in order, and asks the model about each."""

    def __init__(self, model: GazeModel, finder: HeadFinder | None, every: int = 0) -> None:
        """Put the parts together.

        Args:
            model: see `make_model`.
            finder: see `make_finder`; None asks about the picture as a whole.
            every: 0: each picture stands for itself; n: a video's, searched every n-th time.

        Raises:
            ConfigError, MissingDependencyError: see `HeadTracks`.
        """
        self._model, self._finder = model, finder
        self._tracks = HeadTracks(finder, every) if finder is not None and every else None

    def __call__(self, image: np.ndarray) -> list[PersonGaze]:
        """People in (h, w, 3) uint8 RGB, by id.

        Raises:
            ImageError: the model needs heads and was asked about the picture as a whole.
            CheckpointError: see the models.
        """
        heads = self.heads(image)
        return people_of(self._model(image, heads), heads, self._model.source)

    def heads(self, image: np.ndarray) -> Sequence[Head | None]:
        """Those it asks about."""
        if self._tracks is not None:
            return self._tracks(image)
        if self._finder is None:
            return [None]
        return [dataclasses.replace(head, id=i + 1)
                for i, head in enumerate(self._finder(image))]


def make_faced(finder: HeadFinder, face: str) -> HeadFinder:
    """The same heads, and which way they look by another means.

    Args:
        finder: of heads.
        face: '' leaves it as it is; 'attention' is the package's own small network (made-up faces
            only); a folder a run of `train people`; a file L2CS-Net's weights.

    Raises:
        CheckpointError: see `load_reader` and `load_l2cs`.
    """
    if not face:
        return finder
    gaze = require('gaze_robot.people.face_gaze')
    if face == 'attention' or Path(face).is_dir():
        read = require('gaze_robot.people.attention_read')
        reader, _ = read.load_reader(read.SHIPPED if face == 'attention' else Path(face))
        judge = gaze.SmallFaceGaze(reader.encoder.face)
    else:
        judge = require('gaze_robot.people.l2cs').load_l2cs(Path(face))
    faced: HeadFinder = gaze.FacedFinder(finder, judge)
    return faced


def make_watcher(model: str, heads: str, video: bool, every: int, hfov_rad: float, threads: int,
                 seed: int, face: str = '') -> PeopleWatcher:
    """See `make_model`, `make_finder`, `make_faced`; heads 'none' asks of all at once.

    Raises:
        ConfigError, CheckpointError, MissingDependencyError: see these.
    """
    finder = None if heads == 'none' else make_faced(make_finder(heads, hfov_rad), face)
    return PeopleWatcher(make_model(model, hfov_rad, threads, seed), finder,
                         every if video else 0)


def is_video(path: Path) -> bool:
    """Whether a file is taken for a video, by its name."""
    return path.suffix.lower() not in _PICTURES


def read_picture(path: Path) -> np.ndarray:
    """(h, w, 3) uint8 RGB.

    Raises:
        ImageError: no such file, or not a picture.
    """
    if not path.is_file():
        raise ImageError(f'there is no file {path}')
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ImageError(f'{path} is not a picture that OpenCV can read (try JPEG or PNG)')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def video_rate(path: Path) -> float:
    """Pictures per second; 25 where the file does not say.

    Raises:
        ImageError: no such file, or not a video.
    """
    if not path.is_file():
        raise ImageError(f'there is no file {path}')
    file = cv2.VideoCapture(str(path))
    rate, opened = file.get(cv2.CAP_PROP_FPS), file.isOpened()
    file.release()
    if not opened:
        raise ImageError(f'{path} is neither a picture nor a video that OpenCV can read')
    return rate if math.isfinite(rate) and rate > 0 else 25.0


def read_video(path: Path, most: int = 0) -> Iterator[np.ndarray]:
    """Its pictures, (h, w, 3) uint8 RGB each; at most so many, 0: all."""
    file = cv2.VideoCapture(str(path))
    count = 0
    try:
        while not most or count < most:
            ok, image = file.read()
            if not ok:
                return
            yield cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
            count += 1
    finally:
        file.release()
