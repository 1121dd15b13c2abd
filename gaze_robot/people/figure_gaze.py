"""Where drawn figures look: a cone around each one's gaze, and the things in it."""

from collections.abc import Sequence
import math

import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.people.coarse import CoarseGaze, given, SIDE
from gaze_robot.people.figure_heads import FigureFinder
from gaze_robot.people.records import Box, Gazes, Head

CEILING = 0.9
"""The highest confidence of this estimate."""

_BACKGROUND = 0.05
"""What a place without a thing is worth, of 1 in the middle of a thing."""


class FigureGaze:
    """A gaze model: see `GazeModel`. For the simulator's figures only.

    As the coarse estimate, but gaze and things are found by `FigureFinder`, in the same pass in
    which it finds heads where they are its own.
    """

    source = 'figures'

    def __init__(self, finder: FigureFinder, hfov_rad: float = math.radians(60), seed: int = 0
                 ) -> None:
        """See `CoarseGaze`; `finder` may also be the one that finds the heads."""
        self._finder, self._cones = finder, CoarseGaze(hfov_rad, seed)

    def use_camera(self, camera: CameraModel) -> None:
        """See `CoarseGaze.use_camera`."""
        self._cones.use_camera(camera)

    def __call__(self, image: np.ndarray, heads: Sequence[Head | None]) -> Gazes:
        """See `GazeModel`."""
        people = self._finder.facing(image, given(heads))
        things = tuple(self._finder.look(image).things)
        worth = _BACKGROUND + (1 - _BACKGROUND) * _bells(things)
        return self._cones.weighed(image, people, worth, things, CEILING)


def _bells(boxes: Sequence[Box]) -> np.ndarray:
    """(SIDE, SIDE), 1 at the middle of each box, a fifth at its edges."""
    step = (np.arange(SIDE) + 0.5) / SIDE
    out = np.zeros((SIDE, SIDE))
    for left, top, right, bottom in boxes:
        across = ((step - (left + right) / 2) / max(right - left, 2 / SIDE)) ** 2
        down = ((step - (top + bottom) / 2) / max(bottom - top, 2 / SIDE)) ** 2
        out = np.maximum(out, np.exp(-6.4 * np.add.outer(down, across)))
    return out
