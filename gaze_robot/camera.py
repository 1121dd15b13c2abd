"""Camera models: pixels to rays and back, for pinhole and fisheye lenses.

This module owns the conventions (pixel centres at +0.5, rays in the optical frame, invalid instead
of garbage) and the checks; `gaze_robot.lens` has the distortion arithmetic.
"""

from dataclasses import dataclass, replace
import functools
import math

import numpy as np

from gaze_robot import lens
from gaze_robot.errors import CameraModelError

# ROS names (sensor_msgs/distortion_models.hpp) -> how many coefficients each takes.
COEFFICIENTS = {'plumb_bob': (4, 5), 'rational_polynomial': (8, 12, 14), 'equidistant': (4,)}
_LARGEST, _LARGEST_COEFFICIENT = 1e7, 1e4
"""Pixels, and distortion, beyond which nothing can be computed with a lens."""


@dataclass(frozen=True)
class CameraModel:
    """Intrinsics of one camera at one resolution.

    `fx fy cx cy` are in pixels with the centre of the top-left pixel at (0.5, 0.5); a ROS
    CameraInfo counts that centre as (0, 0): `from_camera_info` adds the half pixel.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    model: str = 'plumb_bob'
    distortion: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise CameraModelError(f'a camera of {self.width}x{self.height} pixels sees nothing')
        values = (self.fx, self.fy, self.cx, self.cy, *self.distortion)
        if not all(math.isfinite(value) for value in values) or self.fx <= 0 or self.fy <= 0:
            raise CameraModelError(f'focal lengths must be positive and all values finite: {self}')
        if not (min(self.fx, self.fy) > 1e-3 and max(map(abs, values[:4])) < _LARGEST
                and max(map(abs, self.distortion), default=0.0) < _LARGEST_COEFFICIENT):
            raise CameraModelError(f'no lens has such numbers: {self}')
        if self.model not in COEFFICIENTS:
            raise CameraModelError(f'unknown distortion model {self.model!r}; '
                                   f'known: {sorted(COEFFICIENTS)}')
        if len(self.distortion) not in COEFFICIENTS[self.model]:
            raise CameraModelError(f'{self.model} takes {COEFFICIENTS[self.model]} coefficients, '
                                   f'got {len(self.distortion)}')

    @classmethod
    def from_hfov(cls, width: int, height: int, hfov_rad: float) -> 'CameraModel':
        """An ideal pinhole camera with square pixels and this horizontal field of view."""
        if not 0 < hfov_rad < math.pi:
            raise CameraModelError('a pinhole camera needs a horizontal field of view between 0 '
                                   f'and 180 degrees, got {math.degrees(hfov_rad):.1f}')
        focal = width / 2 / math.tan(hfov_rad / 2)
        return cls(width, height, focal, focal, width / 2, height / 2)

    @classmethod
    def from_camera_info(cls, width: int, height: int, k: tuple[float, ...], model: str,
                         d: tuple[float, ...], binning: tuple[int, int] = (1, 1),
                         roi: tuple[int, int, int, int] = (0, 0, 0, 0)) -> 'CameraModel':
        """Build from the fields of a sensor_msgs/CameraInfo.

        Args:
            width, height: full sensor resolution, pixels.
            k: nine numbers, row major.
            model: distortion model name; '' with no `d` means undistorted.
            d: distortion coefficients.
            binning: (x, y); 0 means 1.
            roi: (x_offset, y_offset, width, height) in unbinned pixels; all 0: the full image.

        Returns:
            The model of the image as published: cropped to roi, then binned.
        """
        if len(k) != 9 or k[0] <= 0 or k[4] <= 0:
            raise CameraModelError('camera_info is not calibrated: K[0] and K[4] must be positive')
        d = tuple(float(value) for value in d)
        if not model and not any(d):
            model, d = 'plumb_bob', (0.0,) * 5
        if not d and model in COEFFICIENTS:                 # simulators leave an ideal lens' D out
            d = (0.0,) * COEFFICIENTS[model][0]
        x, y, roi_width, roi_height = roi
        if roi_width == 0 or roi_height == 0:
            roi_width, roi_height = width - x, height - y
        if min(roi) < 0 or x + roi_width > width or y + roi_height > height:
            raise CameraModelError(f'the roi {roi} of this camera_info leaves its '
                                   f'{width}x{height} picture; roi counts unbinned pixels')
        bin_x, bin_y = max(1, binning[0]), max(1, binning[1])
        return cls(roi_width // bin_x, roi_height // bin_y, k[0] / bin_x, k[4] / bin_y,
                   (k[2] + 0.5 - x) / bin_x, (k[5] + 0.5 - y) / bin_y, model, d)

    @functools.cached_property
    def fold_angle_rad(self) -> float:
        """Angle from the optical axis up to which the lens model is one-to-one.

        Beyond it several rays share a pixel, or there is none: nothing out there is visible.
        """
        if self.model == 'equidistant':
            return lens.fold_theta(self.distortion)
        return math.atan(self._fold_radius)

    @functools.cached_property
    def _fold_radius(self) -> float:
        return lens.fold_radius(self.distortion)

    @property
    def hfov_rad(self) -> float:
        """Angle between the rays of the left and right edge at the principal row."""
        edges = self.unproject(np.array([[0.0, self.cy], [float(self.width), self.cy]]))
        return float(np.arctan2(edges[1, 0], edges[1, 2]) - np.arctan2(edges[0, 0], edges[0, 2]))

    def scaled(self, width: int, height: int) -> 'CameraModel':
        """The same lens with the picture resized to width x height."""
        sx, sy = width / self.width, height / self.height
        return replace(self, width=width, height=height, fx=self.fx * sx, fy=self.fy * sy,
                       cx=self.cx * sx, cy=self.cy * sy)

    def project(self, ray: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels of optical-frame rays.

        Args:
            ray: (..., 3), any positive length.

        Returns:
            (pixel (..., 2), visible (...,) bool): visible is False behind the camera, outside the
            picture, and where the lens model folds back; the pixel there is not to be used.
        """
        ray = np.asarray(ray, dtype=float)
        flat = ray.reshape(-1, 3)
        if self.model == 'equidistant':
            pixel, valid = self._project_equidistant(flat)
        else:
            pixel, valid = self._project_pinhole(flat)
        inside = ((pixel >= 0) & (pixel <= (self.width, self.height))).all(axis=-1)
        return pixel.reshape(ray.shape[:-1] + (2,)), (valid & inside).reshape(ray.shape[:-1])

    def unproject(self, pixel: np.ndarray) -> np.ndarray:
        """Unit rays (..., 3), optical frame, of pixels (..., 2).

        A pixel beyond what the lens model can show gives the ray at its edge (`fold_angle_rad`) on
        that side.
        """
        pixel = np.asarray(pixel, dtype=float)
        normal = (pixel.reshape(-1, 2) - (self.cx, self.cy)) / (self.fx, self.fy)
        if self.model == 'equidistant':
            bent = np.linalg.norm(normal, axis=1, keepdims=True)
            theta = lens.unbend(bent, self.distortion, self.fold_angle_rad)
            side = normal * np.where(bent > 1e-12, np.sin(theta) / np.maximum(bent, 1e-12), 1.0)
            ray = np.concatenate([side, np.cos(theta)], axis=1)
        else:
            if any(self.distortion):
                normal = lens.undistort(normal, self.distortion, self._fold_radius)
            ray = np.concatenate([normal, np.ones_like(normal[:, :1])], axis=1)
        ray = ray / np.linalg.norm(ray, axis=1, keepdims=True)
        return ray.reshape(pixel.shape[:-1] + (3,))

    def _project_pinhole(self, ray: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        valid = ray[:, 2] > 1e-9
        normal = ray[:, :2] / np.where(valid, ray[:, 2], 1.0)[:, None]
        if any(self.distortion):
            valid &= np.linalg.norm(normal, axis=1) <= self._fold_radius
            normal = lens.distort(normal, self.distortion)
        return normal * (self.fx, self.fy) + (self.cx, self.cy), valid

    def _project_equidistant(self, ray: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        side = np.linalg.norm(ray[:, :2], axis=1)
        theta = np.arctan2(side, ray[:, 2])
        bent = lens.bend(theta, self.distortion)
        scale = np.where(side > 1e-12, bent / np.maximum(side, 1e-12), 0.0)
        return ray[:, :2] * scale[:, None] * (self.fx, self.fy) + (self.cx, self.cy), \
            theta <= self.fold_angle_rad
