"""Sees what a robot under test does, and sends it what no robot should have to bear."""

import math
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState
import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image, JointState
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory

from gaze_robot.config import PanTiltConfig
from gaze_robot.nodes import _messages, _qos
from gaze_robot.signs import KEY
from gaze_robot.types import PanTiltCommand

SILENT_AFTER_S = 2.5
BUSY = {'slow inference', 'images dropped', 'commands stopped', 'limits', 'commands refused'}
"""Signs that a busy machine, or a fault just over, may show."""

_POUR_HZ = 30.0


class SoakWitness(Node):
    """Watches joint states and diagnostics; pours bad messages; calls services without waiting."""

    def __init__(self) -> None:
        super().__init__('soak_witness', start_parameter_services=False, enable_rosout=False)
        self._limits = PanTiltConfig().limits
        self._came: dict[str, tuple[float, Any]] = {}
        self.beyond: list[str] = []
        """Every joint state outside the limits."""
        self.commands = 0
        """Of the eye, so far."""
        self.commands_before = 0
        self._poured = ''
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics,
                                 _qos.DIAGNOSTICS)
        self.create_subscription(JointState, 'joint_states', self._on_state,
                                 _qos.JOINT_STATES_IN)
        self.create_subscription(JointTrajectory, 'joint_trajectory', self._on_command,
                                 _qos.COMMAND)
        self._wild = self.create_publisher(JointTrajectory, 'joint_trajectory', _qos.COMMAND)
        self._images: Publisher | None = None
        self._states = self.create_publisher(JointState, 'joint_states', _qos.JOINT_STATES_OUT)
        self._switches = {name: self.create_client(SetBool, name) for name in (
            'pan_tilt/runstop', 'pan_tilt/torque_enable', 'gaze/enable')}
        self._changes = {name: self.create_client(ChangeState, f'{name}/change_state')
                         for name in ('gaze', 'pan_tilt')}
        self.create_timer(1 / _POUR_HZ, self._pour)

    def signs(self, node: str) -> set[str]:
        """What a node's newest diagnostics name; {'silent'} when there are none any more."""
        for name, (came_s, values) in self._came.items():
            if f'/{node}:' in name and time.monotonic() - came_s < SILENT_AFTER_S:
                return set(filter(None, values.get(KEY, '').split(', ')))
        return {'silent'}

    def is_well(self) -> bool:
        """Neither node shows more than a busy machine, and the eye commands."""
        return self.signs('gaze') | self.signs('pan_tilt') <= BUSY and (
            self.commands > self.commands_before + 10)

    def describe(self) -> str:
        """What keeps it from being well."""
        return (f'gaze shows {sorted(self.signs("gaze"))}, pan_tilt '
                f'{sorted(self.signs("pan_tilt"))}, {self.commands} commands')

    def switch(self, service: str, on: bool) -> None:
        """Ask a SetBool service; diagnostics tell whether it happened."""
        self._switches[service].call_async(SetBool.Request(data=on))

    def transition(self, node: str, label: str) -> None:
        """Ask for a transition of its life cycle."""
        request = ChangeState.Request()
        request.transition.label = label
        self._changes[node].call_async(request)

    def pour(self, what: str) -> None:
        """Send this bad thing from now on, 30 times a second; '' ends it."""
        self._poured = what
        if 'pictures' in what:
            self._images = self.create_publisher(Image, 'image_raw', _qos.CAMERA_BEST_EFFORT)
        elif self._images is not None:          # a second camera for long is a fault of its own
            self.destroy_publisher(self._images)
            self._images = None

    def _pour(self) -> None:
        stamp = self.get_clock().now().to_msg()
        if self._poured == 'wild commands':
            for goal in (PanTiltCommand(50.0, -50.0), PanTiltCommand(0.0, 0.0)):
                message = _messages.trajectory_from_command(goal)
                if goal.pan_rad == 0:
                    message.points[0].positions[0] = math.nan
                self._wild.publish(message)
        elif self._poured == 'NaN joint states':
            self._states.publish(JointState(header=_messages.header(stamp, ''),
                                            name=['pan', 'tilt'], position=[math.nan, 0.0]))
        elif self._poured == 'damaged pictures' and self._images is not None:
            self._images.publish(Image(header=_messages.header(stamp, 'x'), encoding='rgb8',
                                       width=64, height=64, step=192, data=bytes(100)))
        elif self._poured == 'pictures of the future' and self._images is not None:
            stamp.sec += 100
            self._images.publish(Image(header=_messages.header(stamp, 'x'), encoding='rgb8',
                                       width=8, height=8, step=24, data=bytes(192)))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {each.key: each.value for each in status.values}
            if KEY in values:
                self._came[status.name] = time.monotonic(), values

    def _on_command(self, message: JointTrajectory) -> None:
        if self._poured != 'wild commands':
            self.commands += 1

    def _on_state(self, message: JointState) -> None:
        pose = _messages.pose_from_joint_state(message)
        if pose is None or not math.isfinite(pose.pan_rad):
            return
        place = np.array([pose.pan_rad, pose.tilt_rad])
        speed = np.abs([pose.pan_rad_s, pose.tilt_rad_s])
        if (place < np.array(self._limits.min_position) - 1e-6).any() or (
                place > np.array(self._limits.max_position) + 1e-6).any() or (
                speed > 1.001 * np.array(self._limits.max_velocity)).any():
            self.beyond.append(f'{pose}')
