"""Recordings: what the page knows at a time of a bag, films of it, and episodes of runs."""

import json
import math

import cv2
import numpy as np
import pytest

from gaze_robot.camera import CameraModel
from gaze_robot.cli import main
from gaze_robot.errors import BagError, ConfigError
from gaze_robot.glance_note import GlanceNote, NotedTarget
from gaze_robot.viewer.command import ViewConfig
from gaze_robot.viewer.export import export
from gaze_robot.viewer.replay import open_recording
from gaze_robot.viewer.runs import find_runs

rosbag2 = pytest.importorskip('rosbags.rosbag2', reason='bags need the library rosbags')
typesys = pytest.importorskip('rosbags.typesys')

CAMERA = CameraModel.from_hfov(64, 48, math.pi / 2)
START_S = 1000.0
SECONDS, RATE = 4, 10


def brightness(k):
    """Of the k-th picture."""
    return 5 * k


def pan(k):
    """Of the head at the k-th picture, radians."""
    return 0.02 * k


def write_bag(path, storage, namespace='', glances=True):
    """Ten pictures a second for four seconds, each brighter, while the head turns left."""
    types = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
    made = types.types
    with rosbag2.Writer(path, version=9, storage_plugin=rosbag2.StoragePlugin[storage]) as bag:
        connections = {}

        def put(topic, kind, message, at_s):
            if topic not in connections:
                connections[topic] = bag.add_connection(topic, kind, typestore=types)
            bag.write(connections[topic], int(at_s * 1e9), types.serialize_cdr(message, kind))

        def header(at_s):
            stamp = made['builtin_interfaces/msg/Time'](int(at_s), round(at_s % 1 * 1e9))
            return made['std_msgs/msg/Header'](stamp, 'camera_optical_frame')
        text, flag = made['std_msgs/msg/String'], made['std_msgs/msg/Bool']
        put(f'{namespace}/gaze/mode', 'std_msgs/msg/String', text('search'), START_S)
        for k in range(SECONDS * RATE):
            at_s = START_S + k / RATE
            put(f'{namespace}/joint_states', 'sensor_msgs/msg/JointState',
                made['sensor_msgs/msg/JointState'](
                    header(at_s), ['tilt', 'pan'], np.array([0.1, pan(k)]), np.zeros(2),
                    np.zeros(0)), at_s)
            image = np.full(48 * 64 * 3, brightness(k), np.uint8)
            put(f'{namespace}/image_raw', 'sensor_msgs/msg/Image',
                made['sensor_msgs/msg/Image'](header(at_s), 48, 64, 'rgb8', 0, 192, image),
                at_s + 0.01)
            if glances and k % 2 == 0:
                note = GlanceNote(at_s, CAMERA, pan(k), 0.1, 0.0, 'search', False,
                                  ((27, 19, 10), (12, 4, 40)), (), (pan(k), 0.1),
                                  NotedTarget((1.0, 0.0, 0.0), 'search', 0.5))
                put(f'{namespace}/gaze/glance', 'std_msgs/msg/String', text(note.to_json()),
                    at_s + 0.03)
        put(f'{namespace}/gaze/mode', 'std_msgs/msg/String', text('hold'), START_S + 2.0)
        put(f'{namespace}/gaze/on_target', 'std_msgs/msg/Bool', flag(True), START_S + 2.0)
    return path


@pytest.fixture(scope='module', params=['MCAP', 'SQLITE3'])
def bag(request, tmp_path_factory):
    return write_bag(tmp_path_factory.mktemp('bags') / request.param, request.param)


def test_the_board_knows_what_was_known_then(bag):
    recording = open_recording(bag)
    assert recording.duration_s == pytest.approx(SECONDS - 1 / RATE + 0.01, abs=0.03)
    recording.seek(1.05)                        # the glance at 1.0 s is told, of picture 10
    board = recording.board
    assert (board.mode, board.on_target) == ('search', None)
    assert board.picture.image.shape == (48, 64, 3)
    assert board.picture.image.mean() == brightness(10)
    assert board.note.pan_rad == pytest.approx(pan(10))
    assert [row[1] for row in board.history('pose')] == pytest.approx([pan(k) for k in range(11)])
    assert board.history('pose')[-1][2] == pytest.approx(0.1)
    assert len(board.trail()) == 6
    error_deg = board.history('error')[-1][1]
    assert error_deg == pytest.approx(math.degrees(math.acos(
        math.cos(pan(10)) * math.cos(0.1))), abs=1e-6)
    recording.seek(3.0)
    assert (recording.board.mode, recording.board.on_target) == ('hold', True)
    recording.seek(0.5)
    assert recording.board.mode == 'search'     # and back again
    assert recording.board.picture.image.mean() in (brightness(4), brightness(5))
    recording.close()
    recording.close()


def test_pictures_without_glances_are_shown_as_they_came(tmp_path):
    recording = open_recording(write_bag(tmp_path / 'bag', 'MCAP', '/left', glances=False))
    recording.seek(2.05)
    assert recording.board.picture.image.mean() == brightness(20)
    assert recording.board.picture.note is None
    assert recording.board.mode == 'hold'
    recording.close()


@pytest.mark.parametrize('make, text', [
    (lambda path: path / 'nothing', 'there is no recording'),
    (lambda path: path, 'no metadata.yaml'),
    (lambda path: broken(path), 'cannot be read as a bag')])
def test_what_is_no_recording_is_refused(tmp_path, make, text):
    with pytest.raises(BagError, match=text):
        open_recording(make(tmp_path))


def broken(path):
    bag = write_bag(path / 'bag', 'MCAP')
    (bag / 'metadata.yaml').write_text('rosbag2_bagfile_information: 3')
    return bag


@pytest.mark.parametrize('ending', ['gif', 'mp4'])
def test_a_film_shows_the_part_that_was_asked_for(bag, tmp_path, ending):
    recording = open_recording(bag)
    path = export(recording, str(tmp_path / f'film.{ending}'), 1.0, 3.0, rate_hz=5.0)
    film = cv2.VideoCapture(path)
    frames = []
    while (read := film.read())[0]:
        frames.append(read[1])
    film.release()
    assert len(frames) == 10
    corner = [float(frame[5:60, 5:60].mean()) for frame in frames]
    assert corner == sorted(corner)                         # ever brighter, as the pictures are
    assert corner[0] == pytest.approx(brightness(10), abs=20)      # a codec has its own black
    assert corner[-1] - corner[0] == pytest.approx(brightness(27) - brightness(10), abs=20)
    with pytest.raises(ConfigError, match='nothing of'):
        export(recording, str(tmp_path / 'b.gif'), 5.0, 6.0)
    with pytest.raises(ConfigError, match='ends in'):
        export(recording, str(tmp_path / 'b.txt'))
    recording.close()


def test_a_film_of_an_episode_is_a_recording_too(bag, tmp_path):
    recording = open_recording(bag)
    path = export(recording, str(tmp_path / 'before.gif'), 1.0, 3.0, rate_hz=5.0)
    recording.close()
    film = open_recording(path)
    assert film.duration_s == pytest.approx(9 / 5.0)
    film.seek(0.0)
    first = film.board.picture
    film.seek(1.8)
    last = film.board.picture
    assert last.number != first.number
    assert last.image[5:60, 5:60].mean() > first.image[5:60, 5:60].mean() + 40


def write_run(path, **files):
    (path / 'tb').mkdir(parents=True)
    (path / 'config.json').write_text('{"seed": 0}')
    for name, value in files.items():
        (path / f'{name}.json').write_text(json.dumps(value))
    return path


CURVE = [{'steps': 0.0, 'seconds': 60.0, 'success_rate': 0.5, 'n': 64},
         {'steps': 4096.0, 'seconds': 120.0, 'success_rate': 0.75, 'n': 64, 'lost': None}]


def test_runs_are_found_and_told(tmp_path, capsys):
    write_run(tmp_path / 'done', curve=CURVE, result={'steps': 4096})
    (tmp_path / 'done' / 'before.gif').write_bytes(b'GIF89a')
    write_run(tmp_path / 'busy' / 'inner', curve=CURVE[:1])
    (tmp_path / 'other').mkdir()
    runs = {run.name: run for run in find_runs(tmp_path)}
    assert set(runs) == {'done', 'busy/inner'}
    assert runs['done'].measures == ('success_rate',)
    assert runs['done'].films == ('before.gif',)
    assert runs['done'].state == 'ended, 4096 steps, 2 min, success_rate 0.75'
    assert runs['busy/inner'].state.startswith('not ended, 0 steps')
    (tmp_path / 'done' / 'curve.json').write_text('[{"steps": 0.0, "succ')     # being written
    assert {run.name: run.curve for run in find_runs(tmp_path)}['done'] == []
    assert main(['runs', '--folder', str(tmp_path), '--json', str(tmp_path / 'out.json')]) == 0
    assert json.loads((tmp_path / 'out.json').read_text())['done']['films'] == 'before.gif'
    assert 'tensorboard --logdir' in ' '.join(capsys.readouterr().out.split())
    assert main(['runs', '--folder', str(tmp_path / 'other')]) == 2
    assert 'holds no training run' in capsys.readouterr().err


def test_the_command_makes_a_film_of_a_bag(bag, tmp_path, capsys):
    out = tmp_path / 'film.webm'
    assert main(['view', '--recording', str(bag), '--export', str(out), '--start', '1',
                 '--duration', '1', '--rate', '5']) == 0
    assert out.stat().st_size > 1000
    assert str(out.name) in ''.join(capsys.readouterr().out.split())
    with pytest.raises(ConfigError, match='--recording'):
        ViewConfig(export='a.gif')
    with pytest.raises(ConfigError, match='token'):
        ViewConfig(token='short')
