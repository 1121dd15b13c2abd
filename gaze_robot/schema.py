"""One frozen dataclass as the schema for YAML, command line and ROS parameters.

A field is a parameter. Its docstring (the string under it) is the description; its metadata may
hold `min`, `max`, `choices` and `name`: the dotted name users write, where it is not the
attribute's own.
"""

import ast
from collections.abc import Iterable, Mapping
import dataclasses
import difflib
import functools
import inspect
import math
import pathlib
import textwrap
import types
import typing
from typing import Any, TypeVar

from gaze_robot import plain_yaml
from gaze_robot.errors import ConfigError

Config = TypeVar('Config')

ROS_OWN = ('use_sim_time', 'start_type_description_service', 'qos_overrides.')
"""Parameters rclpy itself declares (a trailing dot: a whole group); they may stand in any YAML."""

QOS_VALUES = {'history': ('keep_last', 'keep_all', 'system_default'),
              'reliability': ('reliable', 'best_effort', 'system_default')}
"""Policies, beside depth, that qos_overrides may set, and what to."""


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One parameter as users meet it."""

    name: str
    """Dotted, as in YAML."""

    attribute: str
    """Field of the dataclass."""

    type: Any
    """bool, int, float, str, a tuple of these, or `bool | None`."""

    default: Any
    description: str
    min: float | None = None
    max: float | None = None
    choices: tuple[Any, ...] = ()


def parameters(cls: type) -> tuple[Parameter, ...]:
    """Every parameter of a config class, in the order of its fields."""
    key: Any = cls          # mypy does not take a class for hashable
    return _read_parameters(key)


@functools.cache
def _read_parameters(cls: type) -> tuple[Parameter, ...]:
    hints, texts = typing.get_type_hints(cls), _field_docstrings(cls)
    found = []
    for field in dataclasses.fields(cls):
        default = (field.default_factory() if field.default is dataclasses.MISSING
                   and field.default_factory is not dataclasses.MISSING else field.default)
        meta = field.metadata
        found.append(Parameter(
            meta.get('name', field.name), field.name, hints[field.name], default,
            texts.get(field.name, ''), meta.get('min'), meta.get('max'),
            tuple(meta.get('choices', ()))))
    return tuple(found)


def parameter_names(cls: type) -> dict[str, str]:
    """Map each parameter's name to its attribute: {'model.path': 'model_path', ...}."""
    return {parameter.name: parameter.attribute for parameter in parameters(cls)}


def from_mapping(cls: type[Config], mapping: Mapping[str, Any]) -> Config:
    """Build a config from parameter names, dotted or nested.

    An integer is accepted where a float is meant, a list where a tuple is. What is missing keeps
    its default; rclpy's own parameters (`ROS_OWN`) are passed over, but for a look at whether
    `qos_overrides` have policies and values that there are.

    Raises:
        ConfigError: naming an unknown key's nearest match, a wrong type, or a broken range.
    """
    known = {parameter.name: parameter for parameter in parameters(cls)}
    values = {}
    for name, value in flatten(mapping).items():
        if any(name.startswith(own) if own.endswith('.') else name == own for own in ROS_OWN):
            _check_override(name, value)
            continue
        if name not in known:
            raise ConfigError(_unknown(f'{cls.__name__} has no parameter', name, known))
        values[known[name].attribute] = _convert(known[name], value)
    return cls(**values)


def check_value(parameter: Parameter, value: Any) -> None:
    """Raise ConfigError if one value cannot be: its type, its range, its choices."""
    converted = _convert(parameter, value)
    for item in converted if isinstance(converted, tuple) else (converted,):
        _check_item(parameter, item)


def to_mapping(config: Any) -> dict[str, Any]:
    """The inverse of `from_mapping`: dotted names, tuples as lists; None is left out."""
    values = {p.name: getattr(config, p.attribute) for p in parameters(type(config))}
    return {name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items() if value is not None}


def check_ranges(config: Any) -> None:
    """Raise ConfigError unless every field of a config is finite and inside its range."""
    for parameter in parameters(type(config)):
        value = getattr(config, parameter.attribute)
        for item in value if isinstance(value, tuple) else (value,):
            _check_item(parameter, item)


def load_yaml(path: str | pathlib.Path) -> dict[str, dict[str, Any]]:
    """Read a ROS-style parameter file.

    Returns:
        {node name: {dotted parameter: value}}; the leading slash of a node's name is dropped.

    Raises:
        ConfigError: no such file, not YAML, or a node without `ros__parameters`.
    """
    text = plain_yaml.read_text(pathlib.Path(path))
    try:
        document = plain_yaml.load(text)
    except plain_yaml.PlainYamlError as error:
        raise ConfigError(f'{path}, {error}') from error
    if not isinstance(document, dict):
        raise ConfigError(f'{path} holds no parameters; expected "node: ros__parameters: ..."')
    nodes: dict[str, dict[str, Any]] = {}
    _collect_nodes(document, '', nodes, path)
    return nodes


def flatten(mapping: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f'{prefix}{key}.'))
        else:
            flat[f'{prefix}{key}'] = value
    return flat


def _collect_nodes(document: Mapping[str, Any], prefix: str, nodes: dict[str, dict[str, Any]],
                   path: str | pathlib.Path) -> None:
    for key, body in document.items():
        name = f'{prefix}{key}'.lstrip('/')
        if not isinstance(body, dict):
            raise ConfigError(f'{path}: {name!r} stands where a node is expected; parameters go '
                              'under "node: ros__parameters:"')
        if 'ros__parameters' in body:
            given = body['ros__parameters'] or {}
            if not isinstance(given, dict):
                raise ConfigError(f'{path}: ros__parameters of {name!r} must be a mapping, '
                                  f'got {given!r}')
            nodes[name] = flatten(given)
        else:
            _collect_nodes(body, f'{name}/', nodes, path)


def _check_override(name: str, value: Any) -> None:
    """Refuse qos_overrides./topic.publisher.reliability and the like where rclpy would crash."""
    if not name.startswith('qos_overrides.'):
        return
    _, _, policy = name.rpartition('.')
    if policy == 'depth':
        if type(value) is not int or value < 0:
            raise ConfigError(f'{name} must be a whole number from 0, got {value!r}')
    elif policy not in QOS_VALUES:
        raise ConfigError(f'{name}: {policy!r} is no policy that can be changed here; known: '
                          f'depth, {", ".join(sorted(QOS_VALUES))}')
    elif value not in QOS_VALUES[policy]:
        raise ConfigError(f'{name} must be one of {", ".join(QOS_VALUES[policy])}; got {value!r}')


def _unknown(complaint: str, name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    hint = f' did you mean {nearest[0]!r}?' if nearest else ''
    return f'{complaint} {name!r};{hint} known: {", ".join(sorted(known))}'


def _convert(parameter: Parameter, value: Any) -> Any:
    wanted = parameter.type
    if typing.get_origin(wanted) in (typing.Union, types.UnionType):
        if value is None:
            return None
        wanted = next(kind for kind in typing.get_args(wanted) if kind is not type(None))
    return _convert_as(parameter, wanted, value)


def _convert_as(parameter: Parameter, wanted: Any, value: Any) -> Any:
    """A value as its type wants it: one item, a row of them, or rows of rows."""
    if typing.get_origin(wanted) is not tuple:
        return _convert_item(parameter, wanted, value)
    kinds = typing.get_args(wanted)
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ConfigError(f'{parameter.name} is a list, got {value!r}')
    items = list(value)
    if Ellipsis not in kinds and len(items) != len(kinds):
        raise ConfigError(f'{parameter.name} takes {len(kinds)} values, got {items}')
    return tuple(_convert_as(parameter, kinds[0], item) for item in items)


def _convert_item(parameter: Parameter, wanted: type, value: Any) -> Any:
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if value is False and 'off' in parameter.choices:
        return 'off'                                # what YAML makes of a bare off
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise ConfigError(f'{parameter.name} must be {wanted.__name__}, '
                          f'got {value!r} ({type(value).__name__})')
    return value


def _check_item(parameter: Parameter, item: Any) -> None:
    if parameter.choices and item not in parameter.choices:
        raise ConfigError(f'{parameter.name} must be one of '
                          f'{", ".join(map(str, parameter.choices))}; got {item!r}')
    if isinstance(item, bool) or not isinstance(item, (int, float)):
        return
    if not math.isfinite(item):
        raise ConfigError(f'{parameter.name} must be finite, got {item}')
    if parameter.min is not None and item < parameter.min:
        raise ConfigError(f'{parameter.name} must be at least {parameter.min}, got {item}')
    if parameter.max is not None and item > parameter.max:
        raise ConfigError(f'{parameter.name} must be at most {parameter.max}, got {item}')


def _field_docstrings(cls: type) -> dict[str, str]:
    """The string under each field, read from the class's source."""
    found = {name: text for base in cls.__bases__ if dataclasses.is_dataclass(base)
             for name, text in _field_docstrings(base).items()}
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    body = typing.cast(ast.ClassDef, tree.body[0]).body
    return found | {field.target.id: ' '.join(text.value.value.split())
            for field, text in zip(body, body[1:])
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)}
