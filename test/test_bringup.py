import json
import math
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from gaze_robot.bringup import BringupConfig, parameters, parts, run_bringup
from gaze_robot.errors import ConfigError, MissingDependencyError
from gaze_robot.outputs import check_writable

KEYS = {'frames_in', 'frames_processed', 'commands', 'command_rate_hz', 'searches',
        'found_within_5deg', 'median_time_to_target_s', 'latency_ms', 'stages_ms', 'dropped'}


@pytest.mark.parametrize('options, moves', [
    ({}, 'head'), ({'camera': 'none'}, 'picture'), ({'camera': 'usb'}, 'picture'),
    ({'camera': 'file', 'source': 'a.mp4'}, 'picture'),
    ({'camera': 'usb', 'backend': 'dynamixel'}, 'head'),
    ({'camera': 'usb', 'eye': 'head'}, 'head')])
def test_what_moves(options, moves):
    assert parameters(BringupConfig(**options))['gaze']['eye'] == moves


def test_the_picture_stands_beside_the_report():
    assert BringupConfig().picture_path == ''
    assert BringupConfig(report='runs/a.json').picture_path.endswith('a.gif')
    assert BringupConfig(report='runs/a.json', picture='b.png').picture_path == 'b.png'


@pytest.mark.parametrize('options, text', [
    ({'duration': -1.0}, 'duration'), ({'duration': math.nan}, 'duration'),
    ({'camera': 'file'}, 'needs a source'), ({'picture': 'a.mp4'}, '.gif')])
def test_contradicting_options_are_refused(options, text):
    with pytest.raises(ConfigError, match=text):
        BringupConfig(**options)


def test_options_reach_the_nodes_parameters():
    values = parameters(BringupConfig(world='room.jpg', seed=4, movers=3, policy='runs/a'))
    assert values['world'] == {'world': 'room.jpg', 'seed': 4, 'movers': 3}
    assert values['gaze'] == {'model.path': 'runs/a', 'eye': 'head'}
    assert values['pan_tilt'] == {}


def test_a_workspace_is_worked_in_by_the_hand_that_ships_for_it(tmp_path):
    path = write_yaml(tmp_path, 'gaze: {ros__parameters: {model: {path: mine}}}')
    for options, expected in (
            ({'world': 'workspace:press'}, 'workspace:press'), ({'world': 'workspace:wipe'}, None),
            ({'world': 'workspace:press', 'policy': 'runs/a'}, 'runs/a'),
            ({'world': 'workspace:press', 'params_file': path}, 'mine'),
            ({'world': 'workspace:press', 'camera': 'usb'}, None), ({}, None)):
        assert parameters(BringupConfig(**options))['gaze'].get('model.path') == expected


def test_a_file_is_searched_for_something_distinctive_unless_told_otherwise():
    options = {'camera': 'file', 'source': 'a.mp4'}
    assert parameters(BringupConfig(**options))['gaze'] == {'exemplar': 'auto', 'eye': 'picture'}
    values = parameters(BringupConfig(**options, exemplar='cup.png'))
    assert values['gaze']['exemplar'] == 'cup.png'


def write_yaml(tmp_path, text):
    path = tmp_path / 'robot.yaml'
    path.write_text(text)
    return str(path)


def test_options_win_over_the_file_and_the_file_over_defaults(tmp_path):
    path = write_yaml(tmp_path, """
gaze:
  ros__parameters: {exemplar: a.png, deadband: 0.01, model: {path: old}}
world:
  ros__parameters: {rate: 15.0, world: file.jpg}
""")
    values = parameters(BringupConfig(params_file=path, policy='new'))
    assert values['gaze'] == {'exemplar': 'a.png', 'deadband': 0.01, 'model.path': 'new',
                              'eye': 'head'}
    assert values['world'] == {'rate': 15.0, 'world': 'file.jpg'}


@pytest.mark.parametrize('text, options, node, key, value', [
    ('gaze: {ros__parameters: {exemplar: mine.png}}', {'camera': 'usb'}, 'gaze', 'exemplar',
     'mine.png'),
    ('gaze: {ros__parameters: {eye: picture}}', {'eye': 'head'}, 'gaze', 'eye', 'head'),
    ('gaze: {ros__parameters: {eye: picture}}', {}, 'gaze', 'eye', 'picture'),
    ('world: {ros__parameters: {seed: 9}}', {'seed': 0}, 'world', 'seed', 0),
    ('pan_tilt: {ros__parameters: {backend: other}}', {'backend': 'sim'}, 'pan_tilt', 'backend',
     'sim'),
    ('pan_tilt: {ros__parameters: {backend: other}}', {'camera': 'usb'}, 'gaze', 'eye', 'head'),
    ('pan_tilt: {ros__parameters: {limits: {pan: {max_position: 1.0}}}}', {}, 'gaze',
     'limits.pan.max_position', 1.0),
    ('pan_tilt: {ros__parameters: {limits: {pan: {max_position: 1.0}}}}', {}, 'world',
     'limits.pan.max_position', 1.0)])
def test_file_and_options_are_merged_before_anything_follows_from_them(
        tmp_path, text, options, node, key, value):
    path = write_yaml(tmp_path, text)
    assert parameters(BringupConfig(params_file=path, **options))[node][key] == value


@pytest.mark.parametrize('text, told', [
    ('gaze:\n  ros__parameters: {deadbnad: 0.1}', 'deadband'),
    ('gazer:\n  ros__parameters: {deadband: 0.1}', 'gazer'),
    ('world:\n  ros__parameters: {rate: -1.0}', 'rate must be at least'),
    ('world: [', 'not valid YAML')])
def test_a_wrong_parameter_file_is_told_before_anything_starts(tmp_path, text, told):
    with pytest.raises(ConfigError, match=told):
        parameters(BringupConfig(params_file=write_yaml(tmp_path, text)))


def test_without_rclpy_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, 'rclpy', None)
    with pytest.raises(MissingDependencyError, match=r'rclpy is needed.*\[ros\]'):
        run_bringup(BringupConfig(duration=1.0))


def test_large_blocks_are_kept_from_the_start(monkeypatch):
    kept = []
    monkeypatch.setattr('gaze_robot.bringup.keep_large_blocks', lambda: kept.append(True))
    monkeypatch.setitem(sys.modules, 'rclpy', None)
    with pytest.raises(MissingDependencyError):
        run_bringup(BringupConfig(duration=1.0))
    assert kept


def test_a_report_that_cannot_be_written_is_told_before_the_run(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(ConfigError, match='cannot write there'):
        run_bringup(BringupConfig(duration=1.0, report=str(tmp_path / 'file' / 'a.json')))
    check_writable(str(tmp_path / 'file'))
    check_writable(str(tmp_path / 'new' / 'b.json'))
    (tmp_path / 'link').symlink_to(tmp_path / 'later.json')
    check_writable(str(tmp_path / 'link'))
    assert {path.name for path in tmp_path.iterdir()} == {'file', 'link'}
    assert (tmp_path / 'link').is_symlink()
    with pytest.raises(ConfigError, match='cannot write there'):
        check_writable('a\0b')


@pytest.mark.ros
def test_who_starts_for_which_camera():
    pytest.importorskip('rclpy', reason='needs rclpy')
    def nodes(**options):
        return [part.node for part in parts(BringupConfig(**options))]
    assert nodes() == ['GazeNode', 'PanTiltNode', 'WorldNode']
    assert nodes(camera='file', source='a.mp4') == ['GazeNode', 'CameraNode']
    assert nodes(camera='none') == ['GazeNode']
    assert nodes(camera='none', eye='head') == ['GazeNode', 'PanTiltNode']
    remap = parts(BringupConfig(camera='none', image_topic='/left/image_rect/compressed'))[0].remap
    assert remap['image_raw'] == '/left/image_rect'
    assert remap['camera_info'] == '/left/camera_info'


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """A folder of untrained weights."""
    pytest.importorskip('rclpy', reason='needs rclpy')
    pytest.importorskip('torch', reason='gaze_node needs torch')
    from gaze_robot.checkpoint import make_policy, save_policy
    from gaze_robot.encoder import EncoderConfig
    from gaze_robot.foveation import FoveationPattern
    folder = tmp_path_factory.mktemp('checkpoint')
    save_policy(folder, make_policy(FoveationPattern(), EncoderConfig()))
    return str(folder)


def blobs(width, height, sigma):
    image = np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.normalize(cv2.GaussianBlur(image, (0, 0), sigma), None, 0, 255, cv2.NORM_MINMAX)


def accounted(report):
    """Every picture was processed or has a reason."""
    dropped = dict(report['dropped'])
    dropped.pop('lost in transport', 0)
    return report['frames_processed'] + sum(dropped.values()) == report['frames_in']


@pytest.mark.ros
def test_a_simulated_run_ends_by_itself_and_reports(checkpoint, tmp_path):
    world = str(tmp_path / 'blobs.png')
    cv2.imwrite(world, blobs(512, 256, 1.5))
    yaml = write_yaml(tmp_path, """
world:
  ros__parameters: {width: 160, height: 120, rate: 15.0, search_timeout_s: 1.0}
""")
    report = run_bringup(BringupConfig(
        world=world, duration=4.0, report=str(tmp_path / 'out' / 'report.json'),
        policy=checkpoint, params_file=yaml))
    assert report.keys() >= KEYS
    assert json.loads((tmp_path / 'out' / 'report.json').read_text()) == report
    assert (tmp_path / 'out' / 'report.gif').stat().st_size > 1000
    assert 20 < report['frames_in'] <= 66
    assert accounted(report)
    assert report['commands'] > 10
    assert report['searches'] >= 1
    assert 0 < report['latency_ms']['p50'] <= report['latency_ms']['p95']
    assert {'foveate', 'perceive', 'decide'} <= report['stages_ms'].keys()


@pytest.mark.ros
def test_a_video_is_looked_at_with_an_electronic_eye(checkpoint, tmp_path):
    video = str(tmp_path / 'film.avi')
    writer = cv2.VideoWriter(video, cv2.VideoWriter_fourcc(*'MJPG'), 15, (320, 240))
    image = blobs(640, 240, 3)
    for frame in range(30):
        writer.write(np.ascontiguousarray(image[:, 5 * frame:5 * frame + 320]))
    writer.release()
    report = run_bringup(BringupConfig(camera='file', source=video, duration=2.0,
                                       policy=checkpoint, picture=str(tmp_path / 'eye.png')))
    assert report['frames_processed'] > 10
    assert report['commands'] == report['frames_processed']
    assert accounted(report)
    assert report['searches'] == 0
    assert cv2.imread(report['picture']).shape[0] > 100


@pytest.mark.ros
def test_what_cannot_start_is_an_error_and_leaves_ros_as_it_was(checkpoint, tmp_path):
    import rclpy
    with pytest.raises(ConfigError, match='gaze could not start: no meta.json in'):
        run_bringup(BringupConfig(duration=1.0, policy=str(tmp_path / 'nothing')))
    assert not rclpy.ok()


@pytest.mark.ros
def test_another_robot_on_the_same_domain_is_noticed(checkpoint, capfd):
    import rclpy
    from trajectory_msgs.msg import JointTrajectory
    context = rclpy.Context()
    context.init()
    stranger = rclpy.create_node('stranger', context=context)
    stranger.create_publisher(JointTrajectory, 'joint_trajectory', 1)
    try:
        report = run_bringup(BringupConfig(camera='none', duration=1.0, policy=checkpoint))
    finally:
        stranger.destroy_node()
        context.try_shutdown()
    assert report['crowded_topics'] == ['/joint_trajectory']
    assert 'ROS_DOMAIN_ID' in capfd.readouterr().err


@pytest.mark.ros
def test_ctrl_c_does_not_break_what_it_comes_in_the_middle_of():
    from gaze_robot.nodes._composed import Composed
    before = signal.getsignal(signal.SIGINT)

    def converts_a_message(_):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            raise RuntimeError('unable to convert') from error      # as rclpy's bindings do
    with Composed([]) as run:
        assert run.spin(0.0, converts_a_message) < 5.0              # or it would be endless
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.ros
def test_ctrl_c_ends_an_endless_run_with_its_report(checkpoint, tmp_path, root):
    world, report = str(tmp_path / 'blobs.png'), tmp_path / 'report.json'
    cv2.imwrite(world, blobs(512, 256, 1.5))
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join(
        [str(root), str(root / 'sim'), os.environ.get('PYTHONPATH', '')])}
    with subprocess.Popen(
            [sys.executable, '-m', 'gaze_robot.cli', 'bringup', '--world', world, '--policy',
             checkpoint, '--report', str(report)], env=env, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as run:
        for line in run.stderr:
            if '[world]' in line:
                break
        time.sleep(2.0)
        run.send_signal(signal.SIGINT)
        rest = run.stderr.read()
    assert run.returncode == 0, rest
    assert 'Traceback' not in rest
    assert json.loads(report.read_text())['frames_processed'] > 0
