"""Write config/gaze_robot.yaml from the configuration dataclasses: run it after changing one."""

from pathlib import Path
import textwrap

import yaml

from gaze_robot.config import NODES, parameters

TARGET = Path(__file__).resolve().parents[2] / 'config' / 'gaze_robot.yaml'
HEAD = """\
# Every parameter of every node with its default: copy this file, keep what you change, and give
# it to the launch file:   ros2 launch gaze_robot bringup.launch.py params_file:=/path/to/copy.yaml
#
# Made by test/tools/write_parameter_file.py from gaze_robot/config.py. `/**/gaze` means the node
# gaze in any namespace. Launch arguments that you give overrule this file.
"""


def text() -> str:
    """The file's content."""
    lines = [HEAD]
    for node, schema in NODES.items():
        lines += [f'/**/{node}:', '  ros__parameters:']
        for parameter in parameters(schema):
            lines += textwrap.wrap(_describe(parameter), 99, initial_indent='    # ',
                                   subsequent_indent='    # ')
            unset = parameter.default is None
            lines.append(f'    {"# " if unset else ""}{parameter.name}: '
                         f'{"true" if unset else _as_yaml(parameter.default)}')
        lines.append('')
    return '\n'.join(lines)


def _describe(parameter):
    words = parameter.description
    if parameter.choices:
        return f'{words} One of: {", ".join(map(str, parameter.choices))}.'
    if parameter.min is not None:
        return f'{words} {parameter.min:g}' + (
            f' to {parameter.max:g}.' if parameter.max is not None else ' or more.')
    return words


def _as_yaml(value):
    value = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(value, default_flow_style=True, width=90).removesuffix('\n...\n').strip()


if __name__ == '__main__':
    TARGET.write_text(text(), encoding='utf-8')
