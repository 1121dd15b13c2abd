"""What one glance becomes on the head's topic, over real rclpy."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip('rclpy', reason='needs rclpy')
pytest.importorskip('torch', reason='gaze_node needs torch')

from std_msgs.msg import Header  # noqa: E402
from trajectory_msgs.msg import JointTrajectory  # noqa: E402

from gaze_robot.config import GazeConfig  # noqa: E402
from gaze_robot.nodes._gaze_outputs import due, GazeOutputs  # noqa: E402
from gaze_robot.types import FoveatedView, GazeResult, PanTiltCommand, PanTiltState  # noqa: E402


@pytest.fixture
def node():
    rclpy.init()
    node = rclpy.create_node('outputs')
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


@pytest.mark.parametrize('goal, due_s', [(1.57, 1.57 / 3.14 + 3.14 / 30), (0.0, 1 / 25)])
def test_a_command_is_due_when_a_usual_head_can_be_there(node, goal, due_s):
    """Any other controller would jump with a time_from_start of 0, and refuse a stamp."""
    got = []
    node.create_subscription(JointTrajectory, 'joint_trajectory', got.append, 10)
    outputs = GazeOutputs(node, GazeConfig(control_rate=25.0))
    result = GazeResult(
        5.5, np.array([0.0, 0.0, 1.0]), PanTiltCommand(goal, 0.0), PanTiltState(0.0, 0.0),
        'saccade', False, None, FoveatedView((), ()))
    glance = SimpleNamespace(result=result, picture=SimpleNamespace(header=Header()), boxes=(),
                             frame=SimpleNamespace(camera=None), debug=None)
    end_s, now_s = time.monotonic() + 10.0, 0.0
    while not got and time.monotonic() < end_s:
        now_s += 1.0
        outputs.publish(glance, now_s)
        outputs.show(glance, now_s)
        rclpy.spin_once(node, timeout_sec=0.1)
    (point,) = got[0].points
    assert point.time_from_start.sec + 1e-9 * point.time_from_start.nanosec == pytest.approx(
        due_s, abs=1e-6)
    assert (got[0].header.stamp.sec, got[0].header.stamp.nanosec) == (0, 0)


def glance_at(command, pose=None):
    """What the eye decided from a picture taken at 5.5 s."""
    return GazeResult(5.5, np.array([0.0, 0.0, 1.0]), command,
                      PanTiltState(0.0, 0.0) if pose is None else pose, 'pursue', False, None,
                      FoveatedView((), ()))


def test_a_moving_target_is_led_by_age_dead_time_and_time_to_get_there():
    """30 ms to be there, the picture 80 ms old, 20 ms dead: 130 ms at 1 rad/s and -0.5 rad/s."""
    config = GazeConfig(control_rate=1 / 0.03, dead_time=0.02)
    command, in_s = due(glance_at(PanTiltCommand(0.0, 0.0, 1.0, -0.5),
                                  PanTiltState(0.1, -0.05)), config, 5.58)
    assert in_s == pytest.approx(0.03)
    assert (command.pan_rad, command.tilt_rad) == pytest.approx((0.13, -0.065))
    assert (command.pan_rad_s, command.tilt_rad_s) == (1.0, -0.5)


def test_joints_are_sent_with_which_an_askew_camera_looks_there():
    config = GazeConfig(camera_mount_rpy=(0.05, 0.0, 0.1), tilt_axis_roll=0.03)
    command, _ = due(glance_at(PanTiltCommand(0.5, 0.3)), config, 9.9)
    view, _ = config.geometry.view(PanTiltState(command.pan_rad, command.tilt_rad))
    assert (view.pan_rad, view.tilt_rad) == pytest.approx((0.5, 0.3), abs=1e-9)
    assert command.pan_rad < 0.42


def test_a_resting_target_is_not_led_and_no_lead_leaves_the_limits():
    rest = PanTiltCommand(0.4, 0.1)
    assert due(glance_at(rest), GazeConfig(), 9.9)[0] == rest
    fast = PanTiltCommand(3.0, 0.0, 3.0)
    command, _ = due(glance_at(fast, PanTiltState(3.0, 0.0)), GazeConfig(), 5.9)
    assert (command.pan_rad, command.pan_rad_s) == (3.14, 0.0)
