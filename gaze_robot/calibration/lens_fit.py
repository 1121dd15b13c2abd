"""The lens of a camera from views of a board: OpenCV's fits, judged before they are believed."""

from collections.abc import Sequence
from dataclasses import dataclass
import math

import cv2
import numpy as np

from gaze_robot.calibration.board import Board
from gaze_robot.calibration.views import cells_hit, View
from gaze_robot.camera import CameraModel
from gaze_robot.errors import CalibrationError, CameraModelError, ConfigError

MODELS = ('plumb_bob', 'rational_polynomial', 'equidistant')
LEAST_VIEWS = 10
_CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-10)
"""OpenCV's 30 rounds are too few for the rational model."""

_LEAST_COVERED = 0.4
_LEAST_TILT_RAD = math.radians(15.0)
_MOST_RMS_PX = 1.0
_MOST_FOCAL_DEVIATION = 0.01
_BAD_VIEW = 3.0
"""A view this many times worse than the median is left out."""


@dataclass(frozen=True, eq=False)
class LensFit:
    """A lens, and how well it explains the views."""

    camera: CameraModel
    views: list[View]
    """Those that were used."""

    left_out: list[str]
    """Names of views that fit none of the others."""

    residual_px: list[np.ndarray]
    """Per view (N, 2)."""

    covered: float
    """Share of the picture, in 8 x 6 cells, where corners were."""

    tilt_rad: float
    """Largest angle between the boards of two views."""

    deviation: dict[str, float]
    """Standard deviations of fx, fy, cx, cy, pixels."""

    @property
    def rms_px(self) -> float:
        """Distance of corners from where they should be, root mean square."""
        square = np.concatenate(self.residual_px) ** 2
        return float(np.sqrt(square.sum(axis=1).mean()))


def fit_lens(views: Sequence[View], board: Board, size: tuple[int, int],
             model: str = 'plumb_bob') -> LensFit:
    """Find a lens.

    Args:
        views: of the board, from one camera.
        size: (width, height) of the pictures.
        model: one of `MODELS`.

    Raises:
        CalibrationError: the views are too few, too alike, or do not fit together.
        ConfigError: no such model.
    """
    if model not in MODELS:
        raise ConfigError(f'model is one of {", ".join(MODELS)}, got {model!r}')
    if len(views) < LEAST_VIEWS:
        raise CalibrationError(f'{len(views)} views; {LEAST_VIEWS} at least, 30 are better')
    covered = float((cells_hit(views, size) > 0).mean())
    if covered < _LEAST_COVERED:
        raise CalibrationError(
            f'the board was seen in {100 * covered:.0f} % of the picture only, '
            f'{100 * _LEAST_COVERED:.0f} % at least are needed: bring it to the edges and '
            'corners, and nearer')
    camera, poses = _solve(list(views), board, size, model)
    kept, left_out = _fitting(list(views), board, camera, poses)
    if left_out:
        if len(kept) < LEAST_VIEWS:
            raise CalibrationError(f'only {len(kept)} of {len(views)} views fit together; did the '
                                   'board bend, or the focus change?')
        camera, poses = _solve(kept, board, size, model)
    found = LensFit(camera, kept, left_out, _residuals(kept, board, camera, poses), covered,
                    _largest_angle(poses), _deviations(kept, board, camera, poses))
    _check(found)
    return found


def _check(found: LensFit) -> None:
    if found.tilt_rad < _LEAST_TILT_RAD:
        raise CalibrationError(
            'all views show the board from nearly the same tilt '
            f'({math.degrees(found.tilt_rad):.0f} degrees between the most different two, '
            f'{math.degrees(_LEAST_TILT_RAD):.0f} at least): turn it by 20 to 45 degrees to all '
            'sides')
    if found.rms_px > _MOST_RMS_PX:
        raise CalibrationError(
            f'corners lie {found.rms_px:.2f} pixels off, {_MOST_RMS_PX:g} at most: is the board '
            'flat and its print true to scale in both ways, and is the model right? A wide lens '
            'needs --model rational_polynomial or, a fisheye, equidistant')
    focal = max(found.deviation['fx'] / found.camera.fx, found.deviation['fy'] / found.camera.fy)
    if not focal < _MOST_FOCAL_DEVIATION:
        raise CalibrationError(
            f'the focal length is known to {100 * focal:.1f} % only (standard deviation): take '
            'more views, nearer, and turned more')


_Pose = tuple[np.ndarray, np.ndarray]
"""Rotation (3, 3) and origin (3,) of the board in the optical frame."""


def _solve(views: list[View], board: Board, size: tuple[int, int], model: str
           ) -> tuple[CameraModel, list[_Pose]]:
    points = [board.corners[view.found.ids] for view in views]
    pixels = [view.found.pixels - 0.5 for view in views]        # OpenCV counts centres from 0
    try:
        if model == 'equidistant':
            matrix, d, turns, places = _solve_fisheye(points, pixels, size)
        else:
            flags = cv2.CALIB_RATIONAL_MODEL if model == 'rational_polynomial' else 0
            _, matrix, d, turns, places = cv2.calibrateCamera(
                [p.astype(np.float32) for p in points], [p.astype(np.float32) for p in pixels],
                size, None, None, flags=flags, criteria=_CRITERIA)
    except cv2.error as error:
        raise CalibrationError('no lens explains these views; do they all show '
                               f'{board.text}, taken with one camera? '
                               f'({" ".join(str(error).split())[:120]})') from error
    count = {'plumb_bob': 5, 'rational_polynomial': 8, 'equidistant': 4}[model]
    try:
        camera = CameraModel(size[0], size[1], float(matrix[0, 0]), float(matrix[1, 1]),
                             float(matrix[0, 2]) + 0.5, float(matrix[1, 2]) + 0.5, model,
                             tuple(float(value) for value in np.ravel(d)[:count]))
    except CameraModelError as error:
        raise CalibrationError(f'no lens explains these views; do they all show {board.text}, '
                               'taken with one camera?') from error
    return camera, [(cv2.Rodrigues(turn)[0], np.ravel(place))
                    for turn, place in zip(turns, places)]


def _solve_fisheye(points: list[np.ndarray], pixels: list[np.ndarray], size: tuple[int, int]
                   ) -> tuple[np.ndarray, np.ndarray, Sequence, Sequence]:
    """Twice: OpenCV's start is far off for wide lenses, and its first guess of poses may fail."""
    failed = None
    for focal in (size[0] / math.pi, size[0] / 2.2, size[0] / 1.2):
        matrix = np.array([[focal, 0, size[0] / 2 - 0.5], [0, focal, size[1] / 2 - 0.5],
                           [0, 0, 1.0]])
        flags = (cv2.fisheye.CALIB_RECOMPUTE_EXTRINSIC | cv2.fisheye.CALIB_FIX_SKEW
                 | cv2.fisheye.CALIB_USE_INTRINSIC_GUESS)
        try:
            _, matrix, d, turns, places = cv2.fisheye.calibrate(
                [p[:, None] for p in points], [p[:, None] for p in pixels], size, matrix,
                np.zeros(4), flags=flags, criteria=_CRITERIA)
        except cv2.error as error:
            failed = error
            continue
        return matrix, d, turns, places
    assert failed is not None
    raise failed


def _residuals(views: list[View], board: Board, camera: CameraModel, poses: list[_Pose]
               ) -> list[np.ndarray]:
    return [view.found.pixels - _project(view, board, camera, pose)
            for view, pose in zip(views, poses)]


def _project(view: View, board: Board, camera: CameraModel, pose: _Pose) -> np.ndarray:
    return camera.project(board.corners[view.found.ids] @ pose[0].T + pose[1])[0]


def _fitting(views: list[View], board: Board, camera: CameraModel, poses: list[_Pose]
             ) -> tuple[list[View], list[str]]:
    errors = np.array([np.sqrt((rest ** 2).sum(axis=1).mean())
                       for rest in _residuals(views, board, camera, poses)])
    good = errors < max(_BAD_VIEW * float(np.median(errors)), 0.3)
    return ([view for view, fine in zip(views, good) if fine],
            [view.name for view, fine in zip(views, good) if not fine])


def _largest_angle(poses: list[_Pose]) -> float:
    normals = np.stack([turn[:, 2] for turn, _ in poses])
    return float(np.arccos(np.clip(normals @ normals.T, -1, 1)).max())


def _deviations(views: list[View], board: Board, camera: CameraModel, poses: list[_Pose]
                ) -> dict[str, float]:
    """Of fx fy cx cy, with the poses of all views unknown: the Schur complement of their part."""
    names = ('fx', 'fy', 'cx', 'cy')
    count = 4 + len(camera.distortion)
    whole, squares, numbers = np.zeros((count, count)), 0.0, 0
    for view, pose in zip(views, poses):
        lens, place = _slopes(view, board, camera, pose)
        cross = lens.T @ place
        whole += lens.T @ lens - cross @ np.linalg.pinv(place.T @ place) @ cross.T
        rest = view.found.pixels - _project(view, board, camera, pose)
        squares, numbers = squares + float((rest ** 2).sum()), numbers + rest.size
    variance = squares / max(numbers - count - 6 * len(views), 1)
    with np.errstate(invalid='ignore'):
        deviation = np.sqrt(variance * np.diag(np.linalg.pinv(whole, hermitian=True)))
    return {name: float(value) for name, value in zip(names, deviation)}


def _slopes(view: View, board: Board, camera: CameraModel, pose: _Pose
            ) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of all pixels (2 N) by the lens' values and by the pose's six."""
    values = np.array([camera.fx, camera.fy, camera.cx, camera.cy, *camera.distortion])

    def seen(lens: np.ndarray, move: np.ndarray) -> np.ndarray:
        fx, fy, cx, cy, *distortion = (float(value) for value in lens)
        made = CameraModel(camera.width, camera.height, fx, fy, cx, cy, camera.model,
                           tuple(distortion))
        turn = cv2.Rodrigues(move[:3])[0] @ pose[0]
        return _project(view, board, made, (turn, pose[1] + move[3:])).ravel()
    still = np.zeros(6)
    lens_steps = np.diag(np.where(np.arange(len(values)) < 4, 1e-3, 1e-5))
    by_lens = np.stack([(seen(values + step, still) - seen(values - step, still))
                        / (2 * step.max()) for step in lens_steps], axis=1)
    by_pose = np.stack([(seen(values, step) - seen(values, -step)) / 2e-6
                        for step in 1e-6 * np.eye(6)], axis=1)
    return by_lens, by_pose
