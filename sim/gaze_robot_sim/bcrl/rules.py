"""What an eye imitates before PPO. Rules know no truth about where things are.

B eyes
"""

from typing import Any

import numpy as np

from gaze_robot.policy.actions import MAX_STEP_RAD
from gaze_robot.policy.search_memory import SEEN_RAD
from gaze_robot_sim.bcrl.batch import WatchBatch

_GENTLY = 0.6
"""Share of the way to what is near that an eye goes at once: places are known to a token."""
_PLACES = 3
"""Of fine detail at which a seeking eye peeks in each step."""
_WORTH = 0.7
"""A place is worth a look where the hand's error is less than this share of the greatest."""
_AS_GOOD = 1.1
"""An eye goes on to where the error is at most so many times the least."""


class Follow:
    """Turn to what the hand wants to see, gently where it is near; while it wants nothing enough,
    on to where the eye has not looked yet. Knows no more than `SearchMemory` does.
    """

    def __init__(self, level_rad: float = 0.0, found: float = 0.9) -> None:
        """Remember nothing.

        Args:
            level_rad: tilt of what has not been looked at yet.
            found: least share of attention on what is wanted enough.
        """
        self._level_rad, self._found = level_rad, found

    def __call__(self, _: dict[str, np.ndarray], batch: WatchBatch) -> np.ndarray:
        """Moves (B, 2) in [-1, 1]."""
        return np.clip(self._turn(batch)[0] / MAX_STEP_RAD, -1.0, 1.0)

    def _turn(self, batch: WatchBatch) -> tuple[np.ndarray, np.ndarray]:
        """(B, 2) radians from the gaze, and which eyes (B,) have nothing to turn to."""
        eyes, gaze = np.arange(len(batch.reported)), batch.reported
        wanted, wish = batch.glances.search.wanted(eyes, gaze)
        near = np.linalg.norm(wanted, axis=1) < SEEN_RAD
        wanted *= np.where(near, _GENTLY, 1.0)[:, None]
        onwards = np.stack([batch.glances.search.frontier(eyes, gaze),
                            self._level_rad - gaze[:, 1]], axis=1)
        lost = wish < self._found
        return np.where(lost[:, None], onwards, wanted), lost


class Seek(Follow):
    """The same, but an eye that has nothing to turn to peeks at fine detail, and turns to it where
    the hand is right about what is demonstrated and elsewhere is not: to a sign that says where to
    go. It stays until the hand knows without.

    It is the reward of PPO that it maximises, by looking ahead; PPO's small steps hardly come upon
    a sign 30 degrees away. For workspaces in physics, where looking ahead costs a picture.
    """

    def __init__(self, level_rad: float = 0.0, found: float = 0.9) -> None:
        super().__init__(level_rad, found)
        self._going = np.zeros((0, 2))
        """(B, 2) radians, where each eye went to last; NaN: nowhere."""

    def __call__(self, _: dict[str, np.ndarray], batch: WatchBatch) -> np.ndarray:
        """Moves (B, 2) in [-1, 1]."""
        live: Any = batch
        turn, lost = self._turn(batch)
        if len(self._going) != len(lost):
            self._going = np.full((len(lost), 2), np.nan)
        self._going[~lost] = np.nan
        eyes = np.flatnonzero(lost)
        if len(eyes):
            here, gone = batch.reported[eyes], self._going[eyes]
            detail = np.stack([live.detailed(eye, batch.random[eye], _PLACES)
                               for eye in eyes.tolist()], axis=1)
            places = np.stack([np.where(np.isnan(gone), detail[0], gone), *detail])
            errors = np.stack([live.peek(eyes, at) for at in (*places, here + turn[eyes])])
            best, rows = errors[:-1].argmin(axis=0), np.arange(len(eyes))
            best[errors[0] <= _AS_GOOD * errors[best, rows]] = 0
            worth = errors[best, rows] < _WORTH * np.maximum(errors.max(axis=0),
                                                             batch.hand_error[eyes])
            self._going[eyes] = np.where(worth[:, None], places[best, rows], np.nan)
            turn[eyes] = np.where(worth[:, None], places[best, rows] - here, turn[eyes])
        return np.clip(turn / MAX_STEP_RAD, -1.0, 1.0)
