"""Which way a face points, from where its features are in the picture."""

import math

import cv2
import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.people.records import Facing

FACE = np.array([[-0.0325, -0.035, 0.028], [0.0325, -0.035, 0.028], [0.0, 0.0, 0.0],
                 [-0.025, 0.03, 0.022], [0.025, 0.03, 0.022]])
"""Metres, a face that looks into the camera, around the tip of its nose, x right in the picture, y
down, z away from the camera: the eye and the mouth's corner on the picture's left and right. The
eyes' distance is the mean of adults (65 mm); the rest are round figures of the same heads."""

_SPREAD_RAD = math.radians(15)


def facing_of_landmarks(landmarks: np.ndarray, width: int, height: int, hfov_rad: float
                        ) -> Facing | None:
    """Yaw and pitch of a face, by fitting `FACE` to five points.

    Args:
        landmarks: (5, 2) pixels in the order of `FACE`, as YuNet gives them.
        width, height: of the picture.
        hfov_rad: of the camera.

    Returns:
        Angles relative to the line from the face to the camera; None where no pose fits.
    """
    camera = CameraModel.from_hfov(width, height, hfov_rad)
    matrix = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1.0]])
    points = np.ascontiguousarray(landmarks, dtype=float)
    fits, turns, moves, errors = cv2.solvePnPGeneric(FACE, points, matrix, None,
                                                     flags=cv2.SOLVEPNP_SQPNP)
    ahead = [(float(error), turn, move) for turn, move, error in
             zip(turns, moves, np.ravel(errors)) if move[2, 0] > 0] if fits else []
    if not ahead:
        return None
    _, turn, move = min(ahead, key=lambda row: row[0])
    rotation, _ = cv2.Rodrigues(turn)
    looks = in_sight(rotation @ np.array([0.0, 0.0, -1.0]), move.ravel())
    return Facing(math.atan2(looks[0], -looks[2]),
                  math.asin(min(max(float(looks[1]), -1.0), 1.0)), _SPREAD_RAD)


def sight_axes(place: np.ndarray) -> np.ndarray:
    """Rows right, down and away of an observer at the origin who looks at `place`, (3, 3)."""
    x, y, z = (place / math.sqrt(place @ place)).tolist()
    level = math.hypot(x, z)
    return np.array([[z / level, 0.0, -x / level], [-x * y / level, level, -y * z / level],
                     [x, y, z]])


def in_sight(direction: np.ndarray, place: np.ndarray) -> np.ndarray:
    """A direction of the camera's frame as seen along the line to `place`."""
    return sight_axes(place) @ direction
