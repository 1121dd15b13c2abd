"""What crosses the borders of this package: heads, and where their owners look.

Coordinates are shares of the picture: x grows to the right, y down, (0, 0) is the outer corner of
the top-left pixel and (1, 1) that of the bottom-right one, so that a resized picture has the same
ones. Pixels are these times width and height.
"""

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import Any, Protocol

import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.errors import ImageError
from gaze_robot.geometry import base_ray
from gaze_robot.types import GazeTarget, PanTiltState

Box = tuple[float, float, float, float]
"""(x_min, y_min, x_max, y_max)."""


@dataclass(frozen=True)
class Facing:
    """Which way a face points, as the camera sees it, and how well that is known."""

    yaw_rad: float
    """From the way to the camera; positive: to the right in the picture, +-pi: away."""

    pitch_rad: float
    """Positive: down."""

    spread_rad: float
    """Half width of the cone that holds the truth in about two of three cases."""

    eyes: bool = False
    """Whether it is the gaze itself: of a face alone, the eyes may look elsewhere."""

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.yaw_rad, self.pitch_rad))) or not (
                0 < self.spread_rad < math.pi):
            raise ValueError(f'angles must be finite and the spread positive: {self}')


@dataclass(frozen=True)
class Head:
    """A head in one picture."""

    box: Box
    """Head with hair, not the face alone: what gaze models are trained with."""

    confidence: float = 1.0
    """In [0, 1]."""

    id: int = 0
    """The same for the same head while it is followed; counted from 1, in no other way known."""

    facing: Facing | None = None
    """Where the detector can tell."""

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, self.box)) or not (
                self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise ImageError('a head is (x_min, y_min, x_max, y_max) of some size, got '
                             f'{self.box}')
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f'confidence lies in [0, 1], got {self.confidence}')

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) of its middle."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


@dataclass(frozen=True, eq=False)
class Gazes:
    """What a gaze model says of the heads of one picture."""

    heatmaps: np.ndarray
    """(P, h, w) float32 in [0, 1], over the whole picture."""

    in_frame: np.ndarray | None
    """(P,) float32: probability of the target being inside the picture; None: it cannot tell."""

    ceiling: float = 1.0
    """The highest confidence that this model deserves."""

    things: tuple[Box, ...] = ()
    """What somebody may look at, where the model finds such things itself."""

    def __post_init__(self) -> None:
        if self.heatmaps.ndim != 3 or not np.isfinite(self.heatmaps).all():
            raise ValueError('heatmaps are (people, height, width) and finite, got '
                             f'{self.heatmaps.shape}')
        if self.in_frame is not None and self.in_frame.shape != self.heatmaps.shape[:1]:
            raise ValueError(f'{len(self.heatmaps)} people and {self.in_frame.shape} of in_frame')


class GazeModel(Protocol):
    """Says where people look."""

    source: str
    """Its name, as results carry it."""

    def __call__(self, image: np.ndarray, heads: Sequence[Head | None]) -> Gazes:
        """Judge one picture, (h, w, 3) uint8 RGB, for each of its heads; None: whoever is there.

        Raises:
            ImageError: this model needs a head that is there, and None was given.
        """


@dataclass(frozen=True, eq=False)
class PersonGaze:
    """Where one person looks, judged from one picture."""

    id: int
    head_box: Box | None
    """None: the picture was asked as a whole."""

    gaze_point: tuple[float, float]
    """(x, y), the middle of the heatmap's largest cell."""

    in_frame: float | None
    """Probability that the target is inside the picture; None where the model cannot tell."""

    confidence: float
    """The heatmap's largest value, at most the model's ceiling; 0 where it is surely outside."""

    source: str
    """Which model; coarse ones have 'coarse' in their name."""

    heatmap: np.ndarray
    """(h, w) float32 in [0, 1]."""

    facing: Facing | None = None

    def row(self) -> dict[str, Any]:
        """What JSON holds of it."""
        return {'id': self.id, 'head_box': self.head_box, 'gaze_point': self.gaze_point,
                'in_frame': self.in_frame, 'confidence': self.confidence, 'source': self.source}


def people_of(gazes: Gazes, heads: Sequence[Head | None], source: str) -> list[PersonGaze]:
    """One record per head of what a model says.

    Raises:
        ValueError: other heads than the model was asked for.
    """
    if len(gazes.heatmaps) != len(heads):
        raise ValueError(f'{len(heads)} heads and {len(gazes.heatmaps)} heatmaps')
    out = []
    for i, head in enumerate(heads):
        heatmap = gazes.heatmaps[i]
        row, column = np.unravel_index(int(heatmap.argmax()), heatmap.shape)
        inside = None if gazes.in_frame is None else float(gazes.in_frame[i])
        confidence = min(float(heatmap.max()), gazes.ceiling) * (1.0 if inside is None else inside)
        out.append(PersonGaze(
            id=head.id if head else 0, head_box=head.box if head else None,
            gaze_point=((float(column) + 0.5) / heatmap.shape[1],
                        (float(row) + 0.5) / heatmap.shape[0]),
            in_frame=inside, confidence=min(max(confidence, 0.0), 1.0), source=source,
            heatmap=heatmap, facing=head.facing if head else None))
    return out


def gaze_target(person: PersonGaze, camera: CameraModel, pose: PanTiltState) -> GazeTarget:
    """The direction in which the robot sees what a person looks at, base frame.

    Args:
        person: judged from a picture of this camera.
        camera: its lens.
        pose: of the head at the picture's stamp.
    """
    pixel = np.multiply(person.gaze_point, (camera.width, camera.height))
    direction = base_ray(camera.unproject(pixel), pose.pan_rad, pose.tilt_rad)
    return GazeTarget(direction / np.linalg.norm(direction), person.confidence,
                      person.in_frame is None or person.in_frame >= 0.5, 'people')
