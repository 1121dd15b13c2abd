"""Start PPO from a rule: imitate a hand-written searcher before exploring.

From scratch PPO finds the way to a visible target in 40,000 steps and the habit of looking around
for an invisible one only after several hundred thousand. A rule that knows what the policy knows
shows it in 20,000; PPO then improves on the rule.

T steps   E eyes
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from stable_baselines3 import PPO
import torch
from tqdm import tqdm

from gaze_robot.policy.actions import MAX_STEP_RAD, MOVES
from gaze_robot_sim.envs.seeing import SeeingBatch
from gaze_robot_sim.envs.vec import GazeVecEnv

Rule = Callable[[dict[str, np.ndarray], SeeingBatch], np.ndarray]


@dataclass(frozen=True, eq=False)
class Shown:
    """What the rule did."""

    observation: dict[str, np.ndarray]
    """Each (T * E, ...), float16."""

    action: np.ndarray
    """(T * E,) integers or (T * E, 2) in [-1, 1]."""

    returns: np.ndarray
    """(T * E,) discounted rewards from there on."""


def show(model: PPO, env: GazeVecEnv, rule: Rule, steps: int, own_share: float,
         rng: np.random.Generator, title: str) -> Shown:
    """Run the rule and keep what it saw and did.

    Args:
        steps: of all eyes together.
        own_share: share of eyes that follow the policy instead while the rule comments (DAgger,
            Ross et al. 2011): what the policy's own mistakes lead to is seen as well.
    """
    batch = env.batch
    assert isinstance(batch, SeeingBatch)
    discrete = batch.config.discrete
    rows: dict[str, list[np.ndarray]] = {'tokens': [], 'vector': []}
    actions, rewards = [], []
    observation = env.reset()
    own = rng.random((env.num_envs,)) < own_share
    for _ in tqdm(range(max(1, steps // env.num_envs)), desc=title, unit='step', mininterval=1):
        advice = rule(observation, batch)
        label = advice if discrete else MOVES[advice] / MAX_STEP_RAD
        for name, value in observation.items():
            rows[name].append(value.astype(np.float16))
        actions.append(label)
        acted = label.copy()
        if own.any():
            acted[own] = model.predict(observation, deterministic=False)[0][own]
        env.step_async(acted)
        observation, reward, _, _ = env.step_wait()
        rewards.append(reward)
    with torch.no_grad():
        tail = model.policy.predict_values(model.policy.obs_to_tensor(observation)[0])
    returns, following = [], tail.cpu().numpy()[:, 0]
    for reward in reversed(rewards):
        following = reward + model.gamma * following
        returns.append(following)
    return Shown({name: np.concatenate(value) for name, value in rows.items()},
                 np.concatenate(actions), np.concatenate(returns[::-1]))


def imitate(model: PPO, shown: Shown, epochs: int, learning_rate: float,
            rng: np.random.Generator, batch: int = 256) -> dict[str, float]:
    """Fit actor and critic to what was shown; returns the last epoch's mean losses."""
    policy = model.policy
    optimizer = torch.optim.Adam(policy.parameters(), lr=learning_rate)
    count = len(shown.action)
    scores: dict[str, float] = {}
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group['lr'] = learning_rate * (1 - epoch / epochs)
        sums = np.zeros(2)
        order = rng.permutation(count)
        for start in range(0, count, batch):
            rows = order[start:start + batch]
            observation = {name: torch.from_numpy(value[rows].astype(np.float32)).to(policy.device)
                           for name, value in shown.observation.items()}
            values, log_p, _ = policy.evaluate_actions(
                observation, torch.from_numpy(shown.action[rows]).to(policy.device))
            target = torch.from_numpy(shown.returns[rows].astype(np.float32)).to(policy.device)
            nll = -log_p.mean()
            value = torch.nn.functional.mse_loss(values[:, 0], target)
            optimizer.zero_grad()
            (nll + value).backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
            optimizer.step()
            sums += float(nll.detach()) * len(rows), float(value.detach()) * len(rows)
        scores = {'nll': round(sums[0] / count, 4), 'value_mse': round(sums[1] / count, 4)}
    return scores


def warm_start(model: PPO, env: GazeVecEnv, rule: Rule, steps: int, seed: int
               ) -> dict[str, float]:
    """Two rounds: watch the rule, then act while it comments."""
    rng = np.random.default_rng([seed, 1])
    first = show(model, env, rule, steps // 2, 0.0, rng, 'watch the rule')
    imitate(model, first, 12, 1.5e-3, rng)
    second = show(model, env, rule, steps - steps // 2, 0.7, rng, 'follow the rule')
    both = Shown({name: np.concatenate([first.observation[name], second.observation[name]])
                  for name in first.observation},
                 np.concatenate([first.action, second.action]),
                 np.concatenate([first.returns, second.returns]))
    return imitate(model, both, 30, 1.5e-3, rng)
