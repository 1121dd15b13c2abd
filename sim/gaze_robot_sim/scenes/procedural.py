"""The world of made-up rooms: no files, as many rooms as asked for."""

import numpy as np

from gaze_robot.errors import WorldError
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.base import Scene
from gaze_robot_sim.scenes.rooms import make_room
from gaze_robot_sim.scenes.still import RememberingWorld, StillScene
from gaze_robot_sim.scenes.targets import RoomPlaces

_HANDFUL = 11
"""Pictures: a room takes two to five, with its copies."""


class ProceduralWorld(RememberingWorld):
    """Rooms from a seed; implements the World protocol. Scene k depends on (seed, k) only."""

    def __init__(self, seed: int = 0, count: int | None = None, width: int = 1024,
                 kept_bytes: int | None = None) -> None:
        """Choose the rooms; each is made when it is asked for.

        Args:
            seed: of the rooms, 0 or more.
            count: how many rooms there are; None: without end.
            width: of their pictures, pixels.
            kept_bytes: memory for the rooms used last, which need not be made again; None: 512 MiB
                for a number of rooms, a handful of rooms without end, of which old ones do not
                come back (those in use stay anyhow).

        Raises:
            WorldError: a negative seed, or no rooms.
        """
        if seed < 0 or (count is not None and count < 1):
            raise WorldError(f'rooms have a seed of 0 or more, and there is at least one; got '
                             f'seed {seed}, count {count}')
        picture = 3 * width * width // 2
        kept = _HANDFUL * picture if kept_bytes is None and count is None else kept_bytes
        super().__init__('procedural', count, (seed, count, width, kept_bytes), kept)
        self._seed, self._width = seed, width

    def _make(self, index: int) -> Scene:
        room = make_room(np.random.default_rng([self._seed, index]), self._width)
        panorama = Panorama(room.image)
        return StillScene(f'room {index}', panorama, RoomPlaces(room, panorama).find,
                          (self._seed, index))
