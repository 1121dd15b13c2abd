"""Directions and angles: every sign convention of this package is decided here.

    optical frame   x right, y down, z forward            (REP 103)
    base frame      x forward, y left, z up               (REP 103)
    pan_rad  > 0    looks LEFT;  0 looks along base +x    (about +z)
    tilt_rad > 0    looks DOWN                            (about +y)
    pixel (u, v)    u right, v down; centre of the top-left pixel is (0.5, 0.5)
    panorama        equirectangular; its centre is pan 0, tilt 0; its left edge is pan +pi

Radians everywhere; degrees only in names that end in `_deg` and in text for people.
The two axes and the optical centre are taken to meet in one point.
"""

import numpy as np
from numpy.typing import ArrayLike


def wrap_angle(angle_rad: ArrayLike) -> np.ndarray:
    """Return the same angle in [-pi, pi)."""
    return (np.asarray(angle_rad) + np.pi) % (2 * np.pi) - np.pi


def direction_from_pan_tilt(pan_rad: ArrayLike, tilt_rad: ArrayLike) -> np.ndarray:
    """Return unit vectors in the base frame, shape (..., 3)."""
    pan_rad, tilt_rad = np.broadcast_arrays(pan_rad, tilt_rad)
    level = np.cos(tilt_rad)
    return np.stack(
        [level * np.cos(pan_rad), level * np.sin(pan_rad), -np.sin(tilt_rad)], axis=-1)


def pan_tilt_from_direction(direction: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return (pan_rad, tilt_rad), each (...,), of base-frame directions (..., 3) of any length."""
    direction = np.asarray(direction)
    x, y, z = direction[..., 0], direction[..., 1], direction[..., 2]
    return np.arctan2(y, x), np.arctan2(-z, np.hypot(x, y))


def base_from_optical(pan_rad: ArrayLike, tilt_rad: ArrayLike) -> np.ndarray:
    """Rotation matrices (..., 3, 3) that take optical-frame vectors to the base frame.

    Columns are the base-frame directions of the camera's right, down and forward axes.
    """
    pan_rad, tilt_rad = np.broadcast_arrays(pan_rad, tilt_rad)
    forward = direction_from_pan_tilt(pan_rad, tilt_rad)
    zero = np.zeros_like(forward[..., 0])
    right = np.stack([np.sin(pan_rad), -np.cos(pan_rad), zero], axis=-1)
    return np.stack([right, np.cross(forward, right), forward], axis=-1)


def base_ray(optical_ray: ArrayLike, pan_rad: ArrayLike, tilt_rad: ArrayLike) -> np.ndarray:
    """Optical-frame rays (..., 3) of a camera at (pan, tilt), expressed in the base frame."""
    return np.einsum('...ij,...j->...i', base_from_optical(pan_rad, tilt_rad),
                     np.asarray(optical_ray))


def optical_ray(direction: ArrayLike, pan_rad: ArrayLike, tilt_rad: ArrayLike) -> np.ndarray:
    """Base-frame directions (..., 3) as seen from a camera at (pan, tilt): inverse of base_ray."""
    return np.einsum('...ji,...j->...i', base_from_optical(pan_rad, tilt_rad),
                     np.asarray(direction))


def angle_between(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """Angle between directions, shape (...,), in [0, pi].

    Args:
        first: (..., 3) directions of any length but zero.
        second: (..., 3), same frame.

    Raises:
        ValueError: if a direction is zero or not finite.

    The two-difference atan2 form, not arccos, which loses half the digits near zero
    (Kahan, 'How futile are mindless assessments of roundoff', 2006, section 12).
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    norm_first = np.linalg.norm(first, axis=-1, keepdims=True)
    norm_second = np.linalg.norm(second, axis=-1, keepdims=True)
    if not (np.all(np.isfinite(norm_first)) and np.all(np.isfinite(norm_second))):
        raise ValueError('a direction is not finite')
    if np.any(norm_first == 0) or np.any(norm_second == 0):
        raise ValueError('a direction has zero length')
    unit_first, unit_second = first / norm_first, second / norm_second
    return 2 * np.arctan2(np.linalg.norm(unit_first - unit_second, axis=-1),
                          np.linalg.norm(unit_first + unit_second, axis=-1))


def panorama_pixel(direction: ArrayLike, width: int, height: int) -> np.ndarray:
    """Pixels (..., 2) of base-frame directions (..., 3) in an equirectangular picture."""
    pan, tilt = pan_tilt_from_direction(direction)
    return np.stack([(0.5 - pan / (2 * np.pi)) * width, (0.5 + tilt / np.pi) * height], axis=-1)


def panorama_direction(pixel: ArrayLike, width: int, height: int) -> np.ndarray:
    """Base-frame unit directions (..., 3) of equirectangular pixels (..., 2)."""
    pixel = np.asarray(pixel, dtype=float)
    pan = (0.5 - pixel[..., 0] / width) * 2 * np.pi
    tilt = (pixel[..., 1] / height - 0.5) * np.pi
    return direction_from_pan_tilt(pan, tilt)
