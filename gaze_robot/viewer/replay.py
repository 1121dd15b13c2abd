"""A recording as a source: the board as it was at any time of it."""

from bisect import bisect_right
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from gaze_robot.errors import BagError, CommandError, ImageError
from gaze_robot.optional import require
from gaze_robot.viewer.board import Board, fresh_number, KEPT_S
from gaze_robot.viewer.source import Source
from gaze_robot.viewer.telling import (
    HISTORIES,
    note_of,
    picture_of,
    seconds_of,
    stamp_of,
    Teller,
    TOPICS,
)

IMAGES = {'sensor_msgs/msg/Image': 'image_raw',
          'sensor_msgs/msg/CompressedImage': 'image_raw/compressed'}
FILMS = ('.gif', '.mp4', '.webm', '.avi', '.mkv')
BAGS = ('.mcap', '.db3')
_SAME_S = 1e-4
_FILM_HZ = 10.0
"""Of a film that does not say."""


class Recording(Source, Protocol):
    """What was recorded, at a time that can be chosen."""

    first_s: float
    """When there is something to see, seconds from the beginning."""

    duration_s: float

    def seek(self, at_s: float) -> None:
        """Choose a time, seconds from the beginning."""


def open_recording(path: str | Path) -> Recording:
    """A bag's folder or file, or a film of an episode.

    Raises:
        BagError: it is not there, or cannot be read.
        MissingDependencyError: rosbags is absent.
    """
    path = Path(path)
    if path.suffix.lower() in FILMS and path.is_file():
        return FilmRecording(path)
    if path.is_dir() and not (path / 'metadata.yaml').is_file():
        films = [each for each in sorted(path.iterdir()) if each.suffix.lower() in FILMS]
        raise BagError(f'{path} is no bag, for it has no metadata.yaml' + (
            f'; name one of its films, such as {films[0]}' if films else ''))
    if not path.exists():
        raise BagError(f'there is no recording {path}')
    return BagRecording(path.parent if path.suffix in BAGS else path)


class _Still:
    """What recordings share: nobody to talk to, and a board that is replaced."""

    live = False
    robot = None

    def __init__(self, path: Path) -> None:
        self.key = f'r{fresh_number()}'
        self.title = path.name
        self.first_s = self.duration_s = 0.0
        self._board = Board()
        self._closed = False

    @property
    def board(self) -> Board:
        """As it was at the time chosen last."""
        return self._board

    def watched(self, browsers: int) -> None:
        """Nothing has to be gathered."""

    def close(self) -> None:
        """Let go of the files; there is none by now, unless a subclass knows better."""
        self._closed = True


class BagRecording(_Still):
    """A bag of the robot's topics, MCAP or sqlite3."""

    def __init__(self, path: Path) -> None:
        """Read all but the pictures, of which only the times."""
        super().__init__(path)
        # A sqlite3 file belongs to the thread that opened it; callers may come from any.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix='bag')
        try:
            self._thread.submit(self._open, path).result()
        except BaseException:
            self._thread.shutdown()
            raise

    def _open(self, path: Path) -> None:
        highlevel, typesys = require('rosbags.highlevel'), require('rosbags.typesys')
        try:
            self._reader: Any = highlevel.AnyReader(
                [path], default_typestore=typesys.get_typestore(typesys.Stores.ROS2_JAZZY))
            self._reader.open()
        except (highlevel.AnyReaderError, OSError, ValueError) as error:
            raise BagError(f'{path} cannot be read as a bag: {error}') from error
        self._start_ns = self._reader.start_time
        self.duration_s = max(0.0, (self._reader.end_time - self._start_ns) * 1e-9)
        self._told: dict[str, tuple[list[float], list[Any]]] = {
            kind: ([], []) for kind in TOPICS.values()}
        self._pictures: tuple[list[float], list[tuple[int, float]]] = ([], [])
        self._image: Any = None
        self._read()
        # The first second tells what is rare, too: how they are, what is looked for.
        self.first_s = min(self.duration_s, 1.0 + next(iter(self._pictures[0]), 0.0))
        self._seek(self.first_s)

    def close(self) -> None:
        """Close the files."""
        if not self._closed:
            self._closed = True
            self._thread.submit(self._reader.close).result()
            self._thread.shutdown()

    def _read(self) -> None:
        namespace = self._namespace()
        wanted: dict[str, str] = {}
        for connection in self._reader.connections:
            bare = connection.topic.removeprefix(namespace)
            kind = TOPICS.get(bare, TOPICS.get(connection.topic))
            if kind is not None:
                wanted[connection.topic] = kind
            elif self._image is None and IMAGES.get(connection.msgtype) == bare:
                self._image = connection
        self._image = self._image or next((
            connection for connection in self._reader.connections if connection.msgtype in IMAGES
            and 'gaze/' not in connection.topic and connection.topic not in wanted), None)
        for connection, at_ns, data in self._reader.messages():
            at_s = (at_ns - self._start_ns) * 1e-9
            if self._image is not None and connection.topic == self._image.topic:
                self._pictures[0].append(at_s)
                self._pictures[1].append((at_ns, stamp_of(data)))
            elif connection.topic in wanted:
                times, messages = self._told[wanted[connection.topic]]
                times.append(at_s)
                messages.append(self._reader.deserialize(data, connection.msgtype))

    def _namespace(self) -> str:
        """What stands before gaze/mode and the others, '/' at its end."""
        for connection in self._reader.connections:
            for name in ('/gaze/glance', '/gaze/mode', '/joint_states'):
                if connection.topic.endswith(name):
                    return str(connection.topic.removesuffix(name)) + '/'
        return '/'

    def seek(self, at_s: float) -> None:
        """Choose a time; the board then knows what a viewer would have known."""
        if not self._closed:
            self._thread.submit(self._seek, at_s).result()

    def _seek(self, at_s: float) -> None:
        board = Board()
        teller = Teller(board)
        for kind, (times, messages) in self._told.items():
            end = bisect_right(times, at_s)
            if kind not in HISTORIES:
                for message in messages[max(0, end - 1):end]:
                    teller.tell(kind, message)
        self._tell_histories(teller, at_s)
        self._board = board

    def _tell_histories(self, teller: Teller, at_s: float) -> None:
        rows = sorted((self._told[kind][0][row], kind, row) for kind in HISTORIES
                       for row in range(bisect_right(self._told[kind][0], at_s - KEPT_S),
                                        bisect_right(self._told[kind][0], at_s)))
        note = None
        for _, kind, row in rows:
            message = self._told[kind][1][row]
            if kind != 'glance':
                teller.tell(kind, message)
                continue
            try:
                note = note_of(message)
            except CommandError:                # of another version: its pictures stay plain
                continue
            teller.board.follow(note)
        shown = self._picture(at_s, None if note is None else note.stamp_s)
        if shown is not None:
            image, stamp_s = shown
            same = note is not None and abs(stamp_s - note.stamp_s) < _SAME_S
            teller.board.put(image, stamp_s, note if same else None)

    def _picture(self, at_s: float, stamp_s: float | None) -> tuple[np.ndarray, float] | None:
        """The picture of that stamp if it is there, else the last one, and its stamp."""
        last = bisect_right(self._pictures[0], at_s) - 1
        if last < 0:
            return None
        recent = range(last, max(-1, last - 40), -1)
        found = next((row for row in recent if stamp_s is not None
                      and abs(self._pictures[1][row][1] - stamp_s) < _SAME_S), last)
        at_ns, stamped_s = self._pictures[1][found]
        for connection, _, data in self._reader.messages(
                [self._image], start=at_ns, stop=at_ns + 1):
            message = self._reader.deserialize(data, connection.msgtype)
            try:
                return picture_of(message).copy(), seconds_of(message.header.stamp)
            except ImageError:              # of an encoding nobody knows: there is no picture
                return None
        return None


class FilmRecording(_Still):
    """An episode that was filmed: pictures, and nothing else."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.title = f'{path.parent.name}/{path.name}'
        self._frames, rate_hz = _gif(path) if path.suffix.lower() == '.gif' else _video(path)
        if not self._frames:
            raise BagError(f'{path} has no pictures')
        self._period_s = 1.0 / rate_hz
        self.duration_s = (len(self._frames) - 1) * self._period_s
        self.seek(0.0)

    def seek(self, at_s: float) -> None:
        """Choose a time."""
        row = min(max(0, round(at_s / self._period_s)), len(self._frames) - 1)
        board = Board()
        frame: Any = cv2.imdecode(self._frames[row], cv2.IMREAD_COLOR)
        board.put(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), at_s, None)
        self._board = board


def _gif(path: Path) -> tuple[list[np.ndarray], float]:
    """(JPEGs, frames per second)."""
    pillow = require('PIL.Image')
    sequence = require('PIL.ImageSequence')
    try:
        with pillow.open(path) as film:
            period_ms = film.info.get('duration') or 1000 / _FILM_HZ
            frames = [_kept(np.asarray(frame.convert('RGB'))[..., ::-1])
                      for frame in sequence.Iterator(film)]
    except OSError as error:
        raise BagError(f'{path} cannot be read: {error}') from error
    return frames, 1000.0 / period_ms


def _video(path: Path) -> tuple[list[np.ndarray], float]:
    film = cv2.VideoCapture(str(path))
    try:
        return [_kept(frame) for frame in _frames(film)], film.get(cv2.CAP_PROP_FPS) or _FILM_HZ
    finally:
        film.release()


def _frames(film: cv2.VideoCapture) -> Iterator[np.ndarray]:
    while True:
        good, frame = film.read()
        if not good:
            return
        yield frame


def _kept(frame: np.ndarray) -> np.ndarray:
    """A frame, blue first, as a JPEG: a long film fits into memory."""
    return cv2.imencode('.jpg', np.ascontiguousarray(frame), [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
