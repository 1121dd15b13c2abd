"""Flat pictures that face the eye, laid over what an eye or a camera sees: things that move.

A sprite lies in the plane that touches the unit sphere at its direction. Every target (a level of
the eye, a camera's picture, a panorama) turns its samples into rays of the sprite's own frame and
reads the picture there, so that all of them show the same thing. Only the box that holds the
sprite is touched: about 50 us a level on one slow core where it covers a third of its width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
import functools
import math

import cv2
import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.errors import WorldError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.head_geometry import rotation_about
from gaze_robot_sim.scenes.shrunk import mips_of

_Row = tuple[float, float, float]
_Rows = tuple[_Row, _Row, _Row]
"""A 3 x 3 matrix in plain numbers: numpy takes longer to begin than these take to multiply."""
_ONE = np.ones((1, 1), np.float32)
_NEAR = 1e-3
"""Cosine to the sprite's direction below which nothing of its plane is drawn."""


@dataclass(frozen=True, eq=False)
class Sprite:
    """A flat picture at a direction, as it is now."""

    picture: np.ndarray
    """(height, width, 4) uint8 RGBA, alpha not premultiplied. It becomes read-only: smaller copies
    of it are kept as long as it lives, so reuse one array for one look."""

    direction: np.ndarray
    """(3,) unit vector to its centre, base frame."""

    width_rad: float
    """Full angle across its width, below pi; its height follows from the picture."""

    roll_rad: float = 0.0
    """Turns it clockwise as seen by the eye."""

    def __post_init__(self) -> None:
        picture = self.picture
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 4 \
                or picture.size == 0:
            raise WorldError('a sprite is a (height, width, 4) uint8 RGBA picture, got '
                             f'{picture.shape} {picture.dtype}')
        x, y, z = self.direction
        if not abs(x * x + y * y + z * z - 1) < 1e-4:
            raise WorldError(f'a sprite lies along a unit vector, got {self.direction}')
        if not 0 < self.width_rad < math.pi or not math.isfinite(self.roll_rad):
            raise WorldError(f'a sprite is between 0 and 180 degrees wide and its roll is finite, '
                             f'got {math.degrees(self.width_rad)} and {self.roll_rad}')
        picture.setflags(write=False)

    @property
    def half_size(self) -> tuple[float, float]:
        """Tangents of half its width and half its height."""
        half = math.tan(self.width_rad / 2)
        return half, half * self.picture.shape[0] / self.picture.shape[1]


def draw_on_levels(levels: Sequence[np.ndarray], pattern: FoveationPattern, pan_rad: float,
                   tilt_rad: float, sprites: Sequence[Sprite]) -> None:
    """Draw on the levels (window, window, 3) uint8 of an eye, in place, the farthest first."""
    flat = math.cos(tilt_rad)
    ahead = np.array([flat * math.cos(pan_rad), flat * math.sin(pan_rad), -math.sin(tilt_rad)])
    reach = [math.atan(math.sqrt(2) * pattern.half_tangent(i)) for i in range(len(levels))]
    for sprite in sprites:
        away = math.acos(max(-1.0, min(1.0, float(ahead @ sprite.direction))))
        away -= math.atan(math.hypot(*sprite.half_size) * (1 + 1 / min(sprite.picture.shape[:2])))
        if away > reach[-1]:
            continue
        turn = _turn(sprite, pan_rad, tilt_rad)
        for i, level in enumerate(levels):
            if away > reach[i]:
                continue
            half = pattern.window[i] / 2
            steps = _steps(pattern.window[i], half, half / pattern.half_tangent(i))
            _draw_flat(level, steps, steps, sprite, turn)


def draw_on_picture(picture: np.ndarray, camera: CameraModel, pan_rad: float, tilt_rad: float,
                    sprites: Sequence[Sprite], roll_rad: float = 0.0) -> None:
    """Draw on a camera's picture (height, width, 3) uint8, in place, the farthest first."""
    for sprite in sprites:
        turn = _turn(sprite, pan_rad, tilt_rad, roll_rad)
        if camera.model != 'equidistant' and not any(camera.distortion):
            _draw_flat(picture, _steps(camera.width, camera.cx, camera.fx),
                       _steps(camera.height, camera.cy, camera.fy), sprite, turn)
        else:
            _draw_through_lens(picture, camera, sprite, turn)


def draw_on_panorama(image: np.ndarray, sprites: Sequence[Sprite]) -> None:
    """Draw on an equirectangular picture (height, width, 3) uint8, in place, farthest first."""
    height, width = image.shape[:2]
    pan = ((0.5 - (np.arange(width) + 0.5) / width) * 2 * np.pi).astype(np.float32)
    tilt = (((np.arange(height) + 0.5) / height - 0.5) * np.pi).astype(np.float32)
    for sprite in sprites:
        turn = axes(sprite.direction, sprite.roll_rad)
        rows, columns = _panorama_box(sprite, width, height)
        cos, sin = np.cos(tilt[rows])[:, None], np.sin(tilt[rows])[:, None]
        for start, end in columns:
            x, y = cos * np.cos(pan[start:end]), cos * np.sin(pan[start:end])
            _paint(image[rows, start:end], sprite, turn, x, y, -sin, math.pi / height)


# --- where a sprite is


def axes(direction: np.ndarray, roll_rad: float) -> _Rows:
    """Right, down and forward of a sprite in the base frame."""
    x, y, z = (float(value) for value in direction)
    level = math.hypot(x, y)
    right = (y / level, -x / level, 0.0) if level > 1e-9 else (0.0, -1.0, 0.0)
    down = (-z * right[1], z * right[0], x * right[1] - y * right[0])      # forward x right
    c, s = math.cos(roll_rad), math.sin(roll_rad)
    return ((c * right[0] + s * down[0], c * right[1] + s * down[1], s * down[2]),
            (c * down[0] - s * right[0], c * down[1] - s * right[1], c * down[2]), (x, y, z))


def _turn(sprite: Sprite, pan_rad: float, tilt_rad: float, roll_rad: float = 0.0) -> _Rows:
    """The rotation from the optical frame of a camera at (pan, tilt) to the sprite's frame."""
    cp, sp, ct, st = math.cos(pan_rad), math.sin(pan_rad), math.cos(tilt_rad), math.sin(tilt_rad)
    base = np.array([[sp, -st * cp, ct * cp], [-cp, -st * sp, ct * sp], [0.0, -ct, -st]])
    turned = np.array(axes(sprite.direction, sprite.roll_rad)) @ base
    if roll_rad:
        turned = turned @ rotation_about('z', roll_rad)
    first, second, third = turned.tolist()
    return tuple(first), tuple(second), tuple(third)


@functools.lru_cache(maxsize=64)
def _steps(count: int, centre: float, focal: float) -> np.ndarray:
    """Tangents (count,) float32 of the pixels along one side of an ideal camera's picture."""
    return ((np.arange(count) + 0.5 - centre) / focal).astype(np.float32)


def _draw_flat(target: np.ndarray, x: np.ndarray, y: np.ndarray, sprite: Sprite,
               turn: _Rows) -> None:
    """Draw on a plane: x (width,) and y (height,) are the tangents of its columns and rows."""
    rows, columns = _flat_box(x, y, sprite, turn)
    if rows.start < rows.stop and columns.start < columns.stop:
        _paint(target[rows, columns], sprite, turn, x[None, columns], y[rows, None], _ONE,
               float(y[1] - y[0]) if len(y) > 1 else 0.0)


def _flat_box(x: np.ndarray, y: np.ndarray, sprite: Sprite, turn: _Rows) -> tuple[slice, slice]:
    """The rows and columns of a plane that a sprite touches, and a margin of one."""
    half_width, half_height = sprite.half_size
    half_width *= 1 + 1 / sprite.picture.shape[1]
    half_height *= 1 + 1 / sprite.picture.shape[0]
    across, along = [], []
    for a, b in ((-half_width, -half_height), (half_width, -half_height),
                 (half_width, half_height), (-half_width, half_height)):
        depth = a * turn[0][2] + b * turn[1][2] + turn[2][2]
        if depth > _NEAR:
            across.append((a * turn[0][0] + b * turn[1][0] + turn[2][0]) / depth)
            along.append((a * turn[0][1] + b * turn[1][1] + turn[2][1]) / depth)
    if not across:
        return slice(0, 0), slice(0, 0)
    if len(across) < 4:                         # it reaches round the eye: anywhere
        return slice(0, len(y)), slice(0, len(x))
    return _span(y, min(along), max(along)), _span(x, min(across), max(across))


def _span(steps: np.ndarray, low: float, high: float) -> slice:
    """The part of evenly growing numbers between two, and one more on either side."""
    first = float(steps[0])
    step = (float(steps[-1]) - first) / max(1, len(steps) - 1) or 1.0
    start, stop = (low - first) / step, (high - first) / step
    if stop < -1 or start > len(steps):
        return slice(0, 0)
    return slice(max(0, int(start)), min(len(steps), int(stop) + 2))


@functools.lru_cache(maxsize=8)
def _lens_rays(camera: CameraModel) -> np.ndarray:
    """Unit rays (3, height, width) float32 of a camera's pixels."""
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = camera.unproject(np.stack([u, v], axis=-1))
    return np.ascontiguousarray(np.moveaxis(rays, -1, 0), np.float32)


def _draw_through_lens(picture: np.ndarray, camera: CameraModel, sprite: Sprite,
                       turn: _Rows) -> None:
    """Draw in the box of the pixels whose rays come near the sprite, found on every 8th."""
    rays, stride = _lens_rays(camera), 8
    coarse = rays[:, ::stride, ::stride]
    nearness = turn[2][0] * coarse[0] + turn[2][1] * coarse[1] + turn[2][2] * coarse[2]
    radius = math.atan(math.hypot(*sprite.half_size))
    # Between neighbours of the coarse grid lie at most `stride` pixels, each 2 / fx apart at most.
    radius = min(math.pi, radius + 2 * stride * math.sqrt(2) / min(camera.fx, camera.fy))
    near = nearness >= math.cos(radius)
    rows, columns = (np.nonzero(near.any(axis=axis))[0] * stride for axis in (1, 0))
    if len(rows):
        box = (slice(max(0, rows[0] - stride), rows[-1] + stride),
               slice(max(0, columns[0] - stride), columns[-1] + stride))
        x, y, z = rays[(slice(None), *box)]
        _paint(picture[box], sprite, turn, x, y, z, 1 / math.sqrt(camera.fx * camera.fy))


def _panorama_box(sprite: Sprite, width: int, height: int
                  ) -> tuple[slice, list[tuple[int, int]]]:
    """The rows and the spans of columns, cut at the seam, that a sprite touches."""
    x, y, z = sprite.direction
    level, tilt = math.hypot(x, y), -math.asin(max(-1.0, min(1.0, z)))
    radius = math.atan(math.hypot(*sprite.half_size) * 1.02) + 2 * math.pi / width
    top, bottom = ((edge / math.pi + 0.5) * height for edge in (tilt - radius, tilt + radius))
    rows = slice(max(0, int(top) - 1), min(height, int(bottom) + 2))
    if math.sin(radius) >= level or radius >= math.pi / 2:             # it holds a pole
        return rows, [(0, width)]
    reach = math.asin(math.sin(radius) / level) / (2 * math.pi) * width
    centre = (0.5 - math.atan2(y, x) / (2 * math.pi)) * width
    start, end = math.floor(centre - reach) - 1, math.ceil(centre + reach) + 1
    if end - start >= width:
        return rows, [(0, width)]
    pieces = [(max(start + turn, 0), min(end + turn, width)) for turn in (-width, 0, width)]
    return rows, [piece for piece in pieces if piece[0] < piece[1]]


# --- what it looks like there


def _paint(target: np.ndarray, sprite: Sprite, turn: _Rows, x: np.ndarray, y: np.ndarray,
           z: np.ndarray, step: float) -> None:
    """Draw a sprite over a block of pixels.

    Args:
        target: (height, width, 3) uint8, changed.
        turn: from the frame of the rays to the sprite's.
        x, y, z: (height or 1, width or 1) float32, together a ray of any length for each pixel.
        step: distance between neighbouring rays.
    """
    height, width = target.shape[:2]
    half_width, half_height = sprite.half_size
    depth = _along(turn[2], x, y, z)
    reaches_behind = cv2.minMaxLoc(depth)[0] < _NEAR
    middle = int(np.argmax(depth / np.sqrt(x * x + y * y + z * z))) if reaches_behind else \
        height // 2 * width + width // 2
    # A rotation keeps solid angles, and one on a plane at distance 1 spreads as 1 / depth^3.
    footprint = step / max(depth.item(middle), _NEAR) ** 1.5 / (2 * half_width)
    footprint *= sprite.picture.shape[1]
    fine = footprint > 1.2
    source = mips_of(sprite.picture).at(int(math.log2(max(footprint / 2, 1))))
    # Tangents to pixels of the source, whose first one's centre is its 0: still a 3 x 3 matrix.
    u = _pixel_row(turn[0], turn[2], source.shape[1], half_width)
    v = _pixel_row(turn[1], turn[2], source.shape[0], half_height)
    right, down = _along(u, x, y, z), _along(v, x, y, z)
    if reaches_behind:
        right[depth < _NEAR] = -1e6                                     # nowhere in the picture
        np.maximum(depth, np.float32(_NEAR), out=depth)
    right /= depth
    down /= depth
    if fine:                                   # four taps for each pixel, and their mean
        size = (2 * width, 2 * height)
        right, down = cv2.resize(right, size), cv2.resize(down, size)
    seen = cv2.remap(source, right, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    if fine:
        seen = cv2.resize(seen, (width, height), interpolation=cv2.INTER_AREA)
    keep = cv2.cvtColor(cv2.bitwise_not(cv2.extractChannel(seen, 3)), cv2.COLOR_GRAY2RGB)
    under = cv2.multiply(target, keep, scale=1 / 255)
    np.copyto(target, cv2.add(under, cv2.cvtColor(seen, cv2.COLOR_RGBA2RGB)))


def _pixel_row(row: _Row, depth: _Row, pixels: int, half_tangent: float) -> _Row:
    scale, centre = pixels / (2 * half_tangent), (pixels - 1) / 2
    return (row[0] * scale + depth[0] * centre, row[1] * scale + depth[1] * centre,
            row[2] * scale + depth[2] * centre)


def _along(row: _Row, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The products (height, width) float32 of a row with every ray."""
    return np.float32(row[0]) * x + (np.float32(row[1]) * y + np.float32(row[2]) * z)
