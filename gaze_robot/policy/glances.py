"""What the eye of BC-RL knows beside its view: gaze, joints, task, last glances and search.

Where the hand's attention was counts as seen: the eye learns to follow it, or not to.

B eyes   L levels   N tokens   J joints   G task   V length of the vector
"""

from collections.abc import Sequence
import math

import numpy as np

from gaze_robot.errors import ConfigError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.geometry import pan_tilt_from_direction, wrap_angle
from gaze_robot.policy.actions import MAX_STEP_RAD
from gaze_robot.policy.search_memory import (
    DOUBTS,
    END_RAD,
    FAR_PATIENCE,
    HEEDLESS,
    SearchMemory,
    SEEN_RAD,
    SURVEY,
)

WINDOW = 10
"""Glances remembered, the newest first."""

_OF_A_GLANCE = 6
"""Numbers for each: gaze and attended place, relative to the gaze now; attention there; and
whether there was such a glance."""
_OF_THE_SEARCH = 6
"""What is wanted, near and far, and how much; and where to go on where nothing is."""
_AROUND_RAD, _AROUND_TOKENS = math.radians(12.0), 1.5
"""Attention this near to its peak is to the same thing: 12 degrees, and a token and a half of the
peak's level, so that of four tokens that share a thing none is left out."""
_WHOLE = 0.85
"""Share of the fovea's half within which things are in it as a whole, and their shapes judged."""
SURE_OF_END = 0.5
"""A hand that foresees is sure of a pan from this length of `HandOutput.foreseen` on. On unseen
tables it is at nine in ten glances within 8 degrees of a sign that it has to read, and right in
99 of 100; at three in ten of those elsewhere, before the arm has set out."""
_MEAN_OF = 2
"""Glances, about, that `HandOutput.foreseen` is averaged over: what tells does so twice."""
_READING = 26
"""Glances, in one phase of a task, for which the eye stays where its hand became sure of an end
that is out of view: an arm that has set out by then tells, too. Of 48 episodes of reading, 9 ended
at the wrong place with 15 of them, 2 with 24; with 32, 5 of 48 others."""
_SEEN = 0.3
"""Attention from which something is seen ..."""
_FITS_RAD = math.radians(25.0)
"""... and is what a task will end at, this near to where that is foreseen."""
_PARTICULAR, _ASIDE = 0.75, 0.3
"""`heedless` and `aside` of eyes that recall: as they know where else to look, they are sooner
done with look-alikes. Of 192 demonstrations they kept the thing in the fovea for 96 % of the time
with these, for 94 % with 0.4 and 0."""
_SCALES = (0.15, 0.6)
"""Angles, radians, at which tanh resolves an offset: near ones finely, far ones coarsely."""


def vector_size(pattern: FoveationPattern, joints: int, task: int) -> int:
    """V."""
    return 2 + joints + task + pattern.levels * 3 + 5 + _OF_THE_SEARCH + WINDOW * _OF_A_GLANCE


def token_places(pattern: FoveationPattern) -> np.ndarray:
    """(N, 2) radians (pan, tilt) of each token's centre from the gaze: left and down positive."""
    rows = []
    for level, across in enumerate(pattern.tokens_across):
        steps = np.arctan(((np.arange(across) + 0.5) / across * 2 - 1)
                          * pattern.half_tangent(level))
        down, right = np.meshgrid(steps, steps, indexing='ij')
        rows.append(np.stack([-right, down], axis=-1).reshape(-1, 2))
    return np.concatenate(rows)


class AttentionReader:
    """Where the hand's attention is, in numbers."""

    def __init__(self, pattern: FoveationPattern) -> None:
        self.pattern = pattern
        self.places = token_places(pattern)
        self._ends = np.cumsum((0, *pattern.tokens_per_level))
        self._around = np.repeat(
            [max(_AROUND_RAD, _AROUND_TOKENS * 2 * math.atan(pattern.half_tangent(level)) / across)
             for level, across in enumerate(pattern.tokens_across)], pattern.tokens_per_level)
        """(N,) around each token, see `_AROUND_RAD`."""

    def summary(self, attention: np.ndarray) -> np.ndarray:
        """(B, L, 3): of each level its share, and the mean place within it, (pan, tilt) radians
        from the gaze; (0, 0) where it has none.
        """
        out = np.zeros((len(attention), self.pattern.levels, 3))
        for level, (first, last) in enumerate(zip(self._ends, self._ends[1:])):
            part = attention[:, first:last]
            share = part.sum(axis=1)
            out[:, level, 0] = share
            out[:, level, 1:] = part @ self.places[first:last] / np.maximum(share, 1e-6)[:, None]
        return out

    def maps(self, attention: np.ndarray) -> tuple[np.ndarray, ...]:
        """(N,) as pictures: one (across, across) per level, the sharpest first."""
        return tuple(attention[first:last].reshape(across, across) for first, last, across in zip(
            self._ends, self._ends[1:], self.pattern.tokens_across))

    def peak(self, attention: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The token with most of it: its place (B, 2) radians from the gaze, its share (B,)."""
        best = attention.argmax(axis=1)
        return self.places[best], attention[np.arange(len(best)), best]

    def focus(self, attention: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is attended to most: (B, 2) radians from the gaze, the mean place of attention
        around its peak, which is finer than tokens are; and the share (B,) that is there.
        """
        best = attention.argmax(axis=1)
        near = np.linalg.norm(self.places - self.places[best][:, None], axis=2
                              ) < self._around[best][:, None]
        part = attention * near
        share = part.sum(axis=1)
        return part @ self.places / np.maximum(share, 1e-6)[:, None], share

    def centred(self, attention: np.ndarray) -> np.ndarray:
        """(B,) in [0, 1]: how much attention there is, times how near to the middle of the fovea
        its mean place is, whichever levels show what is attended to.
        """
        reach, share = math.atan(self.pattern.half_tangent(0)), attention.sum(axis=1)
        place = attention @ self.places / np.maximum(share, 1e-6)[:, None]
        return share * np.maximum(0.0, 1.0 - np.linalg.norm(place, axis=1) / reach)


class Glances:
    """Builds the vector (B, V) of B eyes and remembers what they looked at."""

    def __init__(self, eyes: int, pattern: FoveationPattern, joints: int, task: int,
                 phase: Sequence[int] = (), ends: tuple[float, float] = (-END_RAD, END_RAD),
                 shapes: bool = False, foresees: bool = False, recalls: bool = False) -> None:
        """Make eyes that have seen nothing.

        Args:
            phase: numbers of the joints that tell the phase of the task, as `HandConfig.phase`.
            ends: least and greatest pan that the eye can look along.
            shapes: whether the hand judges them, as `HandConfig.shapes`.
            foresees: whether it does, as `HandConfig.foresees`.
            recalls: whether the eye does, as `hand_eye.HandEye.recalls`.

        Raises:
            ConfigError: no eyes.
        """
        if eyes < 1:
            raise ConfigError(f'at least one eye is needed, got {eyes}')
        self.reader = AttentionReader(pattern)
        self.size = vector_size(pattern, joints, task)
        self.search = SearchMemory(
            eyes, len(phase), ends, DOUBTS if shapes or foresees else 1,
            math.atan(pattern.half_tangent(0)) * _WHOLE if shapes else SEEN_RAD,
            **({'patience': FAR_PATIENCE} if foresees else {}),
            heedless=_PARTICULAR if recalls else HEEDLESS, aside=_ASIDE if recalls else 0.0,
            survey=SURVEY if recalls else 0)
        self._phase = list(phase)
        self._past = np.zeros((eyes, WINDOW, _OF_A_GLANCE))
        self.reads = np.zeros(eyes, bool)
        """(B,) whether each eye is at what made its hand sure."""
        self._foreseen = np.zeros((eyes, 3))
        """(B, 3) `HandOutput.foreseen`, a running mean."""
        self._read = np.zeros(eyes, int)
        """(B,) glances at what made the hand sure, in this phase."""

    def reset(self, eyes: np.ndarray) -> None:
        """Forget what some eyes saw."""
        self._past[eyes] = 0.0
        self.search.reset(eyes)

    def observe(self, attention: np.ndarray, gaze: np.ndarray, joints: np.ndarray,
                task: np.ndarray, eyes: np.ndarray, told: np.ndarray | None = None,
                foreseen: np.ndarray | None = None) -> np.ndarray:
        """The vector of some eyes at a new glance, which is remembered.

        Args:
            attention: (len(eyes), N) of the hand, on this glance.
            gaze: (len(eyes), 2) pan and tilt, radians, as the encoders say.
            joints: (len(eyes), J) over their spread.
            task: (len(eyes), G).
            eyes: (len(eyes),) which.
            told: see `SearchMemory.take`.
            foreseen: (len(eyes), 3) of the hand, see `HandOutput`.

        Returns:
            (len(eyes), V) float32.
        """
        where, share = self.reader.peak(attention)
        levels = self.reader.summary(attention)
        levels[..., 1:] = np.tanh(levels[..., 1:] / _SCALES[1])
        place, heed = gaze + self.reader.focus(attention)[0], attention.sum(axis=1)
        if foreseen is not None:
            place, heed = self._foresee(eyes, gaze, place, heed, foreseen,
                                        self.search.renew(eyes, gaze, joints[:, self._phase]))
        self.search.take(eyes, gaze, place, heed, joints[:, self._phase], told)
        wanted, wish = self.search.wanted(eyes, gaze)
        onwards = self.search.frontier(eyes, gaze)
        past = self._past[eyes]
        for first in (0, 2):
            past[..., first] = wrap_angle(past[..., first] - gaze[:, None, 0])
            past[..., first + 1] -= gaze[:, None, 1]
        past[..., :4] *= past[..., 5:]                      # nothing, where there was no glance
        vector = np.concatenate([
            gaze, joints, task, levels.reshape(len(gaze), -1),
            *(np.tanh(where / scale) for scale in _SCALES), share[:, None],
            *(np.tanh(wanted / scale) for scale in _SCALES), wish[:, None],
            np.tanh(onwards / _SCALES[0])[:, None], past.reshape(len(gaze), -1)], axis=1)
        self._past[eyes] = np.roll(self._past[eyes], 1, axis=1)
        self._past[eyes, 0] = np.concatenate(
            [gaze, gaze + where, share[:, None], np.ones((len(gaze), 1))], axis=1)
        return vector.astype(np.float32)

    def recall(self, eye: int, attention: np.ndarray, gazes: np.ndarray, gaze: np.ndarray,
               joints: np.ndarray, told: np.ndarray | None = None) -> tuple[int, np.ndarray]:
        """Begin another phase of an eye's task with what it saw before.

        Args:
            attention: (K, N) of the hand, on those past glances, as it is asked now.
            gazes: (K, 2) of them.
            gaze, joints: (2,) and (J,), now, as in `observe`.
            told: (K,) see `SearchMemory.take`.

        Returns:
            Which of them shows best what is wanted now, and where (2,) that is.
        """
        places = gazes + self.reader.focus(attention)[0]
        best = self.search.recall(eye, gaze, joints[self._phase], gazes, places,
                                  attention.sum(axis=1), told)
        return best, places[best]

    def around(self, eyes: np.ndarray, gaze: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Who still looks around, (len(eyes),) bool, and the turn (len(eyes), 2), radians, from
        the gaze that does so: on to the nearest end, level.
        """
        onwards = np.stack([self.search.frontier(eyes, gaze), -gaze[:, 1]], axis=1)
        return self.search.surveys(eyes), np.clip(onwards, -MAX_STEP_RAD, MAX_STEP_RAD)

    def asks_anew(self, eyes: np.ndarray, joints: np.ndarray) -> np.ndarray:
        """(len(eyes),) bool: who is to `recall`; joints over their spread."""
        return self.search.asks_anew(eyes, joints[:, self._phase])

    def _foresee(self, eyes: np.ndarray, gaze: np.ndarray, place: np.ndarray, heed: np.ndarray,
                 foreseen: np.ndarray, anew: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What counts of a glance. Until the hand is sure where its task will end, nothing but
        what was wanted already, to which the eye keeps unless the hand is surer of something
        else. Once it is: what is seen there; if nothing is, first what it looks at, as that has
        told it, and then that place.
        """
        gone = eyes[anew]
        self._read[gone], self.reads[gone], self._foreseen[gone] = 0, False, 0.0
        self._foreseen[eyes] += (foreseen - self._foreseen[eyes]) / _MEAN_OF
        mean = self._foreseen[eyes]
        sure, end = sureness(mean), np.stack(pan_tilt_from_direction(mean), axis=-1)
        fits = (heed > _SEEN) & (np.hypot(
            wrap_angle(place[:, 0] - end[:, 0]), place[:, 1] - end[:, 1]) < _FITS_RAD)
        there = self.search.at(eyes, place) & ~self.reads[eyes]
        wish = self.search.wanted(eyes, gaze)[1]
        knows = sure >= np.maximum(SURE_OF_END, np.where(there, wish, 0.0))
        heed = np.where(knows, sure, np.where(there, heed, 0.0))
        unseen = knows & ~fits
        self._read[eyes] += unseen
        self.reads[eyes] = unseen & (self._read[eyes] <= _READING)
        end = np.where(self.reads[eyes, None], gaze, end)
        return np.where(unseen[:, None], end, place), heed


def sureness(foreseen: np.ndarray) -> np.ndarray:
    """(B,) in [0, 1]: how sure a hand is of the pan of where its task will end (B, 3)."""
    return np.minimum(np.hypot(foreseen[:, 0], foreseen[:, 1]), 1.0)
