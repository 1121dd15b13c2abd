"""A searcher written by hand: what PPO starts from, and the baseline it has to beat.

It knows what the policy knows, and no more: the estimator's peaks, the memory, the pose.
"""

import numpy as np

from gaze_robot.policy.actions import nearest_move
from gaze_robot_sim.envs.seeing import SeeingBatch


class SearchRule:
    """Look at one candidate after the other, the best first, and at places not yet seen while none
    is good; settle on the best of all.
    """

    def __call__(self, _: dict[str, np.ndarray], batch: SeeingBatch) -> np.ndarray:
        """One action (B,) for every eye."""
        return nearest_move(batch.observer.goal)
