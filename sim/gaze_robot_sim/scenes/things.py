"""The things to look for in a room: small, structured, in families of look-alikes."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from gaze_robot_sim.scenes.textures import (
    Colours,
    draw_pattern,
    palette,
    PATTERNS,
    pick,
    pink_noise,
    roughen,
)

SHAPES = ('square', 'plate', 'disc', 'oval', 'triangle', 'star', 'polygon', 'blob', 'ring',
          'cross', 'bottle', 'heart', 'house')
THING_PX = 48
_MIN_DIFFERENCE = 22.0


@dataclass(frozen=True, eq=False)
class Thing:
    """How one thing looks; the same Thing always draws the same picture."""

    shape: str
    shape_seed: int
    patterns: tuple[str, str]
    """Of its ground and of the band or badge on it."""

    pattern_seed: int
    colours: Colours
    """(6, 3) uint8: three of the ground, three of the badge."""

    cycles: float
    glossy: bool
    contrast: float
    """1 = as painted, lower = washed out towards its own mean."""

    @property
    def name(self) -> str:
        """Such as 'checks heart'."""
        return f'{self.patterns[0]} {self.shape}'


def random_thing(rng: np.random.Generator) -> Thing:
    """A thing of random shape, patterns and colours; one in six is of low contrast."""
    colours = np.concatenate([palette(rng, 3), palette(rng, 3)])
    contrast = rng.uniform(0.3, 0.55) if rng.random() < 1 / 6 else 1.0
    return Thing(pick(rng, SHAPES), int(rng.integers(2 ** 31)),
                 (pick(rng, PATTERNS), pick(rng, PATTERNS)),
                 int(rng.integers(2 ** 31)), colours, float(rng.uniform(1.2, 4.5)),
                 bool(rng.random() < 0.4), contrast)


def look_alike(rng: np.random.Generator, thing: Thing) -> Thing:
    """A sibling that shares most of its looks and differs in pattern, colours or shape."""
    way = rng.integers(4)
    if way == 0:
        return replace(thing, colours=thing.colours[rng.permutation(6)])
    if way == 1:
        return replace(thing, patterns=(pick(rng, PATTERNS), pick(rng, PATTERNS)),
                       pattern_seed=int(rng.integers(2 ** 31)))
    if way == 2:
        return replace(thing, pattern_seed=int(rng.integers(2 ** 31)),
                       shape_seed=int(rng.integers(2 ** 31)))
    return replace(thing, shape=pick(rng, SHAPES), cycles=float(rng.uniform(1.2, 4.5)),
                   colours=np.concatenate([thing.colours[:3], palette(rng, 3)]))


def family(rng: np.random.Generator, count: int) -> list[tuple[Thing, np.ndarray]]:
    """`count` things, some of them look-alikes, every two of them visibly different.

    Returns:
        (thing, its (THING_PX, THING_PX, 4) uint8 RGBA picture) each.
    """
    made: list[tuple[Thing, np.ndarray]] = []
    small: list[np.ndarray] = []
    while len(made) < count:
        alike = bool(made) and rng.random() < 0.45
        thing = look_alike(rng, made[-1][0]) if alike else random_thing(rng)
        picture = draw_thing(thing)
        tiny = _on_grey(picture)
        if all(np.abs(tiny - other).mean() > _MIN_DIFFERENCE for other in small):
            made.append((thing, picture))
            small.append(tiny)
    return made


def _on_grey(picture: np.ndarray) -> np.ndarray:
    """The RGBA picture on mid grey, (16, 16, 3) int16: for telling things apart."""
    small = cv2.resize(picture, (16, 16), interpolation=cv2.INTER_AREA).astype(np.int16)
    return 127 + (small[..., :3] - 127) * small[..., 3:] // 255


def draw_thing(thing: Thing) -> np.ndarray:
    """Its (THING_PX, THING_PX, 4) uint8 RGBA picture."""
    rng = np.random.default_rng(thing.pattern_seed)
    side = THING_PX
    ground = draw_pattern(rng, thing.patterns[0], side, side, thing.colours[:3], thing.cycles)
    badge = draw_pattern(rng, thing.patterns[1], side, side, thing.colours[3:], thing.cycles)
    picture = np.ascontiguousarray(ground)
    cv2.copyTo(np.ascontiguousarray(badge), _badge_mask(rng), picture)
    if rng.random() < 0.35:
        _outline(rng, picture, thing.colours)
    picture = roughen(rng, picture, rng.uniform(0.05, 0.5))
    picture = _shaded(rng, picture, thing.glossy)
    if thing.contrast < 1:
        mean = picture.mean(axis=(0, 1), keepdims=True)
        picture = (mean + (picture - mean) * thing.contrast).astype(np.uint8)
    return np.dstack([picture, shape_mask(thing.shape, np.random.default_rng(thing.shape_seed))])


def shape_mask(shape: str, rng: np.random.Generator) -> np.ndarray:
    """(THING_PX, THING_PX) uint8, 255 inside one of SHAPES; drawn large, then shrunk."""
    side = 4 * THING_PX
    mask = np.zeros((side, side), np.uint8)
    middle, radius = side // 2, int(side * 0.47)
    if shape in ('disc', 'oval', 'ring'):
        axes = (radius, int(radius * (rng.uniform(0.55, 0.8) if shape == 'oval' else 1)))
        cv2.ellipse(mask, (middle, middle), axes, 0, 0, 360, 255, -1)
        if shape == 'ring':
            cv2.circle(mask, (middle, middle), int(radius * rng.uniform(0.25, 0.5)), 0, -1)
    elif shape == 'blob':
        field = pink_noise(rng, side, side, 2.6) * 0.6
        y, x = np.mgrid[-1:1:side * 1j, -1:1:side * 1j]
        mask[(np.hypot(x, y) + field < 1.05) & (np.hypot(x, y) < 0.96)] = 255
    else:
        outline = _OUTLINES[shape] if shape in _OUTLINES else _polygon(rng, shape)
        points = middle + np.asarray(outline) * radius
        cv2.fillPoly(mask, [points.astype(np.int32).reshape(-1, 1, 2)], 255)
    return cv2.resize(mask, (THING_PX, THING_PX), interpolation=cv2.INTER_AREA)


_HEART_T = np.linspace(0, 2 * np.pi, 40, endpoint=False)
_OUTLINES = {
    'square': [(-1, -1), (1, -1), (1, 1), (-1, 1)],
    'plate': [(-1, -0.6), (1, -0.6), (1, 0.6), (-1, 0.6)],
    'triangle': [(0, -1), (1, 0.9), (-1, 0.9)],
    'cross': [(-.35, -1), (.35, -1), (.35, -.35), (1, -.35), (1, .35), (.35, .35), (.35, 1),
              (-.35, 1), (-.35, .35), (-1, .35), (-1, -.35), (-.35, -.35)],
    'bottle': [(-.18, -1), (.18, -1), (.2, -.5), (.55, -.2), (.55, 1), (-.55, 1), (-.55, -.2),
               (-.2, -.5)],
    'heart': np.stack([np.sin(_HEART_T) ** 3,
                       -(13 * np.cos(_HEART_T) - 5 * np.cos(2 * _HEART_T)
                         - 2 * np.cos(3 * _HEART_T) - np.cos(4 * _HEART_T)) / 17], axis=1),
    'house': [(0, -1), (1, -.2), (.8, -.2), (.8, 1), (-.8, 1), (-.8, -.2), (-1, -.2)],
}


def _polygon(rng: np.random.Generator, shape: str) -> np.ndarray:
    """A star, or a convex polygon of five to eight unequal sides."""
    count = int(rng.integers(5, 9)) * (2 if shape == 'star' else 1)
    angle = np.arange(count) * 2 * np.pi / count + rng.uniform(0, np.pi)
    reach = np.ones(count)
    if shape == 'star':
        reach[::2] = rng.uniform(0.4, 0.6)
    else:
        angle += rng.uniform(-0.3, 0.3, count)
    return np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=1)


def _badge_mask(rng: np.random.Generator) -> np.ndarray:
    """Where the second pattern goes: a band, half, quarters, a disc, a frame or nowhere."""
    side = THING_PX
    mask = np.zeros((side, side), np.uint8)
    way, edge = rng.integers(7), int(side * rng.uniform(0.3, 0.6))
    if way == 0:
        mask[edge - side // 5:edge + side // 6] = 255
    elif way == 1:
        mask[:, edge:] = 255
    elif way == 2:
        mask[:edge, :edge] = mask[edge:, edge:] = 255
    elif way == 3:
        cv2.circle(mask, (side // 2, side // 2), edge // 2 + 4, 255, -1)
    elif way == 4:
        mask[:] = 255
        mask[side // 6:-side // 6, side // 6:-side // 6] = 0
    elif way == 5:
        cv2.fillConvexPoly(mask, np.array([[0, 0], [side, 0], [0, side]]), 255)
    return mask


def _outline(rng: np.random.Generator, picture: np.ndarray, colours: Colours) -> None:
    """Draw a few bold strokes: what the eye takes for features."""
    for _ in range(rng.integers(1, 4)):
        ends = rng.integers(4, THING_PX - 4, (2, 2)).tolist()
        colour = colours[rng.integers(len(colours))].tolist()
        if rng.random() < 0.5:
            cv2.line(picture, ends[0], ends[1], colour, int(rng.integers(2, 6)), cv2.LINE_AA)
        else:
            cv2.circle(picture, ends[0], int(rng.integers(3, 10)), colour, -1, cv2.LINE_AA)


def _shaded(rng: np.random.Generator, picture: np.ndarray, glossy: bool) -> np.ndarray:
    """Brighter towards a light, with a highlight where glossy."""
    y, x = np.mgrid[-1:1:THING_PX * 1j, -1:1:THING_PX * 1j].astype(np.float32)
    angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.0, 0.45)
    gain = 1 + np.float32(depth) * (np.cos(angle, dtype=np.float32) * x
                                    + np.sin(angle, dtype=np.float32) * y)
    result = cv2.multiply(picture, cv2.merge([gain] * 3), dtype=cv2.CV_8U)
    if glossy:
        px, py = rng.uniform(-0.5, 0.5, 2).astype(np.float32)
        spot = np.exp(-((x - px) ** 2 + (y - py) ** 2) / np.float32(rng.uniform(0.01, 0.08)))
        result = cv2.add(result, cv2.merge([spot * 200] * 3), dtype=cv2.CV_8U)
    return result
