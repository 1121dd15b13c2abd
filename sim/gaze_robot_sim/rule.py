"""A searcher written by hand: what PPO starts from, and the baseline it has to beat.

It knows what the policy knows, and no more: the estimator's peaks, the memory, the pose.
"""

import numpy as np

from gaze_robot.policy.actions import nearest_move
from gaze_robot.policy.observation import recognised, turn_to
from gaze_robot_sim.envs.seeing import SeeingBatch


class SearchRule:
    """Look at the best candidate; without a good one, look where it has not yet looked."""

    def __init__(self, worth: float = 0.1, sure: float = 0.4) -> None:
        """Set the thresholds.

        Args:
            worth: least candidate score that is better than looking somewhere new nearby; a third
                of it is better than looking far away.
            sure: least probability, neighbours included, at which what the near levels recognise
                is centred.
        """
        self.worth, self.sure = worth, sure

    def __call__(self, _: dict[str, np.ndarray], batch: SeeingBatch) -> np.ndarray:
        """One action (B,) for every eye."""
        observer, pose = batch.observer, batch.reported
        best = observer.memory.candidates(np.arange(batch.eyes), 1)[0]
        towards = np.stack([turn_to(best.pan_rad, pose[:, 0], batch.config.limits),
                            best.tilt_rad - pose[:, 1]], axis=1)
        weak = best.score < np.where(observer.new == 2, self.worth, self.worth / 3)
        towards = np.where((weak & (observer.new > 0))[:, None], observer.explore, towards)
        probability, offset = recognised(batch.peak, batch.pattern)
        return nearest_move(np.where((probability > self.sure)[:, None], offset, towards))
