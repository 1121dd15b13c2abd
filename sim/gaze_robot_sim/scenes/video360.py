"""A 360-degree video as a world: streamed frame by frame, repeated for ever."""

from collections.abc import Sequence
import math
from pathlib import Path
import weakref

import numpy as np

from gaze_robot.errors import WorldError
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.base import Scene, SearchTarget
from gaze_robot_sim.scenes.cache import Recent
from gaze_robot_sim.scenes.frames import FrameReader
from gaze_robot_sim.scenes.overlay import Sprite
from gaze_robot_sim.scenes.prefetch import AHEAD, Prefetch
from gaze_robot_sim.scenes.still import RememberingWorld
from gaze_robot_sim.scenes.targets import find_photo_place, Likeness

VIDEO_SUFFIXES = ('.mp4', '.m4v', '.mov', '.mkv', '.webm', '.avi')
KEPT_BYTES = 256 << 20
"""Memory for the frames of one video that were looked at last."""


class VideoScene:
    """An equirectangular video; implements the Scene protocol.

    A thread reads ahead. Any number of eyes may look at any time each: quick if they look at the
    same time, slower if every one of them makes the video seek.
    """

    def __init__(self, path: Path, kept_bytes: int = KEPT_BYTES,
                 part: tuple[int, int] | None = None, rate_hz: float = 0.0) -> None:
        """Open a video and read its first and last frames.

        Args:
            part: (first frame, how many): play these only; None: the whole video.
            rate_hz: frames per second; 0: as the file states.

        Raises:
            WorldError: not a video, not twice as wide as high, or its end is missing.
        """
        self.name = path.name
        self._path = path
        reader = FrameReader(path, None if part is None else sum(part))
        self._first, self.frames = part or (0, reader.frames)
        self.rate = rate_hz or reader.rate
        self.duration_s = self.frames / self.rate
        self._recent: Recent[Panorama] = Recent(kept_bytes)
        try:
            first = self._panorama(reader.read(self._first))
        except WorldError:
            reader.close()
            raise
        self._recent.put(self._first, first)
        ahead = min(AHEAD, max(1, kept_bytes // (4 * first.image.nbytes)))
        self._frames = Prefetch(reader, str(path), ahead, self._recent.__contains__)
        weakref.finalize(self, self._frames.close)

    def panorama(self, t_s: float = 0.0) -> Panorama:
        """The frame at a time, seconds from the start, 0 or more, wrapped to the duration.

        Raises:
            WorldError: the frame cannot be read, or t_s is negative or not finite.
        """
        if not math.isfinite(t_s) or t_s < 0:
            raise WorldError(f'a time in a video is 0 s or later, got {t_s}')
        # The small shift keeps k / rate, computed in floating point, on frame k.
        index = self._first + int(t_s * self.rate + 1e-6) % self.frames
        self._frames.show(index)
        return self._recent.get_or_make(
            index, lambda: self._panorama(self._frames.read(index)))

    def sample_target(self, rng: np.random.Generator, t_s: float = 0.0) -> SearchTarget:
        """A distinctive patch of the frame at a time.

        Raises:
            WorldError: nothing in it stands out, or it cannot be read.
        """
        panorama = self.panorama(t_s)
        try:
            return Likeness(panorama, find_photo_place(panorama, rng)).show(rng)
        except WorldError as error:
            raise WorldError(f'{self._path} at {t_s:.2f} s: {error}') from error

    def sprites(self, t_s: float = 0.0) -> Sequence[Sprite]:
        """Nothing is laid over the video."""
        return ()

    @property
    def nbytes(self) -> int:
        """Memory of the frames kept."""
        return self._recent.nbytes

    def close(self) -> None:
        """End the thread, close the file, forget the frames."""
        self._frames.close()
        self._recent.clear()

    def _panorama(self, image: np.ndarray) -> Panorama:
        """What is seen all around on a frame (height, width, 3) uint8 RGB."""
        try:
            return Panorama(image, brief=True)
        except WorldError as error:
            raise WorldError(f'{self._path}: {error}') from error


class VideoWorld(RememberingWorld):
    """A video file: one scene; implements the World protocol."""

    def __init__(self, path: Path, kept_bytes: int = KEPT_BYTES) -> None:
        """Open a video; see VideoScene.

        Raises:
            WorldError: not a video, not twice as wide as high, or its end is missing.
        """
        super().__init__(path.name, 1, (path, kept_bytes))
        self._scene = VideoScene(path, kept_bytes)

    def _make(self, index: int) -> Scene:
        return self._scene

    def close(self) -> None:
        """End the thread and close the file."""
        self._scene.close()
        super().close()
