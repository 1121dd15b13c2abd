"""The head's frames on /tf and /tf_static, where tf2_msgs imports."""

import importlib
from typing import Any

from geometry_msgs.msg import Quaternion, TransformStamped
from rclpy.node import Node

from gaze_robot.head_geometry import HeadGeometry
from gaze_robot.nodes import _messages, _qos
from gaze_robot.nodes._frames import fixed_frames, moving_frames, Turn
from gaze_robot.types import PanTiltState


class FramePublisher:
    """Publishes base_link -> ... -> camera_optical_frame."""

    def __init__(self, node: Node, prefix: str, geometry: HeadGeometry, tf_message: Any) -> None:
        """Publish the fixed frames at once, for late readers too."""
        self._prefix, self._geometry, self._message = prefix, geometry, tf_message
        self._moving = node.create_publisher(tf_message, '/tf', _qos.TF)
        self._fixed = node.create_publisher(tf_message, '/tf_static', _qos.LATCHED)
        now = node.get_clock().now().to_msg()
        self._fixed.publish(tf_message(
            transforms=[_transform(turn, now) for turn in fixed_frames(prefix, geometry)]))

    def publish(self, pose: PanTiltState) -> None:
        """Publish the frames that turn, stamped with the pose's time."""
        stamp = _messages.stamp(pose.stamp_s)
        self._moving.publish(self._message(
            transforms=[_transform(turn, stamp)
                        for turn in moving_frames(pose, self._prefix, self._geometry)]))


def frame_publisher(node: Node, prefix: str, geometry: HeadGeometry) -> FramePublisher | None:
    """A publisher, or None where tf2_msgs is not installed."""
    try:
        messages = importlib.import_module('tf2_msgs.msg')
    except ModuleNotFoundError:
        return None
    return FramePublisher(node, prefix, geometry, messages.TFMessage)


def _transform(turn: Turn, stamp: Any) -> TransformStamped:
    message = TransformStamped(header=_messages.header(stamp, turn.parent))
    message.child_frame_id = turn.child
    x, y, z, w = turn.quaternion
    position = message.transform.translation
    position.x, position.y, position.z = turn.xyz
    message.transform.rotation = Quaternion(x=x, y=y, z=z, w=w)
    return message
