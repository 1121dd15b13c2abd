"""The frames from base_link to the camera's optical frame, as numbers: no ROS.

base_link -> pan_link -> tilt_link -> camera_link -> camera_optical_frame (REP 103, REP 105).
All origins coincide: the core takes the two axes and the optical centre to meet in one point.
"""

from dataclasses import dataclass
import math

from gaze_robot.types import PanTiltState

BASE, PAN, TILT, CAMERA = 'base_link', 'pan_link', 'tilt_link', 'camera_link'
OPTICAL = 'camera_optical_frame'


@dataclass(frozen=True)
class Turn:
    """How a child frame is turned in its parent."""

    parent: str
    child: str
    quaternion: tuple[float, float, float, float]
    """(x, y, z, w)."""


def moving_frames(pose: PanTiltState, prefix: str = '') -> list[Turn]:
    """The two that turn with the head: pan about +z (left), tilt about +y (down)."""
    pan, tilt = pose.pan_rad / 2, pose.tilt_rad / 2
    return [Turn(prefix + BASE, prefix + PAN, (0.0, 0.0, math.sin(pan), math.cos(pan))),
            Turn(prefix + PAN, prefix + TILT, (0.0, math.sin(tilt), 0.0, math.cos(tilt)))]


def fixed_frames(prefix: str = '') -> list[Turn]:
    """The two that do not: x forward to z forward in the optical frame."""
    return [Turn(prefix + TILT, prefix + CAMERA, (0.0, 0.0, 0.0, 1.0)),
            Turn(prefix + CAMERA, prefix + OPTICAL, (-0.5, 0.5, -0.5, 0.5))]
