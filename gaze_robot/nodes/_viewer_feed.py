"""From topics to the viewer's board: subscriptions that exist only while a browser looks."""

from collections import deque
import math
import struct
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PointStamped
import numpy as np
from rcl_interfaces.msg import Log
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Bool, Float64, String

from gaze_robot.config import ViewerConfig
from gaze_robot.errors import CommandError, ImageError
from gaze_robot.glance_note import GlanceNote
from gaze_robot.nodes import _messages, _qos
from gaze_robot.viewer.board import Board, Remark, Status

NODES = ('gaze', 'pan_tilt')
SAME_S = 1e-4
"""Stamps nearer than this are one: seconds as a float keep a few tenths of a microsecond."""

UNSEEN_S = 0.6
"""Without a glance for so long, pictures are shown as they come."""

LEVELS = {DiagnosticStatus.OK: 'ok', DiagnosticStatus.WARN: 'warn',
          DiagnosticStatus.ERROR: 'error', DiagnosticStatus.STALE: 'stale'}
POSE_EVERY_S = 0.05


class Feed:
    """Everything the page shows, as it arrives."""

    def __init__(self, node: Node, config: ViewerConfig, board: Board) -> None:
        self._node, self._config, self._board = node, config, board
        self._open: list[Any] = []
        self._waiting: deque[tuple[float, bytes]] = deque(maxlen=12)
        self._noted_s = self._shown_s = self._pose_s = -math.inf
        self._raw = config.image_transport == 'raw'

    @property
    def open(self) -> bool:
        """Whether the topics are listened to."""
        return bool(self._open)

    def set_open(self, wanted: bool) -> None:
        """Begin or stop to listen; in the executor's thread."""
        if wanted and not self._open:
            self._subscribe()
        elif not wanted and self._open:
            for entity in self._open:
                if entity in self._node.timers:
                    self._node.destroy_timer(entity)
                else:
                    self._node.destroy_subscription(entity)
            self._open = []
            self._waiting.clear()

    def _subscribe(self) -> None:
        kind, topic = (Image, 'image_raw') if self._raw \
            else (CompressedImage, 'image_raw/compressed')
        listen = self._node.create_subscription
        self._open = [
            # Undecoded: of thirty pictures a second, eight are looked at.
            listen(kind, topic, self._on_image, _qos.IMAGE_IN, raw=True),
            listen(String, 'gaze/glance', self._on_glance, _qos.IMAGE),
            listen(Image, 'gaze/mosaic', self._on_mosaic, _qos.IMAGE),
            listen(String, 'gaze/mode', self._on_mode, _qos.LATCHED),
            listen(Bool, 'gaze/on_target', self._on_target, _qos.LATCHED),
            listen(Image, 'gaze/exemplar', self._on_exemplar, _qos.LATCHED),
            listen(Bool, 'pan_tilt/stopped', self._on_stopped, _qos.LATCHED),
            listen(JointState, 'joint_states', self._on_joints, _qos.JOINT_STATES_IN),
            listen(DiagnosticArray, '/diagnostics', self._on_diagnostics, _qos.DIAGNOSTICS),
            listen(PointStamped, 'world/target', self._on_truth, _qos.IMAGE),
            listen(Float64, 'world/gaze_error', self._on_true_error, _qos.IMAGE),
            listen(CompressedImage, 'world/panorama/compressed', self._on_panorama,
                   _qos.LATCHED),
            listen(Log, '/rosout', self._on_log, _qos.DIAGNOSTICS),
            self._node.create_timer(1.0 / self._config.picture_rate, self._on_silence)]

    def _heard(self, who: str) -> None:
        self._board.heard_s[who] = time.monotonic()

    def _on_image(self, data: bytes) -> None:
        self._heard('camera')
        self._waiting.append((_stamp_of(data), data))

    def _on_glance(self, message: String) -> None:
        self._heard('gaze')
        try:
            note = GlanceNote.from_json(message.data)
        except CommandError as error:
            self._node.get_logger().warning(f'gaze/glance: {error}', once=True)
            return
        self._noted_s = time.monotonic()
        found = next((data for stamp_s, data in reversed(self._waiting)
                      if abs(stamp_s - note.stamp_s) < SAME_S), None)
        if found is not None:
            self._show(found, note)

    def _on_silence(self) -> None:
        if self._waiting and time.monotonic() - self._noted_s > UNSEEN_S:
            stamp_s, data = self._waiting[-1]
            if stamp_s != self._shown_s:
                self._show(data, None)

    def _show(self, data: bytes, note: GlanceNote | None) -> None:
        message: Any = deserialize_message(data, Image if self._raw else CompressedImage)
        try:
            image = _messages.rgb_from_image(message) if self._raw \
                else _messages.rgb_from_compressed_image(message)
        except ImageError as error:
            self._node.get_logger().warning(f'image_raw: {error}', once=True)
            return
        self._shown_s = _messages.seconds(message.header.stamp)
        self._board.see(image, self._shown_s, note)

    def _on_mosaic(self, message: Image) -> None:
        number = self._board.mosaic[0] + 1 if self._board.mosaic else 1
        self._board.mosaic = (number, _messages.rgb_from_image(message))

    def _on_exemplar(self, message: Image) -> None:
        number = self._board.exemplar[0] + 1 if self._board.exemplar else 1
        try:
            self._board.exemplar = (number, _messages.rgb_from_image(message).copy())
        except ImageError as error:
            self._node.get_logger().warning(f'gaze/exemplar: {error}')

    def _on_panorama(self, message: CompressedImage) -> None:
        number = self._board.panorama[0] + 1 if self._board.panorama else 1
        self._board.panorama = (number, bytes(message.data))

    def _on_mode(self, message: String) -> None:
        self._heard('gaze')
        self._board.mode = message.data

    def _on_target(self, message: Bool) -> None:
        self._board.on_target = message.data

    def _on_stopped(self, message: Bool) -> None:
        self._board.stopped = message.data

    def _on_joints(self, message: JointState) -> None:
        pose = _messages.pose_from_joint_state(message, self._config.joints)
        if pose is None:
            return
        self._heard('pan_tilt')
        if not 0 <= pose.stamp_s - self._pose_s < POSE_EVERY_S:
            self._pose_s = pose.stamp_s
            self._board.add('pose', pose.stamp_s, pose.pan_rad, pose.tilt_rad)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        names = {self._node.resolve_topic_name(node): node for node in NODES}
        for status in message.status:
            node = names.get(status.name.partition(':')[0])
            if node is not None:
                self._heard(node)
                self._board.statuses[node] = Status(
                    LEVELS.get(status.level, 'stale'), status.message,
                    {value.key: value.value for value in status.values})

    def _on_truth(self, message: PointStamped) -> None:
        point = message.point
        self._board.truth = (point.x, point.y, point.z)

    def _on_true_error(self, message: Float64) -> None:
        if math.isfinite(message.data) and math.isfinite(self._pose_s):
            self._board.add('truth', self._pose_s, np.degrees(message.data))

    def _on_log(self, message: Log) -> None:
        if message.level >= 30 and message.name != self._node.get_logger().name:
            self._board.remark(Remark(_messages.seconds(message.stamp), message.name,
                                      message.msg))


def _stamp_of(data: bytes) -> float:
    """Seconds in a serialised message (CDR) that begins with a header: after four bytes."""
    order = '<' if data[1] & 1 else '>'
    sec, nanosec = struct.unpack_from(f'{order}iI', data, 4)
    return float(sec + nanosec * 1e-9)
