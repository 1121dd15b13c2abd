"""Pictures of what to look for: from a message, a file, or the scene itself."""

import math
from pathlib import Path

import cv2
import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.errors import ImageError
from gaze_robot.types import Exemplar

MAX_WIDTH_RAD = math.radians(80)


def exemplar_from_picture(image: np.ndarray, camera: CameraModel,
                          width_deg: float = 0.0) -> Exemplar:
    """An exemplar from a picture.

    Args:
        image: (height, width, 3) uint8, RGB.
        camera: whose scale the picture has when `width_deg` is 0: a cut-out of that camera's
            picture, taken near its middle.
        width_deg: the angle the thing covers; 0 infers it from the camera.

    Raises:
        ImageError: if the picture cannot be an exemplar, or its scale is not the camera's.
    """
    if width_deg > 0:
        return Exemplar(image, math.radians(width_deg))
    width = image.shape[1] if image.ndim == 3 else 0
    width_rad = 2 * math.atan(width / 2 / camera.fx)
    if width_rad > MAX_WIDTH_RAD:
        raise ImageError(
            f'an exemplar of {width} pixels would cover {math.degrees(width_rad):.0f} degrees of '
            'this camera; cut the thing out, or say how large it is with exemplar_width_deg')
    return Exemplar(image, width_rad)


def at_camera_scale(exemplar: Exemplar, camera: CameraModel) -> np.ndarray:
    """The exemplar's picture as a cut-out of this camera's picture would show it.

    Returns:
        (height, width, 3) uint8: `exemplar_from_picture(result, camera)` has the same angle, to
        the rounding of its width in pixels.
    """
    width = max(4, round(2 * camera.fx * math.tan(exemplar.width_rad / 2)))
    height = max(4, round(width * exemplar.image.shape[0] / exemplar.image.shape[1]))
    shrink = width < exemplar.image.shape[1]
    return cv2.resize(exemplar.image, (width, height),
                      interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)


def load_exemplar_picture(path: str) -> np.ndarray:
    """Read a picture file as (height, width, 3) uint8 RGB.

    Raises:
        ImageError: the file is missing or not a picture.
    """
    if not Path(path).is_file():
        raise ImageError(f'exemplar: there is no file {path}')
    image = cv2.imread(path, cv2.IMREAD_COLOR)
    if image is None:
        raise ImageError(f'exemplar: {path} is not a picture that OpenCV can read '
                         '(try JPEG or PNG)')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def distinctive_patch(image: np.ndarray, side: int = 0) -> tuple[np.ndarray, tuple[float, float]]:
    """Cut out the square of a picture that is least like the rest of it.

    Args:
        image: (height, width, 3) uint8, RGB.
        side: pixels; 0 takes a twelfth of the width.

    Returns:
        ((side, side, 3) uint8 patch, (u, v) of its centre).

    Raises:
        ImageError: nothing in the picture stands out (one colour, or smaller than the patch).

    Candidates are the strongest corners; the winner's best match elsewhere (normalised
    cross-correlation, more than half its side away) is the weakest.
    """
    side = side or max(16, image.shape[1] // 12)
    height, width = image.shape[:2]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, 24 / side)
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    small_side = max(8, round(side * scale))
    best: tuple[float, int, int] | None = None
    for x, y in _corners(small, small_side):
        patch = small[y:y + small_side, x:x + small_side]
        if patch.std() < 15:
            continue
        likeness = _second_best_match(small, patch, x, y)
        if best is None or likeness < best[0]:
            best = (likeness, x, y)
    if best is None:
        raise ImageError('nothing in this picture stands out; give an exemplar instead of auto')
    left = min(round(best[1] / scale), width - side)
    top = min(round(best[2] / scale), height - side)
    return image[top:top + side, left:left + side].copy(), (left + side / 2, top + side / 2)


def _corners(grey: np.ndarray, side: int, count: int = 60) -> list[tuple[int, int]]:
    """Left top corners of up to `count` squares around the strongest corners, fully inside."""
    found = cv2.goodFeaturesToTrack(grey, count, 0.02, side)
    points = np.empty((0, 2)) if found is None else np.asarray(found)
    half = side // 2
    squares = [(int(u) - half, int(v) - half) for u, v in points.reshape(-1, 2)]
    return [(x, y) for x, y in squares
            if 0 <= x <= grey.shape[1] - side and 0 <= y <= grey.shape[0] - side]


def _second_best_match(grey: np.ndarray, patch: np.ndarray, x: int, y: int) -> float:
    match = cv2.matchTemplate(grey, patch, cv2.TM_CCOEFF_NORMED)
    half = patch.shape[0] // 2
    match[max(0, y - half):y + half + 1, max(0, x - half):x + half + 1] = -1
    return float(match.max())
