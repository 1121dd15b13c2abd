import math

import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip('rclpy', reason='needs rclpy')

from sensor_msgs.msg import Image, JointState  # noqa: E402

from gaze_robot.camera import CameraModel  # noqa: E402
from gaze_robot.config import GazeConfig  # noqa: E402
from gaze_robot.nodes import _messages  # noqa: E402
from gaze_robot.nodes._desk import Desk  # noqa: E402
from gaze_robot.types import PanTiltState  # noqa: E402


def joint_state(pan, stamp_s):
    return _messages.joint_state_from_pose(PanTiltState(pan, 0.0, stamp_s=stamp_s))


def image(stamp_s, encoding='rgb8', frame_id=''):
    return Image(header=_messages.header(_messages.stamp(stamp_s), frame_id), encoding=encoding,
                 width=4, height=2, step=12, data=bytes(24))


def admit(desk, message, now_s):
    return desk.admit(message, now_s, lambda: False)


def turning_desk(**settings):
    """A head that turned left at 1 rad/s from t = 100 to 100.2."""
    desk = Desk(GazeConfig(**settings))
    for step in range(21):
        desk.joints(joint_state(step / 100, 100 + step / 100))
    return desk


def test_the_pose_is_the_one_at_the_pictures_stamp_not_at_its_arrival():
    picture = admit(turning_desk(), image(100.055), now_s=100.2)
    assert picture.pose.pan_rad == pytest.approx(0.055, abs=1e-5)


def test_the_pose_is_the_cameras_where_it_sits_askew():
    """Mounted 0.1 rad to the left and rolled by 0.05: that is where it looks, and how it is."""
    picture = admit(turning_desk(camera_mount_rpy=(0.05, 0.0, 0.1)), image(100.055), now_s=100.2)
    assert picture.pose.pan_rad == pytest.approx(0.155, abs=1e-5)
    assert picture.roll_rad == pytest.approx(0.05, abs=1e-5)
    assert turning_desk(camera_mount_rpy=(0.05, 0.0, 0.1)).pose_at(100.055).pan_rad == \
        pytest.approx(0.055, abs=1e-5)


def test_joint_states_of_other_joints_are_passed_over():
    desk = Desk(GazeConfig())
    desk.joints(JointState(name=['elbow', 'wrist'], position=[1.0, 2.0]))
    assert admit(desk, image(100.0), 100.0) == 'no pose'


def test_the_heads_own_joint_names_are_used():
    desk = Desk(GazeConfig(joints=('neck_yaw', 'neck_pitch')))
    message = JointState(name=['neck_pitch', 'elbow', 'neck_yaw'], position=[0.1, 9.0, 0.2])
    message.header.stamp = _messages.stamp(100.0)
    desk.joints(message)
    pose = admit(desk, image(100.0), 100.0).pose
    assert (pose.pan_rad, pose.tilt_rad) == (0.2, 0.1)


def test_a_head_that_fell_silent_gives_no_pose():
    assert admit(turning_desk(), image(101.0), 101.0) == 'no pose'


@pytest.mark.parametrize('stamp_s', [100.29, 100.2, 100.0, 99.91])
def test_a_pose_near_in_time_will_do(stamp_s):
    assert admit(turning_desk(), image(stamp_s), stamp_s).pose is not None


def test_a_head_that_was_turning_when_it_fell_silent_gives_no_pose():
    """Its pose would be 16 degrees off: 3 rad/s for 90 ms."""
    def admitted(speed):
        desk = Desk(GazeConfig())
        for stamp_s in (100.0, 100.01):
            desk.joints(_messages.joint_state_from_pose(
                PanTiltState(0.0, 0.0, speed, 0.0, stamp_s)))
        return admit(desk, image(100.1), 100.1)
    assert admitted(3.0) == 'no pose'
    assert admitted(0.1).pose.pan_rad_s == pytest.approx(0.1)


@pytest.mark.parametrize('stamp_s', [100.31, 99.89, 90.0],
                         ids=['head silent', 'head clock ahead', 'head clock far ahead'])
def test_a_pose_of_another_moment_is_none(stamp_s):
    assert admit(turning_desk(), image(stamp_s), stamp_s) == 'no pose'


def test_a_camera_that_does_not_stamp_is_stamped_on_arrival():
    desk = turning_desk()
    picture = admit(desk, image(0.0), now_s=100.1)
    assert desk.unstamped
    assert picture.stamp_s == pytest.approx(100.1, abs=1e-6)
    assert _messages.seconds(picture.header.stamp) == pytest.approx(100.1, abs=1e-6)


def test_a_header_without_frame_gets_the_prefixed_optical_frame():
    picture = admit(turning_desk(frame_prefix='left_'), image(100.1), 100.1)
    assert picture.header.frame_id == 'left_camera_optical_frame'


def test_decoding_and_lens_come_from_the_messages():
    desk = turning_desk()
    camera = CameraModel.from_hfov(4, 2, 1.0)
    desk.info(_messages.info_from_camera(camera, _messages.header(_messages.stamp(100.0), '')))
    picture = admit(desk, image(100.1), 100.1)
    np.testing.assert_array_equal(picture.decode(), np.zeros((2, 4, 3)))
    assert picture.lens(4, 2).hfov_rad == pytest.approx(1.0)
    assert not math.isnan(picture.lens(8, 4).fx)                     # resized as a whole
