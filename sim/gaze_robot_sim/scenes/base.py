"""What every world offers: a panorama at a time, things to look for, a next scene."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gaze_robot.errors import WorldError
from gaze_robot.types import Exemplar
from gaze_robot_sim.render import Panorama


@dataclass(frozen=True, eq=False)
class SearchTarget:
    """One thing to look for, with the truth about where it is."""

    direction: np.ndarray
    """(3,) unit vector to its centre, base frame."""

    width_rad: float
    """Side of the square that holds it, as an angle."""

    exemplar: Exemplar
    """The picture shown to whoever looks for it."""

    name: str

    def __post_init__(self) -> None:
        if self.direction.shape != (3,) or not np.all(np.isfinite(self.direction)):
            raise WorldError(f'a target direction is 3 finite numbers, got {self.direction}')


class World(Protocol):
    """A place seen from one point, which looks the same however the head turns."""

    name: str
    """For people: 'procedural' or the file's name."""

    def panorama(self, t_s: float = 0.0) -> Panorama:
        """What is seen all around at a time; the same object as long as nothing changed.

        Raises:
            WorldError: the file behind it cannot be read.
        """

    def sample_target(self, rng: np.random.Generator, t_s: float = 0.0) -> SearchTarget:
        """Something to look for in the scene at a time.

        Raises:
            WorldError: nothing in this scene stands out.
        """

    def next_scene(self, rng: np.random.Generator) -> None:
        """Go on to a new room or the next picture; a world of one scene stays as it is."""

    def close(self) -> None:
        """Release files and threads; calling twice does no harm."""
