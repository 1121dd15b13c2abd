"""Measuring hands and eyes: what the figures say, and whose they are."""

import json

import numpy as np
import pytest
import torch

from gaze_robot.cli import main
from gaze_robot.errors import CheckpointError, ConfigError
from gaze_robot.hand_eye import HandEye, save_hand_eye
from gaze_robot.policy.glances import vector_size
from gaze_robot.policy.looking import LookingPolicy
from gaze_robot_sim.bcrl.studio import Studio
from gaze_robot_sim.evaluate_bcrl import _figures, EvalBcrlConfig, evaluate_bcrl

KINDS = {'random': ('random', 'foveated'), 'oracle': ('oracle', 'foveated'),
         'uniform': ('learned', 'uniform'), 'wide': ('fixed', 'wide')}
FIGURES = ('hand_error', 'in_fovea', 'switched', 'switch_s', 'drift_deg', 'gaze_error_deg')


def save_untrained(folder, gaze, eye):
    torch.manual_seed(0)
    studio = Studio.open('', eye, 30, 0, measured=4)
    hand = studio.hand(width=16, hidden=32)
    config = hand.config
    looking = LookingPolicy(config.tokens, config.patch, vector_size(
        studio.pattern, config.joints, config.task)) if gaze == 'learned' else None
    names = studio.source.play(0).episode.joint_names
    save_hand_eye(folder, HandEye(hand, looking, studio.pattern, names, names, 30.0, {
        'minutes': 1.5, 'config': {'gaze': gaze, 'eye': eye, 'steps': 7}}))


@pytest.fixture(scope='module')
def policies(tmp_path_factory):
    folder = tmp_path_factory.mktemp('policies')
    save_untrained(folder / 'bcrl', 'learned', 'foveated')
    for name, (gaze, eye) in KINDS.items():
        save_untrained(folder / 'others' / name, gaze, eye)
    return folder


def test_every_policy_is_shown_the_same_and_scored(policies, tmp_path, capsys):
    report = tmp_path / 'bcrl.json'
    assert main(['eval', 'bcrl', '--policy', str(policies / 'bcrl'), '--baselines',
                 str(policies / 'others'), '--seeds', '2', '--episodes', '2', '--picture',
                 str(tmp_path / 'bcrl.png'), '--json', str(report)]) == 0
    found = json.loads(report.read_text())
    assert set(found['policies']) == {'bcrl', *KINDS}
    assert (found['seeds'], found['episodes'], found['train_minutes']) == (2, 4, 1.5)
    for name, row in found['policies'].items():
        for key in ('hand_error', 'in_fovea_fraction', 'median_gaze_error_deg'):
            assert row[f'{key}_low'] <= row[key] <= row[f'{key}_high'], (name, key)
    oracle = found['policies']['oracle']
    assert oracle['in_fovea_fraction'] > 0.9                    # whatever its hand has learned
    assert oracle['median_gaze_error_deg'] < 1
    assert found['policies']['bcrl']['times_oracle'] == pytest.approx(
        found['policies']['bcrl']['hand_error'] / oracle['hand_error'])
    assert (tmp_path / 'bcrl.png').stat().st_size > 1000


def test_a_policy_in_the_wrong_place_is_refused(policies, tmp_path):
    others = tmp_path / 'others'
    save_untrained(others / 'oracle', 'random', 'foveated')
    with pytest.raises(CheckpointError, match='--gaze oracle'):
        evaluate_bcrl(EvalBcrlConfig(str(policies / 'bcrl'), str(others)))
    with pytest.raises(CheckpointError, match='without an eye'):
        evaluate_bcrl(EvalBcrlConfig(str(policies / 'others' / 'random')))
    with pytest.raises(CheckpointError, match='none of'):
        evaluate_bcrl(EvalBcrlConfig(str(policies / 'bcrl'), str(tmp_path)))


def test_intervals_narrow_with_more_episodes():
    """Of 25 and of 2,500 episodes: the interval of a mean is about 10 times narrower."""
    rng = np.random.default_rng(0)
    widths = []
    for count in (25, 2500):
        values = rng.normal(1.0, 0.2, count)
        row = _figures(dict.fromkeys(FIGURES, values), 0)
        assert row['hand_error_low'] < 1.0 < row['hand_error_high']
        widths.append(row['hand_error_high'] - row['hand_error_low'])
    assert 6 < widths[0] / widths[1] < 16


def test_what_nobody_knows_is_left_open():
    values = np.full(3, np.nan)
    row = _figures(dict.fromkeys(FIGURES, values), 0)
    assert row['time_to_switch_s'] is None


@pytest.mark.parametrize('wrong', [{'seeds': 0}, {'episodes': 0}, {'picture': 'a.jpg'}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ConfigError):
        EvalBcrlConfig(**wrong)
