"""Start PPO from a rule: imitate a hand-written searcher before exploring.

From scratch PPO finds the way to a visible target in 40,000 steps and the habit of looking around
for an invisible one only after several hundred thousand. A rule that knows what the policy knows
shows it in 20,000; PPO then improves on the rule.

T steps   E eyes
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from stable_baselines3 import PPO
import torch
from tqdm import tqdm

from gaze_robot.policy.actions import MAX_STEP_RAD, MOVES
from gaze_robot_sim.envs.vec import GazeVecEnv

Rule = Callable[[dict[str, np.ndarray], Any], np.ndarray]
"""Observation and simulator to moves: their numbers, or (B, 2) in [-1, 1]."""


@dataclass(frozen=True, eq=False)
class Shown:
    """What the rule did."""

    observation: dict[str, np.ndarray]
    """Each (T * E, ...), float16 or uint8."""

    action: np.ndarray
    """(T * E,) integers or (T * E, 2) in [-1, 1]."""

    returns: np.ndarray
    """(T * E,) discounted rewards from there to the episode's end, and the value there."""


def discounted(rewards: np.ndarray, dones: np.ndarray, values: np.ndarray, gamma: float
               ) -> np.ndarray:
    """Discounted rewards from each step to the end of its episode.

    Args:
        rewards: (T, E) of each step.
        dones: (T, E) whether an episode ends with the step.
        values: (T, E) of what is seen after each step, before a restart; only those where an
            episode ends, and of the last step, are used. An episode cut off by the clock goes on
            after its end as far as values are concerned, as in PPO.

    Returns:
        (T, E).
    """
    returns = np.zeros_like(values)
    following = values[-1]
    for step in reversed(range(len(rewards))):
        following = rewards[step] + gamma * np.where(dones[step], values[step], following)
        returns[step] = following
    return returns


def show(model: PPO, env: GazeVecEnv, rule: Rule, steps: int, own_share: float,
         rng: np.random.Generator, title: str) -> Shown:
    """Run the rule and keep what it saw and did.

    Args:
        steps: of all eyes together.
        own_share: share of eyes that follow the policy instead while the rule comments (DAgger,
            Ross et al. 2011): what the policy's own mistakes lead to is seen as well.
    """
    batch: Any = env.batch
    discrete = batch.config.discrete
    rows: dict[str, list[np.ndarray]] = {}
    actions, rewards, dones = [], [], []
    ends: list[dict[str, np.ndarray]] = []
    observation = env.reset()
    own = rng.random((env.num_envs,)) < own_share
    for _ in tqdm(range(max(1, steps // env.num_envs)), desc=title, unit='step', mininterval=1):
        advice = rule(observation, batch)
        label = advice if discrete or advice.dtype.kind == 'f' else MOVES[advice] / MAX_STEP_RAD
        for name, value in observation.items():
            rows.setdefault(name, []).append(
                value.astype(np.float16) if value.dtype.kind == 'f' else value)
        actions.append(label)
        acted = label.copy()
        if own.any():
            acted[own] = model.predict(observation, deterministic=False)[0][own]
        env.step_async(acted)
        observation, reward, done, infos = env.step_wait()
        rewards.append(reward)
        dones.append(done.copy())
        ends.extend(infos[eye]['terminal_observation'] for eye in np.nonzero(done)[0])
    over = np.array(dones)
    values = np.zeros(over.shape, np.float32)
    values[-1] = _values(model, observation)
    if ends:
        values[over] = _values(model, {name: np.stack([end[name] for end in ends])
                                       for name in observation})
    return Shown({name: np.concatenate(value) for name, value in rows.items()},
                 np.concatenate(actions),
                 discounted(np.array(rewards), over, values, model.gamma).ravel())


def _values(model: PPO, observation: dict[str, np.ndarray]) -> np.ndarray:
    """(E,) what the critic expects from there on."""
    with torch.no_grad():
        values = model.policy.predict_values(model.policy.obs_to_tensor(observation)[0])
    return values.cpu().numpy()[:, 0]


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
