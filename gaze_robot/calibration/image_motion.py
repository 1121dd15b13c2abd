"""How far a camera has turned since its first picture, from what the pictures show."""

from typing import Any

import cv2
import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.errors import CalibrationError

LEAST_POINTS = 12
_MOST_POINTS = 150
_WINDOW = (21, 21)


class ImageMotion:
    """Follows points from picture to picture (Lucas and Kanade 1981, as OpenCV has it)."""

    def __init__(self, first: np.ndarray, camera: CameraModel) -> None:
        """Choose points.

        Args:
            first: (h, w, 3) uint8 RGB.
            camera: its lens.

        Raises:
            CalibrationError: too little to see.
        """
        self._camera, self._last = camera, cv2.cvtColor(first, cv2.COLOR_RGB2GRAY)
        points = cv2.goodFeaturesToTrack(self._last, _MOST_POINTS, 0.02, 9)
        if points is None or len(points) < LEAST_POINTS:
            raise CalibrationError(
                f'{0 if points is None else len(points)} points to follow in this picture, '
                f'{LEAST_POINTS} at least: point the camera at something with texture, such as a '
                'calibration board, in good light')
        self._points = points.astype(np.float32)
        self._rays = camera.unproject(points[:, 0] + 0.5)

    def turned(self, picture: np.ndarray) -> np.ndarray | None:
        """(3,) rotation vector, radians, optical frame of the first picture, up to this picture.

        None where too few points could be followed; go on with the next picture.
        """
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        flow: Any = cv2.calcOpticalFlowPyrLK        # its stubs do not know that None is allowed
        moved, good, _ = flow(self._last, grey, self._points, None, winSize=_WINDOW, maxLevel=4)
        size = np.array([grey.shape[1], grey.shape[0]])
        inside = ((moved[:, 0] > 2) & (moved[:, 0] < size - 3)).all(axis=1)
        keep = (good[:, 0] == 1) & inside
        if keep.sum() < LEAST_POINTS:
            return None
        self._last, self._points, self._rays = grey, moved[keep], self._rays[keep]
        return _rotation(self._rays, self._camera.unproject(self._points[:, 0] + 0.5))


def _rotation(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(3,) of the camera, between the rays (N, 3) of still points; outliers count little.

    Kabsch's rotation (1976), weighted anew a few times.
    """
    weights = np.ones(len(before))
    turn = np.eye(3)
    for _ in range(6):
        u, _, v = np.linalg.svd((before * weights[:, None]).T @ after)
        turn = u @ np.diag([1.0, 1.0, np.linalg.det(u @ v)]) @ v         # before = turn @ after
        error = np.linalg.norm(before - after @ turn.T, axis=1)
        scale = max(2 * float(np.median(error)), 1e-4)
        weights = 1 / (1 + (error / scale) ** 2) ** 2
    vector, _ = cv2.Rodrigues(turn)
    return np.asarray(vector[:, 0])


def main_axis(turns: np.ndarray) -> np.ndarray:
    """(3,) unit axis about which rotation vectors (N, 3) turn most."""
    return np.asarray(np.linalg.svd(turns - turns.mean(axis=0), full_matrices=False)[2][0])
