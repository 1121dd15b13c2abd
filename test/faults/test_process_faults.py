"""Processes that end, begin again, double or lose their files; life cycles."""

import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

import cv2
from lifecycle_msgs.srv import ChangeState, GetState
import numpy as np
import pytest

pytestmark = pytest.mark.ros


@pytest.fixture
def trio(robot):
    """gaze_node and pan_tilt_node and a camera, well before and after."""
    robot.witness.healthy()
    yield robot
    robot.witness.healthy()
    assert robot.witness.beyond == []


def again(robot, key):
    """Start it anew, as a launch file with use_respawn does; seconds until all is well."""
    start_s = time.monotonic()
    {'gaze': lambda: robot.gaze('max_image_age:=2.0'), 'pan_tilt': robot.head,
     'camera': robot.camera}[key]()
    robot.witness.healthy(120.0)
    return time.monotonic() - start_s


@pytest.mark.fault('SIGKILL and respawn of {key}', 'the others live on and tell; the head holds '
                   'still without commands; well again once it is back')
@pytest.mark.parametrize('key', ['gaze', *(pytest.param(key, marks=pytest.mark.long)
                                          for key in ('pan_tilt', 'camera'))])
def test_kill(trio, row, key):
    assert trio.kill(key) == -signal.SIGKILL
    if key == 'gaze':
        trio.witness.spin(1.0)
        place = trio.witness.last[1:]
        trio.witness.spin(0.5)
        assert trio.witness.last[1:] == pytest.approx(place, abs=1e-4), 'the head still moves'
    else:
        trio.witness.shows({'pan_tilt': 'no joint states', 'camera': 'no image'}[key])
        commands = trio.witness.commands
        trio.witness.spin(0.5)
        assert trio.witness.commands == commands
    others = [other for other in ('gaze', 'pan_tilt', 'camera') if other != key]
    assert set(trio.alive()) == set(others)
    well_s = again(trio, key)
    row(f'the others lived on; well {well_s:.1f} s after it was started again')


MODULES = {'gaze': 'gaze_robot.nodes.gaze_node', 'pan_tilt': 'gaze_robot.nodes.pan_tilt_node',
           'world': 'gaze_robot_sim.world_node', 'camera': 'gaze_robot.nodes.camera_node',
           'viewer': 'gaze_robot.nodes.viewer_node'}


@pytest.mark.fault('SIGINT, SIGTERM of {key}', 'ends with code 0 and without a traceback')
@pytest.mark.long
@pytest.mark.parametrize('key', list(MODULES))
def test_signals(make_robot, row, tmp_path, key):
    if key == 'viewer':
        pytest.importorskip('nicegui', reason='the extra viewer')
    picture = tmp_path / 'picture.png'
    cv2.imwrite(str(picture), np.zeros((48, 64, 3), np.uint8))
    parameters = {'gaze': [f'model.path:={make_robot().checkpoint}', 'model.runtime:=torch'],
                  'camera': [f'source:={picture}'],
                  'viewer': ['port:=8317', f'recordings:={tmp_path}']}.get(key, [])
    took_s = []
    robots = {how: make_robot() for how in (signal.SIGINT, signal.SIGTERM)}
    for robot in robots.values():
        robot.start(key, MODULES[key], *parameters)
    for how, robot in robots.items():
        names = robot.witness.node.get_node_names
        assert robot.witness.spin(60.0, lambda: key in names()), robot.said(key)  # noqa: B023
        robot.witness.spin(1.0)
        start_s = time.monotonic()
        code = robot.kill(key, how)
        took_s.append(time.monotonic() - start_s)
        assert code == 0, robot.said(key)
        assert 'Traceback' not in robot.said(key), robot.said(key)
    row(f'code 0 after {took_s[0]:.1f} and {took_s[1]:.1f} s')


@pytest.mark.long
@pytest.mark.fault('two nodes named gaze', 'told; the head stays inside its limits; well '
                   'when one is gone')
def test_same_name(trio, row):
    first = trio.processes['gaze']
    trio.processes['first'] = first
    trio.gaze('max_image_age:=2.0')
    told_s = trio.witness.shows('same name twice', seconds=60.0)
    trio.witness.spin(1.0)
    trio.kill('gaze', signal.SIGINT)
    trio.processes['gaze'] = trio.processes.pop('first')
    well_s = trio.witness.healthy(120.0)
    row(f'told {told_s:.1f} s after the second was started; well {well_s:.1f} s after it ended')


def change(robot, node, label, number=0):
    request = ChangeState.Request()
    request.transition.label, request.transition.id = label, number
    return robot.witness.call(ChangeState, f'{node}/change_state',
                              transition=request.transition).success


@pytest.mark.fault('{node}: {laps} life cycles and impossible ones', 'each possible transition '
                   'works, an impossible one is refused; no thread, file or memory is lost')
@pytest.mark.parametrize('node, laps', [
    ('gaze', 4), pytest.param('pan_tilt', 13, marks=pytest.mark.long),
    pytest.param('gaze', 50, marks=pytest.mark.long)])
def test_lifecycle(trio, row, node, laps):
    """Four transitions a lap; 13 laps are 52."""
    for lap in range(laps + 1):
        if lap == 1:                                        # the first lap warms up
            trio.witness.spin(1.0)
            before = trio.usage(node)
        for label in ('deactivate', 'cleanup', 'configure', 'activate'):
            assert not change(trio, node, 'fly'), 'there is no such transition'
            trio.witness.last = None                # a new simulated head begins at 0
            assert change(trio, node, label), label
        assert not change(trio, node, 'configure'), 'it is active'
    trio.exemplar()
    trio.witness.healthy()
    after = trio.usage(node)
    assert after[1:] == before[1:]
    assert after[0] < before[0] * 1.05 + 4
    assert trio.witness.call(GetState, f'{node}/get_state').current_state.label == 'active'
    row(f'{4 * laps} transitions; threads {before[1]} to {after[1]}, files {before[2]} to '
        f'{after[2]}, memory {after[0] - before[0]:+.1f} MiB')


@pytest.mark.long
@pytest.mark.fault('model file cut and deleted while running', 'the eye goes on with what it has '
                   'loaded; configuring anew says what is missing, and a later try works')
def test_model_deleted(make_robot, row, tmp_path):
    robot = make_robot()
    folder = tmp_path / 'model'
    shutil.copytree(robot.checkpoint, folder)
    robot.checkpoint, kept = str(folder), robot.checkpoint
    robot.gaze('max_image_age:=2.0')
    robot.head()
    robot.camera()
    robot.witness.healthy(120.0)
    for path in folder.iterdir():
        os.truncate(path, 10)
    shutil.rmtree(folder)
    commands = robot.witness.commands
    robot.witness.spin(2.0)
    assert robot.witness.commands > commands + 5
    assert change(robot, 'gaze', 'deactivate')
    assert change(robot, 'gaze', 'cleanup')
    assert not change(robot, 'gaze', 'configure')
    said = [line for line in robot.said('gaze').splitlines() if 'cannot configure' in line]
    assert len(said) == 1
    assert str(folder) in said[0]
    shutil.copytree(kept, folder)
    assert change(robot, 'gaze', 'configure')
    assert change(robot, 'gaze', 'activate')
    robot.exemplar()
    robot.witness.healthy()
    row('commands went on; configuring failed with one line and worked once the folder was back')


def recorder(robot, out, prefix=(), **options):
    """`gaze-robot record` of the camera's pictures, in the robot's domain."""
    words = [f'--{name.replace("_", "-")}={value}' for name, value in options.items()]
    return subprocess.Popen(
        [*prefix, sys.executable, '-m', 'gaze_robot.cli', 'record', str(out),
         '--topics', '/image_raw', '/joint_states', *words],
        cwd=Path(__file__).parents[2], env=robot.env, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE)


@pytest.mark.fault('disk full while recording', 'the recorder ends with one line and code 2; what '
                   'was recorded before can be read; the robot goes on')
def test_disk_full(trio, row, tmp_path):
    pytest.importorskip('rosbags', reason='the extra bags')
    from gaze_robot.bags.store import open_bag
    if subprocess.run(['unshare', '-rm', 'true'], capture_output=True).returncode:
        pytest.skip('no user namespaces here: nothing small can be mounted')
    disk, kept = tmp_path / 'disk', tmp_path / 'kept'
    disk.mkdir()
    script = (f'mount -t tmpfs -o size=12m tmpfs {disk} && "$@"; code=$?; '
              f'cp -r {disk}/bag {kept}; exit $code')
    process = recorder(trio, disk / 'bag', ('unshare', '-rm', 'sh', '-c', script, 'sh'),
                       reserve_mib=0)
    assert trio.witness.spin(60.0, lambda: process.poll() is not None)
    said = process.communicate()[1]
    assert process.returncode == 2
    assert 'Traceback' not in said
    assert 'kept' in said
    with open_bag(kept) as bag:
        count = sum(1 for _ in bag.entries())
        assert count > 20
    row(f'12 MiB filled; {count} messages can be read; the robot went on')


@pytest.mark.long
@pytest.mark.fault('SIGKILL of the recorder', 'all but the last 1 MiB (MCAP) or second (sqlite3) '
                   'can be read')
def test_killed_recorder(trio, row, tmp_path):
    pytest.importorskip('rosbags', reason='the extra bags')
    from gaze_robot.bags.store import open_bag
    processes = {storage: recorder(trio, tmp_path / storage, storage=storage, reserve_mib=0)
                 for storage in ('mcap', 'sqlite3')}
    files = {'mcap': tmp_path / 'mcap' / 'mcap.mcap', 'sqlite3': tmp_path / 'sqlite3/sqlite3.db3'}
    assert trio.witness.spin(60.0, lambda: all(
        path.exists() and path.stat().st_size > 8e6 for path in files.values()))
    counts = {}
    for storage, process in processes.items():
        process.kill()
        process.communicate()
        with open_bag(tmp_path / storage) as bag:
            counts[storage] = sum(entry.topic.name == '/image_raw' for entry in bag.entries())
    assert min(counts.values()) > 20
    row(f'pictures that can be read of some 35: {counts}')
