"""The world of made-up rooms: no files, a new room whenever asked."""

import numpy as np

from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.base import SearchTarget
from gaze_robot_sim.scenes.rooms import make_room
from gaze_robot_sim.scenes.targets import sample_room_target


class ProceduralWorld:
    """Rooms from a seed; implements the World protocol."""

    name = 'procedural'

    def __init__(self, seed: int = 0, width: int = 1024) -> None:
        self._width = width
        self.next_scene(np.random.default_rng(seed))

    def panorama(self, t_s: float = 0.0) -> Panorama:
        """The room, which does not change with time."""
        return self._panorama

    def sample_target(self, rng: np.random.Generator, t_s: float = 0.0) -> SearchTarget:
        """A thing of the room or a distinctive patch of it."""
        return sample_room_target(self.room, self._panorama, rng)

    def next_scene(self, rng: np.random.Generator) -> None:
        """Make another room."""
        self.room = make_room(rng, self._width)
        self._panorama = Panorama(self.room.image)

    def close(self) -> None:
        """Nothing to release."""
