"""What an eye imitates before PPO. Rules know no truth about where things are.

B eyes
"""

import numpy as np

from gaze_robot.policy.actions import MAX_STEP_RAD
from gaze_robot.policy.search_memory import SEEN_RAD
from gaze_robot_sim.bcrl.batch import WatchBatch

_GENTLY = 0.6
"""Share of the way to what is near that an eye goes at once: places are known to a token."""
_PLACES = 3
"""That stand out, at which a seeking eye peeks in each step."""
_WORTH = 0.7
"""A place is worth a look where the hand's error is less than this share of the greatest."""
_AS_GOOD = 1.1
"""An eye stays where the error is at most so many times the least."""


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
    """The same, but an eye that has nothing to turn to peeks at places that stand out, and turns
    to where the hand is most right about what is demonstrated: to a sign that says where to go.

    It is the reward of PPO that it maximises, by looking ahead; PPO's small steps hardly come upon
    a sign 30 degrees away. For workspaces in physics, where looking ahead costs a picture.
    """

    def __init__(self, level_rad: float = 0.0, found: float = 0.9) -> None:
        super().__init__(level_rad, found)
        self._going: np.ndarray | None = None
        """(B, 2) radians, where each eye went to last; NaN: nowhere."""

    def __call__(self, _: dict[str, np.ndarray], batch: WatchBatch) -> np.ndarray:
        """Moves (B, 2) in [-1, 1]."""
        peek = batch.peek                                       # type: ignore[attr-defined]
        turn, lost = self._turn(batch)
        if self._going is None or len(self._going) != len(lost):
            self._going = np.full((len(lost), 2), np.nan)
        self._going[~lost] = np.nan
        eyes = np.flatnonzero(lost)
        if len(eyes):
            here = batch.reported[eyes]
            places = [here, np.where(np.isnan(self._going[eyes]), here, self._going[eyes]),
                      *np.stack([batch.salient(eye, batch.random[eye], _PLACES)
                                 for eye in eyes.tolist()], axis=1)]
            errors = np.stack([batch.hand_error[eyes], *(peek(eyes, at) for at in places[1:])])
            least = errors.min(axis=0)
            best = np.where(errors[0] <= _AS_GOOD * least, 0, errors.argmin(axis=0))
            to = np.stack(places)[best, np.arange(len(eyes))]
            worth = least < _WORTH * errors.max(axis=0)
            self._going[eyes] = np.where(worth[:, None], to, np.nan)
            turn[eyes] = np.where(worth[:, None], to - here, turn[eyes])
        return np.clip(turn / MAX_STEP_RAD, -1.0, 1.0)
