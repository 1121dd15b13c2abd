"""Tasks in which a thing is taken somewhere."""

import math

import numpy as np

from gaze_robot_sim.physics import furniture
from gaze_robot_sim.physics.furniture import Furniture, spread
from gaze_robot_sim.physics.task import (
    apart,
    approach,
    cylindrical,
    DONE,
    draw_colours,
    draw_radius,
    Goal,
    GRASP,
    HOVER,
    OPEN,
    PLACE,
    State,
    Task,
)
from gaze_robot_sim.physics.textures import MARKS

_CALM_M_S = 0.05
_NEAR = math.radians(22.0)
"""Between neighbours on the table."""
_FLOOR = -0.05
"""What is below has fallen off the table, metres."""


class _PickAndPlace(Task):
    """Take a thing somewhere."""

    needs_gripper = True
    lowest = 0.14
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
        """0; 1: in the hand; `DONE`: where it belongs."""
        return DONE if self.placed(world) else int(world.holds('thing'))

    def goal(self, world: State) -> Goal:
        """To the thing, down, close; up, across, open, away."""
        tip, held = cylindrical(world.tip), world.holds('thing')
        if self.placed(world):
            return Goal(tip[0], tip[1], tip[2] if held else HOVER + 0.05, OPEN)
        if not held:
            azimuth, radius, z = cylindrical(world.position('thing'))
            near = apart(tip, azimuth, radius) < GRASP + 0.008 and tip[2] < z + 0.014
            return approach(world, azimuth, radius, (z, HOVER), GRASP, 0.0 if near else OPEN)
        azimuth, radius, z = self.target(world)
        return approach(world, azimuth, radius, (z, self.carry), PLACE, 0.0)

    def aim(self, world: State) -> np.ndarray:
        """The thing; once it is held, where it belongs."""
        return self.place(world) if self.stage(world) else world.position('thing')

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
            furniture.thing(name, *look, azimuth, draw_radius(furniture.rng))
        self.touchable = {'thing'}


def _three_things(rng: np.random.Generator) -> list[tuple[str, str]]:
    """The one; one of its colour; one of its shape."""
    colours, shape = draw_colours(rng, 2), int(rng.integers(2))
    shapes = ('cube', 'cylinder')
    return [(colours[0], shapes[shape]), (colours[0], shapes[1 - shape]),
            (colours[1], shapes[shape])]


class Bucket(_PickAndPlace):
    """Put the named thing in the named bucket, which no view shows together with it."""

    name = 'bucket'
    gap = (math.radians(150.0), math.radians(195.0))
    """Between the thing and its bucket."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self.looks, self.buckets = _three_things(rng), draw_colours(rng, 2)
        self.wanted = (self.looks[0], (self.buckets[0], ''))
        self.instruction = f'put the {" ".join(self.looks[0])} in the {self.buckets[0]} bucket'

    def furnish(self, furniture: Furniture, eye_height: float) -> None:
        """Three things and two buckets."""
        rng = furniture.rng
        places = _far_apart(rng, self.gap, 3)
        furniture.bucket('place0', self.buckets[0], places[1], draw_radius(rng))
        furniture.bucket('place1', self.buckets[1], places[2], draw_radius(rng))
        self._others(furniture, self.looks, [places[0], *places[3:]])

    def target(self, world: State) -> tuple[float, float, float]:
        """Above its bucket."""
        azimuth, radius, _ = cylindrical(world.position('place0'))
        return azimuth, radius, furniture.BUCKET_HEIGHT + 0.035

    def goal(self, world: State) -> Goal:
        """As ever, but the thing is let go above the bucket."""
        goal, tip = super().goal(world), cylindrical(world.tip)
        azimuth, radius, z = self.target(world)
        over = apart(tip, azimuth, radius) < PLACE + 0.008 and tip[2] < z + 0.014
        return Goal(azimuth, radius, z, OPEN) if over and world.holds('thing') else goal

    def place(self, world: State) -> np.ndarray:
        """The bucket, at half its height."""
        return world.position('place0') + [0, 0, furniture.BUCKET_HEIGHT / 2]

    def placed(self, world: State) -> bool:
        """Inside, or falling in."""
        return _inside(world, 'place0') and not world.holds('thing')

    def misplaced(self, world: State) -> bool:
        """Inside the other one."""
        return _inside(world, 'place1')


class Shelf(_PickAndPlace):
    """Set the named thing on the named shelf."""

    name = 'shelf'
    gap = (math.radians(60.0), math.radians(170.0))

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self.looks, self.shelves = _three_things(rng), draw_colours(rng, 2)
        self.heights = rng.uniform(0.09, 0.12, 2).tolist()
        self.carry = max(self.heights) + furniture.THING + 0.06
        self.wanted = (self.looks[0], (self.shelves[0], ''))
        self.instruction = f'set the {" ".join(self.looks[0])} on the {self.shelves[0]} shelf'

    def furnish(self, furniture: Furniture, eye_height: float) -> None:
        """Three things and two shelves."""
        rng = furniture.rng
        places = _far_apart(rng, self.gap, 3)
        for number, azimuth in enumerate(places[1:3]):
            furniture.shelf(f'place{number}', self.shelves[number], azimuth, draw_radius(rng),
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

    def place(self, world: State) -> np.ndarray:
        """The plate."""
        return world.position('place0') + [0, 0, self.heights[0]]

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
        self.buckets = draw_colours(rng, 1) * 2
        self.looks = [('red', 'cube'), ('green', 'cylinder')]
        self.wanted = (self.looks[0],)
        self.instruction = 'put the red cube in the bucket that the sign says'

    def furnish(self, furniture: Furniture, eye_height: float) -> None:
        """A bucket on each side, the sign and the things between them."""
        rng = furniture.rng
        sides = [math.radians(rng.uniform(75, 98)), -math.radians(rng.uniform(75, 98))]
        for number, side in enumerate((self.says, 1 - self.says)):
            furniture.bucket(f'place{number}', self.buckets[number], sides[side], draw_radius(rng))
        middle = spread(rng, 3, math.radians(20.0), math.radians(38.0))
        furniture.sign('sign', MARKS[self.says], middle[0], eye_height)
        self._others(furniture, self.looks, middle[1:])

    def aim(self, world: State) -> np.ndarray:
        """The cube; in the hand, the sign; once it is on its way, the bucket."""
        point = super().aim(world)
        decided = abs(cylindrical(world.tip)[0]) > self._DECIDED
        return point if decided or not world.holds('thing') else world.position('sign')


def _inside(world: State, bucket: str) -> bool:
    local = abs(_local(world, bucket))
    return bool(max(local[0], local[1]) < furniture.BUCKET and local[2] < furniture.BUCKET_HEIGHT
                + 0.03)


def _local(world: State, place: str) -> np.ndarray:
    """The thing in the frame of where it may belong."""
    body = world.data.body(place)
    return body.xmat.reshape(3, 3).T @ (world.position('thing') - body.xpos)


def _far_apart(rng: np.random.Generator, gaps: tuple[float, float], more: int) -> list[float]:
    """Azimuths of a thing and its place, so far apart, and of `more` others."""
    gap = rng.uniform(*gaps)
    reach = furniture.REACH_RAD
    first = rng.uniform(-reach, reach - gap)
    pair = [first, first + gap]
    if rng.random() < 0.5:
        pair.reverse()
    return [*pair, *spread(rng, more, _NEAR, given=pair)]
