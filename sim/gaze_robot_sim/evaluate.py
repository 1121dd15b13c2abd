"""Searches with known targets, scored: a policy beside honest baselines."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
import math
from typing import Any, Literal

import cv2
import numpy as np
import torch
from tqdm import tqdm

from gaze_robot.allocator import keep_large_blocks
from gaze_robot.checkpoint import load_policy
from gaze_robot.errors import CheckpointError, ConfigError
from gaze_robot.geometry import angle_between
from gaze_robot.policy.actions import nearest_move
from gaze_robot.policy.network import EyePolicy
from gaze_robot.policy.observation import recognised
from gaze_robot.runtime.choose import choose as pick
from gaze_robot.runtime.exported import read_export
from gaze_robot_sim.cores import available_cores
from gaze_robot_sim.envs.search import SearchConfig
from gaze_robot_sim.envs.seeing import SeeingBatch
from gaze_robot_sim.oracles import Oracle, random_policy
from gaze_robot_sim.rule import SearchRule
from gaze_robot_sim.scenes import open_world
from gaze_robot_sim.scenes.base import World
from gaze_robot_sim.scenes.procedural import ProceduralWorld
from gaze_robot_sim.scenes.targets import template_match

Chooser = Callable[[dict[str, np.ndarray], SeeingBatch], np.ndarray]
"""Observation and simulator to (B,) actions; but for the oracle, baselines may use pose and
heatmaps, not the truth."""

WITHIN_DEG, HOLD_S = 5.0, 0.5
_UNSEEN = 1 << 40
"""Added to the seed of rooms; seeds of training are smaller."""
_GLANCE_PIXELS_PER_DEGREE = 0.53
"""What a 120-degree, 64-pixel periphery sees: the resolution of one template-matching glance."""


@dataclass(frozen=True)
class EvalSearchConfig:
    """Measure searching, beside a random policy, a raster scan and template matching."""

    worlds: str = 'procedural'
    """'procedural', a panorama, a folder of panoramas, or a 360-degree video."""

    n: int = 200
    """Searches."""

    seed: int = 1
    """Seed of rooms, targets and starts."""

    policy: str = ''
    """Checkpoint folder; empty: the one shipped."""

    runtime: Literal['', 'auto', 'torch', 'onnxruntime', 'openvino'] = ''
    """What computes perception; empty: the graph in the folder where `gaze-robot export` wrote
    one, else torch."""

    seconds: float = 0.0
    """Time allowed per search; 0: 3 s in procedural rooms, 5 s elsewhere."""

    max_start_deg: float = 90.0
    """Starts are at most this far from the target."""

    baselines: bool = True
    """Measure the other searchers, too: five times as long. Template matching is always there."""

    def __post_init__(self) -> None:
        if (self.n < 1 or self.seed < 0 or not 0 <= self.seconds < math.inf
                or not 0 < self.max_start_deg <= 180):
            raise ConfigError('n must be at least 1, seed and seconds not negative and '
                              f'max_start_deg between 0 and 180, got {self.n}, {self.seed}, '
                              f'{self.seconds}, {self.max_start_deg}')


def learned(eye: EyePolicy) -> Chooser:
    """The trained policy's most probable action."""
    def choose(observation: dict[str, np.ndarray], batch: SeeingBatch) -> np.ndarray:
        return eye.act(torch.from_numpy(observation['tokens']),
                       torch.from_numpy(observation['vector'])).numpy()
    return choose


class RasterScan:
    """Sweep row after row with the same perception, and go to what the fovea recognises."""

    ROWS_DEG = (0.0, -18.0, 18.0, -36.0, 36.0)
    ON_ROW_RAD = math.radians(3)
    SURE = 0.5

    def __init__(self) -> None:
        self._row = np.zeros(0, int)
        self._side = np.zeros(0)

    def __call__(self, _: dict[str, np.ndarray], batch: SeeingBatch) -> np.ndarray:
        """One action per eye."""
        fresh = batch.steps == 0
        if len(self._row) != batch.eyes:
            self._row, self._side = np.zeros(batch.eyes, int), np.ones(batch.eyes)
        self._row[fresh], self._side[fresh] = 0, 1.0
        low, high = batch.config.limits.min_position[0], batch.config.limits.max_position[0]
        pan = batch.pose[:, 0]
        turn = np.where(self._side > 0, pan > high - 0.1, pan < low + 0.1)
        self._row[turn] = (self._row[turn] + 1) % len(self.ROWS_DEG)
        self._side[turn] *= -1
        rows = np.radians(np.array(self.ROWS_DEG))[self._row]
        drop = rows - batch.pose[:, 1]
        along = np.where(np.abs(drop) > self.ON_ROW_RAD, 0.0, self._side)     # first to the row
        towards = np.stack([along, drop], axis=1)
        probability, offset = recognised(batch.peak, batch.pattern)
        seen = probability > self.SURE
        towards[seen] = offset[seen]
        return nearest_move(towards)


def run_episodes(batch: SeeingBatch, choose: Chooser, episodes: int,
                 progress: Callable[[Iterable], Iterable] = iter) -> dict[str, np.ndarray]:
    """Run whole episodes and keep every step's error.

    Returns:
        error_deg (episodes, steps + 1); sure (episodes,) the fovea's confidence at the end.
    """
    length = round(batch.config.episode_s * batch.config.rate_hz)
    errors, sure = [], []
    for _ in progress(range(-(-episodes // batch.eyes))):
        batch.start(range(batch.eyes))
        rows = [np.degrees(batch.error_rad())]
        for _ in range(length):
            batch.step(choose(batch.look(), batch))
            rows.append(np.degrees(batch.error_rad()))
        errors.append(np.stack(rows, axis=1))
        sure.append(recognised(batch.peak, batch.pattern)[0])
    return {'error_deg': np.concatenate(errors)[:episodes],
            'sure': np.concatenate(sure)[:episodes]}


def found_and_held(error_deg: np.ndarray, rate_hz: float, within_deg: float = WITHIN_DEG,
                   hold_s: float = HOLD_S) -> np.ndarray:
    """Which searches succeeded, (episodes,) bool.

    Args:
        error_deg: (episodes, steps + 1).
        hold_s: the last `hold_s` must all be within `within_deg`: it has arrived and stays, inside
            the time allowed.
    """
    hold = max(1, round(hold_s * rate_hz))
    return np.asarray((error_deg[:, -hold:] <= within_deg).all(axis=1))


def score(error_deg: np.ndarray, rate_hz: float, within_deg: float = WITHIN_DEG,
          hold_s: float = HOLD_S) -> dict[str, Any]:
    """Summarise searches; see `found_and_held`.

    Returns:
        n, success_rate with its 95 % interval, median_error_deg at the end, and median_time_s of
        the successful ones: None if there is none.
    """
    near = error_deg <= within_deg
    success = found_and_held(error_deg, rate_hz, within_deg, hold_s)
    # Arrival: the first step after which the gaze never leaves again.
    left = np.where(~near, np.arange(near.shape[1])[None], -1).max(axis=1)
    times = (left[success] + 1) / rate_hz
    low, high = wilson(int(success.sum()), len(success))
    return {'n': len(error_deg), 'success_rate': float(success.mean()),
            'success_low': low, 'success_high': high,
            'median_error_deg': float(np.median(error_deg[:, -1])),
            'median_time_s': float(np.median(times)) if success.any() else None}


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """95 % confidence interval of a proportion (Wilson 1927)."""
    share, square = hits / n, z * z / n
    middle = (share + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(share * (1 - share) / n + square / (4 * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def failures(error_deg: np.ndarray, sure: np.ndarray, fovea_deg: float, success: np.ndarray
             ) -> dict[str, int]:
    """Why searches failed: how far they got."""
    seen = error_deg.min(axis=1) < fovea_deg / 2
    held = ~success & (sure > 0.5) & (error_deg[:, -1] > WITHIN_DEG)
    return {'held_the_wrong_place': int(held.sum()),
            'seen_sharply_but_left': int((~success & seen & ~held).sum()),
            'never_in_the_fovea': int((~success & ~seen & ~held).sum())}


def template_baseline(batch: SeeingBatch, episodes: int, pixels_per_degree: float) -> dict:
    """One glance of template matching over the whole band, for the same targets."""
    found = []
    for _ in range(-(-episodes // batch.eyes)):
        batch.start(range(batch.eyes))
        for panorama, target in batch.scenes():
            scale = min(pixels_per_degree, panorama.width / 360)
            best = template_match(panorama, target.exemplar, scale, count=1)
            found.append(len(best) > 0 and math.degrees(
                float(angle_between(best[0], target.direction))) <= WITHIN_DEG)
    hits = found[:episodes]
    return {'n': len(hits), 'success_rate': float(np.mean(hits))}


@contextmanager
def opened(spec: str, seed: int, rooms: int) -> Iterator[Sequence[World]]:
    """The world of an evaluation: `rooms` rooms that no training saw, or what the path names."""
    world = (ProceduralWorld(_UNSEEN + seed, rooms) if spec == 'procedural'
             else open_world(spec, seed))
    with closing(world):
        yield [world]


def evaluate_search(config: EvalSearchConfig) -> dict[str, Any]:
    """Run the same searches with the policy and with every baseline.

    Raises:
        CheckpointError, WorldError: what is asked for cannot be read.
    """
    policy = load_policy(config.policy)
    if policy.eye is None:
        raise CheckpointError(f'{config.policy} has no eye; give a folder that '
                              '`gaze-robot train search` wrote')
    keep_large_blocks()
    cv2.setNumThreads(1)
    torch.set_num_threads(available_cores())
    exported = read_export(config.policy, policy)
    runtime = pick(policy.perception, config.runtime or ('auto' if exported else 'torch'),
                     exported, threads=available_cores()).runtime
    seconds = config.seconds or (3.0 if config.worlds == 'procedural' else 5.0)
    task = SearchConfig(episode_s=seconds, scene_uses=10 ** 9, discrete=policy.eye.discrete,
                        max_start_deg=config.max_start_deg)
    eyes = min(50, config.n)
    with ThreadPoolExecutor(available_cores()) as pool, \
            opened(config.worlds, config.seed, rooms=min(50, config.n)) as worlds:
        def fresh(discrete: bool = True) -> SeeingBatch:
            batch = SeeingBatch(eyes, worlds, policy.perception, replace(task, discrete=discrete),
                                config.seed, pool.map)
            batch.perception.runtime = runtime
            return batch

        def shown(name: str) -> Callable[[Iterable], Iterable]:
            return lambda rounds: tqdm(rounds, desc=name, unit='round')
        own = run_episodes(fresh(policy.eye.discrete), learned(policy.eye), config.n,
                           shown('learned'))
        result = score(own['error_deg'], task.rate_hz)
        result['failures'] = failures(
            own['error_deg'], own['sure'], policy.perception.pattern.fov_deg[0],
            found_and_held(own['error_deg'], task.rate_hz))
        baselines: dict[str, Any] = {}
        others = (('random', random_policy(config.seed)), ('raster', RasterScan()),
                  ('rule', SearchRule()), ('oracle', Oracle()))
        for name, choose in others if config.baselines else ():
            run = run_episodes(fresh(), choose, config.n, shown(name))
            baselines[name] = score(run['error_deg'], task.rate_hz)
        baselines['template_glance'] = template_baseline(fresh(), config.n,
                                                         _GLANCE_PIXELS_PER_DEGREE)
        baselines['template_full'] = template_baseline(fresh(), config.n, math.inf)
    return {'worlds': config.worlds, 'seed': config.seed, 'seconds': seconds,
            'runtime': runtime.name + (' int8' if exported and exported.int8 else ''), **result,
            'baselines': baselines}
