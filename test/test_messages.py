"""Messages to types and back, without a node or graph."""

import cv2
import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip('sensor_msgs', reason='needs the ROS messages')

from geometry_msgs.msg import PointStamped  # noqa: E402
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState  # noqa: E402
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint  # noqa: E402

from gaze_robot.camera import CameraModel  # noqa: E402
from gaze_robot.errors import CameraModelError, CommandError, ImageError  # noqa: E402
from gaze_robot.nodes import _messages  # noqa: E402
from gaze_robot.types import PanTiltCommand, PanTiltState  # noqa: E402

HEADER = _messages.header(_messages.stamp(12.5), 'camera_optical_frame')


@pytest.mark.parametrize('seconds', [0.0, 1.5, 1763640000.1234567, 0.9999999999])
def test_stamps_come_back_within_a_microsecond(seconds):
    stamp = _messages.stamp(seconds)
    assert 0 <= stamp.nanosec < 1_000_000_000
    assert _messages.seconds(stamp) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize('shape, kind, encoding', [
    ((5, 7, 3), np.uint8, 'rgb8'), ((5, 7), np.uint8, 'mono8'), ((5, 7), np.float32, '32FC1')])
def test_a_filled_message_holds_the_picture(shape, kind, encoding):
    picture = (np.random.default_rng(1).random(shape) * 255).astype(kind)
    message = _messages.ImageFiller()(picture, HEADER)
    assert (message.encoding, message.height, message.width) == (encoding, 5, 7)
    assert message.step * message.height == len(message.data) == picture.nbytes
    assert message.header == HEADER
    np.testing.assert_array_equal(np.frombuffer(message.data, kind).reshape(shape), picture)


def test_a_filler_reuses_its_buffer_and_follows_a_new_size():
    fill = _messages.ImageFiller()
    first = fill(np.zeros((4, 6, 3), np.uint8), HEADER).data
    again = fill(np.full((4, 6, 3), 9, np.uint8), HEADER)
    assert again.data is first
    assert set(again.data) == {9}, 'the picture before this one'
    assert len(fill(np.zeros((2, 2, 3), np.uint8), HEADER).data) == 12


def test_pictures_that_are_no_array_slice_are_filled_too():
    picture = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)[:, ::-1]
    message = _messages.ImageFiller()(picture, HEADER)
    np.testing.assert_array_equal(_messages.rgb_from_image(message), picture)


def test_pictures_nobody_can_name_are_refused():
    with pytest.raises(ImageError, match='no encoding'):
        _messages.ImageFiller()(np.zeros((4, 4, 2), np.uint8), HEADER)


def test_an_unknown_encoding_is_an_image_error():
    message = Image(encoding='h264', width=4, height=4, step=4, data=[0] * 16)
    with pytest.raises(ImageError, match='h264'):
        _messages.rgb_from_image(message)


def test_our_view_and_cv_bridge_agree():
    bridge = pytest.importorskip('cv_bridge', reason='comes with a ROS installation').CvBridge()
    rng = np.random.default_rng(2)
    for encoding, channels, kind in (('rgb8', 3, 'u1'), ('bgr8', 3, 'u1'), ('mono8', 1, 'u1'),
                                     ('bgra8', 4, 'u1'), ('mono16', 1, 'u2'), ('rgb16', 3, 'u2')):
        picture = rng.integers(0, 255, (6, 8, channels)).astype(kind)
        message = Image(encoding=encoding, width=8, height=6, step=picture.nbytes // 6)
        message.data = picture.tobytes()
        theirs = bridge.imgmsg_to_cv2(message, 'rgb8').astype(int)
        assert np.abs(_messages.rgb_from_image(message) - theirs).max() <= 1


def test_jpeg_out_and_in():
    picture = np.full((16, 16, 3), (200, 40, 90), np.uint8)
    message = _messages.jpeg_message(picture, HEADER, quality=95)
    assert message.format == 'jpeg'
    out = _messages.rgb_from_compressed_image(message).astype(int)
    assert np.abs(out - picture).max() <= 5
    with pytest.raises(ImageError, match='theora'):
        _messages.rgb_from_compressed_image(CompressedImage(format='theora', data=[1, 2, 3]))


def info(width=640, height=480, **changes):
    return CameraInfo(**{'width': width, 'height': height, 'distortion_model': 'plumb_bob',
                         'd': [0.1, 0.0, 0.0, 0.0, 0.0],
                         'k': [500.0, 0.0, 319.5, 0.0, 500.0, 239.5, 0.0, 0.0, 1.0], **changes})


def test_camera_info_there_and_back():
    camera = CameraModel(640, 480, 500.0, 501.0, 321.0, 239.0, 'plumb_bob',
                         (0.1, -0.2, 0.0, 0.0, 0.01))
    message = _messages.info_from_camera(camera, HEADER)
    assert message.k[2] == 320.5
    assert _messages.camera_from_info(message, 640, 480) == camera


def test_a_resized_picture_scales_the_lens():
    camera = _messages.camera_from_info(info(), 320, 240)
    assert (camera.width, camera.height, camera.fx, camera.cx) == (320, 240, 250.0, 160.0)


def test_binning_and_roi_of_the_driver():
    message = info(binning_x=2, binning_y=2)
    message.roi.x_offset, message.roi.y_offset = 100, 40
    message.roi.width, message.roi.height = 400, 400
    camera = _messages.camera_from_info(message, 200, 200)
    assert (camera.fx, camera.cx, camera.cy) == (250.0, 110.0, 100.0)


@pytest.mark.parametrize('lens, count', [('equidistant', 4), ('fisheye', 4), ('plumb_bob', 5),
                                         ('rational_polynomial', 8), ('', 0)])
@pytest.mark.parametrize('given', [True, False])
def test_lens_models_with_and_without_coefficients(lens, count, given):
    message = info(distortion_model=lens, d=[0.01] * count if given else [])
    assert _messages.camera_from_info(message, 640, 480).width == 640


@pytest.mark.parametrize('message, says', [
    (CameraInfo(), 'not calibrated'), (CameraInfo(width=640, height=480), 'not calibrated'),
    (info(1280, 720), 'another shape'), (info(distortion_model='banana'), 'banana'),
    (info(d=[float('nan')] * 5), 'finite')])
def test_camera_infos_that_do_not_fit_are_refused(message, says):
    with pytest.raises(CameraModelError, match=says):
        _messages.camera_from_info(message, 640, 480)


def test_joints_are_found_by_name_among_others():
    message = JointState(name=['wheel', 'tilt', 'arm', 'pan'], position=[9.0, 0.2, 9.0, -0.4],
                         velocity=[9.0, 0.02, 9.0, -0.04])
    message.header.stamp = _messages.stamp(7.25)
    pose = _messages.pose_from_joint_state(message)
    assert pose == PanTiltState(-0.4, 0.2, -0.04, 0.02, 7.25)


@pytest.mark.parametrize('name, position', [
    (['pan'], [0.1]), (['a', 'b'], [0.1, 0.2]), (['pan', 'tilt'], []), ([], [])])
def test_messages_about_other_joints_are_passed_over(name, position):
    assert _messages.pose_from_joint_state(JointState(name=name, position=position)) is None


def test_missing_and_nan_speeds_are_zero():
    message = JointState(name=['pan', 'tilt'], position=[0.1, 0.2])
    assert _messages.pose_from_joint_state(message).pan_rad_s == 0.0
    message.velocity = [float('nan'), 1.0]
    pose = _messages.pose_from_joint_state(message)
    assert (pose.pan_rad_s, pose.tilt_rad_s) == (0.0, 1.0)


def test_poses_and_commands_come_back():
    pose = PanTiltState(0.1, -0.2, 0.3, -0.4, 5.5)
    assert _messages.pose_from_joint_state(_messages.joint_state_from_pose(pose)) == pose
    goal = PanTiltCommand(0.1, -0.2, 0.3, -0.4)
    message = _messages.trajectory_from_command(goal, ('a', 'b'), 1.25)
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (0, 0)
    assert _messages.commands_from_trajectory(message, ('a', 'b')) == [(1.25, goal)]


def test_trajectories_are_read_by_name_in_any_order():
    message = JointTrajectory(joint_names=['tilt', 'pan'], points=[
        JointTrajectoryPoint(positions=[0.2, 0.1]),
        JointTrajectoryPoint(positions=[0.4, 0.3], velocities=[0.04, 0.03])])
    message.points[1].time_from_start.sec = 1
    assert _messages.commands_from_trajectory(message) == [
        (0.0, PanTiltCommand(0.1, 0.2)), (1.0, PanTiltCommand(0.3, 0.4, 0.03, 0.04))]
    assert _messages.commands_from_trajectory(JointTrajectory(joint_names=['pan', 'tilt'])) == []


def trajectory(joints=('pan', 'tilt'), times=(0,), **point):
    message = JointTrajectory(joint_names=list(joints))
    for second in times:
        message.points.append(JointTrajectoryPoint(**{'positions': [0.0, 0.0], **point}))
        message.points[-1].time_from_start.sec = second
    return message


@pytest.mark.parametrize('message, says', [
    (trajectory(['pan']), 'joints'), (trajectory(['pan', 'elbow']), 'joints'),
    (trajectory(['pan', 'pan']), 'joints'), (trajectory([]), 'joints'),
    (trajectory(positions=[0.0]), 'positions'), (trajectory(velocities=[0.0]), 'velocities'),
    (trajectory(positions=[0.0, float('nan')]), 'finite'),
    (trajectory(velocities=[float('inf'), 0.0]), 'finite'),
    (trajectory(times=(1, 1)), 'grow'), (trajectory(times=(-1,)), 'grow')])
def test_bad_trajectories_are_refused(message, says):
    with pytest.raises(CommandError, match=says):
        _messages.commands_from_trajectory(message)


def test_rays_and_points():
    message = _messages.point_from_ray(np.array([0.0, 0.6, 0.8]), HEADER)
    assert message.header == HEADER
    message.point.y, message.point.z = 6.0, 8.0
    np.testing.assert_allclose(_messages.place_of(message), [0.0, 6.0, 8.0])
    for x in (0.0, float('nan'), float('inf')):
        bad = PointStamped()
        bad.point.x = x
        with pytest.raises(CommandError, match='finite'):
            _messages.place_of(bad)


def test_16bit_png_message_is_read():
    encoded = cv2.imencode('.png', np.full((6, 6), 40000, np.uint16))[1].tobytes()
    message = CompressedImage(format='mono16; png compressed ', data=encoded)
    assert _messages.rgb_from_compressed_image(message)[0, 0, 0] == pytest.approx(156, abs=1)
