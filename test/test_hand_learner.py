"""What the hand learns from: actions, and where its own arm will be when a task is done."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gaze_robot.geometry import direction_from_pan_tilt
from gaze_robot.policy.glances import sureness
from gaze_robot.policy.hand import HandConfig, HandOutput
from gaze_robot_sim.bcrl import hand_learner
from gaze_robot_sim.bcrl.hand_learner import (
    goal_loss,
    HandLearner,
    make_hand,
    place_loss,
    verdict_loss,
)
from gaze_robot_sim.bcrl.plays import Scale
from gaze_robot_sim.bcrl.replay import Replay
from gaze_robot_sim.bcrl.sight import Sight

CONFIG = HandConfig(joints=1, task=1, actions=1, chunk=2, levels=((32, 32),), width=16, hidden=32)
STEPS = np.arctan(((np.arange(4) + 0.5) / 4 * 2 - 1) * 0.6)
PLACES = np.stack(np.meshgrid(-STEPS, STEPS), axis=-1).reshape(-1, 2)


def test_goal_loss_by_hand():
    # A half and a quarter show the place: 3/4. Out of view: what went to nothing, 1/8. Unknown: 0.
    attention = torch.tensor([[0.5, 0.25, 0.125], [0.5, 0.25, 0.125], [0.0, 0.0, 0.0]])
    seen = torch.tensor([[True, True, False], [False] * 3, [True] * 3])
    known = torch.tensor([True, True, False])
    wanted = -(np.log(0.75) + np.log(0.125)) / 2
    assert goal_loss(attention, seen, known).item() == pytest.approx(wanted)
    assert goal_loss(attention, seen, torch.zeros(3, dtype=torch.bool)).item() == 0.0


def test_no_one_place_is_learned_of_cameras_in_different_frames():
    goal = torch.tensor([[[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]])
    said = HandOutput(torch.zeros(1, 1, 1), torch.tensor([[0.5, 0.5]]), torch.tensor([0]),
                      torch.tensor([[0.0, 1.0, 0.0]]), None)
    assert place_loss(said, goal, torch.ones(1, 2, dtype=torch.bool)).item() == 0.0


def test_no_attention_where_the_hand_goes_is_a_finite_loss():
    nowhere = torch.zeros(1, 3, requires_grad=True)
    loss = goal_loss(nowhere, torch.ones(1, 3, dtype=torch.bool), torch.ones(1, dtype=torch.bool))
    loss.backward()
    assert loss.isfinite()
    assert nowhere.grad.isfinite().all()


def test_verdict_loss_by_hand():
    """Right, wrong, attending to nothing, nobody knows, in the corner of the eye: the first two
    count.
    """
    verdict = torch.tensor([2.0, 2.0, 2.0, 2.0, 2.0], requires_grad=True)
    attention = torch.tensor([[0.0, 0.8], [0.0, 0.8], [0.1, 0.1], [0.0, 0.8], [0.0, 0.8]])
    right = torch.tensor([True, False, True, True, True])
    said = HandOutput(torch.zeros(5, 1, 1), attention, torch.ones(5, dtype=torch.long),
                      torch.zeros(5, 3), verdict, torch.tensor([True, True, True, True, False]))
    loss = verdict_loss(said, right, torch.tensor([True, True, True, False, True]))
    wanted = (np.log(1 + np.exp(-2.0)) + np.log(1 + np.exp(2.0))) / 2
    assert loss.item() == pytest.approx(wanted)
    loss.backward()
    assert verdict.grad[2:].tolist() == [0, 0, 0]
    unheeded = torch.tensor([False] * 5)
    assert verdict_loss(said, right, unheeded).item() == 0.0


def test_place_loss_by_hand():
    """0.3 rad beside, and right whatever the length; attending to another token does not count."""
    goal = torch.from_numpy(direction_from_pan_tilt(np.array([[0.5, 0.5]] * 3), np.zeros((3, 2))))
    ray = torch.from_numpy(direction_from_pan_tilt(np.array([0.8, 0.5, 0.0]), np.zeros(3)))
    ray *= torch.tensor([[1.0], [0.2], [1.0]])
    said = HandOutput(torch.zeros(3, 1, 1), torch.zeros(3, 2), torch.tensor([1, 0, 0]), ray, None)
    seen = torch.tensor([[False, True], [True, True], [False, True]])
    assert place_loss(said, goal, seen).item() == pytest.approx(2 * np.sin(0.15) / 2, rel=1e-5)
    assert place_loss(said, goal, torch.zeros(3, 2, dtype=torch.bool)).item() == 0.0


def glances(count, known):
    """One bright token of sixteen; the arm stays where it is, and its tip is known to go there."""
    rng = np.random.default_rng(0)
    which = rng.integers(16, size=count)
    view = np.full((count, 16, 192), 40, np.uint8)
    view[np.arange(count), which] = 220
    hand = make_hand(CONFIG, Scale(*np.ones((3, 1), np.float32)), PLACES)
    goal = hand.rays.numpy()[which] if known else np.full((count, 3), np.nan, np.float32)
    goal = np.repeat(goal[:, None], len(hand.config.levels), axis=1)
    one = np.ones((count, 1), np.float32)
    return which, Sight(view, np.zeros((count, 2), np.float32), one, one,
                        np.zeros((count, 2, 1), np.float32), np.ones((count, 2), bool), goal)


@pytest.mark.parametrize('known, fine', [(True, False), (False, False), (True, True)])
def test_attention_goes_where_the_arm_will_go(known, fine):
    """Nothing else tells it to: the arm's next actions are the same whatever it sees."""
    torch.manual_seed(0)
    which, seen = glances(1024, known)
    seen.goal[::5] = np.nan                                         # nothing is left to do
    hand = make_hand(replace(CONFIG, fine=fine), Scale(*np.ones((3, 1), np.float32)), PLACES)
    replay = Replay(1024)
    replay.add(seen, np.arange(1024))
    HandLearner(hand, 3e-3, 128, 0.1).learn(replay, np.random.default_rng(1), 120, 1.0)
    said = hand(*(torch.from_numpy(rows) for rows in (seen.view, seen.joints, seen.gaze,
                                                      seen.task)))
    share = said.attention[torch.arange(1024), torch.from_numpy(which)].mean().item()
    assert share > 0.8 if known else share < 0.5
    assert all(weight.isfinite().all() for weight in hand.parameters())


def test_a_hand_is_as_sure_of_an_end_as_it_can_be(monkeypatch):
    """The arm tells which way, left or right, in half of the glances; nothing does in the others.
    The mean of what may be is short: cosine of a right angle. Nothing else of the hand changes.
    """
    torch.manual_seed(0)
    _, seen = glances(2048, known=True)
    rng = np.random.default_rng(1)
    left, told = rng.random(2048) < 0.5, rng.random(2048) < 0.5
    seen.joints[:, 0] = np.where(told, np.where(left, 2.0, -2.0), 0.0)
    seen.goal[:] = direction_from_pan_tilt(np.where(left, 1.57, -1.57), np.zeros(2048))[:, None]
    seen.goal[::7] = np.nan
    seen.gaze[:] = np.where(told, 0.3, 0.5)[:, None]
    monkeypatch.setattr(hand_learner, '_HEEDED', 1.5)               # untrained, it heeds anything
    hand = make_hand(replace(CONFIG, foresees=True), Scale(*np.ones((3, 1), np.float32)), PLACES)
    replay = Replay(2048)
    replay.add(seen, np.arange(2048))
    before = {name: value.clone() for name, value in hand.state_dict().items()}
    level = HandLearner(hand, 3e-3, 128, 0.1).foresee(replay, np.random.default_rng(1), 1500)
    said = hand(*(torch.from_numpy(rows) for rows in (seen.view, seen.joints, seen.gaze,
                                                      seen.task))).foreseen.detach().numpy()
    sure = sureness(said)
    assert sure[told].mean() > 0.8
    assert sure[~told].mean() < 0.3
    assert (np.sign(said[told, 1]) == np.where(left, 1, -1)[told]).mean() > 0.97
    assert level == pytest.approx(0.3, abs=0.02)                    # where there is what tells
    after = hand.state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == {
        name for name in before if name.startswith('foresee.')}


def test_nothing_is_foreseen_from_goals_nobody_knows():
    _, seen = glances(64, known=False)
    hand = make_hand(replace(CONFIG, foresees=True), Scale(*np.ones((3, 1), np.float32)), PLACES)
    replay = Replay(64)
    replay.add(seen, np.arange(64))
    learner = HandLearner(hand, 3e-3, 32, 0.1)
    assert learner.foresee(replay, np.random.default_rng(1), 5) is None
    assert all(weight.isfinite().all() for weight in hand.parameters())
