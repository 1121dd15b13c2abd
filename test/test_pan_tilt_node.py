"""pan_tilt_node as another process sees it: real rclpy and middleware."""

import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip('rclpy', reason='needs rclpy')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402
from lifecycle_msgs.srv import ChangeState, GetState  # noqa: E402
from rcl_interfaces.srv import SetParameters  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import QoSProfile, ReliabilityPolicy  # noqa: E402
from rosgraph_msgs.msg import Clock as ClockMessage  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402
from std_msgs.msg import Bool  # noqa: E402
from std_srvs.srv import SetBool, Trigger  # noqa: E402
from trajectory_msgs.msg import JointTrajectory  # noqa: E402

from gaze_robot.nodes import _messages, _qos  # noqa: E402
from gaze_robot.types import PanTiltCommand  # noqa: E402


def start(*parameters, **environment):
    """The node in a process of its own, able to be interrupted."""
    arguments = [word for parameter in parameters for word in ('-p', parameter)]
    return subprocess.Popen(
        [sys.executable, '-m', 'gaze_robot.nodes.pan_tilt_node', '--ros-args', *arguments],
        stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})


class Robot:
    """Somebody else's node that uses the head."""

    def __init__(self):
        self.node = rclpy.create_node('somebody')
        self.states, self.stopped, self.diagnostics = [], [], []
        best_effort = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.node.create_subscription(JointState, 'joint_states', self.states.append, best_effort)
        self.node.create_subscription(Bool, 'pan_tilt/stopped',
                                      lambda message: self.stopped.append(message.data),
                                      _qos.LATCHED)
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self.diagnostics.append, 10)
        self.commands = self.node.create_publisher(JointTrajectory, 'joint_trajectory', 1)

    def spin(self, seconds, until=None):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not (until is not None and until()):
            rclpy.spin_once(self.node, timeout_sec=0.02)
        return until is None or until()

    def call(self, kind, name, **request):
        client = self.node.create_client(kind, f'pan_tilt/{name}')
        assert client.wait_for_service(20.0), name
        future = client.call_async(kind.Request(**request))
        assert self.spin(20.0, future.done), name
        self.node.destroy_client(client)
        return future.result()

    def transition(self, name):
        request = ChangeState.Request()
        request.transition.label = name
        return self.call(ChangeState, 'change_state', transition=request.transition).success

    def command(self, pan, tilt, joints=('pan', 'tilt'), stamp_s=0.0, time_from_start_s=0.0):
        message = _messages.trajectory_from_command(PanTiltCommand(pan, tilt), joints,
                                                    time_from_start_s)
        message.header.stamp = _messages.stamp(stamp_s)
        self.commands.publish(message)

    def reaches(self, pan, tilt, seconds=10.0):
        return self.spin(seconds, lambda: self.states and list(self.states[-1].position)
                         == pytest.approx([pan, tilt], abs=0.01))

    def values(self):
        """Newest diagnostics: {key: value}, message, level."""
        self.diagnostics.clear()
        assert self.spin(10.0, lambda: len(self.diagnostics) > 0)
        status = self.diagnostics[-1].status[0]
        return {each.key: each.value for each in status.values}, status


@pytest.fixture(scope='module')
def robot():
    rclpy.init()
    robot = Robot()
    yield robot
    robot.node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture(scope='module')
def node(robot):
    """One node with a long command timeout, for all tests that leave it as they found it."""
    process = start('command_timeout:=5.0')
    assert robot.spin(30.0, lambda: len(robot.states) > 5), 'no joint states within 30 s'
    assert robot.spin(10.0, lambda: robot.commands.get_subscription_count() > 0)
    yield process
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert 'Traceback' not in errors


def test_commands_move_the_joints_and_states_say_so(node, robot):
    robot.command(0.5, -0.2)
    assert robot.reaches(0.5, -0.2)
    message = robot.states[-1]
    assert list(message.name) == ['pan', 'tilt']
    assert len(message.velocity) == 2
    age = time.time() - _messages.seconds(message.header.stamp)
    assert -0.05 < age < 2.0
    robot.command(0.1, 0.3, joints=('pan', 'tilt'), time_from_start_s=0.5)
    assert robot.reaches(0.1, 0.3)


def test_limits_hold_and_are_counted(node, robot):
    before = int(robot.values()[0]['limit hits'])
    robot.command(0.0, 9.0)
    assert robot.reaches(0.0, 1.05)
    values, _ = robot.values()
    assert int(values['limit hits']) == before + 1


@pytest.mark.parametrize('reason, send', [
    ('invalid', lambda robot: robot.command(0.1, 0.1, joints=('left', 'right'))),
    ('stale', lambda robot: robot.command(0.1, 0.1, stamp_s=time.time() - 60.0))])
def test_unusable_commands_are_counted_and_do_not_move(node, robot, reason, send):
    before = int(robot.values()[0].get(f'refused: {reason}', 0))
    place = list(robot.states[-1].position)
    send(robot)
    assert robot.spin(10.0, lambda: int(
        robot.values()[0].get(f'refused: {reason}', 0)) == before + 1)
    assert list(robot.states[-1].position) == place


def test_nan_is_refused(node, robot):
    message = _messages.trajectory_from_command(PanTiltCommand(0.0, 0.0))
    message.points[0].positions[1] = float('nan')
    before = int(robot.values()[0].get('refused: invalid', 0))
    robot.commands.publish(message)
    assert robot.spin(10.0, lambda: int(
        robot.values()[0].get('refused: invalid', 0)) == before + 1)


def test_run_stop_is_latched_and_refuses(node, robot):
    assert robot.call(SetBool, 'runstop', data=True).success
    assert robot.spin(5.0, lambda: robot.stopped[-1:] == [True])
    place = list(robot.states[-1].position)
    robot.command(-0.5, 0.0)
    values, status = robot.values()
    assert 'runstop' in status.message
    assert status.level == DiagnosticStatus.WARN
    assert not robot.call(Trigger, 'home').success
    assert list(robot.states[-1].position) == place
    assert robot.call(SetBool, 'runstop', data=False).success
    assert robot.spin(5.0, lambda: robot.stopped[-1:] == [False])
    robot.command(-0.5, 0.0)
    assert robot.reaches(-0.5, 0.0)


def test_torque_home_stop_zero_and_reset(node, robot):
    answer = robot.call(SetBool, 'torque_enable', data=False)
    assert 'motors stay powered' in answer.message
    answer = robot.call(Trigger, 'home')
    assert not answer.success
    assert 'torque_enable' in answer.message
    robot.call(SetBool, 'torque_enable', data=True)
    robot.command(0.4, 0.2)
    assert robot.reaches(0.4, 0.2)
    assert robot.call(Trigger, 'set_zero').success
    assert robot.reaches(0.0, 0.0)
    assert robot.call(Trigger, 'reset').success
    assert robot.reaches(0.4, 0.2)
    assert robot.call(Trigger, 'stop').success
    assert robot.call(Trigger, 'home').success
    assert robot.reaches(0.0, 0.0)


def test_lifecycle_up_and_down_and_impossible_requests(node, robot):
    assert not robot.transition('cleanup'), 'from active that is not possible'
    assert not robot.call(ChangeState, 'change_state').success, 'transition 0 is create'
    assert robot.transition('deactivate')
    robot.command(0.5, 0.0)
    assert not robot.spin(1.0, lambda: robot.states[-1].position[0] > 0.2)
    assert robot.transition('cleanup')
    robot.spin(0.5)
    robot.states.clear()
    assert not robot.spin(0.5, lambda: len(robot.states) > 0), 'unconfigured, it is silent'
    assert robot.transition('configure')
    assert robot.transition('activate')
    assert robot.call(GetState, 'get_state').current_state.label == 'active'
    assert robot.spin(10.0, lambda: len(robot.states) > 0)
    assert robot.spin(10.0, lambda: robot.commands.get_subscription_count() > 0)
    robot.command(0.5, 0.0)
    assert robot.reaches(0.5, 0.0)


def test_parameters_change_or_say_why_not(node, robot):
    def change(name, value):
        return robot.call(SetParameters, 'set_parameters', parameters=[
            Parameter(name, value=value).to_parameter_msg()]).results[0]
    assert change('command_timeout', 4).successful
    assert 'clean up' in change('backend', 'dynamixel').reason
    assert not change('command_timeout', -1.0).successful


def test_without_commands_it_holds_and_ctrl_c_twice_ends_it(robot, node):
    """A second head in a namespace of its own: two robots on one machine."""
    process = subprocess.Popen(
        [sys.executable, '-m', 'gaze_robot.nodes.pan_tilt_node', '--ros-args',
         '-r', '__ns:=/second', '-p', 'rate:=50', '-p', 'command_timeout:=0.2'],
        stderr=subprocess.PIPE, text=True)
    states = []
    robot.node.create_subscription(JointState, '/second/joint_states', states.append, 10)
    commands = robot.node.create_publisher(JointTrajectory, '/second/joint_trajectory', 1)
    assert robot.spin(30.0, lambda: len(states) > 3 and commands.get_subscription_count() > 0)
    commands.publish(_messages.trajectory_from_command(PanTiltCommand(3.0, 0.0)))
    assert robot.spin(10.0, lambda: states[-1].position[0] > 0.05)
    robot.spin(1.5)
    assert states[-1].position[0] < 1.5
    assert states[-1].velocity[0] == 0.0
    process.send_signal(signal.SIGINT)
    time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert 'Traceback' not in errors


@pytest.mark.parametrize('parameter, says', [
    ('rat:=50.0', "did you mean 'rate'"), ('backend:=dynamite', 'no driver for backend'),
    ('limits.pan.max_velocity:=0', 'at least')])
def test_a_wrong_parameter_is_one_clear_line_and_no_crash(parameter, says):
    process = start(parameter)
    line = ''
    end = time.monotonic() + 30
    while 'cannot configure' not in line and time.monotonic() < end:
        line = process.stderr.readline()
    assert says in line
    assert process.poll() is None, 'it stays, so that a manager can try again'
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert 'Traceback' not in errors


def test_a_clock_that_stands_still_stops_neither_ticks_nor_timeout(robot):
    """use_sim_time with a /clock that says one time only: stamps are that, motion is real."""
    process = subprocess.Popen(
        [sys.executable, '-m', 'gaze_robot.nodes.pan_tilt_node', '--ros-args',
         '-r', '__ns:=/third', '-p', 'use_sim_time:=true', '-p', 'command_timeout:=0.3'],
        stderr=subprocess.PIPE, text=True)
    states = []
    subscription = robot.node.create_subscription(JointState, '/third/joint_states',
                                                  states.append, 10)
    commands = robot.node.create_publisher(JointTrajectory, '/third/joint_trajectory', 1)
    clock = robot.node.create_publisher(ClockMessage, '/clock', 1)
    assert robot.spin(30.0, lambda: clock.get_subscription_count() > 0
                      and commands.get_subscription_count() > 0)

    def stamped():
        clock.publish(ClockMessage(clock=_messages.stamp(500.0)))       # the first may be lost
        return states and 499.0 < _messages.seconds(states[-1].header.stamp) <= 500.0
    assert robot.spin(10.0, stamped)
    commands.publish(_messages.trajectory_from_command(PanTiltCommand(3.0, 0.0)))
    assert robot.spin(10.0, lambda: states[-1].position[0] > 0.05)
    robot.spin(1.5)
    assert 0.05 < states[-1].position[0] < 1.5
    assert states[-1].velocity[0] == 0.0
    robot.node.destroy_subscription(subscription)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
