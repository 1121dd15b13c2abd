"""YAML as data and nothing else: no tags that make objects, no aliases, no size without end."""

from pathlib import Path
from typing import Any

import yaml

from gaze_robot.errors import ConfigError

LARGEST_BYTES = 1_000_000
DEEPEST = 32


class PlainYamlError(ConfigError):
    """Not plain YAML; `line` says where, from 1."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(f'line {line}: {text}')
        self.line = line
        self.text = text


def read_text(path: Path) -> str:
    """The text of a file of settings.

    Raises:
        ConfigError: it cannot be read, is not UTF-8, or is larger than any file of settings.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ConfigError(f'{path} has {path.stat().st_size} bytes, and a file of settings at '
                              f'most {LARGEST_BYTES}; is it the right one?')
        return path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f'cannot read {path}: {error}') from error


def compose(text: str) -> yaml.Node | None:
    """The tree of nodes, each with its line, of one document; None if it is empty.

    Aliases are refused: ROS's own reader refuses them too, and a few lines of them can stand for
    more text than any memory holds.

    Raises:
        PlainYamlError: not YAML, an alias, or nested deeper than `DEEPEST`.
    """
    depth = 0
    try:
        for event in yaml.parse(text, yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise _wrong(event.start_mark, 'aliases (*name) are not understood; write the '
                             'value out')
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise _wrong(event.start_mark, f'nested more than {DEEPEST} deep')
        return yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise _of(error, 'not valid YAML') from error


def value_of(node: yaml.Node) -> Any:
    """What a node says: text, numbers, lists and mappings.

    Raises:
        PlainYamlError: a tag that would make anything else, or no number, no date.
    """
    loader = yaml.SafeLoader('')
    try:
        return loader.construct_object(node, deep=True)
    except yaml.YAMLError as error:
        raise _of(error, 'not plain data') from error
    except (ValueError, OverflowError, TypeError) as error:
        raise _wrong(node.start_mark, f'not plain data: {error}') from error
    finally:
        loader.dispose()


def load(text: str) -> Any:
    """`compose` and `value_of` in one; None for an empty document."""
    node = compose(text)
    return None if node is None else value_of(node)


def _of(error: yaml.YAMLError, what: str) -> PlainYamlError:
    mark = getattr(error, 'problem_mark', None)
    reason = getattr(error, 'problem', None) or getattr(error, 'reason', None) or str(error)
    return PlainYamlError(mark.line + 1 if mark else 1, f'{what}: {" ".join(reason.split())}')


def _wrong(mark: Any, text: str) -> PlainYamlError:
    return PlainYamlError(mark.line + 1 if mark else 1, text)
