"""`gaze-robot check-params FILE`: what the nodes would refuse, without ROS, line by line."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
import difflib
from pathlib import Path
from typing import Any

import yaml

from gaze_robot import plain_yaml
from gaze_robot.config import NODES
from gaze_robot.errors import ConfigError, FindingsError
from gaze_robot.schema import check_value, from_mapping, Parameter, parameters

LIFECYCLE = ('gaze', 'pan_tilt')
PARAMETERS = 'ros__parameters'


@dataclass(frozen=True)
class CheckParamsConfig:
    """Which file."""

    file: str
    """Parameters as ROS reads them: node, ros__parameters, keys."""

    seed: int = 0
    """Nothing here is random; taken for uniformity."""


@dataclass(frozen=True)
class Given:
    """One value of a file."""

    node: str
    name: str
    value: Any
    line: int


def check_params(config: CheckParamsConfig) -> dict[str, Any]:
    """Check a parameter file.

    Returns:
        Which nodes it has, how many values, and which nodes are somebody else's.

    Raises:
        FindingsError: one line for each thing that is wrong, with its line in the file.
    """
    values, found = read_values(plain_yaml.read_text(Path(config.file)))
    ours = [each for each in values if each.node in (*NODES, '**')]
    foreign = sorted({each.node for each in values} - {*NODES, '**'})
    found += [*_misspelt_nodes(values), *check_values(ours)]
    if found:
        raise FindingsError([f'{config.file}, line {line}: {text}' for line, text in
                             sorted(set(found))])
    return {'file': config.file, 'nodes': sorted({each.node for each in ours}),
            'values': len(ours), 'passed_over': foreign}


def read_values(text: str) -> tuple[list[Given], list[tuple[int, str]]]:
    """Every value of a file of parameters, and (line, what is wrong) of what is no value."""
    try:
        document = plain_yaml.compose(text)
    except plain_yaml.PlainYamlError as error:
        return [], [(error.line, error.text)]
    if not isinstance(document, yaml.MappingNode):
        return [], [(1, f'no parameters here; expected "node: {PARAMETERS}: ..."')]
    values: list[Given] = []
    found: list[tuple[int, str]] = []
    _collect(document, '', values, found)
    return values, found


def _collect(document: yaml.MappingNode, prefix: str, values: list[Given],
             found: list[tuple[int, str]]) -> None:
    for key, body, line in _pairs(document, found):
        name = f'{prefix}{key}'.lstrip('/')
        if not isinstance(body, yaml.MappingNode):
            found.append((line, f'{name!r} stands where a node is expected; parameters go under '
                          f'"node: {PARAMETERS}:"'))
            continue
        inner = {key: inside for key, inside, _ in _pairs(body, [])}
        given = inner.get(PARAMETERS)
        if given is None:
            _collect(body, f'{name}/', values, found)
        elif isinstance(given, yaml.MappingNode):
            values += _flat(given, name.split('/')[-1], '', found)
        elif given.value not in ('', '~', 'null'):
            found.append((line, f'{PARAMETERS} of {name!r} must be a mapping'))


def _pairs(node: yaml.MappingNode, found: list[tuple[int, str]]
           ) -> Iterator[tuple[str, yaml.Node, int]]:
    """(key, node of its value, line) of a mapping; a key given twice is told."""
    lines: dict[str, int] = {}
    for key, body in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            found.append((line, 'a name is expected before the colon'))
            continue
        if key.value in lines:
            found.append((line, f'{key.value!r} stands here again, as in line '
                          f'{lines[key.value]}; only one of them counts'))
        lines[key.value] = line
        yield str(key.value), body, line


def _flat(node: yaml.MappingNode, owner: str, prefix: str, found: list[tuple[int, str]]
          ) -> list[Given]:
    """Nested mappings as dotted names."""
    flat: list[Given] = []
    for key, body, line in _pairs(node, found):
        if isinstance(body, yaml.MappingNode):
            flat += _flat(body, owner, f'{prefix}{key}.', found)
            continue
        try:
            value = plain_yaml.value_of(body)
        except plain_yaml.PlainYamlError as error:
            found.append((line, f'{prefix}{key}: {error.text}'))
            continue
        flat.append(Given(owner, prefix + key, value, line))
    return flat


def check_values(values: list[Given]) -> list[tuple[int, str]]:
    """(line, what is wrong) of the values of our nodes; those of `**` are every node's."""
    found: list[tuple[int, str]] = []
    for node, schema in NODES.items():
        mine = [each for each in values if each.node in (node, '**')]
        if not any(each.node == node for each in mine) and any(
                each.node in NODES for each in values):
            continue                    # a node this file is not about need not know `**`
        wrong = [(each.line, text) for each in mine if (text := _wrong(node, schema, each))]
        found += wrong
        if not wrong and mine:
            try:
                from_mapping(schema, {each.name: _as_text(schema, each) for each in mine
                                      if not _of_every_node(node, each)})
            except ConfigError as error:
                found.append((min(each.line for each in mine), f'{node}: {error}'))
    return found


def _wrong(node: str, schema: type, given: Given) -> str:
    """What is wrong with one value, with its range; '' if nothing is."""
    known = {parameter.name: parameter for parameter in parameters(schema)}
    if _of_every_node(node, given):
        return '' if isinstance(given.value, bool) else f'{node}: {given.name} is true or false'
    if given.value is None:
        return f'{node}: {given.name} has no value; leave the line out to keep the default'
    if isinstance(given.value, list) and len({type(item) for item in given.value}) > 1:
        return (f'{node}: {given.name} mixes kinds of values, which ROS refuses; write all as '
                f'decimals, such as 1.0, or all as whole numbers: {given.value}')
    try:
        if given.name in known:
            check_value(known[given.name], _as_text(schema, given))
        else:
            from_mapping(schema, {given.name: given.value})
    except ConfigError as error:
        hint = f' ({describe(known[given.name])})' if given.name in known else ''
        return f'{node}: {error}{hint}'
    return ''


def describe(parameter: Parameter) -> str:
    """A parameter's type, range and default in one phrase."""
    kind = getattr(parameter.type, '__name__', str(parameter.type)).replace('NoneType', 'unset')
    words = [kind if parameter.type in (bool, int, float, str) else str(parameter.type)]
    if parameter.choices:
        words.append(f'one of {", ".join(map(str, parameter.choices))}')
    elif parameter.max is not None:
        words.append(f'from {parameter.min:g} to {parameter.max:g}')
    elif parameter.min is not None:
        words.append(f'{parameter.min:g} or more')
    return f'{", ".join(words)}; default {parameter.default!r}'


def _misspelt_nodes(values: list[Given]) -> list[tuple[int, str]]:
    first: Mapping[str, int] = {each.node: each.line for each in reversed(values)}
    return [(line, f'there is no node {node!r} here; did you mean {near[0]!r}?')
            for node, line in first.items() if node not in (*NODES, '**')
            and (near := difflib.get_close_matches(node, list(NODES), n=1, cutoff=0.75))]


def _of_every_node(node: str, given: Given) -> bool:
    return given.name == 'use_sim_time' or (
        given.name == 'autostart' and (node in LIFECYCLE or given.node == '**'))


def _as_text(schema: type, given: Given) -> Any:
    """A node takes `source: 0` for text, too."""
    text = any(each.name == given.name and each.type is str for each in parameters(schema))
    return str(given.value) if text and type(given.value) is int else given.value
