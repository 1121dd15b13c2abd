"""`gaze-robot check-params`: every problem of a file, with its line; no ROS."""

import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
import yaml

from gaze_robot import cli
from gaze_robot.check_params import check_params, CheckParamsConfig, describe, read_values
from gaze_robot.config import from_mapping, load_yaml, NODES, parameters
from gaze_robot.errors import ConfigError, FindingsError, GazeRobotError


@pytest.fixture
def write(tmp_path):
    def make(text):
        path = tmp_path / 'mine.yaml'
        path.write_text(text)
        return str(path)
    return make


def findings(path):
    with pytest.raises(FindingsError) as refused:
        check_params(CheckParamsConfig(path))
    return list(refused.value.lines)


def test_the_shipped_file_is_in_order(root):
    seen = check_params(CheckParamsConfig(str(root / 'config' / 'gaze_robot.yaml')))
    assert seen['nodes'] == sorted(NODES)
    assert seen['values'] > 100


@pytest.mark.parametrize('key, says', [
    ('ratee: 50.0', "no parameter 'ratee'; did you mean 'rate'? known: "),
    ('command_timeout: 99', 'command_timeout must be at most 60.0, got 99.0 (float, from 0.02 to '
     '60; default 0.3)'),
    ('rate: fast', "rate must be float, got 'fast' (str) (float, from 1 to 1000"),
    ('direction: [1, 0]', '1, -1; got 0'), ('ids: [1]', 'takes 2 values'),
    ('offset: [0.0, 1]', 'write all as decimals'), ('port:', 'port has no value'),
    ('backend: !!python/object/apply:os.system [ls]', 'could not determine a constructor'),
    ('rate: .nan', 'finite'), ('autostart: maybe', 'true or false'),
    ('qos_overrides: {/joint_states: {publisher: {depth: many}}}', 'whole number'),
    ('qos_overrides: {/joint_states: {publisher: {deepness: 3}}}', 'no policy')])
def test_each_problem_is_named_with_its_line_and_range(write, key, says):
    path = write(f'# mine\n/**/pan_tilt:\n  ros__parameters:\n    joints: [a, b]\n    {key}\n')
    line, = findings(path)
    assert line.startswith(f'{path}, line 5: ')
    assert says in line


def test_all_problems_are_told_at_once_in_order(write):
    lines = findings(write('gaze:\n  ros__parameters:\n    hfov_deg: 999\n    eye: tail\n'
                           'pan_tilt:\n  ros__parameters:\n    rate: 0.0\n'))
    assert [line.split(': ')[0][-6:] for line in lines] == ['line 3', 'line 4', 'line 7']


def test_values_that_contradict_each_other_are_told_once_each_alone_is_right(write):
    good = 'pan_tilt:\n  ros__parameters:\n    limits.pan.min_position: 4.0\n' \
           '    limits.pan.max_position: {}\n'
    assert check_params(CheckParamsConfig(write(good.format('6.0'))))['values'] == 2
    line, = findings(write(good.format('3.5')))
    assert 'must be below' in line


@pytest.mark.parametrize('text, says', [
    ('gaze: [1\n', 'not valid YAML'), ('just words\n', 'no parameters'),
    ('gaze: 5\n', 'where a node is expected'), ('gaze:\n  ros__parameters: 5\n', 'a mapping'),
    ('pantilt:\n  ros__parameters: {rate: 5.0}\n', "did you mean 'pan_tilt'"),
    ('gaze:\n  ros__parameters: {eye: head, eye: picture}\n', 'again')])
def test_what_is_no_parameter_file_is_told(write, text, says):
    assert any(says in line for line in findings(write(text)))


def test_other_peoples_nodes_are_passed_over(write):
    seen = check_params(CheckParamsConfig(write(
        'controller_server:\n  ros__parameters: {anything: 1}\n'
        'left:\n  gaze:\n    ros__parameters: {deadband: 0.01, use_sim_time: true}\n')))
    assert seen['nodes'] == ['gaze']
    assert seen['passed_over'] == ['controller_server']


def test_a_wildcard_must_suit_the_nodes_it_is_for(write):
    text = '/**:\n  ros__parameters: {frame_prefix: left_, autostart: false, source: 0}\n'
    assert all("no parameter 'source'" in line for line in findings(write(text)))
    camera = text + 'camera:\n  ros__parameters: {rate: 5.0}\n'
    assert check_params(CheckParamsConfig(write(camera)))['nodes'] == ['**', 'camera']


@pytest.mark.parametrize('cls, parameter', [
    (cls, parameter) for cls in NODES.values() for parameter in parameters(cls)],
    ids=lambda value: getattr(value, 'name', getattr(value, '__name__', None)))
def test_every_default_is_right_and_every_limit_is_enforced(write, cls, parameter):
    """By the file and by the schema alike."""
    node = next(name for name, each in NODES.items() if each is cls)
    assert repr(parameter.default) in describe(parameter)
    if parameter.max is None or not isinstance(parameter.default, (int, float)):
        return
    text = yaml.safe_dump({node: {'ros__parameters': {parameter.name: parameter.max * 2 + 1}}})
    line, = findings(write(text))
    assert 'at most' in line
    with pytest.raises(ConfigError):
        from_mapping(cls, {parameter.name: parameter.max * 2 + 1})


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
trees = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from(['gaze', 'pan_tilt', 'ros__parameters', 'rate', 'limits', 'pan', 'x']), inner,
    max_size=3), max_leaves=12)


@settings(max_examples=150, deadline=None)
@given(trees)
def test_whatever_is_in_a_file_it_ends_with_words(tmp_path_factory, tree):
    path = tmp_path_factory.mktemp('any') / 'any.yaml'
    path.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding='utf-8')
    try:
        check_params(CheckParamsConfig(str(path)))
    except GazeRobotError:
        return
    assert isinstance(load_yaml(path), dict)            # in order for one, readable for the other


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_told(text):
    values, found = read_values(text)
    assert values or found or ':' in text


def test_the_command_prints_a_line_for_each_and_ends_with_2(write, capsys):
    path = write('gaze:\n  ros__parameters:\n    hfov_deg: 999\n    eye: tail\n')
    assert cli.main(['check-params', path]) == 2
    printed = capsys.readouterr().err.strip().splitlines()
    assert len(printed) == 2
    assert all(line.startswith(f'gaze-robot: {path}, line ') for line in printed)


def test_it_needs_no_ros_and_no_torch(root):
    code = ('import sys, gaze_robot.check_params\n'
            "sys.exit(bool({'rclpy', 'torch'} & set(sys.modules)))")
    assert subprocess.run([sys.executable, '-c', code], cwd=root, timeout=60).returncode == 0
