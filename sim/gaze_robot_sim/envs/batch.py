"""Many eyes in simulated places: everything the environments have in common.

A task is a subclass that says where things are; single and vectorised environments are views of a
batch and simulate nothing themselves.

B eyes   L levels   w samples across a level
"""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

from gaze_robot.errors import CommandError, ConfigError, WorldError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.geometry import angle_between, direction_from_pan_tilt
from gaze_robot.policy.actions import move, MOVES
from gaze_robot_sim.cameras import random_camera
from gaze_robot_sim.dynamics import EyeDynamics
from gaze_robot_sim.envs.config import check_options, EyeConfig
from gaze_robot_sim.envs.retina import Retina
from gaze_robot_sim.envs.rewards import Outcome, reward
from gaze_robot_sim.motion import Motion
from gaze_robot_sim.render import Mapper
from gaze_robot_sim.scenes.base import Scene, World
from gaze_robot_sim.scenes.overlay import Sprite

Eyes = Sequence[int] | np.ndarray
"""Numbers of eyes."""

_CHANCES = 10
"""Scenes, or moments of a video, to try before it is an error that nothing there stands out."""

_MOMENTS, _GOLDEN = 8, 0.618034
"""Moments of a video at which episodes begin, and by what share of it they move on each time."""


class EyeBatch:
    """B eyes, each with its own scene, pose and generator; actions in, observations out.

    An eye's episodes depend on its own seed only, not on how many eyes there are.
    """

    Config: type[EyeConfig] = EyeConfig

    def __init__(self, eyes: int, worlds: Sequence[World],
                 pattern: FoveationPattern | None = None, config: EyeConfig | None = None,
                 seed: int | None = None, mapper: Mapper = map) -> None:
        """Make eyes; `start` and `look` begin their episodes.

        Args:
            worlds: stay open when the batch is closed, but for those in `owned`.
            seed: eye i draws from a generator of seed + i; None: from chance.
            mapper: how to run independent chunks of rendering.

        Raises:
            ConfigError: no eyes, no worlds, or a pattern that is none.
        """
        if not isinstance(eyes, (int, np.integer)) or eyes < 1 or not worlds:
            raise ConfigError(f'at least one eye and one world are needed, got {eyes!r} eyes and '
                              f'{len(worlds)} worlds')
        if pattern is not None and not isinstance(pattern, FoveationPattern):
            raise ConfigError(f'pattern must be a FoveationPattern, got {pattern!r}')
        self.eyes, self.worlds = int(eyes), list(worlds)
        self.owned: list[World] = []
        """Worlds that are closed with the batch."""
        self.pattern = pattern or FoveationPattern()
        self.config = config = config or self.Config()
        assert isinstance(config.dynamics, EyeDynamics)
        self.motion = Motion(config.dynamics, eyes, config.limits, config.rate_hz)
        self.retina = Retina(eyes, self.pattern, config.dynamics, config.samples, mapper)
        self.scene: list[Scene | None] = [None] * eyes
        self._places: list[tuple[int, int] | None] = [None] * eyes
        self.steps = np.zeros(eyes, int)
        """(B,) since each episode began, pause included."""
        self.aim = np.tile([1.0, 0.0, 0.0], (eyes, 1))
        """(B, 3) unit vectors to what each eye should look at: the truth, for rewards."""
        self.present = np.ones(eyes, bool)
        """(B,) whether there is something to look at now."""
        self.reported = np.zeros((eyes, 2))
        """(B, 2) pan and tilt as the encoders said at the last glance, radians."""
        self._episodes = np.zeros(eyes, int)
        self._start_s = np.zeros(eyes)
        self.random = [np.random.default_rng(None if seed is None else seed + eye)
                       for eye in range(eyes)]
        """Every eye's generator."""

    # --- what a task says

    def begin(self, eye: int, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        """Place an eye's things at the start of an episode; returns its pose (2,), radians."""
        raise NotImplementedError

    def advance(self) -> None:
        """Bring `aim` and `present` up to the time of this step."""

    def things(self, eye: int) -> Sequence[Sprite]:
        """What the task lays over an eye's scene now, the farthest first."""
        return ()

    def extra_spaces(self) -> dict[str, gymnasium.Space]:
        """Observations besides the view and the pose."""
        return {}

    def extras(self, eyes: np.ndarray) -> dict[str, np.ndarray]:
        """The values of those for some eyes, each (len(eyes), ...)."""
        return {}

    def facts(self) -> dict[str, np.ndarray]:
        """What the task knows besides, for `info` and not for the eye: (B,) each."""
        return {}

    # --- spaces

    @property
    def observation_space(self) -> gymnasium.spaces.Dict:
        """Of one eye."""
        box = gymnasium.spaces.Box
        levels = {f'level_{level}': box(0, 255, (side, side, 3), np.uint8)
                  for level, side in enumerate(self.pattern.window)}
        return gymnasium.spaces.Dict({
            **levels, 'pan_tilt': box(-10.0, 10.0, (2,), np.float32),
            'speed': box(-60.0, 60.0, (2,), np.float32), **self.extra_spaces()})

    @property
    def action_space(self) -> gymnasium.Space:
        """Of one eye."""
        return (gymnasium.spaces.Discrete(len(MOVES)) if self.config.discrete
                else gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32))

    # --- state

    @property
    def pose(self) -> np.ndarray:
        """(B, 2) pan and tilt where the eyes truly look, radians."""
        return self.motion.pose

    @property
    def speed(self) -> np.ndarray:
        """(B, 2) rad/s."""
        return self.motion.speed

    @property
    def elapsed_s(self) -> np.ndarray:
        """(B,) seconds the world has moved since each episode began."""
        return np.maximum(self.steps - self.config.pause_steps, 0) / self.config.rate_hz

    @property
    def finished(self) -> np.ndarray:
        """(B,) bool: the episode's time is over."""
        return self.steps >= self.config.length

    def error_rad(self) -> np.ndarray:
        """(B,) angle from each fovea's centre to its target: the truth, for rewards and scores."""
        return angle_between(direction_from_pan_tilt(self.pose[:, 0], self.pose[:, 1]), self.aim)

    def truth(self, error_rad: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """'error_rad' and the task's own facts, (B,) each."""
        return {'error_rad': self.error_rad() if error_rad is None else error_rad,
                **{name: rows.copy() for name, rows in self.facts().items()}}

    def scene_time(self, eye: int) -> float:
        """Where in its scene's time an eye is, seconds."""
        return float(self._start_s[eye] + self.elapsed_s[eye])

    # --- life

    def reseed(self, seeds: int | Sequence[int | None]) -> None:
        """Start random streams anew: eye i from seeds[i] (None: it goes on) or from seeds + i.

        Raises:
            ConfigError: not one seed per eye, or one that is no whole number of 0 or more.
        """
        given = ([seeds + i for i in range(self.eyes)] if isinstance(seeds, (int, np.integer))
                 else list(seeds))
        if len(given) != self.eyes or not all(seed is None or isinstance(
                seed, (int, np.integer)) and seed >= 0 for seed in given):
            raise ConfigError(f'a seed is a whole number of 0 or more, or a list of {self.eyes} '
                              f'of them, one per eye; got {seeds!r}')
        for eye, seed in enumerate(given):
            if seed is not None:
                self.random[eye] = np.random.default_rng(seed)
                self._episodes[eye] = 0

    def start(self, eyes: Eyes, options: Mapping[str, Any] | None = None) -> None:
        """Give some eyes a new scene, target and pose; call `look` afterwards.

        Args:
            options: 'scene': number of the scene, 'pose': (pan, tilt) in radians; what is not
                given is drawn.

        Raises:
            ConfigError: an unknown option, or a pose or scene that is none.
            WorldError: a scene cannot be used.
        """
        given = check_options(options or {}, self.config.limits)
        for eye in map(int, eyes):
            rng = self.random[eye]
            pose = self._enter(eye, rng, given.get('scene'))
            self.motion.start(eye, rng, np.asarray(given.get('pose', pose), float))
            self.retina.start(eye, rng, random_camera(rng) if self.config.random_cameras
                              else (self.config.hfov_deg, self.config.aspect))
            self._episodes[eye] += 1

    def _enter(self, eye: int, rng: np.random.Generator, number: int | None) -> np.ndarray:
        """Put an eye into a scene; its pose. Where a moment shows nothing, into another one."""
        self.steps[eye], self.present[eye] = 0, True
        for chance in range(_CHANCES):
            world = int(rng.integers(len(self.worlds)))
            drawn = self._draw_scene(self.worlds[world], eye, rng)
            place = world, drawn if number is None else int(number)
            self._places[eye] = place
            self.scene[eye] = scene = self.worlds[world].scene(place[1])
            # A few moments per round: eyes that restart together share frames of a video.
            moment = rng.integers(_MOMENTS) / _MOMENTS + _GOLDEN * self._episodes[eye]
            self._start_s[eye] = moment % 1.0 * scene.duration_s
            try:
                return self.begin(eye, rng, scene)
            except WorldError:
                if chance == _CHANCES - 1:
                    raise
        raise AssertionError('unreachable')

    def _draw_scene(self, world: World, eye: int, rng: np.random.Generator) -> int:
        if world.count is not None:
            return int(rng.integers(world.count))
        uses = self.config.scene_uses
        first = int(self._episodes[eye]) // uses if uses else 0
        return first + int(rng.integers(self.config.scenes))

    def step(self, action: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Move every eye; call `look` afterwards.

        Args:
            action: (B,) integers or (B, 2) in [-1, 1]: a displacement from the reported pose.

        Returns:
            Reward (B,), and 'reward/<term>' and all of `truth`, (B,) each.

        Raises:
            CommandError: the wrong number of actions, an index out of range, or a number that is
                not finite (one beyond 1 is taken for 1).
        """
        shape = (self.eyes,) if self.config.discrete else (self.eyes, 2)
        if np.shape(action) != shape:
            raise CommandError(f'{self.eyes} eyes need as many actions, got '
                               f'{len(np.atleast_1d(action))}: shape {np.shape(action)}, '
                               f'not {shape}')
        looked = self.pose
        self.motion.step(self.reported + move(action, self.config.discrete))
        self.steps += 1
        self.advance()
        pan, tilt = np.stack([looked, self.pose]).transpose(2, 0, 1)
        before, error = angle_between(direction_from_pan_tilt(pan, tilt), self.aim)
        value, parts = reward(Outcome(error, before, np.linalg.norm(self.speed, axis=1),
                                      self.present), self.config.rewards)
        return value, {**parts, **self.truth(error)}

    def look(self, eyes: Eyes | None = None) -> dict[str, np.ndarray]:
        """Take a glance with some eyes (default all): an observation for each, (len(eyes), ...).

        Raises:
            WorldError: a scene's file can no longer be read.
        """
        chosen = np.arange(self.eyes) if eyes is None else np.asarray(eyes, int)
        scenes = [self.scene[eye] for eye in chosen]
        if None in scenes:
            raise CommandError('start() comes before look(), reset() before step()')
        times = (self._start_s + self.elapsed_s)[chosen].tolist()
        self.retina.look(
            chosen, [scene.panorama(t) for scene, t in zip(scenes, times) if scene], self.motion,
            [[*scene.sprites(t), *self.things(int(eye))]
             for scene, t, eye in zip(scenes, times, chosen) if scene],
            self.elapsed_s[chosen], self.random)
        self.reported[chosen] = self.motion.measured(chosen, self.random)
        return self.observe(chosen)

    def observe(self, eyes: np.ndarray) -> dict[str, np.ndarray]:
        """The last glance of some eyes as observations."""
        everyone = len(eyes) == self.eyes and not self.retina.remembers
        return {**{f'level_{level}': view if everyone else view[eyes]
                   for level, view in enumerate(self.retina.views)},
                'pan_tilt': self.reported[eyes].astype(np.float32),
                'speed': self.speed[eyes].astype(np.float32), **self.extras(eyes)}

    def close(self) -> None:
        """Close the worlds that are the batch's own."""
        for world in self.owned:
            world.close()

    def __getstate__(self) -> dict[str, Any]:
        """Scenes go as their numbers: their pictures are made again."""
        return {**self.__dict__, 'scene': [None] * self.eyes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.scene = [place and self.worlds[place[0]].scene(place[1]) for place in self._places]
