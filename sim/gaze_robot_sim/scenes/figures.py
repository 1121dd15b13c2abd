"""People-like figures whose head and eyes turn to where they look."""

from dataclasses import dataclass
import functools
import math

import cv2
import numpy as np

from gaze_robot.errors import WorldError
from gaze_robot.geometry import optical_ray, pan_tilt_from_direction
from gaze_robot_sim.scenes.canvas import Canvas
from gaze_robot_sim.scenes.solids import Solid, Stage
from gaze_robot_sim.scenes.textures import draw_pattern, palette, pick, roughen

HAIR = ('short', 'short', 'long', 'bun', 'tail', 'bald', 'cap')
CLOTHES = ('plain', 'plain', 'plain', 'stripes', 'checks', 'plaid', 'dots', 'zigzag')
_SKIN = np.array([(255, 224, 196), (241, 194, 160), (224, 172, 130), (190, 130, 90),
                  (141, 90, 58), (92, 58, 40), (70, 45, 34)])
_HAIR = np.array([(25, 20, 18), (50, 34, 24), (85, 55, 32), (140, 95, 50), (215, 180, 110),
                  (160, 70, 30), (150, 150, 150), (225, 222, 215)])
_IRIS = ((80, 50, 30), (60, 35, 20), (50, 100, 150), (70, 120, 70))

ASPECT = 0.5
"""Width over height of the picture of a whole figure."""
HEAD_HIGH = 0.155
"""Height of the head over that of the picture of a whole figure."""
HEAD_CENTRE = (0.5, 0.10)
"""Where the middle of the head is in the picture of a whole figure: (right, down) in [0, 1]."""
BUST_CENTRE = (0.5, 0.40)
"""Where the middle of the head is in the square picture of a bust."""
BUST_HEAD_HIGH = 0.56
"""Height of the head over that of a bust's picture."""
_NECK = 1.2
"""The head turns up to 0.6 times this against the body, radians."""
_FINER = 2
"""Figures are drawn this many times larger than asked for and averaged down."""


@dataclass(frozen=True, eq=False)
class Person:
    """How somebody looks, whatever they look at."""

    skin: np.ndarray
    hair: np.ndarray
    """Colours, (3,) uint8."""

    style: str
    """One of HAIR."""

    iris: tuple[int, int, int]
    top: np.ndarray
    """(height, width, 3) uint8, the cloth of shirt or dress."""

    bottom: np.ndarray
    shoes: np.ndarray
    """Colours, (3,) uint8."""

    beard: bool
    skirt: bool
    long_sleeves: bool
    build: float
    """Width of the body, 1 = average."""

    arms: tuple[float, float, float, float]
    """Angles outwards of the upper arms and lower arms, left and right, radians."""

    light: np.ndarray
    """(3,) unit vector to the lamp as in `solids`."""


def random_person(rng: np.random.Generator) -> Person:
    """Somebody of any skin, hair, build and clothes."""
    skin = _mixed(rng, _SKIN)
    dark = float(skin.mean()) < 120
    hair = _mixed(rng, _HAIR[:3] if dark else _HAIR)
    colours = palette(rng, 3)
    cloth = np.full((160, 160, 3), colours[0], np.uint8)
    kind = pick(rng, CLOTHES)
    if kind != 'plain':
        cloth = np.ascontiguousarray(draw_pattern(rng, kind, 160, 160, colours,
                                                  rng.uniform(3, 9)))
    light = np.array([rng.uniform(-0.7, 0.7), rng.uniform(-0.8, -0.3), 0.8])
    out = rng.uniform(0.06, 0.3, 2)
    bend = rng.uniform(-0.15, 0.1, 2)
    if rng.random() < 0.25:                                            # a hand on the hip
        side = int(rng.integers(2))
        out[side], bend[side] = 0.5, -0.75
    return Person(skin, hair, pick(rng, HAIR), pick(rng, _IRIS),
                  roughen(rng, cloth, rng.uniform(0.05, 0.4)), palette(rng, 1, 0.5)[0],
                  palette(rng, 1, 0.3)[0], bool(rng.random() < 0.2), bool(rng.random() < 0.25),
                  bool(rng.random() < 0.6), float(rng.uniform(0.85, 1.2)),
                  (float(out[0]), float(out[0] + bend[0]), float(out[1]), float(out[1] + bend[1])),
                  light / np.linalg.norm(light))


def draw_person(person: Person, gaze: tuple[float, float], height_px: int = 256,
                eyes: tuple[float, float] | None = None) -> np.ndarray:
    """A whole figure, standing.

    Args:
        gaze: where they look, (right, down) in radians as the viewer sees it: (0, 0) is at the
            viewer, (pi / 2, 0) to the viewer's right, (pi, 0) away from the viewer. Eyes and head
            turn there, the body follows.
        eyes: how far the eyes turn in the head, radians, (right, down); None: a part of the gaze,
            at most 0.3.

    Returns:
        (height_px, height_px * ASPECT, 4) uint8 RGBA; the feet touch its lower edge.

    Raises:
        WorldError: a gaze that is not finite, or a height below 8.
    """
    return _shrunk(_stage(person, gaze, False, height_px, eyes).rgba(), height_px)


def draw_bust(person: Person, gaze: tuple[float, float], height_px: int = 128,
              eyes: tuple[float, float] | None = None) -> np.ndarray:
    """Head and shoulders in a square, (height_px, height_px, 4) uint8 RGBA; as `draw_person`."""
    return _shrunk(_stage(person, gaze, True, height_px, eyes).rgba(), height_px)


def stand(rng: np.random.Generator, canvas: Canvas, place: np.ndarray, eye_m: float) -> None:
    """Draw somebody who stands on the floor into a panorama, with a shadow at their feet.

    Args:
        place: (2,) plan position, metres; the floor is eye_m below the eye.
    """
    height_m = rng.uniform(1.4, 1.95)
    distance = float(np.hypot(*place))
    slope = eye_m / math.hypot(eye_m, distance)
    shadow: np.ndarray = np.zeros((max(4, int(48 * slope)), 48, 4), np.uint8)
    middle = (24, shadow.shape[0] // 2)
    cv2.ellipse(shadow, middle, (20, max(1, int(17 * slope))), 0, 0, 360, (0, 0, 0, 130), -1)
    canvas.sticker(np.array([*place, -eye_m]) / math.hypot(eye_m, distance),
                   cv2.GaussianBlur(shadow, (0, 0), 2), 2 * math.atan(0.3 / distance))
    tall_px = canvas.width / (2 * np.pi) * 1.5 * height_m / distance
    picture = draw_person(random_person(rng), (rng.normal(0, 1.0), rng.normal(0.1, 0.2)),
                          int(min(512, max(32, tall_px))))
    aside = np.array([-place[1], place[0]]) / distance * height_m * ASPECT / 2
    canvas.wall(place + aside, place - aside, -eye_m, height_m - eye_m, picture)
    head = np.array([*place, height_m * (1 - HEAD_CENTRE[1]) - eye_m])
    away = float(np.linalg.norm(head))
    canvas.heads.append((head / away, math.atan(HEAD_HIGH / 2 * height_m / away)))


def gaze_towards(person: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """The gaze (right, down) of somebody who looks at a point, as the viewer sees it.

    Args:
        person: (3,) position of their head, base frame, metres; the viewer is at the origin.
        target: (3,) what they look at.
    """
    towards = optical_ray(np.asarray(target) - person, *pan_tilt_from_direction(person))
    right, down, away = (float(value) for value in towards)
    return math.atan2(right, -away), math.atan2(down, math.hypot(right, away))


def _shrunk(picture: np.ndarray, height_px: int) -> np.ndarray:
    """Averaged down, colours weighted by alpha, so that no black shines through the rim."""
    small = cv2.resize(picture, (picture.shape[1] // _FINER, height_px),
                       interpolation=cv2.INTER_AREA)
    alpha = np.maximum(small[..., 3:], 1)
    colour = np.minimum(small[..., :3].astype(np.uint16) * 255 // alpha, 255)
    return np.concatenate([colour.astype(np.uint8), small[..., 3:]], axis=-1)


def _mixed(rng: np.random.Generator, colours: np.ndarray) -> np.ndarray:
    """A colour between two neighbours of a table."""
    i = int(rng.integers(len(colours) - 1))
    part = rng.random()
    return (colours[i] * (1 - part) + colours[i + 1] * part).astype(np.uint8)


def turned(right_rad: float, down_rad: float) -> np.ndarray:
    """Rotation (3, 3) of what faces the viewer to face (right, down)."""
    forward = np.array([math.sin(right_rad) * math.cos(down_rad), math.sin(down_rad),
                        math.cos(right_rad) * math.cos(down_rad)])
    side = np.array([math.cos(right_rad), 0.0, -math.sin(right_rad)])
    return np.stack([side, np.cross(forward, side), forward], axis=1)


def _stage(person: Person, gaze: tuple[float, float], bust: bool, height_px: int,
           eyes: tuple[float, float] | None) -> Stage:
    right, down = float(gaze[0]), float(gaze[1])
    if not math.isfinite(right) or not math.isfinite(down):
        raise WorldError(f'a gaze is two finite angles, got {gaze}')
    if height_px < 8:
        raise WorldError(f'a figure is at least 8 pixels high, got {height_px}')
    body_deg = math.degrees(right - 0.6 * min(max(right, -_NECK), _NECK))
    stage = _body(person, round(body_deg / 10) * 10, bust, _FINER * height_px).copy()
    aside, low = np.clip((0.25 * right, 0.35 * down), -0.3, 0.3) if eyes is None else eyes
    head = turned(right - aside, float(np.clip(down - low, -1.0, 1.0)))
    about = np.array([0.0, HEAD_CENTRE[1], 0.01])
    for solid in _head(person, turned(right, down)[:, 2]):
        stage.add(solid, head, about, HEAD_HIGH / 2)
    return stage


def _head(person: Person, looks: np.ndarray) -> list[Solid]:
    """A head about the origin, facing +z, of half-height 1."""
    skin, hair = person.skin, person.hair
    shade = (skin * 0.86).astype(np.uint8)
    lips = (skin * np.array([0.82, 0.55, 0.55])).astype(np.uint8)
    brow = (hair * 0.8).astype(np.uint8)
    parts = [Solid((0, -0.1, 0), (0.76, 0.9, 0.86), skin),
             Solid((0, 0.45, 0.14), (0.6, 0.56, 0.63), skin),                   # jaw
             Solid((0, 0.16, 0.86), (0.12, 0.24, 0.15), shade),                 # nose
             Solid((0, 0.30, 0.95), (0.16, 0.12, 0.2), shade),
             Solid((0, 0.60, 0.62), (0.25, 0.06, 0.16), lips)]
    for side in (-1, 1):
        parts.append(Solid((side * 0.3, -0.06, 0.66), (0.2, 0.17, 0.19), skin, looks=looks,
                           iris=person.iris))
        parts.append(Solid((side * 0.31, -0.30, 0.74), (0.21, 0.05, 0.1), brow))
        parts.append(Solid((side * 0.77, 0.05, -0.05), (0.1, 0.2, 0.13), shade))   # ear
    if person.beard:
        parts.append(Solid((0, 0.62, 0.25), (0.56, 0.47, 0.54), hair))
    if person.style != 'bald':
        parts.append(Solid((0, -0.2, -0.16), (0.82, 0.88, 0.86), hair))
    if person.style == 'long':
        parts.append(Solid((0, 0.35, -0.4), (0.8, 1.05, 0.5), hair))
    elif person.style == 'bun':
        parts.append(Solid((0, -0.65, -0.85), (0.36, 0.36, 0.36), hair))
    elif person.style == 'tail':
        parts.append(Solid((0, 0.15, -1.05), (0.2, 0.75, 0.22), hair))
    elif person.style == 'cap':
        cloth = person.shoes
        parts.append(Solid((0, -0.52, -0.04), (0.84, 0.6, 0.94), cloth))
        parts.append(Solid((0, -0.47, 0.85), (0.6, 0.06, 0.5), (cloth * 0.8).astype(np.uint8)))
    return parts


@functools.lru_cache(maxsize=4)
def _body(person: Person, facing_deg: int, bust: bool, tall: int) -> Stage:
    """Everything below the head, turned; units are the height of a whole figure's picture."""
    wide, scale, middle = round(tall * ASPECT / _FINER) * _FINER, float(tall), 0.0
    if bust:
        wide, scale = tall, tall * BUST_HEAD_HIGH / HEAD_HIGH
        middle = tall * BUST_CENTRE[1] - scale * HEAD_CENTRE[1]
    stage = Stage(wide, tall, scale, (wide / 2, middle), person.light)
    turn = turned(math.radians(facing_deg), 0.0)
    for solid in _clothed(person):
        stage.add(solid, turn, np.zeros(3))
    return stage


def _clothed(person: Person) -> list[Solid]:
    """Neck, trunk, arms and legs of a figure of height 1 that faces +z."""
    wide, skin, top = person.build, person.skin, person.top
    parts = [Solid((0, 0.18, -0.005), (0.03, 0.05, 0.03), (skin * 0.85).astype(np.uint8),
                   tube=True),
             Solid((0, 0.225, 0), (0.108 * wide, 0.04, 0.045), top),               # shoulders
             Solid((0, 0.31, 0), (0.09 * wide, 0.14, 0.058 * wide), top),          # chest
             Solid((0, 0.41, 0), (0.08 * wide, 0.14, 0.052 * wide), top)]          # waist
    parts.append(Solid((0, 0.49, 0), (0.082 * wide, 0.06, 0.056 * wide), person.bottom))
    if person.skirt:
        parts.append(Solid((0, 0.57, 0), (0.09 * wide, 0.1, 0.07 * wide), person.bottom,
                           tube=True))
    legs = skin if person.skirt else person.bottom
    for side, upper, lower in ((-1, *person.arms[:2]), (1, *person.arms[2:])):
        parts += _arm(person, side, upper, lower)
        hip, foot = 0.042 * wide * side, 0.055 * side
        parts.append(_limb((hip, 0.5, 0), (foot, 0.75, 0.004), 0.036 * wide, legs))
        parts.append(_limb((foot, 0.75, 0.004), (foot, 0.965, 0), 0.028 * wide, legs))
        parts.append(Solid((foot, 0.75, 0.004), (0.032 * wide,) * 3, legs))
        parts.append(Solid((foot * 1.15, 0.98, 0.025), (0.03, 0.02, 0.055), person.shoes))
    return parts


def _arm(person: Person, side: int, upper: float, lower: float) -> list[Solid]:
    shoulder = np.array([0.095 * person.build * side, 0.228, 0.0])
    elbow = shoulder + 0.16 * np.array([math.sin(upper) * side, math.cos(upper), -0.02])
    hand = elbow + 0.145 * np.array([math.sin(lower) * side, math.cos(lower), 0.15])
    sleeve = person.top if person.long_sleeves else person.skin
    thick = 0.027 * person.build
    return [_limb(shoulder, elbow, thick, person.top), _limb(elbow, hand, thick * 0.8, sleeve),
            Solid(tuple(shoulder), (thick * 1.02,) * 3, person.top),
            Solid(tuple(elbow), (thick * 0.95,) * 3, sleeve),
            Solid(tuple(hand), (0.02, 0.028, 0.02), person.skin)]


def _limb(start: np.ndarray | tuple[float, ...], end: np.ndarray | tuple[float, ...],
          thick: float, colour: np.ndarray) -> Solid:
    """A tube between two points."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    along = end - start
    length = float(np.linalg.norm(along))
    y = along / length
    x = np.cross(y, (0.0, 0.0, 1.0))
    x /= np.linalg.norm(x)
    middle = (start + end) / 2
    return Solid((float(middle[0]), float(middle[1]), float(middle[2])),
                 (thick, length / 2, thick), colour, np.stack([x, y, np.cross(x, y)], axis=1),
                 tube=True)
