"""Quality of service changed by parameters, as in other ROS 2 nodes; real middleware."""

import os
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip('rclpy', reason='needs rclpy')

from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import ReliabilityPolicy  # noqa: E402

from gaze_robot.nodes import _qos  # noqa: E402
from gaze_robot.nodes.camera_node import CameraNode  # noqa: E402
from gaze_robot.nodes.pan_tilt_node import PanTiltNode  # noqa: E402


@pytest.fixture(scope='module')
def ros():
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / 'grey.png'
    cv2.imwrite(str(path), np.full((32, 32, 3), 90, np.uint8))
    return str(path)


@pytest.fixture
def start(ros, picture):
    """A node to which a launch file gave these parameters."""
    nodes = []

    def make(kind, namespace='', **given):
        if kind is CameraNode:
            given['source'] = picture
        nodes.append(kind(namespace=namespace, parameter_overrides=[
            Parameter(name, value=value) for name, value in given.items()]))
        return nodes[-1]
    yield make
    for node in nodes:
        node.close()
        node.destroy_node()


def published(node, topic):
    """The quality of service that others see."""
    return node.get_publishers_info_by_topic(topic)[0].qos_profile


def test_the_camera_obeys_in_its_namespace_and_others_stay(start):
    name = 'qos_overrides./left/image_raw.publisher.reliability'
    left = start(CameraNode, 'left', **{name: 'reliable'})
    right = start(CameraNode, 'right')
    assert published(left, '/left/image_raw').reliability == ReliabilityPolicy.RELIABLE
    assert published(left, '/left/camera_info').reliability == ReliabilityPolicy.BEST_EFFORT
    assert published(right, '/right/image_raw').reliability == ReliabilityPolicy.BEST_EFFORT
    assert left.get_parameter(name).value == 'reliable'


def test_an_override_survives_a_new_configuration_and_spoils_no_default(start):
    name = 'qos_overrides./joint_states.publisher.depth'
    head = start(PanTiltNode, **{name: 3})
    for _ in range(2):
        head.trigger_configure()
        assert head.state == 'inactive'
        assert head.get_parameter(name).value == 3
        head.trigger_cleanup()
    assert _qos.JOINT_STATES_OUT.depth == 10


def test_a_policy_that_does_not_exist_is_refused_with_the_reason(start):
    head = start(PanTiltNode, **{'qos_overrides./joint_states.publisher.reliability': 'sometimes'})
    head.trigger_configure()
    assert head.state == 'unconfigured'
    assert 'qos_overrides' in head.failure
    assert 'sometimes' in head.failure


def test_an_override_of_no_topic_is_told():
    run = subprocess.Popen(
        [sys.executable, '-m', 'gaze_robot.nodes.pan_tilt_node', '--ros-args', '-p',
         'qos_overrides./joint_stats.publisher.depth:=3'], stderr=subprocess.PIPE, text=True,
        env=os.environ)
    try:
        seen = [next(line for line in run.stderr if 'joint_stats' in line)]
    finally:
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=20)
    assert 'changes nothing' in seen[0]
