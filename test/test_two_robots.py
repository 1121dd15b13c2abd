"""Two whole robots in one ROS domain, told apart by namespace: six processes, real middleware."""

import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip('rclpy', reason='needs rclpy')
pytest.importorskip('torch', reason='gaze_node needs torch')

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from geometry_msgs.msg import PointStamped  # noqa: E402
from sensor_msgs.msg import Image, JointState  # noqa: E402
from std_srvs.srv import SetBool  # noqa: E402
from trajectory_msgs.msg import JointTrajectory  # noqa: E402

from gaze_robot.nodes import _qos  # noqa: E402

ROBOTS = ('left', 'right')
SHARED = {'/diagnostics', '/rosout', '/parameter_events', '/tf', '/tf_static'}


def start(module, robot, *parameters):
    words = ['-r', f'__ns:=/{robot}', '-p', f'frame_prefix:={robot}_']
    for parameter in parameters:
        words += ['-p', parameter]
    return subprocess.Popen([sys.executable, '-m', module, '--ros-args', *words], env=os.environ)


class Watcher:
    """Hears everything of both robots."""

    def __init__(self):
        self.node = rclpy.create_node('watcher')
        self.states = {robot: [] for robot in ROBOTS}
        self.commands = {robot: [] for robot in ROBOTS}
        self.frames = {robot: set() for robot in ROBOTS}
        self.statuses = set()
        self.look_at = {}
        for robot in ROBOTS:
            listen = self.node.create_subscription
            listen(JointState, f'/{robot}/joint_states', self.states[robot].append,
                   _qos.JOINT_STATES_IN)
            listen(JointTrajectory, f'/{robot}/joint_trajectory', self.commands[robot].append, 1)
            for kind, topic in ((Image, 'image_raw'), (PointStamped, 'gaze/fixation'),
                                (PointStamped, 'gaze/target')):
                listen(kind, f'/{robot}/{topic}', lambda message, robot=robot: self.frames[
                    robot].add(message.header.frame_id), _qos.IMAGE)
            self.look_at[robot] = self.node.create_publisher(
                PointStamped, f'/{robot}/gaze/look_at', 1)
        self.node.create_subscription(DiagnosticArray, '/diagnostics', lambda message: (
            self.statuses.update(each.name for each in message.status)), 10)

    def spin(self, seconds, until=None):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not (until is not None and until()):
            rclpy.spin_once(self.node, timeout_sec=0.02)
        return until is None or until()

    def pan(self, robot):
        return self.states[robot][-1].position[0]

    def look_until(self, condition, left_y, right_y, seconds=30.0):
        """Name places, each in its robot's own frame, until something is so."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not condition():
            for robot, y in (('left', left_y), ('right', right_y)):
                message = PointStamped()
                message.header.frame_id = f'{robot}_base_link'
                message.point.x, message.point.y = 1.0, y
                self.look_at[robot].publish(message)
            self.spin(0.2)
        return condition()


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    from gaze_robot.checkpoint import make_policy, save_policy
    from gaze_robot.encoder import EncoderConfig
    from gaze_robot.foveation import FoveationPattern
    folder = tmp_path_factory.mktemp('checkpoint')
    save_policy(folder, make_policy(FoveationPattern(), EncoderConfig()))
    return str(folder)


@pytest.fixture(scope='module')
def watcher(checkpoint):
    rclpy.init()
    watcher = Watcher()
    processes = []
    for robot in ROBOTS:
        processes += [
            start('gaze_robot.nodes.gaze_node', robot, f'model.path:={checkpoint}',
                  'model.runtime:=torch', 'max_image_age:=5.0', 'sources.search:=0.0'),
            start('gaze_robot.nodes.pan_tilt_node', robot, 'command_timeout:=5.0', 'rate:=30.0'),
            start('gaze_robot_sim.world_node', robot, 'width:=160', 'height:=120', 'rate:=8.0')]
    try:
        assert watcher.spin(90.0, lambda: all(
            watcher.states[robot] and watcher.commands[robot] and watcher.frames[robot]
            for robot in ROBOTS)), [process.poll() for process in processes]
        yield watcher
    finally:
        for process in processes:
            process.send_signal(signal.SIGINT)
        codes = [process.wait(30) for process in processes]
        watcher.node.destroy_node()
        rclpy.try_shutdown()
    assert codes == [0] * 6


def test_each_robot_looks_where_it_was_told_and_not_where_the_other_was(watcher):
    assert watcher.look_until(lambda: watcher.pan('left') > 0.6 and watcher.pan('right') < -0.6,
                              1.0, -1.0), [watcher.pan(robot) for robot in ROBOTS]
    commands = {robot: [message.points[0].positions[0] for message in watcher.commands[robot]]
                for robot in ROBOTS}
    assert commands['left'][-1] > 0.6 > -0.6 > commands['right'][-1]


def test_stopping_one_leaves_the_other_alone(watcher):
    client = watcher.node.create_client(SetBool, '/left/pan_tilt/runstop')
    assert client.wait_for_service(20.0)
    future = client.call_async(SetBool.Request(data=True))
    assert watcher.spin(20.0, future.done)
    watcher.spin(0.5)                       # what the head says arrives a little later
    stopped_at = watcher.pan('left')
    assert watcher.look_until(lambda: watcher.pan('right') > 0.6, -1.0, 1.0)
    assert watcher.pan('left') == pytest.approx(stopped_at, abs=0.02)


def test_frames_and_diagnostics_say_whose_they_are(watcher):
    assert watcher.spin(20.0, lambda: {f'/{robot}/gaze: eye' for robot in ROBOTS}
                        <= watcher.statuses)
    assert {f'/{robot}/pan_tilt: head' for robot in ROBOTS} <= watcher.statuses
    for robot in ROBOTS:
        assert watcher.frames[robot] <= {f'{robot}_camera_optical_frame', f'{robot}_base_link'}
        assert watcher.frames[robot]


def test_nothing_of_theirs_is_outside_their_namespaces(watcher):
    nodes = {(name, namespace) for name, namespace in
             watcher.node.get_node_names_and_namespaces() if namespace != '/'}
    assert {(name, f'/{robot}') for name in ('gaze', 'pan_tilt', 'world')
            for robot in ROBOTS} <= nodes
    for name, namespace in nodes:
        said = {topic for topic, _ in watcher.node.get_publisher_names_and_types_by_node(
            name, namespace)}
        heard = {topic for topic, _ in watcher.node.get_subscriber_names_and_types_by_node(
            name, namespace)}
        outside = {topic for topic in (said | heard) - SHARED
                   if not topic.startswith(f'{namespace}/')}
        assert not outside, (name, namespace)
