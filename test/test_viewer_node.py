"""viewer_node without a browser: what it listens to, what it makes of it, what it says."""

import asyncio
import math
import time

import numpy as np
import pytest

from gaze_robot.camera import CameraModel
from gaze_robot.errors import CommandError
from gaze_robot.glance_note import GlanceNote

pytestmark = pytest.mark.ros
CAMERA = CameraModel.from_hfov(64, 48, math.pi / 2)


@pytest.fixture
def spin():
    """A viewer node and somebody to talk to it: (node, other, spin until a condition)."""
    rclpy = pytest.importorskip('rclpy', reason='needs rclpy')
    pytest.importorskip('rosbags', reason='the page reads bags')
    from gaze_robot.nodes.viewer_node import ViewerNode
    rclpy.init()
    node, other = ViewerNode(), rclpy.create_node('other')
    executor = rclpy.executors.SingleThreadedExecutor()
    executor.add_node(node)
    executor.add_node(other)

    def until(condition, seconds=10.0):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, condition
            executor.spin_once(timeout_sec=0.02)
    yield node, other, until
    node.close()
    node.destroy_node()
    other.destroy_node()
    rclpy.shutdown()


def test_nothing_is_listened_to_while_no_browser_is_there(spin):
    node, other, until = spin
    topics = ('image_raw', 'gaze/glance', 'gaze/mosaic', 'world/panorama/compressed')

    def listeners():
        return [other.count_subscribers(topic) for topic in topics]
    until(lambda: other.get_node_names().count('viewer') == 1)
    assert listeners() == [0, 0, 0, 0]
    node.watched(1)
    until(lambda: listeners() == [1, 1, 1, 1])
    node.listen(False)
    node.watched(0)
    until(lambda: listeners() == [0, 0, 0, 0])


def test_a_glance_is_shown_with_the_very_picture_it_is_of(spin):
    from sensor_msgs.msg import Image
    from std_msgs.msg import String

    from gaze_robot.nodes import _messages, _qos
    node, other, until = spin
    node.listen(True)
    pictures = other.create_publisher(Image, 'image_raw', _qos.CAMERA_RELIABLE)
    notes = other.create_publisher(String, 'gaze/glance', _qos.COMMAND)
    until(lambda: pictures.get_subscription_count() and notes.get_subscription_count())
    stamps = [time.time() + 0.03 * k for k in range(4)]
    for k, stamp_s in enumerate(stamps):
        header = _messages.header(_messages.stamp(stamp_s), 'camera_optical_frame')
        pictures.publish(_messages.ImageFiller()(np.full((48, 64, 3), 10 * k, np.uint8), header))
        until(lambda k=k: len(node._feed._waiting) == k + 1)
    second = _messages.seconds(_messages.stamp(stamps[1]))
    notes.publish(String(data=GlanceNote(second, CAMERA, 0.1, 0.2, 0.0, 'hold', True).to_json()))
    until(lambda: node.board.picture is not None and node.board.picture.note is not None)
    assert node.board.picture.image.mean() == 10
    assert node.board.note.mode == 'hold'
    notes.publish(String(data='not a glance'))          # of another version: no harm
    until(lambda: node.board.picture.note is None)      # pictures go on without
    assert node.board.picture.image.mean() == 30


def test_what_is_told_goes_out_and_who_is_not_there_is_named(spin):
    from geometry_msgs.msg import PointStamped
    node, other, until = spin
    heard = []
    other.create_subscription(PointStamped, 'gaze/look_at', heard.append, 1)
    until(lambda: node.count_subscribers('gaze/look_at') == 1)
    until(lambda: node.robot._look_at.get_subscription_count() == 1)
    asyncio.run(node.robot.look_at(np.array([0.0, 10.0, 0.0])))
    until(lambda: heard)
    assert heard[0].header.frame_id == 'base_link'
    assert heard[0].point.y == 10.0
    with pytest.raises(CommandError, match='nobody offers .*runstop'):
        asyncio.run(node.robot.run_stop(True))
    with pytest.raises(CommandError, match='nothing is being recorded'):
        asyncio.run(node.robot.record(False))
