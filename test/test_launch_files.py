"""Every launch file: what it starts for which arguments. Needs launch_ros."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(path.name.removesuffix('.launch.py') for path in (ROOT / 'launch').glob('*.py'))


def load(name):
    pytest.importorskip('launch_ros', reason='launch_ros comes with a ROS installation')
    spec = importlib.util.spec_from_file_location(f'{name}_launch',
                                                  ROOT / 'launch' / f'{name}.launch.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def unfold(name, **arguments):
    """What a launch file would start: {node or process: its command line and parameters}.

    The real actions run, but for those that start a process; a node's command line is without
    its executable, which an installation alone knows.
    """
    description = load(name).generate_launch_description()
    from launch import LaunchContext
    from launch.actions import ExecuteLocal
    context = LaunchContext()
    context.launch_configurations.update(arguments)
    started, waiting = [], [description]
    while waiting:
        entity = waiting.pop(0)
        if isinstance(entity, ExecuteLocal):
            started.append(entity)
            continue
        waiting[:0] = entity.visit(context) or []
    found = {}
    for action in started:
        if hasattr(action, '_perform_substitutions'):
            action._perform_substitutions(context)
            found[action.node_name] = action.cmd[1:], parameters_of(action, context)
        else:
            found[''.join(part.text for part in action.name)] = action.cmd, {}
    return {key: (' '.join(''.join(getattr(part, 'text', '') for part in word)
                           for word in command), given)
            for key, (command, given) in found.items()}


def parameters_of(action, context):
    """What the launch file says itself, beside the parameter file."""
    from launch_ros.utilities import evaluate_parameters
    given = evaluate_parameters(context, action._Node__parameters)
    return {key: value for each in given if isinstance(each, dict) for key, value in each.items()}


def test_what_interface_promises_is_there():
    assert set(FILES) >= {'bringup', 'sim', 'hardware', 'perception', 'replay'}


def test_the_simulator_starts_whatever_else_is_asked_for():
    nodes = unfold('sim', world='procedural', movers='2', backend='dynamixel', camera='usb')
    assert sorted(nodes) == ['/gaze', '/pan_tilt', '/world']
    assert nodes['/pan_tilt'][1]['backend'] == 'sim'
    assert nodes['/world'][1]['movers'] == 2
    assert nodes['/gaze'][1]['eye'] == 'head'


def test_hardware_names_its_head_and_does_not_move_by_itself():
    nodes = unfold('hardware', backend='feetech', port='/dev/ttyUSB7')
    assert sorted(nodes) == ['/camera', '/gaze', '/pan_tilt']
    assert nodes['/pan_tilt'][1] == {'backend': 'feetech', 'port': '/dev/ttyUSB7',
                                     'enable_at_start': False, 'autostart': True}
    assert nodes['/gaze'][1]['eye'] == 'head'


@pytest.mark.parametrize('arguments, says', [({}, 'backend'), ({'backend': 'sim'}, 'backend')])
def test_hardware_without_a_head_is_refused(arguments, says):
    load('hardware')
    with pytest.raises(RuntimeError, match=says):
        unfold('hardware', **arguments)


def test_perception_moves_nothing():
    nodes = unfold('perception', namespace='left', image_topic='/left/image')
    assert sorted(nodes) == ['/left/gaze']
    assert nodes['/left/gaze'][1]['eye'] == 'picture'
    assert sorted(unfold('perception', camera='usb')) == ['/camera', '/gaze']


def test_a_bag_takes_the_place_of_camera_and_head(tmp_path):
    nodes = unfold('replay', bag=str(tmp_path), namespace='left', image_topic='cam/image_raw')
    assert sorted(nodes) == ['/left/gaze', 'player']
    assert nodes['/left/gaze'][1]['use_sim_time'] is True
    assert nodes['/left/gaze'][1]['eye'] == 'head'
    played = nodes['player'][0].split(' --topics ')[1].split()
    assert played == [
        '/left/cam/image_raw', '/left/cam/image_raw/compressed', '/left/cam/camera_info',
        '/left/joint_states', '/left/gaze/exemplar', '/left/gaze/prompt', '/left/gaze/look_at']
    assert ' replay ' in nodes['player'][0]
    native = unfold('replay', bag=str(tmp_path), player='rosbag2', loop='true', bag_rate='2.0')
    assert native['player'][0].startswith(
        f'ros2 bag play {tmp_path} --clock 100 --rate 2.0 --loop --topics /image_raw')
    with pytest.raises(RuntimeError, match='no such file'):
        unfold('replay', bag=str(tmp_path / 'nothing'))


@pytest.mark.parametrize('name', FILES)
def test_namespace_and_frames_reach_every_node(name, tmp_path):
    arguments = {'hardware': {'backend': 'onvif'}, 'replay': {'bag': str(tmp_path)}}
    nodes = unfold(name, namespace='left', frame_prefix='left_', log_level='warn',
                   **arguments.get(name, {}))
    ours = {key: value for key, value in nodes.items() if key.startswith('/')}
    assert '/left/gaze' in ours
    for key, (command, given) in ours.items():
        assert key.startswith('/left/')
        assert given['frame_prefix'] == 'left_'
        assert f'{key.rpartition("/")[2]}:=warn' in command


def test_rviz_looks_at_the_robot_in_its_namespace():
    command, _ = unfold('sim', namespace='left', frame_prefix='left_', rviz='true')['/left/rviz']
    assert '--fixed-frame left_base_link' in command
    assert str(ROOT / 'config' / 'gaze_robot.rviz') in command
