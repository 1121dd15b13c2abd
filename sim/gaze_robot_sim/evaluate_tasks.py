"""Tracking, turning to people and following gazes, scored: what is there to win in each task.

Scripted players, and in following gazes the robot itself: its pipeline, fed camera pictures. The
oracle shows what the head and the moves allow, the random player and the one that never moves what
is won by chance.

The ceiling is what a perfect head would reach: from every moment at which the target jumped (the
start of an episode, somebody new, another thing), a copy of the head is sent there directly, as
fast as its speed, acceleration and latency allow, and the steps until it is within 5 degrees are
lost to everybody. At 3.1 rad/s and 30 rad/s^2 a turn of 40 degrees costs 0.3 s.
"""

from collections.abc import Callable
import copy
from dataclasses import dataclass
import functools
import math
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from tqdm import tqdm

from gaze_robot.config import GazeConfig
from gaze_robot.errors import ConfigError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.geometry import angle_between, direction_from_pan_tilt, pan_tilt_from_direction
from gaze_robot_sim.dynamics import EyeDynamics
from gaze_robot_sim.envs.batch import EyeBatch
from gaze_robot_sim.envs.config import EyeConfig
from gaze_robot_sim.envs.follow import FollowBatch
from gaze_robot_sim.envs.orient import OrientBatch
from gaze_robot_sim.envs.track import TrackBatch
from gaze_robot_sim.evaluate import opened, WITHIN_DEG
from gaze_robot_sim.oracles import Oracle, Player, random_policy, stay
from gaze_robot_sim.robot_player import RobotPlayer

_UNUSED_VIEW = FoveationPattern((90.0,), (8,), (8,))
"""None of the players looks at a picture."""
_JUMP_RAD = math.radians(WITHIN_DEG)
SOON_S, STAYS_S = 2.0, 0.2
_LONGEST_S = 3.0
"""A head that needs longer than this is given up."""


@dataclass(frozen=True)
class EvalTaskConfig:
    """Measure a task with players that know everything, that draw lots, and that never move."""

    worlds: str = 'procedural'
    """'procedural', a panorama, a folder of panoramas, or a 360-degree video."""

    n: int = 100
    """Episodes of each player."""

    seed: int = 1
    """Seed of rooms, of what happens in them and of the random player."""

    seconds: float = 10.0
    """Length of an episode."""

    dynamics: str = 'head'
    """Of the head: 'off', 'head', 'typical' or 'random'."""

    Batch: ClassVar[type[EyeBatch]]

    def robot(self) -> GazeConfig | None:
        """Settings of the robot that plays as well; None: there is none for this task."""
        return None

    def __post_init__(self) -> None:
        EyeDynamics.named(self.dynamics)
        if self.n < 1 or self.seed < 0 or not 0.1 <= self.seconds <= 3600:
            raise ConfigError('n must be at least 1, seed not negative and seconds between 0.1 '
                              f'and 3600, got {self.n}, {self.seed}, {self.seconds}')


@dataclass(frozen=True)
class EvalTrackConfig(EvalTaskConfig):
    """Measure tracking with players that know everything, that draw lots, and that never move."""

    Batch = TrackBatch


@dataclass(frozen=True)
class EvalOrientConfig(EvalTaskConfig):
    """Measure turning to people with players that know everything, draw lots, or never move."""

    Batch = OrientBatch


@dataclass(frozen=True)
class EvalFollowConfig(EvalTaskConfig):
    """Measure following gazes with the robot's own people path, beside players that know
    everything, draw lots, or never move.
    """

    people_model: str = 'figures'
    """How the robot judges gazes; empty: leave the robot out, which takes most of the time."""

    people_heads: str = 'figures'
    """How it finds heads."""

    Batch = FollowBatch

    def robot(self) -> GazeConfig | None:
        """See `EvalTaskConfig`."""
        if not self.people_model:
            return None
        return GazeConfig(sources_people=1.0, people_model=self.people_model,
                          people_heads=self.people_heads)


def run(batch: EyeBatch, player: Player, episodes: int,
        progress: Callable[[range], Any] = iter) -> dict[str, np.ndarray]:
    """Run whole episodes and keep what happened at every step.

    Returns:
        (episodes, steps) each: error_deg; present; hidden, at least half of the target; onset,
        the target appeared, came out, or became another; lost, steps from now until a perfect head
        would be on a target that jumped here, 0 elsewhere; reward.
    """
    rows: dict[str, list[np.ndarray]] = {name: [] for name in (
        'error_deg', 'present', 'hidden', 'onset', 'lost', 'reward')}
    for _ in progress(range(-(-episodes // batch.eyes))):
        batch.start(range(batch.eyes))
        lost, aim = steps_needed(batch, batch.present), batch.aim.copy()
        here: dict[str, list[np.ndarray]] = {name: [] for name in rows}
        for step in range(batch.config.length):
            value, parts = batch.step(player(batch.look(), batch))
            onset = np.asarray(parts.get('onset', np.zeros(batch.eyes, bool)))
            jumped = onset & (angle_between(aim, batch.aim) > _JUMP_RAD)
            aim = batch.aim.copy()
            if jumped.any():
                lost = np.where(jumped, 1 + steps_needed(batch, jumped), lost)
            here['error_deg'].append(np.degrees(parts['error_rad']))
            here['present'].append(batch.present.copy())
            here['hidden'].append(np.asarray(parts.get('occluded', np.zeros(batch.eyes, bool))))
            here['onset'].append(onset | (batch.present if step == 0 else False))
            here['lost'].append(lost > 0)
            here['reward'].append(value)
            lost = np.maximum(lost - 1, 0)
        for name, steps in here.items():
            rows[name].append(np.stack(steps, axis=1))
    return {name: np.concatenate(parts)[:episodes] for name, parts in rows.items()}


def steps_needed(batch: EyeBatch, eyes: np.ndarray) -> np.ndarray:
    """(B,) steps, after this one, before a perfect head is on its standing target; 0 elsewhere.

    Args:
        eyes: (B,) bool, of interest.
    """
    head, goal = copy.deepcopy(batch.motion), np.stack(pan_tilt_from_direction(batch.aim), axis=1)
    needed, away = np.zeros(batch.eyes, int), np.asarray(eyes, bool)
    for _ in range(round(_LONGEST_S * batch.config.rate_hz)):
        head.step(goal)
        looks = direction_from_pan_tilt(head.pose[:, 0], head.pose[:, 1])
        away = away & (angle_between(looks, batch.aim) > _JUMP_RAD)
        if not away.any():
            break
        needed += away
    return needed


def score(log: dict[str, np.ndarray], rate_hz: float) -> dict[str, Any]:
    """Summarise a `run`; intervals are 95 %, from resampling whole episodes.

    Returns:
        on_target: share of the time with a target in which it is within 5 degrees; ceiling: the
        most that could be; of_ceiling: how much of that was; hidden: share of the time with a
        target in which it is hidden, and on_target_hidden (None where there is none);
        median_error_deg; reward_per_s; onsets; acquired: share of them after which the target was
        reached before it went or the next one, and median_acquire_s, others counted as never;
        within_2s: share of episodes that `reached_soon`.
    """
    near = (log['error_deg'] <= WITHIN_DEG) & log['present']
    target, hidden = log['present'], log['present'] & log['hidden']
    possible = target & ~log['lost']
    share = resampled(lambda rows: ratio(near[rows], target[rows]), len(near))
    pieces = [acquisitions(*rows, rate_hz) for rows in zip(near, target, log['onset'])]
    reached = [np.isfinite(times).sum() for times in pieces]
    soon = np.array([reached_soon(*rows, rate_hz) for rows in zip(near, target)])
    times = resampled(lambda rows: median(np.concatenate([pieces[row] for row in rows])),
                      len(near))
    errors = resampled(lambda rows: median(log['error_deg'][rows][target[rows]]), len(near))
    rewards = resampled(lambda rows: float(log['reward'][rows].mean() * rate_hz), len(near))
    return {**named('on_target', share), 'ceiling': ratio(possible, target),
            'of_ceiling': ratio(near, possible), 'hidden': ratio(hidden, target),
            'on_target_hidden': ratio(near & hidden, hidden),
            **named('median_error_deg', errors), **named('reward_per_s', rewards),
            'onsets': sum(map(len, pieces)),
            'acquired': float(sum(reached) / max(1, sum(map(len, pieces)))),
            **named('median_acquire_s', times), **named('within_2s', resampled(
                lambda rows: float(soon[rows].mean()), len(near)))}


def acquisitions(near: np.ndarray, present: np.ndarray, onset: np.ndarray, rate_hz: float
                 ) -> np.ndarray:
    """Seconds from each onset of an episode until the target is reached.

    inf where it is not before it goes or the next one comes. Those that leave less than half a
    second for it are left out.
    """
    times, starts = [], np.nonzero(onset)[0]
    for start, end in zip(starts, [*starts[1:], len(near)]):
        gone = np.nonzero(~present[start:end])[0]
        end = start + gone[0] if len(gone) else end
        hits = np.nonzero(near[start:end])[0]
        if end - start >= 0.5 * rate_hz:
            times.append(hits[0] / rate_hz if len(hits) else math.inf)
    return np.array(times)


def reached_soon(near: np.ndarray, present: np.ndarray, rate_hz: float) -> bool:
    """Whether the eye is on the target within `SOON_S` of the start, for `STAYS_S` at least."""
    stays = max(1, round(STAYS_S * rate_hz))
    last = min(round(SOON_S * rate_hz), len(near) - stays)
    return any(near[step:step + stays].all() and present[step] for step in range(last + 1))


def ratio(part: np.ndarray, whole: np.ndarray) -> float | None:
    """How often the one holds for each time that the other does; None where that never does."""
    return float(part.sum() / whole.sum()) if whole.any() else None


def median(values: np.ndarray) -> float | None:
    """None where there is none, or where half of them are infinite."""
    middle = float(np.median(values)) if len(values) else math.inf
    return middle if math.isfinite(middle) else None


def resampled(statistic: Callable[[np.ndarray], float | None], episodes: int, draws: int = 400
              ) -> tuple[float | None, float | None, float | None]:
    """A statistic of rows and the ends of its 95 % interval (percentile bootstrap, Efron 1979).

    Whole episodes are drawn, as their steps are not independent. An end is None where the
    statistic is there.
    """
    rng = np.random.default_rng(0)
    values = [statistic(rng.integers(episodes, size=episodes)) for _ in range(draws)]
    drawn = np.array([math.inf if value is None else value for value in values])
    low, high = (float(end) for end in np.quantile(drawn, (0.025, 0.975), method='nearest'))
    return (statistic(np.arange(episodes)), low if math.isfinite(low) else None,
            high if math.isfinite(high) else None)


def named(name: str, value: tuple[float | None, float | None, float | None]) -> dict[str, Any]:
    """The three numbers of `resampled` by name."""
    return {name: value[0], f'{name}_low': value[1], f'{name}_high': value[2]}


def evaluate_task(config: EvalTaskConfig) -> dict[str, Any]:
    """Run a task with every player.

    Raises:
        WorldError: the world cannot be read.
    """
    cv2.setNumThreads(1)
    eyes = min(50, config.n)
    players: dict[str, Player] = {'oracle': Oracle(), 'random': random_policy(config.seed),
                                  'stay': stay}
    result: dict[str, Any] = {}
    with opened(config.worlds, config.seed, rooms=min(20, config.n)) as worlds:
        settings: EyeConfig = config.Batch.Config(
            episode_s=config.seconds, scene_uses=0, dynamics=config.dynamics)
        robot = config.robot()
        if robot is not None:
            torch.set_num_threads(1)                          # as gaze_node
            players['robot'] = RobotPlayer(robot)
        for name, player in players.items():
            batch = config.Batch(eyes, worlds, _UNUSED_VIEW, settings, config.seed)
            log = run(batch, player, config.n, functools.partial(tqdm, desc=name, unit='round'))
            result[name] = score(log, settings.rate_hz)
    return {'worlds': config.worlds, 'seed': config.seed, 'seconds': config.seconds,
            'dynamics': config.dynamics, 'n': config.n, **result}
