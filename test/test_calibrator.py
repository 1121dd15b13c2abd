"""The node behind `gaze-robot calibrate`: what it waits for, and what it says when that is bad."""

import math

import numpy as np
import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip('rclpy', reason='needs rclpy')

from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image, JointState  # noqa: E402

from gaze_robot.errors import CalibrationError  # noqa: E402
from gaze_robot.nodes import _calibrator, _messages  # noqa: E402
from gaze_robot.nodes.pan_tilt_node import PanTiltNode  # noqa: E402
from gaze_robot.types import PanTiltState  # noqa: E402


@pytest.fixture
def eyes(monkeypatch):
    monkeypatch.setattr(_calibrator, '_WAIT_S', 3.0)
    with _calibrator.Calibrator('/measured') as made:
        yield made


@pytest.fixture
def say(eyes):
    """Publishes again and again what a function makes: type, topic, function."""
    node = rclpy.create_node('somebody', namespace='/measured')
    eyes._executor.add_node(node)

    def publish(kind, topic, make):
        publisher = node.create_publisher(kind, topic, 10)
        node.create_timer(0.02, lambda: publisher.publish(make()))
    yield publish
    node.destroy_node()


def stamped(eyes, pan=0.3):
    return _messages.joint_state_from_pose(PanTiltState(pan, 0.1, stamp_s=eyes.now_s()))


def picture(eyes, stamp=None):
    return Image(header=_messages.header(_messages.stamp(eyes.now_s() if stamp is None else stamp),
                                         'camera'),
                 encoding='mono8', width=4, height=2, step=4, data=bytes(8))


def test_without_anything_it_says_what_is_missing(eyes, monkeypatch):
    monkeypatch.setattr(_calibrator, '_WAIT_S', 0.3)
    with pytest.raises(CalibrationError, match='start pan_tilt_node'):
        eyes.head()
    with pytest.raises(CalibrationError, match='is the head running'):
        eyes.joints()
    with pytest.raises(CalibrationError, match='which has 0 publishers'):
        eyes.picture(wait_s=0.5)
    with pytest.raises(CalibrationError, match='no camera_info arrives'):
        eyes.camera(640, 480)


def test_joint_states_that_are_nan_are_told_as_such(eyes, say):
    say(JointState, 'joint_states', lambda: stamped(eyes, math.nan))
    with pytest.raises(CalibrationError, match='nan or inf: check the encoders'):
        eyes.joints()


def test_joint_states_of_another_clock_are_told_as_such(eyes, say):
    say(JointState, 'joint_states', lambda: _messages.joint_state_from_pose(
        PanTiltState(0.3, 0.1, stamp_s=5.0)))
    with pytest.raises(CalibrationError, match='another clock'):
        eyes.joints()


def test_a_picture_comes_with_the_joints_of_its_moment(eyes, say):
    start_s = eyes.now_s()
    say(JointState, 'joint_states', lambda: stamped(eyes, eyes.now_s() - start_s))
    eyes.joints()
    say(Image, 'image_raw', lambda: picture(eyes))
    sight = eyes.picture(after_s=eyes.now_s() + 0.1)
    assert sight.image.shape == (2, 4, 3)
    assert sight.joints.pan_rad == pytest.approx(sight.stamp_s - start_s, abs=0.03)


def test_a_camera_without_stamps_or_calibration_is_refused(eyes, say):
    say(Image, 'image_raw', lambda: picture(eyes, 0.0))
    with pytest.raises(CalibrationError, match='does not stamp'):
        eyes.picture()
    say(CameraInfo, 'camera_info', lambda: CameraInfo(width=4, height=2))
    with pytest.raises(CalibrationError, match='calibrate camera'):
        eyes.camera(4, 2)


def test_a_head_without_torque_does_not_arrive_and_one_with_does(eyes):
    node = PanTiltNode(namespace='/measured', parameter_overrides=[
        Parameter('enable_at_start', value=False), Parameter('direction', value=[1, -1]),
        Parameter('offset', value=[0.25, 0.0])])
    eyes._executor.add_node(node)
    try:
        node.autostart()
        config = eyes.head()
        assert (config.backend, config.direction, config.offset) == ('sim', (1, -1), (0.25, 0.0))
        start = eyes.joints()
        goal = start.pan_rad + 0.2
        assert not eyes.move(goal, start.tilt_rad, 1.0)
        node._head.enable(True)
        assert eyes.move(goal, start.tilt_rad, 1.0)
        assert eyes.joints().pan_rad == pytest.approx(goal, abs=0.01)
    finally:
        node.close()
        node.destroy_node()


def test_watching_gathers_what_comes(eyes, say):
    say(JointState, 'joint_states', lambda: stamped(eyes))
    say(Image, 'image_raw', lambda: picture(eyes))
    eyes.joints()
    told = []
    sights, states = eyes.watch(0.6, told.append)
    assert len(sights) > 3
    assert len(states) > 3
    assert np.all(np.diff([sight.stamp_s for sight in sights]) > 0)
    assert told == sorted(told)
