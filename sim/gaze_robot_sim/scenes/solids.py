"""Draws ellipsoids and tubes that hide one another: what figures are made of.

Seen from far away (parallel rays), in a frame with x to the viewer's right, y down and z towards
the viewer, any unit of length.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

CLOTH_PX = 400
_HIDDEN = np.float32(-1e6)


@dataclass(frozen=True, eq=False)
class Solid:
    """An ellipsoid, or a tube along its y axis with open ends."""

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    colour: np.ndarray
    """(3,) uint8 RGB; or cloth (height, width, 3) uint8 laid on from the front with `CLOTH_PX`
    pixels per unit and mirrored beyond its edges, the middle of its top at the frame's origin."""

    axes: np.ndarray = field(default_factory=lambda: np.eye(3))
    """(3, 3), columns: its own x, y and z."""

    tube: bool = False
    looks: np.ndarray | None = None
    """For an eyeball: (3,) unit vector from its middle to its pupil, viewer's frame."""

    iris: tuple[int, int, int] = (80, 50, 30)


class Stage:
    """A picture that solids are put on, in any order."""

    def __init__(self, width: int, height: int, scale: float, origin_px: tuple[float, float],
                 light: np.ndarray) -> None:
        """An empty picture.

        Args:
            scale: pixels per unit.
            origin_px: where (0, 0, z) is.
            light: (3,) unit vector towards the lamp.
        """
        self._scale, self._origin, self._light = scale, origin_px, light.astype(np.float32)
        self._depth = np.full((height, width), _HIDDEN)
        self._image = np.zeros((height, width, 3), np.uint8)

    def copy(self) -> 'Stage':
        """The same picture, to put more on."""
        other = Stage.__new__(Stage)
        other._scale, other._origin, other._light = self._scale, self._origin, self._light
        other._depth, other._image = self._depth.copy(), self._image.copy()
        return other

    def rgba(self) -> np.ndarray:
        """(height, width, 4) uint8; alpha is 0 or 255."""
        alpha = np.where(self._depth > _HIDDEN, np.uint8(255), np.uint8(0))
        return np.dstack([self._image, alpha])

    def add(self, solid: Solid, turn: np.ndarray, about: np.ndarray, size: float = 1.0) -> None:
        """Put a solid on: its frame is enlarged, turned by (3, 3), then moved by (3,)."""
        axes = turn @ solid.axes
        middle = size * turn @ np.asarray(solid.centre) + about
        radii = size * np.asarray(solid.radii, float)
        reach = np.abs(axes) @ radii if solid.tube else np.sqrt(axes ** 2 @ radii ** 2)
        columns, rows = (self._span(axis, middle[axis], reach[axis]) for axis in (0, 1))
        x = ((np.arange(columns.start, columns.stop) + 0.5 - self._origin[0]) / self._scale
             - middle[0]).astype(np.float32)
        y = ((np.arange(rows.start, rows.stop) + 0.5 - self._origin[1]) / self._scale
             - middle[1]).astype(np.float32)
        if not len(x) or not len(y):
            return
        hit, place = _meet(x, y, axes, radii, solid.tube)
        depth = place[3] + np.float32(middle[2])
        seen = hit & (depth > self._depth[rows, columns])
        if seen.any():
            np.copyto(self._depth[rows, columns], depth, where=seen)
            colour = self._coloured(solid, axes, radii, place[:3])
            np.copyto(self._image[rows, columns], colour, where=seen[..., None])

    def _span(self, axis: int, middle: float, reach: float) -> slice:
        """The columns (axis 0) or rows (axis 1) within reach."""
        low, high = (self._origin[axis] + self._scale * edge
                     for edge in (middle - reach, middle + reach))
        size = self._depth.shape[1 - axis]
        return slice(min(size, max(0, int(low))), max(0, min(size, int(high) + 1)))

    def _coloured(self, solid: Solid, axes: np.ndarray, radii: np.ndarray,
                  place: np.ndarray) -> np.ndarray:
        """Its shaded surface, (rows, columns, 3) uint8; place: (3, rows, columns) on it."""
        weight = (axes.T @ self._light / radii).astype(np.float32)
        used = (0, 2) if solid.tube else (0, 1, 2)
        length = np.sqrt(sum((place[i] * np.float32(1 / radii[i])) ** 2 for i in used))
        light = sum(place[i] * weight[i] for i in used) / length
        gain = np.clip(np.float32(0.72) + np.float32(0.34) * light, 0.3, 1.06)
        if solid.looks is not None:
            colour = _eye(solid, axes, place)
        elif solid.colour.ndim == 1:
            colour = np.full((*gain.shape, 3), solid.colour, np.uint8)
        else:
            to_cloth = (solid.axes[:2] * radii * CLOTH_PX).astype(np.float32)
            u, v = (sum(row[i] * place[i] for i in range(3)) for row in to_cloth)
            u += np.float32(solid.centre[0] * CLOTH_PX + solid.colour.shape[1] / 2)
            v += np.float32(solid.centre[1] * CLOTH_PX)
            colour = cv2.remap(solid.colour, u, v, cv2.INTER_LINEAR,
                               borderMode=cv2.BORDER_REFLECT)
        return cv2.multiply(colour, cv2.merge([gain] * 3), dtype=cv2.CV_8U)


def _meet(x: np.ndarray, y: np.ndarray, axes: np.ndarray, radii: np.ndarray,
          tube: bool) -> tuple[np.ndarray, np.ndarray]:
    """Where rays along -z through (x, y) first meet a solid about the origin.

    Returns:
        (hit (rows, columns) bool, place (4, rows, columns) float32: the solid's own coordinates,
        in radii, and the height towards the viewer). Meaningless where there is no hit.
    """
    back = (axes / radii).T.astype(np.float32)              # viewer's frame to radii
    start = (back[:, 0, None, None] * x + back[:, 1, None, None] * y[:, None])
    along = back[:, 2]
    used = (0, 2) if tube else (0, 1, 2)
    a = sum(along[i] ** 2 for i in used)
    b = sum(start[i] * along[i] for i in used)
    c = sum(start[i] ** 2 for i in used) - 1
    inside = b * b - a * c
    height = (np.sqrt(np.maximum(inside, 0)) - b) / max(a, np.float32(1e-6))
    place = np.concatenate([start + along[:, None, None] * height, height[None]])
    hit = inside >= 0
    if tube:
        hit &= np.abs(place[1]) <= 1
    return hit, place


def _eye(solid: Solid, axes: np.ndarray, place: np.ndarray) -> np.ndarray:
    """White, iris and pupil of an eyeball, and skin where the lids are."""
    pupil = axes.T @ solid.looks
    nearness = sum(place[i] * np.float32(pupil[i]) for i in range(3))
    colour = np.full((*nearness.shape, 3), (245, 243, 240), np.uint8)
    colour[nearness > 0.80] = solid.iris
    colour[nearness > 0.93] = (12, 10, 10)
    colour[(place[1] < -0.62) | (place[1] > 0.72)] = solid.colour
    return colour
