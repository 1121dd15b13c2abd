"""`gaze-robot people`: where the people of a picture or a video look."""

from dataclasses import dataclass
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.errors import ConfigError, ImageError
from gaze_robot.film import check_path, Film, Video
from gaze_robot.people.drawing import people_picture
from gaze_robot.people.records import PersonGaze
from gaze_robot.people.social import together
from gaze_robot.people.steady import SteadyGazes
from gaze_robot.people.watch import (
    is_video,
    make_watcher,
    PeopleWatcher,
    read_picture,
    read_video,
    video_rate,
)
from gaze_robot.types import PanTiltState

_STILLS = ('.png', '.jpg', '.jpeg')


@dataclass(frozen=True)
class PeopleConfig:
    """Find people's heads and where each looks; draw it. Nobody is identified."""

    picture: str
    """A picture or a video."""

    model: str = 'coarse'
    """'coarse' (geometry alone, no download), 'attention' (a small network that has seen made-up
    people only), a gaze model of `weights list`, or a path: .pt (Gaze-LLE), .onnx (the interface
    of gazelle-dinov3), or a run of `train people`."""

    face: str = ''
    """How to tell which way faces look, for 'coarse': empty: as the head finder does; 'attention':
    the small network's own way; the path of L2CS-Net's weights."""

    heads: str = 'cascade'
    """How heads are found: 'cascade' (OpenCV's own), 'figures' (the simulator's), the path of a
    YuNet file, or 'none' to ask about the picture as a whole, which only learned models answer.
    """

    out: str = ''
    """What to draw: .png or .jpg; for a video .mp4, .webm, .gif, or a sheet as .png or .jpg."""

    every: int = 3
    """Of a video: search heads in every n-th picture, follow them in between."""

    frames: int = 0
    """Of a video: stop after so many pictures; 0: at its end."""

    hfov_deg: float = 60.0
    """Horizontal field of view of the camera, degrees, for what is computed by geometry."""

    threads: int = 1
    """Cores for an ONNX file."""

    seed: int = 0
    """Of what geometry draws."""

    def __post_init__(self) -> None:
        if not 5 <= self.hfov_deg <= 170 or min(self.every, self.threads) < 1 or self.frames < 0:
            raise ConfigError('--hfov-deg lies between 5 and 170, --every and --threads are at '
                              f'least 1, got {self.hfov_deg}, {self.every} and {self.threads}')
        video, kind = is_video(Path(self.picture)), Path(self.out).suffix.lower()
        kinds = (*_STILLS, '.gif', *Video.CODECS) if video else _STILLS
        if self.out and kind not in kinds:
            raise ConfigError(f'--out {self.out}: name one of {", ".join(kinds)}')
        if kind == '.gif':
            check_path(self.out)


def run_people(config: PeopleConfig) -> dict[str, Any]:
    """Look at every picture, tell and draw.

    Returns:
        picture, model, heads, width, height; people of the picture, or of a video's last one, and
        what `together` says of them; frames (a video's, each with stamp_s and these); out. Places
        are shares of the picture.

    Raises:
        ImageError, ConfigError, CheckpointError, MissingDependencyError: see `PeopleWatcher`.
    """
    path = Path(config.picture)
    video = is_video(path)
    image = None if video else read_picture(path)
    rate = video_rate(path) if video else 0.0
    watcher = make_watcher(config.model, config.heads, video, config.every,
                           math.radians(config.hfov_deg), config.threads, config.seed, config.face)
    about: dict[str, Any] = {'picture': config.picture, 'model': config.model,
                             'heads': config.heads}
    if image is not None:
        people = watcher(image)
        if config.out:
            _write(config.out, people_picture(image, people))
        found = {'width': image.shape[1], 'height': image.shape[0], **_told(people)}
    else:
        found = _watch_video(config, watcher, rate)
    return {**about, **found, **({'out': config.out} if config.out else {})}


def _watch_video(config: PeopleConfig, watcher: PeopleWatcher, rate: float) -> dict[str, Any]:
    frames: list[dict[str, Any]] = []
    pen = _Pen(config.out, rate)
    size, ids = (0, 0), set()
    steady, still = SteadyGazes(keep_s=0.0), PanTiltState(0.0, 0.0)
    for count, image in enumerate(read_video(Path(config.picture), config.frames)):
        camera = CameraModel.from_hfov(image.shape[1], image.shape[0],
                                       math.radians(config.hfov_deg))
        people = [known.person for known in steady(watcher(image), camera, still, count / rate)]
        size = image.shape[1], image.shape[0]
        ids |= {person.id for person in people}
        frames.append({'stamp_s': round(count / rate, 4), **_told(people)})
        pen.add(image, people, count / rate)
    pen.close()
    if not frames:
        raise ImageError(f'{config.picture} holds no picture that OpenCV can read')
    return {'width': size[0], 'height': size[1], 'pictures': len(frames), 'ids': len(ids),
            **{key: value for key, value in frames[-1].items() if key != 'stamp_s'},
            'frames': frames}


class _Pen:
    """Draws a video's pictures into whatever file is asked for."""

    def __init__(self, out: str, rate: float) -> None:
        self._out, self._rate = out, rate
        self._video: Video | None = None
        self._film = Film(every_s=0.2) if out and Path(out).suffix.lower() not in Video.CODECS \
            else None

    def add(self, image: np.ndarray, people: list[PersonGaze], now_s: float) -> None:
        """Draw one, if it is wanted."""
        if not self._out or (self._film is not None and not self._film.wants(now_s)):
            return
        drawn = people_picture(image, people, width=640)
        if self._film is not None:
            self._film.add(drawn, now_s)
            return
        if self._video is None:
            self._video = Video(self._out, self._rate, (drawn.shape[1], drawn.shape[0]))
        self._video.add(drawn)

    def close(self) -> None:
        """Finish the file."""
        if self._video is not None:
            self._video.close()
        elif self._film is not None and self._film.frames:
            self._film.save(self._out)


def _told(people: list[PersonGaze]) -> dict[str, Any]:
    return {'people': [person.row() for person in people], **together(people)}


def _write(path: str, picture: np.ndarray) -> None:
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f'--out {path}: cannot write there ({error.strerror})') from error
    if not cv2.imwrite(path, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)):
        raise ConfigError(f'--out {path}: cannot write there')
