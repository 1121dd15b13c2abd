"""Lens distortion, both ways, and how far from the axis it can be trusted.

Points lie on the plane at distance 1 in front of the camera.

plumb_bob and rational_polynomial are OpenCV's models; equidistant is Kannala & Brandt 2006 as
cv2.fisheye has it, here also beyond 90 degrees.
"""

from collections.abc import Sequence
import math

import cv2
import numpy as np

_CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-12)
_WIDEST = math.radians(89.9)
"""Rays of a pinhole model are looked for up to this angle from the axis."""
_PATIENCE = 4


def distort(normal: np.ndarray, distortion: Sequence[float]) -> np.ndarray:
    """Where points (N, 2) of the plane at distance 1 appear through an OpenCV lens.

    Radial, tangential, thin-prism and tilted-sensor terms, k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4 tx
    ty as in OpenCV's calib3d page; missing ones are 0.
    """
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4, tx, ty = (*distortion, *(0.0,) * 14)[:14]
    x, y = normal[:, 0], normal[:, 1]
    r2 = x * x + y * y
    radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    xy2 = 2 * x * y
    bent = np.stack([
        x * radial + p1 * xy2 + p2 * (r2 + 2 * x * x) + r2 * (s1 + r2 * s2),
        y * radial + p2 * xy2 + p1 * (r2 + 2 * y * y) + r2 * (s3 + r2 * s4)], axis=1)
    if tx or ty:
        tilted = np.concatenate([bent, np.ones_like(r2)[:, None]], axis=1) @ _tilt(tx, ty).T
        bent = tilted[:, :2] / tilted[:, 2:]
    return bent


def _tilt(tx: float, ty: float) -> np.ndarray:
    """Homography (3, 3) of a sensor turned by tx about x, then ty about y."""
    cx, sx, cy, sy = math.cos(tx), math.sin(tx), math.cos(ty), math.sin(ty)
    turn = (np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
            @ np.array([[1, 0, 0], [0, cx, sx], [0, -sx, cx]]))
    return np.array([[turn[2, 2], 0, -turn[0, 2]], [0, turn[2, 2], -turn[1, 2]],
                     [0, 0, 1]]) @ turn


def undistort(normal: np.ndarray, distortion: Sequence[float], fold_radius: float) -> np.ndarray:
    """Inverse of `distort`: points (N, 2) within `fold_radius` that appear at `normal`.

    Where none does (the picture's corners can lie beyond the lens model), the nearest at the fold.
    OpenCV's iteration is fast and mostly right, but wanders off near the fold, silently: its
    answer is checked, and what fails is solved again by damped Newton steps.
    """
    if len(normal) == 0:
        return normal
    found = cv2.undistortPointsIter(normal[:, None], np.eye(3), np.array(distortion), np.eye(3),
                                    np.eye(3), _CRITERIA)[:, 0].astype(float)
    with np.errstate(invalid='ignore', over='ignore'):
        error = np.abs(distort(found, distortion) - normal).max(axis=1)
        wrong = ~((error < 1e-9) & (np.linalg.norm(found, axis=1) <= fold_radius))
    if wrong.any():
        found[wrong] = _solve(normal[wrong], distortion, fold_radius)
    return found


def _solve(normal: np.ndarray, distortion: Sequence[float], fold_radius: float) -> np.ndarray:
    """Newton steps from the radial solution, never beyond the fold; the best point met is kept.

    A point is given up after `_PATIENCE` steps that did not improve it: mostly one that nothing
    maps to.
    """
    radius = np.tan(np.linspace(0, min(_WIDEST, math.atan(fold_radius)), 2001))
    bent = distort(np.stack([radius, np.zeros_like(radius)], axis=1), distortion)[:, 0]
    length = np.linalg.norm(normal, axis=1)
    start = np.interp(length, np.maximum.accumulate(bent), radius)
    best = normal * (start / np.maximum(length, 1e-12))[:, None]
    best_error = np.linalg.norm(distort(best, distortion) - normal, axis=1)
    active, point = np.arange(len(normal)), best.copy()
    waited = np.zeros(len(normal), dtype=int)
    for _ in range(40):
        if len(active) == 0:
            break
        point = point + _newton_step(point, normal[active], distortion)
        point *= np.minimum(1, radius[-1] / np.maximum(
            np.linalg.norm(point, axis=1, keepdims=True), 1e-12))
        error = np.linalg.norm(distort(point, distortion) - normal[active], axis=1)
        better = error < 0.99 * best_error[active]
        best[active[better]], best_error[active[better]] = point[better], error[better]
        waited[active] = np.where(better, 0, waited[active] + 1)
        going = (best_error[active] > 1e-12) & (waited[active] < _PATIENCE)
        active, point = active[going], point[going]
    return best


def _newton_step(point: np.ndarray, wanted: np.ndarray, distortion: Sequence[float]) -> np.ndarray:
    miss = distort(point, distortion) - wanted
    step = 1e-6
    slope = np.stack([(distort(point + shift, distortion) - distort(point - shift, distortion))
                      / (2 * step) for shift in ((step, 0.0), (0.0, step))], axis=-1)  # (N, 2, 2)
    turned = slope.transpose(0, 2, 1)
    normal = turned @ slope
    damping = 1e-12 * (1 + np.trace(normal, axis1=1, axis2=2))[:, None, None] * np.eye(2)
    move = -np.linalg.solve(normal + damping, turned @ miss[..., None])[..., 0]
    # Where the lens hardly grows the slope says little: no step longer than a tenth of the way.
    longest = 0.1 * (1 + np.linalg.norm(point, axis=1))
    return move * np.minimum(1, longest / np.maximum(np.linalg.norm(move, axis=1), 1e-12))[:, None]


def fold_radius(distortion: Sequence[float]) -> float:
    """Undistorted radius (a tangent) up to which the radial part of an OpenCV lens grows.

    Beyond it two rays share a pixel. inf where it always grows.
    """
    k1, k2, _, _, k3, k4, k5, k6 = (*distortion, *(0.0,) * 8)[:8]
    top, bottom = np.poly1d([k3, k2, k1, 1.0]), np.poly1d([k6, k5, k4, 1.0])   # in radius squared
    square = np.poly1d([1.0, 0.0])
    slope = (top + 2 * square * top.deriv()) * bottom - 2 * square * top * bottom.deriv()
    return math.sqrt(min(_first_root(slope), _first_root(bottom)))


def bend(theta: np.ndarray, distortion: Sequence[float]) -> np.ndarray:
    """Distance from the centre, in focal lengths, of rays `theta` off an equidistant axis."""
    t2 = theta ** 2
    k1, k2, k3, k4 = distortion
    return theta * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))))


def unbend(bent: np.ndarray, distortion: Sequence[float], fold_rad: float) -> np.ndarray:
    """Inverse of `bend`, at most `fold_rad`."""
    k1, k2, k3, k4 = distortion
    table = np.linspace(0, fold_rad, 3001)
    theta = np.interp(bent, bend(table, distortion), table)
    for _ in range(3):                       # Newton, from a start good to 1e-6
        t2 = theta ** 2
        slope = 1 + t2 * (3 * k1 + t2 * (5 * k2 + t2 * (7 * k3 + t2 * 9 * k4)))
        theta = np.clip(theta - (bend(theta, distortion) - bent) / np.maximum(slope, 1e-6),
                        0, fold_rad)
    return theta


def fold_theta(distortion: Sequence[float]) -> float:
    """Angle from the axis up to which an equidistant lens' `bend` grows, at most pi."""
    k1, k2, k3, k4 = distortion
    slope = np.poly1d([9 * k4, 7 * k3, 5 * k2, 3 * k1, 1.0])
    return min(math.pi, math.sqrt(_first_root(slope)))


def _first_root(polynomial: np.poly1d) -> float:
    """Smallest positive real root of a polynomial that is 1 at 0, or inf."""
    inverse = np.roots(polynomial.coeffs[::-1])     # of 1 / x: safe where high terms vanish
    real = [root.real for root in inverse if abs(root.imag) < 1e-9 * (1e-9 + abs(root.real))]
    largest = max(real, default=0.0)
    return 1 / float(largest) if largest > 1e-12 else math.inf
