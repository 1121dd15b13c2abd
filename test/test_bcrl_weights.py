"""The hand and eye in the package: whole, documented, and able to do what the README says."""

import json
from pathlib import Path

import pytest

from gaze_robot.hand_eye import load_hand_eye, SHIPPED
from gaze_robot_sim.evaluate_bcrl import EvalBcrlConfig, evaluate_bcrl

ROOT = Path(__file__).resolve().parents[1]
BASELINES = sorted(path.name for path in (SHIPPED / 'baselines').iterdir())


@pytest.mark.parametrize('name', ['', *(f'baselines/{name}' for name in BASELINES)])
def test_shipped_checkpoints_load_and_say_how_they_were_made(name):
    both = load_hand_eye(SHIPPED / name)
    assert both.meta['command'].startswith('gaze-robot train bcrl --seed ')
    assert both.meta['seed'] >= 0
    assert both.meta['minutes'] > 0
    assert both.meta['validation']['hand_error'] > 0
    assert str(ROOT) not in json.dumps(dict(both.meta))
    assert '/tmp' not in json.dumps(dict(both.meta))


def test_shipped_checkpoints_are_small():
    size = sum(path.stat().st_size for path in SHIPPED.rglob('*') if path.is_file())
    assert size < 10e6


def test_the_eye_looks_at_what_the_hand_needs():
    """Of 24 unseen demonstrations; README has the figures of more."""
    found = evaluate_bcrl(EvalBcrlConfig(seeds=1, episodes=24, seed=11))['policies']
    assert found['bcrl']['median_gaze_error_deg'] < 7.5
    assert found['bcrl']['in_fovea_fraction'] > 0.5
    assert found['bcrl']['hand_error'] < 0.75 * found['random']['hand_error']
    assert found['random']['in_fovea_fraction'] < 0.2
    assert found['oracle']['hand_error'] <= found['bcrl']['hand_error_high']
