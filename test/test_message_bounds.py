"""Messages larger than any real one: refused by their sizes, before they are copied, counted."""

import mmap
import resource
import struct
import time
import zlib

import cv2
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from gaze_robot.errors import CommandError, ImageError
from gaze_robot.nodes._encodings import (
    claimed_size,
    LARGEST_PIXELS,
    rgb_from_bytes,
    rgb_from_compressed,
)

GIGABYTE = 1 << 30


def png(width, height, kilobytes=1):
    """A PNG that claims a size, with some of its rows."""
    def chunk(kind, data):
        check = struct.pack('>I', zlib.crc32(kind + data))
        return struct.pack('>I', len(data)) + kind + data + check
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header)
            + chunk(b'IDAT', zlib.compress(bytes(1024 * kilobytes))) + chunk(b'IEND', b''))


def jpeg(width, height):
    """A JPEG whose frame header claims another size."""
    good = cv2.imencode('.jpg', np.zeros((16, 16, 3), np.uint8))[1].tobytes()
    at = good.index(b'\xff\xc0') + 5
    return good[:at] + struct.pack('>HH', height, width) + good[at + 4:]


def resident_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


@pytest.mark.parametrize('width, height', [(1, 1), (640, 480), (7680, 4320), (65535, 65535)])
@pytest.mark.parametrize('make', [png, jpeg])
def test_the_claimed_size_is_read_from_the_header(make, width, height):
    assert claimed_size(np.frombuffer(make(width, height), np.uint8)) == (width, height)


@pytest.mark.parametrize('quality', [30, 95])
@pytest.mark.parametrize('extension', ['.jpg', '.png'])
def test_it_is_what_decoding_gives(extension, quality):
    rng = np.random.default_rng(quality)
    for _ in range(20):
        height, width = (int(side) for side in rng.integers(1, 90, 2))
        encoded = cv2.imencode(extension, rng.integers(0, 255, (height, width, 3), np.uint8),
                               [cv2.IMWRITE_JPEG_QUALITY, quality,
                                cv2.IMWRITE_JPEG_PROGRESSIVE, int(rng.integers(2))])[1]
        assert claimed_size(encoded) == (width, height)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.sampled_from([b'', b'\xff\xd8', b'\xff\xd8\xff\xe0',
                                                b'\x89PNG\r\n\x1a\n']))
def test_any_bytes_have_a_size_or_none(tail, head):
    width, height = claimed_size(np.frombuffer(head + tail, np.uint8))
    assert width >= 0 <= height


@pytest.mark.parametrize('content', [png(100_000, 100_000), png(40_000, 20_000),
                                     jpeg(65_000, 65_000)])
def test_a_few_bytes_that_claim_gigabytes_are_refused_undecoded(content):
    before_mb = resident_mb()
    with pytest.raises(ImageError, match='too large'):
        rgb_from_compressed(content)
    assert resident_mb() - before_mb < 50


def test_a_gigabyte_of_pixels_is_refused_untouched():
    with mmap.mmap(-1, GIGABYTE) as memory:         # pages that are not touched take no memory
        before_mb = resident_mb()
        for encoding, width in (('rgb8', 18_918), ('bgr8', 18_918), ('mono16', 23_170)):
            with pytest.raises(ImageError, match='too large'):
                rgb_from_bytes(memoryview(memory), width, width, encoding)
        assert resident_mb() - before_mb < 50


def test_the_largest_camera_is_not_refused():
    assert LARGEST_PIXELS >= 7680 * 4320
    assert rgb_from_bytes(bytes(4096 * 2160 * 3), 4096, 2160, 'rgb8').shape == (2160, 4096, 3)


@pytest.mark.ros
def test_the_desk_counts_them_and_copies_nothing():
    pytest.importorskip('rclpy', reason='needs rclpy')
    from sensor_msgs.msg import CompressedImage, Image

    from gaze_robot.config import GazeConfig
    from gaze_robot.nodes._desk import Desk
    desk = Desk(GazeConfig(eye='picture'))
    with mmap.mmap(-1, GIGABYTE) as memory:
        view = memoryview(memory)
        before_mb = resident_mb()
        for message in (Image(encoding='rgb8', width=18_918, height=18_918, step=3 * 18_918),
                        Image(encoding='rgb8', width=640, height=480), CompressedImage()):
            message._data = view                    # as the middleware leaves it, without a copy
            assert desk.admit(message, 1.0, lambda: False) == 'too large'
            message._data = b''
        view.release()
        assert resident_mb() - before_mb < 50
    small = CompressedImage(format='png')
    small.data = png(40_000, 20_000)
    assert desk.admit(small, 1.0, lambda: False) == 'too large'


@pytest.mark.ros
def test_endless_lists_are_refused():
    pytest.importorskip('rclpy', reason='needs rclpy')
    from sensor_msgs.msg import JointState
    from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

    from gaze_robot.nodes import _messages
    names = ['pan', 'tilt'] + [f'joint {k}' for k in range(2000)]
    assert _messages.pose_from_joint_state(
        JointState(name=names, position=[0.0] * len(names))) is None
    many = JointTrajectory(joint_names=['pan', 'tilt'], points=[
        JointTrajectoryPoint(positions=[0.0, 0.0])] * 10_001)
    with pytest.raises(CommandError, match='points'):
        _messages.commands_from_trajectory(many)
    with pytest.raises(CommandError, match='joints') as refused:
        _messages.commands_from_trajectory(JointTrajectory(joint_names=['x'] * 100_000))
    assert len(str(refused.value)) < 300


@pytest.mark.ros
def test_a_bomb_on_the_camera_topic_is_counted_and_the_next_picture_seen(tmp_path):
    rclpy = pytest.importorskip('rclpy', reason='needs rclpy')
    pytest.importorskip('torch', reason='gaze_node needs torch')
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.parameter import Parameter
    from sensor_msgs.msg import CompressedImage

    from gaze_robot.checkpoint import make_policy, save_policy
    from gaze_robot.encoder import EncoderConfig
    from gaze_robot.foveation import FoveationPattern
    from gaze_robot.nodes.gaze_node import GazeNode
    save_policy(tmp_path, make_policy(FoveationPattern(), EncoderConfig()))
    rclpy.init()
    node = GazeNode(parameter_overrides=[Parameter(name, value=value) for name, value in (
        ('model.path', str(tmp_path)), ('model.runtime', 'torch'), ('eye', 'picture'),
        ('image_transport', 'compressed'), ('max_image_age', 10.0))])
    node.autostart()
    camera = rclpy.create_node('stranger')
    publisher = camera.create_publisher(CompressedImage, 'image_raw/compressed', 10)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    good = cv2.imencode('.jpg', np.full((48, 64, 3), 90, np.uint8))[1].tobytes()

    def publish(data, until):
        deadline = time.monotonic() + 20.0
        while time.monotonic() < deadline:
            message = CompressedImage(format='png')
            message.data = data
            publisher.publish(message)
            due = time.monotonic() + 0.05       # a flood would keep Python's lock from the eye
            while time.monotonic() < due:
                executor.spin_once(timeout_sec=0.05)
            if until():
                return True
        return False
    try:
        assert publish(png(100_000, 100_000),
                       lambda: node.stats.dropped.as_dict().get('too large', 0) > 0)
        assert publish(good, lambda: node.stats.processed.count > 0), node.stats.report()
    finally:
        executor.shutdown()
        node.close()
        node.destroy_node()
        camera.destroy_node()
        rclpy.try_shutdown()
