"""Pictures of a rolled camera, turned level."""

import math

import cv2
import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.head_geometry import rotation_about

_LEVEL_RAD = math.radians(0.2)
"""Moves what is 45 degrees off the axis by 0.2 degrees at most, and costs a resampling."""


def turned_level(image: np.ndarray, camera: CameraModel, roll_rad: float) -> np.ndarray:
    """A picture as if its camera were not rolled; the same one where that is within `_LEVEL_RAD`.

    About the principal point, as if the lens were round; what was outside repeats the edge.
    """
    if abs(roll_rad) <= _LEVEL_RAD:
        return image
    scale = np.diag([camera.fx, camera.fy])
    turn = scale @ rotation_about('z', roll_rad)[:2, :2] @ np.linalg.inv(scale)
    centre = np.array([camera.cx - 0.5, camera.cy - 0.5])       # cv2 counts centres from 0
    matrix = np.column_stack([turn, centre - turn @ centre])
    return cv2.warpAffine(image, matrix, (camera.width, camera.height),
                          borderMode=cv2.BORDER_REPLICATE)
