"""What every task of a workspace is: where things lie, what to do now, and when it is over.

What to do follows from the state of the world alone, not from what was done before: whoever sees
enough needs no memory, and who drops something picks it up again.
"""

from dataclasses import dataclass
import math
from typing import ClassVar, Protocol

import mujoco
import numpy as np

from gaze_robot_sim.bcrl.things import COLOURS
from gaze_robot_sim.physics import furniture
from gaze_robot_sim.physics.furniture import Furniture

OPEN = 0.11
"""Of the gripper, metres."""
DONE = 2
"""The stage of a task in which nothing is left to do but to draw back."""
HOVER = 0.17
"""Height of the tip on its way, metres."""
_WORDS = (*COLOURS, 'round', 'square', 'cube', 'cylinder')
TASK_NUMBERS = 1 + 2 * len(_WORDS)
"""Of a task's embedding."""

GRASP, PLACE, FUNNEL = 0.014, 0.022, 0.05
"""How far beside a thing, or a place, the hand may go down, and over what distance it does."""


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
    lowest: ClassVar[float] = 0.045
    """How low the tip may begin where nothing stands in its way, metres."""

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

    def place(self, world: State) -> np.ndarray:
        """(3,) the middle of what a thing belongs in, or on; of tasks that take one somewhere."""
        raise NotImplementedError

    def stage(self, world: State) -> int:
        """0 at first, 1 while the thing is in the hand, `DONE` once it is where it belongs."""
        return 0

    def judge(self, world: State) -> str:
        """'' as long as it goes on, 'success', or what went wrong."""
        raise NotImplementedError

    def advance(self, world: State) -> None:
        """What the arm does to things, besides physics."""


def cylindrical(point: np.ndarray) -> tuple[float, float, float]:
    """Azimuth, radius and z of a point."""
    return (math.atan2(point[1], point[0]), math.hypot(point[0], point[1]), float(point[2]))


def apart(tip: tuple[float, float, float], azimuth: float, radius: float) -> float:
    """Metres, level, from a tip (azimuth, radius, z) to a place."""
    return math.dist(furniture.place(tip[0], tip[1]), furniture.place(azimuth, radius))


def approach(world: State, azimuth: float, radius: float, heights: tuple[float, float],
              slack: float, opening: float) -> Goal:
    """High, until above the place; then down, through a funnel.

    Args:
        heights: of the place, and of the way there.
        slack: how far beside the place it may go down all the way.
    """
    tip, (low, high) = cylindrical(world.tip), heights
    away = apart(tip, azimuth, radius)
    z = low + min(max((away - slack) / FUNNEL, 0.0), 1.0) * (high - low)
    if away > slack + FUNNEL + 0.03 and tip[2] < high - 0.05:      # out of where it is, first
        return Goal(tip[0], tip[1], high, opening)
    return Goal(azimuth, radius, z, opening)


def draw_colours(rng: np.random.Generator, count: int) -> list[str]:
    """So many different ones, by name."""
    return [list(COLOURS)[index] for index in rng.permutation(len(COLOURS))[:count]]


def draw_radius(rng: np.random.Generator) -> float:
    """How far out something lies, metres."""
    return float(rng.uniform(furniture.NEAR, furniture.FAR))
