"""The frames from base_link to the camera's optical frame, as numbers: no ROS.

base_link -> pan_link -> tilt_link -> camera_link -> camera_optical_frame (REP 103, REP 105).
`gaze_robot.head_geometry` says where the axes and the camera are; without a calibration, all in
one point.
"""

from dataclasses import dataclass
import math

import numpy as np

from gaze_robot.head_geometry import HeadGeometry, rotation_about, rotation_from_rpy
from gaze_robot.types import PanTiltState

BASE, PAN, TILT, CAMERA = 'base_link', 'pan_link', 'tilt_link', 'camera_link'
OPTICAL = 'camera_optical_frame'


@dataclass(frozen=True)
class Turn:
    """How a child frame is turned, and where it is, in its parent."""

    parent: str
    child: str
    quaternion: tuple[float, float, float, float]
    """(x, y, z, w)."""

    xyz: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Metres."""


def moving_frames(pose: PanTiltState, prefix: str = '',
                  geometry: HeadGeometry | None = None) -> list[Turn]:
    """The two that turn with the head: pan about +z (left), tilt about +y (down)."""
    geometry = geometry or HeadGeometry()
    pan = pose.pan_rad / 2
    tilt = rotation_about('x', geometry.tilt_axis_roll) @ rotation_about('y', pose.tilt_rad)
    return [Turn(prefix + BASE, prefix + PAN, (0.0, 0.0, math.sin(pan), math.cos(pan))),
            Turn(prefix + PAN, prefix + TILT, quaternion(tilt),
                 (geometry.tilt_axis_forward, 0.0, 0.0))]


def fixed_frames(prefix: str = '', geometry: HeadGeometry | None = None) -> list[Turn]:
    """The two that do not: x forward to z forward in the optical frame."""
    geometry = geometry or HeadGeometry()
    return [Turn(prefix + TILT, prefix + CAMERA,
                 quaternion(rotation_from_rpy(*geometry.camera_rpy)), geometry.camera_xyz),
            Turn(prefix + CAMERA, prefix + OPTICAL, (-0.5, 0.5, -0.5, 0.5))]


def quaternion(matrix: np.ndarray) -> tuple[float, float, float, float]:
    """(x, y, z, w), w not negative, of a rotation (3, 3).

    The largest of the four is found from the diagonal (Shepperd, 'Quaternion from rotation
    matrix', 1978).
    """
    m = matrix
    squares = 1 + np.array([m[0, 0] - m[1, 1] - m[2, 2], m[1, 1] - m[0, 0] - m[2, 2],
                            m[2, 2] - m[0, 0] - m[1, 1], m[0, 0] + m[1, 1] + m[2, 2]])
    rows = np.array([
        [squares[0], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0], m[2, 1] - m[1, 2]],
        [m[0, 1] + m[1, 0], squares[1], m[1, 2] + m[2, 1], m[0, 2] - m[2, 0]],
        [m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], squares[2], m[1, 0] - m[0, 1]],
        [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], squares[3]]])
    best = rows[int(squares.argmax())]
    x, y, z, w = (best * (1.0 if best[3] >= 0 else -1.0) / np.linalg.norm(best)).tolist()
    return x, y, z, w
