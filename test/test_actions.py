"""The head's action servers with real clients; needs control_msgs, which has no wheel."""

import math
import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip('rclpy', reason='needs rclpy')
pytest.importorskip('control_msgs', reason='control_msgs comes with a ROS installation')

from action_msgs.msg import GoalStatus  # noqa: E402
from control_msgs.action import FollowJointTrajectory, PointHead  # noqa: E402
from control_msgs.msg import JointTolerance  # noqa: E402
from lifecycle_msgs.srv import ChangeState  # noqa: E402
from rclpy.action import ActionClient  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402
from std_srvs.srv import SetBool, Trigger  # noqa: E402
from trajectory_msgs.msg import JointTrajectory  # noqa: E402

from gaze_robot.nodes import _messages  # noqa: E402
from gaze_robot.types import PanTiltCommand  # noqa: E402


class Client:
    """Somebody who points the head."""

    def __init__(self):
        self.node = rclpy.create_node('client')
        self.states, self.feedback = [], []
        self.node.create_subscription(JointState, 'joint_states', self.states.append, 10)
        self.commands = self.node.create_publisher(JointTrajectory, 'joint_trajectory', 1)
        self.point = ActionClient(self.node, PointHead, 'pan_tilt/point_head')
        self.follow = ActionClient(self.node, FollowJointTrajectory,
                                   'pan_tilt/follow_joint_trajectory')

    def spin(self, seconds, until=None):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not (until is not None and until()):
            rclpy.spin_once(self.node, timeout_sec=0.02)
        return until is None or until()

    def wait(self, future, seconds=20.0):
        assert self.spin(seconds, future.done)
        return future.result()

    def send(self, client, goal):
        """The handle of a goal that was sent."""
        self.feedback.clear()
        return self.wait(client.send_goal_async(
            goal, feedback_callback=lambda each: self.feedback.append(
                (time.monotonic(), each.feedback))))

    def result(self, handle):
        """(status, result)."""
        answer = self.wait(handle.get_result_async())
        return answer.status, answer.result

    def call(self, kind, name, **request):
        client = self.node.create_client(kind, f'pan_tilt/{name}')
        assert client.wait_for_service(20.0)
        return self.wait(client.call_async(kind.Request(**request)))

    @property
    def position(self):
        return list(self.states[-1].position)

    def reaches(self, pan, tilt):
        """What the head says arrives a little after the result."""
        return self.spin(10.0, lambda: self.position == pytest.approx([pan, tilt], abs=0.04))


@pytest.fixture(scope='module')
def client():
    rclpy.init()
    client = Client()
    yield client
    client.point.destroy()
    client.follow.destroy()
    client.node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture(scope='module')
def node(client):
    process = subprocess.Popen(
        [sys.executable, '-m', 'gaze_robot.nodes.pan_tilt_node', '--ros-args',
         '-p', 'frame_prefix:=left_'], stderr=subprocess.PIPE, text=True, env=os.environ)
    assert client.point.wait_for_server(30.0)
    assert client.follow.wait_for_server(30.0)
    assert client.spin(30.0, lambda: len(client.states) > 5)
    assert client.spin(10.0, lambda: client.commands.get_subscription_count() > 0)
    yield process
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert 'Traceback' not in errors


@pytest.fixture
def head(node, client):
    """The head, looking straight ahead."""
    client.call(SetBool, 'runstop', data=False)
    assert client.call(Trigger, 'home').success
    assert client.spin(10.0, lambda: client.position == pytest.approx([0.0, 0.0], abs=0.01))
    return client


def place(azimuth, height=0.0, frame='left_base_link', **options):
    goal = PointHead.Goal(**options)
    goal.target.header.frame_id = frame
    goal.target.point.x = math.cos(azimuth) * math.cos(height)
    goal.target.point.y = math.sin(azimuth) * math.cos(height)
    goal.target.point.z = math.sin(height)
    return goal


def trajectory(*points, joints=('pan', 'tilt')):
    goal = FollowJointTrajectory.Goal()
    goal.trajectory.joint_names = list(joints)
    for at_s, pan, tilt in points:
        goal.trajectory.points += _messages.trajectory_from_command(
            PanTiltCommand(pan, tilt), joints, at_s).points
    return goal


def test_it_points_and_says_how_far_off_it_is(head):
    handle = head.send(head.point, place(1.0, 0.3, max_velocity=0.6))
    assert handle.accepted
    status, _ = head.result(handle)
    assert status == GoalStatus.STATUS_SUCCEEDED
    assert head.reaches(1.0, -0.3), head.position
    times = [at for at, _ in head.feedback]
    assert max(after - before for before, after in zip(times, times[1:])) < 1.0
    errors = [each.pointing_angle_error for _, each in head.feedback]
    assert errors[0] > 0.9 > 0.1 > errors[-1]


def test_the_camera_can_be_pointed_in_its_own_frame(head):
    goal = PointHead.Goal(pointing_frame='left_camera_link')
    goal.target.header.frame_id = 'left_camera_optical_frame'
    goal.target.point.x = goal.target.point.z = 1.0
    assert head.result(head.send(head.point, goal))[0] == GoalStatus.STATUS_SUCCEEDED
    assert head.reaches(-math.pi / 4, 0.0), head.position


@pytest.mark.parametrize('goal', [
    place(1.0, frame='map'), place(1.0, frame='base_link'), place(0.0, 1.5),
    place(1.0, pointing_frame='left_base_link'), place(1.0, max_velocity=-1.0)])
def test_what_cannot_be_pointed_at_is_refused(head, goal):
    assert not head.send(head.point, goal).accepted


def test_a_newer_goal_supersedes_the_older_of_either_action(head):
    first = head.send(head.point, place(2.0, max_velocity=0.5))
    second = head.send(head.follow, trajectory((1.0, -0.5, 0.0)))
    assert head.result(first)[0] == GoalStatus.STATUS_ABORTED
    status, result = head.result(second)
    assert (status, result.error_code) == (GoalStatus.STATUS_SUCCEEDED, 0)
    assert head.reaches(-0.5, 0.0), head.position


def test_cancelling_stops_the_head(head):
    handle = head.send(head.point, place(2.5, max_velocity=0.5))
    assert head.spin(5.0, lambda: head.position[0] > 0.1)
    assert head.wait(handle.cancel_goal_async()).goals_canceling
    assert head.result(handle)[0] == GoalStatus.STATUS_CANCELED
    head.spin(0.5)
    stopped = head.position
    head.spin(0.5)
    assert head.position == stopped
    assert stopped[0] < 1.5


def test_plain_commands_wait_until_the_goal_is_over(head):
    handle = head.send(head.point, place(1.0, max_velocity=1.0))
    for _ in range(20):
        head.commands.publish(_messages.trajectory_from_command(PanTiltCommand(-1.0, 0.0)))
        head.spin(0.02)
    assert head.result(handle)[0] == GoalStatus.STATUS_SUCCEEDED
    assert head.reaches(1.0, 0.0), head.position
    for _ in range(200):
        head.commands.publish(_messages.trajectory_from_command(PanTiltCommand(-1.0, 0.0)))
        if head.spin(0.05, lambda: head.position == pytest.approx([-1.0, 0.0], abs=0.04)):
            return
    raise AssertionError(head.position)


def test_a_run_stop_aborts_and_no_goal_starts(head):
    handle = head.send(head.follow, trajectory((5.0, 1.0, 0.0)))
    assert head.call(SetBool, 'runstop', data=True).success
    status, result = head.result(handle)
    assert status == GoalStatus.STATUS_ABORTED
    assert 'run-stopped' in result.error_string
    status, result = head.result(head.send(head.follow, trajectory((1.0, 0.2, 0.0))))
    assert (status, result.error_code) == (
        GoalStatus.STATUS_ABORTED, FollowJointTrajectory.Result.INVALID_GOAL)


def test_refused_trajectories_say_why(head):
    for goal, code, says in (
            (trajectory((1.0, 0.1, 0.0), joints=('left', 'right')),
             FollowJointTrajectory.Result.INVALID_JOINTS, 'this head has'),
            (trajectory((1.0, 9.0, 0.0)), FollowJointTrajectory.Result.INVALID_GOAL, 'limits')):
        status, result = head.result(head.send(head.follow, goal))
        assert status == GoalStatus.STATUS_ABORTED
        assert (result.error_code, says in result.error_string) == (code, True)
    old = trajectory((1.0, 0.1, 0.0))
    old.trajectory.header.stamp.sec = 1000
    assert head.result(head.send(head.follow, old))[1].error_code == \
        FollowJointTrajectory.Result.OLD_HEADER_TIMESTAMP


def test_a_tight_path_tolerance_is_held_to(head):
    goal = trajectory((0.5, 0.5, 0.0), (1.5, 0.0, 0.0))
    goal.path_tolerance = [JointTolerance(name='pan', position=1e-9)]
    assert head.result(head.send(head.follow, goal))[1].error_code == \
        FollowJointTrajectory.Result.PATH_TOLERANCE_VIOLATED


def test_leaving_the_active_state_ends_goals_and_they_work_again_after(head):
    def transition(label):
        request = ChangeState.Request()
        request.transition.label = label
        return head.call(ChangeState, 'change_state', transition=request.transition).success
    handle = head.send(head.follow, trajectory((5.0, 1.0, 0.0)))
    assert transition('deactivate')
    assert head.result(handle)[0] == GoalStatus.STATUS_ABORTED
    assert not head.send(head.point, place(0.5)).accepted
    assert transition('cleanup')
    assert not head.send(head.point, place(0.5)).accepted
    assert transition('configure')
    assert transition('activate')
    assert head.result(head.send(head.point, place(0.5)))[0] == GoalStatus.STATUS_SUCCEEDED
