"""A configuration dataclass as ROS parameters: declared, described, ranged, checked.

The dataclass in `gaze_robot.config` is the only schema; this module adds nothing to it.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from gaze_robot import config
from gaze_robot.errors import ConfigError, GazeRobotError

ConfigT = TypeVar('ConfigT')

_OF_EVERY_NODE = ('autostart',)
"""Declared by `declare_autostart`, beside the node's own configuration."""


def declare_config(node: Node, cls: type[ConfigT],
                   on_change: Callable[[ConfigT], None] | None = None) -> ConfigT:
    """Declare every field of `cls` as a parameter and return the configuration they hold.

    Args:
        node: values come from its launch file, YAML and `-p` arguments.
        cls: a configuration dataclass of `gaze_robot.config`.
        on_change: called with the new configuration after a parameter was set at run time and
            passed every check; it may raise GazeRobotError to refuse. Without it, parameters
            cannot be changed while the node runs.

    Raises:
        ConfigError: a key that does not exist, a value of the wrong type or out of range, or
            values that contradict each other; the text says what to do.

    A second call returns what the parameters hold by then.
    """
    names = config.parameter_names(cls)
    if all(node.has_parameter(name) for name in names):
        return current_config(node, cls)
    try:
        settings = config.from_mapping(cls, _texts(cls, given_parameters(node)))
    except ConfigError as error:
        raise ConfigError(f'node {node.get_name()}: {error}') from error
    for parameter in config.parameters(cls):
        value = getattr(settings, parameter.attribute)
        node.declare_parameter(
            parameter.name, list(value) if isinstance(value, tuple) else value,
            _descriptor(parameter, read_only=on_change is None), ignore_override=True)
    if on_change is not None:
        node.add_on_set_parameters_callback(_Guard(node, cls, on_change))
    return settings


def given_parameters(node: Node) -> dict[str, Any]:
    """What launch files, YAML and the command line set on this node."""
    # rclpy offers no public way to list overrides that nobody declared, and drops them silently.
    overrides = node._parameter_overrides
    return {name: parameter.value for name, parameter in overrides.items()
            if name not in _OF_EVERY_NODE}


def idle_overrides(node: Node) -> list[str]:
    """Given `qos_overrides.` that no topic of the node took up: misspelt, or of another topic."""
    return sorted(name for name in given_parameters(node)
                  if name.startswith('qos_overrides.') and not node.has_parameter(name))


def _texts(cls: type, given: dict[str, Any]) -> dict[str, Any]:
    """YAML and `-p` read `source:=0` as a number; where text is meant, it is text again."""
    wants_text = {parameter.name for parameter in config.parameters(cls) if parameter.type is str}
    return {name: str(value) if name in wants_text and type(value) is int else value
            for name, value in given.items()}


def current_config(node: Node, cls: type[ConfigT]) -> ConfigT:
    """The configuration the node's parameters hold now."""
    return config.from_mapping(cls, {name: node.get_parameter(name).value
                                     for name in config.parameter_names(cls)})


def declare_autostart(node: Node, default: bool = True) -> bool:
    """Whether a lifecycle node configures and activates itself (parameter `autostart`)."""
    if not node.has_parameter('autostart'):
        node.declare_parameter('autostart', default, ParameterDescriptor(
            read_only=True, description='Configure and activate without a lifecycle manager.'))
    return bool(node.get_parameter('autostart').value)


class _Guard:
    """The one on-set callback: every change passes the same checks as a file does."""

    def __init__(self, node: Node, cls: type, on_change: Callable[[Any], None]) -> None:
        self._node, self._cls, self._on_change = node, cls, on_change
        self._names = config.parameter_names(cls)

    def __call__(self, changed: list[Parameter]) -> SetParametersResult:
        mine = {parameter.name: parameter.value for parameter in changed
                if parameter.name in self._names}
        if not mine:
            return SetParametersResult(successful=True)
        values = {name: self._node.get_parameter(name).value for name in self._names} | mine
        try:
            self._on_change(config.from_mapping(self._cls, values))
        except GazeRobotError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)


def _descriptor(parameter: config.Parameter, read_only: bool) -> ParameterDescriptor:
    """Type, range and text of one parameter.

    Doubles are typed dynamically, so that `90` is accepted where 90.0 is meant; `_Guard` still
    refuses everything that is not a number.
    """
    descriptor = ParameterDescriptor(description=parameter.description, read_only=read_only)
    if parameter.choices:
        descriptor.additional_constraints = f'one of {", ".join(map(str, parameter.choices))}'
    elif parameter.min is not None or parameter.max is not None:
        descriptor.additional_constraints = f'from {parameter.min} to {parameter.max}'
    descriptor.dynamic_typing = parameter.type not in (bool, int, str)
    if parameter.min is not None and parameter.max is not None:
        if parameter.type is float:
            descriptor.floating_point_range = [FloatingPointRange(
                from_value=float(parameter.min), to_value=float(parameter.max))]
        elif parameter.type is int:
            descriptor.integer_range = [IntegerRange(
                from_value=int(parameter.min), to_value=int(parameter.max))]
    return descriptor
