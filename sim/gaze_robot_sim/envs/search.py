"""Search: turn a pan-tilt eye until it looks at what an exemplar shows, and keep looking at it.

`SearchBatch` is the one implementation, for any number of eyes; `SearchEnv` is gymnasium's view of
one eye and `SearchVecEnv` stable-baselines3's of many.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
import math
from typing import Any

import cv2
import gymnasium
import numpy as np

from gaze_robot.drivers.kinematic import advance
from gaze_robot.errors import CommandError
from gaze_robot.foveation import FILL
from gaze_robot.gaze_target.evidence import CELLS
from gaze_robot.geometry import angle_between, direction_from_pan_tilt, pan_tilt_from_direction
from gaze_robot.perception import Perception, PerceptionNetwork, valid_cells
from gaze_robot.policy.actions import move, MOVES
from gaze_robot.policy.observation import Observer, Peak, vector_size
from gaze_robot.types import Exemplar, PanTiltLimits
from gaze_robot_sim.cameras import random_camera
from gaze_robot_sim.envs.rewards import Outcome, reward
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.base import SearchTarget, World

_START_TILT = 0.6
"""Searches begin looking this far up or down at most, radians."""


@dataclass(frozen=True)
class SearchConfig:
    """One search task."""

    rate_hz: float = 30.0
    """Pictures, and actions, per second."""

    episode_s: float = 3.0
    """Simulated seconds until an episode is truncated."""

    max_start_deg: float = 90.0
    """The target is at most this far from where the eye starts."""

    across_stop: float = 0.0
    """Share of starts from which the target may lie beyond the head's pan stop."""

    discrete: bool = True
    """EyeRobot's 25 moves, or a continuous move of up to 10 degrees per axis."""

    limits: PanTiltLimits = PanTiltLimits()
    """Of the head; motion between pictures is the kinematic driver's."""

    hfov_deg: float = 90.0
    """Of the camera whose pictures the eye samples: what lies outside is not seen."""

    aspect: float = 0.75
    """Height over width of its pictures."""

    delay_steps: int = 0
    """Actions take effect this many pictures late; with `randomise`, up to this many."""

    randomise: bool = False
    """Vary camera, noise and delay from episode to episode (training)."""

    scene_uses: int = 4
    """Episodes drawn from a scene, on average, before the world makes another."""

    rewards: Mapping[str, float] = field(default_factory=lambda: {
        'near': 0.02, 'approach': 0.05, 'on_target': 0.05, 'centred': 0.05, 'unsteady': 0.02})
    """Scale of each term of `rewards.TERMS`; discounted sums stay near 1, where PPO's clipped
    gradients are not spent on the critic."""


class SearchBatch:
    """Many eyes, each with its own scene, target and pose; actions in, observations out."""

    def __init__(self, eyes: int, worlds: Sequence[World], network: PerceptionNetwork,
                 config: SearchConfig = SearchConfig(), seed: int = 0,
                 map_eyes: Callable[[Callable, Iterable], Iterable] = map) -> None:
        self.eyes, self.worlds, self.config = eyes, list(worlds), config
        self.pattern = network.pattern
        self.perception = Perception(network, eyes, map_eyes)
        self.observer = Observer(eyes, self.pattern, config.limits)
        self._map = map_eyes
        self._random = [np.random.default_rng([seed, eye]) for eye in range(eyes)]
        self._panorama: list[Panorama | None] = [None] * eyes
        self.target: list[SearchTarget | None] = [None] * eyes
        self._mask: list[tuple[np.ndarray, ...]] = [()] * eyes
        self._valid = np.zeros((eyes, self.pattern.levels, CELLS, CELLS), bool)
        self.pose, self.speed = np.zeros((eyes, 2)), np.zeros((eyes, 2))
        self.steps = np.zeros(eyes, int)
        self._delay = np.zeros(eyes, int)
        self._noise = np.zeros(eyes)
        self._pending: list[list[np.ndarray]] = [[] for _ in range(eyes)]
        self.views: list[np.ndarray] = []
        self.peak = Peak(np.zeros((eyes, self.pattern.levels)),
                         np.zeros((eyes, self.pattern.levels, 2)),
                         np.zeros((eyes, self.pattern.levels)))
        """Of every eye's last glance."""

    def reseed(self, seed: int) -> None:
        """Start every eye's random stream anew."""
        self._random = [np.random.default_rng([seed, eye]) for eye in range(self.eyes)]

    def start(self, eyes: Sequence[int]) -> None:
        """Give some eyes a new scene, target and pose; call `look` afterwards."""
        exemplars: dict[int, Exemplar | None] = {}
        for eye in eyes:
            rng, config = self._random[eye], self.config
            world = self.worlds[int(rng.integers(len(self.worlds)))]
            if rng.random() < 1.0 / config.scene_uses:
                world.next_scene(rng)
            self._panorama[eye] = world.panorama()
            target = world.sample_target(rng)
            self.target[eye] = target
            exemplars[eye] = target.exemplar
            self.pose[eye], self.speed[eye] = self._start_pose(rng, target.direction), 0.0
            camera, self._delay[eye], self._noise[eye] = self._sensor(rng)
            self._mask[eye] = self.pattern.inside_camera(*camera)
            self._valid[eye] = valid_cells(self._mask[eye])
            self._pending[eye] = [self.pose[eye].copy() for _ in range(self._delay[eye])]
            self.steps[eye] = 0
        self.perception.look_for(exemplars)
        self.observer.reset(list(eyes))

    def _start_pose(self, rng: np.random.Generator, target: np.ndarray) -> np.ndarray:
        """A pose within the limits, at most max_start_deg from the target.

        The head can turn there the short way, unless `across_stop`: a target just beyond the pan
        stop is near to the eye and most of a turn away for the neck.
        """
        limits, farthest = self.config.limits, math.radians(self.config.max_start_deg)
        low, high = np.array(limits.min_position), np.array(limits.max_position)
        low[1], high[1] = max(low[1], -_START_TILT), min(high[1], _START_TILT)
        pan, tilt = pan_tilt_from_direction(target)
        across = rng.random() < self.config.across_stop
        for _ in range(1000):
            pose = rng.uniform(low, high)
            if angle_between(direction_from_pan_tilt(*pose), target) <= farthest and (
                    across or abs(pose[0] - pan) <= math.pi):
                return pose
        return np.clip([float(pan), float(tilt)], low, high)

    def _sensor(self, rng: np.random.Generator) -> tuple[tuple[float, float], int, float]:
        """((hfov_deg, aspect), delay in steps, standard deviation of noise) of an episode."""
        config = self.config
        if not config.randomise:
            return (config.hfov_deg, config.aspect), config.delay_steps, 0.0
        return (random_camera(rng), int(rng.integers(config.delay_steps + 1)),
                float(rng.choice([0.0, 2.0, 4.0])))

    def step(self, action: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Move every eye: reward (B,) and its parts; call `look` afterwards."""
        if len(action) != self.eyes:
            raise CommandError(f'{self.eyes} eyes need as many actions, got {len(action)}')
        limits, before = self.config.limits, self.error_rad()
        goal = np.clip(self.pose + move(action, self.config.discrete),
                       limits.min_position, limits.max_position)
        for eye in np.nonzero(self._delay)[0]:
            self._pending[eye].append(goal[eye].copy())
            goal[eye] = self._pending[eye].pop(0)
        self.pose, self.speed = advance(self.pose, self.speed, goal, limits,
                                        1.0 / self.config.rate_hz)
        self.steps += 1
        return reward(Outcome(self.error_rad(), before, np.linalg.norm(self.speed, axis=1)),
                      self.config.rewards)

    def error_rad(self) -> np.ndarray:
        """(B,) angle from each fovea's centre to its target: the truth, for rewards and scores."""
        direction = np.stack([target.direction for target in self.target if target is not None])
        return angle_between(direction_from_pan_tilt(self.pose[:, 0], self.pose[:, 1]), direction)

    def scenes(self) -> list[tuple[Panorama, SearchTarget]]:
        """Every eye's scene and target."""
        return [(panorama, target) for panorama, target in zip(self._panorama, self.target)
                if panorama is not None and target is not None]

    @property
    def finished(self) -> np.ndarray:
        """(B,) bool: the episode's time is over."""
        return self.steps >= round(self.config.episode_s * self.config.rate_hz)

    def look(self, eyes: Sequence[int] | None = None) -> dict[str, np.ndarray]:
        """Take a glance with some eyes (default all): tokens (B, N, D), vector (B, V), float32."""
        chosen = np.arange(self.eyes) if eyes is None else np.asarray(eyes)
        self.views = [np.stack(rows) for rows in zip(*self._map(self._view, chosen))]
        percept = self.perception(self.views, self._valid[chosen], chosen)
        vector, peak = self.observer.observe(
            percept, self._valid[chosen], self.pose[chosen], self.speed[chosen],
            self.steps[chosen] / self.config.rate_hz, chosen)
        self.peak.probability[chosen] = peak.probability
        self.peak.offset_rad[chosen] = peak.offset_rad
        self.peak.nearby[chosen] = peak.nearby
        return {'tokens': percept.tokens, 'vector': vector}

    def _view(self, eye: int) -> list[np.ndarray]:
        panorama, (pan, tilt) = self._panorama[eye], self.pose[eye]
        assert panorama is not None, 'start() comes before look()'
        levels = panorama.levels(float(pan), float(tilt), self.pattern)
        for level, mask in zip(levels, self._mask[eye]):
            if self._noise[eye]:
                noise = self._random[eye].standard_normal(level.shape, np.float32)
                np.clip(level + noise * np.float32(self._noise[eye]), 0, 255, out=noise)
                level[:] = noise
            level[~mask] = FILL
        return levels


def spaces(network: PerceptionNetwork, discrete: bool
           ) -> tuple[gymnasium.spaces.Dict, gymnasium.Space]:
    """Observation and action space."""
    shape = (network.pattern.tokens, network.encoder.config.width)
    observation = gymnasium.spaces.Dict({
        'tokens': gymnasium.spaces.Box(-np.inf, np.inf, shape, np.float32),
        'vector': gymnasium.spaces.Box(-np.inf, np.inf, (vector_size(network.pattern),),
                                       np.float32)})
    return observation, (gymnasium.spaces.Discrete(len(MOVES)) if discrete
                         else gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32))


class SearchEnv(gymnasium.Env):
    """Find what an exemplar shows, from anywhere in a room, and hold it.

    ## Observation
    | key    | shape  | dtype   | meaning                                                       |
    |--------|--------|---------|---------------------------------------------------------------|
    | tokens | (N, D) | float32 | the foveated view, encoded                                    |
    | vector | (V,)   | float32 | pose, speed, the estimator's peaks, remembered candidates,    |
    |        |        |         | past glances and the egocentric map: `policy.observation`     |

    ## Action      Discrete(25): stay, 8 directions x 10, 3, 1 degrees; or Box(-1, 1, (2,)):
    ##             (pan left, tilt down) as fractions of 10 degrees. A goal, not a jump: the head
    ##             moves there with its own speed and acceleration.
    ## Reward      sum of scale * term, `envs.rewards.TERMS`; each in info['reward/<term>'].
    ## Start       a random pose at most `max_start_deg` from a random target of the world.
    ## Ends        terminated: never. truncated: after `episode_s`.
    ## Ids         gaze_robot/Search-v0
    ## History     v0: first version.
    """

    metadata = {'render_modes': ['rgb_array'], 'render_fps': 30}

    def __init__(self, worlds: Sequence[World] | None = None,
                 network: PerceptionNetwork | None = None, config: SearchConfig = SearchConfig(),
                 render_mode: str | None = None) -> None:
        if worlds is None:
            from gaze_robot_sim.scenes import open_world
            worlds = [open_world('procedural')]
        if network is None:
            from gaze_robot.checkpoint import load_policy
            network = load_policy().perception
        self.render_mode = render_mode
        self.batch = SearchBatch(1, worlds, network, config)
        self.observation_space, self.action_space = spaces(network, config.discrete)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None
              ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Start an episode; a seed also decides the scenes, whatever was seen before."""
        super().reset(seed=seed)
        if seed is not None:
            self.batch.reseed(seed)
            for world in self.batch.worlds:
                world.next_scene(self.np_random)
        self.batch.start([0])
        return self._observation(), {'error_rad': float(self.batch.error_rad()[0])}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict]:
        """Move, look."""
        value, parts = self.batch.step(np.asarray(action)[None])
        info = {name: float(part[0]) for name, part in parts.items()}
        info['error_rad'] = float(self.batch.error_rad()[0])
        return self._observation(), float(value[0]), False, bool(self.batch.finished[0]), info

    def render(self) -> np.ndarray | None:
        """The levels side by side, sharpest first, in the size of the largest, uint8 RGB."""
        if self.render_mode != 'rgb_array' or not self.batch.views:
            return None
        side = max(self.batch.pattern.window)
        return np.concatenate([cv2.resize(level[0], (side, side), interpolation=cv2.INTER_NEAREST)
                               for level in self.batch.views], axis=1)

    def _observation(self) -> dict[str, np.ndarray]:
        return {name: value[0] for name, value in self.batch.look().items()}
