"""Who is where and looks at what: the truth, in space, before anything is painted.

The camera is at the origin of its optical frame (x right, y down, z away; metres). Someone looks
at a thing, at somebody, or out of the picture: into the camera, behind it, or past the frame. From
where somebody stands, what they look at is apart from all else, so that their head and eyes say
what it is; along the same line of the picture, nearer and farther things may lie, and then only
depth tells which.

P people   M things
"""

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

from gaze_robot.people.face_pose import sight_axes

HEAD_M = 0.25
"""Height of a head with hair."""
NOTHING = -1

_COUNTS = ((1, 0.12), (2, 0.34), (3, 0.32), (4, 0.22))
_SHAPES = ((384, 384), (384, 288), (432, 243), (336, 384))
"""Pictures, (width, height) in pixels."""
_HFOV_DEG = (48.0, 80.0)
_BUST_M, _WHOLE_M = (0.9, 2.4), (1.8, 3.2)
_THING_M, _FAR_M = (0.8, 3.4), 4.5
_THING_SIDE_M = (0.2, 0.29)
_LARGEST = 0.24
"""Of a thing, over the picture's height."""
_APART_RAD = math.radians(12)
_DOWN_RAD = math.radians(52)
_AWAY = math.cos(math.radians(65))
"""Of the line from the camera: who looks further away than that shows little of their face ..."""
_AWAY_SHARE = 0.3
"""... and does so only so often."""
_TRIES = 25


@dataclass(frozen=True)
class Lens:
    """A pinhole camera with square pixels."""

    width: int
    height: int
    focal: float

    def project(self, place: np.ndarray) -> np.ndarray:
        """(..., 2) pixels of (..., 3)."""
        return place[..., :2] / place[..., 2:] * self.focal + (self.width / 2, self.height / 2)

    def place(self, pixel: tuple[float, float], away_m: float) -> np.ndarray:
        """(3,) of a pixel at that depth."""
        return np.array([(pixel[0] - self.width / 2) / self.focal * away_m,
                         (pixel[1] - self.height / 2) / self.focal * away_m, away_m])


@dataclass(frozen=True, eq=False)
class Story:
    """One moment."""

    lens: Lens
    heads: np.ndarray
    """(P, 3) middles of heads."""

    whole: np.ndarray
    """(P,) bool: a whole figure, or head and shoulders."""

    things: np.ndarray
    """(M, 3) middles of things."""

    sides_m: np.ndarray
    """(M,) of the squares that hold them."""

    looks_at: np.ndarray
    """(P,) number of what each looks at: a thing from 0 on, M + p for person p, or NOTHING in the
    picture."""

    direction: np.ndarray
    """(P, 3) unit vectors along which they look: right, down, away, as the camera sees them."""

    @property
    def person(self) -> np.ndarray:
        """(P,) whom each looks at, or NOTHING."""
        return np.where(self.looks_at >= len(self.things), self.looks_at - len(self.things),
                        NOTHING)

    @property
    def mutual(self) -> np.ndarray:
        """(P, P) bool: these two look at each other."""
        looks = self.person[:, None] == np.arange(len(self.heads))
        return looks & looks.T

    @property
    def joint(self) -> np.ndarray:
        """(P, P) bool: these two look at the same thing or person."""
        same = (self.looks_at[:, None] == self.looks_at) & (self.looks_at != NOTHING)
        return same & ~np.eye(len(same), dtype=bool)


def tell(rng: np.random.Generator, people: int = 0, least: int = 1) -> Story:
    """Make one up.

    Args:
        people: how many; 0: as it comes. Where there is no room for all, fewer.
        least: who comes together is at least so many.
    """
    while True:
        width, height = _SHAPES[int(rng.integers(len(_SHAPES)))]
        hfov = math.radians(rng.uniform(*_HFOV_DEG))
        lens = Lens(width, height, width / 2 / math.tan(hfov / 2))
        counts, odds = zip(*_COUNTS)
        count = people or max(least, int(rng.choice(counts, p=odds)))
        heads, whole = _people(rng, lens, count)
        if len(heads) != count:
            continue
        things, sides = _things(rng, lens, heads, whole, int(rng.integers(2, 7)))
        return _gazes(rng, lens, heads, whole, things, sides)


def head_px(lens: Lens, head: np.ndarray) -> float:
    """Height of a head in the picture."""
    return lens.focal * HEAD_M / float(head[2])


def _people(rng: np.random.Generator, lens: Lens, count: int) -> tuple[np.ndarray, np.ndarray]:
    heads: list[np.ndarray] = []
    whole: list[bool] = []
    for _ in range(_TRIES * count):
        if len(heads) == count:
            break
        standing = bool(rng.random() < 0.35)
        away = float(rng.uniform(*(_WHOLE_M if standing else _BUST_M)))
        half = lens.focal * HEAD_M / away / 2
        low = (0.35 if standing else 0.62) * lens.height
        at = (float(rng.uniform(half, lens.width - half)),
              float(rng.uniform(1.15 * half, max(low, 1.2 * half))))
        if all(_both_seen(lens, lens.place(at, away), other) for other in heads):
            heads.append(lens.place(at, away))
            whole.append(standing)
    return np.array(heads).reshape(-1, 3), np.array(whole, bool)


def _both_seen(lens: Lens, one: np.ndarray, other: np.ndarray) -> bool:
    """Whether neither hides the other's head, nor what the nearer one sits behind."""
    near, far = sorted((one, other), key=lambda head: float(head[2]))
    aside, below = np.abs(lens.project(far) - lens.project(near)), lens.project(far)[1]
    near_px, far_px = head_px(lens, near), head_px(lens, far)
    if below < lens.project(near)[1] - 0.5 * near_px:
        return bool(aside[0] > 0.7 * (near_px + far_px))
    return bool(aside[0] > 1.3 * near_px + 0.5 * far_px)


def _things(rng: np.random.Generator, lens: Lens, heads: np.ndarray, whole: np.ndarray, count: int
            ) -> tuple[np.ndarray, np.ndarray]:
    """Things that no head, no nearer body and no other thing hides."""
    places: list[np.ndarray] = []
    sides: list[float] = []
    middles, halves = lens.project(heads), lens.focal * HEAD_M / heads[:, 2] / 2
    for _ in range(_TRIES * count):
        if len(places) == count:
            break
        away, side_m = float(rng.uniform(*_THING_M)), float(rng.uniform(*_THING_SIDE_M))
        half = lens.focal * side_m / away / 2
        if 2 * half > _LARGEST * lens.height:
            continue
        at = np.array([rng.uniform(0.7 * half, lens.width - 0.7 * half),
                       rng.uniform(0.7 * half, lens.height - 0.7 * half)])
        aside, below = np.abs(at - middles)[:, 0], (at - middles)[:, 1]
        behind = (away > heads[:, 2]) & (aside < half + halves * np.where(whole, 1.2, 1.9))
        if (np.hypot(aside, below) < half + 1.3 * halves).any() or (
                behind & (below > -halves)).any():
            continue
        if all(np.hypot(*(at - lens.project(other))) > 0.62 * lens.focal * (
                side_m / away + side / other[2]) for other, side in zip(places, sides)):
            places.append(lens.place((float(at[0]), float(at[1])), away))
            sides.append(side_m)
    return np.array(places).reshape(-1, 3), np.array(sides)


def _gazes(rng: np.random.Generator, lens: Lens, heads: np.ndarray, whole: np.ndarray,
           things: np.ndarray, sides: np.ndarray) -> Story:
    people, count = len(heads), len(things)
    axes = [sight_axes(head) for head in heads]
    everything = np.concatenate([things, heads])
    ways = [_ways(everything, heads[p], axes[p]) for p in range(people)]
    can = [_can(rng, ways[p], count + p) for p in range(people)]
    looks_at = np.full(people, NOTHING)
    plot = rng.random()
    if plot < 0.3 and people > 1:
        one, other = rng.permutation(people)[:2].tolist()
        if can[one][count + other] and can[other][count + one]:
            looks_at[one], looks_at[other] = count + other, count + one
    elif plot < 0.65 and people > 1:
        _together(rng, can, count, looks_at)
    direction = np.zeros((people, 3))
    for p in range(people):
        if looks_at[p] == NOTHING:
            looks_at[p] = _choice(rng, can[p], count)
        direction[p] = ways[p][looks_at[p]] if looks_at[p] != NOTHING else _outside(
            rng, lens, heads[p], axes[p], np.delete(ways[p], count + p, axis=0))
    return Story(lens, heads, whole, things, sides, looks_at, direction)


def _ways(everything: np.ndarray, head: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """(M + P, 3) unit vectors from a head to all there is; of itself any."""
    away = everything - head
    length = np.linalg.norm(away, axis=1, keepdims=True)
    return np.where(length > 1e-9, away / np.maximum(length, 1e-9), (0.0, 0.0, -1.0)) @ axes.T


def _can(rng: np.random.Generator, ways: np.ndarray, own: int) -> np.ndarray:
    """(M + P,) bool: what somebody may look at."""
    near = ways @ ways.T > math.cos(_APART_RAD)
    near[own] = near[:, own] = False
    alone = near.sum(axis=1) == 1
    fits = alone & (np.abs(ways[:, 1]) < math.sin(_DOWN_RAD))
    fits &= (ways[:, 2] < _AWAY) | (rng.random(len(ways)) < _AWAY_SHARE)
    fits[own] = False
    return fits


def _together(rng: np.random.Generator, can: Sequence[np.ndarray], things: int,
              looks_at: np.ndarray) -> None:
    """Let two or more look at one thing or at one of them."""
    whom = int(rng.integers(things)) if things and rng.random() < 0.75 else (
        things + int(rng.integers(len(can))))
    able = [p for p in rng.permutation(len(can)).tolist() if can[p][whom]]
    if len(able) > 1:
        looks_at[able[:int(rng.integers(2, len(able) + 1))]] = whom


def _choice(rng: np.random.Generator, can: np.ndarray, things: int) -> int:
    """A thing (half), somebody (a sixth) or nothing in the picture (a third)."""
    kind = rng.random()
    if kind < 1 / 3:
        return NOTHING
    some = np.flatnonzero(can[:things]) if kind < 5 / 6 else things + np.flatnonzero(can[things:])
    return int(rng.choice(some)) if len(some) else NOTHING


def _outside(rng: np.random.Generator, lens: Lens, head: np.ndarray, axes: np.ndarray,
             others: np.ndarray) -> np.ndarray:
    """(3,) where somebody looks who looks at nothing in the picture: right, down, away."""
    for _ in range(_TRIES):
        yaw, down = rng.uniform(-1.9, 1.9), float(np.clip(rng.normal(0.05, 0.35), -0.9, 0.9))
        way = np.array([math.sin(yaw) * math.cos(down), math.sin(down),
                        -math.cos(yaw) * math.cos(down)])
        if (others @ way > math.cos(1.25 * _APART_RAD)).any():
            continue
        if _leaves(lens, head, way @ axes):
            return way
    return np.array([0.0, 0.0, -1.0])


def _leaves(lens: Lens, head: np.ndarray, direction: np.ndarray) -> bool:
    """Whether a ray leaves the picture before it meets a wall at `_FAR_M`."""
    far = (_FAR_M - head[2]) / direction[2] if direction[2] > 1e-6 else 50.0
    for along in np.geomspace(0.25, 50.0, 24):
        place = head + min(along, far) * direction
        if place[2] < 0.3:
            return True
        u, v = lens.project(place)
        if not (0 <= u < lens.width and 0 <= v < lens.height):
            return True
        if along >= far:
            return False
    return False
