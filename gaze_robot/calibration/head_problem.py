"""The fit behind `head_fit`: what a head shows of a fixed board, and the head that shows it best.

V views   N corners of all views together
"""

from collections.abc import Sequence
from dataclasses import dataclass
import functools
import itertools
import math

import cv2
import numpy as np

from gaze_robot.calibration.board import Board
from gaze_robot.calibration.least_squares import Fit, fit
from gaze_robot.camera import CameraModel
from gaze_robot.errors import CalibrationError
from gaze_robot.geometry import base_from_optical, wrap_angle
from gaze_robot.head_geometry import rotation_about, rotation_from_rpy

NAMES = ('tilt zero', 'tilt axis roll', 'camera roll', 'camera yaw', 'tilt axis forward',
         'camera x', 'camera y', 'camera z')
"""Of the first eight parameters: four angles, four lengths. Then come the board's six."""

ANGLES, LENGTHS, _BOARD = slice(0, 4), slice(4, 8), slice(8, 14)
_CAMERA_FROM_OPTICAL = base_from_optical(0.0, 0.0)
_ROUGH_PX = 40.0
"""RMS below which a fit without positions is on the right track: a camera centimetres off."""

_UNLIKE = 4.0
"""Any other directions of the joints must fit at least this many times worse, in RMS."""


@dataclass(frozen=True, eq=False)
class HeadView:
    """A fixed board from one pose of the head."""

    joints_rad: tuple[float, float]
    """Pan and tilt as joint states had them."""

    ids: np.ndarray
    """(N,) which rows of `Board.corners`."""

    pixels: np.ndarray
    """(N, 2)"""

    def __post_init__(self) -> None:
        if not all(math.isfinite(angle) for angle in self.joints_rad):
            raise CalibrationError(f'the joint states say {self.joints_rad}, which is no pose; '
                                   'check the encoders of the head')
        if self.pixels.shape != (len(self.ids), 2) or not np.isfinite(self.pixels).all():
            raise CalibrationError(f'corners are (N, 2) finite pixels, got {self.pixels.shape}')


def _turns(axis: str, angles_rad: np.ndarray) -> np.ndarray:
    """(V, 3, 3)"""
    cos, sin = np.cos(angles_rad), np.sin(angles_rad)
    first, second = {'y': (2, 0), 'z': (0, 1)}[axis]
    turns = np.tile(np.eye(3), (len(angles_rad), 1, 1))
    turns[:, first, first] = turns[:, second, second] = cos
    turns[:, second, first], turns[:, first, second] = sin, -sin
    return turns


class Problem:
    """Residuals of all corners, as angles in units of pixels at the middle of the picture."""

    def __init__(self, views: Sequence[HeadView], board: Board, camera: CameraModel,
                 position: bool) -> None:
        self.views, self.board, self.camera = views, board, camera
        self.position = position
        self.names = NAMES if position else NAMES[ANGLES]
        self.joints = np.array([view.joints_rad for view in views])
        self.view = np.repeat(np.arange(len(views)), [len(view.ids) for view in views])
        self.points = board.corners[np.concatenate([view.ids for view in views])]
        self.rays = camera.unproject(np.concatenate([view.pixels for view in views]))
        self.focal = math.sqrt(camera.fx * camera.fy)
        aside = np.cross(self.rays, np.where(np.abs(self.rays[:, :1]) < 0.9, [[1.0, 0, 0]],
                                             [[0.0, 1, 0]]))
        aside /= np.linalg.norm(aside, axis=1, keepdims=True)
        self.across = np.stack([aside, np.cross(self.rays, aside)], axis=1)       # (N, 2, 3)
        self._white: list[tuple[np.ndarray, np.ndarray]] = []

    def whole(self, values: np.ndarray) -> np.ndarray:
        """All 14 parameters from those that are fitted."""
        if self.position:
            return values
        return np.concatenate([values[ANGLES], np.zeros(4), values[4:]])

    def board_pose(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of all 14: rotation and origin of the board, in the base turned so that pan is 0."""
        turn, _ = cv2.Rodrigues(values[_BOARD][:3])
        return np.asarray(turn, dtype=float), values[_BOARD][3:]

    def seen(self, values: np.ndarray, direction: tuple[int, int]) -> np.ndarray:
        """(N, 3) corners in the optical frames, metres."""
        turn, origin = self.board_pose(values)
        turns, centres = self.optical(values, direction)
        places = self.points @ turn.T + origin - centres[self.view]
        return np.asarray(np.einsum('nji,nj->ni', turns[self.view], places))

    def optical(self, values: np.ndarray, direction: tuple[int, int]
                ) -> tuple[np.ndarray, np.ndarray]:
        """(V, 3, 3) and (V, 3) of the optical frames, as `HeadGeometry.optical`, all at once."""
        zero, axis_roll, roll, yaw, forward = values[:5]
        pan = _turns('z', direction[0] * self.joints[:, 0])
        tilt = _turns('y', direction[1] * (self.joints[:, 1] - zero))
        link = pan @ rotation_about('x', axis_roll) @ tilt
        mount = rotation_from_rpy(roll, 0.0, yaw) @ _CAMERA_FROM_OPTICAL
        return link @ mount, forward * pan[:, :, 0] + link @ values[5:8]

    def residuals(self, values: np.ndarray, direction: tuple[int, int]) -> np.ndarray:
        """(2 N,)"""
        seen = self.seen(self.whole(values), direction)
        seen = seen / np.linalg.norm(seen, axis=1, keepdims=True)
        ahead = (seen * self.rays).sum(axis=1)
        aside = np.einsum('nij,nj->ni', self.across, seen)
        sine = np.linalg.norm(aside, axis=1)
        aside *= (np.arctan2(sine, ahead) / np.maximum(sine, 1e-12))[:, None]     # now an angle
        return self.focal * aside.ravel()

    def whiten(self, values: np.ndarray, direction: tuple[int, int]) -> None:
        """From a fit so far, learn how much of the residuals is the joints' and not the corners'.

        A joint that stands a little beside what it says (the steps of its encoder, its play) moves
        all corners of a view together. Both variances are estimated from the residuals, and
        `white_residuals` are then independent and of variance 1.
        """
        now = self.residuals(values, direction)
        at, slopes = self.joints, []
        for axis in (0, 1):
            ends = []
            for step in (1e-5, -1e-5):
                self.joints = at + step * np.eye(2)[axis]
                ends.append(self.residuals(values, direction))
            slopes.append((ends[0] - ends[1]) / 2e-5)
        self.joints = at
        slope, group = np.stack(slopes, axis=1), np.repeat(self.view, 2)
        blocks = [np.flatnonzero(group == view) for view in range(len(self.views))]
        shifts = [np.linalg.lstsq(slope[rows], now[rows], rcond=None)[0] for rows in blocks]
        rest = np.concatenate([now[rows] - slope[rows] @ shift
                               for rows, shift in zip(blocks, shifts)])
        corner = max(1.4826 * float(np.median(np.abs(rest))), 0.01)
        joint = np.clip(1.4826 * np.median(np.abs(shifts), axis=0), 1e-6, 0.02)
        for rows in blocks:
            spread = slope[rows] * joint
            variance = corner ** 2 * np.eye(len(rows)) + spread @ spread.T
            self._white.append((rows, np.linalg.inv(np.linalg.cholesky(variance))))

    def white_residuals(self, values: np.ndarray, direction: tuple[int, int]) -> np.ndarray:
        """(2 N,) see `whiten`."""
        residuals = self.residuals(values, direction)
        for rows, whitening in self._white:
            residuals[rows] = whitening @ residuals[rows]
        return residuals

    def residual_px(self, values: np.ndarray, direction: tuple[int, int]) -> list[np.ndarray]:
        """Per view (N, 2)."""
        pixels, _ = self.camera.project(self.seen(values, direction))
        return [view.pixels - pixels[self.view == index] for index, view in enumerate(self.views)]

    def azimuth(self, values: np.ndarray, covariance: np.ndarray) -> tuple[float, float]:
        """Of the board's centre, in the base turned so that pan is 0; and its deviation."""
        def of(these: np.ndarray) -> float:
            turn, origin = self.board_pose(self.whole(these))
            place = origin + turn @ self.board.centre
            return math.atan2(place[1], place[0])
        middle = of(values)
        slope = np.array([float(wrap_angle(of(values + step) - middle)) / 1e-6
                          for step in 1e-6 * np.eye(len(values))])
        return middle, math.sqrt(max(float(slope @ covariance @ slope), 0.0))

    def upright(self, values: np.ndarray, direction: tuple[int, int]) -> bool:
        """Whether a head is the one of four that look alike which is as people build them.

        Base and camera upside down; looking back, the camera turned round; looking back over the
        top: with other directions each gives the same views. So the camera is taken to be within
        a quarter turn of upright and of straight ahead, and the tilts to be within one of level.
        """
        tilts = direction[1] * (self.joints[:, 1] - values[0])
        return bool(np.median(np.cos(tilts)) > 0 and math.cos(values[1]) > 0.6
                    and math.cos(values[2]) > -0.1 and math.cos(values[3]) > 0.15)

    def start(self, direction: tuple[int, int], tilt_zero: float, roll: float) -> np.ndarray:
        """A guess: the board where the view nearest to the middle sees it."""
        middle = int(np.argmin(np.linalg.norm(self.joints - np.median(self.joints, axis=0),
                                              axis=1)))
        turn, place = board_from_camera(self.views[middle], self.board, self.camera)
        values = np.zeros(14)
        values[0], values[2] = tilt_zero, roll
        optical = self.optical(values, direction)[0][middle]
        rotation, _ = cv2.Rodrigues(optical @ turn)
        values[_BOARD] = [*rotation[:, 0], *(optical @ place)]
        return values if self.position else np.delete(values, np.s_[4:8])


def board_from_camera(view: HeadView, board: Board, camera: CameraModel
                      ) -> tuple[np.ndarray, np.ndarray]:
    """Rotation (3, 3) and origin (3,) of the board in the optical frame of one view.

    Raises:
        CalibrationError: no such pose; corners and board do not belong together.
    """
    rays = camera.unproject(view.pixels)
    ahead = rays[:, 2] > 0.1                            # what a picture on a plane can hold
    if ahead.sum() < 4:
        raise CalibrationError('the board is too far aside in the picture; point the head at it')
    flat = rays[ahead, :2] / rays[ahead, 2:]
    good, rotation, place = cv2.solvePnP(
        board.corners[view.ids][ahead], flat, np.eye(3), None, flags=cv2.SOLVEPNP_IPPE)
    if not good:
        raise CalibrationError(f'these corners are not those of {board.text}')
    turn, _ = cv2.Rodrigues(rotation)
    return np.asarray(turn, dtype=float), place[:, 0]


def search(problem: Problem) -> tuple[Fit, tuple[int, int]]:
    """The best fit over all directions, from many starts."""
    rough = _thinned(problem)
    best: dict[tuple[int, int], tuple[float, np.ndarray]] = {}
    turned = itertools.product((0.0, math.pi / 2, -math.pi / 2, math.pi), (0.0, 1.2, -1.2))
    for zero, roll in turned:                           # the usual head first
        for direction in itertools.product((1, -1), (1, -1)):
            tried = fit(functools.partial(rough.residuals, direction=direction),
                        rough.start(direction, zero, roll), 10, robust=False)
            if rough.upright(tried.values, direction) and tried.cost < best.get(
                    direction, (math.inf, tried.values))[0]:
                best[direction] = tried.cost, tried.values
        costs = sorted(cost for cost, _ in best.values())
        if len(costs) > 1 and costs[0] < min(_ROUGH_PX ** 2, costs[1] / _UNLIKE ** 2):
            break
    if not best:
        raise CalibrationError('no pan-tilt head explains these views; is the camera upright, and '
                               'did the board stand still?')
    ranked = sorted(best, key=lambda direction: best[direction][0])
    first = ranked[0]
    found = _refined(problem, first, best[first][1])
    for second in ranked[1:2]:
        other = _refined(problem, second, best[second][1])
        if problem.upright(other.values, second) and other.cost < _UNLIKE ** 2 * found.cost:
            raise CalibrationError(
                f'joint directions {list(first)} and {list(second)} fit about as well '
                f'({math.sqrt(found.cost):.2f} and {math.sqrt(other.cost):.2f} pixels): move both '
                'joints further')
    return found, first


def _refined(problem: Problem, direction: tuple[int, int], rough: np.ndarray) -> Fit:
    start = np.insert(rough, 4, np.zeros(4)) if problem.position else rough
    return fit(functools.partial(problem.residuals, direction=direction), start)


def _thinned(problem: Problem) -> Problem:
    """With four corners a view, far apart, and no positions: enough for a rough fit."""
    thin = []
    for view in problem.views:
        spread = view.pixels - view.pixels.mean(axis=0)
        keep = sorted({int(np.argmax(spread @ way)) for way in (
            np.array([1, 1]), np.array([1, -1]), np.array([-1, 1]), np.array([-1, -1]))})
        thin.append(HeadView(view.joints_rad, view.ids[keep], view.pixels[keep]))
    middle = int(np.argmin(np.linalg.norm(
        problem.joints - np.median(problem.joints, axis=0), axis=1)))
    thin[middle] = problem.views[middle]
    return Problem(thin, problem.board, problem.camera, position=False)
