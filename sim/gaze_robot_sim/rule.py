"""A searcher written by hand: what PPO starts from, and the baseline it has to beat.

It knows what the policy knows, and no more: the estimator's peaks, the memory, the pose.
"""

import math

import numpy as np

from gaze_robot.policy.actions import MAX_STEP_RAD, MOVES, STAY
from gaze_robot.policy.observation import turn_to
from gaze_robot_sim.envs.search import SearchBatch

_NONE = 3.1
"""Turns of this many radians or more mean: nothing new on that side."""


def nearest_move(towards: np.ndarray) -> np.ndarray:
    """The discrete moves (B,) that come nearest to displacements (B, 2), radians."""
    size = np.linalg.norm(towards, axis=1, keepdims=True)
    reach = np.linalg.norm(MOVES, axis=1).max()
    wanted = towards * np.minimum(1.0, reach / np.maximum(size, 1e-9))
    move = np.linalg.norm(MOVES[None] - wanted[:, None], axis=2).argmin(axis=1)
    return np.where(size[:, 0] < 1e-9, STAY, move)


class SearchRule:
    """Look at the best candidate; without a good one, look where it has not yet looked.

    First within `near_rad` to either side of where the search began, then everywhere, then at
    what is left of the candidates.
    """

    def __init__(self, worth: float = 0.06, sure: float = 0.3, near_rad: float = math.radians(95)
                 ) -> None:
        """Set the thresholds.

        Args:
            worth: least candidate score that is better than looking somewhere new.
            sure: least probability at which the fovea's own peak is centred.
            near_rad: how far from the first gaze it looks for something new first.
        """
        self.worth, self.sure, self.near_rad = worth, sure, near_rad

    def __call__(self, _: dict[str, np.ndarray], batch: SearchBatch) -> np.ndarray:
        """One action (B,) for every eye."""
        eyes = np.arange(batch.eyes)
        memory, pose = batch.observer.memory, batch.pose
        best = memory.candidates(eyes, 1)[0]
        towards = np.stack([turn_to(best.pan_rad, pose[:, 0], batch.config.limits),
                            best.tilt_rad - pose[:, 1]], axis=1)
        explore, new = self._explore(batch, eyes)
        weak = best.score < np.where(new == 2, self.worth, self.worth / 3)
        towards = np.where((weak & (new > 0))[:, None], explore, towards)
        seen = batch.peak.probability[:, 0] > self.sure
        towards = np.where(seen[:, None], batch.peak.offset_rad[:, 0], towards)
        return nearest_move(towards)

    def _explore(self, batch: SearchBatch, eyes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(B, 2) way to somewhere new, and whether that is near (2), far (1) or nowhere (0)."""
        pose = batch.pose
        left, right = batch.observer.memory.frontier(pose, eyes, batch.config.limits).T[:2]
        away = pose[:, 0] - batch.observer.first[:, 0]
        near_left = (left < _NONE) & (away + left < self.near_rad)
        near_right = (right < _NONE) & (right - away < self.near_rad)
        go_left = np.where(near_left & near_right, left <= right,
                           np.where(near_left | near_right, near_left, left <= right))
        # No more than one move sideways: levelling the gaze on the way must not be drowned out.
        turn = np.clip(np.where(go_left, left, -right), -MAX_STEP_RAD, MAX_STEP_RAD)
        new = np.where(near_left | near_right, 2, (np.minimum(left, right) < _NONE).astype(int))
        return np.stack([turn, -pose[:, 1]], axis=1), new
