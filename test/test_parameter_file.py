"""config/gaze_robot.yaml says what the configuration dataclasses say, and nothing else."""

import importlib.util

import pytest

from gaze_robot.config import from_mapping, load_yaml, to_mapping


@pytest.fixture(scope='module')
def writer(root):
    spec = importlib.util.spec_from_file_location(
        'write_parameter_file', root / 'test' / 'tools' / 'write_parameter_file.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_file_is_up_to_date(root, writer):
    written = (root / 'config' / 'gaze_robot.yaml').read_text(encoding='utf-8')
    assert written == writer.text(), 'run: python test/tools/write_parameter_file.py'


def test_every_value_is_the_default(root, writer):
    nodes = load_yaml(root / 'config' / 'gaze_robot.yaml')
    assert sorted(nodes) == sorted(f'**/{node}' for node in writer.NODES)
    for node, schema in writer.NODES.items():
        assert from_mapping(schema, nodes[f'**/{node}']) == schema()
        assert nodes[f'**/{node}'].keys() == to_mapping(schema()).keys()
