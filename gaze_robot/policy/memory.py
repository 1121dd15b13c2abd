"""What past glances saw, by direction: a spatiotopic map of target probability.

Each bin of the viewing sphere keeps the judgement of the sharpest level that looked there. So a
coarse suspicion stays a candidate until the fovea has confirmed or refuted it, and a place once
refuted is not visited again until the memory fades.

B eyes   L levels   C cells across a level
"""

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np
import torch

from gaze_robot.foveation import FoveationPattern
from gaze_robot.gaze_target.evidence import CELLS
from gaze_robot.geometry import wrap_angle
from gaze_robot.types import PanTiltLimits

BIN_DEG = 5.0
PAN_BINS, TILT_BINS = 72, 30
"""All of the pan circle; tilt from -75 to 75 degrees."""

_SEARCHED = math.radians(35)
"""How far above and below the horizon a place still counts as worth exploring."""

_BESIDE = math.radians(30)

_DOUBT, _PATIENCE_S = (4.0, 2.0), 1.5
"""Power of a near level's probability, when a search begins and in the long run, and how soon one
gives way to the other. At first what the fovea is 80 % sure of gives way to a place that the
periphery takes for 45 % probable, and what it is not half sure of to all that is not yet seen;
later on the best place seen is good enough."""

KEEP_S = 6.0
"""A judgement older than this gives way to any newer one, however coarse."""


def _bin_centres() -> tuple[np.ndarray, np.ndarray]:
    pan = np.radians((np.arange(PAN_BINS) + 0.5) * BIN_DEG - 180.0)
    tilt = np.radians((np.arange(TILT_BINS) + 0.5 - TILT_BINS / 2) * BIN_DEG)
    return pan, tilt


@dataclass(frozen=True, eq=False)
class Candidate:
    """The most probable remembered place of each eye."""

    pan_rad: np.ndarray
    """(B,) base frame."""

    tilt_rad: np.ndarray
    """(B,)"""

    score: np.ndarray
    """(B,) probability given by the level that saw it; a power of it if that is a near one."""

    sharpness: np.ndarray
    """(B,) 0 never seen; 1 the coarsest level ... L the fovea."""


def _shared(heat: np.ndarray) -> np.ndarray:
    """(B, L, C, C) mean of a cell's own probability and that of its 3 x 3 neighbourhood: a target
    on an edge is shared by two to four cells, each of which alone is improbable.
    """
    around = torch.nn.functional.avg_pool2d(torch.from_numpy(heat), 3, 1, 1,
                                            count_include_pad=True).numpy() * 9
    return 0.5 * (heat + np.minimum(around, 1.0))


class GazeMemory:
    """Spatiotopic maps for a number of eyes."""

    def __init__(self, eyes: int, pattern: FoveationPattern) -> None:
        self.pattern = pattern
        self.score = np.zeros((eyes, PAN_BINS, TILT_BINS), np.float32)
        self.sharpness = np.zeros((eyes, PAN_BINS, TILT_BINS), np.int8)
        self.stamp = np.zeros((eyes, PAN_BINS, TILT_BINS), np.float32)
        self._now_s = np.zeros(eyes, np.float32)
        self._pan, self._tilt = _bin_centres()
        cos = np.cos(self._tilt)
        self._level = cos.astype(np.float32)                    # (T,)
        self._height = np.sin(self._tilt).astype(np.float32)    # down component
        # A bin is judged by the best cell around its centre: as many cells as it is wide.
        self._pool = []
        self._inner = []
        for level in range(pattern.levels):
            cell_deg = math.degrees(2 * pattern.half_tangent(level) / CELLS)
            self._pool.append(max(1, 2 * round((BIN_DEG / cell_deg - 1) / 2 + 0.26) + 1))
            margin = math.tan(math.radians(BIN_DEG / 2))
            self._inner.append(pattern.half_tangent(level) - (
                margin if level < pattern.levels - 1 else 0.0))

    def reset(self, eyes: Sequence[int] | slice = slice(None)) -> None:
        """Forget."""
        self.score[eyes], self.sharpness[eyes], self.stamp[eyes] = 0.0, 0, 0.0
        self._now_s[eyes] = 0.0

    def update(self, heat: np.ndarray, valid: np.ndarray, gaze: np.ndarray, now_s: np.ndarray,
               eyes: np.ndarray) -> None:
        """Write one glance of some eyes.

        Args:
            heat: (B, L, C, C) probabilities.
            valid: (B, L, C, C) bool.
            gaze: (B, 2) pan and tilt of the fovea, radians.
            now_s: (B,) seconds since each eye's reset.
            eyes: (B,) which eyes these are.
        """
        shared = _shared(heat)
        x, y, ahead = self._project(gaze)
        now = now_s.astype(np.float32)
        self._now_s[eyes] = now
        for level in reversed(range(self.pattern.levels)):
            half = self.pattern.half_tangent(level)
            inner = self._inner[level]
            seen = ahead & (np.abs(x) < inner) & (np.abs(y) < inner)
            pooled = torch.nn.functional.max_pool2d(
                torch.from_numpy(shared[:, level]), self._pool[level], 1, self._pool[level] // 2)
            eye, pan, tilt = np.nonzero(seen)
            column, row = (np.clip((along[eye, pan, tilt] / half + 1) * (CELLS / 2), 0,
                                   CELLS - 1).astype(int) for along in (x, y))
            rank = self.pattern.levels - level
            keep = valid[eye, level, row, column]
            held = self.sharpness[eyes[eye], pan, tilt]
            age = now[eye] - self.stamp[eyes[eye], pan, tilt]
            keep &= (held <= rank) | (age > KEEP_S)
            eye, pan, tilt, row, column = (a[keep] for a in (eye, pan, tilt, row, column))
            new = pooled.numpy()[eye, row, column]
            again = (held[keep] == rank) & (age[keep] < 0.5)
            place = eyes[eye], pan, tilt
            self.score[place] = np.where(again, 0.5 * (self.score[place] + new), new)
            self.sharpness[place] = rank
            self.stamp[place] = now[eye]

    def _project(self, gaze: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tangent-plane coordinates of all bin centres as seen by each eye, (B, P, T)."""
        pan, tilt = gaze[:, 0, None].astype(np.float32), gaze[:, 1, None, None].astype(np.float32)
        turn = self._pan[None].astype(np.float32) - pan                        # (B, P)
        forward = np.cos(turn)[..., None] * self._level                        # (B, P, T)
        right = -np.sin(turn)[..., None] * self._level
        cos, sin = np.cos(tilt), np.sin(tilt)
        z = forward * cos + self._height * sin
        down = self._height * cos - forward * sin
        ahead = z > 0.05
        z = np.where(ahead, z, 1.0)
        return right / z, down / z, ahead

    def candidates(self, eyes: np.ndarray, count: int, apart_rad: float = math.radians(15)
                   ) -> list[Candidate]:
        """The `count` places of these eyes most worth a look, at least `apart_rad` apart.

        A coarse level's doubt is a reason to look closer, that of a near one is a refutation. So a
        likeness is left for better candidates, and the best of all is come back to when the others
        have been looked at.
        """
        sharpness, score = self.sharpness[eyes], self.score[eyes]
        near = self.pattern.levels - self.pattern.near_levels
        score = np.where(sharpness > near, score ** self.doubt(eyes)[:, None, None], score)
        found = []
        for _ in range(count):
            flat = score.reshape(len(score), -1).argmax(axis=1)
            pan_i, tilt_i = np.divmod(flat, TILT_BINS)
            eye = np.arange(len(score))
            pan, tilt = self._pan[pan_i], self._tilt[tilt_i]
            found.append(Candidate(pan, tilt, score[eye, pan_i, tilt_i],
                                   sharpness[eye, pan_i, tilt_i]))
            turn = np.abs((self._pan[None] - pan[:, None] + np.pi) % (2 * np.pi) - np.pi)
            near = (turn[:, :, None] * self._level < apart_rad) & (
                np.abs(self._tilt[None] - tilt[:, None])[:, None] < apart_rad)
            score[near] = 0.0
        return found

    def doubt(self, eyes: np.ndarray) -> np.ndarray:
        """(B,) power to which a near level's probability is raised to be a score now."""
        first, last = _DOUBT
        return last + (first - last) * np.exp(-self._now_s[eyes] / _PATIENCE_S)

    def sharpness_at(self, place: np.ndarray, eyes: np.ndarray) -> np.ndarray:
        """How sharply each eye has seen a place (B, 2), pan and tilt: (B,), see `Candidate`."""
        pan, tilt = np.degrees(place).T
        row = np.clip(tilt / BIN_DEG + TILT_BINS / 2, 0, TILT_BINS - 1).astype(int)
        column = np.floor(pan / BIN_DEG + PAN_BINS / 2).astype(int) % PAN_BINS
        return self.sharpness[eyes, column, row]

    def frontier(self, pose: np.ndarray, eyes: np.ndarray, limits: PanTiltLimits,
                 seen_by: int = 0) -> np.ndarray:
        """How far these eyes must turn left and right to see something new near the horizon.

        Args:
            pose: (B, 2) pan and tilt, radians.
            seen_by: new is what no more than so many of the coarsest levels have seen.

        Returns:
            (B, 4): turn (radians, >= 0) to the nearest pan whose column is mostly unseen, to the
            left and to the right (pi where the limits allow none), and the share of unseen places
            above and below the gaze within what is in view sideways.
        """
        low, high = limits.min_position[0], limits.max_position[0]
        tilts = np.abs(self._tilt) <= _SEARCHED
        unseen = self.sharpness[eyes] <= seen_by
        column = unseen[:, :, tilts].mean(axis=2) > 0.5                        # (B, P)
        column &= (self._pan >= low - 0.5) & (self._pan <= high + 0.5)
        turn = self._pan[None] - pose[:, :1]                                   # limits: no wrap
        left = np.where(column & (turn > 0), turn, np.pi).min(axis=1)
        right = np.where(column & (turn < 0), -turn, np.pi).min(axis=1)
        beside = np.abs(wrap_angle(turn)) < _BESIDE                            # (B, P)
        height = self._tilt[None] - pose[:, 1:]
        spots = beside[:, :, None] & tilts & unseen
        up = (spots & (height < 0)[:, None]).sum(axis=(1, 2))
        down = (spots & (height > 0)[:, None]).sum(axis=(1, 2))
        total = np.maximum((beside[:, :, None] & tilts).sum(axis=(1, 2)), 1)
        return np.stack([left, right, up / total, down / total], axis=1)

    def egocentric(self, pan_rad: np.ndarray, eyes: np.ndarray) -> np.ndarray:
        """The map turned so that the gaze's pan (B,) is in the middle, in 20 x 25 degree bins.

        Returns:
            (B, 2, 18, 6) float32: how sharply seen (0 to 1), and the best score.
        """
        shift = np.floor(np.degrees(pan_rad) / BIN_DEG).astype(int)
        index = (np.arange(PAN_BINS)[None] + shift[:, None]) % PAN_BINS
        eye = eyes[:, None]
        seen = self.sharpness[eye, index].astype(np.float32) / self.pattern.levels
        score = self.score[eye, index]
        shape = (len(score), PAN_BINS // 4, 4, TILT_BINS // 5, 5)
        return np.stack([seen.reshape(shape).mean(axis=(2, 4)),
                         score.reshape(shape).max(axis=(2, 4))], axis=1)
