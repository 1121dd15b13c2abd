"""Which joint angles point an axis of the head at a place. No ROS.

An axis of any frame that turns with the head is a camera of its own: one at the frame's origin
that looks along the axis. `HeadGeometry` knows how to turn a camera to a place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

from gaze_robot.errors import CommandError, ConfigError
from gaze_robot.geometry import angle_between, base_from_optical, pan_tilt_from_direction
from gaze_robot.head_geometry import HeadGeometry, rotation_about, rotation_from_rpy
from gaze_robot.nodes._frames import BASE, CAMERA, OPTICAL, PAN, TILT
from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState

TURNING = (TILT, CAMERA, OPTICAL)
"""Frames that turn with both joints."""


@dataclass(frozen=True)
class Aim:
    """An axis of the head to be pointed at places."""

    camera: HeadGeometry
    """The head, were the axis where its camera looks."""

    def joints(self, place: np.ndarray, pose: PanTiltState, limits: PanTiltLimits
               ) -> PanTiltCommand:
        """Joint angles at which the axis points at a place.

        Args:
            place: (3,) base frame, metres.
            pose: of several turns that do, the nearest to this one inside the limits is taken.
            limits: of the joints.

        Returns:
            Not clipped: what no joints can reach lies outside the limits, or errs.
        """
        pan, tilt = pan_tilt_from_direction(self.camera.direction_to(place))
        goal = self.camera.joints(PanTiltCommand(float(pan), float(tilt)))
        turns = [goal.pan_rad + math.tau * turn for turn in (-2, -1, 0, 1, 2)]
        low, high = limits.min_position[0], limits.max_position[0]
        inside = [turn for turn in turns if low <= turn <= high] or [goal.pan_rad]
        nearest = min(inside, key=lambda turn: abs(turn - pose.pan_rad))
        return PanTiltCommand(nearest, goal.tilt_rad)

    def error(self, place: np.ndarray, pose: PanTiltState | PanTiltCommand) -> float:
        """Angle between the axis and the line from its frame to the place, radians."""
        turn, origin = self.camera.optical(pose.pan_rad, pose.tilt_rad)
        return float(angle_between(turn[:, 2], place - origin))


def aim_of(head: HeadGeometry, frame: str = '', axis: Sequence[float] = (0.0, 0.0, 0.0)) -> Aim:
    """The aim of a PointHead goal.

    Args:
        head: where axes and camera are.
        frame: pointing_frame, without prefix; '' is the camera's optical frame.
        axis: pointing_axis, of any length; all 0 is straight ahead: z of the optical frame, x of
            the others.

    Raises:
        CommandError: a frame that does not turn with the head, an axis that is not finite or
            points more than 80 degrees aside.
    """
    frame = frame or OPTICAL
    if frame not in TURNING:
        raise CommandError(f'pointing_frame is one of {", ".join(TURNING)}, got {frame!r}')
    vector = np.asarray(axis, dtype=float)
    length = float(np.linalg.norm(vector))
    if not math.isfinite(length):
        raise CommandError(f'pointing_axis must be finite, got {vector}')
    if length == 0.0:
        vector = np.array([0.0, 0.0, 1.0]) if frame == OPTICAL else np.array([1.0, 0.0, 0.0])
    turn, origin = _in_tilt_link(head, frame)
    x, y, z = turn @ vector / np.linalg.norm(vector)
    rpy = (0.0, -math.asin(min(max(float(z), -1.0), 1.0)), math.atan2(y, x))
    try:
        return Aim(HeadGeometry(head.tilt_axis_forward, head.tilt_axis_roll, rpy,
                                (float(origin[0]), float(origin[1]), float(origin[2]))))
    except ConfigError as error:
        raise CommandError(f'pointing_axis {list(axis)} of {frame} points too far aside to be '
                           'pointed by turning this head') from error


def place_in_base(head: HeadGeometry, frame: str, place: Sequence[float], pose: PanTiltState
                  ) -> np.ndarray:
    """A place in a frame of the head, without prefix, as (3,) in base_link ('' means that).

    Raises:
        CommandError: another frame, a place that is not finite, or the origin of base_link.
    """
    point = np.asarray(place, dtype=float)
    if not np.all(np.isfinite(point)):
        raise CommandError(f'a place to point at must be finite, got {point}')
    pan = rotation_about('z', pose.pan_rad)
    if frame in (BASE, PAN, ''):
        turn, origin = (pan if frame == PAN else np.eye(3)), np.zeros(3)
    elif frame in TURNING:
        tilted, at = head.tilt_link(pose.pan_rad, pose.tilt_rad)
        inner, offset = _in_tilt_link(head, frame)
        turn, origin = tilted @ inner, at + tilted @ offset
    else:
        raise CommandError(f'a place in frame {frame!r} cannot be pointed at; transform it to one '
                           f'of {", ".join((BASE, PAN, *TURNING))}')
    found = origin + turn @ point
    if np.linalg.norm(found) < 1e-6:
        raise CommandError('the place to point at is the origin of base_link: no direction')
    return found


def _in_tilt_link(head: HeadGeometry, frame: str) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and origin of a turning frame in tilt_link."""
    if frame == TILT:
        return np.eye(3), np.zeros(3)
    mount = rotation_from_rpy(*head.camera_rpy)
    return (mount if frame == CAMERA else mount @ base_from_optical(0.0, 0.0)), \
        np.array(head.camera_xyz)
