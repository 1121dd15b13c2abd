"""A recording as a film: what the page shows of it, in one picture per moment."""

from collections.abc import Iterator
from contextlib import closing
import math
from pathlib import Path

import cv2
import numpy as np

from gaze_robot.draw import PANEL, QUIET_COLOUR, TEXT_COLOUR, timeline, write
from gaze_robot.errors import ConfigError
from gaze_robot.film import Film, Video
from gaze_robot.viewer.board import Board
from gaze_robot.viewer.drawing import map_picture, mosaic_picture, seen, surrounding_picture
from gaze_robot.viewer.replay import Recording
from gaze_robot.viewer.words import reason

HEIGHT, SIDE, MAP = 360, 288, 480
"""Of the camera's picture; of the mosaic; width of the map. The rest follows."""

KINDS = ('.gif', *Video.CODECS)
_SPAN_S = 15.0


def frame_of(board: Board, surrounding: np.ndarray | None = None) -> np.ndarray:
    """Picture, mosaic, map, error over time, and why, beside each other.

    Args:
        surrounding: from `surrounding_picture`, if it was made already.

    Returns:
        (h, w, 3) uint8 RGB, both even; always the same for pictures of one shape.
    """
    shown = board.picture
    picture = np.full((HEIGHT, HEIGHT * 4 // 3, 3), PANEL, np.uint8)
    if shown is not None:
        picture = _high(seen(shown), HEIGHT)
    mosaic = np.full((HEIGHT, SIDE, 3), PANEL, np.uint8)
    if board.mosaic is not None:
        mosaic = _high(mosaic_picture(board.mosaic[1], board.note, SIDE), HEIGHT)
    top = np.concatenate([picture, mosaic], axis=1)
    below = _below(board, surrounding, top.shape[1])
    words = np.full((26, top.shape[1], 3), PANEL, np.uint8)
    write(words, reason(board).replace('°', ' deg'), 8, 18, 0.45)
    frame = np.concatenate([top, words, below])
    return frame[:frame.shape[0] // 2 * 2, :frame.shape[1] // 2 * 2]


def _below(board: Board, surrounding: np.ndarray | None, width: int) -> np.ndarray:
    if surrounding is None:
        surrounding = surrounding_picture(board.panorama[1] if board.panorama else None, MAP)
    around = map_picture(board, surrounding)
    height, left = around.shape[0], width - around.shape[1]
    name = 'truth' if board.history('truth') else 'error'
    rows = board.history(name)
    if left < 80 or not rows:
        plot = np.full((height, max(0, left), 3), PANEL, np.uint8)
    else:
        plot = timeline([row[0] for row in rows], [row[1] for row in rows], left, height, _SPAN_S)
        write(plot, board.mode or '', 8, 18, colour=TEXT_COLOUR)
        write(plot, 'on target' if board.on_target else '', 8, 36, colour=QUIET_COLOUR)
    return np.concatenate([around, plot], axis=1)[:, :width]


def _high(picture: np.ndarray, height: int) -> np.ndarray:
    """Resized to a height, as wide as it then is."""
    width = round(picture.shape[1] * height / picture.shape[0])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def export(recording: Recording, path: str, start_s: float = 0.0, end_s: float = math.inf,
           rate_hz: float = 10.0, width: int = 0) -> str:
    """Write a film (.mp4, .webm or .gif) of a part of a recording.

    Args:
        width: of the film, pixels; 0: as it comes.

    Returns:
        The path written.

    Raises:
        ConfigError: another ending, an empty part, or no writing there.
    """
    kind = Path(path).suffix.lower()
    if kind not in KINDS:
        raise ConfigError(f'a film ends in {", ".join(KINDS)}, got {path!r}')
    end_s = min(end_s, recording.duration_s)
    if not (math.isfinite(start_s) and 0 <= start_s < end_s):
        raise ConfigError(f'from {start_s:g} to {end_s:g} s there is nothing of '
                          f'{recording.duration_s:.1f} s to film')
    times = np.arange(start_s, end_s, 1.0 / rate_hz)
    frames = (_narrowed(frame, width) for frame in _frames(recording, times))
    if kind == '.gif':
        film = Film(1.0 / rate_hz, most=len(times) + 1)
        for at_s, frame in zip(times, frames):
            film.add(frame, at_s)
        return film.save(path)
    first = next(frames)
    with closing(Video(path, rate_hz, first.shape[1::-1])) as video:
        video.add(first)
        for frame in frames:
            video.add(cv2.resize(frame, first.shape[1::-1]))
    return path


def _narrowed(frame: np.ndarray, width: int) -> np.ndarray:
    """As wide as asked, its sides even numbers."""
    if not width:
        return frame
    height = round(frame.shape[0] * width / frame.shape[1])
    return cv2.resize(frame, (width // 2 * 2, height // 2 * 2), interpolation=cv2.INTER_AREA)


def _frames(recording: Recording, times: np.ndarray) -> Iterator[np.ndarray]:
    surrounding: tuple[bytes | None, np.ndarray] | None = None
    for at_s in times:
        recording.seek(float(at_s))
        board = recording.board
        data = board.panorama[1] if board.panorama else None
        if surrounding is None or surrounding[0] != data:
            surrounding = (data, surrounding_picture(data, MAP))
        yield frame_of(board, surrounding[1])
