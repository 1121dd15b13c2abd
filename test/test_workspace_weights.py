"""Hands and eyes that ship for workspaces in physics: whole, documented, and able to work."""

import json
from pathlib import Path

import pytest

pytest.importorskip('mujoco', reason='needs mujoco')
pytest.importorskip('torch', reason='needs torch')

from gaze_robot import cli
from gaze_robot.config import GazeConfig
from gaze_robot.errors import CheckpointError
from gaze_robot.hand_eye import load_hand_eye
from gaze_robot.hand_pipeline import HandPipeline
from gaze_robot.loading import load_pipeline
from gaze_robot.shipped import shipped, WEIGHTS
from gaze_robot_sim.physics.tasks import KINDS
from gaze_robot_sim.physics.views import can_draw

ROOT = Path(__file__).resolve().parents[1]
HANDS = [name for name in shipped() if name.startswith('workspace:')]
draws = pytest.mark.skipif(bool(can_draw()), reason=can_draw() or 'MuJoCo draws')


def test_what_ships():
    assert HANDS == ['workspace:bucket', 'workspace:press', 'workspace:read']
    size = sum(path.stat().st_size for path in WEIGHTS.rglob('*') if path.is_file())
    assert size < 20e6


@pytest.mark.parametrize('name', HANDS)
def test_a_hand_says_how_it_was_made_and_runs_by_its_name(name):
    meta = load_hand_eye(shipped()[name]).meta
    assert meta['command'].startswith(f'gaze-robot train bcrl --seed 0 --demos {name} ')
    assert meta['workspace'] == name.removeprefix('workspace:')
    assert meta['minutes'] <= 90
    for path in (str(ROOT), '/tmp'):
        assert path not in json.dumps(dict(meta))
    pipeline = load_pipeline(GazeConfig(model_path=name))
    assert isinstance(pipeline, HandPipeline)


def test_a_workspace_without_a_hand_is_told_and_a_folder_of_a_name_comes_first(
        tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match='no hand ships for workspace:wipe, only bcrl'):
        load_pipeline(GazeConfig(model_path='workspace:wipe'))
    monkeypatch.chdir(tmp_path)
    Path('workspace:press').mkdir()
    with pytest.raises(CheckpointError, match='not a checkpoint folder'):
        load_pipeline(GazeConfig(model_path='workspace:press'))


@draws
@pytest.mark.parametrize('task, n, most_lost', [
    ('press', 4, 1), ('bucket', 2, 1), pytest.param('read', 6, 3, marks=pytest.mark.long)])
def test_it_does_its_task(task, n, most_lost, tmp_path):
    """Through an eye as fast as a real head; README has the figures of 300 episodes."""
    assert task in KINDS
    report = tmp_path / 'table.json'
    assert cli.main(['eval', 'workspace', '--task', task, '--n', str(n), '--seeds', '1', '--seed',
                     '11', '--expert-n', '0', '--json', str(report)]) == 0
    found = json.loads(report.read_text())
    assert found['conditions']['learned']['outcomes']['success'] >= n - most_lost
