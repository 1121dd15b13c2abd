"""Heads as angles around the robot, so that they stay where they are when the camera turns."""

from collections.abc import Iterable
import dataclasses
import math

import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.geometry import (
    base_ray,
    direction_from_pan_tilt,
    optical_ray,
    pan_tilt_from_direction,
)
from gaze_robot.people.face_pose import sight_axes
from gaze_robot.people.records import Box, Head, PersonGaze
from gaze_robot.types import PanTiltState

_ASIDE = 0.75
"""How far from the eye's axis a head may be, in half fields of view, to be surely seen whole."""


def ray_of(place: tuple[float, float], camera: CameraModel, pose: PanTiltState) -> np.ndarray:
    """Base-frame unit direction of a place in the picture, shares of it."""
    ray = base_ray(camera.unproject(np.multiply(place, (camera.width, camera.height))),
                   pose.pan_rad, pose.tilt_rad)
    return ray / np.linalg.norm(ray)


def as_angles(heads: Iterable[Head], camera: CameraModel, pose: PanTiltState) -> list[Head]:
    """The same heads with boxes (right, down, ...) in radians: minus pan, and tilt.

    Sizes are those in the picture over its focal lengths: what comes back has the same size where
    it is seen under the same angle.
    """
    out = []
    for head in heads:
        pan, tilt = (float(angle) for angle in pan_tilt_from_direction(
            ray_of(head.centre, camera, pose)))
        wide = (head.box[2] - head.box[0]) * camera.width / camera.fx / 2
        tall = (head.box[3] - head.box[1]) * camera.height / camera.fy / 2
        out.append(dataclasses.replace(
            head, box=(-pan - wide, tilt - tall, -pan + wide, tilt + tall)))
    return out


def as_seen(heads: Iterable[Head], camera: CameraModel, pose: PanTiltState) -> list[Head]:
    """The way back, for those whose middle is in the picture."""
    out = []
    for head in heads:
        right, down = head.centre
        pixel, seen = camera.project(optical_ray(direction_from_pan_tilt(-right, down),
                                                 pose.pan_rad, pose.tilt_rad))
        if seen:
            out.append(dataclasses.replace(head, box=_around(
                pixel, ((head.box[2] - head.box[0]) * camera.fx,
                        (head.box[3] - head.box[1]) * camera.fy), camera)))
    return out


def turned_towards(person: PersonGaze, camera: CameraModel, pose: PanTiltState
                   ) -> np.ndarray | None:
    """Where to look for what somebody looks at outside the picture.

    As far from the head along their gaze, as it crosses the camera's, as still shows the head;
    less for who looks nearly at the camera or away from it.

    Returns:
        Base-frame unit direction; None where nothing tells which way they look.
    """
    if person.facing is None or person.head_box is None:
        return None
    yaw, pitch = person.facing.yaw_rad, person.facing.pitch_rad
    left, top, right, bottom = person.head_box
    head = camera.unproject(np.multiply(((left + right) / 2, (top + bottom) / 2),
                                        (camera.width, camera.height)))
    axes = sight_axes(head)
    across = math.sin(yaw) * math.cos(pitch) * axes[0] + math.sin(pitch) * axes[1]
    half = math.atan(min(camera.width / camera.fx, camera.height / camera.fy) / 2)
    angle = _ASIDE * half * min(1.0, 2 * float(np.linalg.norm(across)))
    way = axes[2] * math.cos(angle) + across * (math.sin(angle) / max(
        float(np.linalg.norm(across)), 1e-9))
    return np.asarray(base_ray(way, pose.pan_rad, pose.tilt_rad))


def _around(pixel: np.ndarray, size: tuple[float, float], camera: CameraModel) -> Box:
    x, y = (float(value) for value in pixel / (camera.width, camera.height))
    wide, tall = size[0] / camera.width / 2, size[1] / camera.height / 2
    return x - wide, y - tall, x + wide, y + tall
