"""From views of one fixed board while a head moves: its zeros, directions, axes and camera.

What a camera can and cannot tell: the head looks straight ahead where its optical axis is square
to the pan axis, so the tilt's zero and the camera's pitch are one thing, called zero here. Where
pan is 0 is a matter of what the robot calls ahead: it follows from where the board was put. How
high the base is, and where along its own direction the tilt axis begins, nothing shows or needs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
import functools
import math

import numpy as np

from gaze_robot.calibration.board import Board
from gaze_robot.calibration.head_problem import HeadView as HeadView
from gaze_robot.calibration.head_problem import LENGTHS, NAMES, Problem, search
from gaze_robot.calibration.least_squares import fit
from gaze_robot.camera import CameraModel
from gaze_robot.errors import CalibrationError
from gaze_robot.geometry import wrap_angle
from gaze_robot.head_geometry import (
    HeadGeometry,
    rotation_about,
    rotation_from_rpy,
    rpy_from_rotation,
)

LEAST_VIEWS = 8
_LEAST_RANGE_RAD = math.radians(10.0)
_MOST_RMS_PX = 1.5
_MOST_DEVIATION_RAD = math.radians(0.05)
_MOST_DEVIATION_M = 0.005
_BAD_VIEW = 4.0
"""A view this many times worse than the median is left out."""


@dataclass(frozen=True, eq=False)
class HeadFit:
    """How a head is made, relative to what its joint states say."""

    geometry: HeadGeometry
    zero_rad: tuple[float, float]
    """What joint states say where the head looks straight ahead."""

    direction: tuple[int, int]
    """-1 where a joint turns against REP 103."""

    board_in_base: tuple[np.ndarray, np.ndarray]
    """Rotation (3, 3) and origin (3,), metres, of the board."""

    deviation: dict[str, float]
    """Standard deviations by `NAMES`, rad and m; 'pan zero' that of the board's azimuth."""

    views: list[HeadView]
    """Those that were used."""

    left_out: int
    """Views that fit none of the others: the head was not where its joint states said."""

    residual_px: list[np.ndarray]
    """Per view (N, 2): where a corner was minus where it should have been."""

    @property
    def rms_px(self) -> float:
        """Of both coordinates of all corners together."""
        return float(np.sqrt(np.mean(np.concatenate(self.residual_px) ** 2)))


def fit_head(views: Sequence[HeadView], board: Board, camera: CameraModel,
             board_pan_rad: float | None = None, position: bool = True) -> HeadFit:
    """Find the head behind some views.

    Args:
        views: from poses that differ in pan and in tilt.
        board: which stood still.
        camera: calibrated.
        board_pan_rad: azimuth of the board's centre as the robot's base has it, 0 if it stands
            straight ahead; None: the pan keeps its zero.
        position: whether to find where axes and camera are, too; otherwise all in one point.

    Raises:
        CalibrationError: the views do not tell, or do not fit together; the text says what to do.
    """
    _check_poses(views)
    problem = Problem(views, board, camera, position)
    rough, direction = search(problem)
    good = _fitting(problem.residual_px(problem.whole(rough.values), direction))
    if not all(good):
        kept = [view for view, fine in zip(views, good) if fine]
        _check_poses(kept)
        problem = Problem(kept, board, camera, position)
        rough = fit(functools.partial(problem.residuals, direction=direction), rough.values)
    problem.whiten(rough.values, direction)
    found = fit(functools.partial(problem.white_residuals, direction=direction), rough.values)
    covariance = found.covariance(np.repeat(problem.view, 2))
    values = problem.whole(found.values)
    residual_px = problem.residual_px(values, direction)
    rms_px = float(np.sqrt(np.mean(np.concatenate(residual_px) ** 2)))
    if rms_px > _MOST_RMS_PX:
        raise CalibrationError(
            f'the corners lie {rms_px:.1f} pixels off any head that could be (at most '
            f'{_MOST_RMS_PX:g}): did the board move, is the camera calibrated, are pictures and '
            'joint states stamped by one clock, is the size of the squares right?')
    azimuth, azimuth_deviation = problem.azimuth(found.values, covariance)
    pan_zero = 0.0 if board_pan_rad is None else direction[0] * float(
        wrap_angle(azimuth - board_pan_rad))
    deviation = dict(zip(problem.names, np.sqrt(np.diag(covariance))))
    deviation['pan zero'] = azimuth_deviation
    _check_deviations(deviation)
    turn, origin = problem.board_pose(values)
    back = rotation_about('z', -direction[0] * pan_zero)
    return HeadFit(_geometry(values), (pan_zero, float(wrap_angle(values[0]))), direction,
                   (back @ turn, back @ origin), deviation, list(problem.views),
                   len(views) - len(problem.views), residual_px)


def _fitting(residual_px: Sequence[np.ndarray]) -> list[bool]:
    """Which views are to be kept: those not far worse than the usual one."""
    errors = np.array([np.sqrt((rest ** 2).mean()) for rest in residual_px])
    return [bool(error <= max(_BAD_VIEW * float(np.median(errors)), 0.5)) for error in errors]


def as_mount(found: HeadFit) -> HeadGeometry:
    """The same head with its zeros as they are: the tilt's goes into the camera's mount.

    Raises:
        CalibrationError: a joint turns against REP 103, which no mount can undo.
    """
    if found.direction != (1, 1):
        raise CalibrationError(
            f'the joints turn in directions {list(found.direction)} of REP 103 (left, down); put '
            "that right in the robot's own description, or let the zeros be calibrated")
    back = rotation_about('y', -found.zero_rad[1])
    mount = found.geometry
    turned = back @ rotation_from_rpy(*mount.camera_rpy)
    xyz = back @ np.array(mount.camera_xyz)
    return HeadGeometry(mount.tilt_axis_forward, mount.tilt_axis_roll,
                        rpy_from_rotation(turned), (float(xyz[0]), float(xyz[1]), float(xyz[2])))


def _geometry(values: np.ndarray) -> HeadGeometry:
    _, axis_roll, roll, yaw, forward, x, y, z = (float(value) for value in values[:8])
    return HeadGeometry(forward, axis_roll, (roll, 0.0, yaw), (x, y, z))


def _check_poses(views: Sequence[HeadView]) -> None:
    if len(views) < LEAST_VIEWS:
        raise CalibrationError(f'only {len(views)} views of the board; {LEAST_VIEWS} at least, 20 '
                               'are better: does the board stay in the picture, well lit, as the '
                               'head moves?')
    angles = np.array([view.joints_rad for view in views])
    for axis, name in enumerate(('pan', 'tilt')):
        spread = float(np.ptp(angles[:, axis]))
        if spread < _LEAST_RANGE_RAD:
            raise CalibrationError(
                f'over the views the {name} moved by {math.degrees(spread):.1f} degrees only; '
                f'{math.degrees(_LEAST_RANGE_RAD):.0f} at least: does the joint move, and does '
                'the board stay in view?')


def _check_deviations(deviation: dict[str, float]) -> None:
    for name, value in deviation.items():
        length = name in NAMES[LENGTHS]
        if value <= (_MOST_DEVIATION_M if length else _MOST_DEVIATION_RAD):
            continue
        amount = f'{1000 * value:.1f} mm' if length else f'{math.degrees(value):.3f} degrees'
        raise CalibrationError(
            f'the {name} is known to {amount} only (standard deviation): '
            + ('put the board nearer, move the head further, or leave positions out '
               '(--no-position)' if length else 'move the head further, and take more views'))
