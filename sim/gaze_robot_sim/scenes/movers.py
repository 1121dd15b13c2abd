"""Things that move on known paths, laid over any world."""

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

from gaze_robot.errors import WorldError
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.base import Scene, SearchTarget, World
from gaze_robot_sim.scenes.figures import ASPECT, draw_person, random_person
from gaze_robot_sim.scenes.overlay import Sprite
from gaze_robot_sim.scenes.still import RememberingWorld
from gaze_robot_sim.scenes.things import draw_thing, random_thing

_WAVES = 3


@dataclass(frozen=True, eq=False)
class Path:
    """A smooth motion of a direction, known at every time: pan and tilt are sums of sines.

    Angles as everywhere, pan to the left and tilt down; arrays are (2, waves), pan before tilt.
    """

    centre: tuple[float, float]
    """Pan and tilt about which it moves, radians."""

    amplitude: np.ndarray
    frequency: np.ndarray
    """rad/s."""

    phase: np.ndarray

    @classmethod
    def still(cls, pan_rad: float, tilt_rad: float) -> 'Path':
        """A direction that never moves."""
        zero = np.zeros((2, 1))
        return cls((pan_rad, tilt_rad), zero, zero, zero)

    @classmethod
    def random(cls, rng: np.random.Generator, pan_rad: tuple[float, float],
               tilt_rad: tuple[float, float], speed_rad_s: float) -> 'Path':
        """A path that wanders over most of a range of directions.

        Args:
            pan_rad, tilt_rad: the least and the greatest it reaches.
            speed_rad_s: angle on the sphere per second, never exceeded; about half of it is usual.

        Raises:
            WorldError: a range is empty or beyond the poles, or the speed is negative.
        """
        low, high = np.array([pan_rad, tilt_rad], dtype=float).T
        if not np.all(low <= high) or not (-np.pi / 2 <= low[1] and high[1] <= np.pi / 2):
            raise WorldError('a path needs pan (low, high) and tilt (low, high) with tilt between '
                             f'-90 and 90 degrees, got {np.degrees(pan_rad)} and '
                             f'{np.degrees(tilt_rad)}')
        if not 0 <= speed_rad_s < math.inf:
            raise WorldError(f'the speed of a path is 0 or more, got {speed_rad_s}')
        half = (high - low) / 2
        share = rng.uniform(0.5, 1.0, (2, _WAVES)) / np.array([1.0, 2.0, 4.0])
        amplitude = share / share.sum(axis=1, keepdims=True) * half[:, None]
        amplitude *= rng.uniform(0.7, 1.0, (2, 1))
        rest = half - amplitude.sum(axis=1)
        centre = (low + high) / 2 + rest * rng.uniform(-1, 1, 2)
        frequency = np.array([1.0, 2.3, 4.1]) * rng.uniform(0.8, 1.25, (2, _WAVES))
        phase = rng.uniform(0, 2 * np.pi, (2, _WAVES))
        made = cls((float(centre[0]), float(centre[1])), amplitude, frequency, phase)
        fastest = made.max_speed_rad_s
        if fastest == 0 or speed_rad_s == 0:
            return cls.still(*made.angles(0.0))
        return cls(made.centre, amplitude, frequency * (speed_rad_s / fastest), phase)

    @property
    def max_speed_rad_s(self) -> float:
        """A speed on the sphere that is never exceeded: as if all waves met, at tilt 0."""
        return float(np.hypot(*np.abs(self.amplitude * self.frequency).sum(axis=1)))

    def angles(self, t_s: float) -> tuple[float, float]:
        """Pan and tilt at a time."""
        wave = (self.amplitude * np.sin(self.frequency * t_s + self.phase)).sum(axis=1)
        return self.centre[0] + float(wave[0]), self.centre[1] + float(wave[1])

    def direction(self, t_s: float) -> np.ndarray:
        """(3,) unit vector at a time, base frame."""
        pan, tilt = self.angles(t_s)
        level = math.cos(tilt)
        return np.array([level * math.cos(pan), level * math.sin(pan), -math.sin(tilt)])


@dataclass(frozen=True, eq=False)
class Mover:
    """One look on one path, there for a while."""

    picture: np.ndarray
    """(height, width, 4) uint8 RGBA, as in `Sprite`."""

    width_rad: float
    path: Path
    roll_rad: float = 0.0
    present_s: tuple[float, float] = (-math.inf, math.inf)
    """From when to when it is there."""

    def sprite(self, t_s: float) -> Sprite | None:
        """It as it is at a time; None while it is not there."""
        if not self.present_s[0] <= t_s < self.present_s[1]:
            return None
        return Sprite(self.picture, self.path.direction(t_s), self.width_rad, self.roll_rad)


def random_mover(rng: np.random.Generator) -> Mover:
    """A thing that floats about or a person who goes about, anywhere around, always there."""
    if rng.random() < 0.5:
        picture = draw_person(random_person(rng), (rng.normal(0, 0.8), rng.normal(0.1, 0.2)))
        width = 2 * math.atan(ASPECT * math.tan(math.radians(rng.uniform(18, 50)) / 2))
        tilt = math.radians(-2), math.radians(10)
    else:
        picture, width = draw_thing(random_thing(rng)), math.radians(rng.uniform(5, 14))
        tilt = math.radians(-30), math.radians(30)
    pan = rng.uniform(-math.pi, math.pi) + math.radians(70) * np.array([-1, 1])
    speed = math.radians(rng.uniform(4, 25))
    return Mover(picture, width, Path.random(rng, (pan[0], pan[1]), tilt, speed))


class OverlaidScene:
    """A scene with movers in front of it; implements the Scene protocol."""

    def __init__(self, scene: Scene, movers: Sequence[Mover]) -> None:
        """Lay movers, the farthest first, over a scene."""
        self.name, self.duration_s = scene.name, scene.duration_s
        self.movers = tuple(movers)
        self._scene = scene

    def panorama(self, t_s: float = 0.0) -> Panorama:
        """The scene without what moves; see the Scene protocol."""
        return self._scene.panorama(t_s)

    def sample_target(self, rng: np.random.Generator, t_s: float = 0.0) -> SearchTarget:
        """Something of the scene that does not move."""
        return self._scene.sample_target(rng, t_s)

    def sprites(self, t_s: float = 0.0) -> Sequence[Sprite]:
        """What is there at a time, the farthest first."""
        there = (mover.sprite(t_s) for mover in self.movers)
        return [*self._scene.sprites(t_s), *(sprite for sprite in there if sprite is not None)]


@dataclass(frozen=True, eq=False)
class _Troupe:
    """The movers of one scene, kept without the scene, which its own world remembers."""

    movers: Sequence[Mover]

    @property
    def nbytes(self) -> int:
        return sum(mover.picture.nbytes for mover in self.movers)


class OverlaidWorld(RememberingWorld):
    """Any world with random movers in every scene; implements the World protocol.

    The movers of scene k depend on (seed, k) only.
    """

    def __init__(self, world: World, movers: int, seed: int = 0) -> None:
        """Lay movers over a world, which is closed with this one.

        Raises:
            WorldError: fewer than 0 movers, or a negative seed.
        """
        if movers < 0 or seed < 0:
            raise WorldError(f'a world has 0 or more movers and a seed of 0 or more, got {movers} '
                             f'and {seed}')
        super().__init__(world.name, world.count, (world, movers, seed))
        self._world, self._movers, self._seed = world, movers, seed

    def close(self) -> None:
        """Close the world below."""
        super().close()
        self._world.close()

    def scene(self, index: int) -> Scene:
        """A scene of the world below with its movers; see the World protocol."""
        scene = self._world.scene(index)
        number = int(index) if self.count is None else int(index) % self.count
        troupe = self._recent.get_or_make(number, lambda: self._troupe(number))
        return OverlaidScene(scene, troupe.movers)

    def _troupe(self, number: int) -> _Troupe:
        rng = np.random.default_rng([self._seed, number])
        movers = [random_mover(rng) for _ in range(self._movers)]
        return _Troupe(sorted(movers, key=lambda mover: mover.width_rad))
