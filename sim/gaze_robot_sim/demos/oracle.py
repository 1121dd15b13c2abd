"""Demonstrations by the oracle of an environment: what an eye that knows the truth does.

T steps
"""

from collections.abc import Sequence
import importlib
import math

import numpy as np

from gaze_robot.errors import WorldError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.policy.actions import move
from gaze_robot_sim.demos.episode import Episode
from gaze_robot_sim.demos.recording import task_embedding
from gaze_robot_sim.envs.making import make_batch
from gaze_robot_sim.oracles import Oracle
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes import open_world, Scene, SearchTarget
from gaze_robot_sim.scenes.overlay import Sprite
from gaze_robot_sim.watch import task_of

INSTRUCTIONS = {'Search': 'find the thing and look at it',
                'Track': 'follow the thing with the eye',
                'Orient': 'turn to whoever appears',
                'Follow': 'look at what the person looks at'}
AXES = ('pan', 'tilt')
_BLIND = FoveationPattern((90.0,), (8,), (8,))
"""An oracle sees nothing, so little is rendered for it."""


class PlayedScene:
    """A scene with what a task laid over it at each step; implements the Scene protocol."""

    def __init__(self, scene: Scene, start_s: float, things: Sequence[Sequence[Sprite]],
                 rate_hz: float) -> None:
        """Remember an episode.

        Args:
            start_s: the scene's own time when the episode began.
            things: for each of T steps, what was laid over the scene, the farthest first.
        """
        self.name, self.duration_s = scene.name, len(things) / rate_hz
        self._scene, self._start_s, self._things, self._rate = scene, start_s, things, rate_hz

    def panorama(self, t_s: float = 0.0) -> Panorama:
        """The scene behind; see the protocol."""
        return self._scene.panorama(self._start_s + self._within(t_s))

    def sample_target(self, rng: np.random.Generator, t_s: float = 0.0) -> SearchTarget:
        """Something of the scene behind to look for; see the protocol."""
        return self._scene.sample_target(rng, self._start_s + self._within(t_s))

    def sprites(self, t_s: float = 0.0) -> Sequence[Sprite]:
        """What moved, at a time."""
        within = self._within(t_s)
        step = min(int(within * self._rate + 1e-6), len(self._things) - 1)
        return [*self._scene.sprites(self._start_s + within), *self._things[step]]

    def _within(self, t_s: float) -> float:
        if not math.isfinite(t_s) or t_s < 0:
            raise WorldError(f'a time in an episode is 0 s or later, got {t_s}')
        return t_s % self.duration_s


class OracleSource:
    """An environment whose oracle demonstrates it; implements the DemoSource protocol.

    The hand is the eye itself: joints are its measured pan and tilt, actions where it is sent.
    """

    def __init__(self, task: str, world: str = 'procedural', seed: int = 0,
                 episode_s: float = 0.0) -> None:
        """Open a world.

        Args:
            task: an environment: Search-v0, Track-v0, Orient-v0 or Follow-v0.
            world: 'procedural', or the path of a panorama, a folder of them or a 360 video.
            episode_s: how long each demonstration lasts, seconds; 0: as long as an episode does.

        Raises:
            ConfigError: there is no such environment.
            WorldError: the world cannot be opened.
        """
        self.task, self.seed = task_of(task), seed
        self.name = f'{self.task}-v0'
        module = importlib.import_module(f'gaze_robot_sim.envs.{self.task.lower()}')
        self._world = open_world(world, seed)
        options = {'samples': 1, **({'episode_s': episode_s} if episode_s else {})}
        self._batch = make_batch(getattr(module, f'{self.task}Batch'), 1, self._world, _BLIND,
                                 options=options)

    def episode(self, index: int) -> Episode:
        """A demonstration by its number; see the protocol."""
        batch, oracle = self._batch, Oracle()
        batch.reseed(int(np.random.SeedSequence([self.seed, index]).generate_state(1)[0]))
        batch.start([0], {'scene': index})
        start_s, scene = batch.scene_time(0), batch.scene[0]
        assert scene is not None
        joints, actions, things = [], [], []
        observation = batch.look()
        for _ in range(batch.config.length):
            action = oracle(observation, batch)
            goal = batch.reported[0] + move(action, batch.config.discrete)[0]
            joints.append(batch.reported[0].copy())
            actions.append(np.clip(goal, batch.config.limits.min_position,
                                   batch.config.limits.max_position))
            things.append(list(batch.things(0)))
            batch.step(action)
            observation = batch.look()
        words = INSTRUCTIONS[self.task]
        return Episode(
            f'{self.name} {self.seed}.{index}',
            PlayedScene(scene, start_s, things, batch.config.rate_hz), task_embedding(words),
            words, AXES, np.array(joints, np.float32), np.array(actions, np.float32), AXES,
            batch.config.rate_hz, (f'the oracle of {self.name} in {scene.name}',))

    def close(self) -> None:
        """Close the world."""
        self._batch.close()
        self._world.close()
