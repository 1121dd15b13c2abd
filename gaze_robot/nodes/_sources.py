"""Where camera_node's pictures come from: USB camera, stream, video, picture, folder. No ROS."""

from collections.abc import Callable
import os
import pathlib
import time
from typing import Protocol

import cv2
import numpy as np

from gaze_robot.config import CameraConfig
from gaze_robot.errors import ImageError
from gaze_robot.nodes._encodings import rgb_from_compressed

Say = Callable[[str], None]
"""Tells a person something once, in one sentence."""

PICTURES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm')
RETRY_S = 1.0


class Source(Protocol):
    """Gives pictures one after another."""

    rate_hz: float
    """Pictures per second to ask for; 0: `read` itself waits for each."""

    def read(self) -> np.ndarray | None:
        """The next picture, (height, width, 3) uint8 RGB; None: none now.

        Raises:
            ImageError: there will never be one; the text says what to do.
        """

    def close(self) -> None:
        """Let go of file or device. Idempotent."""

    @property
    def ended(self) -> bool:
        """Whether no more pictures will come."""


def open_source(config: CameraConfig, say: Say) -> Source:
    """The source that `config.source` names.

    Raises:
        ImageError: a missing, empty or unreadable file or folder. A missing USB camera is not an
            error: it may be plugged in later.
    """
    name = config.source.strip()
    quiet_opencv()
    if name.isdigit() or name.startswith('/dev/') or '://' in name:
        return LiveSource(name, config, say)
    path = pathlib.Path(name).expanduser()
    if not path.exists():
        raise ImageError(f'source {name!r} does not exist (looked in {pathlib.Path.cwd()}); give '
                         'a camera number, /dev/video0, a video, a picture or a folder')
    if path.is_dir():
        return FolderSource(path, config, say)
    if path.suffix.lower() in PICTURES:
        return PictureSource(path, config)
    return VideoSource(path, config, say)


def quiet_opencv() -> None:
    """Keep OpenCV's and FFmpeg's own chatter off stderr: the messages here say it in words."""
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def read_picture(path: pathlib.Path) -> np.ndarray:
    """A picture file as (height, width, 3) uint8 RGB, upright; ImageError when it is unusable."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(f'cannot read {path}: {error}') from error
    if path.suffix.lower() in ('.jpg', '.jpeg', '.png'):
        try:
            return rgb_from_compressed(content, path.suffix, upright=True)
        except ImageError as error:
            raise ImageError(f'{path}: {error}; replace the file') from error
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    if picture is None:
        raise ImageError(f'{path} is not a picture OpenCV can read; replace the file')
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


class PictureSource:
    """One picture, over and over."""

    ended = False

    def __init__(self, path: pathlib.Path, config: CameraConfig) -> None:
        self.rate_hz = config.rate or 30.0
        self._picture = read_picture(path)

    def read(self) -> np.ndarray:
        """The picture."""
        return self._picture

    def close(self) -> None:
        """Nothing is held."""


class FolderSource:
    """The pictures of a folder in order of name; damaged ones are named once and passed over."""

    def __init__(self, path: pathlib.Path, config: CameraConfig, say: Say) -> None:
        self.rate_hz = config.rate or 1.0
        self.ended = False
        self._loop, self._say, self._folder = config.loop, say, path
        self._paths = sorted(entry for entry in path.iterdir()
                             if entry.suffix.lower() in PICTURES)
        if not self._paths:
            raise ImageError(f'the folder {path} holds no pictures ({" ".join(PICTURES)})')
        self._next = 0

    def read(self) -> np.ndarray | None:
        """The next picture that can be read."""
        while self._paths:
            if self._next >= len(self._paths):
                if not self._loop:
                    break
                self._next = 0
            try:
                picture = read_picture(self._paths[self._next])
            except ImageError as error:
                self._say(str(error))
                del self._paths[self._next]
                continue
            self._next += 1
            return picture
        if not self._paths:
            raise ImageError(f'no picture in {self._folder} can be read')
        self.ended = True
        return None

    def close(self) -> None:
        """Nothing is held."""


class VideoSource:
    """A video file at its own speed."""

    def __init__(self, path: pathlib.Path, config: CameraConfig, say: Say) -> None:
        self._path, self._loop, self._say = path, config.loop, say
        self.ended = False
        self._lap, self._count = 0, 0
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise ImageError(f'{path} cannot be opened as a video; it is cut off, or no video. '
                             'Copy it again, or re-encode it: ffmpeg -i IN -c:v libx264 OUT.mp4')
        own = self._capture.get(cv2.CAP_PROP_FPS)
        self._announced = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.rate_hz = config.rate or (float(own) if 0.1 <= own <= 240 else 30.0)

    def read(self) -> np.ndarray | None:
        """The next picture; from the start again after the last, when looping."""
        good, picture = self._capture.read()
        if not good:
            self._end_of_lap()
            if self.ended:
                return None
            good, picture = self._capture.read()
            if not good:
                raise ImageError(f'{self._path} cannot be read again from its start')
        self._count += 1
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def _end_of_lap(self) -> None:
        if self._count == 0:
            raise ImageError(f'{self._path} holds no picture that can be decoded; it is cut off, '
                             'or its codec is missing')
        if self._lap == 0 and self._count < 0.98 * self._announced:
            self._say(f'{self._path} ends after {self._count} of the {self._announced:.0f} '
                      'pictures it announces: it is cut off or damaged; using what there is')
        self._lap, self._count = self._lap + 1, 0
        if self._loop:
            self._capture.release()
            self._capture = cv2.VideoCapture(str(self._path))
        else:
            self.ended = True


class LiveSource:
    """A USB camera or a stream; when it is missing or unplugged, it is tried again for ever."""

    ended = False
    rate_hz = 0.0

    def __init__(self, name: str, config: CameraConfig, say: Say) -> None:
        self._name, self._config, self._say = name, config, say
        self._capture: cv2.VideoCapture | None = None
        self._state = 'new'
        self._next_try_s = 0.0

    def read(self) -> np.ndarray | None:
        """Wait for the next picture; None after a short wait when there is no camera."""
        if self._capture is None and not self._open():
            time.sleep(0.05)
            return None
        assert self._capture is not None
        good, picture = self._capture.read()
        if not good or picture is None or picture.size == 0:
            self.close()
            self._become('gone', f'camera {self._name} gives no pictures: unplugged, or used by '
                                 'another program? Trying again every second')
            return None
        self._become('running', f'camera {self._name} gives {picture.shape[1]}x'
                                f'{picture.shape[0]}')
        if picture.ndim == 2:
            return cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)

    def close(self) -> None:
        """Let go of the device."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _open(self) -> bool:
        now_s = time.monotonic()
        if now_s < self._next_try_s:
            return False
        self._next_try_s = now_s + RETRY_S
        device = f'/dev/video{self._name}' if self._name.isdigit() else self._name
        if device.startswith('/dev/') and not os.access(device, os.R_OK | os.W_OK):
            why = 'may not be opened: add the user to group video' if os.path.exists(device) \
                else f'is not there (present: {", ".join(_devices()) or "no /dev/video*"})'
            self._become('missing', f'camera {device} {why}. Trying again every second')
            return False
        capture = cv2.VideoCapture(device)
        if not capture.isOpened():
            capture.release()
            self._become('missing', f'camera {self._name} cannot be opened; is it a camera, and '
                                    'not used by another program? Trying again every second')
            return False
        self._ask(capture)
        self._capture = capture
        return True

    def _ask(self, capture: cv2.VideoCapture) -> None:
        config = self._config
        if config.width:
            # USB 2 carries raw pictures above VGA at a few Hz only.
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*'MJPG'))
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, config.width)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, config.height)
        if config.rate:
            capture.set(cv2.CAP_PROP_FPS, config.rate)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    def _become(self, state: str, text: str) -> None:
        if state != self._state:
            self._state = state
            self._say(text)


def _devices() -> list[str]:
    return sorted(str(path) for path in pathlib.Path('/dev').glob('video*'))
