"""From messages to a board, whoever brings them: a robot's topics or a bag's.

Messages are looked at by their fields alone, so that those of rclpy and those of a bag's reader
both do. Nothing here needs ROS.
"""

from collections.abc import Callable, Mapping
import math
import struct
import time
from typing import Any

import numpy as np

from gaze_robot.errors import ImageError
from gaze_robot.glance_note import GlanceNote
from gaze_robot.nodes._encodings import ENCODINGS, rgb_from_bytes, rgb_from_compressed
from gaze_robot.viewer.board import Board, fresh_number, Remark, Status

TOPICS = {
    'gaze/glance': 'glance', 'gaze/mosaic': 'mosaic', 'gaze/mode': 'mode',
    'gaze/on_target': 'on_target', 'gaze/exemplar': 'exemplar', 'pan_tilt/stopped': 'stopped',
    'joint_states': 'joints', '/diagnostics': 'diagnostics', 'world/target': 'truth',
    'world/gaze_error': 'true_error', 'world/panorama/compressed': 'panorama', '/rosout': 'log'}
"""Topic, as the viewer in the robot's namespace calls it -> what it tells."""

HISTORIES = ('glance', 'joints', 'true_error')
"""Of these every message counts, of the others only the last."""

POSE_EVERY_S = 0.05
WARNING = 30
"""Level of a log message from which on people should read it."""

LEVELS = ('ok', 'warn', 'error', 'stale')


class Teller:
    """Tells a board what messages say."""

    def __init__(self, board: Board, joints: tuple[str, str] = ('pan', 'tilt'),
                 nodes: Mapping[str, str] | None = None) -> None:
        """Take a board.

        Args:
            joints: names of pan and tilt in joint states.
            nodes: {full name of a node: 'gaze' or 'pan_tilt'}; None: whatever ends so.
        """
        self.board = board
        self._names, self._nodes = joints, nodes
        self._pose_s = -math.inf
        self._handlers: dict[str, Callable[[Any], None]] = {
            kind: getattr(self, f'_{kind}') for kind in TOPICS.values() if kind != 'glance'}

    def tell(self, kind: str, message: Any) -> None:
        """Take one message of a kind in `TOPICS`, but for glances, which go with a picture."""
        self._handlers[kind](message)

    def heard(self, who: str) -> None:
        """Somebody is there."""
        self.board.heard_s[who] = time.monotonic()

    def _mosaic(self, message: Any) -> None:
        self.board.mosaic = (fresh_number(), picture_of(message).copy())

    def _exemplar(self, message: Any) -> None:
        self.board.exemplar = (fresh_number(), picture_of(message).copy())

    def _panorama(self, message: Any) -> None:
        self.board.panorama = (fresh_number(), bytes(message.data))

    def _mode(self, message: Any) -> None:
        self.heard('gaze')
        self.board.mode = message.data

    def _on_target(self, message: Any) -> None:
        self.board.on_target = bool(message.data)

    def _stopped(self, message: Any) -> None:
        self.board.stopped = bool(message.data)

    def _joints(self, message: Any) -> None:
        order = {name: row for row, name in enumerate(message.name)}
        rows = [order.get(name, len(message.position)) for name in self._names]
        if max(rows) >= len(message.position):
            return
        self.heard('pan_tilt')
        stamp_s = seconds_of(message.header.stamp)
        if not 0 <= stamp_s - self._pose_s < POSE_EVERY_S:
            pan, tilt = (float(message.position[row]) for row in rows)
            if math.isfinite(pan) and math.isfinite(tilt):
                self._pose_s = stamp_s
                self.board.add('pose', stamp_s, pan, tilt)

    def _diagnostics(self, message: Any) -> None:
        for status in message.status:
            name = status.name.partition(':')[0]
            node = name.rpartition('/')[2] if self._nodes is None else self._nodes.get(name)
            if node in ('gaze', 'pan_tilt'):
                self.heard(node)
                self.board.statuses[node] = Status(
                    LEVELS[min(_number(status.level), 3)], status.message,
                    {value.key: value.value for value in status.values})

    def _truth(self, message: Any) -> None:
        point = message.point
        self.board.truth = (point.x, point.y, point.z)

    def _true_error(self, message: Any) -> None:
        if math.isfinite(message.data) and math.isfinite(self._pose_s):
            self.board.add('truth', self._pose_s, np.degrees(message.data))

    def _log(self, message: Any) -> None:
        if message.level >= WARNING and message.name != 'viewer':
            self.board.remark(Remark(seconds_of(message.stamp), message.name, message.msg))


def note_of(message: Any) -> GlanceNote:
    """The glance that a message tells; CommandError where another version wrote it."""
    return GlanceNote.from_json(message.data)


def picture_of(message: Any) -> np.ndarray:
    """(h, w, 3) uint8 RGB of an Image or CompressedImage.

    Raises:
        ImageError: it cannot be decoded.
    """
    if not hasattr(message, 'encoding'):
        return rgb_from_compressed(message.data, message.format)
    if message.encoding not in ENCODINGS:
        raise ImageError(f'encoding {message.encoding!r} cannot be shown; set the camera to one '
                         f'of {", ".join(sorted(ENCODINGS))}')
    return rgb_from_bytes(message.data, message.width, message.height, message.encoding,
                          message.step, bool(message.is_bigendian))


def stamp_of(data: bytes) -> float:
    """Seconds in a serialised message (CDR) that begins with a header: after four bytes."""
    order = '<' if data[1] & 1 else '>'
    sec, nanosec = struct.unpack_from(f'{order}iI', data, 4)
    return float(sec + nanosec * 1e-9)


def seconds_of(stamp: Any) -> float:
    """Seconds of a time in a message."""
    return float(stamp.sec + stamp.nanosec * 1e-9)


def _number(level: Any) -> int:
    """A diagnostic level: a byte, which rclpy gives as bytes."""
    return level[0] if isinstance(level, bytes) else int(level)
