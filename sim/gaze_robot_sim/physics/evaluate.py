"""Does looking make the hand succeed? One table: an eye against the cameras people mount."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
import functools
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from gaze_robot.draw import write
from gaze_robot.errors import CheckpointError, ConfigError, WorldError
from gaze_robot.film import Video
from gaze_robot.hand_eye import load_hand_eye
from gaze_robot.outputs import check_writable
from gaze_robot.shipped import WEIGHTS
from gaze_robot_sim.evaluate import wilson
from gaze_robot_sim.physics.closed_loop import Episode, HandAtWork
from gaze_robot_sim.physics.conditions import condition_of, CONDITIONS
from gaze_robot_sim.physics.expert import succeeds
from gaze_robot_sim.physics.tasks import KINDS
from gaze_robot_sim.physics.views import Painter
from gaze_robot_sim.physics.world import PhysicsConfig, PhysicsWorld
from gaze_robot_sim.workers import workers

EXAM = 1 << 40
"""Added to seeds of episodes; those of training are smaller."""
_TALL, _WIDE = 360, 240
"""Pixels of a film's frame, and of what the hand is shown in it."""


@dataclass(frozen=True)
class EvalWorkspaceConfig:
    """Measure hands at work in a workspace, each through its own pictures."""

    task: str = 'press'
    """press, bucket, wipe, shelf or read."""

    policies: str = ''
    """Folder with a run or checkpoint for each condition, named after it: learned (of `train
    bcrl`), oracle, wide, exo, wrist, exo_wrist (of `train workspace`); those that are missing are
    left out. Empty: what ships, for press, bucket and read."""

    n: int = 100
    """Episodes of each seed."""

    seeds: int = 3
    """How many sets of episodes."""

    seed: int = 1
    """Of the first set; the others follow."""

    expert_n: int = 200
    """Episodes of the expert: those of the sets, in their order, and more sets where they are few.
    """

    time_limit_s: float = 0.0
    """After this long an episode has failed; 0: the task's own, 8 to 15 s."""

    dynamics: str = 'head'
    """How the eye moves: 'head', with the speed and acceleration of a real one, as over ROS;
    'off', to where it is told, at once; 'typical', 'random' (`EyeDynamics`)."""

    jobs: int = 1
    """Processes that measure at the same time."""

    picture: str = ''
    """Where to draw the comparison, a .png; empty: nowhere."""

    videos: str = ''
    """Folder for a film of each condition (.webm); empty: none."""

    @property
    def world(self) -> PhysicsConfig:
        """What episodes are like. Raises ConfigError for what makes no sense."""
        return PhysicsConfig(dynamics=self.dynamics, time_limit_s=self.time_limit_s)

    def __post_init__(self) -> None:
        if self.task not in KINDS:
            raise ConfigError(f'there is no task {self.task!r}; known: {", ".join(KINDS)}')
        if min(self.n, self.seeds, self.jobs) < 1 or min(self.seed, self.expert_n) < 0:
            raise ConfigError('n, seeds and jobs are at least 1, seed and expert_n not negative, '
                              f'got {self.n}, {self.seeds}, {self.jobs}, {self.seed} and '
                              f'{self.expert_n}')
        self.world                                   # noqa: B018  complain now
        if self.picture and not self.picture.endswith('.png'):
            raise ConfigError(f'picture ends in .png, got {self.picture}')


def evaluate_workspace(config: EvalWorkspaceConfig) -> dict[str, Any]:
    """Give the same episodes to every hand, and to the expert.

    Raises:
        ConfigError: picture or videos cannot be written, or there would be nothing in them.
        CheckpointError: a hand cannot be read, or was trained for something else.
        MissingDependencyError: MuJoCo cannot draw here.
    """
    folder = Path(config.policies or WEIGHTS / 'workspace' / config.task)
    paths = {name: folder / name for name in CONDITIONS if (folder / name).is_dir()}
    if not paths and config.policies:
        raise CheckpointError(f'{config.policies} has none of {", ".join(CONDITIONS)} in it; make '
                              'them with `gaze-robot train workspace` and `train bcrl --demos`')
    if not paths and (config.picture or config.videos):
        raise ConfigError(f'no hand ships for {config.task}, so there is nothing to draw or film; '
                          'train one (`gaze-robot train workspace`) and name its folder with '
                          '--policies')
    for name, path in paths.items():
        _open(config.task, name, str(path))                  # complain before the work
        if config.videos:
            check_writable(str(_film(config, name)), '--videos')
    if config.picture:
        check_writable(config.picture, '--picture')
    sets = [(EXAM + config.seed + number, index) for number in range(config.seeds)
            for index in range(config.n)]
    with workers(config.jobs) as run:
        expert = list(run(functools.partial(_expert, config), [
            (EXAM + config.seed + index // config.n, index % config.n)
            for index in range(config.expert_n)], 'expert'))
        found = {name: list(run(functools.partial(_measure, config, name, str(path)), sets, name))
                 for name, path in paths.items()}
    if config.videos:
        for name, path in paths.items():
            film(config, name, str(path))
    result = {
        'task': config.task, 'n': config.n, 'seeds': config.seeds, 'dynamics': config.dynamics,
        'conditions': {name: figures(found[name]) if name in found else None
                       for name in CONDITIONS},
        'expert_success_rate': float(np.mean([outcome == 'success' for outcome in expert]))
        if expert else None,
        'expert_outcomes': dict(Counter(expert)),
        'gaze_switch_fraction': switch_fraction(found.get('learned', []))}
    if config.picture and found:
        draw(result, Path(config.picture))
    return result


def figures(episodes: Sequence[Episode]) -> dict[str, Any]:
    """What a condition's row of the table says."""
    won = [one for one in episodes if one.outcome == 'success']
    low, high = wilson(len(won), len(episodes))
    return {
        'success_rate': len(won) / len(episodes), 'ci_low': low, 'ci_high': high,
        'median_time_s': _middle([one.time_s for one in won]),
        'regrasps': float(np.mean([one.regrasps for one in episodes])),
        'collisions': float(np.mean([one.collisions for one in episodes])),
        'on_aim': _mean([one.on_aim for one in episodes]),
        'gaze_error_deg': _middle([one.gaze_error_deg for one in episodes
                                   if one.gaze_error_deg is not None]),
        'median_switch_s': _middle([one.switch_s for one in won if one.switch_s is not None]),
        'outcomes': dict(Counter(one.outcome for one in episodes))}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _middle(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None


def switch_fraction(episodes: Sequence[Episode]) -> float | None:
    """Share of the successful episodes in which the eye went from the thing to its place ahead of
    the hand (`Episode.switched`); None where there is nothing to share.
    """
    switched = [one.switched for one in episodes
                if one.outcome == 'success' and one.switched is not None]
    return float(np.mean(switched)) if switched else None


def _open(task: str, name: str, path: str) -> HandAtWork:
    """A hand for a condition and a task, ready to work."""
    both = load_hand_eye(path)
    for what, wanted in (('workspace', task), ('condition', name)):
        said = both.meta.get(what, wanted)
        if said != wanted:
            raise CheckpointError(f'{path} was trained for the {what} {said}, not {wanted}')
    return HandAtWork(both, condition_of(name, both.pattern))


@functools.lru_cache(maxsize=1)
def _ready(task: str, name: str, path: str) -> HandAtWork:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    return _open(task, name, path)


def _measure(config: EvalWorkspaceConfig, name: str, path: str, which: tuple[int, int]
             ) -> Episode:
    world = PhysicsWorld(config.task, *which, config.world)
    painter = Painter(world)
    try:
        return _ready(config.task, name, path).live(world, painter)
    finally:
        painter.close()


def _expert(config: EvalWorkspaceConfig, which: tuple[int, int]) -> str:
    try:
        return succeeds(PhysicsWorld(config.task, *which, config.world))
    except WorldError:
        return 'unreachable'


def _film(config: EvalWorkspaceConfig, name: str) -> Path:
    return Path(config.videos) / f'{config.task}_{name}.webm'


def film(config: EvalWorkspaceConfig, name: str, path: str) -> None:
    """Film a condition's first episode: the table from the side, and what the hand is shown."""
    world = PhysicsWorld(config.task, EXAM + config.seed, 0, config.world)
    painter = Painter(world)
    out = _film(config, name)
    out.parent.mkdir(parents=True, exist_ok=True)
    frames: list[np.ndarray] = []

    shown: list[np.ndarray] = []

    def add() -> None:
        frame = np.concatenate([painter.picture('exo', 480, _TALL), _column(shown)], axis=1)
        write(frame, f'{name}: {world.task.instruction}', 8, 20)
        write(frame, f'{world.time_s:.1f} s {world.outcome}', 8, _TALL - 12)
        frames.append(frame)

    def seen(levels: list[np.ndarray]) -> None:
        shown[:] = levels
        if world.steps % 2 == 0:
            add()
    try:
        _open(config.task, name, path).live(world, painter, seen)
        if world.outcome != 'diverged':
            add()
    finally:
        painter.close()
    video = Video(str(out), world.config.rate_hz / 2, (frames[0].shape[1], _TALL))
    for frame in [*frames, *frames[-1:] * round(world.config.rate_hz / 2)]:      # a second more
        video.add(frame)
    video.close()


def _column(levels: Sequence[np.ndarray]) -> np.ndarray:
    """What a hand is shown, the sharpest above: (_TALL, as wide as that is, 3)."""
    out, each, across = np.zeros((_TALL, _WIDE, 3), np.uint8), _TALL // len(levels), 0
    for number, level in enumerate(levels):
        scale = min(each / level.shape[0], _WIDE / level.shape[1])
        height, width = (int(side * scale) for side in level.shape[:2])
        out[number * each:number * each + height, :width] = cv2.resize(
            level, (width, height), interpolation=cv2.INTER_NEAREST)
        across = max(across, width)
    return out[:, :across + across % 2]                   # codecs like even numbers


def draw(result: dict[str, Any], path: Path) -> None:
    """Success rates with their intervals, as bars."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    rows = {name: row for name, row in result['conditions'].items() if row}
    rates = [row['success_rate'] for row in rows.values()]
    reach = [[rate - row['ci_low'] for rate, row in zip(rates, rows.values())],
             [row['ci_high'] - rate for rate, row in zip(rates, rows.values())]]
    figure, axes = pyplot.subplots(figsize=(7, 4))
    axes.bar(list(rows), rates, yerr=reach, capsize=5, color='tab:blue')
    if result['expert_success_rate'] is not None:
        axes.axhline(result['expert_success_rate'], color='grey', linestyle='--', label='expert')
        axes.legend()
    axes.set(ylim=(0, 1.05), ylabel='success', title=f'{result["task"]}, 48 tokens each')
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
