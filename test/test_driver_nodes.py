"""pan_tilt_node on emulated wires, as separate processes: real rclpy, ptys and kill -9."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip('rclpy', reason='needs rclpy')
sdk = pytest.importorskip('dynamixel_sdk', reason='the extra hardware')

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402
from std_srvs.srv import SetBool  # noqa: E402
from trajectory_msgs.msg import JointTrajectory  # noqa: E402

from gaze_robot.emulators.trajectory import TrajectoryEmulator  # noqa: E402
from gaze_robot.nodes import _messages  # noqa: E402
from gaze_robot.types import PanTiltCommand  # noqa: E402


def start_node(*parameters, name='/hardware'):
    arguments = [word for parameter in parameters for word in ('-p', parameter)]
    return subprocess.Popen(
        [sys.executable, '-m', 'gaze_robot.nodes.pan_tilt_node', '--ros-args',
         '-r', f'__ns:={name}', *arguments], stderr=subprocess.PIPE, text=True)


def until(node, condition, seconds=30.0):
    end_s = time.monotonic() + seconds
    while not condition() and time.monotonic() < end_s:
        rclpy.spin_once(node, timeout_sec=0.02)
    return condition()


@pytest.fixture(scope='module')
def somebody():
    rclpy.init()
    node = rclpy.create_node('somebody')
    yield node
    node.destroy_node()            # before the context goes: after it, that can be a SIGSEGV
    rclpy.try_shutdown()


@contextlib.contextmanager
def emulated(head):
    """An emulated head as users start it: (process, port)."""
    process = subprocess.Popen(
        [sys.executable, '-m', 'gaze_robot.cli', 'emulate', head, '--duration', '120'],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        port = ''
        while not port.startswith(('/', 'http')):
            line = process.stderr.readline()
            assert line, 'it ended'
            port = line.strip()
        yield process, port
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def servos():
    with emulated('dynamixel') as found:
        yield found


@pytest.mark.parametrize('head', ['dynamixel', 'feetech', 'pelco_d', 'onvif'])
def test_first_motion_of_every_head_as_its_page_has_it(somebody, head):
    """Not powered before it is asked for; then there, in real time; then let go in order."""
    name = f'/first_{head}'
    states = []
    somebody.create_subscription(JointState, f'{name}/joint_states', states.append, 10)
    commands = somebody.create_publisher(JointTrajectory, f'{name}/joint_trajectory', 1)
    torque = somebody.create_client(SetBool, f'{name}/pan_tilt/torque_enable')
    with emulated(head) as (_, port):
        node = start_node(f'backend:={head}', f'port:={port}', 'position_query:=true',
                          'rate:=50.0', 'command_timeout:=30.0', 'answer_timeout:=2.0',
                          'bus_watchdog_ms:=2000', 'torque_off_on_shutdown:=true', name=name)
        try:
            assert until(somebody, lambda: states and commands.get_subscription_count() > 0)
            goal = _messages.trajectory_from_command(PanTiltCommand(0.3, 0.1))
            commands.publish(goal)
            until(somebody, lambda: False, 0.5)
            assert list(states[-1].position) == pytest.approx([0.0, 0.0], abs=0.005)
            assert torque.wait_for_service(20.0)
            answer = torque.call_async(SetBool.Request(data=True))
            assert until(somebody, answer.done)
            assert answer.result().success, answer.result().message
            commands.publish(goal)
            assert until(somebody, lambda: list(states[-1].position) == pytest.approx(
                [0.3, 0.1], abs=0.02)), states[-1].position
            node.send_signal(signal.SIGINT)
            _, errors = node.communicate(timeout=20)
            assert node.returncode == 0, errors
            assert 'Traceback' not in errors
        finally:
            node.kill()


def test_a_killed_node_leaves_no_turning_motor(somebody, servos):
    """Kill -9 under motion: the servo's own watchdog stops it."""
    states, reports = [], []
    somebody.create_subscription(JointState, '/hardware/joint_states', states.append, 10)
    somebody.create_subscription(DiagnosticArray, '/diagnostics', reports.append, 10)
    commands = somebody.create_publisher(JointTrajectory, '/hardware/joint_trajectory', 1)
    node = start_node('backend:=dynamixel', f'port:={servos[1]}', 'enable_at_start:=true',
                      'bus_watchdog_ms:=1000', 'limits.pan.max_velocity:=0.2',
                      'command_timeout:=30.0', 'answer_timeout:=1.0')
    try:
        assert until(somebody, lambda: states and commands.get_subscription_count() > 0)
        assert until(somebody, lambda: any(
            value.key == 'pan temperature C' for report in reports
            for value in report.status[0].values))
        commands.publish(_messages.trajectory_from_command(PanTiltCommand(2.0, 0.0)))
        assert until(somebody, lambda: states[-1].velocity[0] > 0.05)
        os.kill(node.pid, signal.SIGKILL)
    finally:
        node.kill()
        node.communicate()
    time.sleep(2.5)
    port, packets = sdk.PortHandler(servos[1]), sdk.PacketHandler(2.0)
    assert port.openPort()
    found = []
    for address, read in ((98, packets.read1ByteTxRx), (132, packets.read4ByteTxRx),
                          (128, packets.read4ByteTxRx)):
        for _ in range(50):
            value, result, _ = read(port, 1, address)
            if result == sdk.COMM_SUCCESS:
                break
        found.append(value)
    port.closePort()
    assert found[0] == 255
    assert found[1] < 2048 + 2.0 / (2 * 3.1416 / 4096)
    assert found[2] == 0


def test_the_emulator_ends_with_ctrl_c_and_says_what_it_heard(servos):
    process, _ = servos
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert 'bytes_received' in out


def test_a_trajectory_controller_is_driven_and_its_joint_states_are_left_alone(somebody):
    controller = TrajectoryEmulator()
    publishers = []
    states = somebody.create_publisher(JointState, '/arm/joint_states', 10)

    def take(message):
        publishers.append(message)
        controller.send([
            (point.time_from_start.sec + 1e-9 * point.time_from_start.nanosec,
             tuple(point.positions), tuple(point.velocities)) for point in message.points])

    def tell():
        pose = controller.latest()
        states.publish(_messages.joint_state_from_pose(pose, ('neck', 'nod')))
    somebody.create_subscription(JointTrajectory, '/arm/jtc/joint_trajectory', take, 10)
    timer = somebody.create_timer(0.02, tell)
    commands = somebody.create_publisher(JointTrajectory, '/arm/joint_trajectory', 1)
    node = start_node('backend:=trajectory', 'controller:=jtc', "joints:=['neck','nod']",
                      'enable_at_start:=true', 'answer_timeout:=5.0', 'command_timeout:=30.0',
                      name='/arm')
    try:
        assert until(somebody, lambda: commands.get_subscription_count() > 0)
        commands.publish(_messages.trajectory_from_command(
            PanTiltCommand(0.5, -0.2), ('neck', 'nod')))
        assert until(somebody, lambda: controller.latest().pan_rad == pytest.approx(0.5, abs=1e-3))
        assert controller.latest().tilt_rad == pytest.approx(-0.2, abs=1e-3)
        assert somebody.count_publishers('/arm/joint_states') == 1
        node.send_signal(signal.SIGINT)
        _, errors = node.communicate(timeout=20)
        assert node.returncode == 0, errors
    finally:
        node.kill()
        somebody.destroy_timer(timer)


def test_a_controller_that_is_not_there_is_one_clear_line(somebody):
    node = start_node('backend:=trajectory', name='/nobody')
    try:
        line, end_s = '', time.monotonic() + 40
        while 'cannot configure' not in line and time.monotonic() < end_s:
            line = node.stderr.readline()
        assert 'joint_state_broadcaster' in line
    finally:
        node.kill()
        node.communicate()
