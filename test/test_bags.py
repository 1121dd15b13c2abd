"""Bags as files: what is written is read back, whatever cut the writing off."""

import os
from pathlib import Path
import signal
import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

pytest.importorskip('rosbags', reason='the extra bags')

from gaze_robot.bags.store import BagWriter, mend, open_bag, STORAGES, Topic
from gaze_robot.errors import BagError

PICTURES = Topic('/image_raw', 'sensor_msgs/msg/Image', reliable=False)
STATES = Topic('/joint_states', 'sensor_msgs/msg/JointState')
EXEMPLAR = Topic('/gaze/exemplar', 'sensor_msgs/msg/Image', latched=True)


def messages(count, size=3000):
    """Bytes that tell which message they are; the middleware's four bytes come first."""
    return [((PICTURES, STATES, EXEMPLAR)[k % 3], 10 ** 9 + k * 10 ** 7,
             b'\0\1\0\0' + k.to_bytes(4, 'little') + bytes(size)) for k in range(count)]


def write(path, given, storage):
    with BagWriter(path, storage, reserve_mib=0.0) as writer:
        for one in given:
            writer.write(*one)
    return path


def read(path):
    with open_bag(path) as bag:
        return [(entry.topic, entry.stamp_ns, entry.data) for entry in bag.entries()], bag


def file_of(path):
    return next(one for one in path.iterdir() if one.suffix in ('.mcap', '.db3'))


@pytest.mark.parametrize('storage', STORAGES)
def test_what_is_written_is_read_back_in_order_with_its_quality_of_service(tmp_path, storage):
    given = messages(50)
    found, bag = read(write(tmp_path / 'bag', given, storage))
    assert found == given
    assert set(bag.topics) == {PICTURES, STATES, EXEMPLAR}
    assert not bag.mended


@pytest.mark.parametrize('storage', STORAGES)
def test_only_wanted_topics_are_read(tmp_path, storage):
    path = write(tmp_path / 'bag', messages(9), storage)
    with open_bag(path) as bag:
        assert {entry.topic for entry in bag.entries(lambda topic: topic == STATES)} == {STATES}
        assert list(bag.entries(lambda topic: False)) == []


@pytest.mark.parametrize('storage', STORAGES)
def test_a_killed_writer_loses_its_last_moments_only(tmp_path, storage):
    path = tmp_path / 'bag'
    code = (f'import os; from pathlib import Path\n'
            f'from gaze_robot.bags.store import *\n'
            f'writer = BagWriter(Path({str(path)!r}), {storage!r}, 0.0)\n'
            f'topic = Topic("/image_raw", "sensor_msgs/msg/Image")\n'
            f'for k in range(60): writer.write(topic, k * 10 ** 8, bytes([0, 1, 0, 0, k]) + '
            f'bytes(300_000))\n'
            f'os.kill(os.getpid(), {int(signal.SIGKILL)})')
    done = subprocess.run([sys.executable, '-c', code])
    assert done.returncode == -signal.SIGKILL
    found, bag = read(path)
    assert [data[4] for _, _, data in found] == list(range(len(found)))
    assert len(found) >= 60 - 11            # one chunk of 1 MiB, or 1 s of 10 Hz
    again, bag = read(path)
    assert again == found


@settings(max_examples=25, deadline=None)
@given(share=st.floats(0.0, 1.0))
def test_an_mcap_cut_anywhere_is_mended_to_a_beginning_of_itself(share, tmp_path_factory):
    path = tmp_path_factory.mktemp('cut') / 'bag'
    given = messages(30, size=150_000)
    write(path, given, 'mcap')
    file = file_of(path)
    whole = file.stat().st_size
    os.truncate(file, max(200, int(share * whole)))         # 200: before any message
    found, _ = read(path)
    assert found == given[:len(found)]
    assert len(found) * 150_000 >= share * whole - 2.5 * 2 ** 20


def test_a_whole_mcap_is_left_as_it_is(tmp_path):
    path = write(tmp_path / 'bag', messages(5), 'mcap')
    before = file_of(path).read_bytes()
    assert not mend(path)
    assert file_of(path).read_bytes() == before


def test_too_little_room_stops_in_order(tmp_path):
    with BagWriter(tmp_path / 'bag', 'mcap', reserve_mib=1e12) as writer, \
            pytest.raises(BagError, match='disk is full.*0 messages.*kept'):
        writer.write(*messages(1)[0])
    assert read(tmp_path / 'bag')[0] == []


@pytest.mark.parametrize('storage', STORAGES)
def test_a_disk_that_fills_up_leaves_a_bag_that_can_be_read(tmp_path, storage):
    """A real file system of 4 MiB, where this user may mount one."""
    if subprocess.run(['unshare', '-rm', 'true'], capture_output=True).returncode:
        pytest.skip('no user namespaces here: nothing small can be mounted')
    disk = tmp_path / 'disk'
    disk.mkdir()
    code = f"""
from pathlib import Path
import shutil
from gaze_robot.bags.store import *
from gaze_robot.errors import BagError
path = Path({str(disk)!r}) / 'bag'
topic = Topic('/image_raw', 'sensor_msgs/msg/Image')
writer = BagWriter(path, {storage!r}, 0.0)
try:
    for k in range(100):
        writer.write(topic, k * 10 ** 8, bytes([0, 1, 0, 0, k]) + bytes(300_000))
except BagError as error:
    print(error)
writer.close()
shutil.copytree(path, {str(tmp_path / 'kept')!r})
"""
    done = subprocess.run(
        ['unshare', '-rm', 'sh', '-c', f'mount -t tmpfs -o size=4m tmpfs {disk} && '
         f'exec {sys.executable} -c "$0"', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'Free space' in done.stdout
    found, _ = read(tmp_path / 'kept')
    assert [data[4] for _, _, data in found] == list(range(len(found)))
    assert len(found) >= 3


def test_refusals_are_one_clear_line(tmp_path):
    with pytest.raises(BagError, match='mcap or sqlite3'):
        BagWriter(tmp_path / 'bag', 'rosbag1')
    write(tmp_path / 'bag', messages(1), 'mcap')
    with pytest.raises(BagError, match='exists already'):
        BagWriter(tmp_path / 'bag')
    with pytest.raises(BagError, match='there is no bag'), open_bag(tmp_path / 'nothing'):
        pass
    (tmp_path / 'other').mkdir()
    with pytest.raises(BagError, match=r'0 \.mcap or \.db3'), open_bag(tmp_path / 'other'):
        pass
    (tmp_path / 'text.mcap').write_text('this is no bag, it only says so')
    with pytest.raises(BagError, match='cannot be read as a bag'), open_bag(
            tmp_path / 'text.mcap'):
        pass
    assert Path(tmp_path / 'text.mcap').read_text().startswith('this is no bag')
