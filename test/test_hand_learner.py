"""What the hand learns from: actions, and where its own arm will be when a task is done."""

import numpy as np
import pytest
import torch

from gaze_robot.policy.hand import HandConfig
from gaze_robot_sim.bcrl.hand_learner import goal_error, HandLearner, make_hand
from gaze_robot_sim.bcrl.plays import Scale
from gaze_robot_sim.bcrl.replay import Replay
from gaze_robot_sim.bcrl.sight import Sight

CONFIG = HandConfig(joints=1, task=1, actions=1, chunk=2, levels=((32, 32),), width=16, hidden=32)
STEPS = np.arctan(((np.arange(4) + 0.5) / 4 * 2 - 1) * 0.6)
PLACES = np.stack(np.meshgrid(-STEPS, STEPS), axis=-1).reshape(-1, 2)


def test_goal_error_by_hand():
    # known: |1-0|, |0-0|, |0-2| and, of the second row, none: (1 + 0 + 2) / 3
    goal = torch.tensor([[1., 0., 0.], [9., 9., 9.]])
    tip = torch.tensor([[0., 0., 2.], [torch.nan] * 3])
    assert goal_error(goal, tip).item() == 1.0
    assert goal_error(goal[1:], tip[1:]).item() == 0.0


def glances(count, known):
    """One bright token of sixteen; the arm stays where it is, and its tip is known to go there."""
    rng = np.random.default_rng(0)
    which = rng.integers(16, size=count)
    view = np.full((count, 16, 192), 40, np.uint8)
    view[np.arange(count), which] = 220
    hand = make_hand(CONFIG, Scale(*np.ones((3, 1), np.float32)), PLACES)
    tip = hand.rays.numpy()[which] if known else np.full((count, 3), np.nan, np.float32)
    one = np.ones((count, 1), np.float32)
    return which, Sight(view, np.zeros((count, 2), np.float32), one, one,
                        np.zeros((count, 2, 1), np.float32), np.ones((count, 2), bool), tip)


@pytest.mark.parametrize('known', [True, False])
def test_attention_goes_where_the_arm_will_go(known):
    """Nothing else tells it to: the arm's next actions are the same whatever it sees."""
    torch.manual_seed(0)
    which, seen = glances(1024, known)
    hand = make_hand(CONFIG, Scale(*np.ones((3, 1), np.float32)), PLACES)
    replay = Replay(1024)
    replay.add(seen, np.arange(1024))
    HandLearner(hand, 3e-3, 128, 0.1).learn(replay, np.random.default_rng(1), 300, 1.0)
    said = hand(*(torch.from_numpy(rows) for rows in (seen.view, seen.joints, seen.gaze,
                                                      seen.task)))
    share = said.attention[torch.arange(1024), torch.from_numpy(which)].mean().item()
    assert share > 0.8 if known else share < 0.5
    assert all(weight.isfinite().all() for weight in hand.parameters())
