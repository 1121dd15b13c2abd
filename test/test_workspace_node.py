"""A workspace as a robot on real rclpy: camera, arm, truth; the arm does what it is told."""

from collections import defaultdict
import time

import numpy as np
import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip('rclpy', reason='needs rclpy')
pytest.importorskip('mujoco', reason='needs mujoco')
pytest.importorskip('mink', reason='needs mink')

from builtin_interfaces.msg import Duration  # noqa: E402
from geometry_msgs.msg import PointStamped  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import (  # noqa: E402
    DurabilityPolicy,
    qos_profile_sensor_data,
    QoSProfile,
    ReliabilityPolicy,
)
from sensor_msgs.msg import CameraInfo, Image, JointState  # noqa: E402
from std_msgs.msg import String  # noqa: E402
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint  # noqa: E402

from gaze_robot.errors import ConfigError  # noqa: E402
from gaze_robot.nodes import _messages  # noqa: E402
from gaze_robot.types import PanTiltState  # noqa: E402
from gaze_robot_sim.physics.expert import Expert  # noqa: E402
from gaze_robot_sim.physics.views import can_draw  # noqa: E402

if can_draw():
    pytest.skip(can_draw(), allow_module_level=True)
from gaze_robot_sim.workspace_node import WorkspaceNode  # noqa: E402

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
TOPICS = {'image_raw': (Image, qos_profile_sensor_data),
          'camera_info': (CameraInfo, qos_profile_sensor_data),
          'joint_states': (JointState, 10), 'gaze/prompt': (String, LATCHED),
          'world/target': (PointStamped, 10), 'world/outcome': (String, 10)}


class Robot:
    """The node, and somebody who turns its head and moves its arm."""

    def __init__(self):
        self.executor = SingleThreadedExecutor()
        self.node = WorkspaceNode(parameter_overrides=[
            Parameter('world', value='workspace:press'), Parameter('width', value=160),
            Parameter('height', value=120), Parameter('rate', value=15.0)])
        self.other = rclpy.create_node('robot')
        for one in (self.node, self.other):
            self.executor.add_node(one)
        self.heard = defaultdict(list)
        for topic, (kind, qos) in TOPICS.items():
            self.other.create_subscription(kind, topic, self.heard[topic].append, qos)
        self.head = self.other.create_publisher(JointState, 'joint_states', 10)
        self.arm = self.other.create_publisher(JointTrajectory, 'gaze/action', 10)

    def spin(self, seconds, until=lambda: False):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            self.executor.spin_once(timeout_sec=0.02)
        return until()

    def arms(self):
        return [message for message in self.heard['joint_states'] if 'yaw' in message.name]

    def close(self):
        self.node.close()
        self.node.destroy_node()
        self.other.destroy_node()


@pytest.fixture
def robot():
    rclpy.init()
    made = Robot()
    yield made
    made.close()
    rclpy.try_shutdown()


def test_it_is_a_camera_an_arm_and_a_task(robot):
    assert robot.spin(20, lambda: robot.heard['image_raw'] and robot.arms()
                      and robot.heard['world/target'] and robot.heard['gaze/prompt'])
    image, arm = robot.heard['image_raw'][-1], robot.arms()[-1]
    assert (image.width, image.height, image.encoding) == (160, 120, 'rgb8')
    assert np.std(_messages.rgb_from_image(image)) > 5
    head = tuple(robot.node.config.joints)                  # nobody moves it, so it is told here
    assert tuple(arm.name) == (*robot.node.world.joint_names, *head)
    np.testing.assert_allclose(arm.position[-2:], robot.node.world.gaze)
    robot.head.publish(_messages.joint_state_from_pose(PanTiltState(0.3, 0.1)))
    assert robot.spin(20, lambda: tuple(robot.arms()[-1].name) == robot.node.world.joint_names)
    assert robot.heard['gaze/prompt'][-1].data == robot.node.world.task.instruction


def test_the_picture_follows_the_head(robot):
    robot.spin(20, lambda: bool(robot.heard['image_raw']))
    first = _messages.rgb_from_image(robot.heard['image_raw'][-1]).astype(int)
    for pan in (-0.9, 0.9):
        robot.head.publish(_messages.joint_state_from_pose(PanTiltState(pan, 0.4)))
        assert robot.spin(20, lambda pan=pan: abs(robot.node.world.gaze[0] - pan) < 1e-6)
        count = len(robot.heard['image_raw'])
        robot.spin(20, lambda count=count: len(robot.heard['image_raw']) > count + 1)
        image = _messages.rgb_from_image(robot.heard['image_raw'][-1]).astype(int)
        assert np.abs(image - first).mean() > 2
        first = image


def test_the_arm_does_the_task_when_it_is_told_how(robot):
    names = list(robot.node.world.joint_names)
    told = robot.node.world.task.instruction
    expert = Expert(robot.node.world)

    def tell():
        if robot.heard['world/outcome']:
            return True
        robot.arm.publish(JointTrajectory(joint_names=names, points=[
            JointTrajectoryPoint(positions=expert.act().tolist())]))
        return False
    assert robot.spin(60, tell)
    assert robot.heard['world/outcome'][0].data == 'success'
    assert robot.node.outcomes == ['success']
    prompts = robot.heard['gaze/prompt']
    assert robot.spin(20, lambda: len(prompts) > 1)               # and the next one begins
    assert prompts[0].data == told


def test_a_trajectory_for_other_joints_is_refused_and_the_arm_holds(robot):
    robot.spin(20, lambda: bool(robot.arms()))
    before = np.array(robot.arms()[-1].position)
    robot.arm.publish(JointTrajectory(joint_names=['knee'], points=[
        JointTrajectoryPoint(positions=[1.0])]))
    robot.spin(1.0)
    np.testing.assert_allclose(robot.arms()[-1].position, before, atol=0.02)


def test_numbers_beyond_all_bounds_do_no_harm(robot):
    robot.spin(20, lambda: bool(robot.arms()))
    names, count = list(robot.node.world.joint_names), robot.node.published
    robot.arm.publish(JointTrajectory(joint_names=names, points=[
        JointTrajectoryPoint(positions=[sign * 1.7e308] * len(names),
                             time_from_start=Duration(sec=sec, nanosec=1))
        for sign, sec in ((1.0, 0), (-1.0, 5))]))
    assert robot.spin(20, lambda: robot.node.published > count + 15)
    low, high = robot.node.world.bounds
    assert (robot.node.world.data.ctrl >= low).all()
    assert (robot.node.world.data.ctrl <= high).all()


def test_a_clock_that_is_set_back_does_not_stop_it(robot, monkeypatch):
    node = robot.node
    robot.spin(20, lambda: bool(robot.arms()))
    node.world.outcome, now = 'timeout', node._now_s()
    robot.spin(20, lambda: bool(node.outcomes))
    number = node._number
    monkeypatch.setattr(node, '_now_s', lambda: now - 3600.0)
    assert robot.spin(20, lambda: node._number == number + 1)


def test_what_a_workspace_does_not_have_is_refused():
    rclpy.init()
    try:
        for name, value, says in (('movers', 5, 'no movers'), ('game', 'follow', 'no game'),
                                  ('true_zero', [0.1, 0.0], 'no true_zero'),
                                  ('rate', 2.0, '5 to 200 steps a second, got 2')):
            with pytest.raises(ConfigError, match=says):
                WorkspaceNode(parameter_overrides=[Parameter('world', value='workspace:press'),
                                                   Parameter(name, value=value)])
    finally:
        rclpy.try_shutdown()


def test_qos_of_the_pictures_can_be_overridden():
    rclpy.init()
    node = WorkspaceNode(parameter_overrides=[
        Parameter('world', value='workspace:press'), Parameter('rate', value=15.0),
        Parameter('qos_overrides./image_raw.publisher.reliability', value='reliable')])
    assert node._image_pub.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    assert node._info_pub.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    node.close()
    node.destroy_node()
    rclpy.try_shutdown()


def test_pictures_that_are_too_large_are_refused():
    rclpy.init()
    try:
        with pytest.raises(ConfigError, match='wide and high at most'):
            WorkspaceNode(parameter_overrides=[Parameter('world', value='workspace:press'),
                                               Parameter('width', value=1920),
                                               Parameter('height', value=1080)])
        with pytest.raises(ConfigError, match='juggle'):
            WorkspaceNode(parameter_overrides=[Parameter('world', value='workspace:juggle')])
    finally:
        rclpy.try_shutdown()
