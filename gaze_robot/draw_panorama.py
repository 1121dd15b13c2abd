"""Where an eye looks, drawn on the picture of everything around it: any direction, any place.

All of it works in place on an equirectangular (height, width, 3) uint8 RGB picture.
"""

from collections.abc import Sequence
import functools

import cv2
import numpy as np

from gaze_robot.draw import level_colour, LEVEL_COLOURS, TARGET_COLOUR
from gaze_robot.geometry import base_from_optical, panorama_direction, panorama_pixel


@functools.lru_cache(maxsize=4)
def _panorama_rays(width: int, height: int) -> np.ndarray:
    """Directions (3, height * width) float32 of an equirectangular picture's pixels."""
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = panorama_direction(np.stack([u.ravel(), v.ravel()], axis=-1), width, height)
    return np.ascontiguousarray(rays.T, np.float32)


def draw_view(panorama: np.ndarray, pan_rad: float, tilt_rad: float,
              half_sizes: Sequence[tuple[float, float]], dim: float = 0.55) -> None:
    """Show on a panorama, in place, where an eye at (pan, tilt) looks.

    The outline of every level is drawn and what lies outside the last one is darkened. Every pixel
    is asked whether the eye sees it, so the seam and the poles are like any other place.

    Args:
        panorama: (height, width, 3) uint8 RGB, equirectangular.
        half_sizes: tangents of half of each level's width and height, growing.
        dim: brightness that is left outside.
    """
    height, width = panorama.shape[:2]
    turn = base_from_optical(pan_rad, tilt_rad).T.astype(np.float32)
    right, down, ahead = (turn @ _panorama_rays(width, height)).reshape(3, height, width)
    np.abs(right, out=right)
    np.abs(down, out=down)
    rings = []
    for across, along in half_sizes:
        # One column more on either side, from the other end: outlines do not stop at the seam.
        inside = ((right <= across * ahead) & (down <= along * ahead)).view(np.uint8)
        wrapped = cv2.copyMakeBorder(inside, 0, 0, 1, 1, cv2.BORDER_WRAP)
        rings.append(cv2.morphologyEx(wrapped, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
                     [:, 1:-1].view(bool))
    if half_sizes:
        cv2.copyTo(cv2.convertScaleAbs(panorama, alpha=dim), 1 - inside, panorama)
    for i in reversed(range(len(rings))):
        panorama[rings[i]] = level_colour(i)


def draw_trail(panorama: np.ndarray, directions: np.ndarray,
               colour: tuple[int, int, int] = LEVEL_COLOURS[1]) -> None:
    """Draw a path of base-frame directions (n, 3) on a panorama, in place: the older, the darker.

    Neighbours are joined the short way round, across the seam too; the newest is a dot.
    """
    height, width = panorama.shape[:2]
    points = panorama_pixel(directions, width, height)
    for i in range(1, len(points)):
        start, end = points[i - 1], points[i].copy()
        end[0] = start[0] + (end[0] - start[0] + width / 2) % width - width / 2
        shade = tuple(round(part * (0.3 + 0.7 * i / len(points))) for part in colour)
        for turn in (-width, 0, width):
            first, last = ((round(u + turn), round(v)) for u, v in (start, end))
            cv2.line(panorama, first, last, shade, 2, cv2.LINE_AA)
    for turn in (-width, 0, width):
        cv2.circle(panorama, (round(points[-1, 0] + turn), round(points[-1, 1])), 4, colour, -1,
                   cv2.LINE_AA)


def draw_marker(panorama: np.ndarray, direction: np.ndarray, radius: int,
                colour: tuple[int, int, int] = TARGET_COLOUR) -> None:
    """Draw a ring with a cross of hairs round a direction (3,) on a panorama, in place."""
    height, width = panorama.shape[:2]
    u, v = (round(float(value)) for value in panorama_pixel(direction, width, height))
    for x in (u - width, u, u + width):
        for ink, thickness in (((0, 0, 0), 4), (colour, 2)):
            cv2.circle(panorama, (x, v), radius, ink, thickness, cv2.LINE_AA)
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                cv2.line(panorama, (x + dx * radius, v + dy * radius),
                         (x + dx * 2 * radius, v + dy * 2 * radius), ink, thickness)
