"""A configuration dataclass as ROS parameters, on a real node."""

import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip('rclpy', reason='needs rclpy')

from rcl_interfaces.msg import ParameterType  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402

from gaze_robot.config import (  # noqa: E402
    CameraConfig,
    GazeConfig,
    PanTiltConfig,
    parameters,
    WorldConfig,
)
from gaze_robot.errors import ConfigError  # noqa: E402
from gaze_robot.nodes._params import current_config, declare_config  # noqa: E402


@pytest.fixture(scope='module')
def ros():
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture
def make_node(ros):
    """A node to which a launch file gave these parameters."""
    nodes = []

    def make(**given):
        overrides = [Parameter(name.replace('__', '.'), value=value)
                     for name, value in given.items()]
        nodes.append(rclpy.create_node('pan_tilt', parameter_overrides=overrides))
        return nodes[-1]
    yield make
    for node in nodes:
        node.destroy_node()


@pytest.mark.parametrize('schema', [GazeConfig, PanTiltConfig, WorldConfig, CameraConfig])
def test_every_field_is_a_described_parameter_with_its_range(make_node, schema):
    node = make_node()
    assert declare_config(node, schema) == schema()
    for parameter in parameters(schema):
        descriptor = node.describe_parameter(parameter.name)
        assert descriptor.description == parameter.description != ''
        if parameter.choices:
            assert str(parameter.choices[0]) in descriptor.additional_constraints
        if parameter.type is float and parameter.min is not None and parameter.max is not None:
            assert descriptor.floating_point_range[0].from_value == parameter.min
            assert descriptor.floating_point_range[0].to_value == parameter.max
    assert current_config(node, schema) == schema()


def test_given_values_arrive_also_whole_numbers_for_doubles(make_node):
    config = declare_config(make_node(rate=50, limits__pan__max_velocity=2, joints=['a', 'b']),
                            PanTiltConfig)
    assert (config.rate, config.limits_pan_max_velocity, config.joints) == (50.0, 2.0, ('a', 'b'))


def test_a_number_where_text_is_meant_is_text(make_node):
    assert declare_config(make_node(source=0), CameraConfig).source == '0'


@pytest.mark.parametrize('given, says', [
    ({'rat': 50.0}, "did you mean 'rate'.*known: .*backend"), ({'rate': 'fast'}, 'must be float'),
    ({'rate': 1e9}, 'at most'), ({'rate': float('nan')}, 'finite'),
    ({'limits__pan__min_position': 3.0, 'limits__pan__max_position': 2.0}, 'below'),
    ({'limits__pan__min_positon': 3.0}, "did you mean 'limits.pan.min_position'")])
def test_what_is_wrong_is_named(make_node, given, says):
    with pytest.raises(ConfigError, match=f'node pan_tilt: .*{says}'):
        declare_config(make_node(**given), PanTiltConfig)


def test_parameters_of_every_node_are_passed_over(make_node):
    node = make_node(use_sim_time=False, autostart=True)
    assert declare_config(node, PanTiltConfig) == PanTiltConfig()


def test_changes_pass_the_same_checks_and_the_callback(make_node):
    node, seen = make_node(), []

    def on_change(config):
        if config.command_timeout > 5:
            raise ConfigError('too patient')
        seen.append(config)
    declare_config(node, PanTiltConfig, on_change)

    def change(**values):
        return node.set_parameters_atomically([
            Parameter(name.replace('__', '.'), value=value) for name, value in values.items()])
    assert change(command_timeout=2).successful
    assert seen[-1].command_timeout == 2.0
    for values, says in (({'command_timeout': 'long'}, 'must be float'),
                         ({'command_timeout': 9.0}, 'too patient'),
                         ({'rate': -1.0}, 'out of range'), ({'rate': -1}, 'at least'),
                         ({'limits__tilt__max_position': -1.04, 'rate': 20.0}, '')):
        result = change(**values)
        assert result.successful == (says == '')
        assert says in result.reason
    result = change(limits__tilt__max_position=-2.0)
    assert not result.successful
    assert 'below' in result.reason
    assert current_config(node, PanTiltConfig) == seen[-1]


def test_without_a_callback_parameters_are_read_only(make_node):
    node = make_node()
    declare_config(node, WorldConfig)
    assert not node.set_parameters([Parameter('rate', value=5.0)])[0].successful


def test_declared_twice_gives_what_was_set_between(make_node):
    node = make_node(rate=50.0)
    declare_config(node, PanTiltConfig, lambda config: None)
    node.set_parameters([Parameter('rate', value=20.0)])
    assert declare_config(node, PanTiltConfig, lambda config: None).rate == 20.0


def test_types_as_others_see_them(make_node):
    node = make_node()
    declare_config(node, PanTiltConfig)
    kinds = {name: node.describe_parameter(name).type
             for name in ('rate', 'backend', 'publish_tf')}
    assert kinds == {'rate': ParameterType.PARAMETER_DOUBLE,
                     'backend': ParameterType.PARAMETER_STRING,
                     'publish_tf': ParameterType.PARAMETER_BOOL}
