"""Five tasks: where things lie, what the hand and the eye should do now, and when it is over.

What to do follows from the state of the world alone, not from what was done before: whoever sees
enough needs no memory, and who drops something picks it up again.
"""

from dataclasses import dataclass
import math
from typing import ClassVar, Protocol

import mujoco
import numpy as np

from gaze_robot.errors import ConfigError
from gaze_robot_sim.bcrl.things import COLOURS
from gaze_robot_sim.physics import furniture
from gaze_robot_sim.physics.furniture import Furniture, spread
from gaze_robot_sim.physics.textures import MARKS

OPEN = 0.11
"""Of the gripper, metres."""
HOVER = 0.17
"""Height of the tip on its way, metres."""
_WORDS = (*COLOURS, 'round', 'square', 'cube', 'cylinder')
TASK_NUMBERS = 1 + 2 * len(_WORDS)
"""Of a task's embedding."""

_GRASP, _PLACE, _FUNNEL = 0.014, 0.022, 0.05
"""How far beside a thing, or a place, the hand may go down, and over what distance it does."""
_CALM_M_S = 0.05
_NEAR = math.radians(22.0)
"""Between neighbours on the table."""
_FLOOR = -0.05
"""What is below has fallen off the table, metres."""


@dataclass(frozen=True)
class Goal:
    """Where the tip of the hand should go next, straight down, and how far open it should be."""

    azimuth: float
    radius: float
    z: float
    opening: float


class State(Protocol):
    """What a task asks of the world; points are (3,) metres, see `furniture`."""

    model: mujoco.MjModel
    data: mujoco.MjData

    @property
    def tip(self) -> np.ndarray:
        """(3,) between the fingertips."""

    @property
    def opening(self) -> float:
        """Of the gripper, metres."""

    def position(self, body: str) -> np.ndarray:
        """(3,) of a body."""

    def speed(self, body: str) -> float:
        """Of a loose body, m/s."""

    def holds(self, body: str) -> bool:
        """Whether two parts of the arm touch it."""


class Task:
    """One episode's task; a subclass says which."""

    name: ClassVar[str]
    time_limit_s: ClassVar[float] = 10.0
    sponge: ClassVar[bool] = False
    """Whether the hand holds one instead of its fingers being of use."""

    needs_gripper: ClassVar[bool] = False
    instruction: str
    """In words."""

    wanted: tuple[tuple[str, str], ...] = ()
    """(colour, shape) of what the instruction names, in its order; '' where it says none."""

    touchable: set[str]
    """Names of geoms and bodies that the arm may touch."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Draw everything but what `furnish` draws."""
        self.touchable = set()

    @property
    def embedding(self) -> np.ndarray:
        """(TASK_NUMBERS,) float32: 1; then colour and shape of each of two things, one-hot."""
        row = np.zeros((2, len(_WORDS)), np.float32)
        for number, looks in enumerate(self.wanted):
            for word in looks:
                if word:
                    row[number, _WORDS.index(word)] = 1.0
        return np.concatenate([np.ones(1, np.float32), row.ravel()])

    def furnish(self, furniture: Furniture, eye_height: float) -> None:
        """Put things on the table."""
        raise NotImplementedError

    def goal(self, world: State) -> Goal:
        """Where the hand should go now."""
        raise NotImplementedError

    def aim(self, world: State) -> np.ndarray:
        """(3,) the point that matters now."""
        raise NotImplementedError

    def stage(self, world: State) -> int:
        """0 at first, 1 once the first thing is in the hand."""
        return 0

    def judge(self, world: State) -> str:
        """'' as long as it goes on, 'success', or what went wrong."""
        raise NotImplementedError

    def advance(self, world: State) -> None:
        """What the arm does to things, besides physics."""


class Press(Task):
    """Press the named button; others have its colour or its shape."""

    name = 'press'
    time_limit_s = 8.0
    _SHAPES = ('round', 'square')

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        colours = _colours(rng, 3)
        shape = int(rng.integers(2))
        self.looks = [(colours[0], self._SHAPES[shape]), (colours[0], self._SHAPES[1 - shape]),
                      (colours[1], self._SHAPES[shape]),
                      (colours[2], self._SHAPES[int(rng.integers(2))])]
        self.wanted = (self.looks[0],)
        self.instruction = f'press the {" ".join(self.looks[0])} button'
        self.touchable = {'button0'}

    def furnish(self, furniture: Furniture, eye_height: float) -> None:
        """Four buttons; the first is the one."""
        rng = furniture.rng
        self.places = spread(rng, 4, math.radians(28.0))
        for number, (look, azimuth) in enumerate(zip(self.looks, self.places)):
            furniture.button(f'button{number}', *look, azimuth, _radius(rng))

    def goal(self, world: State) -> Goal:
        """Above it, then down."""
        azimuth, radius, _ = cylindrical(world.position('button0'))
        down = 0.02 if not _depth(world, 'button0') > 0.8 else HOVER
        return _approach(world, azimuth, radius, (down, 0.11), _PLACE, 0.0)

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
    _SHAPES = ('round', 'square')
    _LOW = 0.018
    _SPONGE = (0.014, 0.07)
    """Half of it, along and across the sweep."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        colours = _colours(rng, 3)
        shape = int(rng.integers(2))
        self.looks = [(colours[0], self._SHAPES[shape]), (colours[0], self._SHAPES[1 - shape]),
                      (colours[1], self._SHAPES[shape]),
                      (colours[2], self._SHAPES[int(rng.integers(2))])]
        self.wanted = (self.looks[0],)
        self.instruction = f'wipe the {" ".join(self.looks[0])} patch'
        self.touchable = {'table'}

    def furnish(self, furniture: Furniture, eye_height: float) -> None:
        """Four patches; the first is the one."""
        rng = furniture.rng
        self.places = spread(rng, 4, math.radians(30.0))
        self._specks = [furniture.patch(f'patch{number}', *look, azimuth, _radius(rng))
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
        return _approach(world, azimuth - reach, radius, (self._LOW, 0.10), _PLACE, 0.0)

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


class _PickAndPlace(Task):
    """Take a thing somewhere."""

    needs_gripper = True
    time_limit_s = 15.0
    carry = HOVER

    def target(self, world: State) -> tuple[float, float, float]:
        """Where the tip should let go: azimuth, radius, z."""
        raise NotImplementedError

    def placed(self, world: State) -> bool:
        """Whether the thing is where it belongs, still held or not."""
        raise NotImplementedError

    def misplaced(self, world: State) -> bool:
        """Whether it is where something else belongs."""
        return False

    def stage(self, world: State) -> int:
        """1: in the hand, or already there."""
        return int(world.holds('thing') or self.placed(world))

    def goal(self, world: State) -> Goal:
        """To the thing, down, close; up, across, open, away."""
        tip, held = cylindrical(world.tip), world.holds('thing')
        if self.placed(world):
            return Goal(tip[0], tip[1], tip[2] if held else HOVER + 0.05, OPEN)
        if not held:
            azimuth, radius, z = cylindrical(world.position('thing'))
            near = _apart(tip, azimuth, radius) < _GRASP + 0.008 and tip[2] < z + 0.014
            return _approach(world, azimuth, radius, (z, HOVER), _GRASP, 0.0 if near else OPEN)
        azimuth, radius, z = self.target(world)
        return _approach(world, azimuth, radius, (z, self.carry), _PLACE, 0.0)

    def aim(self, world: State) -> np.ndarray:
        """The thing; once it is held, where it belongs."""
        return world.position('place0' if self.stage(world) else 'thing')

    def judge(self, world: State) -> str:
        """At rest where it belongs, and let go."""
        thing = world.position('thing')
        if thing[2] < _FLOOR:
            return 'dropped'
        calm = world.speed('thing') < _CALM_M_S and not world.holds('thing')
        if self.placed(world):
            away = np.linalg.norm(world.tip - thing) > 0.05
            return 'success' if calm and away else ''
        return 'wrong' if calm and self.misplaced(world) else ''

    def _others(self, furniture: Furniture, looks: list[tuple[str, str]], places: list[float]
                ) -> None:
        for number, (look, azimuth) in enumerate(zip(looks, places)):
            name = 'thing' if number == 0 else f'other{number}'
            furniture.thing(name, *look, azimuth, _radius(furniture.rng))
        self.touchable = {'thing'}


def _three_things(rng: np.random.Generator) -> list[tuple[str, str]]:
    """The one; one of its colour; one of its shape."""
    colours, shape = _colours(rng, 2), int(rng.integers(2))
    shapes = ('cube', 'cylinder')
    return [(colours[0], shapes[shape]), (colours[0], shapes[1 - shape]),
            (colours[1], shapes[shape])]


class Bucket(_PickAndPlace):
    """Put the named thing in the named bucket, which no view shows together with it."""

    name = 'bucket'
    apart = (math.radians(150.0), math.radians(195.0))
    """Between the thing and its bucket."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self.looks, self.buckets = _three_things(rng), _colours(rng, 2)
        self.wanted = (self.looks[0], (self.buckets[0], ''))
        self.instruction = f'put the {" ".join(self.looks[0])} in the {self.buckets[0]} bucket'

    def furnish(self, furniture: Furniture, eye_height: float) -> None:
        """Three things and two buckets."""
        rng = furniture.rng
        places = _far_apart(rng, self.apart, 3)
        furniture.bucket('place0', self.buckets[0], places[1], _radius(rng))
        furniture.bucket('place1', self.buckets[1], places[2], _radius(rng))
        self._others(furniture, self.looks, [places[0], *places[3:]])

    def target(self, world: State) -> tuple[float, float, float]:
        """Above its bucket."""
        azimuth, radius, _ = cylindrical(world.position('place0'))
        return azimuth, radius, furniture.BUCKET_HEIGHT + 0.035

    def goal(self, world: State) -> Goal:
        """As ever, but the thing is let go above the bucket."""
        goal, tip = super().goal(world), cylindrical(world.tip)
        azimuth, radius, z = self.target(world)
        over = _apart(tip, azimuth, radius) < _PLACE + 0.008 and tip[2] < z + 0.014
        return Goal(azimuth, radius, z, OPEN) if over and world.holds('thing') else goal

    def placed(self, world: State) -> bool:
        """Inside, or falling in."""
        return _inside(world, 'place0') and not world.holds('thing')

    def misplaced(self, world: State) -> bool:
        """Inside the other one."""
        return _inside(world, 'place1')


class Shelf(_PickAndPlace):
    """Set the named thing on the named shelf."""

    name = 'shelf'
    apart = (math.radians(60.0), math.radians(170.0))

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self.looks, self.shelves = _three_things(rng), _colours(rng, 2)
        self.heights = rng.uniform(0.09, 0.12, 2).tolist()
        self.carry = max(self.heights) + furniture.THING + 0.06
        self.wanted = (self.looks[0], (self.shelves[0], ''))
        self.instruction = f'set the {" ".join(self.looks[0])} on the {self.shelves[0]} shelf'

    def furnish(self, furniture: Furniture, eye_height: float) -> None:
        """Three things and two shelves."""
        rng = furniture.rng
        places = _far_apart(rng, self.apart, 3)
        for number, azimuth in enumerate(places[1:3]):
            furniture.shelf(f'place{number}', self.shelves[number], azimuth, _radius(rng),
                            self.heights[number])
        self._others(furniture, self.looks, [places[0], *places[3:]])

    def target(self, world: State) -> tuple[float, float, float]:
        """Just above the plate, a little to its front."""
        azimuth, radius, _ = cylindrical(world.position('place0'))
        return azimuth, radius - 0.01, self.heights[0] + furniture.THING + 0.003

    def placed(self, world: State) -> bool:
        """On the plate."""
        return self._on(world, 0)

    def misplaced(self, world: State) -> bool:
        """On the other one."""
        return self._on(world, 1)

    def aim(self, world: State) -> np.ndarray:
        """The thing; once it is held, the plate."""
        point = super().aim(world)
        return point + [0, 0, self.heights[0]] if self.stage(world) else point

    def _on(self, world: State, number: int) -> bool:
        local = _local(world, f'place{number}')
        height = self.heights[number] + furniture.THING
        return (abs(local[0]) < furniture.SHELF[0] and abs(local[1]) < furniture.SHELF[1]
                and height - 0.006 < local[2] < height + 0.008)


class Read(Bucket):
    """Put the cube in the left or the right bucket, as the mark on the sign says: stripes across
    mean left. Only a fovea resolves them.
    """

    name = 'read'
    _DECIDED = math.radians(40.0)
    """Further to a side than this the hand is on its way to a bucket."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self.says = int(rng.integers(2))
        self.buckets = _colours(rng, 1) * 2
        self.looks = [('red', 'cube'), ('green', 'cylinder')]
        self.wanted = (self.looks[0],)
        self.instruction = 'put the red cube in the bucket that the sign says'

    def furnish(self, furniture: Furniture, eye_height: float) -> None:
        """A bucket on each side, the sign and the things between them."""
        rng = furniture.rng
        sides = [math.radians(rng.uniform(75, 98)), -math.radians(rng.uniform(75, 98))]
        for number, side in enumerate((self.says, 1 - self.says)):
            furniture.bucket(f'place{number}', self.buckets[number], sides[side], _radius(rng))
        middle = spread(rng, 3, math.radians(20.0), math.radians(38.0))
        furniture.sign('sign', MARKS[self.says], middle[0], eye_height)
        self._others(furniture, self.looks, middle[1:])

    def aim(self, world: State) -> np.ndarray:
        """The cube; in the hand, the sign; once it is on its way, the bucket."""
        point = super().aim(world)
        decided = abs(cylindrical(world.tip)[0]) > self._DECIDED
        return point if decided or not world.holds('thing') else world.position('sign')


KINDS: dict[str, type[Task]] = {kind.name: kind for kind in (Press, Bucket, Wipe, Shelf, Read)}


def task_of(name: str, rng: np.random.Generator) -> Task:
    """A task by its name. Raises ConfigError for any other name."""
    if name not in KINDS:
        raise ConfigError(f'there is no task {name!r}; known: {", ".join(KINDS)}')
    return KINDS[name](rng)


def cylindrical(point: np.ndarray) -> tuple[float, float, float]:
    """Azimuth, radius and z of a point."""
    return (math.atan2(point[1], point[0]), math.hypot(point[0], point[1]), float(point[2]))


def _apart(tip: tuple[float, float, float], azimuth: float, radius: float) -> float:
    return math.dist(furniture.place(tip[0], tip[1]), furniture.place(azimuth, radius))


def _approach(world: State, azimuth: float, radius: float, heights: tuple[float, float],
              slack: float, opening: float) -> Goal:
    """High, until above the place; then down, through a funnel.

    Args:
        heights: of the place, and of the way there.
        slack: how far beside the place it may go down all the way.
    """
    tip, (low, high) = cylindrical(world.tip), heights
    away = _apart(tip, azimuth, radius)
    z = low + min(max((away - slack) / _FUNNEL, 0.0), 1.0) * (high - low)
    if away > slack + _FUNNEL + 0.03 and tip[2] < high - 0.05:      # out of where it is, first
        return Goal(tip[0], tip[1], high, opening)
    return Goal(azimuth, radius, z, opening)


def _inside(world: State, bucket: str) -> bool:
    local = abs(_local(world, bucket))
    return bool(max(local[0], local[1]) < furniture.BUCKET and local[2] < furniture.BUCKET_HEIGHT
                + 0.03)


def _local(world: State, place: str) -> np.ndarray:
    """The thing in the frame of where it may belong."""
    body = world.data.body(place)
    return body.xmat.reshape(3, 3).T @ (world.position('thing') - body.xpos)


def _depth(world: State, button: str) -> float:
    """How far down a button is, 0 to 1."""
    return -float(world.data.joint(button).qpos[0]) / furniture.BUTTON_TRAVEL


def _colours(rng: np.random.Generator, count: int) -> list[str]:
    return [list(COLOURS)[index] for index in rng.permutation(len(COLOURS))[:count]]


def _radius(rng: np.random.Generator) -> float:
    return float(rng.uniform(furniture.NEAR, furniture.FAR))


def _far_apart(rng: np.random.Generator, apart: tuple[float, float], more: int) -> list[float]:
    """Azimuths of a thing and its place, so far apart, and of `more` others."""
    gap = rng.uniform(*apart)
    reach = furniture.REACH_RAD
    first = rng.uniform(-reach, reach - gap)
    pair = [first, first + gap]
    if rng.random() < 0.5:
        pair.reverse()
    return [*pair, *spread(rng, more, _NEAR, given=pair)]
