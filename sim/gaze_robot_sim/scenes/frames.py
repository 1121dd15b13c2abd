"""The frames of a video file by their numbers."""

import os
from pathlib import Path

import cv2
import numpy as np

from gaze_robot.errors import WorldError

# A damaged video makes FFmpeg write a page of remarks, in which our own line would be lost. OpenCV
# reads this when the first video of a process is opened; 8: what is fatal.
os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '8')

SKIP_AT_MOST = 45
"""Frames ahead up to which decoding on is quicker than seeking to a key frame and decoding on."""
_NOWHERE = -2 * SKIP_AT_MOST
"""A frame number from which every frame is reached by seeking."""
_TOLERANCE = 2
"""Containers may count a frame or two too many; a video that is cut short lacks more."""


class FrameReader:
    """A video file, read frame by frame; for one thread at a time."""

    def __init__(self, path: Path, needed: int | None = None) -> None:
        """Open a video and read its last frame.

        Args:
            needed: how many frames, from the first, will be read at most; None: all there are.

        Raises:
            WorldError: not a video, or its end, or one that is needed, is missing.
        """
        self._path = path
        self._needed = needed
        self._capture = cv2.VideoCapture(str(path))
        self._decoded = _NOWHERE
        try:
            self.rate, self.frames = self._check()
        except WorldError:
            self.close()
            raise

    def _check(self) -> tuple[float, int]:
        """(frames per second, frames); WorldError for a file that cannot be played to its end."""
        capture = self._capture
        if not capture.isOpened():
            raise WorldError(f'{self._path} is not a video that can be played; is it damaged or '
                             'cut short? try playing it with ffplay')
        frames, rate = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), capture.get(cv2.CAP_PROP_FPS)
        if frames < 1 or not 0 < rate < 1000:
            raise WorldError(f'{self._path} states {frames} frames at {rate} per second; write it '
                             'again with ffmpeg -i IN -c:v libx264 OUT.mp4')
        if self._needed is not None:
            return float(rate), self._check_needed(frames)
        last = max(0, frames - 1 - _TOLERANCE)
        if not self._seek(last) or not capture.grab():
            raise WorldError(f'{self._path} breaks off before frame {last + 1} of {frames}: '
                             'it is cut short or damaged; copy or download it again')
        there = last + 1
        while there < last + 1 + _TOLERANCE and capture.grab():
            there += 1
        return float(rate), there

    def _check_needed(self, stated: int) -> int:
        """How many frames are needed; WorldError unless the last of them can be reached."""
        needed = self._needed or 0
        if not self._seek(needed - 1) or not self._capture.grab():
            raise WorldError(f'{self._path} breaks off before frame {needed}, which is needed, of '
                             f'{stated}: it is cut short or damaged; copy or download it again')
        return needed

    def close(self) -> None:
        """Close the file; calling twice does no harm."""
        self._capture.release()

    def reaches(self, index: int) -> bool:
        """Whether a frame comes so soon that it takes no seeking."""
        return 0 <= index - self._decoded - 1 <= SKIP_AT_MOST

    def read(self, index: int) -> np.ndarray:
        """Frame `index` as (height, width, 3) uint8 RGB: by decoding on where that is near.

        Raises:
            WorldError: it cannot be read.
        """
        if not self.reaches(index):
            self._decoded = index - 1 if self._seek(index) else _NOWHERE
        if not self._grab(index) and index <= SKIP_AT_MOST:
            # Some files cannot seek back to their start from their end.
            self._capture.open(str(self._path))
            self._decoded = -1
            self._grab(index)
        if self._decoded == _NOWHERE:
            raise WorldError(f'{self._path} cannot be read at frame {index} of {self.frames}; '
                             'is the file undamaged and where it was?')
        got, image = self._capture.retrieve()
        if not got or image is None:
            raise WorldError(f'{self._path}: frame {index} cannot be decoded; is it damaged?')
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

    def _grab(self, index: int) -> bool:
        """Decode on up to a frame; False where that does not get there."""
        while _NOWHERE < self._decoded < index:
            self._decoded = self._decoded + 1 if self._capture.grab() else _NOWHERE
        return self._decoded == index

    def _seek(self, index: int) -> bool:
        """Make frame `index` the next one; False where the decoder ended up elsewhere."""
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, index)
        return abs(self._capture.get(cv2.CAP_PROP_POS_FRAMES) - index) <= 1
