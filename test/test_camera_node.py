"""camera_node as another process sees it: real rclpy and middleware."""

import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip('rclpy', reason='needs rclpy')

from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import CameraInfo, CompressedImage, Image  # noqa: E402

from gaze_robot.nodes import _messages, _qos  # noqa: E402
from gaze_robot.nodes.camera_node import CameraNode  # noqa: E402

SIZE = (64, 48)


@pytest.fixture(scope='module')
def listener():
    rclpy.init()
    node = rclpy.create_node('listener')
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture
def camera():
    """Start camera_node; at the end it must leave on Ctrl-C with code 0."""
    started = []

    def make(*parameters):
        arguments = [word for parameter in parameters for word in ('-p', parameter)]
        started.append(subprocess.Popen(
            [sys.executable, '-m', 'gaze_robot.nodes.camera_node', '--ros-args', *arguments],
            stderr=subprocess.PIPE, text=True))
        return started[-1]
    yield make
    for process in started:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
            assert process.returncode == 0, errors
            assert 'Traceback' not in errors


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """A second of pictures at 20 Hz, each of one grey."""
    path = tmp_path_factory.mktemp('video') / 'grey.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 20.0, SIZE)
    for index in range(20):
        writer.write(np.full((SIZE[1], SIZE[0], 3), 10 * index, np.uint8))
    writer.release()
    return path


def spin(node, seconds, until):
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        rclpy.spin_once(node, timeout_sec=0.05)
    return until()


def line_with(process, text, seconds=30.0):
    """The first line of the log that has `text`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        line = process.stderr.readline()
        if text in line:
            return line
    raise AssertionError(f'{text!r} was not said within {seconds} s')


@pytest.mark.parametrize('reliability', ['best_effort', 'reliable'])
def test_a_video_is_a_standard_camera(listener, camera, video, reliability):
    images, infos, jpegs = [], [], []
    subscriptions = [
        listener.create_subscription(Image, 'image_raw', images.append, _qos.IMAGE),
        listener.create_subscription(CameraInfo, 'camera_info', infos.append, _qos.IMAGE),
        listener.create_subscription(CompressedImage, 'image_raw/compressed', jpegs.append,
                                     _qos.IMAGE)]
    camera(f'source:={video}', f'reliability:={reliability}', 'hfov_deg:=60',
           'frame_prefix:=left/')
    assert spin(listener, 30.0, lambda: len(images) > 10 and len(infos) > 10 and len(jpegs) > 2)
    for subscription in subscriptions:
        listener.destroy_subscription(subscription)
    image, info = images[-1], infos[-1]
    assert (image.width, image.height, image.encoding) == (*SIZE, 'rgb8')
    assert image.header.frame_id == info.header.frame_id == 'left/camera_optical_frame'
    stamps = [_messages.seconds(each.header.stamp) for each in infos]
    assert {_messages.seconds(each.header.stamp) for each in images} & set(stamps)
    assert np.median(np.diff(stamps)) == pytest.approx(0.05, abs=0.03)
    lens = _messages.camera_from_info(info, *SIZE)
    assert np.degrees(lens.hfov_rad) == pytest.approx(60.0, abs=0.01)
    assert _messages.rgb_from_compressed_image(jpegs[-1]).shape == (SIZE[1], SIZE[0], 3)
    greys = {int(_messages.rgb_from_image(each).mean()) // 10 for each in images}
    assert len(greys) > 3, 'the pictures differ, so the newest is sent and not an old one'


def test_an_unplugged_camera_is_said_once_and_waited_for(camera):
    process = camera('source:=/dev/video96')
    assert 'Trying again every second' in line_with(process, '/dev/video96 is not there')
    time.sleep(2.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert 'video96' not in errors, 'said once is enough'


@pytest.mark.parametrize('parameter, says', [
    ('source:=/nowhere/film.mp4', 'does not exist'), ('sorce:=0', "did you mean 'source'"),
    ('rate:=-3', 'at least')])
def test_what_cannot_start_says_why_in_one_line(camera, parameter, says):
    process = camera(parameter)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert says in errors
    assert 'Traceback' not in errors


def test_a_calibration_that_does_not_fit_is_said_and_the_pictures_come(
        listener, camera, video, tmp_path):
    calibration = tmp_path / 'camera.yaml'
    calibration.write_text(
        'image_width: 100\nimage_height: 100\ncamera_matrix: {data: [50, 0, 50, 0, 50, 50, 0, 0, '
        '1]}\ndistortion_model: plumb_bob\ndistortion_coefficients: {data: [0, 0, 0, 0, 0]}\n')
    infos = []
    subscription = listener.create_subscription(CameraInfo, 'camera_info', infos.append,
                                                _qos.IMAGE)
    process = camera(f'source:={video}', f'camera_info:={calibration}')
    assert 'another shape' in line_with(process, 'camera.yaml')
    assert spin(listener, 20.0, lambda: len(infos) > 0)
    listener.destroy_subscription(subscription)
    assert (infos[-1].width, infos[-1].height) == SIZE


def test_without_loop_it_ends_and_stays(camera, video):
    process = camera(f'source:={video}', 'loop:=false', 'rate:=100')
    assert 'after 20 pictures' in line_with(process, 'ended')
    assert process.poll() is None


BREAKING = """
import sys
import cv2
from gaze_robot.errors import CameraModelError
from gaze_robot.nodes import _lifecycle, camera_node

class Source:
    rate_hz, ended = 10.0, False
    def read(self):
        raise {error}('the lens fell off')
    def close(self):
        pass

camera_node.open_source = lambda config, say: Source()
sys.exit(_lifecycle.run(camera_node.CameraNode))
"""


def test_what_nobody_foresaw_ends_the_node_so_that_it_can_be_started_again():
    done = subprocess.run([sys.executable, '-c', BREAKING.format(error='cv2.error')],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert 'the camera node ends' in done.stderr
    assert 'the lens fell off' in done.stderr


def test_an_error_of_ours_is_one_line_and_the_node_stays():
    process = subprocess.Popen(
        [sys.executable, '-c', BREAKING.format(error='CameraModelError')],
        stderr=subprocess.PIPE, text=True)
    assert 'the lens fell off' in line_with(process, 'no more pictures')
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert 'Traceback' not in errors


def test_every_picture_is_counted_until_it_is_paused(listener, video):
    images = []
    subscription = listener.create_subscription(Image, 'image_raw', images.append, 100)
    node = CameraNode(parameter_overrides=[
        Parameter('source', value=str(video)), Parameter('reliability', value='reliable')])
    assert spin(listener, 20.0, lambda: len(images) > 10)
    node.pause()
    count = node.published
    spin(listener, 0.5, lambda: False)
    assert node.published == count
    assert len(images) <= count <= len(images) + 10, 'but for those before they met'
    node.close()
    node.destroy_node()
    listener.destroy_subscription(subscription)
