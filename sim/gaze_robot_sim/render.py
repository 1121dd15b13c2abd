"""Panorama + pose -> what an eye or a camera there sees. Prefiltered, seamless, rotation only.

One family of functions for training, the simulated camera and evaluation. A sample of a foveated
view is the mean of a small square of the world. It is read with three taps along each side, from
copies of the panorama whose every pixel already is the mean over such a ninth (`mips`): as many as
a zone plate needs to come out within 2 grey levels. A quick mode reads one.

B eyes   P taps, places where a copy is read
"""

from collections.abc import Callable, Iterable, Sequence
import math
from typing import Any

import cv2
import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.errors import WorldError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.geometry import pan_tilt_from_direction
from gaze_robot.head_geometry import rotation_about
from gaze_robot_sim.cores import available_cores
from gaze_robot_sim.mips import Copy, make_atlas, remapped
from gaze_robot_sim.plans import camera_plan, level_plan, Plan, square_rays

MAX_WIDTH = 16384
"""Of a panorama: cv2.remap reads pictures below 32767 pixels."""

_CHUNK_TAPS = 1 << 16
"""Taps whose arithmetic is done at once: what stays in a processor's cache."""

_PRODUCT_TAPS = 7 << 12
"""Taps per matrix product: larger ones wake BLAS's own threads, which on a busy machine wait for
each other most of the time."""

_KEPT_ATLASES = 4
"""Per panorama: one for each pattern or camera that looks at it."""

Mapper = Callable[[Callable, Iterable], Iterable[Any]]
"""`map`, or a thread pool's."""


class Panorama:
    """One equirectangular picture with its mip levels."""

    def __init__(self, image: np.ndarray, brief: bool = False) -> None:
        """Take a picture.

        Args:
            image: (height, width, 3) uint8 RGB, width = 2 * height within 1 %, at most MAX_WIDTH.
            brief: it is looked at a few times only, such as a frame of a video: no smooth copies,
                which take long to make; more taps per sample instead.

        Raises:
            WorldError: any other shape or type.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise WorldError(f'a panorama is (height, width, 3) uint8 RGB, got {image.shape} '
                             f'{image.dtype}')
        height, width = image.shape[:2]
        if abs(width - 2 * height) > 0.01 * width:
            raise WorldError(f'a full panorama is twice as wide as high, got {width}x{height}; '
                             'is it an ordinary picture? (use camera:=file for those)')
        if width > MAX_WIDTH:
            raise WorldError(f'a panorama is at most {MAX_WIDTH} pixels wide, got {width}; '
                             'make it smaller')
        self.width, self.height = width, height
        self.image, self.brief = image, brief
        self._atlases: dict[tuple[Copy, ...], np.ndarray] = {}

    @property
    def nbytes(self) -> int:
        """What it takes in memory: the picture and its copies, about one atlas at first."""
        copies = sum(atlas.nbytes for atlas in list(self._atlases.values()))
        return self.image.nbytes + (copies or self.image.nbytes * (2 if self.brief else 4))

    def atlas(self, copies: tuple[Copy, ...]) -> np.ndarray:
        """The copies in one picture; made when first asked for."""
        atlas = self._atlases.get(copies)
        if atlas is None:
            atlas = make_atlas(self.image, copies)
            if len(self._atlases) >= _KEPT_ATLASES:
                self._atlases = {}                  # other threads keep what they hold
            self._atlases[copies] = atlas
        return atlas

    def levels(self, pan_rad: float, tilt_rad: float, pattern: FoveationPattern,
               samples: int = 0) -> list[np.ndarray]:
        """What an eye that looks along (pan, tilt) samples: one (window, window, 3) per level.

        Args:
            samples: taps along a side of each sample; 0: as many as are needed, 1: a quick single
                one from a plain mip.

        A sample is the mean over its square of the world. Grey levels (RMS) off brute-force means,
        for rings of full contrast by their frequency, in Nyquist frequencies of the level (the
        worst of panoramas 512 to 6000 pixels wide; `test_exactness.py` has such plates):

                                < 1/4   1/4 to 1/2   1/2 to 1   1 to 4   above   view takes
            samples=0            0.8       1.0          1.6        2.1     2.8       1
            samples=2            0.6       1.7          2.7        3.3     5.2       0.3
            samples=0, brief     0.8       1.0          2.0        4.3     4.7       1.3
            samples=1            1.7       5.5         14         22       7.3       0.1
        """
        plan = level_plan(pattern, self.width, self.height, samples, self.brief)
        read = self._read(plan, pan_rad, tilt_rad)
        return [_averaged(read[:, where], shape, window)[0]
                for window, (where, shape) in zip(pattern.window, plan.blocks)]

    def picture(self, camera: CameraModel, pan_rad: float, tilt_rad: float,
                roll_rad: float = 0.0) -> np.ndarray:
        """What a camera that looks along (pan, tilt) sees: (height, width, 3) uint8 RGB.

        Args:
            roll_rad: how it is turned about its axis, clockwise as it sees it.
        """
        plan = camera_plan(camera, self.width, self.height)
        turn = rotation_about('z', roll_rad).astype(np.float32)
        read = _read(self, _rotations(np.array([[pan_rad, tilt_rad]])) @ turn, plan)
        return read.reshape(camera.height, camera.width, 3)

    def patch(self, direction: np.ndarray, width_rad: float, size_px: int, roll_rad: float = 0.0
              ) -> np.ndarray:
        """A square, undistorted picture centred on a direction.

        Args:
            direction: (3,) base frame.
            width_rad: full angle across the patch.
            size_px: samples across.
            roll_rad: positive turns the content clockwise.

        Returns:
            (size_px, size_px, 3) uint8 RGB.
        """
        pan, tilt = pan_tilt_from_direction(direction)
        rays = square_rays(2 * size_px, math.tan(width_rad / 2), roll_rad)
        fine = self._read(Plan.make([rays], self.width, self.height, averaged=False),
                          float(pan), float(tilt))
        return cv2.resize(fine.reshape(2 * size_px, 2 * size_px, 3), (size_px, size_px),
                          interpolation=cv2.INTER_AREA)

    def _read(self, plan: Plan, pan_rad: float, tilt_rad: float) -> np.ndarray:
        return _read(self, _rotations(np.array([[pan_rad, tilt_rad]])), plan)


def render_levels(panoramas: Sequence[Panorama], poses: np.ndarray, pattern: FoveationPattern,
                  samples: int = 0, mapper: Mapper = map) -> list[np.ndarray]:
    """What many eyes sample, each in its own panorama (or several in the same).

    Args:
        panoramas: B of them.
        poses: (B, 2) pan and tilt, radians.
        samples: taps along a side of each sample; 0: as many as are needed.
        mapper: how to go through the panoramas; a thread pool's `map` does several at once.
            OpenCV's own threads (cv2.setNumThreads) help where many eyes share a panorama.

    Returns:
        Per level (B, window, window, 3) uint8 RGB.

    Raises:
        ConfigError: samples is negative or above 8, or a panorama is too large for the pattern.
    """
    views = [np.empty((len(panoramas), window, window, 3), np.uint8) for window in pattern.window]
    rotation = _rotations(poses)
    sharing: dict[int, list[int]] = {}
    for eye, panorama in enumerate(panoramas):
        sharing.setdefault(id(panorama), []).append(eye)

    def work(groups: list[list[int]]) -> None:
        for eyes in groups:
            render(eyes)

    def render(eyes: list[int]) -> None:
        panorama = panoramas[eyes[0]]
        plan = level_plan(pattern, panorama.width, panorama.height, samples, panorama.brief)
        most = max(1, _CHUNK_TAPS // plan.rays.shape[1])
        for first in range(0, len(eyes), most):
            some = eyes[first:first + most]
            read = _read(panorama, rotation[some], plan)
            for view, (where, shape) in zip(views, plan.blocks):
                view[some] = _averaged(read[:, where], shape, view.shape[1])
    groups = sorted(sharing.values(), key=len, reverse=True)
    hands = min(len(groups), available_cores())
    for _ in mapper(work, [groups[hand::hands] for hand in range(hands)]):
        pass
    return views


def _averaged(taps: np.ndarray, shape: tuple[int, int, int], window: int) -> np.ndarray:
    """Taps (B, rows * columns, 3) into samples (B, window, window, 3): means of squares."""
    eyes = len(taps)
    if shape[0] == window:
        return taps.reshape(eyes, *shape)
    fine = np.ascontiguousarray(taps).reshape(eyes * shape[0], *shape[1:])
    return cv2.resize(fine, (window, eyes * window), interpolation=cv2.INTER_AREA
                      ).reshape(eyes, window, window, 3)


def _rotations(poses: np.ndarray) -> np.ndarray:
    """What takes optical rays to (-x, y, z) of the base frame: (B, 3, 3) float32.

    The same as `geometry.base_from_optical` (a test compares them), for speed; the angle from -x
    towards +y grows with a panorama's columns and starts at its left edge.
    """
    (cp, ct), (sp, st) = np.cos(poses).T, np.sin(poses).T
    out = np.zeros((len(poses), 3, 3), np.float32)
    out[:, 0, 0], out[:, 0, 1], out[:, 0, 2] = -sp, st * cp, -ct * cp
    out[:, 1, 0], out[:, 1, 1], out[:, 1, 2] = -cp, -st * sp, ct * sp
    out[:, 2, 1], out[:, 2, 2] = -ct, -st
    return out


def _read(panorama: Panorama, rotation: np.ndarray, plan: Plan) -> np.ndarray:
    """Read a panorama through rays turned by (B, 3, 3), once per eye: (B, P, 3) uint8."""
    turned = np.empty((len(rotation), *plan.rays.shape), np.float32)
    for first in range(0, plan.rays.shape[1], _PRODUCT_TAPS):
        part = slice(first, first + _PRODUCT_TAPS)
        if len(rotation) == 1:                      # a plain product is twice as quick
            np.matmul(rotation[0], plan.rays[:, part], out=turned[0, :, part])
        else:
            np.matmul(rotation, plan.rays[:, part], out=turned[:, :, part])
    back, left, up = turned.transpose(1, 0, 2)
    level, u = cv2.cartToPolar(back, left)
    v = cv2.phase(up, level)
    for along, (scale, shift) in ((u, plan.to_column), (v, plan.to_row)):
        along *= scale
        along += shift
    return remapped(panorama.atlas(plan.copies), u, v, plan.columns)
