"""Searches with known targets, scored: a policy beside honest baselines."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch

from gaze_robot.policy.actions import MOVES
from gaze_robot.policy.network import EyePolicy
from gaze_robot_sim.envs.search import SearchBatch

Chooser = Callable[[dict[str, np.ndarray], SearchBatch], np.ndarray]
"""Observation and simulator to (B,) discrete actions; baselines may look at the pose."""


def learned(eye: EyePolicy) -> Chooser:
    """The trained policy's most probable action."""
    def choose(observation: dict[str, np.ndarray], batch: SearchBatch) -> np.ndarray:
        return eye.act(torch.from_numpy(observation['tokens']),
                       torch.from_numpy(observation['vector'])).numpy()
    return choose


def run_episodes(batch: SearchBatch, choose: Chooser, episodes: int,
                 progress: Callable[[Iterable], Iterable] = iter) -> dict[str, np.ndarray]:
    """Run whole episodes and keep every step's error.

    Returns:
        {'error_deg': (episodes, steps + 1), 'start_deg': (episodes,)}
    """
    length = round(batch.config.episode_s * batch.config.rate_hz)
    errors = []
    for _ in progress(range(-(-episodes // batch.eyes))):
        batch.start(range(batch.eyes))
        rows = [np.degrees(batch.error_rad())]
        for _ in range(length):
            batch.step(choose(batch.look(), batch))
            rows.append(np.degrees(batch.error_rad()))
        errors.append(np.stack(rows, axis=1))
    error = np.concatenate(errors)[:episodes]
    return {'error_deg': error, 'start_deg': error[:, 0]}


def score(error_deg: np.ndarray, rate_hz: float, within_deg: float = 5.0, hold_s: float = 0.5
          ) -> dict[str, float]:
    """Summarise searches.

    Args:
        error_deg: (episodes, steps + 1).
        hold_s: a search succeeds if its last `hold_s` are all within `within_deg`: it has arrived
            and stays, inside the time allowed.
    """
    hold = max(1, round(hold_s * rate_hz))
    near = error_deg <= within_deg
    success = near[:, -hold:].all(axis=1)
    # Arrival: the first step after which the gaze never leaves again.
    left = np.where(~near, np.arange(near.shape[1])[None], -1).max(axis=1)
    times = (left[success] + 1) / rate_hz
    return {'n': len(error_deg), 'success_rate': float(success.mean()),
            'median_error_deg': float(np.median(error_deg[:, -1])),
            'median_time_s': float(np.median(times)) if success.any() else float('nan')}
