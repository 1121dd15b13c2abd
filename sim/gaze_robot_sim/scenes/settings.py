"""Where the things are: furnished rooms, streets under a sky, and pure clutter."""

from collections.abc import Callable

import cv2
import numpy as np

from gaze_robot.geometry import direction_from_pan_tilt
from gaze_robot_sim.scenes.canvas import Canvas
from gaze_robot_sim.scenes.figures import stand
from gaze_robot_sim.scenes.surfaces import front, furniture, surface, wall
from gaze_robot_sim.scenes.textures import (
    colour_ramp,
    draw_pattern,
    joined,
    palette,
    pink_noise,
    roughen,
)


def draw_indoor(rng: np.random.Generator, canvas: Canvas) -> None:
    """A box room with windows, doors, pictures, shelves, boxes and lamps."""
    density = 60 * canvas.width / 1024
    eye, ceiling = rng.uniform(0.9, 1.8), rng.uniform(0.9, 2.8)
    half = rng.uniform(1.6, 4.8, 2)
    yaw = rng.uniform(0, np.pi)
    centre = rng.uniform(-1, 1, 2) * (half - 1.2).clip(0)
    corners = _rectangle(centre, half, yaw)
    canvas.plane(-eye, surface(rng, 448, 448, density * rng.uniform(0.2, 1.0)), density)
    canvas.plane(ceiling, surface(rng, 256, 256, density * rng.uniform(0.3, 1.5), 0.9), density)
    for i in range(4):
        length = float(np.linalg.norm(corners[i] - corners[(i + 1) % 4]))
        size = (int((eye + ceiling) * density), int(length * density))
        canvas.wall(corners[i], corners[(i + 1) % 4], -eye, ceiling, wall(rng, *size, density))
    for _ in range(rng.integers(0, 5)):
        _lamp(rng, canvas)
    share = rng.uniform(0.1, 0.9, (rng.integers(0, 4), 2))
    people = corners[0] + share @ (corners[1::2] - corners[0])
    _on_floor(rng, canvas, eye, int(rng.integers(2, 9)), float(half.min()) + 0.6,
              rng.uniform(0.3, 2.2), people)


def draw_outdoor(rng: np.random.Generator, canvas: Canvas) -> None:
    """Sky, hills, ground, fronts of houses, trees, poles and boxes."""
    eye = rng.uniform(1.2, 2.0)
    _sky(rng, canvas)
    _hills(rng, canvas)
    canvas.plane(-eye, surface(rng, 512, 512, rng.uniform(8, 80), 0.4),
                 50 * canvas.width / 1024)
    for distance in sorted(rng.uniform(4, 25, rng.integers(1, 9)), reverse=True):
        pan, half = rng.uniform(-np.pi, np.pi), rng.uniform(0.4, 0.9) * distance
        _box(rng, canvas, pan, distance + half, np.array([half, half * rng.uniform(0.4, 1)]), eye,
             rng.uniform(2, 12), front)
    for _ in range(rng.integers(0, 9)):
        _tree(rng, canvas, eye)
    people = rng.uniform(-5, 5, (rng.integers(0, 4), 2))
    _on_floor(rng, canvas, eye, int(rng.integers(0, 7)), 5.0, rng.uniform(0.5, 2.5), people)


def draw_clutter(rng: np.random.Generator, canvas: Canvas) -> None:
    """Textured shapes over one another all around, large to small."""
    height, width = canvas.image.shape[:2]
    ground = draw_pattern(rng, 'leaves', height, width + width // 8,
                          palette(rng, int(rng.integers(4, 9))), rng.uniform(3, 12))
    canvas.image[:] = joined(roughen(rng, ground, rng.uniform(0.2, 0.9)), width)
    for size in sorted(np.radians(50 / rng.uniform(1, 9, rng.integers(15, 50))), reverse=True):
        picture = surface(rng, 64, 64, 64 / rng.uniform(1, 5), 0.4)
        mask = np.zeros((64, 64), np.uint8)
        corners = rng.random((int(rng.integers(3, 8)), 2)) * 64
        cv2.fillConvexPoly(mask, cv2.convexHull(corners.astype(np.int32).reshape(-1, 1, 2)), 255)
        canvas.sticker(_anywhere(rng), np.dstack([picture, mask]), float(size),
                       rng.uniform(-np.pi, np.pi))


def _anywhere(rng: np.random.Generator) -> np.ndarray:
    return direction_from_pan_tilt(rng.uniform(-np.pi, np.pi), np.arcsin(rng.uniform(-0.9, 0.9)))


def _rectangle(centre: np.ndarray, half: np.ndarray, yaw: float) -> np.ndarray:
    """Corners (4, 2) of a turned rectangle, counter-clockwise."""
    c, s = np.cos(yaw), np.sin(yaw)
    local = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    return centre + local @ np.array([[c, s], [-s, c]])


def _on_floor(rng: np.random.Generator, canvas: Canvas, eye: float, boxes: int, reach: float,
              tallest: float, people: np.ndarray) -> None:
    """Boxes like furniture, and people at plan positions (count, 2), the farthest first."""
    ways: list[tuple[float, np.ndarray | None]]
    ways = [(float(distance), None) for distance in rng.uniform(0.9, max(1.2, reach), boxes)]
    ways += [(float(np.hypot(*place)), place) for place in people if np.hypot(*place) > 1.1]
    for distance, place in sorted(ways, key=lambda way: -way[0]):
        if place is not None:
            stand(rng, canvas, place, eye)
            continue
        half = rng.uniform(0.15, 0.45, 2) * min(1.0, 0.8 * distance)
        height = rng.uniform(0.25, 1.0) * tallest
        _box(rng, canvas, rng.uniform(-np.pi, np.pi), distance + half.max(), half, eye, height,
             furniture)


def _box(rng: np.random.Generator, canvas: Canvas, pan: float, distance: float, half: np.ndarray,
         eye: float, height: float,
         paint: Callable[[np.random.Generator], np.ndarray]) -> None:
    """One upright box: the sides that face the eye, then its top if the eye is above it."""
    centre = distance * np.array([np.cos(pan), np.sin(pan)])
    corners = _rectangle(centre, half, rng.uniform(0, np.pi))
    gain = rng.uniform(0.55, 1.0, 4)
    front = paint(rng)
    for i in range(4):
        start, end = corners[i], corners[(i + 1) % 4]
        outward = np.array([end[1] - start[1], start[0] - end[0]])
        if outward @ start < 0:
            side = front if rng.random() < 0.7 else paint(rng)
            canvas.wall(start, end, -eye, height - eye, cv2.convertScaleAbs(side, alpha=gain[i]))
    if height < eye - 0.03:
        canvas.top(corners, height - eye, surface(rng, 48, 48, rng.uniform(6, 48)))


def _sky(rng: np.random.Generator, canvas: Canvas) -> None:
    """Clouds over a gradient; the noise is mirrored so that the seam does not show."""
    half = pink_noise(rng, canvas.height // 2, canvas.width // 2, rng.uniform(1.4, 2.3))
    clouds = np.concatenate([half, half[:, ::-1]], axis=1) * np.float32(rng.uniform(0.1, 0.8))
    slope = np.linspace(0, 1, canvas.height // 2, dtype=np.float32)[:, None]
    blue = (int(rng.integers(60, 150)), int(rng.integers(110, 190)), int(rng.integers(180, 255)))
    colours = np.array([blue, (200, 215, 230), (250, 250, 250)]) if rng.random() < 0.7 \
        else palette(rng, 3, 0.5)
    canvas.image[:canvas.height // 2] = colour_ramp(np.clip(0.5 * slope + clouds, 0, 1), colours)


def _hills(rng: np.random.Generator, canvas: Canvas) -> None:
    """A far silhouette of hills, woods or a skyline."""
    for _ in range(rng.integers(0, 3)):
        half = pink_noise(rng, 16, canvas.width // 2, rng.uniform(1.3, 2.0))[8]
        ridge = np.concatenate([half, half[::-1]])
        if rng.random() < 0.3:
            ridge = np.round(ridge * 8) / 8
        top = np.radians(rng.uniform(2, 14)) * np.roll(ridge, rng.integers(canvas.width))
        below = (canvas.tilt[:, None] >= -top[None]) & (canvas.tilt[:, None] < 0.02)
        woods = surface(rng, canvas.height // 8, canvas.width // 2, rng.uniform(3, 20), 0.5)
        woods = cv2.resize(woods, (canvas.width, canvas.height))
        canvas.image[below] = woods[below]


def _tree(rng: np.random.Generator, canvas: Canvas, eye: float) -> None:
    """A trunk and a crown of leaves; sometimes just a pole."""
    distance, pan = rng.uniform(3, 15), rng.uniform(-np.pi, np.pi)
    foot = distance * np.array([np.cos(pan), np.sin(pan)])
    aside = rng.uniform(0.05, 0.3) * np.array([-np.sin(pan), np.cos(pan)])
    height = rng.uniform(1.5, 5)
    canvas.wall(foot + aside, foot - aside, -eye, height - eye, surface(rng, 64, 16, 6))
    if rng.random() < 0.25:
        return
    leaf = palette(rng, 5, 0.8) if rng.random() < 0.3 else \
        np.stack([rng.integers(10, 140, 5), rng.integers(50, 190, 5), rng.integers(5, 80, 5)], 1)
    crown = draw_pattern(rng, 'leaves', 64, 64, leaf.astype(np.uint8), rng.uniform(4, 8))
    hole = pink_noise(rng, 64, 64, 1.2)
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    mask = ((np.hypot(x, y) + 1.2 * (hole - 0.5) < 0.75) * 255).astype(np.uint8)
    tilt = -np.arctan2(height - eye + 0.5, distance)
    canvas.sticker(direction_from_pan_tilt(pan, tilt), np.dstack([crown, mask]),
                   float(np.clip(rng.uniform(2, 5) / distance, 0.1, 1.2)))


def _lamp(rng: np.random.Generator, canvas: Canvas) -> None:
    """A glow, brightest in the middle, usually above."""
    y, x = np.mgrid[-1:1:48j, -1:1:48j]
    glow = np.clip(1.4 * np.exp(-3 * (x * x + y * y)) - 0.07, 0, 1)
    picture = np.empty((48, 48, 4), np.uint8)
    picture[..., :3] = (255, int(rng.integers(215, 256)), int(rng.integers(150, 256)))
    picture[..., 3] = glow * 255
    tilt = -np.radians(rng.uniform(5, 75))
    canvas.sticker(direction_from_pan_tilt(rng.uniform(-np.pi, np.pi), tilt), picture,
                   float(np.radians(rng.uniform(4, 30))))
