"""An ordinary video of a camera that does not turn, laid into a grey panorama as a world.

So one path renders what the eye sees, whether a camera looked all around or only ahead.
"""

from dataclasses import dataclass
import functools
import math
from pathlib import Path

import cv2
import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.errors import WorldError
from gaze_robot.foveation import FILL
from gaze_robot.geometry import optical_ray, panorama_direction
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.video360 import KEPT_BYTES, VideoScene

MAX_LAID_WIDTH = 2048
"""Of the panorama, pixels: what a camera resolves more finely is lost."""


@dataclass(frozen=True)
class FixedCamera:
    """Where a camera without distortion looks and how wide it sees; it does not move."""

    hfov_rad: float
    """Horizontal field of view, at most 150 degrees."""

    pan_rad: float = 0.0
    tilt_rad: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.hfov_rad <= math.radians(150):
            raise WorldError('a fixed camera sees between 0 and 150 degrees across, got '
                             f'{math.degrees(self.hfov_rad):.1f}')
        if not (abs(self.pan_rad) <= math.pi and abs(self.tilt_rad) <= math.pi / 2):
            raise WorldError('a fixed camera looks within 180 degrees of ahead and 90 of level, '
                             f'got pan {self.pan_rad} and tilt {self.tilt_rad} rad')

    def lay(self, image: np.ndarray) -> np.ndarray:
        """A picture (h, w, 3) uint8 RGB at its place in a panorama (H, 2 H, 3), grey around it."""
        place = _place(self, image.shape[1], image.shape[0])
        if place.size != image.shape[1::-1]:
            image = cv2.resize(image, place.size, interpolation=cv2.INTER_AREA)
        patch = cv2.remap(image, place.u, place.v, cv2.INTER_LINEAR,
                          borderMode=cv2.BORDER_REPLICATE)
        patch[place.outside] = FILL
        out = np.full((place.height, 2 * place.height, 3), FILL, np.uint8)
        out[place.box] = patch
        return out

    def box(self, width: int, height: int) -> tuple[slice, slice]:
        """Rows and columns of the panorama that a picture of this size covers."""
        return _place(self, width, height).box


@dataclass(frozen=True, eq=False)
class _Place:
    """How a picture goes into a panorama."""

    height: int
    """Of the panorama."""

    size: tuple[int, int]
    """(width, height) that the picture is shrunk to first, to be as fine as the panorama."""

    box: tuple[slice, slice]
    u: np.ndarray
    v: np.ndarray
    """(rows, columns) float32 each: where a pixel of the box is in the picture, for cv2.remap."""

    outside: np.ndarray
    """(rows, columns) bool: not in the picture."""


@functools.lru_cache(maxsize=8)
def _place(view: FixedCamera, width: int, height: int) -> _Place:
    camera = CameraModel.from_hfov(width, height, view.hfov_rad)
    natural = 2 * math.pi * camera.fx                        # as fine as the picture's middle
    across = min(MAX_LAID_WIDTH, 4 * math.ceil(natural / 4))
    if across < natural:
        camera = camera.scaled(max(1, round(width * across / natural)),
                               max(1, round(height * across / natural)))
    u, v = np.meshgrid(np.arange(across) + 0.5, np.arange(across // 2) + 0.5)
    direction = panorama_direction(np.stack([u, v], axis=-1), across, across // 2)
    pixel, inside = camera.project(optical_ray(direction, view.pan_rad, view.tilt_rad))
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    x, y = np.moveaxis(pixel[box] - 0.5, -1, 0).astype(np.float32)     # OpenCV counts centres
    return _Place(across // 2, (camera.width, camera.height), box, np.ascontiguousarray(x),
                  np.ascontiguousarray(y), ~inside[box])


class FixedCameraScene(VideoScene):
    """A camera's video as a scene; implements the Scene protocol."""

    def __init__(self, path: Path, view: FixedCamera, kept_bytes: int = KEPT_BYTES,
                 part: tuple[int, int] | None = None, rate_hz: float = 0.0) -> None:
        """Open a video; see VideoScene.

        Raises:
            WorldError: not a video, or its end is missing.
        """
        self.view = view
        self.covered = slice(None), slice(None)
        """Rows and columns of the panorama where there is a picture."""
        super().__init__(path, kept_bytes, part, rate_hz)

    def _panorama(self, image: np.ndarray) -> Panorama:
        self.covered = self.view.box(image.shape[1], image.shape[0])
        return Panorama(self.view.lay(image), brief=True)
