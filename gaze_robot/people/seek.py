"""Where to look for people while nobody is there to follow: back, then level, then all around."""

import math

import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.gaze_target.company import Gazed
from gaze_robot.geometry import (
    angle_between,
    direction_from_pan_tilt,
    pan_tilt_from_direction,
    wrap_angle,
)
from gaze_robot.types import GazeTarget, PanTiltState

FAINT = 0.1
"""Claim and confidence of a place where somebody may be: little, but more than nothing."""

_GONE_S, _GIVEN_UP_S = 0.5, 1.5
"""After how long without anybody the eye looks back at where a head was, and after how long around
instead."""

_STEPS = (0, 1, -1, -2, 2, 3, -3)
"""Looks around, in their order, as multiples of `_STEP` to the left of where it begins."""
_STEP = 0.55
"""From one look to the next, in fields of view: neighbours share nearly half, so that nobody is
cut by the edge of both."""

_THERE_RAD = math.radians(6.0)
_GLANCE_S, _PATIENCE_S = 0.3, 1.2
"""How long the eye rests on each, and when it goes on from one that it does not reach."""


class Seeker:
    """Remembers where somebody was, and says where to look when nobody is."""

    def __init__(self) -> None:
        """Start with nobody ever seen."""
        self._seen: tuple[np.ndarray, float] | None = None
        """Where a head was seen last, base frame, and when."""
        self._around: tuple[float, int, float, float | None] | None = None
        """Pan where looking around began, how many looks ago, when this one was chosen, and when
        the eye got there."""

    def found(self, head: np.ndarray, now_s: float) -> None:
        """Somebody is there, with a head in this direction, (3,) of the base frame."""
        self._seen, self._around = (head, now_s), None

    def look(self, camera: CameraModel, pose: PanTiltState, now_s: float) -> Gazed | None:
        """Nobody is: where to look, with id 0; None while that is not yet sure."""
        if self._seen is None:
            self._seen = direction_from_pan_tilt(pose.pan_rad, 0.0), now_s - _GIVEN_UP_S
        direction, seen_s = self._seen
        if now_s - seen_s < _GONE_S:
            return None
        if now_s - seen_s > _GIVEN_UP_S:
            direction = self._look_around(camera, pose, now_s)
        return Gazed(GazeTarget(direction, FAINT, False, 'people'), FAINT, now_s)

    def _look_around(self, camera: CameraModel, pose: PanTiltState, now_s: float) -> np.ndarray:
        if self._around is None:
            assert self._seen is not None
            self._around = float(pan_tilt_from_direction(self._seen[0])[0]), 0, now_s, None
        begin, count, since_s, there_s = self._around
        step = _STEP * 2 * math.atan(camera.width / 2 / camera.fx)
        direction = direction_from_pan_tilt(
            wrap_angle(begin + step * _STEPS[count % len(_STEPS)]), 0.0)
        gaze = direction_from_pan_tilt(pose.pan_rad, pose.tilt_rad)
        if there_s is None and angle_between(gaze, direction) < _THERE_RAD:
            there_s = now_s
        rested = there_s is not None and now_s - there_s >= _GLANCE_S
        if rested or now_s - since_s >= _PATIENCE_S:
            self._around = begin, count + 1, now_s, None
        else:
            self._around = begin, count, since_s, there_s
        return np.asarray(direction)
