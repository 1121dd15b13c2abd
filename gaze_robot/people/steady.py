"""Gazes over time, in the robot's frame: a camera that turns does not move what is looked at.

Every person's heatmap fades into the next one. Before that it is turned with the camera: each of
its cells is a direction, and where that direction was in the picture before, the old map is read.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
import math

import cv2
import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.geometry import base_ray, optical_ray
from gaze_robot.people.records import gaze_target, PersonGaze
from gaze_robot.types import GazeTarget, PanTiltState

FADE_S = 0.2
"""Time constant: people fixate for 0.2 to 0.4 s, and one picture says little."""

KEEP_S = 1.5
"""How long somebody who is not seen any more is still taken to look there."""


@dataclass(frozen=True, eq=False)
class SteadyGaze:
    """What is known of one person's gaze by now."""

    person: PersonGaze
    """Smoothed, as places in the newest picture in which they were seen."""

    target: GazeTarget
    """In the robot's frame, which stays right while the camera turns."""

    stamp_s: float
    """Of that picture."""


class SteadyGazes:
    """Smooths gazes per id."""

    def __init__(self, fade_s: float = FADE_S, keep_s: float = KEEP_S) -> None:
        """Start with nobody; see `FADE_S` and `KEEP_S`."""
        self._fade_s, self._keep_s = fade_s, keep_s
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._known: dict[int, SteadyGaze] = {}
        self._camera: dict[int, tuple[CameraModel, PanTiltState]] = {}

    def __call__(self, people: Iterable[PersonGaze], camera: CameraModel, pose: PanTiltState,
                 stamp_s: float) -> list[SteadyGaze]:
        """Take over what one picture says.

        Args:
            people: of this picture, with ids that tell them apart.
            camera: its lens.
            pose: of the camera at the picture's stamp.
            stamp_s: never before the last one's; a clock that jumps back starts anew.

        Returns:
            Everybody known by now, by id: those not in this picture as they were last.
        """
        if any(stamp_s < known.stamp_s for known in self._known.values()):
            self.reset()
        for person in people:
            person = self._faded(person, camera, pose, stamp_s)
            self._known[person.id] = SteadyGaze(person, gaze_target(person, camera, pose), stamp_s)
            self._camera[person.id] = camera, pose
        self._known = {key: known for key, known in self._known.items()
                       if stamp_s - known.stamp_s <= self._keep_s}
        self._camera = {key: self._camera[key] for key in self._known}
        return [known if known.stamp_s == stamp_s else replace(
            known, target=replace(known.target, in_view=False))
            for _, known in sorted(self._known.items())]

    def _faded(self, person: PersonGaze, camera: CameraModel, pose: PanTiltState, stamp_s: float
               ) -> PersonGaze:
        known = self._known.get(person.id)
        if known is None or known.person.heatmap.shape != person.heatmap.shape:
            return person
        old = math.exp(-(stamp_s - known.stamp_s) / self._fade_s)
        before, seen = turned_map(known.person.heatmap, self._camera[person.id], (camera, pose))
        heatmap = np.where(seen, old * before + (1 - old) * person.heatmap, person.heatmap)
        inside = person.in_frame
        if inside is not None and known.person.in_frame is not None:
            inside = old * known.person.in_frame + (1 - old) * inside
        return with_heatmap(person, heatmap.astype(np.float32), inside)


def turned_map(heatmap: np.ndarray, before: tuple[CameraModel, PanTiltState],
               now: tuple[CameraModel, PanTiltState]) -> tuple[np.ndarray, np.ndarray]:
    """A map over one picture as it lies over another of a camera that has turned.

    Args:
        heatmap: (h, w) over the picture before.
        before, now: lens and pose of both pictures.

    Returns:
        (h, w) float32 over the picture now; and (h, w) bool, where the one before had shown it.
    """
    height, width = heatmap.shape
    if before == now:
        return heatmap, np.ones(heatmap.shape, bool)
    (camera, pose), (camera_now, pose_now) = before, now
    across = (np.arange(width) + 0.5) * camera_now.width / width
    down = (np.arange(height) + 0.5) * camera_now.height / height
    pixels = np.stack(np.meshgrid(across, down), axis=-1)
    rays = base_ray(camera_now.unproject(pixels), pose_now.pan_rad, pose_now.tilt_rad)
    place, seen = camera.project(optical_ray(rays, pose.pan_rad, pose.tilt_rad))
    cell = place / (camera.width, camera.height) * (width, height) - 0.5
    cell = np.where(seen[..., None], cell, -2.0).astype(np.float32)
    moved = cv2.remap(heatmap.astype(np.float32), cell[..., 0], cell[..., 1], cv2.INTER_LINEAR,
                      borderMode=cv2.BORDER_REPLICATE)
    return np.where(seen, moved, 0.0).astype(np.float32), seen


def with_heatmap(person: PersonGaze, heatmap: np.ndarray, in_frame: float | None) -> PersonGaze:
    """The same person with another heatmap, and what follows from it."""
    row, column = np.unravel_index(int(heatmap.argmax()), heatmap.shape)
    said = float(person.heatmap.max()) * (1.0 if person.in_frame is None else person.in_frame)
    trust = min(person.confidence / max(said, 1e-9), 1.0)       # below 1: the model has a ceiling
    confidence = trust * float(heatmap.max()) * (1.0 if in_frame is None else in_frame)
    return replace(
        person, heatmap=heatmap, in_frame=in_frame, confidence=min(max(confidence, 0.0), 1.0),
        gaze_point=((float(column) + 0.5) / heatmap.shape[1],
                    (float(row) + 0.5) / heatmap.shape[0]))
