"""Launch files started for real, from an installation made for the test. Needs launch_ros."""

import importlib.util
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

pytestmark = [pytest.mark.ros, pytest.mark.slow]
rclpy = pytest.importorskip('rclpy', reason='needs rclpy')
pytest.importorskip('torch', reason='gaze_node needs torch')
if importlib.util.find_spec('launch_ros') is None:
    pytest.skip('launch_ros comes with a ROS installation', allow_module_level=True)

from geometry_msgs.msg import PointStamped  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402
from trajectory_msgs.msg import JointTrajectory  # noqa: E402

from gaze_robot.nodes import _qos  # noqa: E402

RUN = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
service = LaunchService()
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(
    PythonLaunchDescriptionSource(sys.argv[1]),
    launch_arguments=[word.split(':=', 1) for word in sys.argv[2:]])]))
sys.exit(service.run())
"""
MODULES = {'gaze_node': 'gaze_robot.nodes.gaze_node',
           'camera_node': 'gaze_robot.nodes.camera_node',
           'pan_tilt_node': 'gaze_robot.nodes.pan_tilt_node',
           'world_node': 'gaze_robot_sim.world_node'}


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    from gaze_robot.checkpoint import make_policy, save_policy
    from gaze_robot.encoder import EncoderConfig
    from gaze_robot.foveation import FoveationPattern
    folder = tmp_path_factory.mktemp('checkpoint')
    save_policy(folder, make_policy(FoveationPattern(), EncoderConfig()))
    return str(folder)


@pytest.fixture(scope='module')
def environment(root, tmp_path_factory):
    """Where `launch` finds the package: an index and its executables, as colcon lays them."""
    prefix = tmp_path_factory.mktemp('install')
    index = prefix / 'share' / 'ament_index' / 'resource_index' / 'packages'
    index.mkdir(parents=True)
    (index / 'gaze_robot').touch()
    (prefix / 'lib' / 'gaze_robot').mkdir(parents=True)
    for name, module in MODULES.items():
        script = prefix / 'lib' / 'gaze_robot' / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
        script.chmod(0o755)
    paths = [str(root), str(root / 'sim'), os.environ.get('PYTHONPATH', '')]
    prefixes = [str(prefix), os.environ.get('AMENT_PREFIX_PATH', '')]
    return {**os.environ, 'AMENT_PREFIX_PATH': os.pathsep.join(filter(None, prefixes)),
            'PYTHONPATH': os.pathsep.join(filter(None, paths))}


class Listener:
    """What the launched nodes say."""

    def __init__(self):
        self.node = rclpy.create_node('listener')
        self.heard = {}
        for kind, topic in ((JointState, 'joint_states'), (JointTrajectory, 'joint_trajectory'),
                            (PointStamped, 'gaze/fixation')):
            self.heard[topic] = []
            self.node.create_subscription(kind, f'/left/{topic}', self.heard[topic].append,
                                          _qos.JOINT_STATES_IN)

    def hears(self, topics, seconds=90.0):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not all(len(self.heard[topic]) > 3 for topic in topics):
            rclpy.spin_once(self.node, timeout_sec=0.05)
        return {topic for topic in topics if len(self.heard[topic]) > 3}


@pytest.fixture
def listener():
    rclpy.init()
    listener = Listener()
    yield listener
    listener.node.destroy_node()
    rclpy.try_shutdown()


def launch(environment, root, name, *arguments):
    return subprocess.Popen(
        [sys.executable, '-c', RUN, str(root / 'launch' / f'{name}.launch.py'), *arguments,
         'namespace:=left', 'frame_prefix:=left_'], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)


def end(process):
    """What it said; Ctrl-C as a terminal sends it, to all of them."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        said, _ = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return said


def parameters(tmp_path: Path) -> str:
    path = tmp_path / 'mine.yaml'
    path.write_text('/**/gaze:\n  ros__parameters: {model.runtime: torch, max_image_age: 5.0}\n'
                    '/**/world:\n  ros__parameters: {width: 160, height: 120}\n')
    return str(path)


def test_sim_closes_the_loop_and_ends_cleanly(environment, root, checkpoint, listener, tmp_path):
    process = launch(environment, root, 'sim', f'policy:={checkpoint}', 'rate:=10',
                     f'params_file:={parameters(tmp_path)}')
    topics = {'joint_states', 'joint_trajectory', 'gaze/fixation'}
    heard = listener.hears(topics)
    said = end(process)
    assert heard == topics, said
    assert said.count('process has finished cleanly') == 3, said
    assert 'Traceback' not in said
    assert {frame.header.frame_id for frame in listener.heard['gaze/fixation']} == {
        'left_camera_optical_frame'}


def test_perception_looks_at_a_picture_and_commands_no_head(environment, root, checkpoint,
                                                            listener, tmp_path):
    picture = tmp_path / 'room.png'
    rng = np.random.default_rng(0)
    cv2.imwrite(str(picture), cv2.resize(rng.integers(0, 255, (12, 16, 3), np.uint8), (160, 120)))
    process = launch(environment, root, 'perception', 'camera:=file', f'source:={picture}',
                     f'policy:={checkpoint}', f'params_file:={parameters(tmp_path)}')
    heard = listener.hears({'gaze/fixation'})
    said = end(process)
    assert heard == {'gaze/fixation'}, said
    assert not listener.heard['joint_trajectory']
    assert 'pan_tilt' not in said
    assert 'Traceback' not in said


def test_what_is_wrong_with_the_parameters_is_said_and_nothing_hangs(environment, root, tmp_path):
    path = tmp_path / 'wrong.yaml'
    path.write_text('/**/gaze:\n  ros__parameters: {hfov: 60.0}\n')
    process = launch(environment, root, 'perception', f'params_file:={path}')
    seen = []
    for line in process.stdout:
        seen.append(line)
        if 'hfov' in line:
            break
    said = ''.join(seen) + end(process)
    assert "did you mean 'hfov_deg'" in said
