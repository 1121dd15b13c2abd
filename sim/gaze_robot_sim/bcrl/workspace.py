"""A workspace all around, and a scripted arm that demonstrates tasks in it.

Several things lie within +-100 degrees. The task names one, or two: first this one, then, from
the hand-over on, that one. The arm drives its hand in the direction of the thing that matters now,
and turns its wrist at the rate that the thing's code says (`things`). So where the thing is can be
seen from afar, and the wrist by a fovea only.

T steps
"""

from dataclasses import dataclass
import math

import numpy as np

from gaze_robot.errors import ConfigError
from gaze_robot.geometry import angle_between, direction_from_pan_tilt
from gaze_robot_sim.bcrl import things
from gaze_robot_sim.bcrl.plays import Play
from gaze_robot_sim.demos.episode import Episode
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.overlay import draw_on_panorama, Sprite
from gaze_robot_sim.scenes.still import StillScene
from gaze_robot_sim.scenes.targets import Place

JOINTS = ('x', 'y', 'z', 'wrist', 'gripper')
SPEED_M_S = 0.12
"""How fast the hand is driven."""
WRIST_RAD_S = 0.4
"""How fast the wrist turns at most."""


@dataclass(frozen=True)
class WorkspaceConfig:
    """What lies around, and how long a demonstration is.

    Raises:
        ConfigError: a number makes no sense.
    """

    things: int = 4
    """How many lie around."""

    pan_deg: float = 100.0
    """They lie this far to the left and right at most."""

    tilt_deg: float = 22.0
    """And this far up and down."""

    apart_deg: float = 22.0
    """Between the centres of two of them, at least."""

    diameter_deg: tuple[float, float] = (12.0, 14.0)

    look_alikes: float = 0.3
    """Share of workspaces where something else has the right colour and another shape."""

    two: float = 0.5
    """Share of demonstrations in which the thing that matters changes half way."""

    seconds: float = 4.0
    """Length of a demonstration."""

    rate_hz: float = 30.0

    width: int = 1024
    """Of the panoramas, pixels."""

    def __post_init__(self) -> None:
        if not 2 <= self.things <= 6 or not 0 < self.pan_deg <= 180 or not 0 < self.tilt_deg < 60:
            raise ConfigError('a workspace has 2 to 6 things within pan_deg up to 180 and '
                              f'tilt_deg below 60, got {self.things}, {self.pan_deg:g} and '
                              f'{self.tilt_deg:g}')
        if not (0 <= self.look_alikes <= 1 and 0 <= self.two <= 1):
            raise ConfigError('look_alikes and two are shares from 0 to 1, got '
                              f'{self.look_alikes} and {self.two}')
        if self.seconds * self.rate_hz < 4 or self.width < 128 or self.width % 2:
            raise ConfigError('a demonstration has at least 4 steps and its panorama an even '
                              f'width from 128, got {self.seconds} s at {self.rate_hz} Hz, '
                              f'{self.width} pixels')
        low, high = self.diameter_deg
        if not 0 < low <= high < 30 or self.apart_deg < high:
            raise ConfigError(f'diameter_deg is (low, high) below 30 and at most apart_deg, got '
                              f'{self.diameter_deg} and {self.apart_deg:g}')

    @property
    def steps(self) -> int:
        """Of a demonstration."""
        return round(self.seconds * self.rate_hz)


@dataclass(frozen=True, eq=False)
class Thing:
    """One thing of a workspace."""

    colour: int
    shape: int
    code: int
    direction: np.ndarray
    """(3,) unit vector to its centre, base frame."""

    diameter_deg: float

    @property
    def name(self) -> str:
        """In words."""
        return things.name_of(self.colour, self.shape)

    def sprite(self) -> Sprite:
        """As a picture at its place."""
        return Sprite(things.picture(self.colour, self.shape, self.code, self.diameter_deg),
                      self.direction, math.radians(self.diameter_deg))


class Workspace:
    """Demonstrations without end; number k depends on (seed, k) only. Implements `PlaySource`."""

    def __init__(self, seed: int = 0, config: WorkspaceConfig | None = None) -> None:
        """Choose the demonstrations; each is made when it is asked for.

        Raises:
            ConfigError: a negative seed.
        """
        if seed < 0:
            raise ConfigError(f'a seed is 0 or more, got {seed}')
        self.name = 'workspace'
        self.count: int | None = None
        self.seed, self.config = seed, config or WorkspaceConfig()

    def play(self, index: int) -> Play:
        """A demonstration by its number, with the truth about it."""
        config = self.config
        rng = np.random.default_rng([self.seed, index])
        placed = self._things(rng)
        first, second = placed[0], placed[1]
        two = bool(rng.random() < config.two)
        joints, ends, aim = _demonstrate(rng, [first, second] if two else [first], config)
        task = np.concatenate([things.embedding(first.colour, first.shape),
                               things.embedding(second.colour, second.shape) if two else
                               np.zeros(things.TASK_SIZE, np.float32)])
        episode = Episode(
            f'workspace {self.seed}/{index}', self._scene(rng, index, placed), task,
            f'pick the {first.name}' + (f' and place it on the {second.name}' if two else ''),
            JOINTS, joints[:-1], _actions(joints), JOINTS, config.rate_hz)
        return Play(episode, ends, _heading(joints), aim)

    def episode(self, index: int) -> Episode:
        """The demonstration alone, as anybody else would have recorded it."""
        return self.play(index).episode

    def close(self) -> None:
        """Nothing to release."""

    def _things(self, rng: np.random.Generator) -> list[Thing]:
        """Things with different names, apart from each other; the first two are the task's."""
        config = self.config
        colours = rng.permutation(len(things.COLOURS))[:config.things].tolist()
        shapes = rng.integers(len(things.SHAPES), size=config.things).tolist()
        if config.things > 2 and rng.random() < config.look_alikes:
            like = int(rng.integers(2))
            colours[-1] = colours[like]
            shapes[-1] = (shapes[like] + int(rng.integers(1, len(things.SHAPES)))
                          ) % len(things.SHAPES)
        codes = rng.integers(len(things.CODES), size=config.things).tolist()
        directions = self._directions(rng)
        diameters = np.round(rng.uniform(*config.diameter_deg, config.things)).tolist()
        return [Thing(*row) for row in zip(colours, shapes, codes, directions, diameters)]

    def _directions(self, rng: np.random.Generator) -> list[np.ndarray]:
        reach = np.radians([self.config.pan_deg, self.config.tilt_deg])
        found: list[np.ndarray] = []
        for _ in range(10_000):
            direction = direction_from_pan_tilt(*rng.uniform(-reach, reach))
            if all(angle_between(direction, other) > math.radians(self.config.apart_deg)
                   for other in found):
                found.append(direction)
            if len(found) == self.config.things:
                return found
        raise ConfigError(f'{self.config.things} things do not fit {self.config.apart_deg:g} '
                          'degrees apart; make pan_deg or tilt_deg larger')

    def _scene(self, rng: np.random.Generator, index: int, placed: list[Thing]) -> StillScene:
        walls = things.backgrounds(self.config.width)
        wall = walls[int(rng.integers(len(walls)))]
        image = np.roll(wall, int(rng.integers(wall.shape[1])), axis=1)
        draw_on_panorama(image, [thing.sprite() for thing in placed])
        panorama = Panorama(image, brief=True)
        target = Place(placed[0].direction, math.radians(placed[0].diameter_deg), placed[0].name)
        return StillScene(f'workspace {index}', panorama, lambda _: target, (self.seed, index))


def _demonstrate(rng: np.random.Generator, wanted: list[Thing], config: WorkspaceConfig
                 ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the arm does.

    Returns:
        joints (T + 1, 5) float32; ends (T,) the step at which the thing that matters at each step
        stops mattering; aim (T, 3) the direction to it.
    """
    steps, parts = config.steps, len(wanted)
    part = np.arange(steps) * parts // steps
    rates = np.array([[*(SPEED_M_S * thing.direction), WRIST_RAD_S * things.CODES[thing.code], 0.0]
                      for thing in wanted]) / config.rate_hz
    start = np.array([*rng.uniform(-0.4, 0.4, 3), rng.uniform(-1.5, 1.5), 0.0])
    joints = start + np.concatenate([np.zeros((1, 5)), np.cumsum(rates[part], axis=0)])
    joints[:-1, 4] = part                       # closed once it holds the first thing
    joints[-1, 4] = joints[-2, 4]
    ends = np.array([(np.count_nonzero(part <= now)) for now in part])
    return joints.astype(np.float32), ends, np.stack([wanted[now].direction for now in part])


def _heading(joints: np.ndarray) -> np.ndarray:
    """(T, 3) unit vectors in which the demonstrated joints (T + 1, 5) drive the hand: what it acts
    on lies there.
    """
    moved = np.diff(joints[:, :3].astype(float), axis=0)
    return moved / np.linalg.norm(moved, axis=1, keepdims=True)


def _actions(joints: np.ndarray) -> np.ndarray:
    """(T, 5) where the arm is told to be: where it is a step later; grippers follow at once."""
    return np.concatenate([joints[1:, :4], joints[:-1, 4:]], axis=1)
