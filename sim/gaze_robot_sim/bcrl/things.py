"""What lies in the workspace of BC-RL: coloured shapes, each with a code only a fovea can read.

The code is a lattice of dots in the middle: none, white, magenta or yellow ones, on a ground that
is as much darker, greener or bluer. Dots and ground always average to the same grey, so that
whoever cannot resolve the dots, 1.4 degrees from one to the next, sees one grey middle whatever
the code is.
"""

import functools
import math

import cv2
import numpy as np

COLOURS = {'red': (215, 50, 45), 'green': (50, 165, 60), 'blue': (45, 85, 215),
           'yellow': (225, 205, 45), 'magenta': (205, 60, 190), 'cyan': (50, 195, 205)}
SHAPES = ('disc', 'square', 'diamond')
CODES = (-1.0, -1 / 3, 1 / 3, 1.0)
"""How fast the wrist turns, as a fraction of its fastest, by the number of the code."""

TASK_SIZE = len(COLOURS) + len(SHAPES)
"""Numbers that name one thing: one-hot colour, one-hot shape."""

_SIDE = 128
"""Pixels across a sprite."""
_DOTS_DEG = 1.4
"""From one dot to the next."""
_DUTY = 0.3
"""Share of the middle that dots cover."""
_MIDDLE = 0.4
"""Diameter of the middle over that of the thing."""
_CONTRAST = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (1.0, -1.0, 1.0), (1.0, 1.0, -1.0))
"""What dots are above the mean grey in red, green and blue, by the number of the code."""
_AMPLITUDE = 125.0


def name_of(colour: int, shape: int) -> str:
    """A thing in words."""
    return f'{list(COLOURS)[colour]} {SHAPES[shape]}'


def embedding(colour: int, shape: int) -> np.ndarray:
    """The numbers (TASK_SIZE,) float32 that name a thing."""
    row = np.zeros(TASK_SIZE, np.float32)
    row[colour] = row[len(COLOURS) + shape] = 1.0
    return row


@functools.lru_cache(maxsize=256)
def picture(colour: int, shape: int, code: int, diameter_deg: float) -> np.ndarray:
    """A thing as (side, side, 4) uint8 RGBA, `diameter_deg` across."""
    steps = (np.arange(_SIDE) + 0.5) / _SIDE * 2 - 1
    x, y = np.meshgrid(steps, steps)
    out = np.empty((_SIDE, _SIDE, 4), np.uint8)
    out[..., :3] = list(COLOURS.values())[colour]
    out[..., 3] = 255 * _inside(SHAPES[shape], x, y)
    middle = np.hypot(x, y) < _MIDDLE
    out[middle, :3] = _dots(code, x[middle] * diameter_deg / 2, y[middle] * diameter_deg / 2)
    return out


def _inside(shape: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which samples of the square -1..1 a shape covers."""
    if shape == 'disc':
        return np.hypot(x, y) < 0.98
    if shape == 'square':
        return np.maximum(abs(x), abs(y)) < 0.86
    return abs(x) + abs(y) < 1.0


def _dots(code: int, x_deg: np.ndarray, y_deg: np.ndarray) -> np.ndarray:
    """The code's lattice at some places, (n, 3) uint8; its mean there is mid grey."""
    radius = _DOTS_DEG * math.sqrt(_DUTY / math.pi)
    away = np.hypot(*((along / _DOTS_DEG - np.round(along / _DOTS_DEG)) * _DOTS_DEG
                      for along in (x_deg, y_deg)))
    dot = (away < radius)[..., None]
    swing, share = _AMPLITUDE * np.array(_CONTRAST[code]), dot.mean()
    # The ground between the dots is what makes the mean come out.
    return np.rint(127.5 + np.where(dot, swing, -swing * share / (1 - share))).astype(np.uint8)


@functools.lru_cache(maxsize=1)
def backgrounds(width: int, count: int = 24) -> tuple[np.ndarray, ...]:
    """Dull, cloudy walls (height, width, 3) uint8 that things stand out from; always the same."""
    rng = np.random.default_rng(20_240)
    walls = []
    for _ in range(count):
        wall = np.full((width // 2, width, 3), rng.uniform(70, 150, 3) * 0.4 + 66, np.float32)
        for octave in range(2, 7):
            cells = rng.normal(0, 1, (2 ** octave, 2 ** (octave + 1), 1)) * rng.uniform(3, 12)
            tint = rng.normal(0, 1, (2 ** octave, 2 ** (octave + 1), 3)) * rng.uniform(1, 4)
            around = np.concatenate([cells + tint, (cells + tint)[:, :1]], axis=1)
            wide = cv2.resize(around.astype(np.float32), (width + width // 2 ** (octave + 1),
                                                          width // 2))
            wall += wide[:, :width]
        walls.append(np.clip(wall, 0, 255).astype(np.uint8))
    return tuple(walls)
