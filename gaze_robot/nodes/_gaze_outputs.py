"""gaze_node's publishers, and what one glance becomes on each of them."""

from geometry_msgs.msg import PointStamped
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Bool, Header, String
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import MarkerArray

from gaze_robot.config import GazeConfig
from gaze_robot.control.latency import ahead
from gaze_robot.draw import crop_box, priority_map
from gaze_robot.nodes import _qos
from gaze_robot.nodes._detections import detections
from gaze_robot.nodes._eye import Glance
from gaze_robot.nodes._gaze_messages import cloud_from_targets, fovea_info, markers
from gaze_robot.nodes._intake import Throttle
from gaze_robot.nodes._messages import (
    ImageFiller,
    jpeg_message,
    point_from_ray,
    trajectory_from_chunk,
    trajectory_from_command,
)
from gaze_robot.nodes._notes import Notes
from gaze_robot.nodes._trajectory import brought_forward, least_time_s
from gaze_robot.optional import available, require
from gaze_robot.types import GazeResult, PanTiltCommand


class GazeOutputs:
    """Publishes glances; pictures and markers only while somebody listens."""

    def __init__(self, node: Node, config: GazeConfig, hand: bool = False) -> None:
        """`hand`: whether the policy has one."""
        self.config = config
        self._fixed_frame = config.frame_prefix + config.fixed_frame
        publisher = node.create_publisher
        self._trajectory = publisher(JointTrajectory, 'joint_trajectory',
                                     **_qos.overridable(_qos.COMMAND))
        self._action = publisher(JointTrajectory, '~/action', _qos.COMMAND) if hand else None
        self._fixation = publisher(PointStamped, '~/fixation', _qos.COMMAND)
        self._target = publisher(PointStamped, '~/target', _qos.COMMAND)
        self._detections = publisher(
            require('vision_msgs.msg').Detection2DArray, '~/detections', _qos.COMMAND
        ) if available('vision_msgs') else None
        self._targets = publisher(PointCloud2, '~/gaze_targets', _qos.COMMAND)
        self._markers = publisher(MarkerArray, '~/markers', _qos.COMMAND)
        self._mode = publisher(String, '~/mode', _qos.LATCHED)
        self._on_target = publisher(Bool, '~/on_target', _qos.LATCHED)
        self._salience = publisher(Image, '~/salience', _qos.IMAGE)
        self._fovea = publisher(Image, '~/fovea/image_raw', _qos.IMAGE)
        self._fovea_info = publisher(CameraInfo, '~/fovea/camera_info', _qos.IMAGE)
        self._debug = publisher(Image, '~/debug_image', _qos.IMAGE)
        self._debug_jpeg = publisher(CompressedImage, '~/debug_image/compressed', _qos.IMAGE)
        self._notes = Notes(node, config, takes_words=hand)
        self._fill = {name: ImageFiller() for name in ('salience', 'fovea', 'debug')}
        self._commands = Throttle(config.control_rate)
        self._debugs = Throttle(config.debug_rate)
        self._last_state: tuple[str, bool] | None = None

    def adapt(self, config: GazeConfig) -> None:
        """Go by other settings of `LIVE_GAZE` from now on."""
        self.config = config
        self._commands, self._debugs = Throttle(config.control_rate), Throttle(config.debug_rate)

    def wants_debug(self, now_s: float) -> bool:
        """Whether the next frame's debug picture is due and somebody would see it."""
        return _heard(self._debug, self._debug_jpeg) and self._debugs.allows(now_s)

    def state(self, mode: str, on_target: bool) -> None:
        """Tell mode and on_target, when they change."""
        if self._last_state is None or self._last_state[0] != mode:
            self._mode.publish(String(data=mode))
        if self._last_state is None or self._last_state[1] != on_target:
            self._on_target.publish(Bool(data=on_target))
        self._last_state = (mode, on_target)

    def forget_state(self) -> None:
        """Tell mode and on_target again next time, changed or not."""
        self._last_state = None

    def publish(self, glance: Glance, now_s: float) -> bool:
        """Publish what one glance decided; returns whether a command was among it."""
        result, header = glance.result, glance.picture.header
        fixed = Header(stamp=header.stamp, frame_id=self._fixed_frame)
        commanded = self.config.eye == 'picture'        # there, the fixation is the command
        if self.config.eye == 'head' and self._commands.allows(now_s):
            command, in_s = due(result, self.config, now_s)
            self._trajectory.publish(trajectory_from_command(command, self.config.joints, in_s))
            commanded = True
        self._fixation.publish(point_from_ray(result.fixation, header))
        if self._action is not None and result.actions is not None:
            chunk = trajectory_from_chunk(result.actions, now_s - result.stamp_s)
            if chunk.points:
                self._action.publish(chunk)
        targets = [*filter(None, [result.target]), *result.candidates]
        if result.target is not None:
            self._target.publish(point_from_ray(result.target.direction, fixed))
        self._targets.publish(cloud_from_targets(targets, fixed))
        if self._detections is not None and self.config.people_model:
            self._detections.publish(detections(
                require('vision_msgs.msg'), result.people, header, glance.frame.camera))
        self.state(result.mode, result.on_target)
        return commanded

    def show(self, glance: Glance, now_s: float) -> None:
        """Publish what people watch, once the command is out."""
        result, header = glance.result, glance.picture.header
        if _heard(self._markers):
            fixed = Header(stamp=header.stamp, frame_id=self._fixed_frame)
            self._markers.publish(markers(result.fixation, header, result.target, fixed,
                                          glance.frame.camera))
        self._pictures(glance, header)
        self._notes.publish(glance, header, now_s)

    def _pictures(self, glance: Glance, header: Header) -> None:
        camera = glance.frame.camera
        if _heard(self._fovea, self._fovea_info):
            left, top, width, height = box = crop_box(glance.boxes[0], camera.width, camera.height)
            if width and height:
                crop = glance.frame.image[top:top + height, left:left + width]
                self._fovea.publish(self._fill['fovea'](crop, header))
                self._fovea_info.publish(fovea_info(camera, header, box))
        if _heard(self._salience) and glance.result.heatmaps:
            heat = priority_map(glance.result.heatmaps, glance.boxes, camera.width, camera.height)
            self._salience.publish(self._fill['salience'](heat, header))
        if glance.debug is not None:
            if _heard(self._debug):
                self._debug.publish(self._fill['debug'](glance.debug, header))
            if _heard(self._debug_jpeg):
                self._debug_jpeg.publish(jpeg_message(glance.debug, header))


def due(result: GazeResult, config: GazeConfig, now_s: float) -> tuple[PanTiltCommand, float]:
    """The command to send now, led by the picture's age and the head's dead time, and when.

    Returns:
        (joint angles that the head should have by then, inside the limits; seconds from now: the
        least that the limits allow, at least a period).
    """
    limits = config.limits
    now = ahead(result.command, now_s - result.stamp_s + config.dead_time, limits)
    in_s = max(least_time_s(result.pose, now, limits), 1 / config.control_rate)
    return limits.clip(config.geometry.joints(brought_forward(now, -in_s))), in_s


def _heard(*publishers: Publisher) -> bool:
    return any(publisher.get_subscription_count() for publisher in publishers)
