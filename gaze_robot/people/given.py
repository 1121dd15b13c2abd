"""Heads that somebody else finds, such as a detector in another node."""

from collections import deque
from collections.abc import Sequence
import threading

import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.geometry import base_ray, optical_ray
from gaze_robot.people.records import Box, Head
from gaze_robot.types import Frame, PanTiltState

_LATE_S = 0.5
"""What is older than this beside a picture is not used."""

_PICTURES = 60
"""Poses of so many pictures are known: detections come later than the pictures they are of."""

_SAME_S = 1e-4

Found = Sequence[tuple[Box, float]]
"""Boxes, and how sure each is."""


class GivenHeads:
    """A `HeadFinder` that repeats what it was told, turned with the camera since; things, too."""

    def __init__(self) -> None:
        """Start with nobody."""
        self._lock = threading.Lock()
        self._told: deque[tuple[float, Found, Found]] = deque(maxlen=8)
        self._poses: deque[tuple[float, CameraModel, PanTiltState]] = deque(maxlen=_PICTURES)

    def put(self, stamp_s: float, heads: Found, things: Found = ()) -> None:
        """Take what was found in the picture of this stamp, from any thread.

        Args:
            stamp_s: of that picture.
            heads: boxes in its pixels, and how sure each is in [0, 1].
            things: the same of what else there is, and may be looked at.
        """
        with self._lock:
            self._told.append((stamp_s, tuple(heads), tuple(things)))

    def now(self, frame: Frame, pose: PanTiltState) -> None:
        """Say of which picture the next call is."""
        if self._poses and frame.stamp_s < self._poses[-1][0]:
            self._poses.clear()
        self._poses.append((frame.stamp_s, frame.camera, pose))

    def __call__(self, image: np.ndarray) -> list[Head]:
        """The newest heads that are not of a later picture, where they should be in this one."""
        return [Head(box, min(max(sure, 0.0), 1.0)) for box, sure in self._here(1)]

    def things(self) -> tuple[Box, ...]:
        """The same of things; shares of the picture."""
        return tuple(box for box, _ in self._here(2))

    def _here(self, which: int) -> list[tuple[Box, float]]:
        if not self._poses:
            return []
        now_s, camera, pose = self._poses[-1]
        with self._lock:
            told = max((row for row in self._told if row[0] <= now_s + _SAME_S),
                       key=lambda row: row[0], default=None)
        if told is None or now_s - told[0] > _LATE_S:
            return []
        _, lens, then = min(self._poses, key=lambda row: abs(row[0] - told[0]))
        here, found = abs(told[0] - now_s) <= _SAME_S, told[1] if which == 1 else told[2]
        out = []
        for pixels, sure in found:
            box = (pixels[0] / lens.width, pixels[1] / lens.height, pixels[2] / lens.width,
                   pixels[3] / lens.height)
            moved = box if here else carried(box, (lens, then), (camera, pose))
            if moved is not None and moved[0] < moved[2] and moved[1] < moved[3]:
                out.append((moved, sure))
        return out


def carried(box: Box, before: tuple[CameraModel, PanTiltState],
            now: tuple[CameraModel, PanTiltState]) -> Box | None:
    """Where a box of one picture is in another of a camera that has turned; None: outside it."""
    (lens, then), (camera, pose) = before, now
    middle = np.array([(box[0] + box[2]) / 2 * lens.width, (box[1] + box[3]) / 2 * lens.height])
    ray = base_ray(lens.unproject(middle), then.pan_rad, then.tilt_rad)
    pixel, seen = camera.project(optical_ray(ray, pose.pan_rad, pose.tilt_rad))
    if not seen:
        return None
    x, y = pixel / (camera.width, camera.height)
    wide, tall = (box[2] - box[0]) / 2, (box[3] - box[1]) / 2
    return float(x - wide), float(y - tall), float(x + wide), float(y + tall)
