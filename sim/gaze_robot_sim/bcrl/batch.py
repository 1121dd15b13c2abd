"""Eyes that watch demonstrations: their reward is how right the hand is about what comes next.

The truth about where to look is kept apart (`aim`): nothing of reward or observation is computed
from it. They come from the picture, the demonstrated actions, and the hand.

B eyes   N tokens   J joints   G task   K chunk   A actions   V vector
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
import math
from typing import Any, Literal

import gymnasium
import numpy as np
import torch

from gaze_robot.errors import ConfigError, WorldError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.geometry import pan_tilt_from_direction
from gaze_robot.policy.actions import move
from gaze_robot.policy.glances import Glances
from gaze_robot.policy.hand import chunk_error, cut, HandNetwork
from gaze_robot.policy.recall import Recall
from gaze_robot.types import PanTiltLimits
from gaze_robot_sim.bcrl.plays import Play, PlaySource, Scale
from gaze_robot_sim.bcrl.salient import salient_gazes
from gaze_robot_sim.bcrl.sight import Sight
from gaze_robot_sim.envs.batch import EyeBatch, Eyes
from gaze_robot_sim.envs.config import check_numbers, EyeConfig
from gaze_robot_sim.render import Mapper
from gaze_robot_sim.scenes.base import Scene

PATTERN = FoveationPattern((15.0, 40.0, 90.0), (32, 32, 32), (8,))
"""Three levels of 32 x 32 samples, 48 tokens."""

_LIMITS = PanTiltLimits((-1.92, -0.61), (1.92, 0.61))
_START_PAN, _START_TILT = math.radians(100), math.radians(25)
"""Episodes begin looking anywhere within these."""
_ASTRAY_RAD = math.radians(4.0)
"""Standard deviation of scattered gazes about what stands out."""
_OWN_HAND_ASTRAY = (math.radians(3.0), math.radians(30.0))
"""The same of gazes about where the demonstrating hand will act, equally often in each octave: the
hand learns to see what it looks for in the corner of its eye, too."""
_LATE = 0.5
"""Share of those gazes that are put into the last second of a part of the task, which ends before
the demonstration does."""
_SALIENT = 8
"""Such gazes drawn from a picture at a time."""


@dataclass(frozen=True)
class WatchConfig(EyeConfig):
    """How demonstrations are watched; `rewards` are scales of 'hand' and 'centring'."""

    episode_s: float = 4.0
    """Seconds of a demonstration; of a longer one another part is taken each time."""

    pause_steps: int = 30
    discrete: bool = False
    limits: PanTiltLimits = _LIMITS
    dynamics: Any = 'off'
    aspect: float = 0.75
    chunk: int = 30
    """Steps that the hand predicts."""

    judged: Literal['after', 'before'] = 'after'
    """Which view the hand is judged on: the one a move leads to, or the one it was chosen from."""

    own_hand: float = 0.25
    """Share of scattered gazes that go where the demonstrating hand will act, if that is known.
    Of those at what stands out on a table of buttons a fifth hit what matters: too few to tell the
    hand that it pays to know which of them is named. With many, it takes all of the right colour
    that it looks at for the one."""

    details: float = 0.0
    """Share of scattered gazes at what stands out that go to fine detail, in workspaces in
    physics: a sign's stripes, which a hand could not learn to read from where colours are."""

    early: float = 0.0
    """Share of scattered gazes at what stands out that are put into the second after a hand-over:
    what to do next has to be found out there."""

    recalls: bool = False
    """Whether eyes remember what they saw, see `HandEye.recalls`."""

    surveys: float = 1.0
    """Share of episodes that such eyes begin by looking around. In training, glances at nothing
    teach little, and that much of looking is no choice of theirs."""

    rewards: Mapping[str, float] = field(default_factory=lambda: {'hand': 0.2, 'centring': 0.02})

    def __post_init__(self) -> None:
        rewards = self.rewards
        unknown = set(rewards) - {'hand', 'centring'}
        if unknown:
            raise ConfigError(f'no such reward terms: {sorted(unknown)}; known: hand, centring')
        object.__setattr__(self, 'rewards', {})
        super().__post_init__()
        object.__setattr__(self, 'rewards', dict(rewards))
        check_numbers(self, chunk=(1, 1000), own_hand=(0, 1), details=(0, 1),
                      early=(0, 1), surveys=(0, 1))
        if self.judged not in ('after', 'before'):
            raise ConfigError(f'judged is after or before, got {self.judged!r}')


class WatchBatch(EyeBatch):
    """B eyes, each in front of a demonstration; observations are 'view' and 'vector'."""

    Config = WatchConfig
    config: WatchConfig

    def __init__(self, eyes: int, source: PlaySource, hand: HandNetwork, scale: Scale,
                 config: WatchConfig | None = None, pattern: FoveationPattern = PATTERN,
                 seed: int = 0, mapper: Mapper = map, first: int = 0) -> None:
        """Make eyes.

        Args:
            hand: judges; read, never changed.
            first: number of the first play to show, of a source without end.
        """
        super().__init__(eyes, [_Elsewhere()], pattern, config, seed, mapper)
        self.source, self.hand, self.scale, self.first = source, hand, scale, first
        play = source.play(0).episode
        joints, task, actions = len(play.joint_names), len(play.task), len(play.action_names)
        length, chunk = self.config.length - self.config.pause_steps, self.config.chunk
        self.play: list[Play | None] = [None] * eyes
        self.begun = np.zeros(eyes, int)
        """(B,) the step of its play that each episode began with."""
        self.last = np.full(eyes, length - 1)
        """(B,) the last step of the play that an episode comes to, counted from its begin."""
        self._joints = np.zeros((eyes, length, joints), np.float32)
        self._reference = np.zeros((eyes, length, actions), np.float32)
        self._actions = np.zeros((eyes, length + chunk, actions), np.float32)
        self._ends = np.zeros((eyes, length), int)
        self._goals = np.full((eyes, length, 3), np.nan, np.float32)
        self._aims = np.tile(np.array([1.0, 0.0, 0.0]), (eyes, length, 1))
        self.task = np.zeros((eyes, task), np.float32)
        self._rows, self._ahead = np.arange(eyes), np.arange(chunk)
        self.glances = Glances(eyes, self.pattern, joints, task, hand.config.phase,
                               shapes=hand.config.shapes, foresees=hand.config.foresees,
                               recalls=self.config.recalls)
        self.recall = Recall(eyes, hand.config) if self.config.recalls else None
        self.view = np.zeros((eyes, self.pattern.tokens, self.pattern.token_side ** 2 * 3),
                             np.uint8)
        """What each eye sees now."""
        self.attention = np.zeros((eyes, self.pattern.tokens), np.float32)
        self.hand_error = np.zeros(eyes)
        """(B,) of what the hand does now."""
        self._seen_error = np.zeros(eyes)
        """(B,) of what it says of what each eye sees now, which need not be what it does: see
        `Recall.act`. That is what eyes are rewarded for."""
        self._vector = np.zeros((eyes, self.glances.size), np.float32)
        self._salient = [np.zeros((0, 2))] * eyes
        self._moved = False

    # --- what EyeBatch asks of a task

    def _enter(self, eye: int, rng: np.random.Generator, number: int | None) -> np.ndarray:
        """Put an eye in front of the next play; its pose."""
        self.steps[eye], self._salient[eye] = 0, np.zeros((0, 2))
        index = self._next(eye, rng) if number is None else number
        play = self.source.play(index)
        episode = play.episode
        self.play[eye], self.scene[eye] = play, episode.scene
        self._places[eye] = (0, index)
        length = self._joints.shape[1]
        begun = int(rng.integers(max(1, episode.steps - length + 1)))
        self.begun[eye], self._start_s[eye] = begun, begun / episode.rate_hz
        rows = np.minimum(begun + np.arange(length + self.config.chunk), episode.steps - 1)
        own = rows[:length]
        self.last[eye] = min(length, episode.steps - begun) - 1
        self._joints[eye] = episode.joints[own]
        same = episode.joint_names == episode.action_names
        self._reference[eye] = (episode.joints if same else episode.actions)[own]
        self._actions[eye] = episode.actions[rows]
        self._ends[eye] = play.ends[own] - begun
        self._goals[eye] = np.nan if play.goal is None else play.goal[own]
        if play.aim is not None:
            self._aims[eye] = play.aim[own]
        self.present[eye] = play.aim is not None
        self.aim[eye] = self._aims[eye, 0]
        self.task[eye] = episode.task
        return self.initial_pose(rng)

    def initial_pose(self, rng: np.random.Generator) -> np.ndarray:
        """Where an episode begins to look, (2,) radians."""
        return rng.uniform([-_START_PAN, -_START_TILT], [_START_PAN, _START_TILT])

    def _next(self, eye: int, rng: np.random.Generator) -> int:
        if self.source.count is not None:
            return int(rng.integers(self.source.count))
        return self.first + int(self._episodes[eye]) * self.eyes + eye

    @property
    def now(self) -> np.ndarray:
        """(B,) the step of its demonstration that each eye is at, counted from its begin."""
        return np.minimum(np.maximum(self.steps - self.config.pause_steps, 0), self.last)

    @property
    def finished(self) -> np.ndarray:
        """(B,) bool: the demonstration is over."""
        return self.steps > self.last + self.config.pause_steps

    @property
    def observation_space(self) -> gymnasium.spaces.Dict:
        """Of one eye."""
        box = gymnasium.spaces.Box
        return gymnasium.spaces.Dict({
            'view': box(0, 255, (self.view[0].size,), np.uint8),
            'vector': box(-np.inf, np.inf, (self.glances.size,), np.float32)})

    # --- life

    def start(self, eyes: Eyes, options: Mapping[str, Any] | None = None) -> None:
        """Begin episodes; see `EyeBatch.start`."""
        super().start(eyes, options)
        self.glances.reset(np.asarray(eyes, int))
        if self.recall:
            self.recall.reset(np.asarray(eyes, int))
            self.glances.search.settle(np.array([
                eye for eye in eyes if self.random[eye].random() >= self.config.surveys], int))
        self._moved = False

    def scatter(self) -> None:
        """Put every eye at any moment of its demonstration, looking at something that stands out,
        or where the hand will have gone when this part of its task is done, or near it.
        """
        if self.recall:
            self.recall.reset(self._rows)               # each glance is of another moment
        for eye, rng in enumerate(self.random):
            self.steps[eye] = rng.integers(self.config.pause_steps + int(self.last[eye]) + 1)
            play, astray = self.play[eye], _ASTRAY_RAD
            own = play is not None and play.goal is not None and (
                rng.random() < self.config.own_hand)
            if own:
                self.steps[eye] = self.config.pause_steps + self._moment(eye, rng)
            goal = self._goals[eye, self.now[eye]]
            if own and np.isfinite(goal).all():
                gaze = np.stack(pan_tilt_from_direction(goal))
                astray = math.exp(rng.uniform(*np.log(_OWN_HAND_ASTRAY)))
            else:
                if not len(self._salient[eye]):
                    self._salient[eye] = self.salient(eye, rng, _SALIENT)
                gaze, self._salient[eye] = self._salient[eye][0], self._salient[eye][1:]
                over = int(self._ends[eye, 0])
                if self.config.early and over < self.last[eye] and (
                        rng.random() < self.config.early):
                    self.steps[eye] = self.config.pause_steps + over + rng.integers(min(
                        self.last[eye] - over, round(self.config.rate_hz)))
            self.motion.start(eye, rng, np.clip(
                gaze + rng.normal(0.0, astray, 2), self.config.limits.min_position,
                self.config.limits.max_position))
        self.settle()

    def _moment(self, eye: int, rng: np.random.Generator) -> int:
        """A step of an episode that has a goal, as often before the hand-over as after it, and
        half of them within a second of the end of that part, if that is not the demonstration's:
        there an arm has to be exact, and is so for a few steps only.
        """
        known = np.isfinite(self._goals[eye, :self.last[eye] + 1]).all(axis=1)
        over, after = int(self._ends[eye, 0]), max(1, int(known.sum()))  # then none
        first, past = ((0, over), (over, after))[rng.integers(2)] if over < after else (0, after)
        if past <= self.last[eye] and rng.random() < _LATE:     # it ends while the eye watches
            first = max(first, past - round(self.config.rate_hz))
        return int(rng.integers(first, past))

    def salient(self, eye: int, rng: np.random.Generator, count: int) -> np.ndarray:
        """Gazes (count, 2) at what stands out in front of an eye now."""
        scene = self.scene[eye]
        assert scene is not None
        return salient_gazes(rng, scene.panorama(self.scene_time(eye)).image,
                             (_START_PAN, _START_TILT), count)

    def settle(self) -> None:
        """Bring everything up to where the eyes look and when, after these were set."""
        self.aim[:] = self._aims[self._rows, self.now]
        self._see(self._rows)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Move every eye and look. The reward is the hand's; see `WatchConfig.judged`.

        Returns:
            Reward (B,), and 'reward/<term>', 'hand_error' and all of `truth`, (B,) each.
        """
        before = self._seen_error, self.glances.reader.centred(self.attention)
        around, onwards = self.glances.around(self._rows, self.reported)
        self.motion.step(self.reported + np.where(
            around[:, None], onwards, move(action, self.config.discrete)))
        self.steps += 1
        self.settle()
        self._moved = True
        error, centred = before if self.config.judged == 'before' else (
            self._seen_error, self.glances.reader.centred(self.attention))
        terms = {'hand': -error, 'centring': centred}
        parts = {f'reward/{name}': scale * terms[name]
                 for name, scale in self.config.rewards.items()}
        return (sum(parts.values(), np.zeros(self.eyes)),
                {**parts, 'hand_error': self.hand_error, **self.truth()})

    def look(self, eyes: Eyes | None = None) -> dict[str, np.ndarray]:
        """What some eyes (default all) see: after a step, what they saw then."""
        chosen = self._rows if eyes is None else np.asarray(eyes, int)
        if not (self._moved and eyes is None):
            self._see(chosen)
        self._moved = False
        return {'view': self.view[chosen].reshape(len(chosen), -1),
                'vector': self._vector[chosen]}

    def sight(self) -> Sight:
        """What every eye's hand is given now, and should say."""
        chunk, real = self._wanted(self._rows)
        goal = self._goals[self._rows, self.now, None]
        return Sight(self.view, self.reported.astype(np.float32),
                     self._joints[self._rows, self.now], self.task, chunk, real,
                     np.repeat(goal, len(self.hand.config.levels), axis=1))

    def _see(self, eyes: np.ndarray) -> None:
        """Take a glance, and ask the hand what it makes of it."""
        self.view[eyes] = cut(self.views(eyes), self.pattern.token_side)
        joints = self._joints[eyes, self.now[eyes]]
        gaze, task = self.reported[eyes].astype(np.float32), self.task[eyes]
        wanted = [torch.from_numpy(values) for values in self._wanted(eyes)]

        def off(chunk: torch.Tensor) -> np.ndarray:
            return chunk_error(chunk.cpu(), *wanted).numpy()
        with torch.no_grad():
            device = self.hand.rays.device
            said = self.hand(*(torch.from_numpy(values).to(device) for values in (
                self.view[eyes], joints, gaze, task)))
        if self.recall:
            self.recall.take(self.hand, self.glances, eyes, self.view[eyes], gaze, joints, task)
        self.attention[eyes] = said.attention.cpu().numpy()
        self._vector[eyes] = self.glances.observe(
            self.attention[eyes], gaze, (joints - self.scale.joint_mean) / self.scale.joint_spread,
            task, eyes, *(None if value is None else value.cpu().numpy()
                          for value in (said.told, said.foreseen)))
        self._seen_error, self.hand_error = self._seen_error.copy(), self.hand_error.copy()
        self._seen_error[eyes] = self.hand_error[eyes] = off(said.chunk)
        if self.recall:
            self.hand_error[eyes] = off(self.recall.act(
                self.hand, self.glances, eyes, gaze, joints, task, said.chunk))

    def views(self, eyes: np.ndarray) -> list[np.ndarray]:
        """What some eyes see now: (len(eyes), height, width, 3) uint8 per level."""
        super().look(eyes)
        return [level[eyes] for level in self.retina.views]

    def _wanted(self, eyes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Demonstrated chunks (len(eyes), K, A) over their spread, and which steps count."""
        now = self.now[eyes]
        rows = now[:, None] + self._ahead
        away = self._actions[eyes[:, None], rows] - self._reference[eyes, now][:, None]
        return away / self.scale.action_spread, rows < self._ends[eyes, now][:, None]

    def observe(self, eyes: np.ndarray) -> dict[str, np.ndarray]:
        """Nothing more than `look` gives."""
        return {}


class _Elsewhere:
    """The world of a batch whose scenes come with its plays."""

    name = 'demonstrations'
    count: int | None = 1

    def scene(self, index: int) -> Scene:
        """None of its own."""
        raise WorldError(f'demonstrations bring their scenes; there is no scene {index}')

    def close(self) -> None:
        """Nothing to release."""
