"""The head's frames on /tf and /tf_static, as another process reads them; needs tf2_msgs."""

import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip('rclpy', reason='needs rclpy')
pytest.importorskip('tf2_msgs', reason='tf2_msgs comes with a ROS installation')

from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402
from trajectory_msgs.msg import JointTrajectory  # noqa: E402

from gaze_robot.nodes import _messages  # noqa: E402
from gaze_robot.types import PanTiltCommand  # noqa: E402


def turned(transform, vector):
    """A vector of the child in the parent, by Hamilton's product."""
    q = transform.transform.rotation
    w, u, v = q.w, np.array([q.x, q.y, q.z]), np.asarray(vector, float)
    return v + 2 * np.cross(u, np.cross(u, v) + w * v)


@pytest.fixture(scope='module')
def heard():
    """The node and its newest transforms, by child frame."""
    rclpy.init()
    node = rclpy.create_node('listener')
    newest = {}

    def keep(message):
        newest.update({each.child_frame_id: each for each in message.transforms})
    latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    process = subprocess.Popen(
        [sys.executable, '-m', 'gaze_robot.nodes.pan_tilt_node', '--ros-args', '-p',
         'frame_prefix:=left_', '-p', 'camera_mount.xyz:=[0.02, 0.0, 0.03]', '-p',
         'command_timeout:=5.0'], env=os.environ)
    time.sleep(3.0)                             # a late reader gets the fixed frames all the same
    node.create_subscription(TFMessage, '/tf', keep, 100)
    node.create_subscription(TFMessage, '/tf_static', keep, latched)
    commands = node.create_publisher(JointTrajectory, 'joint_trajectory', 1)

    def spin(seconds, until):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            rclpy.spin_once(node, timeout_sec=0.02)
        return until()
    assert spin(30.0, lambda: len(newest) == 4 and commands.get_subscription_count() == 1)
    yield newest, commands, spin
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    node.destroy_node()
    rclpy.try_shutdown()


def test_the_frames_hang_together(heard):
    newest, *_ = heard
    assert {child: each.header.frame_id for child, each in newest.items()} == {
        'left_pan_link': 'left_base_link', 'left_tilt_link': 'left_pan_link',
        'left_camera_link': 'left_tilt_link',
        'left_camera_optical_frame': 'left_camera_link'}
    mount = newest['left_camera_link'].transform.translation
    assert (mount.x, mount.y, mount.z) == pytest.approx((0.02, 0.0, 0.03))
    optical = newest['left_camera_optical_frame']
    np.testing.assert_allclose(turned(optical, [0, 0, 1]), [1, 0, 0], atol=1e-9)    # forward
    np.testing.assert_allclose(turned(optical, [1, 0, 0]), [0, -1, 0], atol=1e-9)   # right
    np.testing.assert_allclose(turned(optical, [0, 1, 0]), [0, 0, -1], atol=1e-9)   # down


def test_they_turn_as_the_head_does(heard):
    newest, commands, spin = heard
    commands.publish(_messages.trajectory_from_command(PanTiltCommand(0.5, 0.3)))

    def there():
        forward = turned(newest['left_pan_link'], turned(newest['left_tilt_link'], [1, 0, 0]))
        return math.atan2(forward[1], forward[0]) > 0.49 and -forward[2] > math.sin(0.29)
    assert spin(20.0, there)
    stamp = _messages.seconds(newest['left_pan_link'].header.stamp)
    assert abs(time.time() - stamp) < 2.0
