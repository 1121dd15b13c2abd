"""What the policy is told: tokens, the estimator's peaks, the pose, the memory of past glances.

B eyes   N tokens   D width
"""

from dataclasses import dataclass
import math

import numpy as np

from gaze_robot.foveation import FoveationPattern
from gaze_robot.gaze_target.evidence import CELLS
from gaze_robot.geometry import wrap_angle
from gaze_robot.perception import Percept
from gaze_robot.policy.actions import MAX_STEP_RAD, MOVES, nearest_move
from gaze_robot.policy.memory import BIN_DEG, Candidate, GazeMemory, PAN_BINS, TILT_BINS
from gaze_robot.types import PanTiltLimits

GLANCES = 4
"""Past glances told one by one (the map holds the rest)."""

CANDIDATES = 2

NEAR_RAD = np.radians(95.0)
"""How far from where a search began something new is looked for first."""

_NONE = 3.1
"""Turns of this many radians or more mean: nothing new on that side."""


@dataclass(frozen=True, eq=False)
class Peak:
    """The best cell of each level."""

    probability: np.ndarray
    """(B, L)"""

    offset_rad: np.ndarray
    """(B, L, 2) angle from the fovea's centre to the cell: (pan left, tilt down)."""

    nearby: np.ndarray
    """(B, L) of the cell and those around it: what lies on an edge is shared by two to four cells,
    each of which alone is improbable."""


def peaks(percept: Percept, pattern: FoveationPattern) -> Peak:
    """Find the best cell of every level, refined by its neighbours' mean."""
    heat = percept.heat
    batch, levels = heat.shape[:2]
    best = heat.reshape(batch, levels, -1).argmax(axis=2)
    row, column = np.divmod(best, CELLS)
    framed = np.zeros((batch, levels, CELLS + 2, CELLS + 2))              # no weight outside
    framed[..., 1:-1, 1:-1] = heat
    eye, level = np.arange(batch)[:, None, None, None], np.arange(levels)[None, :, None, None]
    weight = framed[eye, level, row[..., None, None] + np.arange(3)[:, None],
                    column[..., None, None] + np.arange(3)]                  # (B, L, 3, 3)
    down, right = weight.sum(axis=3), weight.sum(axis=2)
    weight_sum = down.sum(axis=2) + 1e-9
    around = np.arange(-1, 2) + 0.5
    x = right @ around + column * right.sum(axis=2)
    y = down @ around + row * down.sum(axis=2)
    half = np.array([pattern.half_tangent(level) for level in range(levels)])
    x = np.where(weight_sum > 1e-6, x / weight_sum, column + 0.5) / CELLS * 2 - 1
    y = np.where(weight_sum > 1e-6, y / weight_sum, row + 0.5) / CELLS * 2 - 1
    offset = np.stack([-np.arctan(x * half), np.arctan(y * half)], axis=-1)
    return Peak(heat.reshape(batch, levels, -1).max(axis=2), offset, np.minimum(weight_sum, 1.0))


_NEARLY = 0.8
"""A sharper level is believed if it is this share as sure as the surest."""


def recognised(peak: Peak, pattern: FoveationPattern) -> tuple[np.ndarray, np.ndarray]:
    """What the levels near the fixation make of the view: the sharpest of the surest of them.

    Returns:
        (B,) probability, neighbouring cells included; (B, 2) its offset as in `Peak`.
    """
    near = peak.nearby[:, :pattern.near_levels]
    level = (near >= _NEARLY * near.max(axis=1, keepdims=True)).argmax(axis=1)
    row = np.arange(len(near))
    return near[row, level], peak.offset_rad[row, level]


_WORTH = 0.1
"""Least candidate score that is better than looking somewhere new nearby; a third of it is better
than looking far away."""

_SURE = 0.4
"""Least probability, neighbours included, at which what the near levels recognise is centred."""

_SAME_RAD = np.radians(7.0)
"""What is recognised this near to the best candidate is that candidate, seen better."""


_BIN_RAD = math.radians(BIN_DEG)
_GLIMPSED_RAD = math.radians(10.0)
"""How far beyond the head's limits a place may lie that is looked at from the limit as long as the
periphery alone has seen it: a near level shows it from there."""

_BETTER = 2.0
"""How many times more probable something else must be for a suspicion to be left unresolved."""

_RESOLVED_S = 1.0
"""A suspicion that has not been looked at after so long cannot be."""


def polar(offset_rad: np.ndarray) -> np.ndarray:
    """Displacements (..., 2) as the moves see them, (..., 3): direction, log of the degrees."""
    size = np.linalg.norm(offset_rad, axis=-1, keepdims=True)
    return np.concatenate([offset_rad / np.maximum(size, 1e-4), np.log(np.degrees(size) + 0.3)],
                          axis=-1)


def turn_to(pan_rad: np.ndarray, from_rad: np.ndarray, limits: PanTiltLimits,
            slack_rad: np.ndarray | float = _BIN_RAD) -> np.ndarray:
    """How far the head must turn to a direction, (B,): the short way its limits allow.

    A direction beyond a limit by no more than slack_rad, (B,) or one for all, is looked at from
    the limit; one it cannot reach at all is given the plain short way.
    """
    whole = pan_rad[:, None] + 2 * np.pi * np.arange(-1, 2)
    turn = whole - from_rad[:, None]
    slack = np.broadcast_to(slack_rad, from_rad.shape)[:, None]
    reachable = (whole >= limits.min_position[0] - slack) & (
        whole <= limits.max_position[0] + slack)
    best = np.where(reachable, np.abs(turn), np.inf).argmin(axis=1)
    row = np.arange(len(turn))
    return np.where(reachable[row, best], turn[row, best], wrap_angle(turn[:, 1]))


def vector_size(pattern: FoveationPattern) -> int:
    """Length of the observation vector."""
    return (27 + len(MOVES) + 8 * pattern.levels + 12 * CANDIDATES + 3 * GLANCES
            + 2 * (PAN_BINS // 4) * (TILT_BINS // 5))


class Observer:
    """Keeps the memory of some eyes and writes their observations."""

    def __init__(self, eyes: int, pattern: FoveationPattern, limits: PanTiltLimits) -> None:
        self.pattern = pattern
        self.limits = limits
        self.memory = GazeMemory(eyes, pattern)
        self._glances = np.zeros((eyes, GLANCES, 3), np.float32)       # pan, tilt, best score
        self._first = np.zeros((eyes, 2))                             # where the search began
        self._steps = np.zeros(eyes, int)
        self._aim = np.zeros((eyes, 4))               # pan, tilt, score when chosen, since when
        self.explore = np.zeros((eyes, 2))
        """(B, 2) radians from the last glance towards something not yet seen: sideways by at most
        one move, and level."""
        self.new = np.zeros(eyes, int)
        """(B,) whether that is near where the search began (2), farther (1), or nowhere (0)."""
        self.goal = np.zeros((eyes, 2))
        """(B, 2) radians from the last glance to where a careful searcher looks next."""

    def reset(self, eyes: list[int] | slice = slice(None)) -> None:
        """Forget past glances."""
        self.memory.reset(eyes)
        self._glances[eyes], self._steps[eyes], self._aim[eyes] = 0.0, 0, 0.0

    def observe(self, percept: Percept, valid: np.ndarray, pose: np.ndarray, speed: np.ndarray,
                now_s: np.ndarray, eyes: np.ndarray) -> tuple[np.ndarray, Peak]:
        """Write one glance into memory and describe the situation.

        Args:
            percept: of this glance.
            valid: (B, L, C, C) bool.
            pose: (B, 2) pan, tilt, radians, at the picture's stamp.
            speed: (B, 2) radians per second.
            now_s: (B,) seconds since reset.
            eyes: (B,) which eyes these are.

        Returns:
            ((B, vector_size) float32, the peaks).
        """
        self.memory.update(percept.heat, valid, pose, now_s, eyes)
        peak = peaks(percept, self.pattern)
        low = np.array(self.limits.min_position)
        high = np.array(self.limits.max_position)
        parts = [pose / np.pi, speed / 3.0, np.tanh(np.minimum(pose - low, high - pose) / 0.5),
                 peak.nearby, 1.0 - percept.absent,
                 np.log(peak.nearby + 1e-3), np.tanh(peak.offset_rad / 0.1),
                 polar(peak.offset_rad)]
        places = self.memory.candidates(eyes, CANDIDATES)
        turns = [self._towards(place.pan_rad, place.tilt_rad, place.sharpness, pose)
                 for place in places]
        for place, towards in zip(places, turns):
            parts += [towards / np.pi, np.tanh(towards / 0.15), np.tanh(towards / 0.6),
                      polar(towards), np.log(place.score[:, None] + 1e-3),
                      place.score[:, None], place.sharpness[:, None] / self.pattern.levels]
        fresh = self._steps[eyes] == 0
        self._first[eyes[fresh]] = pose[fresh]
        self._steps[eyes] += 1
        unseen = self.memory.frontier(pose, eyes, self.limits)
        self.explore[eyes], self.new[eyes] = self._somewhere_new(unseen, pose, eyes)
        parts += [unseen[:, :2] / np.pi, np.tanh(unseen[:, :2] / 0.6), unseen[:, 2:],
                  (pose - self._first[eyes]) / np.array([1.5, 0.5]), polar(self.explore[eyes]),
                  self.new[eyes, None] == np.arange(3)]
        self.goal[eyes] = self._goal(places[0], peak, pose, now_s, eyes)
        parts += [np.tanh(self.goal[eyes] / 0.02), np.tanh(self.goal[eyes] / 0.15),
                  polar(self.goal[eyes]),
                  nearest_move(self.goal[eyes])[:, None] == np.arange(len(MOVES))]
        past = self._glances[eyes]
        past[..., 0] = wrap_angle(past[..., 0] - pose[:, None, 0])
        past[..., 1] -= pose[:, None, 1]
        parts += [past.reshape(len(past), -1),
                  self.memory.egocentric(pose[:, 0], eyes).reshape(len(pose), -1)]
        self._glances[eyes] = np.roll(self._glances[eyes], 1, axis=1)
        self._glances[eyes, 0] = np.concatenate(
            [pose, peak.probability.max(axis=1, keepdims=True)], axis=1)
        vector = np.concatenate([np.asarray(p).reshape(len(pose), -1) for p in parts], axis=1)
        return vector.astype(np.float32), peak

    def _towards(self, pan: np.ndarray, tilt: np.ndarray, sharpness: np.ndarray, pose: np.ndarray
                 ) -> np.ndarray:
        """Displacements (B, 2) to places seen that sharply."""
        coarse = sharpness <= self.pattern.levels - self.pattern.near_levels
        slack = np.where(coarse, _GLIMPSED_RAD, _BIN_RAD)
        return np.stack([turn_to(pan, pose[:, 0], self.limits, slack), tilt - pose[:, 1]], axis=-1)

    def _goal(self, best: Candidate, peak: Peak, pose: np.ndarray, now_s: np.ndarray,
              eyes: np.ndarray) -> np.ndarray:
        """(B, 2) to the best candidate, or, if none is good, to what has not been seen yet; to
        exactly what the near levels recognise, if that is the best candidate.

        What only the periphery suspects is aimed at until a near level has judged it: seen from
        elsewhere the suspicion may be weaker, and eyes would turn back half way for ever.
        """
        aim, coarse = self._aim[eyes], self.pattern.levels - self.pattern.near_levels
        seen = self.memory.sharpness_at(aim[:, :2], eyes)
        keep = (aim[:, 2] > 0) & (seen <= coarse) & (best.score < _BETTER * aim[:, 2]) & (
            now_s - aim[:, 3] < _RESOLVED_S)
        worth = np.where(self.new[eyes] == 2, _WORTH, _WORTH / 3)
        weak = best.score < worth
        explore = weak & (self.new[eyes] > 0)
        chosen = np.stack([best.pan_rad, best.tilt_rad, best.score, now_s], axis=-1)
        chosen[(best.sharpness > coarse) | explore] = 0.0            # nothing to resolve
        self._aim[eyes] = np.where(keep[:, None], aim, chosen)
        goal = np.where(explore[:, None], self.explore[eyes], self._towards(
            best.pan_rad, best.tilt_rad, best.sharpness, pose))
        goal = np.where(keep[:, None], self._towards(aim[:, 0], aim[:, 1], seen, pose), goal)
        probability, offset = recognised(peak, self.pattern)
        same = np.linalg.norm(goal - offset, axis=1) < _SAME_RAD
        # What moves is new to each place it comes to: its memory lags behind what is seen.
        shared = (0.5 * (peak.probability + peak.nearby))[:, :self.pattern.near_levels]
        seen_now = shared.max(axis=1) ** self.memory.doubt(eyes)
        centre = (probability > _SURE) & (same | (seen_now > np.maximum(best.score, worth)))
        return np.where(centre[:, None], offset, goal)

    def _somewhere_new(self, unseen: np.ndarray, pose: np.ndarray, eyes: np.ndarray
                       ) -> tuple[np.ndarray, np.ndarray]:
        """Towards something new nearby, then to what only the coarsest level has seen nearby (a
        second, closer look around), then to anything new.

        Args:
            unseen: (B, 4) of `GazeMemory.frontier`.

        Returns:
            `explore` and `new` of these eyes.
        """
        explore, new = self._towards_new(unseen, pose, self._first[eyes])
        if self.pattern.levels < 3:
            return explore, new
        coarse = self.memory.frontier(pose, eyes, self.limits, 1)
        closer, near = self._towards_new(coarse, pose, self._first[eyes])
        again = (new < 2) & (near == 2)
        return np.where(again[:, None], closer, explore), np.where(again, 1, new)

    @staticmethod
    def _towards_new(unseen: np.ndarray, pose: np.ndarray, first: np.ndarray
                     ) -> tuple[np.ndarray, np.ndarray]:
        """First to the nearer side as far as NEAR_RAD from the first gaze, then anywhere."""
        left, right = unseen.T[:2]
        away = pose[:, 0] - first[:, 0]
        near_left = (left < _NONE) & (away + left < NEAR_RAD)
        near_right = (right < _NONE) & (right - away < NEAR_RAD)
        go_left = np.where(near_left == near_right, left <= right, near_left)
        turn = np.clip(np.where(go_left, left, -right), -MAX_STEP_RAD, MAX_STEP_RAD)
        new = np.where(near_left | near_right, 2, (np.minimum(left, right) < _NONE).astype(int))
        return np.stack([turn, -pose[:, 1]], axis=1), new
