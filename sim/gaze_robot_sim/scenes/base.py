"""What every world offers: numbered scenes; and a scene: its looks and things to look for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gaze_robot.errors import WorldError
from gaze_robot.types import Exemplar
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.overlay import Sprite


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


class Scene(Protocol):
    """One place seen from one point, which looks the same however the head turns.

    Reading a scene changes nothing about it, so any number of eyes may share one.
    """

    name: str
    """For people: 'room 3' or the file's name."""

    duration_s: float
    """0.0: it does not change with time; otherwise it starts again after this long."""

    def panorama(self, t_s: float = 0.0) -> Panorama:
        """What is seen all around at a time; the same object as long as nothing changed.

        Raises:
            WorldError: the file behind it cannot be read, or a scene that changes is asked for a
                time that is negative or not finite.
        """

    def sample_target(self, rng: np.random.Generator, t_s: float = 0.0) -> SearchTarget:
        """Something to look for at a time; depends on the scene, the generator and the time only.

        Raises:
            WorldError: nothing in this scene stands out.
        """

    def sprites(self, t_s: float = 0.0) -> Sequence[Sprite]:
        """What moves in front of the panorama, farthest first; () in a plain scene."""


class World(Protocol):
    """A numbered collection of scenes: made-up rooms, the pictures of a folder, one video.

    Worlds remember scenes to save time but have no other state. They pickle as what opened them,
    and are equal when the same opened them.
    """

    name: str
    """For people: 'procedural' or the file's name."""

    count: int | None
    """How many scenes there are; None: without end."""

    def scene(self, index: int) -> Scene:
        """A scene by its number, 0 or more; after the last one the first again.

        Equal numbers give equal scenes.

        Raises:
            WorldError: the file behind it cannot be used, or the number is negative.
        """

    def close(self) -> None:
        """Release files and threads; calling twice does no harm."""
