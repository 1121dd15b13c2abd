"""From topics to the viewer's board: subscriptions that exist only while a browser looks."""

from collections import deque
from collections.abc import Callable
import math
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PointStamped
from rcl_interfaces.msg import Log
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Bool, Float64, String

from gaze_robot.config import ViewerConfig
from gaze_robot.errors import CommandError, ImageError
from gaze_robot.glance_note import GlanceNote
from gaze_robot.nodes import _qos
from gaze_robot.viewer.board import Board
from gaze_robot.viewer.telling import note_of, picture_of, stamp_of, Teller, TOPICS

SAME_S = 1e-4
"""Stamps nearer than this are one: seconds as a float keep a few tenths of a microsecond."""

UNSEEN_S = 0.6
"""Without a glance for so long, pictures are shown as they come."""

KINDS: dict[str, tuple[type, Any]] = {
    'glance': (String, _qos.IMAGE), 'mosaic': (Image, _qos.IMAGE), 'mode': (String, _qos.LATCHED),
    'on_target': (Bool, _qos.LATCHED), 'exemplar': (Image, _qos.LATCHED),
    'stopped': (Bool, _qos.LATCHED), 'joints': (JointState, _qos.JOINT_STATES_IN),
    'diagnostics': (DiagnosticArray, _qos.DIAGNOSTICS), 'truth': (PointStamped, _qos.IMAGE),
    'true_error': (Float64, _qos.IMAGE), 'panorama': (CompressedImage, _qos.LATCHED),
    'log': (Log, _qos.DIAGNOSTICS)}
"""What is told -> its message type and quality of service."""


class Feed:
    """Everything the page shows, as it arrives."""

    def __init__(self, node: Node, config: ViewerConfig, board: Board) -> None:
        self._node, self._config, self._board = node, config, board
        self._teller = Teller(board, config.joints, {
            node.resolve_topic_name(name): name for name in ('gaze', 'pan_tilt')})
        self._subscriptions: list[Any] = []
        self._timer: Any = None
        self._waiting: deque[tuple[float, bytes]] = deque(maxlen=12)
        self._noted_s = self._shown_s = -math.inf
        self._image = Image if config.image_transport == 'raw' else CompressedImage

    @property
    def open(self) -> bool:
        """Whether the topics are listened to."""
        return bool(self._subscriptions)

    def set_open(self, wanted: bool) -> None:
        """Begin or stop to listen; in the executor's thread."""
        if wanted and not self.open:
            self._subscribe()
        elif not wanted and self.open:
            self._node.destroy_timer(self._timer)
            for subscription in self._subscriptions:
                self._node.destroy_subscription(subscription)
            self._subscriptions = []
            self._waiting.clear()

    def _subscribe(self) -> None:
        listen = self._node.create_subscription
        topic = 'image_raw' if self._image is Image else 'image_raw/compressed'
        # Undecoded: of thirty pictures a second, eight are looked at.
        self._subscriptions = [
            listen(self._image, topic, self._on_image, _qos.IMAGE_IN, raw=True)]
        for name, kind in TOPICS.items():
            message, qos = KINDS[kind]
            act = self._on_glance if kind == 'glance' else self._telling(name, kind)
            self._subscriptions.append(listen(message, name, act, qos))
        self._timer = self._node.create_timer(1.0 / self._config.picture_rate, self._on_silence)

    def _telling(self, name: str, kind: str) -> Callable[[Any], None]:
        def tell(message: Any) -> None:
            try:
                self._teller.tell(kind, message)
            except ImageError as error:
                self._node.get_logger().warning(f'{name}: {error}', throttle_duration_sec=30.0)
        return tell

    def _on_image(self, data: bytes) -> None:
        self._teller.heard('camera')
        self._waiting.append((stamp_of(data), data))

    def _on_glance(self, message: String) -> None:
        self._teller.heard('gaze')
        try:
            note = note_of(message)
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
        try:
            image = picture_of(deserialize_message(data, self._image))
        except ImageError as error:
            self._node.get_logger().warning(f'image: {error}', throttle_duration_sec=30.0)
            return
        self._shown_s = stamp_of(data)
        self._board.see(image, self._shown_s, note)
