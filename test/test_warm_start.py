"""Imitation of a rule: what it is for, not what goes with it."""

import gymnasium
import numpy as np
import pytest
from stable_baselines3 import PPO
import torch

from gaze_robot.policy.glances import Glances, of_the_search
from gaze_robot_sim.bcrl.batch import PATTERN
from gaze_robot_sim.training.warm_start import imitate, Shown


class Space(gymnasium.Env):
    """Only its spaces are used."""

    observation_space = gymnasium.spaces.Dict(
        {'vector': gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)})
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)


@pytest.fixture(autouse=True)
def one_thread():
    """Threads of so small a network wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize('heeded,follows', [({'vector': [0]}, 0.9), (None, 0.7)])
def test_what_goes_with_the_moves_of_a_rule_is_not_learned_in_its_place(heeded, follows):
    """The rule moves by the first number; the second has always been the same."""
    rng = np.random.default_rng(0)
    told = rng.uniform(-1, 1, (512, 1)).astype(np.float32)
    shown = Shown({'vector': np.repeat(told, 2, axis=1)}, np.repeat(told, 2, axis=1),
                  10.0 * told[:, 0])
    torch.manual_seed(0)
    model = PPO('MultiInputPolicy', Space(), policy_kwargs={'net_arch': [16]}, seed=0,
                device='cpu')
    losses = imitate(model, shown, 60, 1e-2, rng, 64, heeded)
    parts = np.linspace(-0.8, 0.8, 8, dtype=np.float32)
    zeros = np.zeros_like(parts)

    def slope(first, second):
        moves = model.predict({'vector': np.stack([first, second], axis=1)}, deterministic=True)[0]
        return (moves[:, 0] @ parts) / (parts @ parts)
    by_first, by_second = slope(parts, zeros), slope(zeros, parts)
    if heeded:
        assert by_first > follows
        assert abs(by_second) < 0.15
    else:
        assert by_first < follows                       # it leans on either
        assert by_second > 0.3
    assert losses['value_mse'] < 1.0                    # the critic may use all: of 33


def test_a_rule_of_looking_knows_gaze_and_search():
    glances, none = Glances(1, PATTERN, 1, 2), np.zeros((1, 2))
    attention = np.zeros((1, PATTERN.tokens), np.float32)
    attention[0, 36] = 0.8
    gaze = np.array([[0.3, 0.2]])
    vector = glances.observe(attention, gaze, none[:, :1], none, np.zeros(1, int))
    gaze_and_search = vector[0, of_the_search(glances.size)]
    np.testing.assert_allclose(gaze_and_search[:2], gaze[0], rtol=1e-6)
    assert gaze_and_search[6] == pytest.approx(0.8)     # wanted, far and near; how much
    assert gaze_and_search[7] == pytest.approx(
        np.tanh(glances.search.frontier(np.zeros(1, int), gaze)[0] / 0.15))
    assert len(gaze_and_search) == 8
