"""Panorama + pose -> what an eye or a camera there sees. Prefiltered, seamless, rotation only.

One family of functions for training, the simulated camera and evaluation. A sample of a foveated
view is the mean of a small square of the world. It is read with one tap from a copy of the
panorama whose every pixel already is the mean over a square of that size (`mips`); four taps are
spent only where the panorama is hardly finer than the samples.

B eyes   P taps, places where a copy is read
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
import functools
import math
from typing import Any

import cv2
import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.errors import ConfigError, WorldError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.geometry import pan_tilt_from_direction
from gaze_robot_sim.cores import available_cores
from gaze_robot_sim.mips import copies_for, Copy, make_atlas, places, remapped

MAX_WIDTH = 16384
"""Of a panorama: cv2.remap reads pictures below 32767 pixels."""

_CHUNK_TAPS = 1 << 16
"""Taps whose arithmetic is done at once: what stays in a processor's cache."""

_COARSE, _FINE = 0.75, 3.0
"""Panorama pixels per sample between which one tap is not enough; without smooth copies it is not
enough for any wider sample.
"""

_PRODUCT_TAPS = 1 << 14
"""Taps per matrix product: larger ones wake BLAS's own threads, which on a busy machine wait for
each other most of the time."""

_LONGEST_ROW = 1 << 14
"""Columns of a map for cv2.remap, which reads rows of 32 half as quickly as long ones."""

_KEPT_ATLASES = 4
"""Per panorama: one for each pattern or camera that looks at it."""

Mapper = Callable[[Callable, Iterable], Iterable[Any]]
"""`map`, or a thread pool's."""


@dataclass(frozen=True, eq=False)
class _Plan:
    """How to read panoramas of one size through a set of rays: blocks of squares, flattened."""

    rays: np.ndarray
    """(3, P) float32, optical frame, of any length."""

    copies: tuple[Copy, ...]
    """Of the panorama, in its atlas."""

    to_column: tuple[np.ndarray, np.ndarray]
    """Scale and shift, (P,) float32 each, that take a tap's angle to a column of the atlas."""

    to_row: tuple[np.ndarray, np.ndarray]
    """The same for the angle from straight up and the rows."""

    columns: int
    """Of the map that cv2.remap gets."""

    blocks: tuple[tuple[slice, tuple[int, int, int]], ...]
    """Where each block lies among the taps, and its (rows, columns, 3)."""

    @classmethod
    def make(cls, blocks: Sequence[np.ndarray], width: int, height: int, averaged: bool,
             wider: float = 1.0) -> '_Plan':
        """From (rows, columns, 3) unit rays each.

        Args:
            width, height: of the panoramas.
            averaged: whether a tap stands for its whole share of the view, or for a point of it.
            wider: how many times as wide as their distance taps count as; sqrt 2 takes the plain
                copy nearest in size, where 1 takes the next finer one.
        """
        rays = np.concatenate([block.reshape(-1, 3) for block in blocks])
        pixels = np.concatenate([_footprint(block).ravel() for block in blocks])
        copies, which = copies_for(wider * pixels * width / (2 * math.pi), width, height,
                                   averaged)
        spots = places(width, height, copies)
        u = np.array([[p.width / (2 * math.pi), p.left - 0.5] for p in spots], np.float32)[which]
        v = np.array([[p.height / math.pi, p.top - 0.5] for p in spots], np.float32)[which]
        ends = np.cumsum([0] + [block.shape[0] * block.shape[1] for block in blocks])
        return cls(np.ascontiguousarray(rays.T, np.float32), copies,
                   (u[:, 0].copy(), u[:, 1].copy()), (v[:, 0].copy(), v[:, 1].copy()),
                   next(len(rays) // parts for parts in range(1, len(rays) + 1)
                        if len(rays) % parts == 0 and len(rays) // parts <= _LONGEST_ROW),
                   tuple((slice(first, last), block.shape)
                         for first, last, block in zip(ends, ends[1:], blocks)))


def _footprint(rays: np.ndarray) -> np.ndarray:
    """(rows, columns) square root of the solid angle between neighbouring rays, radians."""
    if min(rays.shape[:2]) < 2:
        return np.full(rays.shape[:2], 1e-3)
    down, right = np.gradient(rays, axis=(0, 1))
    return np.sqrt(np.linalg.norm(np.cross(down, right), axis=-1))


def _square_rays(side: int, half_tangent: float, roll_rad: float = 0.0) -> np.ndarray:
    """Unit optical rays (side, side, 3) through the cells of a square ahead."""
    steps = ((np.arange(side) + 0.5) / side * 2 - 1) * half_tangent
    x, y = np.meshgrid(steps, steps)
    cos, sin = math.cos(roll_rad), math.sin(roll_rad)
    ray = np.stack([x * cos + y * sin, y * cos - x * sin, np.ones_like(x)], axis=-1)
    return ray / np.linalg.norm(ray, axis=-1, keepdims=True)


@functools.lru_cache(maxsize=64)
def _level_plan(pattern: FoveationPattern, width: int, height: int, samples: int, brief: bool
                ) -> _Plan:
    """One block per level; samples 0 chooses the taps per level, 1 is quick."""
    if not 0 <= samples <= 8:
        raise ConfigError(f'samples is 0 (as many as needed) to 8, got {samples}')
    blocks = []
    for level, window in enumerate(pattern.window):
        half = pattern.half_tangent(level)
        pixels = 2 * half / window * width / (2 * math.pi)
        side = samples or (2 if _COARSE < pixels < (math.inf if brief else _FINE) else 1)
        blocks.append(_square_rays(window * side, half))
    # One tap from a plain mip reads a third of the memory: what quick training waits for.
    # And two taps in a copy nearly twice as fine would pass over some of its pixels.
    return _Plan.make(blocks, width, height, averaged=not brief and samples != 1,
                      wider=math.sqrt(2) if brief and samples != 1 else 1.0)


@functools.lru_cache(maxsize=64)
def _camera_plan(camera: CameraModel, width: int, height: int) -> _Plan:
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = camera.unproject(np.stack([u, v], axis=-1))
    return _Plan.make([rays], width, height, averaged=False)


class Panorama:
    """One equirectangular picture with its mip levels."""

    def __init__(self, image: np.ndarray, brief: bool = False) -> None:
        """Take a picture.

        Args:
            image: (height, width, 3) uint8 RGB, width = 2 * height within 1 %, at most MAX_WIDTH.
            brief: it is looked at a few times only, such as a frame of a video: no smooth copies,
                which take long to make; four taps per sample instead.

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
        worst of many; `test_exactness.py` has such plates):

                                < 1/4   1/4 to 1/2   1/2 to 1   1 to 4   above
            samples=0            0.6       1.8          6.8       12       5
            samples=2            0.5       1.5          3.7        9       8
            samples=4            0.5       1.0          1.9        2.1     3.7

        What a level cannot show (above 1) comes out about as grey as exact means make it. On
        photographs and rooms samples=0 is within 2 of a camera's picture, averaged.
        """
        plan = _level_plan(pattern, self.width, self.height, samples, self.brief)
        read = self._read(plan, pan_rad, tilt_rad)
        return [_averaged(read[:, where], shape, window)[0]
                for window, (where, shape) in zip(pattern.window, plan.blocks)]

    def picture(self, camera: CameraModel, pan_rad: float, tilt_rad: float) -> np.ndarray:
        """What a camera that looks along (pan, tilt) sees: (height, width, 3) uint8 RGB."""
        plan = _camera_plan(camera, self.width, self.height)
        return self._read(plan, pan_rad, tilt_rad).reshape(camera.height, camera.width, 3)

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
        rays = _square_rays(2 * size_px, math.tan(width_rad / 2), roll_rad)
        fine = self._read(_Plan.make([rays], self.width, self.height, averaged=False),
                          float(pan), float(tilt))
        return cv2.resize(fine.reshape(2 * size_px, 2 * size_px, 3), (size_px, size_px),
                          interpolation=cv2.INTER_AREA)

    def _read(self, plan: _Plan, pan_rad: float, tilt_rad: float) -> np.ndarray:
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
        plan = _level_plan(pattern, panorama.width, panorama.height, samples, panorama.brief)
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
    zero = np.zeros_like(cp)
    return np.array([[-sp, st * cp, -ct * cp], [-cp, -st * sp, ct * sp], [zero, -ct, -st]],
                    np.float32).transpose(2, 0, 1)


def _read(panorama: Panorama, rotation: np.ndarray, plan: _Plan) -> np.ndarray:
    """Read a panorama through rays turned by (B, 3, 3), once per eye: (B, P, 3) uint8."""
    turned = np.empty((len(rotation), *plan.rays.shape), np.float32)
    for first in range(0, plan.rays.shape[1], _PRODUCT_TAPS):
        part = slice(first, first + _PRODUCT_TAPS)
        np.matmul(rotation, plan.rays[:, part], out=turned[:, :, part])
    back, left, up = turned.transpose(1, 0, 2)
    level, u = cv2.cartToPolar(back, left)
    v = cv2.phase(up, level)
    for along, (scale, shift) in ((u, plan.to_column), (v, plan.to_row)):
        along *= scale
        along += shift
    return remapped(panorama.atlas(plan.copies), u, v, plan.columns)
