"""How fast eyes see: `gaze-robot bench render`.

Views per second beside a plain renderer made of torch.nn.functional.grid_sample, in the same run
and along the same path, and steps per second of the environments. Times are medians of rounds in
which everything takes its turn, so that a machine that slows down slows all of it down.

The plain renderer reads one tap per sample, whatever lies between; `ratio_*` compares it with one
tap of ours (samples=1), `ratio_samples_2_*` with the four that environments read unless told
otherwise, `ratio_default_samples_*` with exact means, of nine taps or more.
"""

from collections.abc import Callable
import contextlib
from dataclasses import dataclass
import functools
import importlib.metadata
import math
from pathlib import Path
import platform
import time
from typing import Any

import cv2
import gymnasium
import numpy as np
import torch
from tqdm import tqdm

from gaze_robot.errors import ConfigError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.geometry import base_from_optical
from gaze_robot.policy.actions import MOVES
from gaze_robot_sim import envs  # noqa: F401 - registers the environments
from gaze_robot_sim.cores import available_cores
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.procedural import ProceduralWorld

FOV_DEG = tuple(2 * math.degrees(math.atan(tangent)) for tangent in (0.2, 0.4, 1.0))
WIDTHS = (3840, 1920, 1024)
"""Of the panoramas, pixels."""
THREADS = (1, 2)

KINDS = {'': 1, 'samples_2_': 2, 'default_samples_': 0}
"""Prefixes of figures of views -> the taps along a side of each sample (`Panorama.levels`)."""

_STEP_DEG = 10.0
"""The gaze moves this far per view and axis at most, as a saccade per picture would."""
_HIGHEST_DEG = 50.0
"""How far up or down the path leads."""
_TASK = 'gaze_robot/Search-v0'
_EYES, _SCENES = 64, 4
_STEPS = 90
"""Per round: whole episodes, so that each round holds as many resets."""


@dataclass(frozen=True)
class BenchRenderConfig:
    """Measure rendering and the environments on this machine."""

    rounds: int = 9
    """How often everything is timed; medians are reported."""

    views: int = 100
    """Views per round."""

    seed: int = 0
    """Of pictures, path and actions."""

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.views < 1 or self.seed < 0:
            raise ConfigError('rounds and views are at least 1 and seed is not negative, got '
                              f'{self.rounds}, {self.views} and {self.seed}')


class PlainRenderer:
    """What one would write first: no copies of the panorama, no averages, one tap per sample."""

    def __init__(self, image: np.ndarray, pattern: FoveationPattern) -> None:
        """Take a panorama (height, width, 3) uint8."""
        self._panorama = torch.from_numpy(image).permute(2, 0, 1)[None].float().contiguous()
        self._rays = []
        for level, window in enumerate(pattern.window):
            steps = ((torch.arange(window) + 0.5) / window * 2 - 1) * pattern.half_tangent(level)
            down, right = torch.meshgrid(steps, steps, indexing='ij')
            ray = torch.stack([right, down, torch.ones_like(down)], dim=-1)
            self._rays.append(ray / ray.norm(dim=-1, keepdim=True))

    def __call__(self, pan_rad: float, tilt_rad: float) -> list[torch.Tensor]:
        """One (1, 3, window, window) float32 per level."""
        with torch.inference_mode():
            turn = torch.from_numpy(base_from_optical(pan_rad, tilt_rad).T).float()
            levels = []
            for rays in self._rays:
                x, y, z = (rays @ turn).unbind(-1)
                across, up = torch.atan2(y, x), torch.asin(z.clamp(-1, 1))
                grid = torch.stack([across / -math.pi, up / (-math.pi / 2)], dim=-1)[None]
                levels.append(torch.nn.functional.grid_sample(
                    self._panorama, grid, padding_mode='border', align_corners=False))
        return levels


def bench_render(config: BenchRenderConfig) -> dict[str, Any]:
    """Measure; progress goes to stderr."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    try:
        result = {**_views(config), **_environments(config)}
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])
    return {**result, 'machine': machine(), 'versions': {
        name: importlib.metadata.version(name) for name in ('numpy', 'torch', 'gymnasium')
    } | {'opencv': cv2.__version__, 'python': platform.python_version()}, 'settings': {
        'rounds': config.rounds, 'views_per_round': config.views, 'seed': config.seed,
        'levels': [64] * 3, 'fov_deg': FOV_DEG,
        'samples': {f'ratio_{kind}*, {kind}views_per_s_*': samples
                    for kind, samples in KINDS.items()},
        'path': f'random, smooth, up to {_STEP_DEG:g} degrees per view; the same for both',
        'environment': f'Search-v0, {_EYES} eyes, 3 levels of 32x32, {_SCENES} rooms of width '
                       '512, samples 1 (2 in env_steps_per_s_default_samples and '
                       '..._all_defaults), threads 2, random actions, resets included'}}


def _views(config: BenchRenderConfig) -> dict[str, float]:
    """Views per second of both renderers, and how many times quicker ours is."""
    rng = np.random.default_rng(config.seed)
    pattern = FoveationPattern(FOV_DEG, (64,) * 3, (16,) * 3)
    path = gaze_path(rng, config.views)
    work: dict[tuple[str, int, int], Callable[[], None]] = {}
    for width in WIDTHS:
        image = cv2.resize(rng.integers(0, 256, (64, 128, 3), np.uint8), (width, width // 2),
                           interpolation=cv2.INTER_CUBIC)
        panorama, plain = Panorama(image), PlainRenderer(image, pattern)

        def ours(samples: int, panorama: Panorama = panorama) -> None:
            for pan, tilt in path:
                panorama.levels(pan, tilt, pattern, samples)

        def theirs(plain: PlainRenderer = plain) -> None:
            for pan, tilt in path:
                plain(pan, tilt)
        for threads in THREADS:
            for kind, samples in KINDS.items():
                work[kind, width, threads] = _with_threads(
                    threads, functools.partial(ours, samples))
            work['plain_', width, threads] = _with_threads(threads, theirs)
    seconds = _timed(work, config.rounds, 'views')
    result = {}
    for threads in THREADS:
        for width in WIDTHS:
            name = f'{"" if width == WIDTHS[0] else f"{width}_"}{_in_words(threads)}'
            other = seconds['plain_', width, threads]
            for kind in KINDS:
                result[f'ratio_{kind}{name}'] = other / seconds[kind, width, threads]
            for kind in (*KINDS, 'plain_'):
                result[f'{kind}views_per_s_{name}'] = config.views / seconds[kind, width, threads]
    return dict(sorted(result.items(), key=lambda item: not item[0].startswith('ratio')))


def gaze_path(rng: np.random.Generator, views: int) -> list[tuple[float, float]]:
    """Pan and tilt of a gaze that wanders, radians: small steps, sometimes large ones."""
    step = np.radians(rng.uniform(-_STEP_DEG, _STEP_DEG, (views, 2)))
    pan, tilt = np.cumsum(step, axis=0).T
    highest = math.radians(_HIGHEST_DEG)
    tilt = np.abs((tilt + highest) % (4 * highest) - 2 * highest) - highest     # there and back
    return list(zip(pan.tolist(), tilt.tolist()))


def _environments(config: BenchRenderConfig) -> dict[str, float]:
    """Steps per second, of all eyes together."""
    small, large = _warm(config.seed, 512), _warm(config.seed, 1024)
    common: dict[str, Any] = {'pattern': FoveationPattern(FOV_DEG, (32,) * 3, (8,) * 3),
                              'scenes': _SCENES, 'scene_uses': 0}
    actions = np.random.default_rng(config.seed).integers(len(MOVES), size=(4 * _STEPS, _EYES))
    work = {}
    with contextlib.ExitStack() as opened:
        for name, episodes, options in (
                ('env_steps_per_s', 4, {**common, 'world': small, 'samples': 1}),
                ('env_steps_per_s_default_samples', 2, {**common, 'world': small}),
                ('env_steps_per_s_rooms_1024', 4, {**common, 'world': large, 'samples': 1}),
                ('env_steps_per_s_all_defaults', 1, {})):   # makes new rooms as it goes
            many = gymnasium.make_vec(_TASK, num_envs=_EYES, threads=2, **options)
            opened.callback(many.close)
            many.reset(seed=config.seed)

            def steps(env: gymnasium.vector.VectorEnv = many, last: int = episodes * _STEPS
                      ) -> None:
                for action in actions[:last]:
                    env.step(action)
            work[name, _EYES * episodes * _STEPS] = _with_threads(2, steps)
        one = gymnasium.make(_TASK, world=small, samples=1, **common)
        opened.callback(one.close)

        def episode() -> None:
            one.reset(seed=config.seed)
            for action in actions[:_STEPS, 0]:
                one.step(action)
        work['steps_per_s_single_env', _STEPS] = _with_threads(2, episode)
        seconds = _timed(work, config.rounds, 'environments')
    return {name: steps / seconds[name, steps] for name, steps in work}


def _warm(seed: int, width: int) -> ProceduralWorld:
    """Rooms in which every place to look for has been found."""
    world = ProceduralWorld(seed, width=width)
    rng = np.random.default_rng(seed)
    for number in range(_SCENES):
        for _ in range(500):                        # of 32 places each
            world.scene(number).sample_target(rng)
    return world


def _with_threads(threads: int, work: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
        work()
    return run


def _timed(work: dict[Any, Callable[[], None]], rounds: int, title: str) -> dict[Any, float]:
    """Median seconds of each piece of work; all take turns, after one round of warming up."""
    spent: dict[Any, list[float]] = {name: [] for name in work}
    for number in tqdm(range(rounds + 1), desc=title, unit='round'):
        for name, one in work.items():
            start = time.perf_counter()
            one()
            if number:
                spent[name].append(time.perf_counter() - start)
    return {name: float(np.median(seconds)) for name, seconds in spent.items()}


def _in_words(threads: int) -> str:
    return f'{threads}_thread{"s" * (threads > 1)}'


def machine() -> dict[str, Any]:
    """Processor and cores, to stand beside figures."""
    info = Path('/proc/cpuinfo')
    names = [line.split(':', 1)[1].strip() for line in info.read_text().splitlines()
             if line.startswith('model name')] if info.exists() else []
    return {'processor': names[0] if names else platform.processor() or platform.machine(),
            'cores': available_cores()}
