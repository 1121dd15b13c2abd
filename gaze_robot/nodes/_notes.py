"""What gaze_node tells whoever watches: ~/glance and ~/mosaic, only while somebody listens."""

from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header, String

from gaze_robot.config import GazeConfig
from gaze_robot.draw import stacked_levels
from gaze_robot.glance_note import GlanceNote, NotedTarget
from gaze_robot.nodes import _qos
from gaze_robot.nodes._eye import camera_pose, Glance
from gaze_robot.nodes._intake import Throttle
from gaze_robot.nodes._messages import ImageFiller
from gaze_robot.types import GazeTarget

NOTES_HZ = 10.0
"""Glances told per second at most: what a person can follow."""


class Notes:
    """Publishes some glances as numbers, and what the network received of them."""

    def __init__(self, node: Node, config: GazeConfig, takes_words: bool) -> None:
        self._config, self._takes_words = config, takes_words
        self._note = node.create_publisher(String, '~/glance', _qos.IMAGE)
        self._mosaic = node.create_publisher(Image, '~/mosaic', _qos.IMAGE)
        self._throttle = Throttle(NOTES_HZ)
        self._fill = ImageFiller()

    def publish(self, glance: Glance, header: Header, now_s: float) -> None:
        """Tell one glance, if it is due and somebody listens."""
        heard = [each for each in (self._note, self._mosaic) if each.get_subscription_count()]
        if not heard or not self._throttle.allows(now_s):
            return
        if self._note in heard:
            note = note_of(glance, self._config, self._takes_words)
            self._note.publish(String(data=note.to_json()))
        if self._mosaic in heard:
            self._mosaic.publish(self._fill(stacked_levels(glance.result.view.levels), header))


def note_of(glance: Glance, config: GazeConfig, takes_words: bool = False) -> GlanceNote:
    """One glance as numbers."""
    result, pose = glance.result, camera_pose(glance.result, config)
    command = (result.command.pan_rad, result.command.tilt_rad)
    return GlanceNote(
        result.stamp_s, glance.frame.camera, float(pose.pan_rad), float(pose.tilt_rad),
        glance.picture.roll_rad, result.mode, result.on_target, glance.boxes, result.heatmaps,
        (float(command[0]), float(command[1])) if config.eye == 'head' else None,
        None if result.target is None else _noted(result.target),
        tuple(_noted(other) for other in result.candidates), glance.stages_ms, takes_words)


def _noted(target: GazeTarget) -> NotedTarget:
    x, y, z = (float(value) for value in target.direction)
    return NotedTarget((x, y, z), target.source, float(target.confidence), target.in_view,
                       target.head_box)
