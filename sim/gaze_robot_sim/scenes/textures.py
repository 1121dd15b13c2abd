"""Textures from a random generator: noise with natural statistics, patterns, clutter.

Every picture here is (height, width, 3) uint8 RGB; the numpy Generator is the only source of
randomness, so one seed gives one texture.
"""

from collections.abc import Sequence
import math
from typing import TypeVar

import cv2
import numpy as np

Colours = np.ndarray
"""(count, 3) uint8 RGB."""

PATTERNS = ('stripes', 'checks', 'rings', 'plaid', 'dots', 'bricks', 'wedges', 'waves', 'zigzag',
            'cells', 'marble', 'wood', 'clouds', 'leaves', 'glyphs', 'weave', 'shards', 'scene')


_Choice = TypeVar('_Choice')


def pick(rng: np.random.Generator, choices: Sequence[_Choice]) -> _Choice:
    """One of the choices, all as likely; ten times quicker than Generator.choice."""
    return choices[int(rng.integers(len(choices)))]


def random_bytes(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Return uint8 noise, the quickest the generator can make."""
    return np.frombuffer(rng.bytes(math.prod(shape)), np.uint8).reshape(shape)


def pink_noise(rng: np.random.Generator, height: int, width: int, slope: float = 1.0,
               coarsest: int = 2) -> np.ndarray:
    """1/f noise, (height, width) float32 stretched to [0, 1].

    Args:
        slope: amplitude falls as 1 / frequency ** slope; natural pictures lie near 1.
        coarsest: cells along the shorter side in the lowest octave.
    """
    steps = max(1, round(np.log2(max(2, min(height, width) / coarsest))))
    total: np.ndarray = np.zeros((1, 1), np.float32)
    amplitude, whole = 1.0, 0.0
    for step in range(steps, -1, -1):          # coarse to fine, each octave at its own resolution
        rows, columns = max(2, height >> step), max(2, width >> step)
        total = cv2.resize(total, (columns, rows), interpolation=cv2.INTER_LINEAR)
        whole += amplitude
        cv2.accumulateWeighted(random_bytes(rng, rows, columns), total, amplitude / whole)
        amplitude /= 2 ** (slope - 1)       # in two dimensions 1/f has the same power per octave
    return cv2.normalize(total, total, 0.0, 1.0, cv2.NORM_MINMAX)


def palette(rng: np.random.Generator, count: int, strength: float | None = None) -> Colours:
    """Colours that go together, or do not; `strength` in [0, 1] bounds the saturation."""
    strength = rng.uniform(0.1, 1.0) if strength is None else strength
    spread = pick(rng, (0.06, 0.2, 0.5, 1.0))
    hue = rng.random() + spread * rng.uniform(-0.5, 0.5, (count, 1))
    saturation = strength * rng.uniform(0.3, 1.0, (count, 1))
    light = rng.uniform(0.15, 1.0, (count, 1))
    dark_first = rng.random() < 0.5                  # two colours at least are told apart
    light[0, 0] = rng.uniform(0.05, 0.45) if dark_first else rng.uniform(0.6, 1.0)
    light[1:2, 0] = rng.uniform(0.6, 1.0) if dark_first else rng.uniform(0.05, 0.45)
    sector = (np.array([5.0, 3.0, 1.0]) + 6 * hue) % 6                        # HSV to RGB
    weight = np.clip(np.minimum(sector, 4 - sector), 0, 1)
    return (255 * light * (1 - saturation * weight)).astype(np.uint8)


def coloured(numbers: np.ndarray, table: Colours) -> np.ndarray:
    """The table's colours (256 or fewer) at (height, width) uint8 numbers."""
    full = np.zeros((256, 1, 3), np.uint8)
    full[:len(table), 0] = table
    return cv2.LUT(cv2.merge([numbers] * 3), full)


def colour_ramp(field: np.ndarray, colours: Colours) -> np.ndarray:
    """Colour a float field in [0, 1] along the palette, smoothly."""
    stops = np.linspace(0, 255, len(colours))
    ramp = np.stack([np.interp(np.arange(256), stops, colours[:, i]) for i in range(3)], axis=1)
    return coloured((field * 255).astype(np.uint8), ramp.astype(np.uint8))


def roughen(rng: np.random.Generator, picture: np.ndarray, strength: float) -> np.ndarray:
    """The picture with 1/f brightness variation of this relative strength."""
    field = pink_noise(rng, picture.shape[0], picture.shape[1], rng.uniform(0.8, 1.8))
    gain = cv2.merge([1 + strength * (field - 0.5)] * 3)
    return cv2.multiply(picture, gain, dtype=cv2.CV_8U)


def joined(picture: np.ndarray, width: int) -> np.ndarray:
    """Cut to `width` and fade what was cut into the left, so that the ends join."""
    extra = picture.shape[1] - width
    keep = np.linspace(0, 1, extra, dtype=np.float32)[None, :, None]
    result = picture[:, :width].copy()
    result[:, :extra] = keep * picture[:, :extra] + (1 - keep) * picture[:, width:]
    return result


def draw_pattern(rng: np.random.Generator, kind: str, height: int, width: int, colours: Colours,
                 cycles: float) -> np.ndarray:
    """One of PATTERNS.

    Args:
        colours: at least two.
        cycles: how often it repeats along the shorter side, about.
    """
    if kind in ('leaves', 'glyphs', 'shards', 'scene'):
        return _PAINTERS[kind](rng, height, width, colours, cycles)
    if kind == 'clouds':
        field = pink_noise(rng, height, width, rng.uniform(0.9, 2.0), max(2, round(cycles / 2)))
        return colour_ramp(field, colours)
    x, y = _grid(rng, height, width, cycles)
    if kind == 'cells':
        return coloured(_cells(rng, x, y) % len(colours), colours)
    if kind in ('marble', 'wood'):
        stretch = 0.15 if kind == 'wood' else 1.0
        bent = pink_noise(rng, height, width, rng.uniform(1.6, 2.4)) * rng.uniform(2, 6)
        return colour_ramp(0.5 + 0.5 * np.sin(2 * np.pi * (0.5 * x + stretch * y * 0.3) + bent),
                           colours)
    number = _index(rng, kind, x, y).astype(np.float32) % len(colours)
    return coloured(number.astype(np.uint8), colours)


def _grid(rng: np.random.Generator, height: int, width: int,
          cycles: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates in cycles, turned, shifted, stretched and, one time in four, warped."""
    scale = cycles / min(height, width)
    x: np.ndarray = np.arange(width, dtype=np.float32)[None] * scale - 0.5 * width * scale
    y = np.arange(height, dtype=np.float32)[:, None] * scale - 0.5 * height * scale
    angle = pick(rng, (0.0, 0.0, np.pi / 2, np.pi / 4, rng.uniform(0, np.pi)))
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    u: np.ndarray = c * x + s * y + np.float32(rng.uniform(-0.5, 0.5))
    v = (c * y - s * x) * np.float32(pick(rng, (1.0, 1.0, 0.6))) \
        + np.float32(rng.uniform(-0.5, 0.5))
    if rng.random() < 0.25:
        u = u + np.float32(rng.uniform(0.3, 1.5)) * pink_noise(rng, height, width, 2.2)
    return u, v


def _index(rng: np.random.Generator, kind: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Number of the palette colour at every place of a periodic pattern (any number, floored)."""
    duty = np.float32(rng.uniform(0.25, 0.75))
    if kind == 'stripes':
        return np.floor(2 * x) if rng.random() < 0.5 else np.floor(x) + (x % 1 > duty)
    if kind == 'checks':
        return np.floor(x) + np.floor(y)
    if kind == 'rings':
        return np.floor(2 * np.hypot(x, y))
    if kind == 'plaid':
        return (x % 1 > duty) * 1 + (y % 1 > 1 - duty) * 2
    if kind == 'dots':
        near = np.hypot(x % 1 - 0.5, y % 1 - 0.5) < 0.15 + 0.35 * duty
        return near * (1 + np.floor(x) + np.floor(y) * 2 * rng.integers(2))
    if kind == 'bricks':
        row = np.floor(2 * y)
        along = x + 0.5 * (row % 2)
        joint = (2 * y % 1 < 0.15) | (along % 1 < 0.08)
        return np.where(joint, 0, 1 + (np.floor(along) * 3 + row * 5) % 3)
    if kind == 'wedges':
        return np.floor(np.arctan2(y, x) * rng.integers(2, 7) / np.pi)
    if kind == 'waves':
        return np.floor(2 * (x + 0.3 * np.sin(2 * np.pi * y)))
    if kind == 'zigzag':
        return np.floor(2 * (x + np.abs(y % 1 - 0.5)))
    over = (np.floor(2 * x) + np.floor(2 * y)) % 2                        # weave
    return np.where(over > 0, np.floor(x * 6), np.floor(y * 6))


def _cells(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Voronoi cells by their number, at half resolution where the picture is large."""
    height, width = x.shape
    step = max(1, min(height, width) // 128)
    small_x, small_y = x[::step, ::step], y[::step, ::step]
    count = int(np.clip(np.ptp(x) * np.ptp(y), 6, 60))
    best = np.full(small_x.shape, np.inf, np.float32)
    number = np.zeros(small_x.shape, np.uint8)
    for i in range(count):
        px, py = rng.uniform(x.min(), x.max()), rng.uniform(y.min(), y.max())
        gap = (small_x - np.float32(px)) ** 2 + (small_y - np.float32(py)) ** 2
        number[gap < best] = i
        np.minimum(best, gap, out=best)
    return cv2.resize(number, (width, height), interpolation=cv2.INTER_NEAREST)


def _leaves(rng: np.random.Generator, height: int, width: int, colours: Colours,
            cycles: float) -> np.ndarray:
    """Dead leaves: shapes of power-law size over one another, as occlusion makes pictures."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = colours[0]
    shorter, low = min(height, width), 0.25 / cycles
    count = int(np.clip(6 * cycles * cycles * max(height, width) / shorter, 20, 220))
    size = low * shorter / np.sqrt(rng.uniform(low * low, 1, count))
    centre = rng.random((count, 2)) * (width, height)
    shift = rng.normal(0, 18, (count, 3))
    chosen = np.clip(colours[rng.integers(len(colours), size=count)] + shift, 0, 255)
    stretch, turn = rng.uniform(0.3, 1.0, count), rng.uniform(0, 180, count)
    boxy = rng.random() < 0.3
    for i in range(count):
        axes = (max(1.0, size[i]), max(1.0, size[i] * stretch[i]))
        box = (tuple(centre[i]), (2 * axes[0], 2 * axes[1]), turn[i])
        if boxy:
            cv2.fillConvexPoly(picture, cv2.boxPoints(box).astype(np.int32), chosen[i].tolist())
        else:
            cv2.ellipse(picture, box, chosen[i].tolist(), -1, cv2.LINE_AA)
    return picture


def _glyphs(rng: np.random.Generator, height: int, width: int, colours: Colours,
            cycles: float) -> np.ndarray:
    """Letters and digits, as on signs, book backs and posters."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = colours[0]
    line = max(6.0, min(height, width) / cycles)
    font = pick(rng, (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX,
                      cv2.FONT_HERSHEY_TRIPLEX))
    baseline = 0.85 * line
    while baseline < height + 0.4 * line:
        letters = rng.integers(48, 91, size=int(width / line * 1.6) + 1)
        text = ''.join(chr(code) for code in letters)
        colour = colours[1 + rng.integers(len(colours) - 1)].tolist()
        cv2.putText(picture, text, (int(rng.uniform(-0.3, 0.3) * line), int(baseline)), font,
                    line / 30, colour, max(1, int(line / 9)), cv2.LINE_AA)
        baseline += line * rng.uniform(0.95, 1.3)
    return picture


def _shards(rng: np.random.Generator, height: int, width: int, colours: Colours,
            cycles: float) -> np.ndarray:
    """Overlapping polygons and lines, as on toys, logos and packaging."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = colours[0]
    for i in range(int(2 + 2 * cycles)):
        corners = rng.random((int(rng.integers(3, 6)), 2)) * (1.4 * width, 1.4 * height)
        corners -= (0.2 * width, 0.2 * height)
        shape = cv2.convexHull(corners.astype(np.int32).reshape(-1, 1, 2))
        cv2.fillConvexPoly(picture, shape, colours[(i + 1) % len(colours)].tolist(), cv2.LINE_AA)
    return picture


def _scene(rng: np.random.Generator, height: int, width: int, colours: Colours,
           cycles: float) -> np.ndarray:
    """A little landscape, as pictures, screens and windows show."""
    picture = colour_ramp(np.broadcast_to(np.linspace(0, 1, height, dtype=np.float32)[:, None],
                                          (height, width)), colours[:2])
    picture = roughen(rng, np.ascontiguousarray(picture), 0.5)
    for i in range(2 + int(cycles / 2)):
        ridge = pink_noise(rng, 2, width, 1.8, 1)[0] * height * rng.uniform(0.1, 0.5)
        top = np.clip(height * rng.uniform(0.3, 0.9) - ridge, 0, height)
        below = np.arange(height)[:, None] >= top[None]
        picture[below] = colours[(i + 2) % len(colours)]
    for _ in range(rng.integers(0, 4)):
        spot = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        cv2.circle(picture, spot, int(rng.uniform(0.04, 0.2) * height) + 1,
                   colours[rng.integers(len(colours))].tolist(), -1, cv2.LINE_AA)
    return picture


_PAINTERS = {'leaves': _leaves, 'glyphs': _glyphs, 'shards': _shards, 'scene': _scene}
