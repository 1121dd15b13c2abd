"""Whole demonstrations watched by a player, and what is to be said about its gaze.

E episodes   T steps of an episode, pause included
"""

from collections.abc import Callable
from dataclasses import dataclass
import math
from typing import Any

import numpy as np
import torch

from gaze_robot.policy.looking import LookingPolicy
from gaze_robot_sim.bcrl.batch import WatchBatch
from gaze_robot_sim.oracles import Oracle, Player, random_policy, stay

SETTLED_S = 1.0
"""Scores count from so long after an episode's, or a hand-over's, begin."""


@dataclass(frozen=True, eq=False)
class Watched:
    """What happened, step by step; the last row of an episode is its last view."""

    hand_error: np.ndarray
    """(E, T)."""

    gaze_error_rad: np.ndarray
    """(E, T) from the gaze to what matters; NaN where nobody knows."""

    pose: np.ndarray
    """(E, T, 2) radians."""

    hand_over: np.ndarray
    """(E,) the step from which something else matters, pause included; T: none."""


def learned(eye: LookingPolicy) -> Player:
    """The policy's most probable move."""
    tokens = eye.trunk.scene.in_features // eye.trunk.squeeze.out_features

    def choose(observation: dict[str, np.ndarray], _: object) -> np.ndarray:
        view = torch.from_numpy(observation['view']).unflatten(1, (tokens, -1))
        return eye.act(view, torch.from_numpy(observation['vector'])).numpy()
    return choose


def player_of(gaze: str, seed: int) -> Player:
    """A scripted gaze: oracle, random, or fixed (it never moves)."""
    players: dict[str, Player] = {'oracle': Oracle(), 'random': random_policy(seed), 'fixed': stay}
    return players[gaze]


def watch(batch: WatchBatch, player: Player, episodes: int,
          seen: Callable[[], Any] = lambda: None) -> Watched:
    """Run whole episodes, every eye from its own stream of plays."""
    rows: list[list[np.ndarray]] = [[], [], [], []]
    for _ in range(-(-episodes // batch.eyes)):
        batch.start(range(batch.eyes))
        observation = batch.look()
        steps: list[tuple[np.ndarray, ...]] = []
        for _ in range(batch.config.length):
            error = np.where(batch.present, batch.error_rad(), np.nan)
            steps.append((batch.hand_error.copy(), error, batch.pose.copy()))
            seen()
            batch.step(player(observation, batch))
            observation = batch.look()
        for row, values in zip(rows, zip(*steps)):
            row.append(np.stack(values, axis=1))
        rows[3].append(np.array([_hand_over(batch, eye) for eye in range(batch.eyes)]))
    return Watched(*(np.concatenate(row)[:episodes] for row in rows))


def _hand_over(batch: WatchBatch, eye: int) -> int:
    play = batch.play[eye]
    step = play.hand_over if play else None
    return batch.config.length if step is None else (
        batch.config.pause_steps + step - int(batch.begun[eye]))


def scores(watched: Watched, rate_hz: float, fovea_deg: float) -> dict[str, np.ndarray]:
    """Figures of each episode, (E,) each; NaN where it has none.

    hand_error, in_fovea and gaze_error_deg are means, and the median, of the steps from SETTLED_S
    on; switched whether the eye was on the new thing within SETTLED_S of a hand-over, and
    switch_s how long that took; drift_deg the gaze's mean move in a step once it is on target.
    """
    settled = round(SETTLED_S * rate_hz)
    error = np.degrees(watched.gaze_error_rad)
    inside = error <= fovea_deg / 2
    episodes, steps = error.shape
    after = watched.hand_over[:, None] + np.arange(settled + 1)
    handed = watched.hand_over + settled < steps
    there = np.take_along_axis(inside, np.minimum(after, steps - 1), axis=1)
    took = np.where(there.any(axis=1), there.argmax(axis=1) / rate_hz, np.nan)
    moved = np.degrees(np.linalg.norm(np.diff(watched.pose, axis=1), axis=2))
    still = inside[:, 1:] & inside[:, :-1]
    return {
        'hand_error': watched.hand_error[:, settled:].mean(axis=1),
        'in_fovea': np.where(np.isfinite(error), inside, np.nan)[:, settled:].mean(axis=1),
        'gaze_error_deg': np.median(error[:, settled:], axis=1),
        'switched': np.where(handed, there.any(axis=1), np.nan),
        'switch_s': np.where(handed, took, np.nan),
        'drift_deg': np.where(still.any(axis=1), (moved * still).sum(axis=1)
                              / np.maximum(still.sum(axis=1), 1), np.nan)}


def summary(rows: dict[str, np.ndarray]) -> dict[str, float]:
    """Means over episodes, and the median of gaze errors; None where there is nothing to mean."""
    out = {name: float(np.nanmean(values)) if np.isfinite(values).any() else math.nan
           for name, values in rows.items()}
    error = rows['gaze_error_deg']
    out['gaze_error_deg'] = float(np.nanmedian(error)) if np.isfinite(error).any() else math.nan
    return out
