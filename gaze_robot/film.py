"""The film of a run: frames thinned while it lasts, a GIF or a sheet of pictures at its end."""

from collections.abc import Sequence
from dataclasses import dataclass
import math
from pathlib import Path

import cv2
import numpy as np

from gaze_robot.draw import mosaic, PANEL
from gaze_robot.errors import ConfigError
from gaze_robot.optional import require

KINDS = ('.gif', '.png', '.jpg', '.jpeg')


@dataclass
class Film:
    """Keeps at most `most` frames of a run of unknown length, evenly spread over it."""

    every_s: float = 0.2
    most: int = 120

    def __post_init__(self) -> None:
        self.frames: list[np.ndarray] = []
        self._due_s = -math.inf

    def wants(self, now_s: float) -> bool:
        """Whether the next frame is due; ask before drawing one."""
        return now_s >= self._due_s - 1e-9             # sums of steps fall short of it

    def add(self, frame: np.ndarray, now_s: float) -> None:
        """Keep a frame, (h, w, 3) uint8 RGB; made as large as the first."""
        if len(self.frames) >= self.most:
            self.frames = self.frames[::2]
            self.every_s *= 2
        if self.frames and frame.shape != self.frames[0].shape:
            frame = cv2.resize(frame, self.frames[0].shape[1::-1], interpolation=cv2.INTER_AREA)
        self.frames.append(frame)
        self._due_s = now_s + self.every_s

    def save(self, path: str) -> str:
        """Write a GIF (path ends in .gif) or a sheet of eight pictures (.png, .jpg).

        Returns:
            The path written.

        Raises:
            ConfigError: another ending, a folder that is not there, or nothing to write.
        """
        check_path(path)
        if not self.frames:
            raise ConfigError(f'no frame was processed, so there is no picture for {path}')
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if Path(path).suffix.lower() == '.gif':
            _write_gif(path, self.frames, self.every_s)
        else:
            cv2.imwrite(path, cv2.cvtColor(sheet(self.frames), cv2.COLOR_RGB2BGR))
        return path


def sheet(frames: Sequence[np.ndarray], columns: int = 2, rows: int = 4) -> np.ndarray:
    """Up to rows x columns frames, evenly chosen, in reading order."""
    count = min(len(frames), rows * columns)
    chosen = [frames[i] for i in np.linspace(0, len(frames) - 1, count).round().astype(int)]
    columns = min(columns, count)
    blank = np.full_like(chosen[0], PANEL)
    chosen += [blank] * (-len(chosen) % columns)
    lines = [np.concatenate(chosen[i:i + columns], axis=1)
             for i in range(0, len(chosen), columns)]
    return np.concatenate(lines)


def _write_gif(path: str, frames: Sequence[np.ndarray], every_s: float) -> None:
    pillow = require('PIL.Image')
    # An octree of 96 colours: five times as fast and half as large as Pillow's own choice.
    pictures = [pillow.fromarray(frame).quantize(96, method=pillow.Quantize.FASTOCTREE)
                for frame in frames]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], loop=0,
                     duration=round(every_s * 1000))


class Video:
    """Writes a video, frame by frame, in the best encoding that this OpenCV has."""

    # Every OpenCV wheel encodes VP9 and VP8, which browsers play, and none H.264, which needs a
    # licence; a distribution's OpenCV may. MPEG-4 is the last resort: browsers do not play it.
    # A frame of 1280 x 720 takes 170, 26 and 3 ms (measured on one slow core).
    CODECS = {'.mp4': ('vp09', 'avc1', 'mp4v'), '.webm': ('VP80',)}

    def __init__(self, path: str, fps: float, size: tuple[int, int],
                 codecs: Sequence[str] = ()) -> None:
        """Open a file.

        Args:
            path: ends in .mp4 or .webm.
            size: (width, height) of the frames, even numbers.
            codecs: four letters each, the first that is there is used; (): the best for the path.

        Raises:
            ConfigError: another ending, no encoder, or no writing at this path.
        """
        kind = Path(path).suffix.lower()
        if kind not in self.CODECS:
            raise ConfigError(f'a video is one of {", ".join(self.CODECS)}, got {path!r}')
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).touch()
        except OSError as error:
            raise ConfigError(f'{path} cannot be written ({error.strerror})') from error
        self.path, self.frames, self._size = path, 0, size
        codecs = codecs or self.CODECS[kind]
        for self.codec in codecs:
            self._file = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*self.codec), fps, size)
            if self._file.isOpened():
                return
        raise ConfigError(f'this OpenCV cannot encode {path} (tried {", ".join(codecs)}): install '
                          'opencv-python-headless, or choose a path that ends in .gif')

    def add(self, frame: np.ndarray) -> None:
        """Write a frame, (height, width, 3) uint8 RGB."""
        if frame.shape[1::-1] != self._size:
            raise ValueError(f'frames of this film are {self._size}, got {frame.shape[1::-1]}')
        self._file.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        self.frames += 1

    def close(self) -> None:
        """Finish the file."""
        self._file.release()


def check_path(path: str) -> None:
    """Raise, before a run and not after it, when its film could not be written.

    Raises:
        ConfigError: an ending nobody writes.
        MissingDependencyError: a GIF without Pillow.
    """
    kind = Path(path).suffix.lower()
    if kind not in KINDS:
        raise ConfigError(f'the picture of a run is one of {", ".join(KINDS)}, got {path!r}')
    if kind == '.gif':
        require('PIL.Image')


def panel(eye: np.ndarray, levels: Sequence[np.ndarray], bottom: Sequence[np.ndarray] = ()
          ) -> np.ndarray:
    """One frame of the film: the eye's picture, its levels in a column beside it, a row below.

    Args:
        eye: (h, w, 3) uint8 RGB.
        levels: (window, window, 3) per level.
        bottom: pictures of one height; the last is stretched to fill the row.

    Returns:
        (H, W, 3) uint8 RGB, H and W even.
    """
    height = eye.shape[0]
    column = mosaic(levels, height // len(levels))
    column = cv2.copyMakeBorder(column, 0, height - column.shape[0], 0, 0, cv2.BORDER_CONSTANT,
                                value=(PANEL,) * 3)
    out = np.concatenate([eye, column], axis=1)
    if bottom:
        row = np.concatenate(list(bottom), axis=1)
        row = cv2.resize(row, (out.shape[1], row.shape[0]), interpolation=cv2.INTER_AREA)
        out = np.concatenate([out, row])
    return out
