"""A node whose port in shared memory is taken away as it starts hears all the same."""

import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip('rclpy', reason='needs rclpy')

from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402
from trajectory_msgs.msg import JointTrajectory  # noqa: E402

from gaze_robot.nodes import _messages, _shared_memory  # noqa: E402
from gaze_robot.nodes._shared_memory import deaf_ports  # noqa: E402
from gaze_robot.types import PanTiltCommand  # noqa: E402


def test_a_port_is_deaf_when_its_lock_is_held_and_its_memory_gone():
    locks = ['/dev/shm/fastrtps_port7411_el', '/dev/shm/fastrtps_abc_el', 'socket:[5]']
    alive = '7f 00:00 rw-s 00000000 00:1b 12 /dev/shm/fastrtps_port7411'
    gone = f'{alive} (deleted)'
    assert deaf_ports(locks, [alive]) == []
    assert deaf_ports(locks, [gone]) == ['fastrtps_port7411']
    assert deaf_ports(['socket:[5]'], [gone]) == [], "a peer's, not ours"
    assert deaf_ports([], []) == []


def unicast_ports(domain):
    """Where the first two participants of a domain get their data (DDSI-RTPS 9.6.1)."""
    return [Path(f'/dev/shm/fastrtps_port{7400 + 250 * domain + 11 + 2 * k}') for k in (0, 1)]


@pytest.fixture
def somebody(new_domain):
    context = rclpy.context.Context()
    rclpy.init(context=context, domain_id=new_domain())
    node = rclpy.create_node('somebody', context=context)
    yield node
    node.destroy_node()
    rclpy.try_shutdown(context=context)


def test_a_node_that_lost_its_port_starts_again_and_hears(somebody, root):
    """The port's file is deleted as soon as it is there, as by a peer that takes it for dead."""
    if rclpy.utilities.get_rmw_implementation_identifier() != 'rmw_fastrtps_cpp':
        pytest.skip('another middleware')
    executor = SingleThreadedExecutor(context=somebody.context)
    executor.add_node(somebody)
    states = []
    somebody.create_subscription(JointState, 'joint_states', states.append, 10)
    domain = somebody.context.get_domain_id()
    port, other = unicast_ports(domain)
    if f'{port}_el' in _shared_memory._open_files():
        port = other                            # the first is ours
    port.unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, '-m', 'gaze_robot.nodes.pan_tilt_node'], cwd=root, text=True,
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        env={**os.environ, 'ROS_DOMAIN_ID': str(domain)})
    try:
        end_s = time.monotonic() + 60
        while not port.exists():
            assert time.monotonic() < end_s, 'the node has another port'
            time.sleep(0.001)
        time.sleep(0.05)
        port.unlink()
        commands = somebody.create_publisher(JointTrajectory, 'joint_trajectory', 1)
        while not (states and states[-1].position[0] > 0.15) and time.monotonic() < end_s:
            if commands.get_subscription_count():
                commands.publish(_messages.trajectory_from_command(PanTiltCommand(0.2, 0.0)))
            executor.spin_once(timeout_sec=0.1)
        assert states, 'no joint states: the node does not even run'
        assert states[-1].position[0] > 0.15, 'it hears no command'
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert 'starting again' in said
    assert 'Traceback' not in said
