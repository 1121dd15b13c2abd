"""A node that looks on and moves a head, step by step, for `gaze-robot calibrate`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
import math
import time
from types import TracebackType
from typing import Any

import numpy as np
from rcl_interfaces.srv import GetParameters
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, Image, JointState
from trajectory_msgs.msg import JointTrajectory

from gaze_robot.camera import CameraModel
from gaze_robot.config import from_mapping, PanTiltConfig
from gaze_robot.control.poses import PoseBuffer
from gaze_robot.errors import CalibrationError, CameraModelError, ImageError
from gaze_robot.nodes import _messages, _qos
from gaze_robot.nodes._lifecycle import make_executor, prepare_log_folder
from gaze_robot.types import PanTiltCommand, PanTiltState

_WAIT_S = 10.0
_FRESH_S = 0.5
_LATE_S = 0.2
"""Joint states may come so much after the picture that they belong to."""
_ARRIVED_RAD = 0.03
_STILL_RAD_S = 0.02
_STILL_FOR_S = 0.25
_HEAD_PARAMETERS = ('backend', 'joints', 'direction', 'offset', *(
    f'limits.{joint}.{what}' for joint in ('pan', 'tilt') for what in (
        'min_position', 'max_position', 'max_velocity', 'max_acceleration', 'max_jerk')))


@dataclass(frozen=True, eq=False)
class Sight:
    """A picture and where the joints were when it was taken."""

    image: np.ndarray
    """(h, w, 3) uint8 RGB, its own copy."""

    stamp_s: float
    joints: PanTiltState | None
    """None where they are not known, or were not asked for."""


class Calibrator:
    """Sees pictures and joint states, sends trajectories; a context manager. Calls block."""

    def __init__(self, namespace: str = '', image_topic: str = 'image_raw',
                 head_node: str = 'pan_tilt') -> None:
        """Describe where things are; nothing is opened yet."""
        self._namespace, self._image_topic, self._head_node = namespace, image_topic, head_node
        self._joints: tuple[str, str] = ('pan', 'tilt')
        self._info: CameraInfo | None = None
        self._take: Callable[[Image], None] | None = None
        self._watching: list[PanTiltState] | None = None
        self._poses = PoseBuffer()
        self._broken_states = 0

    def __enter__(self) -> 'Calibrator':
        prepare_log_folder()
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node('calibrator', namespace=self._namespace or None,
                          start_parameter_services=False)
        self._executor = make_executor()
        self._executor.add_node(self._node)
        image = self._image_topic
        beside, slash, _ = image.rpartition('/')
        self._node.create_subscription(Image, image, self._on_image, _qos.IMAGE_IN)
        self._node.create_subscription(CameraInfo, f'{beside}{slash}camera_info', self._on_info,
                                       _qos.IMAGE)
        self._node.create_subscription(JointState, 'joint_states', self._on_joints,
                                       _qos.JOINT_STATES_IN)
        self._commands = self._node.create_publisher(JointTrajectory, 'joint_trajectory',
                                                     _qos.COMMAND)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def now_s(self) -> float:
        """Seconds on the clock of the stamps."""
        return float(self._node.get_clock().now().nanoseconds * 1e-9)

    def spin(self, seconds: float) -> None:
        """Let things arrive for some time."""
        self.spin_until(lambda: False, seconds)

    def spin_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Let things arrive until a condition holds, but no longer than that."""
        end_s = time.monotonic() + seconds
        try:
            while not condition():
                left_s = end_s - time.monotonic()
                if left_s <= 0:
                    return condition()
                self._executor.spin_once(timeout_sec=min(left_s, 0.05))
        except ExternalShutdownException as error:
            raise CalibrationError('ROS was shut down') from error
        return True

    def head(self) -> PanTiltConfig:
        """What the head's node was told of its joints and limits.

        Raises:
            CalibrationError: it does not answer.
        """
        name = f'{self._head_node}/get_parameters'
        client = self._node.create_client(GetParameters, name)
        if not self.spin_until(client.service_is_ready, _WAIT_S):
            raise CalibrationError(
                f'no head: there is no {self._node.resolve_service_name(name)}; start '
                'pan_tilt_node, and give the same --namespace')
        answer = client.call_async(GetParameters.Request(names=list(_HEAD_PARAMETERS)))
        if not self.spin_until(answer.done, _WAIT_S):
            raise CalibrationError(f'{self._head_node} does not say how it is set')
        values = {key: _value(value) for key, value in zip(_HEAD_PARAMETERS,
                                                           answer.result().values)}
        config = from_mapping(PanTiltConfig, {key: value for key, value in values.items()
                                              if value is not None})
        self._joints = config.joints
        return config

    def camera(self, width: int, height: int) -> CameraModel:
        """The lens that camera_info describes, for pictures of this size.

        Raises:
            CalibrationError: none arrives, or it is not calibrated.
        """
        self.spin_until(lambda: self._info is not None, 3.0)
        if self._info is None:
            raise CalibrationError('no camera_info arrives; calibrate the camera first, or name '
                                   'its file: --camera-info')
        try:
            return _messages.camera_from_info(self._info, width, height)
        except CameraModelError as error:
            raise CalibrationError(f'{error}; calibrate the camera first: gaze-robot calibrate '
                                   'camera') from error

    def joints(self) -> PanTiltState:
        """A joint state not older than half a second.

        Raises:
            CalibrationError: none arrives, or what arrives is no pose.
        """
        def fresh() -> bool:
            latest = self._poses.latest
            return latest is not None and self.now_s() - latest.stamp_s < _FRESH_S
        if self.spin_until(fresh, _WAIT_S):
            assert self._poses.latest is not None
            return self._poses.latest
        if self._broken_states:
            raise CalibrationError('joint_states say nan or inf: check the encoders of the head')
        if self._poses.latest is not None:
            raise CalibrationError('joint states have stopped, or are stamped by another clock '
                                   'than that of this machine')
        raise CalibrationError(
            f'no joint_states of {list(self._joints)} arrive on '
            f'{self._node.resolve_topic_name("joint_states")}; is the head running?')

    def picture(self, after_s: float = -math.inf, wait_s: float = _WAIT_S) -> Sight:
        """The next picture taken after a moment.

        Raises:
            CalibrationError: none arrives, or it cannot be decoded.
        """
        taken: list[Sight] = []

        def take(message: Image) -> None:
            if not taken and _messages.seconds(message.header.stamp) > after_s:
                taken.append(self._sight(message))
        self._take = take
        try:
            self.spin_until(lambda: bool(taken), wait_s)
        finally:
            self._take = None
        if taken:
            return self._posed(taken[0])
        topic = self._node.resolve_topic_name(self._image_topic)
        count = self._node.count_publishers(topic)
        raise CalibrationError(
            f'no pictures arrive on {topic}, which has {count} publishers: start the camera, or '
            'name its topic with --image-topic' + (
                '; large pictures between processes need the Fast DDS profile (README, '
                'Middleware)' if count else ''))

    def watch(self, seconds: float, each: Callable[[float], None] | None = None
              ) -> tuple[list[Sight], list[PanTiltState]]:
        """All pictures, without joints, and joint states of some time.

        Args:
            each: called often, with the seconds since the start.
        """
        sights: list[Sight] = []
        states: list[PanTiltState] = []
        self._watching = states
        self._take = lambda message: sights.append(self._sight(message))
        start_s = time.monotonic()

        def over() -> bool:
            if each is not None:
                each(time.monotonic() - start_s)
            return False
        try:
            self.spin_until(over, seconds)
        finally:
            self._take, self._watching = None, None
        return sights, states

    def send(self, pan_rad: float, tilt_rad: float, within_s: float = 0.0) -> float:
        """Send the joints somewhere; returns when that was, on the clock of the stamps."""
        message = _messages.trajectory_from_command(
            PanTiltCommand(pan_rad, tilt_rad), self._joints, within_s)
        sent_s = self.now_s()
        self._commands.publish(message)
        return sent_s

    def move(self, pan_rad: float, tilt_rad: float, speed_rad_s: float) -> bool:
        """Go there slowly and come to rest; whether the head arrived."""
        pose = self.joints()
        way = max(abs(pan_rad - pose.pan_rad), abs(tilt_rad - pose.tilt_rad))
        within_s = min(way / speed_rad_s + 0.3, 9.0)
        self.spin_until(lambda: self._commands.get_subscription_count() > 0, _WAIT_S)
        self.send(pan_rad, tilt_rad, within_s)
        self.spin(within_s)
        still_s: list[float] = []

        def resting() -> bool:
            now = self._poses.latest
            if now is None or max(abs(now.pan_rad_s), abs(now.tilt_rad_s)) > _STILL_RAD_S:
                still_s.clear()
            elif not still_s:
                still_s.append(time.monotonic())
            return bool(still_s) and time.monotonic() - still_s[0] > _STILL_FOR_S
        self.spin_until(resting, 3.0)
        pose = self.joints()
        return max(abs(pan_rad - pose.pan_rad), abs(tilt_rad - pose.tilt_rad)) < _ARRIVED_RAD

    def _sight(self, message: Image) -> Sight:
        try:
            image = _messages.rgb_from_image(message).copy()
        except ImageError as error:
            raise CalibrationError(str(error)) from error
        stamp_s = _messages.seconds(message.header.stamp)
        if not stamp_s:
            raise CalibrationError('the camera does not stamp its pictures: nobody can say where '
                                   'the head was')
        return Sight(image, stamp_s, None)

    def _posed(self, sight: Sight) -> Sight:
        """With its joints, once joint states from after it have arrived."""
        def later() -> bool:
            latest = self._poses.latest
            return latest is not None and latest.stamp_s >= sight.stamp_s
        self.spin_until(later, _LATE_S)
        if self._poses.latest is None:
            return sight
        pose = self._poses.at(sight.stamp_s)
        return replace(sight, joints=pose if abs(pose.stamp_s - sight.stamp_s) < _LATE_S else None)

    def _on_image(self, message: Image) -> None:
        if self._take is not None:
            self._take(message)

    def _on_info(self, message: CameraInfo) -> None:
        self._info = message

    def _on_joints(self, message: JointState) -> None:
        pose = _messages.pose_from_joint_state(message, self._joints)
        if pose is None:
            return
        if not self._poses.add(pose) and not math.isfinite(pose.pan_rad + pose.tilt_rad):
            self._broken_states += 1
        elif self._watching is not None:
            self._watching.append(pose)


def _value(message: Any) -> Any:
    """What a ParameterValue holds; None: not set."""
    fields = (None, 'bool_value', 'integer_value', 'double_value', 'string_value',
              'byte_array_value', 'bool_array_value', 'integer_array_value', 'double_array_value',
              'string_array_value')
    name = fields[message.type]
    if name is None:
        return None
    value = getattr(message, name)
    return list(value) if name.endswith('array_value') else value
