"""How a camera sits on its two axes: from joint angles to where it is and looks, and back.

    base_link     the pan axis is its z; its origin is level with the tilt axis
    pan_link      turned by pan about z
    tilt_link     `tilt_axis_forward` along pan_link's x, rolled by `tilt_axis_roll`, then turned
                  by tilt about y
    camera_link   at `camera_xyz`, turned by `camera_rpy`, in tilt_link; x forward
    optical       the same place; z forward

The rest of the package thinks in a camera's own pan and tilt, which are those of the joints only
where everything here is 0. numpy only.
"""

from dataclasses import dataclass, replace
import functools
import math

import numpy as np

from gaze_robot.errors import ConfigError
from gaze_robot.geometry import (
    base_from_optical,
    direction_from_pan_tilt,
    pan_tilt_from_direction,
    wrap_angle,
)
from gaze_robot.types import PanTiltCommand, PanTiltState

_CAMERA_FROM_OPTICAL = base_from_optical(0.0, 0.0)
_STEP_S = 1e-3


@dataclass(frozen=True)
class HeadGeometry:
    """Where axes and camera are; all 0: both axes and the optical centre meet in one point."""

    tilt_axis_forward: float = 0.0
    """From the pan axis to the tilt axis, metres, positive in front of it."""

    tilt_axis_roll: float = 0.0
    """How much the tilt axis, y, is turned about x out of square with the pan axis, radians."""

    camera_rpy: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Roll, pitch and yaw of camera_link in tilt_link, radians, applied in this order about fixed
    axes (as URDF's rpy)."""

    camera_xyz: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """The optical centre in tilt_link, metres."""

    def __post_init__(self) -> None:
        values = (self.tilt_axis_forward, self.tilt_axis_roll, *self.camera_rpy, *self.camera_xyz)
        if len(values) != 8 or not all(math.isfinite(value) for value in values):
            raise ConfigError(f'the geometry of a head is 8 finite numbers, got {self}')
        if abs(self.tilt_axis_roll) > 1.0 or math.hypot(*self.camera_rpy[1:]) > 1.4:
            raise ConfigError('a tilt axis rolled by more than 57 degrees, or a camera that looks '
                              f'more than 80 degrees aside, is no pan-tilt head: {self}')

    @functools.cached_property
    def plain(self) -> bool:
        """Whether the camera's angles are the joints' and nothing is offset."""
        return self == HeadGeometry()

    @functools.cached_property
    def _mount(self) -> np.ndarray:
        return rotation_from_rpy(*self.camera_rpy)

    def tilt_link(self, pan_rad: float, tilt_rad: float) -> tuple[np.ndarray, np.ndarray]:
        """Rotation (3, 3) and origin (3,) of tilt_link in base_link."""
        pan = rotation_about('z', pan_rad)
        turn = pan @ rotation_about('x', self.tilt_axis_roll) @ rotation_about('y', tilt_rad)
        return turn, self.tilt_axis_forward * pan[:, 0]

    def optical(self, pan_rad: float, tilt_rad: float) -> tuple[np.ndarray, np.ndarray]:
        """Rotation (3, 3) and origin (3,), metres, of the optical frame in base_link.

        Args:
            pan_rad, tilt_rad: joint angles.
        """
        turn, origin = self.tilt_link(pan_rad, tilt_rad)
        return (turn @ self._mount @ _CAMERA_FROM_OPTICAL,
                origin + turn @ np.array(self.camera_xyz))

    def view(self, joints: PanTiltState) -> tuple[PanTiltState, float]:
        """A camera's own pan and tilt with their speeds, and its roll.

        The optical frame is that of `geometry.base_from_optical` at this pan and tilt, turned by
        the roll about its z (clockwise as the camera sees it), radians.
        """
        if self.plain:
            return joints, 0.0
        pan, tilt, roll = self._angles(joints.pan_rad, joints.tilt_rad)
        ahead, behind = (np.array(self._angles(
            joints.pan_rad + step * joints.pan_rad_s, joints.tilt_rad + step * joints.tilt_rad_s))
            for step in (_STEP_S, -_STEP_S))
        speed = wrap_angle(ahead - behind) / (2 * _STEP_S)
        return replace(joints, pan_rad=pan, tilt_rad=tilt, pan_rad_s=float(speed[0]),
                       tilt_rad_s=float(speed[1])), roll

    def joints(self, camera: PanTiltCommand) -> PanTiltCommand:
        """Joint angles and speeds at which the camera looks as a command for it says.

        What no joints can reach becomes the nearest that they can.
        """
        if self.plain:
            return camera
        pan, tilt = self._joint_angles(camera.pan_rad, camera.tilt_rad)
        ahead, behind = (np.array(self._joint_angles(
            camera.pan_rad + step * camera.pan_rad_s, camera.tilt_rad + step * camera.tilt_rad_s))
            for step in (_STEP_S, -_STEP_S))
        speed = wrap_angle(ahead - behind) / (2 * _STEP_S)
        return PanTiltCommand(pan, tilt, float(speed[0]), float(speed[1]))

    def direction_to(self, point: np.ndarray) -> np.ndarray:
        """(3,) unit direction, base frame, in which the camera must look to have a point ahead.

        Args:
            point: (3,) metres, base frame. The optical centre moves as the head turns; a few
                rounds find where it is once the head has turned there.
        """
        point = np.asarray(point, dtype=float)
        direction = point / np.linalg.norm(point)
        for _ in range(0 if self.plain else 8):
            pan, tilt = pan_tilt_from_direction(direction)
            _, centre = self.optical(*self._joint_angles(float(pan), float(tilt)))
            sight = point - centre
            if np.linalg.norm(sight) < 1e-3:            # inside the camera: no direction
                break
            direction = sight / np.linalg.norm(sight)
        return direction

    def _angles(self, pan_rad: float, tilt_rad: float) -> tuple[float, float, float]:
        turn, _ = self.optical(pan_rad, tilt_rad)
        pan, tilt = (float(angle) for angle in pan_tilt_from_direction(turn[:, 2]))
        level = base_from_optical(pan, tilt)
        roll = math.atan2(float(turn[:, 0] @ level[:, 1]), float(turn[:, 0] @ level[:, 0]))
        return pan_rad + float(wrap_angle(pan - pan_rad)), tilt, roll

    def _joint_angles(self, pan_rad: float, tilt_rad: float) -> tuple[float, float]:
        """The tilt that gives the height, then the pan that is left."""
        wanted = direction_from_pan_tilt(pan_rad, tilt_rad)
        x, y, z = self._mount[:, 0]                     # where the camera looks, in tilt_link
        sin, cos = math.sin(self.tilt_axis_roll), math.cos(self.tilt_axis_roll)
        height = (float(wanted[2]) - sin * y) / cos / math.hypot(x, z)
        tilt = math.acos(min(max(height, -1.0), 1.0)) - math.atan2(x, z)
        turn, _ = self.tilt_link(0.0, tilt)
        looks = turn @ self._mount[:, 0]
        pan = math.atan2(wanted[1], wanted[0]) - math.atan2(looks[1], looks[0])
        return pan_rad + float(wrap_angle(pan - pan_rad)), tilt


def rotation_about(axis: str, angle_rad: float) -> np.ndarray:
    """(3, 3), about 'x', 'y' or 'z', counter-clockwise seen from the axis' tip."""
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    first, second = {'x': (1, 2), 'y': (2, 0), 'z': (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = cos
    matrix[second, first], matrix[first, second] = sin, -sin
    return matrix


def rotation_from_rpy(roll: float, pitch: float, yaw: float) -> np.ndarray:
    """(3, 3): roll about x, then pitch about y, then yaw about z, all fixed axes."""
    return rotation_about('z', yaw) @ rotation_about('y', pitch) @ rotation_about('x', roll)


def rpy_from_rotation(matrix: np.ndarray) -> tuple[float, float, float]:
    """The inverse of `rotation_from_rpy`; pitch is within 90 degrees."""
    return (math.atan2(matrix[2, 1], matrix[2, 2]),
            math.atan2(-matrix[2, 0], math.hypot(matrix[0, 0], matrix[1, 0])),
            math.atan2(matrix[1, 0], matrix[0, 0]))
