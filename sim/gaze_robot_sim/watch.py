"""Watch an environment: `gaze-robot sim watch` writes a film of some episodes."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
import difflib
import importlib
import math
from pathlib import Path
import re
from typing import Annotated, Any

import cv2
import numpy as np
from tqdm import tqdm
from tyro.conf import arg, Positional

from gaze_robot.errors import CheckpointError, ConfigError
from gaze_robot.film import check_path, Film, Video
from gaze_robot_sim.dashboard import Dashboard, WIDTH
from gaze_robot_sim.envs import TASKS
from gaze_robot_sim.envs.batch import EyeBatch
from gaze_robot_sim.envs.making import make_batch
from gaze_robot_sim.oracles import Oracle, Player, random_policy, stay
from gaze_robot_sim.scenes import open_world

POLICIES = ('oracle', 'random', 'stay', 'rule', 'learned')
_FINAL_S = 0.5
"""How long the last picture of an episode stands."""


@dataclass(frozen=True)
class WatchConfig:
    """Write a film of an environment."""

    env: Annotated[Positional[str], arg(metavar='[ENV]')] = 'Search-v0'
    """Search-v0, Track-v0, Orient-v0 or Follow-v0; 'gaze_robot/' may stand before it."""

    world: str = 'procedural'
    """'procedural', a panorama, a folder of panoramas, or a 360-degree video."""

    policy: str = 'oracle'
    """Who moves the eye: oracle (knows the truth), random or stay; in Search also rule (written by
    hand) and learned (the policy that is shipped)."""

    episodes: int = 2
    """How many."""

    seed: int = 0
    """Of rooms, targets, starts and the random policy."""

    dynamics: str = 'head'
    """Imperfections of head and camera: off, head, typical or random."""

    pause_steps: int = 0
    """Steps at the start of each episode in which the world waits."""

    out: str = 'watch.mp4'
    """The film: .mp4 (VP9, plays in browsers), .webm (VP8: larger, six times as quick) or .gif."""

    size: int = 0
    """Pixels across, 800 to 3840; 0: 1280, and 960 in a GIF."""

    every: int = 2
    """Steps for each picture of the film, which always lasts as long as the episodes; 1: all."""

    def __post_init__(self) -> None:
        for name in ('episodes', 'every'):
            if getattr(self, name) < 1:
                raise ConfigError(f'{name} must be at least 1, got {getattr(self, name)}')
        if self.seed < 0:
            raise ConfigError(f'seed must be 0 or more, got {self.seed}')
        if self.policy not in POLICIES:
            raise ConfigError(_unknown('policy', self.policy, POLICIES))
        task_of(self.env)
        if Path(self.out).suffix.lower() not in (*Video.CODECS, '.gif'):
            raise ConfigError(f'a film ends in {", ".join(Video.CODECS)} or .gif, got '
                              f'{self.out!r}')


def task_of(env: str) -> str:
    """'Search' of 'gaze_robot/Search-v0', 'Search-v0' or 'search'.

    Raises:
        ConfigError: there is no such environment; the text names those there are.
    """
    name = re.sub(r'-v0$', '', env.removeprefix('gaze_robot/'))
    for task in TASKS:
        if task.lower() == name.lower():
            return task
    raise ConfigError(_unknown('environment', env, [f'{task}-v0' for task in TASKS]))


def _unknown(what: str, given: str, known: Any) -> str:
    near = difflib.get_close_matches(given, known, n=1)
    hint = f'; did you mean {near[0]!r}?' if near else ''
    return f'there is no {what} {given!r}{hint} Known: {", ".join(known)}'


def _cast(config: WatchConfig) -> tuple[EyeBatch, Callable]:
    """The eye, and who moves it.

    Raises:
        ConfigError, CheckpointError, WorldError: it cannot be had; the text says why.
    """
    task = task_of(config.env)
    if config.policy in ('rule', 'learned'):
        if task != 'Search':
            raise ConfigError(f'{config.policy} can only do Search-v0; for {task}-v0 there are '
                              'oracle, random and stay')
        return _searcher(config)
    module = importlib.import_module(f'gaze_robot_sim.envs.{task.lower()}')
    batch = make_batch(getattr(module, f'{task}Batch'), 1,
                       open_world(config.world, config.seed), options=_options(config))
    players: dict[str, Player] = {'oracle': Oracle(), 'random': random_policy(config.seed),
                                  'stay': stay}
    return batch, players[config.policy]


def _options(config: WatchConfig) -> dict[str, Any]:
    return {'dynamics': config.dynamics, 'pause_steps': config.pause_steps}


def _searcher(config: WatchConfig) -> tuple[EyeBatch, Callable]:
    """An eye that sees through the robot's perception, and the policy that reads that."""
    from gaze_robot.checkpoint import load_policy
    from gaze_robot_sim.envs.search import SearchConfig
    from gaze_robot_sim.envs.seeing import SeeingBatch
    from gaze_robot_sim.evaluate import learned
    from gaze_robot_sim.rule import SearchRule
    policy = load_policy()
    if policy.eye is None:
        raise CheckpointError('the shipped policy has no eye')
    batch = SeeingBatch(1, [open_world(config.world, config.seed)], policy.perception,
                        SearchConfig(**_options(config)))
    return batch, learned(policy.eye) if config.policy == 'learned' else SearchRule()


class Gif:
    """The same for a GIF: ten frames a second at first, fewer the longer it gets."""

    codec = 'gif'

    def __init__(self, path: str, fps: float) -> None:
        """Prepare.

        Raises:
            MissingDependencyError: Pillow is not there.
        """
        check_path(path)
        self.path, self.frames, self._fps, self._added = path, 0, fps, 0
        self._film = Film(every_s=0.1, most=120)

    def add(self, frame: np.ndarray) -> None:
        """Keep a frame, if one is due."""
        now = self._added / self._fps
        self._added += 1
        if self._film.wants(now):
            self._film.add(frame, now)

    def close(self) -> None:
        """Write the file."""
        self.frames = len(self._film.frames)
        if self.frames:
            self._film.save(self.path)


@contextmanager
def replacing(path: str) -> Iterator[str]:
    """A name beside a file for what takes its place once it is complete; on failure it is removed.

    Raises:
        ConfigError: nothing can be written there.
    """
    target = Path(path)
    part = target.with_name(f'.{target.stem}.part{target.suffix}')
    if target.is_dir():
        raise ConfigError(f'{path} cannot be written: it is a folder')
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
    except OSError as error:
        raise ConfigError(f'{path} cannot be written ({error.strerror})') from error
    try:
        yield str(part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def watch(config: WatchConfig) -> dict[str, Any]:
    """Run some episodes and film them.

    Returns:
        env, policy, episodes, steps, return and reward per term (means over the episodes),
        mean_error_deg while there is something to look at, frames, encoding, path.

    Raises:
        ConfigError, WorldError, CheckpointError: what is asked for cannot be had.
    """
    cv2.setNumThreads(1)
    gif = Path(config.out).suffix.lower() == '.gif'
    batch, act = _cast(config)
    with closing(batch), replacing(config.out) as part:
        board = Dashboard(batch, 0, f'{task_of(config.env)}-v0  {config.policy}',
                          config.size or (960 if gif else WIDTH))
        height, width = board.shape[:2]
        fps = batch.config.rate_hz / config.every
        film = Gif(part, fps) if gif else Video(part, fps, (width, height))
        with closing(film):
            figures = play(batch, act, board, film.add, config.episodes, config.seed,
                           config.every)
    return {'env': f'gaze_robot/{task_of(config.env)}-v0', 'policy': config.policy, **figures,
            'frames': film.frames, 'encoding': film.codec, 'path': config.out}


def play(batch: EyeBatch, act: Callable, board: Dashboard, film: Callable[[np.ndarray], None],
         episodes: int, seed: int = 0, every: int = 1) -> dict[str, Any]:
    """Run a batch of one eye and film each `every`th step; returns what `watch` does of it."""
    batch.reseed(seed)
    length, rate = batch.config.length, batch.config.rate_hz
    sums: dict[str, float] = {}
    errors = []
    with tqdm(total=episodes * length, desc='filming', unit='step') as progress:
        for _ in range(episodes):
            batch.start([0])
            observation = batch.look()
            board.began()
            film(board.frame())
            for step in range(1, length + 1):
                _, parts = batch.step(act(observation, batch))
                observation = batch.look()
                board.stepped(parts)
                if step % every == 0:
                    film(board.frame())
                for name, part in parts.items():
                    if name.startswith('reward/'):
                        sums[name[7:]] = sums.get(name[7:], 0.0) + float(part[0])
                if batch.present[0]:
                    errors.append(math.degrees(parts['error_rad'][0]))
                progress.update()
            for _ in range(round(_FINAL_S * rate / every)):
                film(board.frame())
    return {'episodes': episodes, 'steps': episodes * length,
            'return': sum(sums.values()) / episodes,
            'reward': {name: total / episodes for name, total in sums.items()},
            'mean_error_deg': float(np.mean(errors)) if errors else math.nan}
