"""What worlds without motion share: scenes with a bank of places, and a memory of scenes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gaze_robot.errors import WorldError
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.base import Scene, SearchTarget
from gaze_robot_sim.scenes.cache import Recent
from gaze_robot_sim.scenes.overlay import Sprite
from gaze_robot_sim.scenes.targets import Likeness, Place

BANK = 32
"""Places to look for per scene: finding one takes some 20 ms, showing it again 0.1 ms."""
PLACES_TRIED = 8
"""Before a scene is said to offer nothing; a search in vain takes up to a second."""
KEPT_BYTES = 512 << 20
"""Memory for the scenes of one world that were used last, unless it is told another."""


class StillScene:
    """A panorama that does not change with time; implements the Scene protocol."""

    duration_s = 0.0

    def __init__(self, name: str, panorama: Panorama,
                 find_place: Callable[[np.random.Generator], Place], seed: Sequence[int]) -> None:
        """Make a scene.

        Args:
            find_place: finds a place that stands out; raises WorldError where there is none.
            seed: place j is found with a generator of [*seed, j], whoever asks and whenever.
        """
        self.name = name
        self._panorama = panorama
        self._find_place = find_place
        self._seed = tuple(seed)
        self._places: dict[int, Likeness | WorldError] = {}

    def panorama(self, t_s: float = 0.0) -> Panorama:
        """The picture, at any time."""
        return self._panorama

    def sample_target(self, rng: np.random.Generator, t_s: float = 0.0) -> SearchTarget:
        """One of the places that stand out, shown anew.

        Raises:
            WorldError: nothing in the picture stands out.
        """
        first = int(rng.integers(BANK))
        for index in range(first, first + min(PLACES_TRIED, BANK)):
            place = self._place(index % BANK)
            if isinstance(place, Likeness):
                return place.show(rng)
        assert isinstance(place, WorldError)
        raise WorldError(str(place))

    def sprites(self, t_s: float = 0.0) -> Sequence[Sprite]:
        """Nothing moves."""
        return ()

    @property
    def nbytes(self) -> int:
        """Memory of the picture and the places."""
        return self._panorama.nbytes + BANK * 3 * Likeness.SIDE ** 2

    def _place(self, index: int) -> Likeness | WorldError:
        """A place of the bank, or why it could not be found."""
        place = self._places.get(index)
        if place is None:
            try:
                place = Likeness(self._panorama, self._find_place(
                    np.random.default_rng([*self._seed, index])))
            except WorldError as error:
                place = WorldError(f'{self.name}: {error}')
            self._places[index] = place
        return place


class RememberingWorld:
    """The common half of every world: its memory of scenes, and pickling as what opened it."""

    def __init__(self, name: str, count: int | None, opened_by: tuple[Any, ...],
                 kept_bytes: int | None = None) -> None:
        """Make a world.

        Args:
            opened_by: the arguments of the class that make an equal world.
            kept_bytes: memory for the scenes used last; None: KEPT_BYTES.
        """
        self.name, self.count = name, count
        self._opened_by = opened_by
        self._recent: Recent[Any] = Recent(KEPT_BYTES if kept_bytes is None else kept_bytes)

    def scene(self, index: int) -> Scene:
        """A scene by its number; see the World protocol."""
        if index < 0:
            raise WorldError(f'scenes are numbered from 0, got {index}')
        index = int(index) if self.count is None else int(index) % self.count
        return self._recent.get_or_make(index, lambda: self._make(index))

    def close(self) -> None:
        """Forget the scenes."""
        self._recent.clear()

    def _make(self, index: int) -> Scene:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.__reduce__() == self.__reduce__()

    def __hash__(self) -> int:
        return hash(self.__reduce__())

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), self._opened_by
