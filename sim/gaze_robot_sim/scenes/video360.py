"""A 360-degree video as a world: streamed frame by frame, repeated for ever."""

from collections.abc import Sequence
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gaze_robot.errors import WorldError
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.base import Scene, SearchTarget
from gaze_robot_sim.scenes.still import RememberingWorld
from gaze_robot_sim.scenes.targets import find_photo_place, show_place

VIDEO_SUFFIXES = ('.mp4', '.m4v', '.mov', '.mkv', '.webm', '.avi')
_SKIP_AT_MOST = 45
"""Frames ahead up to which decoding on is quicker than seeking to a key frame and decoding on."""
_NOWHERE = -2 * _SKIP_AT_MOST
"""A frame number from which every frame is reached by seeking."""


class VideoScene:
    """An equirectangular video; implements the Scene protocol. Holds one frame at a time."""

    def __init__(self, path: Path) -> None:
        """Open a video and read its first and last frames.

        Raises:
            WorldError: not a video, not twice as wide as high, or its end is missing.
        """
        self.name = path.name
        self._path = path
        self._capture = cv2.VideoCapture(str(path))
        try:
            self._check()
            self.duration_s = self.frames / self.rate
            self._decoded = _NOWHERE
            self._index = -1
            self._panorama: Panorama = self.panorama(0.0)
        except WorldError:
            self.close()
            raise

    def _check(self) -> None:
        """Raise WorldError for a file that cannot be played to its end."""
        capture = self._capture
        if not capture.isOpened():
            raise WorldError(f'{self._path} is not a video that can be played; is it damaged or '
                             'cut short? try playing it with ffplay')
        self.frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.rate = float(capture.get(cv2.CAP_PROP_FPS))
        if self.frames < 1 or not 0 < self.rate < 1000:
            raise WorldError(f'{self._path} states {self.frames} frames at {self.rate} per '
                             'second; write it again with ffmpeg -i IN -c:v libx264 OUT.mp4')
        # Containers may count a frame or two too many; a video that is cut short lacks more.
        tolerance = 2
        last = max(0, self.frames - 1 - tolerance)
        if not self._seek(last) or not capture.grab():
            raise WorldError(f'{self._path} breaks off before frame {last + 1} of {self.frames}: '
                             'it is cut short or damaged; copy or download it again')
        self.frames = last + 1
        while self.frames < last + 1 + tolerance and capture.grab():
            self.frames += 1

    def panorama(self, t_s: float = 0.0) -> Panorama:
        """The frame at a time, seconds from the start, 0 or more, wrapped to the duration.

        Raises:
            WorldError: the frame cannot be read, or t_s is negative or not finite.
        """
        if not math.isfinite(t_s) or t_s < 0:
            raise WorldError(f'a time in a video is 0 s or later, got {t_s}')
        # The small shift keeps k / rate, computed in floating point, on frame k.
        index = int(t_s * self.rate + 1e-6) % self.frames
        if index != self._index:
            image = self._read(index)
            try:
                self._panorama, self._index = Panorama(image), index
            except WorldError as error:
                raise WorldError(f'{self._path}: {error}') from error
        return self._panorama

    def sample_target(self, rng: np.random.Generator, t_s: float = 0.0) -> SearchTarget:
        """A distinctive patch of the frame at a time.

        Raises:
            WorldError: nothing in it stands out, or it cannot be read.
        """
        panorama = self.panorama(t_s)
        try:
            return show_place(find_photo_place(panorama, rng), panorama, rng)
        except WorldError as error:
            raise WorldError(f'{self._path} at {t_s:.2f} s: {error}') from error

    def sprites(self, t_s: float = 0.0) -> Sequence[Any]:
        """Nothing is laid over the video."""
        return ()

    @property
    def nbytes(self) -> int:
        """Memory of the frame."""
        return self._panorama.nbytes

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def _seek(self, index: int) -> bool:
        """Make frame `index` the next one; False where the decoder ended up elsewhere."""
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, index)
        return abs(self._capture.get(cv2.CAP_PROP_POS_FRAMES) - index) <= 1

    def _read(self, index: int) -> np.ndarray:
        """Frame `index` as (height, width, 3) RGB: by decoding on where that is near."""
        if not 0 <= index - self._decoded - 1 <= _SKIP_AT_MOST:
            self._decoded = index - 1 if self._seek(index) else _NOWHERE
        while _NOWHERE < self._decoded < index:
            self._decoded = self._decoded + 1 if self._capture.grab() else _NOWHERE
        if self._decoded == _NOWHERE:
            raise WorldError(f'{self._path} cannot be read at frame {index} of {self.frames}; '
                             'is the world still open, and the file undamaged?')
        got, image = self._capture.retrieve()
        if not got or image is None:
            raise WorldError(f'{self._path}: frame {index} cannot be decoded; is it damaged?')
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


class VideoWorld(RememberingWorld):
    """A video file: one scene; implements the World protocol."""

    def __init__(self, path: Path) -> None:
        """Open a video and read its first and last frames.

        Raises:
            WorldError: not a video, not twice as wide as high, or its end is missing.
        """
        super().__init__(path.name, 1, (path,))
        self._scene = VideoScene(path)

    def _make(self, index: int) -> Scene:
        return self._scene

    def close(self) -> None:
        """Close the file."""
        self._scene.close()
