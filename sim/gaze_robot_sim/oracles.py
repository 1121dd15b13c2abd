"""Scripted players of every task: one that knows the truth, one that draws lots, one that rests.

They act through the task's own moves, so what the best of them reaches is what a policy could.
"""

from collections.abc import Callable

import numpy as np

from gaze_robot.geometry import pan_tilt_from_direction, wrap_angle
from gaze_robot.policy.actions import MAX_STEP_RAD, MOVES, nearest_move, STAY
from gaze_robot_sim.envs.batch import EyeBatch

Player = Callable[[dict[str, np.ndarray], EyeBatch], np.ndarray]
"""Observation and simulator to actions, (B,) or (B, 2)."""

_JUMP_RAD = 0.1
"""What moves further than this in one step has not moved: it is something else, elsewhere."""


class Oracle:
    """Heads for where the target will be after this step; knows the truth, sees nothing."""

    def __init__(self) -> None:
        self._before = np.zeros((0, 2))

    def __call__(self, _: dict[str, np.ndarray], batch: EyeBatch) -> np.ndarray:
        """One action per eye."""
        goal = np.stack(pan_tilt_from_direction(batch.aim), axis=1)
        drift = np.zeros_like(goal)
        if len(self._before) == len(goal):
            drift = goal - self._before
            drift[:, 0] = wrap_angle(drift[:, 0])
            drift[(np.abs(drift) > _JUMP_RAD).any(axis=1) | (batch.steps == 0)] = 0.0
        self._before = goal
        limits = batch.config.limits
        goal = np.clip(goal + drift, limits.min_position, limits.max_position)
        return act(batch, goal - batch.reported)


def stay(_: dict[str, np.ndarray], batch: EyeBatch) -> np.ndarray:
    """Never moves."""
    return np.full(batch.eyes, STAY) if batch.config.discrete else np.zeros((batch.eyes, 2))


def random_policy(seed: int) -> Player:
    """Any move, at any time."""
    rng = np.random.default_rng(seed)

    def choose(_: dict[str, np.ndarray], batch: EyeBatch) -> np.ndarray:
        if batch.config.discrete:
            return rng.integers(len(MOVES), size=batch.eyes)
        return rng.uniform(-1, 1, (batch.eyes, 2))
    return choose


def act(batch: EyeBatch, towards: np.ndarray) -> np.ndarray:
    """The actions that come nearest to displacements (B, 2), radians."""
    if batch.config.discrete:
        return nearest_move(towards)
    return np.clip(towards / MAX_STEP_RAD, -1.0, 1.0)
