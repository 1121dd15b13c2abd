"""launch/bringup.launch.py: which nodes it starts with which parameters. Needs launch_ros."""

import importlib.util
import os
import xml.etree.ElementTree

import pytest

from gaze_robot.config import CameraConfig, from_mapping, GazeConfig, PanTiltConfig, WorldConfig

SCHEMAS = {'gaze': GazeConfig, 'pan_tilt': PanTiltConfig, 'world': WorldConfig,
           'camera': CameraConfig}


@pytest.fixture(scope='module')
def bringup(root):
    """The launch file as a module."""
    pytest.importorskip('launch_ros', reason='launch_ros comes with a ROS installation')
    path = root / 'launch' / 'bringup.launch.py'
    spec = importlib.util.spec_from_file_location('bringup_launch', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def plan(bringup, monkeypatch):
    """Launch with arguments; {node name: (parameters, remappings)} and the environment set."""
    from launch import LaunchContext
    from launch.actions import SetEnvironmentVariable
    from launch_ros.actions import Node
    made = {}

    class Recorded(Node):
        def __init__(self, **options):
            _, given = options['parameters']
            made[options['name']] = (given, dict(options['remappings']), options)
            super().__init__(**options)
    monkeypatch.setattr(bringup, 'Node', Recorded)

    def make(**arguments):
        made.clear()
        context = LaunchContext()
        for name, default, _, choices in bringup.ARGUMENTS:
            value = arguments.pop(name, default)
            assert choices is None or value in choices
            context.launch_configurations[name] = value
        assert not arguments
        bringup._nodes(context)
        return dict(made)

    def environment():
        return {action.name[0].text: action.value[0].text
                for action in bringup._environment(LaunchContext())
                if isinstance(action, SetEnvironmentVariable)}
    make.environment = environment
    return make


def test_nothing_given_is_the_closed_loop_on_the_simulator(plan):
    nodes = plan()
    assert sorted(nodes) == ['gaze', 'pan_tilt', 'world']
    assert nodes['gaze'][0]['eye'] == 'head'
    assert nodes['gaze'][0]['autostart'] is True


def test_a_game_of_gazes_needs_an_eye_for_people(plan):
    nodes = plan(game='follow')
    assert nodes['world'][0]['game'] == 'follow'
    assert nodes['gaze'][0]['sources.people'] == 1.0
    assert nodes['gaze'][0]['people.model'] == 'figures'
    assert 'sources.people' not in plan(game='search')['gaze'][0]


def test_a_file_is_watched_with_an_electronic_eye(plan):
    nodes = plan(camera='file', source='film.mp4')
    assert sorted(nodes) == ['camera', 'gaze']
    assert nodes['gaze'][0]['eye'] == 'picture'
    assert nodes['gaze'][0]['exemplar'] == 'auto'
    assert nodes['camera'][0]['source'] == 'film.mp4'
    with pytest.raises(RuntimeError, match='source:='):
        plan(camera='file')


def test_the_parameter_files_exemplar_is_looked_for(plan, tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_text('/**/gaze:\n  ros__parameters: {exemplar: mine.png}\n')
    gaze, *_ = plan(camera='usb', params_file=str(path))['gaze']
    assert 'exemplar' not in gaze
    gaze, *_ = plan(camera='usb', params_file=str(path), exemplar='other.png')['gaze']
    assert gaze['exemplar'] == 'other.png'


def test_a_workspace_is_worked_in_by_the_hand_that_ships_for_it(plan, tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_text('/**/gaze:\n  ros__parameters: {model.path: mine}\n'
                    'world:\n  ros__parameters: {world: "workspace:read"}\n')
    for arguments, expected in (
            ({'world': 'workspace:press'}, 'workspace:press'), ({'world': 'workspace:wipe'}, None),
            ({'world': 'workspace:press', 'policy': 'runs/a'}, 'runs/a'),
            ({'world': 'workspace:press', 'params_file': str(path)}, None),
            ({'world': 'workspace:press', 'camera': 'usb'}, None), ({}, None)):
        gaze, *_ = plan(**arguments)['gaze']
        assert gaze.get('model.path') == expected
    path.write_text('/**/world:\n  ros__parameters: {world: "workspace:read"}\n')
    assert plan(params_file=str(path))['gaze'][0]['model.path'] == 'workspace:read'


def test_usb_starts_the_first_camera(plan):
    assert plan(camera='usb')['camera'][0]['source'] == '0'


def test_somebody_elses_driver_is_remapped_with_its_camera_info(plan):
    nodes = plan(camera='none', image_topic='/cam/color/image_rect', eye='head')
    assert sorted(nodes) == ['gaze', 'pan_tilt']
    assert nodes['gaze'][1] == {
        'image_raw': '/cam/color/image_rect', 'camera_info': '/cam/color/camera_info',
        'image_raw/compressed': '/cam/color/image_rect/compressed'}


@pytest.mark.parametrize('arguments', [
    {}, {'camera': 'usb', 'source': '2', 'rate': '15'}, {'camera': 'none'},
    {'camera': 'file', 'source': 'a.mp4', 'eye': 'head', 'enable_at_start': 'false'},
    {'world': 'a.jpg', 'rate': '10', 'movers': '3', 'policy': 'runs/one', 'exemplar': 'cup.png',
     'image_transport': 'compressed', 'backend': 'sim', 'namespace': 'robot'},
    {'camera': 'usb', 'backend': 'dynamixel', 'port': '/dev/ttyUSB0', 'enable_at_start': 'true'},
    {'camera': 'none', 'backend': 'trajectory', 'controller': 'head_controller'}])
def test_every_parameter_it_sets_exists_and_is_in_range(plan, arguments):
    for name, (given, _, _) in plan(**arguments).items():
        known = {key: value for key, value in given.items()
                 if key not in ('autostart', 'use_sim_time')}
        assert isinstance(from_mapping(SCHEMAS[name], known), SCHEMAS[name])


def test_what_interface_promises_is_an_argument(bringup):
    names = {name for name, *_ in bringup.ARGUMENTS}
    assert names >= {
        'namespace', 'params_file', 'use_sim_time', 'autostart', 'log_level', 'use_respawn',
        'backend', 'camera', 'image_topic', 'image_transport', 'source', 'world', 'policy',
        'viewer', 'enable_at_start'}


def test_a_container_with_little_shared_memory_is_told_and_spared(bringup, plan, monkeypatch):
    monkeypatch.delenv('FASTRTPS_DEFAULT_PROFILES_FILE', raising=False)
    monkeypatch.setattr(bringup, 'SHARED_MEMORY_MB', 1 << 40)
    assert 'FASTRTPS_DEFAULT_PROFILES_FILE' not in plan.environment()
    from launch import LaunchContext
    from launch.actions import LogInfo
    assert isinstance(bringup._environment(LaunchContext())[0], LogInfo)


def test_without_shared_memory_it_starts_and_says_so(bringup, plan, monkeypatch):
    monkeypatch.delenv('FASTRTPS_DEFAULT_PROFILES_FILE', raising=False)

    def nothing(path):
        raise FileNotFoundError(path)
    monkeypatch.setattr(bringup.shutil, 'disk_usage', nothing)
    assert 'FASTRTPS_DEFAULT_PROFILES_FILE' not in plan.environment()
    from launch import LaunchContext
    from launch.actions import LogInfo
    first = bringup._environment(LaunchContext())[0]
    assert isinstance(first, LogInfo)
    assert 'no /dev/shm' in first.msg[0].text


def test_the_middleware_profile_is_set_unless_the_user_has_one(bringup, plan, monkeypatch):
    monkeypatch.setattr(bringup, 'SHARED_MEMORY_MB', 0)
    monkeypatch.delenv('FASTRTPS_DEFAULT_PROFILES_FILE', raising=False)
    monkeypatch.delenv('FASTDDS_DEFAULT_PROFILES_FILE', raising=False)
    profile = plan.environment()['FASTRTPS_DEFAULT_PROFILES_FILE']
    assert os.path.isfile(profile)
    monkeypatch.setenv('FASTRTPS_DEFAULT_PROFILES_FILE', '/mine.xml')
    assert 'FASTRTPS_DEFAULT_PROFILES_FILE' not in plan.environment()
    monkeypatch.delenv('FASTRTPS_DEFAULT_PROFILES_FILE')
    monkeypatch.setenv('FASTDDS_DEFAULT_PROFILES_FILE', '/mine.xml')
    assert 'FASTRTPS_DEFAULT_PROFILES_FILE' not in plan.environment()


def test_the_description_loads(bringup):
    assert len(bringup.generate_launch_description().entities) == len(bringup.ARGUMENTS) + 2


def test_the_profile_is_a_64_mib_segment_for_every_participant(root):
    """Well-formed, and with the sizes the README speaks of."""
    tree = xml.etree.ElementTree.parse(root / 'config' / 'fastdds.xml')
    name = '{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}'
    assert tree.find(f'.//{name}segment_size').text == str(64 * 1024 * 1024)
    assert tree.find(f'.//{name}participant').get('is_default_profile') == 'true'
    assert tree.find(f'.//{name}useBuiltinTransports').text == 'false'
