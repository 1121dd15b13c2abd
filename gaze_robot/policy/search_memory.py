"""What an eye remembers of a search: how far it has looked, what it is on its way to, and what it
looked at and found to be something else (inhibition of return; Klein, 'Inhibition of return',
2000). Places are (pan, tilt) in radians, base frame.

B eyes   P joints that tell the phase of the task
"""

import math

import numpy as np

from gaze_robot.geometry import wrap_angle

SEEN_RAD = math.radians(12.0)
"""What is this near to the gaze is seen well enough to be judged, by its colours."""
END_RAD = math.radians(95.0)
"""A search goes this far to the left and right, then begins anew."""
_SAME_RAD = math.radians(15.0)
"""Places this near to each other are of one thing."""
_ALIKE_RAD = 1e-4
"""Distances this near to each other are the same: they come as float32 and as float64. A rule for
which they were not went the other way than its eye was told in a sixth of its searching moves."""
HEEDLESS = 0.4
"""Attention below this share of what it was: dismissed."""
DOUBTS = 4
"""So many more of such glances than of others, before it is, where hands judge shapes: one in
fifteen of their verdicts on the right thing is wrong, and an eye comes near it in ten glances or
so. A head swings: an eye that counted such glances in a row stayed for 10 seconds at what its hand
was sure is something else."""
_PLACES = 8
"""Dismissed ones remembered; then the oldest is forgotten."""
_NOWHERE_RAD = 1e3
"""Pan and tilt of a place that is far from all others."""
_PATIENCE = 25
"""Glances; what the eye has not come near by then is out of its reach, or cannot be judged."""
FAR_PATIENCE = 50
"""The same where what is wanted may be out of view: a head turns half round in it."""
_ASIDE_RAD = math.radians(45.0)
"""Attention to what is so far from the gaze counts for less by `aside`."""
REMEMBERED = 0.8
"""What was seen before counts for this much of what is seen now."""
SURVEY = 18
"""Glances, at most, in which an eye that recalls looks around before it settles: what it sees then
it need not search for when its task comes to another phase."""
_SURVEY_RAD = math.radians(55.0)
"""So far to the left and right: things 30 degrees from the gaze are found among past glances."""
_CLEARLY, _WORTH_IT = 0.25, 0.5
"""Attention from which a past glance is worth going back to, and by how much at least: an eye that
was told as much as 0.8 times that attention, where its rule goes back from 0.55 on, hesitated for
a second in the middle between both."""
_PHASE = 0.5
"""A joint that tells the phase and moves this much, over its spread, asks for something else."""


class SearchMemory:
    """Of B eyes."""

    def __init__(self, eyes: int, phase: int = 0,
                 ends: tuple[float, float] = (-END_RAD, END_RAD), doubts: int = 1,
                 seen_rad: float = SEEN_RAD, patience: int = _PATIENCE,
                 heedless: float = HEEDLESS, aside: float = 0.0, survey: int = 0) -> None:
        """Remember nothing.

        Args:
            phase: P.
            ends: least and greatest pan to search, which the eye can look along.
            doubts: how many more glances have to have what was attended to hardly than have it,
                until it is dismissed.
            seen_rad: what is this near to the gaze is seen well enough to be judged.
            patience: glances in which the eye has to come near what is wanted.
            heedless: the share of the most attention it had, below which it is hardly attended to.
            aside: by how much, 0 to 1, attention far from the gaze counts for less: tokens there
                are 20 degrees wide, and what they show is that far from where it seems.
            survey: glances, at most, in which an eye looks around, and wants nothing, before it is
                asked to `recall` what was best.
        """
        self._most, self._seen_rad, self._patience = doubts, seen_rad, patience
        self._heedless, self._aside, self._survey = heedless, aside, survey
        self._recalls = survey > 0
        self._ends = max(ends[0], -END_RAD), min(ends[1], END_RAD)
        self._around = max(ends[0], -_SURVEY_RAD), min(ends[1], _SURVEY_RAD)
        self._explored = np.zeros((eyes, 2))
        """(B, 2) least and greatest pan looked along in this search."""
        self._begun = np.zeros(eyes, bool)
        self._surveyed = np.zeros(eyes, int)
        """(B,) glances in which an eye has looked around; one more than there are to be: it has
        recalled what it saw."""
        self._phase = np.zeros((eyes, phase))
        self._dismissed = np.full((eyes, _PLACES, 2), _NOWHERE_RAD)
        self._recalled = [(np.zeros((0, 2)), np.zeros(0))] * eyes
        """Of each eye, places (K, 2) that it recalls, and what they are worth (K,)."""
        self._remembers = np.zeros(eyes, bool)
        """(B,) whether what is wanted is recalled, and not seen again yet."""
        self._wanted = np.zeros((eyes, 2))
        self._heed = np.zeros(eyes)
        self._age = np.zeros(eyes, int)
        self._doubts = np.zeros(eyes, int)

    def reset(self, eyes: np.ndarray) -> None:
        """Some eyes begin another search."""
        self._begun[eyes], self._surveyed[eyes] = False, 0

    def take(self, eyes: np.ndarray, gaze: np.ndarray, place: np.ndarray, heed: np.ndarray,
             phase: np.ndarray, told: np.ndarray | None = None) -> None:
        """Take note of a glance.

        Args:
            eyes: (len(eyes),) whose.
            gaze: (len(eyes), 2).
            place: (len(eyes), 2) of what the hand attended to.
            heed: (len(eyes),) how much of its attention.
            phase: (len(eyes), P) joints over their spread.
            told: (len(eyes),) bool: whether what was attended to was judged; None: wherever it is
                seen well.
        """
        self.renew(eyes, gaze, phase)
        self._follow(eyes, gaze, place, heed, np.ones(len(eyes), bool) if told is None else told)
        around = eyes[self.surveys(eyes)]
        self._heed[around], self._age[around] = 0.0, 0
        self._surveyed[around] += 1

    def renew(self, eyes: np.ndarray, gaze: np.ndarray, phase: np.ndarray) -> np.ndarray:
        """Forget what is of another episode, or phase, or of a search that found nothing; `take`
        does so first.

        Returns:
            (len(eyes),) bool: whose.
        """
        anew = ~self._begun[eyes] | (abs(phase - self._phase[eyes]) > _PHASE).any(axis=1)
        self._phase[eyes] = np.where(anew[:, None], phase, self._phase[eyes])
        explored = self._explored[eyes]
        explored[:, 0] = np.minimum(explored[:, 0], gaze[:, 0])
        explored[:, 1] = np.maximum(explored[:, 1], gaze[:, 0])
        # All of it, and nothing found: perhaps something was dismissed too soon.
        anew |= self._settled(eyes) & (explored[:, 0] <= self._ends[0]) & (
            explored[:, 1] >= self._ends[1])
        explored[anew] = gaze[anew, :1]
        self._explored[eyes], self._begun[eyes] = explored, True
        gone = eyes[anew]
        self._doubts[gone] = 0
        self._dismissed[gone], self._heed[gone] = _NOWHERE_RAD, 0.0
        self._remembers[gone] = False
        for eye in gone:
            self._recalled[eye] = np.zeros((0, 2)), np.zeros(0)
        return anew

    def asks_anew(self, eyes: np.ndarray, phase: np.ndarray) -> np.ndarray:
        """(len(eyes),) bool: who is to `recall`: whose task has come to another phase since its
        last glance, or who has looked around.
        """
        moved = (abs(phase - self._phase[eyes]) > _PHASE).any(axis=1)
        return self._begun[eyes] & (moved | ~(self._settled(eyes) | self.surveys(eyes)))

    def _settled(self, eyes: np.ndarray) -> np.ndarray:
        """(len(eyes),) bool: which have looked around, if they are to, and recalled that."""
        return (self._surveyed[eyes] > self._survey) | (self._survey == 0)

    def settle(self, eyes: np.ndarray) -> None:
        """Some eyes do not look around."""
        self._surveyed[eyes] = self._survey + 1

    def surveys(self, eyes: np.ndarray) -> np.ndarray:
        """(len(eyes),) bool: which still look around."""
        least, most = self._explored[eyes].T
        return (self._surveyed[eyes] < self._survey) & (
            (least > self._around[0]) | (most < self._around[1]))

    def recall(self, eye: int, gaze: np.ndarray, phase: np.ndarray, gazes: np.ndarray,
               places: np.ndarray, heed: np.ndarray, told: np.ndarray | None = None) -> int:
        """Begin a search of another phase with what past glances show, asked anew.

        What was in the corner of the eye is not wanted if another glance shows it well, and it is
        something else there.

        Args:
            gaze, phase: (2,) and (P,), now.
            gazes: (K, 2) of the past glances.
            places, heed, told: (K, 2), (K,), (K,) of what the hand would attend to; see `take`.

        Returns:
            Which of them shows best what is wanted now.
        """
        one = np.array([eye])
        self.settle(one)
        self.renew(one, gaze[None], phase[None])
        near = _apart(gazes[:, None], places) < self._seen_rad                      # (K, K)
        same = _apart(places[:, None], places) < _SAME_RAD
        here = np.where(same, heed[:, None], 0.0)
        judged = near if told is None else near & told[:, None]
        refuted = (judged & (here < self._heedless * heed)).any(axis=0)
        gone = places[refuted][np.argsort(-heed[refuted])][:_PLACES]
        self._dismissed[eye, :len(gone)] = gone
        worth = np.where(refuted, 0.0, self._worth(gazes, places, heed))
        best = int(worth.argmax())
        self._recalled[eye] = places, REMEMBERED * worth
        self._wanted[eye], self._heed[eye] = places[best], REMEMBERED * worth[best]
        self._remembers[eye], self._age[eye] = True, 0
        least, most = gazes[:, 0].min(), gazes[:, 0].max()
        if least > self._ends[0] or most < self._ends[1]:   # all of it: look along it once more
            self._explored[eye] = min(least, gaze[0]), max(most, gaze[0])
        return best

    def comes(self, eyes: np.ndarray, gaze: np.ndarray, place: np.ndarray) -> np.ndarray:
        """(len(eyes),) bool: whether that place is wanted and not seen well yet."""
        return self.at(eyes, place) & (_apart(gaze, place) >= self._seen_rad)

    def _follow(self, eyes: np.ndarray, gaze: np.ndarray, place: np.ndarray, heed: np.ndarray,
                told: np.ndarray) -> None:
        """Choose what to look at: of what was attended to, the nearest to certain."""
        heed = self._worth(gaze, place, heed)
        wanted, wish = self._wanted[eyes], self._heed[eyes]
        same = _apart(place, wanted) < _SAME_RAD
        # What is attended to while it is seen well is that, whatever was thought before.
        known = self.dismissed(eyes, place) & (_apart(gaze, place) > self._seen_rad)
        here = np.where(same & ~known, heed, 0.0)
        near = _apart(gaze, wanted) < self._seen_rad
        age = np.where(near & (told | ~same), 0, self._age[eyes] + 1)
        doubt = near & (here < self._heedless * wish)
        doubts = np.maximum(self._doubts[eyes] + np.where(doubt, 1, -(near & told).astype(int)), 0)
        away = (doubts >= self._most) | (age > self._patience)
        for row in np.flatnonzero(away & (wish > 0)):
            eye = eyes[row]
            self._dismissed[eye] = np.roll(self._dismissed[eye], 1, axis=0)
            self._dismissed[eye, 0] = wanted[row]
        wish = np.where(away | (self.dismissed(eyes, wanted) & ~near), 0.0, wish)
        self._remembers[eyes[away]] = False
        for row in np.flatnonzero(away):                # on to the next best that is remembered
            places, worth = self._recalled[eyes[row]]
            worth = np.where(self.dismissed(np.full(len(worth), eyes[row]), places), 0.0, worth)
            if worth.max(initial=0.0) > 0:
                wanted[row], wish[row] = places[worth.argmax()], worth.max()
                away[row], age[row], doubts[row] = False, 0, 0
                self._remembers[eyes[row]] = True
        same = _apart(place, wanted) < _SAME_RAD
        take = ~known & ((same & ~away & (heed > 0)) | (heed > wish))
        self._remembers[eyes[take]] = False
        for row in np.flatnonzero(take & same & near & told & self._recalls
                                  & (_apart(gaze, place) < self._seen_rad)
                                  & (heed >= self._heedless * wish)):
            gone = self._dismissed[eyes[row]]           # by a glance from afar, off by so much
            gone[_apart(gone, place[row]) < _SAME_RAD] = _NOWHERE_RAD
        self._age[eyes] = np.where(take & ~same, 0, age)
        self._doubts[eyes] = np.where(away | (take & ~same), 0, doubts)
        self._wanted[eyes] = np.where(take[:, None], place, wanted)
        self._heed[eyes] = np.where(take, np.where(same, np.maximum(heed, wish), heed), wish)

    def _worth(self, gaze: np.ndarray, place: np.ndarray, heed: np.ndarray) -> np.ndarray:
        """(rows,) attention, less far from the gaze."""
        return heed * (1.0 - self._aside * np.minimum(_apart(gaze, place) / _ASIDE_RAD, 1.0))

    def at(self, eyes: np.ndarray, place: np.ndarray) -> np.ndarray:
        """(len(eyes),) bool: whether that place is of what is wanted."""
        return (self._heed[eyes] > 0) & (_apart(place, self._wanted[eyes]) < _SAME_RAD)

    def dismissed(self, eyes: np.ndarray, place: np.ndarray) -> np.ndarray:
        """(len(eyes),) bool: whether that place was looked at and is something else."""
        same = _apart(self._dismissed[eyes], place[:, None]) < _SAME_RAD
        return np.any(same, axis=1)

    def wanted(self, eyes: np.ndarray, gaze: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What to look at: (len(eyes), 2) from the gaze, and the most attention it had, 0 to 1;
        what is recalled, if it had some, is well worth going back to.
        """
        away = self._wanted[eyes] - gaze                    # never behind: heads do not turn there
        heed = self._heed[eyes]
        clear = self._remembers[eyes] & (heed > REMEMBERED * _CLEARLY)
        return away * (heed > 0)[:, None], np.where(
            clear, _WORTH_IT + (1.0 - _WORTH_IT) * heed, heed)

    def frontier(self, eyes: np.ndarray, gaze: np.ndarray) -> np.ndarray:
        """(len(eyes),) pan from the gaze to the nearest end of what was looked along, and a step
        beyond; towards that end of the table which is nearer where both are as far.
        """
        pan, (least, most) = gaze[:, 0], self._explored[eyes].T
        around = self.surveys(eyes)
        first, last = (np.where(around, *ends) for ends in zip(self._around, self._ends))
        right = np.where(least > first, pan - least, np.inf)
        left = np.where(most < last, most - pan, np.inf)
        alike = np.isclose(left, right, rtol=0, atol=_ALIKE_RAD)
        leftwards = np.where(alike, pan >= 0, left < right)
        return np.where(leftwards, left + SEEN_RAD, -right - SEEN_RAD)


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Between (pan, tilt) and (pan, tilt), (..., 2) radians."""
    return np.hypot(wrap_angle(a[..., 0] - b[..., 0]), a[..., 1] - b[..., 1])
