"""YAML that is data and nothing else."""

import os

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
import yaml

from gaze_robot import plain_yaml
from gaze_robot.camera_file import load_calibration
from gaze_robot.errors import CameraModelError, ConfigError
from gaze_robot.schema import load_yaml

READERS = [(load_yaml, ConfigError), (load_calibration, CameraModelError)]
LAUGHS = 'a: &a [x, x, x, x, x, x, x, x, x]\n' + ''.join(
    f'{new}: &{new} [{", ".join([f"*{old}"] * 9)}]\n'
    for old, new in zip('abcdefghi', 'bcdefghij'))

words = st.text(st.characters(categories=['L', 'N', 'P']), max_size=9)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=20)


@settings(max_examples=100, deadline=None)
@given(plain)
def test_plain_data_comes_back_as_it_went(data):
    text = yaml.safe_dump(data, allow_unicode=True)
    assert plain_yaml.load(text) == yaml.safe_load(text) == data


@pytest.mark.parametrize('read, error', READERS)
@pytest.mark.parametrize('text', [
    '!!python/object/apply:os.mkdir [{0}]', 'x: !!python/object/new:os.system [mkdir {0}]',
    'x: !!python/name:os.system', 'x: !!python/module:os', '!!python/object/apply:subprocess.call '
    '[[mkdir, {0}]]', 'x: !mine {{a: 1}}'])
def test_no_tag_runs_or_makes_anything(tmp_path, read, error, text):
    victim, path = tmp_path / 'victim', tmp_path / 'bad.yaml'
    path.write_text(text.format(victim) + '\n')
    with pytest.raises(error, match='line 1'):
        read(str(path))
    assert not victim.exists()


@pytest.mark.parametrize('read, error', READERS)
@pytest.mark.parametrize('text, says', [
    (LAUGHS, 'aliases'), ('&a [*a]', 'aliases'), ('[' * 5000, 'deep'), ('{a: ' * 5000, 'deep'),
    (f'x: {"9" * 5000}', 'plain data'), ('x: 2001-99-99', 'plain data'), ('a: b: c', 'line 1')])
def test_bombs_are_refused_with_their_line(tmp_path, read, error, text, says):
    path = tmp_path / 'bad.yaml'
    path.write_text(text + '\n')
    with pytest.raises(error, match=says):
        read(str(path))


@pytest.mark.parametrize('read, error', READERS)
def test_a_file_of_another_kind_is_refused_unread(tmp_path, read, error):
    path = tmp_path / 'big.yaml'
    with path.open('wb') as file:
        os.truncate(file.fileno(), 1 << 40)             # sparse: a terabyte that takes no disk
    with pytest.raises(error, match='bytes'):
        read(str(path))
    with pytest.raises(error, match='cannot read'):
        read(str(tmp_path / 'nothing.yaml'))
