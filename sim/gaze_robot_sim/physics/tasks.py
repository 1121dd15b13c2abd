"""The five tasks, by name; two of them are here."""

import math

import numpy as np

from gaze_robot.errors import ConfigError
from gaze_robot_sim.physics import furniture
from gaze_robot_sim.physics.carrying import Bucket, Read, Shelf
from gaze_robot_sim.physics.furniture import Furniture, spread
from gaze_robot_sim.physics.task import (
    approach,
    cylindrical,
    draw_colours,
    draw_radius,
    Goal,
    HOVER,
    PLACE,
    State,
    Task,
)

_DRAWN = 3000
"""Tasks drawn to find what can be asked for; there are 60 instructions at most."""


def _alike(rng: np.random.Generator) -> list[tuple[str, str]]:
    """Colours and shapes of four: the wanted one, its colour, its shape, another colour."""
    colours, shapes = draw_colours(rng, 3), ('round', 'square')
    shape = int(rng.integers(2))
    return [(colours[0], shapes[shape]), (colours[0], shapes[1 - shape]),
            (colours[1], shapes[shape]), (colours[2], shapes[int(rng.integers(2))])]


class Press(Task):
    """Press the named button; others have its colour or its shape."""

    name = 'press'
    time_limit_s = 8.0

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self.looks = _alike(rng)
        self.wanted = (self.looks[0],)
        self.instruction = f'press the {" ".join(self.looks[0])} button'
        self.touchable = {'button0'}

    def furnish(self, furniture: Furniture, eye_height: float) -> None:
        """Four buttons; the first is the one."""
        rng = furniture.rng
        self.places = spread(rng, 4, math.radians(28.0))
        for number, (look, azimuth) in enumerate(zip(self.looks, self.places)):
            furniture.button(f'button{number}', *look, azimuth, draw_radius(rng))

    def goal(self, world: State) -> Goal:
        """Above it, then down."""
        azimuth, radius, _ = cylindrical(world.position('button0'))
        down = 0.02 if not _depth(world, 'button0') > 0.8 else HOVER
        return approach(world, azimuth, radius, (down, 0.11), PLACE, 0.0)

    def aim(self, world: State) -> np.ndarray:
        """The button."""
        return world.position('button0')

    def judge(self, world: State) -> str:
        """Whether one is down."""
        if _depth(world, 'button0') > 0.7:
            return 'success'
        return 'wrong' if any(_depth(world, f'button{n}') > 0.7 for n in (1, 2, 3)) else ''


class Wipe(Task):
    """Wipe nine specks off the named patch; others have its colour or its shape."""

    name = 'wipe'
    time_limit_s = 10.0
    sponge = True
    _LOW = 0.018
    _SPONGE = (0.014, 0.07)
    """Half of it, along and across the sweep."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self.looks = _alike(rng)
        self.wanted = (self.looks[0],)
        self.instruction = f'wipe the {" ".join(self.looks[0])} patch'
        self.touchable = {'table'}

    def furnish(self, furniture: Furniture, eye_height: float) -> None:
        """Four patches; the first is the one."""
        rng = furniture.rng
        self.places = spread(rng, 4, math.radians(30.0))
        self._specks = [furniture.patch(f'patch{number}', *look, azimuth, draw_radius(rng))
                        for number, (look, azimuth) in enumerate(zip(self.looks, self.places))]

    def clean(self, world: State, patch: int) -> float:
        """Share of a patch's specks that are gone."""
        gone = [world.model.geom(name).rgba[3] == 0 for name in self._specks[patch]]
        return float(np.mean(gone))

    def goal(self, world: State) -> Goal:
        """Down on its right side, across to the left, up."""
        azimuth, radius, _ = cylindrical(world.position('patch0'))
        tip = cylindrical(world.tip)
        reach = (furniture.PATCH + 0.025) / radius
        along = tip[0] - azimuth
        if self.clean(world, 0) == 1.0:
            return Goal(tip[0], tip[1], HOVER, 0.0)
        low = tip[2] < self._LOW + 0.014 and abs(tip[1] - radius) < 0.04
        if low and -reach - 0.05 < along < reach - 0.01:
            return Goal(azimuth + reach + 0.04, radius, self._LOW, 0.0)
        return approach(world, azimuth - reach, radius, (self._LOW, 0.10), PLACE, 0.0)

    def aim(self, world: State) -> np.ndarray:
        """The patch."""
        return world.position('patch0')

    def judge(self, world: State) -> str:
        """Whether one is clean."""
        if self.clean(world, 0) > 0.95:
            return 'success'
        return 'wrong' if any(self.clean(world, n) > 0.5 for n in (1, 2, 3)) else ''

    def advance(self, world: State) -> None:
        """What the sponge has touched is gone."""
        tip = world.tip
        if tip[2] > self._LOW + 0.014:
            return
        azimuth = math.atan2(tip[1], tip[0])
        out = np.array([math.cos(azimuth), math.sin(azimuth)])
        across = np.array([-out[1], out[0]])
        for names in self._specks:
            for name in names:
                away = world.data.geom(name).xpos[:2] - tip[:2]
                if abs(away @ across) < self._SPONGE[0] and abs(away @ out) < self._SPONGE[1]:
                    world.model.geom(name).rgba[3] = 0.0


KINDS: dict[str, type[Task]] = {kind.name: kind for kind in (Press, Bucket, Wipe, Shelf, Read)}


def task_of(name: str, rng: np.random.Generator) -> Task:
    """A task by its name. Raises ConfigError for any other name."""
    if name not in KINDS:
        raise ConfigError(f'there is no task {name!r}; known: {", ".join(KINDS)}')
    return KINDS[name](rng)


def instructions(name: str) -> dict[str, list[float]]:
    """Everything that may be asked for in a task, and its embedding."""
    kind = KINDS[name]
    some = (kind(np.random.default_rng([0, number])) for number in range(_DRAWN))
    return {one.instruction: one.embedding.tolist() for one in some}


def _depth(world: State, button: str) -> float:
    """How far down a button is, 0 to 1."""
    return -float(world.data.joint(button).qpos[0]) / furniture.BUTTON_TRAVEL
