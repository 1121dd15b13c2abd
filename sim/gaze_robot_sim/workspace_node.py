"""workspace_node: a workspace in physics as a robot: a camera on a head, and an arm that obeys."""

import math
from typing import Any

from geometry_msgs.msg import PointStamped
import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Float64, Header, String
from trajectory_msgs.msg import JointTrajectory

from gaze_robot.camera import CameraModel
from gaze_robot.config import WorldConfig
from gaze_robot.errors import CommandError, ConfigError
from gaze_robot.geometry import angle_between, direction_from_pan_tilt
from gaze_robot.nodes import _messages, _qos
from gaze_robot.nodes._params import declare_config
from gaze_robot.optional import require
from gaze_robot.shipped import hand_of, WORKSPACE
from gaze_robot_sim.physics.arm_plan import ArmPlan

_SHOWN_S = 1.0
"""How long the end of an episode stays before the next one begins."""
_IDLE_S = 5.0
"""After so long without a command somebody is told why the arm stands still."""
_RATE = 5.0, 200.0
"""Steps per second that physics bears."""
_ELSEWHERE = ('camera_info', 'board', 'true_zero', 'true_direction', 'movers', 'game')
"""Parameters of other worlds, which a workspace does not have."""


def _check(config: WorldConfig) -> None:
    least, most = _RATE
    if not least <= config.rate <= most:
        raise ConfigError(f'a workspace goes at {least:g} to {most:g} steps a second, got '
                          f'{config.rate:g}; set rate')
    usual = WorldConfig()
    for name in _ELSEWHERE:
        if getattr(config, name) != getattr(usual, name):
            raise ConfigError(f'a workspace has no {name}; leave that parameter out')


class WorkspaceNode(Node):
    """A workspace (`world:=workspace:press` and so on); parameters are `WorldConfig`.

    In: joint_states (the head's), gaze/action (a JointTrajectory for the arm). Out: image_raw,
    camera_info, joint_states (the arm's; the head's too, which stands still, until somebody moves
    it and says so there), gaze/prompt (what to do), ~/target (where what matters truly is, base
    frame), ~/gaze_error (radians), ~/outcome ('success', or what went wrong, at the end of each
    episode). Episodes follow each other; number k depends on the seed and k only.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__('world', **options)
        self.config = config = declare_config(self, WorldConfig)
        self._physics = require('gaze_robot_sim.physics.world')
        self._views = require('gaze_robot_sim.physics.views')
        self.task = config.world.removeprefix(WORKSPACE)
        _check(config)
        most = require('gaze_robot_sim.physics.build').LARGEST
        if max(config.width, config.height) > most:
            raise ConfigError(f'a workspace is drawn {most} pixels wide and high at most, got '
                              f'{config.width}x{config.height}; set width and height')
        self.camera = CameraModel.from_hfov(config.width, config.height,
                                            math.radians(config.hfov_deg))
        self.outcomes: list[str] = []
        """Of the episodes that are over."""
        self.published = 0
        """Pictures so far."""
        self._pose = np.zeros(2)
        self._painter: Any = None
        self._told = self._driven = False
        self._step_s = self._now_s()
        self._begin(0)
        self._open(config)
        if hand_of(config.world) is None:
            self.get_logger().info(f'no hand ships for {config.world}: give gaze_node one of your '
                                   f'own (model.path), of `gaze-robot train bcrl --demos '
                                   f'{config.world}`')
        self._tell()

    def _open(self, config: WorldConfig) -> None:
        self._fill = _messages.ImageFiller()
        out = _qos.camera_out(config.reliability)
        self._image_pub = self.create_publisher(Image, 'image_raw', **_qos.overridable(out))
        self._info_pub = self.create_publisher(CameraInfo, 'camera_info',
                                               **_qos.overridable(out))
        self._joints_pub = self.create_publisher(JointState, 'joint_states',
                                                 _qos.JOINT_STATES_OUT)
        self._prompt_pub = self.create_publisher(String, 'gaze/prompt', _qos.LATCHED)
        self._outcome_pub = self.create_publisher(String, '~/outcome', _qos.COMMAND)
        self._target_pub = self.create_publisher(PointStamped, '~/target', _qos.COMMAND)
        self._error_pub = self.create_publisher(Float64, '~/gaze_error', _qos.COMMAND)
        self.create_subscription(JointState, 'joint_states', self._on_joints,
                                 **_qos.overridable(_qos.JOINT_STATES_IN))
        self.create_subscription(JointTrajectory, 'gaze/action', self._on_action, _qos.COMMAND)
        self._timer = self.create_timer(1.0 / config.rate, self._on_step)

    def _begin(self, number: int) -> None:
        if self._painter is not None:
            self._painter.close()
        self.world = self._physics.PhysicsWorld(
            self.task, self.config.seed, number,
            self._physics.PhysicsConfig(rate_hz=self.config.rate))
        self._painter = self._views.Painter(self.world)
        self._plan = self._hold()
        self._number, self._over_s = number, math.inf

    def _hold(self) -> ArmPlan:
        return ArmPlan(self.world.joint_names, self.world.joints(), self.world.bounds)

    def _tell(self) -> None:
        self.get_logger().info(f'episode {self._number}: {self.world.task.instruction}')
        self._prompt_pub.publish(String(data=self.world.task.instruction))

    def pause(self) -> None:
        """Take no more pictures."""
        self._timer.cancel()

    def close(self) -> None:
        """Free what the graphics driver holds."""
        self._painter.close()

    def _on_joints(self, message: JointState) -> None:
        arm = self.world.joint_names
        if tuple(message.name) in (arm, (*arm, *self.config.joints)):   # this node's own
            return
        pose = _messages.pose_from_joint_state(message, self.config.joints)
        if pose is not None and math.isfinite(pose.pan_rad) and math.isfinite(pose.tilt_rad):
            self._pose, self._driven = np.array([pose.pan_rad, pose.tilt_rad]), True
        elif pose is None:
            self.get_logger().warning(
                f'joint_states hold {list(message.name)} and not the joints {self.config.joints}: '
                'the camera stands still; set the parameter joints', once=True)

    def _on_action(self, message: JointTrajectory) -> None:
        times = [_messages.seconds(point.time_from_start) for point in message.points]
        rows = [list(point.positions) for point in message.points]
        try:
            self._plan.follow(list(message.joint_names), times, rows, self._now_s())
            self._told = True
        except CommandError as error:
            self.get_logger().warning(f'gaze/action refused: {error}',
                                      throttle_duration_sec=5.0)

    def _on_step(self) -> None:
        now, world = self._now_s(), self.world
        if now < self._step_s - 1.0:                    # the clock was set back
            self._plan, self._over_s = self._hold(), now if world.outcome else math.inf
        self._step_s = now
        if now >= self._over_s:
            self._begin(self._number + 1)
            self._tell()
            return
        world.step(self._plan.at(now), self._pose)
        if not self._told and world.time_s > _IDLE_S:
            self.get_logger().warning(
                f'nobody has told the arm anything on gaze/action for {_IDLE_S:g} s; it takes a '
                'policy with a hand that knows this task (model.path of gaze_node), such as those '
                'that ship for workspace:press, workspace:bucket and workspace:read', once=True)
        if world.outcome != 'diverged':                       # then nothing is anywhere
            self._publish(now)
        if world.outcome and self._over_s == math.inf:
            self._over_s = now + _SHOWN_S
            self.outcomes.append(world.outcome)
            self._outcome_pub.publish(String(data=world.outcome))
            won = self.outcomes.count('success')
            self.get_logger().info(f'episode {self._number}: {world.outcome} after '
                                   f'{world.time_s:.1f} s; {won} of {len(self.outcomes)} so far')

    def _publish(self, now: float) -> None:
        world, stamp = self.world, _messages.stamp(now)
        prefix = self.config.frame_prefix
        header = Header(stamp=stamp, frame_id=f'{prefix}camera_optical_frame')
        head = {} if self._driven else dict(zip(self.config.joints, world.gaze.tolist()))
        self._joints_pub.publish(JointState(
            header=Header(stamp=stamp), name=[*world.joint_names, *head],
            position=[*world.joints().tolist(), *head.values()]))
        self._info_pub.publish(_messages.info_from_camera(self.camera, header))
        self._image_pub.publish(self._fill(self._painter.photograph(self.camera), header))
        self.published += 1
        aim = direction_from_pan_tilt(*world.aim())
        self._target_pub.publish(_messages.point_from_ray(
            aim, Header(stamp=stamp, frame_id=f'{prefix}base_link')))
        self._error_pub.publish(Float64(data=float(angle_between(
            aim, direction_from_pan_tilt(*world.gaze)))))

    def _now_s(self) -> float:
        return _messages.seconds(self.get_clock().now().to_msg())

