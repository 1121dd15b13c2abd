"""Draws walls, floors, box tops and stickers into an equirectangular picture seen from one point.

Plan coordinates are metres in the base frame (x forward, y left), heights are metres above the
eye. In an equirectangular picture a vertical wall's distance depends on the column alone and a
floor's distance on the row alone, so every map is an outer product and drawing is quick.
"""

import cv2
import numpy as np

from gaze_robot.geometry import pan_tilt_from_direction

_FAR_M = 80.0


class Canvas:
    """An equirectangular picture of `width` x `width / 2` pixels to draw on, far things first."""

    def __init__(self, width: int) -> None:
        self.width, self.height = width, width // 2
        self.image = np.zeros((self.height, self.width, 3), np.uint8)
        self.heads: list[tuple[np.ndarray, float]] = []
        """Of the people drawn: (3,) direction of the middle, half its height in radians."""

        self.pan = ((0.5 - (np.arange(width) + 0.5) / width) * 2 * np.pi).astype(np.float32)
        self.tilt = (((np.arange(self.height) + 0.5) / self.height - 0.5)
                     * np.pi).astype(np.float32)
        self._tan = np.tan(self.tilt)
        self._cos_pan, self._sin_pan = np.cos(self.pan), np.sin(self.pan)

    def plane(self, height_m: float, texture: np.ndarray, pixels_per_m: float) -> None:
        """Fill every row that sees a horizontal plane, mirrored beyond the texture's edges."""
        rows = np.nonzero(self._tan * height_m < 0)[0]
        distance = np.minimum(np.abs(height_m / self._tan[rows]), _FAR_M)
        # Radial texture pixels per picture row decide how blurred a copy of the texture is read.
        step = (distance ** 2 / abs(height_m) + abs(height_m)) * np.pi / self.height * pixels_per_m
        level = np.clip(np.log2(np.maximum(step * 0.6, 1)).astype(int), 0, 4)
        for i in range(int(level.max()) + 1):
            chosen = np.nonzero(level == i)[0]
            if len(chosen):
                self._plane_rows(rows[chosen], distance[chosen] * (pixels_per_m / 2 ** i), texture)
            texture = cv2.pyrDown(texture)

    def _plane_rows(self, rows: np.ndarray, radius_px: np.ndarray, texture: np.ndarray) -> None:
        u = radius_px[:, None] * self._cos_pan[None] + texture.shape[1] / 2
        v = radius_px[:, None] * self._sin_pan[None] + texture.shape[0] / 2
        self.image[rows] = cv2.remap(texture, u, v, cv2.INTER_LINEAR,
                                     borderMode=cv2.BORDER_REFLECT)

    def wall(self, start: np.ndarray, end: np.ndarray, bottom_m: float, top_m: float,
             texture: np.ndarray) -> None:
        """Draw an upright rectangle over the plan segment start-end, (2,) each.

        Args:
            bottom_m, top_m: heights above the eye, bottom_m < top_m.
            texture: (height, width, 3) uint8 that covers it once, or with a fourth channel of
                alpha, not premultiplied.
        """
        if texture.shape[2] == 4:
            texture = _premultiplied(texture)
        start, end = np.asarray(start, np.float32), np.asarray(end, np.float32)
        if start[0] * end[1] - start[1] * end[0] > 0:         # texture runs left to right
            start, end = end, start
        along = end - start
        turn = self._cos_pan * along[1] - self._sin_pan * along[0]
        turn = np.where(np.abs(turn) < 1e-6, np.float32(1e-6), turn)
        part = (start[0] * self._sin_pan - start[1] * self._cos_pan) / turn
        distance = (start[0] * along[1] - start[1] * along[0]) / turn
        columns = np.nonzero((part >= 0) & (part < 1) & (distance > 0.02))[0]
        if not len(columns):
            return
        distance, part = distance[columns], part[columns]
        rows = self._rows_between(-np.max(top_m / distance), -np.min(bottom_m / distance))
        if not len(rows):
            return
        texture = _shrunk(texture, len(columns), (top_m - bottom_m) / float(np.median(distance))
                          * self.height / np.pi)
        below_top = np.float32(top_m) + distance[None] * self._tan[rows][:, None]
        v = below_top * np.float32(texture.shape[0] / (top_m - bottom_m))
        u = np.broadcast_to(part[None] * texture.shape[1], v.shape)
        seen = cv2.remap(texture, u - 0.5, v - 0.5, cv2.INTER_LINEAR,
                         borderMode=cv2.BORDER_REPLICATE)
        self._blend(rows, columns, seen, (v >= 0) & (v < texture.shape[0]))

    def top(self, corners: np.ndarray, height_m: float, texture: np.ndarray) -> None:
        """Draw a horizontal parallelogram, corners (4, 2) in order, below or above the eye."""
        pans = np.arctan2(corners[:, 1], corners[:, 0])
        turn = (self.pan - pans[0] + np.pi) % (2 * np.pi) - np.pi
        span = (pans - pans[0] + np.pi) % (2 * np.pi) - np.pi
        columns = np.nonzero((turn >= span.min()) & (turn <= span.max()))[0]
        far, near = np.hypot(*corners.T).max(), max(0.05, np.hypot(*corners.T).min() * 0.5)
        ends = sorted((-height_m / far, -height_m / near))
        rows = self._rows_between(*ends)
        if not len(rows) or not len(columns):
            return
        distance = -np.float32(height_m) / self._tan[rows][:, None]
        x = distance * self._cos_pan[columns][None] - np.float32(corners[0, 0])
        y = distance * self._sin_pan[columns][None] - np.float32(corners[0, 1])
        back = np.linalg.inv(np.stack([corners[1] - corners[0], corners[3] - corners[0]], axis=1))
        back = back.astype(np.float32)
        u, v = back[0, 0] * x + back[0, 1] * y, back[1, 0] * x + back[1, 1] * y
        texture = _shrunk(texture, len(columns), len(rows))
        seen = cv2.remap(texture, u * texture.shape[1] - 0.5, v * texture.shape[0] - 0.5,
                         cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        self._blend(rows, columns, seen, (u >= 0) & (u < 1) & (v >= 0) & (v < 1))

    def sticker(self, direction: np.ndarray, picture: np.ndarray, width_rad: float,
                roll_rad: float = 0.0) -> None:
        """Paste a flat RGBA picture that faces the eye, alpha not premultiplied.

        Args:
            direction: (3,) base frame, of its centre.
            picture: (height, width, 4) uint8; its width covers width_rad.
        """
        pan, tilt = (float(value) for value in pan_tilt_from_direction(direction))
        half = np.tan(width_rad / 2)
        tall = picture.shape[0] / picture.shape[1]
        radius = np.arctan(half * np.hypot(1, tall))
        rows = np.nonzero(np.abs(self.tilt - tilt) <= radius)[0]
        turn = (self.pan - np.float32(pan) + np.float32(np.pi)) % np.float32(2 * np.pi) \
            - np.float32(np.pi)
        reach = np.sin(radius) / max(np.cos(tilt), 1e-6)
        columns = np.nonzero(np.abs(turn) <= (np.arcsin(reach) if reach < 1 else np.pi))[0]
        if not len(rows) or not len(columns):
            return
        size = width_rad * self.width / (2 * np.pi)
        picture = _shrunk(_premultiplied(picture), size, size * tall)
        u, v = self._tangent(rows, turn[columns], tilt, roll_rad)
        scale = np.float32(picture.shape[1] / (2 * half))
        u, v = u * scale + picture.shape[1] / 2 - 0.5, v * scale + picture.shape[0] / 2 - 0.5
        seen = cv2.remap(picture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        cells = np.ix_(rows, columns)
        keep = 255 - seen[..., 3:].astype(np.uint16)
        self.image[cells] = seen[..., :3] + (self.image[cells] * keep // 255).astype(np.uint8)

    def _tangent(self, rows: np.ndarray, turn: np.ndarray, tilt: float,
                 roll_rad: float) -> tuple[np.ndarray, np.ndarray]:
        """Tangent-plane coordinates (right, down) of the cells rows x turn about (0, tilt)."""
        cos_row, sin_row = np.cos(self.tilt[rows])[:, None], np.sin(self.tilt[rows])[:, None]
        cos_tilt, sin_tilt = np.float32(np.cos(tilt)), np.float32(np.sin(tilt))
        cos_turn = np.cos(turn)[None]
        depth = np.maximum(cos_row * cos_turn * cos_tilt + sin_row * sin_tilt, np.float32(1e-3))
        right = -cos_row * np.sin(turn)[None] / depth
        down = (sin_row * cos_tilt - cos_row * cos_turn * sin_tilt) / depth
        c, s = np.float32(np.cos(roll_rad)), np.float32(np.sin(roll_rad))
        return c * right + s * down, c * down - s * right

    def _rows_between(self, low_tan: float, high_tan: float) -> np.ndarray:
        return np.nonzero((self._tan >= low_tan) & (self._tan <= high_tan))[0]

    def _blend(self, rows: np.ndarray, columns: np.ndarray, seen: np.ndarray,
               inside: np.ndarray) -> None:
        cells = np.ix_(rows, columns)
        block = self.image[cells]
        if seen.shape[2] == 4:
            keep = 255 - seen[..., 3:].astype(np.uint16)
            seen = seen[..., :3] + (block * keep // 255).astype(np.uint8)
        np.copyto(block, seen, where=inside[..., None])
        self.image[cells] = block


def _shrunk(texture: np.ndarray, columns: float, rows: float) -> np.ndarray:
    """The texture, area-averaged where it has over 1.5 times the pixels it will cover."""
    height, width = texture.shape[:2]
    new_width = int(max(2, min(width, 1.2 * columns))) if width > 1.5 * columns else width
    new_height = int(max(2, min(height, 1.2 * rows))) if height > 1.5 * rows else height
    if (new_height, new_width) == (height, width):
        return texture
    return cv2.resize(texture, (new_width, new_height), interpolation=cv2.INTER_AREA)


def _premultiplied(picture: np.ndarray) -> np.ndarray:
    alpha = picture[..., 3:].astype(np.uint16)
    result = picture.copy()
    result[..., :3] = (picture[..., :3] * alpha // 255).astype(np.uint8)
    return result
