"""An eye that moves inside the picture of a camera that stands still: how far it can look."""

import math

import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.drivers.kinematic import advance
from gaze_robot.geometry import (
    base_ray,
    direction_from_pan_tilt,
    optical_ray,
    pan_tilt_from_direction,
)
from gaze_robot.types import PanTiltLimits, PanTiltState


def picture_limits(camera: CameraModel, limits: PanTiltLimits) -> PanTiltLimits:
    """Limits of an electronic eye: the picture's edges, with the head's speeds."""
    middle_u, middle_v = camera.cx, camera.cy
    edges = camera.unproject(np.array([[0.0, middle_v], [camera.width, middle_v],
                                       [middle_u, 0.0], [middle_u, camera.height]]))
    pan, tilt = pan_tilt_from_direction(base_ray(edges, 0.0, 0.0))
    return PanTiltLimits((float(pan[1]), float(tilt[2])), (float(pan[0]), float(tilt[3])),
                         limits.max_velocity, limits.max_acceleration)


def nearest_visible(camera: CameraModel, pan_tilt_rad: np.ndarray) -> tuple[float, float]:
    """The pose (pan, tilt) whose line of sight meets the picture nearest to where this one's does.

    A picture's corners are nearer in pan and tilt than its edges' middles taken together.
    """
    ray = optical_ray(direction_from_pan_tilt(*pan_tilt_rad), 0.0, 0.0)
    side, edge = math.hypot(ray[0], ray[1]), 0.999 * camera.fold_angle_rad
    if beyond := math.atan2(side, ray[2]) > edge:
        ray = np.array([*(ray[:2] * math.sin(edge) / max(side, 1e-12)), math.cos(edge)])
    pixel, _ = camera.project(ray)
    inside = np.clip(pixel, 0.0, (camera.width, camera.height))
    if not beyond and np.array_equal(pixel, inside):
        return float(pan_tilt_rad[0]), float(pan_tilt_rad[1])
    pan, tilt = pan_tilt_from_direction(base_ray(camera.unproject(inside), 0.0, 0.0))
    return float(pan), float(tilt)


def moved(pose: PanTiltState, goal: np.ndarray, camera: CameraModel, limits: PanTiltLimits,
          dt_s: float, stamp_s: float) -> PanTiltState:
    """The eye's pose after it moved towards a goal (2,), like a head but inside the picture."""
    position, velocity = advance(
        np.array([pose.pan_rad, pose.tilt_rad]), np.array([pose.pan_rad_s, pose.tilt_rad_s]),
        np.array(nearest_visible(camera, goal)), limits,
        min(dt_s, 0.1) if dt_s > 0 else 1.0 / 30.0)
    pan, tilt = nearest_visible(camera, position)
    return PanTiltState(pan, tilt, float(velocity[0]), float(velocity[1]), stamp_s)
