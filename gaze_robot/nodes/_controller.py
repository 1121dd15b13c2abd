"""What carries a TrajectoryDriver's messages: topics of a ros2_control robot."""

from collections.abc import Callable, Iterator, Sequence
import contextlib
from dataclasses import replace
import time
from typing import Any

import rclpy
from rclpy.node import Node
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from gaze_robot.config import PanTiltConfig
from gaze_robot.drivers.base import PanTiltDriver
from gaze_robot.drivers.registry import make_configured
from gaze_robot.drivers.trajectory import Knot
from gaze_robot.errors import DriverConnectionError
from gaze_robot.nodes import _messages, _qos
from gaze_robot.nodes._lifecycle import make_executor
from gaze_robot.types import PanTiltLimits, PanTiltState

FIRST_STATE_S = 5.0
"""How long connecting waits for the first joint state."""


class ControllerLink:
    """Trajectories out, joint states in, by a node of its own, looked after whenever asked."""

    def __init__(self, node: Node, config: PanTiltConfig) -> None:
        """Subscribe and publish in the namespace of `node`."""
        self._joints = config.joints
        self._node = rclpy.create_node(f'{node.get_name()}_controller_link',
                                       namespace=node.get_namespace(),
                                       start_parameter_services=False)
        self._executor = make_executor()
        self._executor.add_node(self._node)
        self._state: PanTiltState | None = None
        self._node.create_subscription(JointState, 'joint_states', self._on_state,
                                       _qos.JOINT_STATES_IN)
        self._commands = self._node.create_publisher(
            JointTrajectory, f'{config.controller}/joint_trajectory', _qos.COMMAND)

    def send(self, knots: Sequence[Knot]) -> None:
        """Publish a trajectory that begins now. Raises DriverConnectionError once ROS is gone."""
        message = JointTrajectory(joint_names=list(self._joints))
        for after_s, positions, velocities in knots:
            point = JointTrajectoryPoint(positions=list(positions), velocities=list(velocities))
            point.time_from_start.sec = int(after_s)
            point.time_from_start.nanosec = int((after_s % 1.0) * 1e9)
            message.points.append(point)
        with _ros_alive():
            self._commands.publish(message)

    def latest(self) -> PanTiltState | None:
        """The newest joint state, on the steady clock; waits for the first one.

        Raises:
            DriverConnectionError: ROS has been shut down.
        """
        end_s = time.monotonic() + FIRST_STATE_S
        with _ros_alive():
            while self._state is None and time.monotonic() < end_s:
                self._executor.spin_once(timeout_sec=0.1)
            for _ in range(20):         # what has arrived since
                self._executor.spin_once(timeout_sec=0.0)
        return self._state

    def close(self) -> None:
        """Let go of the topics."""
        self._executor.shutdown()
        self._node.destroy_node()

    def _on_state(self, message: JointState) -> None:
        pose = _messages.pose_from_joint_state(message, self._joints)
        if pose is not None:
            self._state = replace(pose, stamp_s=time.monotonic())


@contextlib.contextmanager
def _ros_alive() -> Iterator[None]:
    """After Ctrl-C nothing can be sent: the controller ends its last motion and holds.

    A signal may end ROS at any moment inside, too. Raises DriverConnectionError for both.
    """
    try:
        if rclpy.ok():
            yield
            return
    except RuntimeError:        # RCLError
        if rclpy.ok():
            raise
    raise DriverConnectionError('ROS has been shut down')


def driver_maker(node: Node, config: PanTiltConfig
                 ) -> tuple[Callable[[PanTiltLimits], PanTiltDriver], Callable[[], None]]:
    """(what makes the driver of a configuration for limits, what to call when done with it)."""
    options: dict[str, Any] = {'clock': time.monotonic}
    close: Callable[[], None] = _nothing
    if config.backend == 'trajectory':
        link = ControllerLink(node, config)
        options |= {'send': link.send, 'latest': link.latest}
        close = link.close
    return lambda limits: make_configured(config, limits=limits, **options), close


def _nothing() -> None:
    pass
