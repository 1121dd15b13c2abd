"""One schema: names, conversions, ranges, YAML files."""

import contextlib
import dataclasses
import math
import re

from hypothesis import given
from hypothesis import strategies as st
import pytest

from gaze_robot.config import (
    CameraConfig,
    from_mapping,
    GazeConfig,
    load_yaml,
    PanTiltConfig,
    parameter_names,
    parameters,
    to_mapping,
    WorldConfig,
)
from gaze_robot.errors import ConfigError
from gaze_robot.types import PanTiltLimits

CLASSES = (GazeConfig, PanTiltConfig, CameraConfig, WorldConfig)
each_class = pytest.mark.parametrize('cls', CLASSES, ids=lambda cls: cls.__name__)
each_parameter = pytest.mark.parametrize(
    'cls, parameter', [(cls, parameter) for cls in CLASSES for parameter in parameters(cls)],
    ids=lambda value: getattr(value, 'name', getattr(value, '__name__', None)))


@each_class
def test_defaults_are_valid_and_hashable(cls):
    assert hash(cls()) == hash(cls())


@each_class
def test_mapping_and_back_is_the_same_config(cls):
    assert from_mapping(cls, to_mapping(cls())) == cls()


@each_class
def test_configs_cannot_be_changed(cls):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(cls(), parameters(cls)[0].attribute, 1)


@each_parameter
def test_every_parameter_says_what_it_is(cls, parameter):
    assert parameter.description.endswith('.')
    assert len(parameter.description) > 10


@each_parameter
def test_every_number_has_a_range(cls, parameter):
    if isinstance(parameter.default, (int, float)) and not isinstance(parameter.default, bool):
        assert parameter.min is not None


@each_parameter
def test_values_outside_the_range_are_refused_by_name(cls, parameter):
    for bound, beyond in ((parameter.min, -1e7), (parameter.max, 1e7)):
        if bound is None:
            continue
        several = isinstance(parameter.default, tuple)
        one = parameter.default[0] if several else parameter.default
        wrong = int(beyond) if isinstance(one, int) else beyond
        if several:
            wrong = [wrong] * len(parameter.default)
        with pytest.raises(ConfigError, match=rf'{parameter.name} must be at (least|most)'):
            from_mapping(cls, {parameter.name: wrong})
    if parameter.choices:
        wrong = [7, 7] if isinstance(parameter.default, tuple) else 'nonsense'
        with pytest.raises(ConfigError, match=f'{parameter.name} must be one of'):
            from_mapping(cls, {parameter.name: wrong})


@each_parameter
def test_text_where_something_else_is_meant_is_refused(cls, parameter):
    if not isinstance(parameter.default, str):
        with pytest.raises(ConfigError, match=parameter.name):
            from_mapping(cls, {parameter.name: 'about three'})
    else:
        with pytest.raises(ConfigError, match=rf'{parameter.name} must be str'):
            from_mapping(cls, {parameter.name: 3})


def test_dotted_names_lead_to_attributes():
    names = parameter_names(GazeConfig)
    assert names['model.path'] == 'model_path'
    assert names['sources.search'] == 'sources_search'
    assert names['hfov_deg'] == 'hfov_deg'
    assert parameter_names(PanTiltConfig)['limits.tilt.max_velocity'] == 'limits_tilt_max_velocity'


def test_nested_keys_are_the_same_as_dotted_ones():
    nested = from_mapping(GazeConfig, {'model': {'path': 'a', 'device': 'cpu'}})
    assert nested == from_mapping(GazeConfig, {'model.path': 'a', 'model.device': 'cpu'})
    assert nested.model_path == 'a'


@pytest.mark.parametrize('typo, nearest', [
    ('modle.path', 'model.path'), ('processing_rat', 'processing_rate'),
    ('max_image_ages', 'max_image_age'), ('sources.serch', 'sources.search')])
def test_unknown_key_names_the_nearest_and_all_known(typo, nearest):
    with pytest.raises(ConfigError, match=f"no parameter '{typo}'; did you mean '{nearest}'") as e:
        from_mapping(GazeConfig, {typo: 1})
    for name in parameter_names(GazeConfig):
        assert name in str(e.value)


def test_key_like_no_other_gets_no_guess():
    with pytest.raises(ConfigError) as caught:
        from_mapping(GazeConfig, {'zzzzqqq': 1})
    assert 'did you mean' not in str(caught.value)


def test_integer_where_a_double_is_meant_is_accepted():
    config = from_mapping(GazeConfig, {'processing_rate': 15, 'max_image_age': 1})
    assert config.processing_rate == 15.0
    assert isinstance(config.processing_rate, float)
    offset = from_mapping(PanTiltConfig, {'offset': [1, 0]}).offset
    assert offset == (1.0, 0.0)
    assert all(isinstance(value, float) for value in offset)


@pytest.mark.parametrize('name, value', [
    ('seed', 1.0), ('seed', True), ('rate', True), ('seed', None), ('world', None)])
def test_other_types_are_not_guessed(name, value):
    with pytest.raises(ConfigError, match=f'{name} must be'):
        from_mapping(WorldConfig, {name: value})


@pytest.mark.parametrize('value', ['pan', ['pan'], ['a', 'b', 'c'], 3, [1, 2], ['a', 'a'],
                                   ['', 'b']])
def test_joints_are_two_different_names(value):
    with pytest.raises(ConfigError, match='joints'):
        from_mapping(PanTiltConfig, {'joints': value})


@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused(bad):
    with pytest.raises(ConfigError, match='deadband must be'):
        GazeConfig(deadband=bad)


@given(st.dictionaries(st.text(max_size=8), st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4),
    st.lists(st.integers(), max_size=3)), max_size=3))
def test_anything_else_is_a_config_error_and_nothing_worse(mapping):
    # Hypothesis reports any other exception; a mapping of known good values is a config.
    with contextlib.suppress(ConfigError):
        assert isinstance(from_mapping(GazeConfig, mapping), GazeConfig)


def test_parameters_of_rclpy_itself_are_passed_over():
    assert from_mapping(GazeConfig, {
        'use_sim_time': True, 'qos_overrides': {'/clock': {'depth': 1}},
        'start_type_description_service': False}) == GazeConfig()


def test_limits_come_in_the_order_of_the_axes():
    config = from_mapping(PanTiltConfig, {
        'limits.pan.min_position': -1.0, 'limits.pan.max_position': 1.5,
        'limits.tilt.min_position': -0.5, 'limits.tilt.max_position': 0.25,
        'limits.pan.max_velocity': 2, 'limits.tilt.max_velocity': 1,
        'limits.pan.max_acceleration': 20, 'limits.tilt.max_acceleration': 10,
        'limits.pan.max_jerk': 900, 'limits.tilt.max_jerk': 800})
    assert config.limits == PanTiltLimits((-1.0, -0.5), (1.5, 0.25), (2.0, 1.0), (20.0, 10.0),
                                          (900.0, 800.0))


def test_default_limits_are_those_of_the_type():
    assert PanTiltConfig().limits == PanTiltLimits()


def test_limits_that_cross_are_refused_with_both_numbers():
    with pytest.raises(ConfigError, match=r'limits.tilt.min_position \(2.0\) must be below '
                                          r'limits.tilt.max_position \(1.05\)'):
        from_mapping(PanTiltConfig, {'limits.tilt.min_position': 2})


def test_head_obeys_from_the_start_in_simulation_only_unless_told():
    assert PanTiltConfig(backend='sim').enabled_at_start
    assert not PanTiltConfig(backend='dynamixel').enabled_at_start
    assert PanTiltConfig(backend='dynamixel', enable_at_start=True).enabled_at_start
    assert not PanTiltConfig(enable_at_start=False).enabled_at_start


def test_camera_size_is_given_whole_or_not_at_all():
    with pytest.raises(ConfigError, match='both width and height'):
        CameraConfig(width=640)


READ_AS = {'enable_at_start': 'enabled_at_start'}
"""Field -> the property of its class that outsiders read."""


@each_parameter
def test_every_parameter_has_an_effect(root, cls, parameter):
    """Some module that knows the class reads the field."""
    name = parameter.attribute
    wanted = 'limits' if name.startswith('limits_') else (
        'geometry' if name.startswith(('tilt_axis_', 'camera_mount_')) else
        READ_AS.get(name, name))
    texts = [path.read_text() for folder in ('gaze_robot', 'sim') for path in
             (root / folder).rglob('*.py') if path.name not in ('config.py', 'bringup.py')]
    assert any(re.search(rf'config\.{wanted}\b', text) for text in texts
               if cls.__name__ in text)


# --- YAML


def write(tmp_path, text):
    path = tmp_path / 'params.yaml'
    path.write_text(text)
    return path


def test_yaml_of_ros_is_read_node_by_node(tmp_path):
    nodes = load_yaml(write(tmp_path, """
gaze:
  ros__parameters:
    processing_rate: 15
    model: {path: '', device: cpu}
/robot:
  pan_tilt:
    ros__parameters:
      joints: [head_pan, head_tilt]
      limits.pan.max_velocity: 1.5
empty:
  ros__parameters:
"""))
    assert set(nodes) == {'gaze', 'robot/pan_tilt', 'empty'}
    assert nodes['empty'] == {}
    gaze = from_mapping(GazeConfig, nodes['gaze'])
    assert (gaze.processing_rate, gaze.model_device) == (15.0, 'cpu')
    head = from_mapping(PanTiltConfig, nodes['robot/pan_tilt'])
    assert head.joints == ('head_pan', 'head_tilt')
    assert head.limits.max_velocity == (1.5, 3.14)


@pytest.mark.parametrize('text, reason', [
    ('gaze: [unclosed', 'not valid YAML'), ('', 'holds no parameters'), ('- a\n', 'no parameters'),
    ('processing_rate: 3\n', 'under "node: ros__parameters:"'),
    ('gaze:\n  processing_rate: 3\n', 'where a node is expected'),
    ('gaze:\n  ros__parameters: 3\n', 'must be a mapping'),
    ('gaze: !!python/object/apply:os.getcwd []\n', 'not plain data')])
def test_yaml_that_is_no_parameter_file_is_refused(tmp_path, text, reason):
    with pytest.raises(ConfigError, match=reason):
        load_yaml(write(tmp_path, text))


def test_missing_yaml_says_which(tmp_path):
    with pytest.raises(ConfigError, match='cannot read .*nowhere.yaml'):
        load_yaml(tmp_path / 'nowhere.yaml')


def test_binary_file_is_not_a_parameter_file(tmp_path):
    path = tmp_path / 'picture.yaml'
    path.write_bytes(bytes(range(128, 256)))
    with pytest.raises(ConfigError, match='cannot read'):
        load_yaml(path)


def test_a_bare_off_in_yaml_is_the_word_where_a_word_is_meant(tmp_path):
    """YAML 1.1 reads off as False, and so do ROS's command line and launch files."""
    path = tmp_path / 'world.yaml'
    path.write_text('world:\n  ros__parameters:\n    dynamics: off\n')
    assert from_mapping(WorldConfig, load_yaml(path)['world']).dynamics == 'off'
    assert from_mapping(WorldConfig, {'dynamics': False}).dynamics == 'off'
    for value in (True, {'world': False}):
        with pytest.raises(ConfigError):
            from_mapping(WorldConfig, {'dynamics': value} if value is True else value)
