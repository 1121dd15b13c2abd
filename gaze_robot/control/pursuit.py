"""Pursuit of things that perception finds again in every picture, once they are seen to move."""

import numpy as np

from gaze_robot.control.controller import Controller
from gaze_robot.types import GazeTarget, PanTiltCommand, PanTiltState

THINGS = ('search', 'people')
"""Sources whose targets are things and may move; salience is of places."""

WITHIN_RAD = 0.17
"""Further from the gaze, things are not placed well enough to tell their speed."""


def pursue(controller: Controller | None, target: GazeTarget | None, error_rad: float | None,
           pose: PanTiltState, dt_s: float) -> tuple[np.ndarray, PanTiltCommand, str] | None:
    """Watch a target, one call per picture, and take over while it moves.

    Args:
        controller: to watch with; None: it is busy with something else.
        target: the winning one, if any.
        error_rad: between it and the gaze; None: it is not in view.
        pose: of the head when the picture was taken.
        dt_s: seconds since the previous picture.

    Returns:
        (direction of the target, command, mode) while it moves; None while it rests, is unseen, or
        is no thing.
    """
    if controller is None:
        return None
    if (target is None or error_rad is None or error_rad > WITHIN_RAD
            or target.source not in THINGS):
        controller.unseen(dt_s)
        return None
    command, mode = controller.step(target.direction, pose, dt_s)
    return (target.direction, command, mode) if controller.moving else None
