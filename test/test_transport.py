"""Pictures between processes with the Fast DDS profile we ship: all of them arrive."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

pytestmark = [pytest.mark.ros, pytest.mark.slow]
rclpy = pytest.importorskip('rclpy', reason='needs rclpy')
pytest.importorskip('torch', reason='gaze_node needs torch')

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from rclpy.qos import qos_profile_sensor_data, QoSProfile  # noqa: E402
from sensor_msgs.msg import CameraInfo  # noqa: E402

from gaze_robot.nodes import _messages  # noqa: E402

WINDOW_S = 4.0


def start(module, *parameters, env):
    arguments = [word for parameter in parameters for word in ('-p', parameter)]
    return subprocess.Popen([sys.executable, '-m', module, '--ros-args', *arguments], env=env)


class Probe:
    """Counts what world_node sends (by its camera_infos) and what gaze_node says it received."""

    def __init__(self):
        self.node = rclpy.create_node('probe')
        deep = QoSProfile(depth=1000, reliability=qos_profile_sensor_data.reliability)
        self.sent, self.received = [], []
        self.node.create_subscription(CameraInfo, 'camera_info', self.on_info, deep)
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self.on_diagnostics, 10)

    def on_info(self, message):
        self.sent.append(_messages.seconds(message.header.stamp))

    def on_diagnostics(self, message):
        for status in message.status:
            if status.name == '/gaze: eye':
                values = {each.key: each.value for each in status.values}
                self.received.append((_messages.seconds(message.header.stamp),
                                      int(values['frames in'])))

    def spin(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            rclpy.spin_once(self.node, timeout_sec=0.05)

    def window(self):
        """(pictures sent per second, pictures received per picture sent) for some seconds."""
        self.received.clear()
        self.spin(WINDOW_S + 1.1)
        (begin_s, before), (end_s, after) = self.received[0], self.received[-1]
        stamps = np.array(self.sent)
        sent = np.count_nonzero((stamps > begin_s) & (stamps <= end_s))
        return sent / (end_s - begin_s), (after - before) / max(sent, 1)


@pytest.fixture
def probe():
    rclpy.init()
    probe = Probe()
    yield probe
    probe.node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """A folder of untrained weights."""
    from gaze_robot.checkpoint import make_policy, save_policy
    from gaze_robot.encoder import EncoderConfig
    from gaze_robot.foveation import FoveationPattern
    folder = tmp_path_factory.mktemp('checkpoint')
    save_policy(folder, make_policy(FoveationPattern(), EncoderConfig()))
    return str(folder)


@pytest.mark.parametrize('reliability', [
    'best_effort', pytest.param('reliable', marks=pytest.mark.long)])
@pytest.mark.parametrize('width, height', [
    (640, 480), pytest.param(1280, 720, marks=pytest.mark.long)])
def test_pictures_arrive_in_another_process(probe, checkpoint, root, width, height, reliability):
    """Three windows may be tried: a busy machine is not what this asks about.

    With Fast DDS's defaults no window comes near: 52 % arrived at 640x480 best effort.
    """
    env = {**os.environ, 'FASTRTPS_DEFAULT_PROFILES_FILE': str(root / 'config' / 'fastdds.xml'),
           'PYTHONPATH': os.pathsep.join([str(root), str(root / 'sim'),
                                          os.environ.get('PYTHONPATH', '')])}
    nodes = [start('gaze_robot.nodes.gaze_node', f'model.path:={checkpoint}', env=env),
             start('gaze_robot.nodes.pan_tilt_node', env=env),
             start('gaze_robot_sim.world_node', f'width:={width}', f'height:={height}',
                   f'reliability:={reliability}', env=env)]
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until and (not probe.received or probe.received[-1][1] < 30):
            probe.spin(0.5)
            assert [node.poll() for node in nodes] == [None] * 3
        windows = [probe.window()]
        while len(windows) < 3 and windows[-1][1] < 0.99:
            windows.append(probe.window())
    finally:
        for node in nodes:
            node.terminate()
        for node in nodes:
            try:
                node.wait(20)
            except subprocess.TimeoutExpired:       # how nodes end is the question of other tests
                node.kill()
                node.wait(20)
    rates, shares = zip(*windows)
    if max(rates) < 25:
        pytest.skip(f'this machine is too busy to make 30 pictures per second: {max(rates):.0f}')
    assert max(shares) >= 0.99
