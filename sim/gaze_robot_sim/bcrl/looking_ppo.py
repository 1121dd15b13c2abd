"""The reinforced half of BC-RL: stable-baselines3's PPO around the eye's own network."""

import math
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
import torch

from gaze_robot.policy.looking import LookingPolicy, LookingTrunk
from gaze_robot_sim.bcrl.distributed import Crew


class _Extractor(BaseFeaturesExtractor):
    """The robot's own trunk as stable-baselines3's features extractor."""

    def __init__(self, space: gymnasium.spaces.Dict, tokens: int, patch: int) -> None:
        vector = space['vector'].shape
        assert vector is not None
        trunk = LookingTrunk(tokens, patch, vector[0])
        super().__init__(space, trunk.features)
        self.trunk, self.tokens, self.patch = trunk, tokens, patch

    def forward(self, observation: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.trunk(observation['view'].unflatten(1, (self.tokens, -1)),
                          observation['vector'])


_FARTHEST = 0.02
"""Of the policy from what it was at its last rollout, KL divergence: then its epochs end."""


class _TogetherPPO(PPO):
    """PPO in several processes: their gradients are averaged, and each makes every step, though
    one's epochs may end sooner than another's.
    """

    together = Crew()

    def train(self) -> None:
        """Improve the eye on the last rollouts of all."""
        parameters, optimizer = list(self.policy.parameters()), self.policy.optimizer

        def average(*_: Any) -> None:
            self.together.average_gradients(parameters)
        hook = optimizer.register_step_pre_hook(average)
        super().train()
        hook.remove()
        while self.together.average_gradients(parameters, own=False):
            optimizer.step()


def make_ppo(env: VecEnv, tokens: int, patch: int, rollout: int, learning_rate: float,
             exploration: float, seed: int, device: torch.device, together: Crew) -> PPO:
    """An untrained eye.

    Args:
        rollout: steps of each eye between updates.
        learning_rate: at the start; falls linearly to a tenth.
        exploration: see `explore`.
    """
    model = _TogetherPPO(
        'MultiInputPolicy', env, n_steps=rollout, batch_size=min(512, rollout * env.num_envs),
        n_epochs=4, learning_rate=lambda left: learning_rate * (0.1 + 0.9 * left), gamma=0.95,
        gae_lambda=0.9, clip_range=0.2, ent_coef=5e-4, target_kl=_FARTHEST, seed=seed,
        device=device, policy_kwargs={
            'features_extractor_class': _Extractor,
            'features_extractor_kwargs': {'tokens': tokens, 'patch': patch}, 'net_arch': [],
            'normalize_images': False, 'log_std_init': math.log(exploration)})
    together.follow(model.policy.state_dict().values())
    model.together = together
    return model


def explore(model: PPO, exploration: float) -> None:
    """Set the standard deviation of moves, over 10 degrees.

    Imitation leaves as little as it was off its rule: 0.09, where one update of PPO is a KL
    divergence of 0.5 to 6 and undoes the imitation.
    """
    with torch.no_grad():
        model.policy.log_std.fill_(math.log(exploration))


class SearchReward(VecEnvWrapper):
    """Rewards looking at what matters, by the truth: for `--search` alone."""

    def reset(self) -> Any:
        """As the environment does."""
        return self.venv.reset()

    def step_wait(self) -> Any:
        """The same step; the reward is how near the gaze is, 0.2 at most."""
        observation, _, done, infos = self.venv.step_wait()
        error = np.array([info['error_rad'] for info in infos], np.float32)
        return observation, 0.2 * (1 - error / np.float32(np.pi / 2)), done, infos


def eye_of(model: PPO) -> LookingPolicy:
    """The actor of a PPO model as the network the robot runs."""
    extractor = model.policy.features_extractor
    eye = LookingPolicy(extractor.tokens, extractor.patch, extractor.trunk.situation.in_features)
    eye.trunk.load_state_dict(extractor.trunk.state_dict())
    eye.actor.load_state_dict(model.policy.action_net.state_dict())
    return eye.cpu().eval()


def begin(model: PPO, callback: BaseCallback, logger: Logger) -> BaseCallback:
    """Get a model ready for `collect_rollouts` and `train`; the callback to give the former.

    What PPO.learn does before its loop: here the loop is written out (`training.bcrl`), because
    the hand learns in it too.
    """
    model.set_logger(logger)
    _, wrapped = model._setup_learn(0, callback, reset_num_timesteps=False)
    return wrapped
