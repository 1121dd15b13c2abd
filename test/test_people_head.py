"""The head for people: an option of a checkpoint, trained on heads whose place is known."""

import itertools
import json
import math

import numpy as np
import pytest
import torch

from gaze_robot.checkpoint import load_policy, make_policy, save_policy
from gaze_robot.config import GazeConfig
from gaze_robot.encoder import EncoderConfig
from gaze_robot.errors import CheckpointError, ConfigError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.gaze_target.evidence import CELLS
from gaze_robot.gaze_target.salience import FEATURES
from gaze_robot.geometry import direction_from_pan_tilt
from gaze_robot.pipeline import GazePipeline

pytest.importorskip('gaze_robot_sim')
from gaze_robot_sim.training.crowds import Crowds, label_heads, UNJUDGED
from gaze_robot_sim.training.heads import (
    auc,
    PeopleTrainer,
    scores,
    train_heads,
    TrainHeadsConfig,
)

PATTERN = FoveationPattern((20.0, 45.0, 90.0), (16, 16, 32), (8, 8, 16))
ALL = np.ones((3, CELLS, CELLS), bool)


def untrained(seed=0):
    torch.manual_seed(seed)
    return make_policy(PATTERN, EncoderConfig(16, 1, 2, 2, 8))


def test_checkpoints_without_the_head_load_and_say_that_it_is_missing(tmp_path):
    save_policy(tmp_path, untrained())
    policy = load_policy(tmp_path)
    assert policy.perception.offers == {'salience'}
    with pytest.raises(ConfigError, match='no head for people; add one with `gaze-robot train'):
        GazePipeline(policy, config=GazeConfig(sources_people=1.0))


def test_the_head_is_kept_in_the_checkpoint(tmp_path):
    policy = untrained()
    policy.perception.add_people()
    save_policy(tmp_path, policy)
    again = load_policy(tmp_path).perception
    assert again.offers == {'salience', 'people'}
    inputs = (torch.randn(2, 12, 16), torch.rand(2, 3, FEATURES, CELLS, CELLS) * 90,
              torch.ones(2, 3, CELLS, CELLS, dtype=torch.bool))
    torch.testing.assert_close(again.people(*inputs), policy.perception.people(*inputs))


def test_nobody_is_outside_the_picture():
    head = untrained().perception.add_people()
    valid = torch.ones(1, 3, CELLS, CELLS, dtype=torch.bool)
    valid[:, 1, 3:] = False
    found = head(torch.randn(1, 12, 16), torch.rand(1, 3, FEATURES, CELLS, CELLS), valid).sigmoid()
    assert found[~valid].max() < 1e-9
    assert found[valid].min() > 1e-9


def test_a_head_straight_ahead_is_in_the_middle_of_every_level():
    """10 degrees high: half of the fovea's 20, a ninth of the widest level's 90."""
    ahead = direction_from_pan_tilt(0.3, -0.1)
    label = label_heads([(ahead, math.radians(5))], [], 0.3, -0.1, ALL, PATTERN)
    for level in range(3):
        rows, columns = np.nonzero(label[level] == 1)
        assert rows.mean() == pytest.approx(7.5, abs=0.01)
        assert columns.mean() == pytest.approx(7.5, abs=0.01)
    tall = np.ptp(np.nonzero(label[0] == 1)[0]) + 1
    assert tall == pytest.approx(8, abs=1)
    assert (label[2] == 1).sum() <= 4


def test_a_head_to_the_left_is_on_the_left():
    label = label_heads([(direction_from_pan_tilt(0.5, 0.0), 0.1)], [], 0.0, 0.0, ALL, PATTERN)
    assert (label[0] == 0).all()                                     # beyond the fovea
    _, columns = np.nonzero(label[2] == 1)
    x = -math.tan(0.5)                                               # pan is positive to the left
    assert columns.mean() + 0.5 == pytest.approx((x + 1) / 2 * CELLS, abs=0.8)


def test_hidden_heads_and_what_is_behind_are_not_counted():
    ahead, behind = direction_from_pan_tilt(0.0, 0.0), direction_from_pan_tilt(math.pi, 0.0)
    label = label_heads([(behind, 0.1)], [(ahead, 0.1)], 0.0, 0.0, ALL, PATTERN)
    assert (label != 1).all()
    assert label[0, 7, 7] == UNJUDGED
    assert (label[2] == 0).mean() > 0.9


def test_area_under_the_curve_counts_pairs_in_order():
    rng = np.random.default_rng(0)
    probability, label = rng.integers(0, 9, 60) / 8, rng.integers(-1, 2, 60)
    pairs = [(yes > no) + 0.5 * (yes == no) for yes in probability[label == 1]
             for no in probability[label == 0]]
    assert auc(probability, label) == pytest.approx(np.mean(pairs))


def test_views_without_a_head_have_no_figures():
    found = scores(np.full((2, 3, CELLS, CELLS), 0.2), np.zeros((2, 3, CELLS, CELLS), int))
    assert found == {'auc': {'0': None, '1': None, '2': None}, 'precision': None, 'recall': None,
                     'peak_on_head': None, 'chance': None}
    json.dumps(found, allow_nan=False)


def test_a_run_goes_on_with_its_own_policy_only(tmp_path):
    def trainer(sha, resume=True):
        config = TrainHeadsConfig(out=str(tmp_path), resume=resume)
        return PeopleTrainer(config, untrained().perception, sha)
    first = trainer('a' * 64, resume=False)
    first.epoch = 3
    first._save()
    assert trainer('a' * 64).epoch == 3
    with pytest.raises(CheckpointError, match='trained on another policy'):
        trainer('b' * 64)
    state = torch.load(tmp_path / 'last.pt')
    for spoilt in ({**state, 'epoch': 'last'}, {**state, 'epoch': None}, [state]):
        torch.save(spoilt, tmp_path / 'last.pt')
        with pytest.raises(CheckpointError, match='damaged or of another network'):
            trainer('a' * 64)


@pytest.mark.slow
def test_equal_seeds_give_equal_glances():
    first, second = (list(itertools.islice(Crowds(PATTERN, 5, rooms=1, looks=2), 3))
                     for _ in range(2))
    for one, two in zip(first, second):
        assert one.keys() == two.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], two[name])


@pytest.mark.slow
def test_training_adds_the_head_and_changes_nothing_else(tmp_path):
    save_policy(tmp_path / 'plain', untrained())
    config = TrainHeadsConfig(str(tmp_path / 'plain'), str(tmp_path / 'run'), views=96, epochs=3,
                               exam=64)
    result = train_heads(config)
    assert result['unseen']['auc']['0'] > 0.6
    before, after = load_policy(tmp_path / 'plain'), load_policy(tmp_path / 'run')
    for name, tensor in before.perception.state_dict().items():
        torch.testing.assert_close(after.perception.state_dict()[name], tensor, atol=0, rtol=0)
    for name, tensor in before.eye.state_dict().items():
        torch.testing.assert_close(after.eye.state_dict()[name], tensor, atol=0, rtol=0)
    with pytest.raises(CheckpointError, match='pass --resume'):
        train_heads(config)
