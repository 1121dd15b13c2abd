"""`gaze-robot record`, `replay` and `process` as processes, on real rclpy."""

import json
import math
import os
from pathlib import Path
import signal
import struct
import subprocess
import sys
import time

import numpy as np
import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip('rclpy', reason='needs rclpy')
pytest.importorskip('torch', reason='looks at pictures')
pytest.importorskip('rosbags', reason='the extra bags')

from rclpy.qos import QoSProfile, ReliabilityPolicy  # noqa: E402
from rclpy.serialization import deserialize_message, serialize_message  # noqa: E402
from sensor_msgs.msg import Image, JointState  # noqa: E402

from gaze_robot.bags.store import BagWriter, open_bag, Topic  # noqa: E402
from gaze_robot.camera import CameraModel  # noqa: E402
from gaze_robot.nodes import _messages  # noqa: E402
from gaze_robot.nodes._bag_play import restamped  # noqa: E402
from gaze_robot.types import PanTiltState  # noqa: E402

CAMERA = CameraModel.from_hfov(160, 120, math.pi / 2)
BEGIN_S = 1000.0


def command(*words):
    return [sys.executable, '-m', 'gaze_robot.cli', *map(str, words)]


def run(*words):
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=120)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """A folder of untrained weights."""
    from gaze_robot.checkpoint import make_policy, save_policy
    from gaze_robot.encoder import EncoderConfig
    from gaze_robot.foveation import FoveationPattern
    folder = tmp_path_factory.mktemp('checkpoint')
    save_policy(folder, make_policy(FoveationPattern(), EncoderConfig()))
    return folder


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """Two seconds of a camera on a head that turns, and something to look for."""
    path = tmp_path_factory.mktemp('bags') / 'two_seconds'
    fill, rng = _messages.ImageFiller(), np.random.default_rng(0)
    with BagWriter(path, 'mcap', reserve_mib=0.0) as writer:
        def put(name, kind, stamp_s, message, latched=False):
            writer.write(Topic(name, kind, latched=latched), int(stamp_s * 1e9),
                         serialize_message(message))
        exemplar = rng.integers(0, 256, (20, 20, 3), np.uint8)
        put('/gaze/exemplar', 'sensor_msgs/msg/Image', BEGIN_S,
            fill(exemplar, _messages.header(_messages.stamp(BEGIN_S), '')), latched=True)
        for k in range(200):
            now_s = BEGIN_S + k * 0.01
            pose = PanTiltState(0.2 * math.sin(k / 50), 0.1, stamp_s=now_s)
            put('/joint_states', 'sensor_msgs/msg/JointState', now_s + 0.03,
                _messages.joint_state_from_pose(pose))
            if k % 10 == 0:
                header = _messages.header(_messages.stamp(now_s), 'camera_optical_frame')
                put('/camera_info', 'sensor_msgs/msg/CameraInfo', now_s + 0.005,
                    _messages.info_from_camera(CAMERA, header))
                put('/image_raw', 'sensor_msgs/msg/Image', now_s + 0.005,
                    fill(rng.integers(0, 256, (120, 160, 3), np.uint8), header))
    return path


def test_processing_gives_the_same_bytes_every_time(bag, checkpoint, tmp_path):
    outs = [tmp_path / f'{k}.jsonl' for k in range(2)]
    for out in outs:
        done = run('process', bag, '--out', out, '--policy', checkpoint, '--json',
                   tmp_path / 'result.json')
        assert done.returncode == 0, done.stderr
    assert outs[0].read_bytes() == outs[1].read_bytes()
    lines = [json.loads(line) for line in outs[0].read_text().splitlines()]
    result = json.loads((tmp_path / 'result.json').read_text())
    assert result['glances'] == len(lines) == 20
    assert result['eye'] == 'head'
    for k, line in enumerate(lines):                # the pose is that of the stamp
        assert line['pose'] == pytest.approx([0.2 * math.sin(k * 10 / 50), 0.1], abs=2e-3)
        assert math.hypot(*line['fixation']) == pytest.approx(1)
    assert sum('command' in line for line in lines) == 20


def test_late_joint_states_change_nothing(bag, checkpoint, tmp_path):
    """The same recording by a recorder that was busy: joint states 60 ms later."""
    late = tmp_path / 'late'
    with open_bag(bag) as given, BagWriter(late, 'sqlite3', reserve_mib=0.0) as writer:
        entries = [(entry.stamp_ns + 60_000_000 * (entry.topic.name == '/joint_states'), entry)
                   for entry in given.entries()]
        for stamp_ns, entry in sorted(entries, key=lambda one: one[0]):
            writer.write(entry.topic, stamp_ns, entry.data)
    for path, out in ((bag, 'a'), (late, 'new/b')):              # folders are made
        assert run('process', path, '--out', tmp_path / out, '--policy', checkpoint
                   ).returncode == 0
    assert (tmp_path / 'a').read_bytes() == (tmp_path / 'new' / 'b').read_bytes()


@pytest.mark.parametrize('storage', [
    'mcap', pytest.param('sqlite3', marks=pytest.mark.long)])
def test_what_is_replayed_can_be_recorded_again(bag, tmp_path, storage):
    """Every message of a reliable topic; bytes but for the stamps, which are of now."""
    out = tmp_path / 'again'
    recorder = subprocess.Popen(command('record', out, '--storage', storage, '--topics',
                                        '/joint_states', '/gaze/exemplar'),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    rclpy.init()
    try:
        node = rclpy.create_node('looker')
        wait(node, lambda: 'recorder' in node.get_node_names())
        begin_s = time.time()
        done = run('replay', bag, '--restamp')
        assert done.returncode == 0, done.stderr
        node.destroy_node()
    finally:
        rclpy.try_shutdown()
    recorder.send_signal(signal.SIGINT)
    _, errors = recorder.communicate(timeout=30)
    assert recorder.returncode == 0, errors
    with open_bag(out) as found:
        entries = list(found.entries())
        topics = {topic.name: topic for topic in found.topics}
    assert topics['/gaze/exemplar'].latched
    states = [deserialize_message(entry.data, JointState) for entry in entries
              if entry.topic.name == '/joint_states']
    assert [state.position[0] for state in states] == [
        0.2 * math.sin(k / 50) for k in range(200 - len(states), 200)]
    assert len(states) > 60, 'the player waits 3 s, discovery takes no longer but by bad luck'
    stamps = np.array([_messages.seconds(state.header.stamp) for state in states])
    assert np.diff(stamps) == pytest.approx(0.01, abs=1e-6)
    assert begin_s < stamps[0] < time.time()


def wait(node, condition, seconds=30.0):
    end_s = time.monotonic() + seconds
    while not condition():
        rclpy.spin_once(node, timeout_sec=0.05)
        assert time.monotonic() < end_s


def test_the_clock_of_a_replay_runs_from_the_recordings_first_moment(bag):
    from rosgraph_msgs.msg import Clock
    rclpy.init()
    try:
        node = rclpy.create_node('clock_looker')
        seen = []
        node.create_subscription(Clock, '/clock', lambda message: seen.append(
            _messages.seconds(message.clock)), QoSProfile(
                depth=500, reliability=ReliabilityPolicy.RELIABLE))
        player = subprocess.Popen(command('replay', bag, '--clock', '--speed', '0.5'),
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait(node, lambda: player.poll() is not None, 60.0)
        node.destroy_node()
    finally:
        rclpy.try_shutdown()
    assert player.returncode == 0
    assert len(seen) > 50
    assert (np.diff(seen) >= 0).all()
    assert seen[0] >= BEGIN_S
    assert seen[-1] == pytest.approx(BEGIN_S + 2.02, abs=0.05)


def test_a_stamp_is_moved_and_nothing_else():
    message = Image(width=3, height=1, encoding='rgb8', step=9, data=bytes(range(9)))
    message.header.frame_id = 'camera'
    message.header.stamp.sec, message.header.stamp.nanosec = 5, 900_000_000
    moved = deserialize_message(restamped(serialize_message(message), 200_000_000), Image)
    assert (moved.header.stamp.sec, moved.header.stamp.nanosec) == (6, 100_000_000)
    moved.header.stamp = message.header.stamp
    assert moved == message
    unstamped = serialize_message(Image())
    assert restamped(unstamped, 10 ** 9) == unstamped
    big = b'\0\0\0\0' + struct.pack('>iI', 5, 0) + b'rest'
    assert restamped(big, 10 ** 9) == b'\0\0\0\0' + struct.pack('>iI', 6, 0) + b'rest'


def test_refusals_are_one_clear_line(bag, tmp_path):
    for words, says in (
            (('process', tmp_path / 'nothing'), 'there is no bag'),
            (('process', bag, '--image-topic', '/other', '--out', tmp_path / 'x'), 'image-topic'),
            (('replay', bag, '--clock', '--restamp'), 'contradict'),
            (('record', bag), 'exists already')):
        done = run(*words)
        assert done.returncode != 0
        assert says in done.stderr
        assert 'Traceback' not in done.stderr
    for file in (Path('glances.jsonl'), tmp_path / 'x'):
        assert not file.exists()
    done = subprocess.run(command('process', bag, '--out', '/proc/x/y'), text=True,
                          capture_output=True, env=dict(os.environ))
    assert 'cannot write there' in done.stderr
