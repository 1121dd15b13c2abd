"""Who and what the tasks lay over a world: a fixed cast, drawn when needed and then kept.

Member k of a bank looks the same in every process and whoever asks first, so episodes depend on
their own generator only, and starting one draws few pictures once the banks are warm.
"""

import dataclasses
import functools
import math
from typing import Any

import cv2
import numpy as np

from gaze_robot.geometry import (
    base_ray,
    direction_from_pan_tilt,
    pan_tilt_from_direction,
    wrap_angle,
)
from gaze_robot.types import Exemplar, PanTiltLimits
from gaze_robot_sim.scenes.figures import (
    ASPECT,
    draw_bust,
    draw_person,
    HEAD_CENTRE,
    Person,
    random_person,
)
from gaze_robot_sim.scenes.overlay import Sprite
from gaze_robot_sim.scenes.targets import augment_exemplar, PROTOCOL
from gaze_robot_sim.scenes.textures import draw_pattern, palette, PATTERNS, pick
from gaze_robot_sim.scenes.things import draw_thing, look_alike, random_thing

PEOPLE, THINGS, FAMILIES, BOARDS = 12, 64, 64, 24
"""How many there are in each bank."""

ALIKE = 4
"""Pictures of a family."""

_PERSON_PX, _BUST_PX = 128, 80
_POSES = 320
"""Figures that are kept, 75 kB each; drawing one takes 2 ms."""
_DIFFERENT = 10.0
"""Grey levels by which two look-alikes differ at least, on average: a third of it is noise."""


@functools.lru_cache(maxsize=PEOPLE)
def _person(index: int) -> Person:
    return random_person(np.random.default_rng([1, index]))


@functools.lru_cache(maxsize=_POSES)
def person(index: int, right_deg: int = 0, down_deg: int = 0) -> np.ndarray:
    """RGBA of a whole figure of the cast that looks (right, down) as the viewer sees it."""
    return draw_person(_person(index % PEOPLE), (math.radians(right_deg), math.radians(down_deg)),
                       _PERSON_PX)


@functools.lru_cache(maxsize=THINGS)
def thing(index: int) -> np.ndarray:
    """RGBA of a thing of the cast."""
    return draw_thing(random_thing(np.random.default_rng([2, index])))


@functools.lru_cache(maxsize=BOARDS)
def board(index: int) -> np.ndarray:
    """RGBA of something that nothing shines through, twice as high as wide."""
    rng = np.random.default_rng([3, index])
    pattern = draw_pattern(rng, pick(rng, PATTERNS), 96, 48, palette(rng, 3), rng.uniform(1, 4))
    return np.dstack([pattern, np.full((96, 48), 255, np.uint8)])


@functools.lru_cache(maxsize=FAMILIES)
def family(index: int) -> tuple[np.ndarray, ...]:
    """ALIKE square RGBA pictures that look alike and yet differ: things, or heads of people."""
    rng = np.random.default_rng([4, index])
    gaze = float(rng.normal(0, 0.4)), float(rng.normal(0.1, 0.1))
    somebody, something = random_person(rng), random_thing(rng)
    pictures = [draw_bust(somebody, gaze, _BUST_PX) if index % 2 else draw_thing(something)]
    while len(pictures) < ALIKE:
        made = _relative(rng, somebody, gaze) if index % 2 else draw_thing(
            look_alike(rng, something))
        if all(difference(made, other) > _DIFFERENT for other in pictures):
            pictures.append(made)
    return tuple(pictures)


def _relative(rng: np.random.Generator, first: Person, gaze: tuple[float, float]) -> np.ndarray:
    """Somebody in the same clothes with another face, or with the same face in other clothes."""
    other = random_person(rng)
    changed: dict[str, Any] = {'top': other.top} if rng.random() < 0.5 else {
        name: getattr(other, name) for name in ('skin', 'hair', 'style', 'beard', 'iris')}
    return draw_bust(dataclasses.replace(first, **changed), gaze, _BUST_PX)


def difference(first: np.ndarray, second: np.ndarray) -> float:
    """Mean absolute difference of two RGBA pictures on mid grey at 16 x 16, grey levels."""
    tiny = [cv2.resize(picture, (16, 16), interpolation=cv2.INTER_AREA).astype(np.int16)
            for picture in (first, second)]
    one, two = ((picture[..., :3] - 127) * picture[..., 3:] // 255 for picture in tiny)
    return float(np.abs(one - two).mean())


def likeness(rng: np.random.Generator, picture: np.ndarray, width_rad: float) -> Exemplar:
    """A square RGBA picture the way a looker is shown it: rolled, scaled, lit otherwise.

    As the exemplars of search (`scenes.targets`), but on a plain ground of any colour: what the
    thing will stand before is not known when it moves.
    """
    side, size = picture.shape[0], int(rng.integers(32, 65))
    roll = rng.uniform(-PROTOCOL.roll_rad, PROTOCOL.roll_rad)
    step = side / (2 * size) / rng.uniform(*PROTOCOL.scale)
    cos, sin = step * math.cos(roll), step * math.sin(roll)
    turn = np.array([[cos, sin], [-sin, cos]])
    shift = (side - 1) / 2 - turn @ np.full(2, size - 0.5)
    fine = cv2.warpAffine(picture, np.column_stack([turn, shift]), (2 * size, 2 * size),
                          flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    shown = cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA).astype(np.uint16)
    alpha, ground = shown[..., 3:], rng.integers(40, 216, 3).astype(np.uint16)
    mixed = (shown[..., :3] * alpha + ground * (255 - alpha) + 127) // 255
    return Exemplar(augment_exemplar(rng, mixed.astype(np.uint8)), width_rad)


def standing(picture: np.ndarray, pan_rad: float, tilt_rad: float, height_rad: float) -> Sprite:
    """A whole figure whose head's middle is at (pan, tilt), `height_rad` from head to feet."""
    half = math.tan(height_rad / 2)
    below = math.atan((1 - 2 * HEAD_CENTRE[1]) * half)      # from the head to the picture's middle
    return Sprite(picture, direction_from_pan_tilt(pan_rad, tilt_rad + below),
                  2 * math.atan(ASPECT * half))


# --- what their settings have in common


def reach(limits: PanTiltLimits, tilt_deg: tuple[float, float]
          ) -> tuple[tuple[float, float], tuple[float, float]]:
    """Pan and tilt (low, high), radians, between which a head can look, tilt also as given."""
    low, high = limits.min_position, limits.max_position
    up, down = math.radians(tilt_deg[0]), math.radians(tilt_deg[1])
    return ((max(low[0], -math.pi), min(high[0], math.pi)),
            (min(max(low[1], up), high[1]), max(min(high[1], down), low[1])))


def near(rng: np.random.Generator, limits: PanTiltLimits, direction: np.ndarray,
         farthest_rad: float) -> np.ndarray:
    """A pose (2,) from which the head turns to a direction (3,) the short way.

    Args:
        farthest_rad: at most this far from it, below pi / 2; less where the limits are in the way.
    """
    pan, tilt = (float(angle) for angle in pan_tilt_from_direction(direction))
    bearing, away = rng.uniform(0, 2 * math.pi), farthest_rad * math.sqrt(rng.random())
    aside = math.sin(away)
    seen = base_ray(np.array([aside * math.cos(bearing), aside * math.sin(bearing),
                              math.cos(away)]), pan, tilt)
    looks = pan_tilt_from_direction(seen)
    pose = np.array([pan + wrap_angle(looks[0] - pan), looks[1]])
    return np.clip(pose, limits.min_position, limits.max_position)


def draw(rng: np.random.Generator, low_high: tuple[float, float]) -> float:
    """A number between two."""
    return float(rng.uniform(*low_high))
