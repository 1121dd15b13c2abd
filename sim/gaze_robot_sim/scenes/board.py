"""A calibration board that stands, or is waved about, in front of a world.

Unlike everything else in a world it is near: where the optical centre is matters.
"""

from dataclasses import dataclass
import functools

import cv2
import numpy as np

from gaze_robot.calibration.board import Board
from gaze_robot.camera import CameraModel
from gaze_robot.geometry import base_from_optical
from gaze_robot.head_geometry import rotation_from_rpy

_TEXTURE_PX = 96
"""Of a square; less where fewer are seen."""
_FINE = 2
"""Samples along a side of a pixel."""
_EDGE_POINTS = 16


@dataclass(frozen=True)
class StandingBoard:
    """A board and where it is: facing base_link from `centre_xyz`, unless turned."""

    board: Board
    centre_xyz: tuple[float, float, float] = (1.0, 0.0, 0.0)
    """Metres, base_link."""

    rpy: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """How it is turned from facing the base, about base_link's axes, radians."""

    waved: bool = False
    """Whether somebody waves it about in front of the camera."""

    def pose(self, t_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Rotation (3, 3) and origin (3,) of the board's frame in base_link at a time."""
        centre, rpy = np.array(self.centre_xyz), np.array(self.rpy)
        if self.waved:
            distance = float(np.linalg.norm(centre))
            waves = np.sin(t_s * np.array([0.9, 1.3, 1.7, 0.7, 1.1, 0.8])
                           + np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0]))
            centre = centre + distance * waves[:3] * np.array([0.15, 0.35, 0.25])
            rpy = rpy + waves[3:] * np.array([0.5, 0.55, 0.55])
        turn = rotation_from_rpy(*rpy.tolist()) @ base_from_optical(0.0, 0.0)
        return turn, centre - turn @ self.board.centre

    def draw(self, picture: np.ndarray, camera: CameraModel, turn: np.ndarray, centre: np.ndarray,
             t_s: float = 0.0) -> None:
        """Draw it on a camera's picture (h, w, 3) uint8, in place.

        Args:
            turn: (3, 3) from the optical frame to base_link.
            centre: (3,) the optical centre in base_link.
            t_s: time in the world.
        """
        board_turn, origin = self.pose(t_s)
        axes, place = turn.T @ board_turn, turn.T @ (origin - centre)
        if axes[:, 2] @ place <= 1e-3:                       # its back, or its plane's edge
            return
        box = _box(self.board, axes, place, camera)
        if box is None:
            return
        rows, columns = box
        fine = (slice(_FINE * rows.start, _FINE * rows.stop),
                slice(_FINE * columns.start, _FINE * columns.stop))
        rays = _fine_rays(camera)[(slice(None), *fine)]
        along = np.tensordot(axes.T.astype(np.float32), rays, axes=1)     # right, down, into it
        ahead = along[2] > 1e-6
        scale = np.float32(axes[:, 2] @ place) / np.where(ahead, along[2], 1.0)
        shift = axes.T @ place
        at_m = [along[axis] * scale - np.float32(shift[axis]) for axis in (0, 1)]
        seen = _read(self.board, at_m, ahead)
        size = (columns.stop - columns.start, rows.stop - rows.start)
        seen = cv2.resize(seen, size, interpolation=cv2.INTER_AREA)
        part = picture[rows, columns]
        solid = seen[..., 1:].astype(np.float32) / 255
        part[...] = np.rint(part * (1 - solid) + seen[..., :1].astype(np.float32))


def _box(board: Board, axes: np.ndarray, place: np.ndarray, camera: CameraModel
         ) -> tuple[slice, slice] | None:
    """Rows and columns of the picture that may show it; all where it leaves the picture."""
    margin = 0.5 * board.square_m
    width, height = board.size_m
    x, y = (np.linspace(-margin, side + margin, _EDGE_POINTS) for side in (width, height))
    edge = np.concatenate([
        *(np.stack([x, np.full_like(x, at)], axis=1) for at in (-margin, height + margin)),
        *(np.stack([np.full_like(y, at), y], axis=1) for at in (-margin, width + margin))])
    pixels, visible = camera.project(place + edge @ axes[:, :2].T)
    if not visible.any():
        middle, shown = camera.project(place + axes @ board.centre)
        if not shown:
            return None
    if not visible.all():
        return slice(0, camera.height), slice(0, camera.width)
    low = np.maximum(np.floor(pixels.min(axis=0)).astype(int) - 2, 0)
    high = np.ceil(pixels.max(axis=0)).astype(int) + 2
    return (slice(int(low[1]), min(int(high[1]), camera.height)),
            slice(int(low[0]), min(int(high[0]), camera.width)))


@functools.lru_cache(maxsize=4)
def _fine_rays(camera: CameraModel) -> np.ndarray:
    """(3, _FINE * height, _FINE * width) float32, of length 1, optical frame."""
    fine = camera.scaled(_FINE * camera.width, _FINE * camera.height)
    u, v = np.meshgrid(np.arange(fine.width) + 0.5, np.arange(fine.height) + 0.5)
    return np.ascontiguousarray(np.moveaxis(fine.unproject(np.stack([u, v], axis=-1)), -1, 0),
                                np.float32)


@functools.lru_cache(maxsize=16)
def _texture(board: Board, square_px: int) -> np.ndarray:
    """(h, w, 2) uint8: brightness, then 255 where there is paper: half a square of margin."""
    fine = board.picture(_TEXTURE_PX)
    grey = cv2.resize(fine, (board.columns * square_px, board.rows * square_px),
                      interpolation=cv2.INTER_AREA)
    grey = cv2.copyMakeBorder(grey, *(square_px // 2,) * 4, cv2.BORDER_CONSTANT, value=255)
    paper = cv2.addWeighted(grey, 0.8, np.full_like(grey, 20), 1.0, 0.0)      # as print looks
    return np.stack([paper, np.full_like(paper, 255)], axis=-1)


def _read(board: Board, at_m: list[np.ndarray], ahead: np.ndarray) -> np.ndarray:
    """Brightness and coverage, (h, w, 2) uint8, at places of the board's plane, metres."""
    height, width = ahead.shape
    middle = np.s_[max(height // 2 - 1, 0):height // 2 + 1, max(width // 2 - 1, 0):width // 2 + 1]
    steps = [float(np.abs(np.diff(at, axis=axis)).max(initial=1e-6))
             for at, axis in ((at_m[0][middle], 1), (at_m[1][middle], 0))]
    wanted = board.square_m / max(min(steps), 1e-9)           # texture pixels as wide as samples
    square_px = max(px for px in (4, 6, 8, 12, 16, 24, 32, 48, 64, _TEXTURE_PX)
                    if px <= max(wanted, 4))
    texture = _texture(board, square_px)
    u, v = (at * np.float32(square_px / board.square_m) + np.float32(square_px // 2 - 0.5)
            for at in at_m)
    u = np.where(ahead & (np.abs(u) < 30000), u, -10).astype(np.float32)
    v = np.where(np.abs(v) < 30000, v, -10).astype(np.float32)
    return np.asarray(cv2.remap(texture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT))

