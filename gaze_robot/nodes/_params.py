"""A configuration dataclass as ROS parameters: declared, described, ranged, checked.

The dataclass in `gaze_robot.config` is the only schema; this module adds nothing to it.
"""

import ast
import dataclasses
import inspect
import textwrap
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

from gaze_robot.config import from_mapping, parameter_names
from gaze_robot.errors import GazeRobotError

ConfigT = TypeVar('ConfigT')

# What rclpy and launch set on any node, beside the node's own parameters.
_COMMON = ('use_sim_time', 'start_type_description_service', 'qos_overrides', 'autostart')


def declare_config(node: Node, cls: type[ConfigT],
                   on_change: Callable[[ConfigT], None] | None = None) -> ConfigT:
    """Declare every field of `cls` as a parameter and return the configuration they hold.

    Args:
        node: values come from its launch file, YAML and `-p` arguments.
        cls: a configuration dataclass of `gaze_robot.config`.
        on_change: called with the new configuration after a parameter was set at run time and
            passed every check; it may raise GazeRobotError to refuse.

    Raises:
        ConfigError: a key that does not exist, a value of the wrong type or out of range, or
            values that contradict each other; the text says what to do.
    """
    given = given_parameters(node)
    config = from_mapping(cls, given)
    names = parameter_names(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}   # type: ignore[arg-type]
    docs = field_docs(cls)
    for name, attribute in names.items():
        value = _plain(getattr(config, attribute))
        if not node.has_parameter(name):
            node.declare_parameter(
                name, value, _descriptor(value, fields[attribute], docs.get(attribute, '')),
                ignore_override=True)
    node.add_on_set_parameters_callback(_Guard(node, cls, names, on_change))
    return config


def given_parameters(node: Node) -> dict[str, Any]:
    """What launch files, YAML and the command line set on this node, without rclpy's own."""
    # rclpy offers no public way to list overrides that nobody declared, and drops them silently.
    overrides = node._parameter_overrides   # noqa: SLF001
    return {name: parameter.value for name, parameter in overrides.items()
            if name.split('.')[0] not in _COMMON}


def current_config(node: Node, cls: type[ConfigT]) -> ConfigT:
    """The configuration the node's parameters hold now."""
    return from_mapping(cls, {name: node.get_parameter(name).value
                              for name in parameter_names(cls)})


def declare_autostart(node: Node, default: bool = True) -> bool:
    """Whether a lifecycle node configures and activates itself (parameter `autostart`)."""
    if not node.has_parameter('autostart'):
        node.declare_parameter('autostart', default, ParameterDescriptor(
            read_only=True, description='Configure and activate without a lifecycle manager.'))
    return bool(node.get_parameter('autostart').value)


class _Guard:
    """The one on-set callback: every change passes the same checks as a file does."""

    def __init__(self, node: Node, cls: type, names: dict[str, str],
                 on_change: Callable[[Any], None] | None) -> None:
        self._node, self._cls, self._names, self._on_change = node, cls, names, on_change

    def __call__(self, parameters: list[Parameter]) -> SetParametersResult:
        mine = {parameter.name: parameter.value for parameter in parameters
                if parameter.name in self._names}
        if not mine:
            return SetParametersResult(successful=True)
        values = {name: self._node.get_parameter(name).value for name in self._names} | mine
        try:
            config = from_mapping(self._cls, values)
            if self._on_change is not None:
                self._on_change(config)
        except GazeRobotError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _descriptor(value: Any, field: dataclasses.Field, doc: str) -> ParameterDescriptor:
    """Type, range and text of one field.

    Numbers that may be whole are typed dynamically, so that `90` is accepted where 90.0 is meant;
    the guard still refuses everything that is not a number.
    """
    choices = field.metadata.get('choices')
    descriptor = ParameterDescriptor(
        description=doc,
        additional_constraints=f'one of {", ".join(map(str, choices))}' if choices else '')
    low, high = field.metadata.get('min'), field.metadata.get('max')
    if isinstance(value, float):
        descriptor.dynamic_typing = True
        if low is not None and high is not None:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(low), to_value=float(high))]
    elif isinstance(value, int) and not isinstance(value, bool):
        if low is not None and high is not None:
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
    elif isinstance(value, list) or value is None:
        descriptor.dynamic_typing = True
    return descriptor


def field_docs(cls: type) -> dict[str, str]:
    """The string under each field of a dataclass, on one line."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body  # type: ignore
        for field, below in zip(body, body[1:]):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) \
                    and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) \
                    and isinstance(below.value.value, str):
                docs[field.target.id] = ' '.join(below.value.value.split())
    return docs
