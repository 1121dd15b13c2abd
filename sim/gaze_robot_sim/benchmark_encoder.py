"""What foveation saves: `gaze-robot bench encoder`.

The encoder over a foveated view, and the same weights over one uniform view as sharp as the fovea
and as wide as the widest level. Medians of rounds in which everything takes its turn for a while,
so that a machine that slows down slows all of it down, and nothing starts with another's cache.
"""

from collections.abc import Callable
from dataclasses import dataclass
import math
import time
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn.attention import sdpa_kernel, SDPBackend
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from gaze_robot.checkpoint import load_policy
from gaze_robot.encoder import EncoderConfig, FoveatedViT, patchify, TokenLayout
from gaze_robot.errors import ConfigError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.gaze_target.evidence import CELLS
from gaze_robot.optional import available
from gaze_robot.perception import PerceptionNetwork
from gaze_robot.runtime.graph import trace
from gaze_robot.runtime.sessions import SESSIONS
from gaze_robot_sim.benchmark_search import search_beside_uniform
from gaze_robot_sim.benchmark_stages import measure_stages
from gaze_robot_sim.benchmarks import machine
from gaze_robot_sim.cores import available_cores

_THREADS = 2
_TURN_S = 0.04
_CAMERA = (1280, 720)
_VIT_S = EncoderConfig(width=384, depth=12, heads=6, registers=4, patch=14)
"""The sizes of ViT-S/14, with weights nobody trained: time does not depend on them."""
_CROPS, _CROP_PX = 4, 224


@dataclass(frozen=True)
class BenchEncoderConfig:
    """Compare the foveated encoder with a uniform one that is as sharp and sees as much."""

    policy: str = ''
    """Checkpoint folder; empty: the one shipped."""

    rounds: int = 15
    """How often everything is timed; medians are reported."""

    pictures: int = 200
    """Camera pictures for the times from camera to policy."""

    quick: bool = False
    """Leave out ViT-S over 1792 x 1792 samples, which takes about a minute."""

    search: int = 0
    """Searches in rooms with the same weights behind both views; 0: none, they take minutes."""

    seed: int = 0
    """Of pictures and rooms."""

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.pictures < 1 or self.search < 0 or self.seed < 0:
            raise ConfigError('rounds and pictures are at least 1, search and seed not negative, '
                              f'got {self.rounds}, {self.pictures}, {self.search} and '
                              f'{self.seed}')


def bench_encoder(config: BenchEncoderConfig) -> dict[str, Any]:
    """Measure on two cores; progress goes to stderr.

    Returns:
        token_reduction (a fraction of 1) and speedup (how many times quicker, in the runtime in
        which the foveated encoder is quickest); tokens, flops, runtimes with one thread, as
        gaze_node has it, and with two, from which only the uniform view gains; vit_s with two;
        perception_ms and stages_ms of the whole eye with one; machine.

    Raises:
        CheckpointError: the checkpoint cannot be read.
    """
    before = torch.get_num_threads(), cv2.getNumThreads()
    threads = min(_THREADS, available_cores())
    try:
        cv2.setNumThreads(1)
        torch.set_num_threads(threads)
        network = load_policy(config.policy).perception
        several = compare(network, config.rounds, threads, config.seed)['runtimes']
        large = None if config.quick else vit_s(config.rounds, config.seed)
        torch.set_num_threads(1)
        result = compare(network, config.rounds, 1, config.seed)
        searches = search_beside_uniform(
            network, uniform_pattern(network.pattern), config.search, config.seed
        ) if config.search else None
        torch.set_num_threads(1)
        stages, runtime = measure_stages(config.policy, _CAMERA, config.pictures, config.seed)
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])
    table = {name: percentiles(values) for name, values in stages.items()}
    return {**result, f'runtimes_{threads}_threads': several, 'vit_s': large, 'search': searches,
            'perception_ms': table.pop('sum'), 'perception_runtime': runtime, 'stages_ms': table,
            'machine': machine()}


def percentiles(values: list[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    return {'p50': float(np.median(values)), 'p95': float(np.percentile(values, 95))}


def uniform_pattern(pattern: FoveationPattern) -> FoveationPattern:
    """One level as wide as the widest and as sharp, at its centre, as the sharpest; rounded to
    whole tokens and heatmap cells.
    """
    side, widest = pattern.token_side, pattern.levels - 1
    samples = pattern.window[0] * pattern.half_tangent(widest) / pattern.half_tangent(0)
    whole = math.lcm(side, CELLS)
    return FoveationPattern((pattern.fov_deg[widest],), (round(samples / whole) * whole,), (side,))


class Encode(nn.Module):
    """Views to tokens, without heads."""

    def __init__(self, network: PerceptionNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, *levels: torch.Tensor) -> torch.Tensor:
        """See `PerceptionNetwork.encode`."""
        return self.network.encode(levels)


def compare(network: PerceptionNetwork, rounds: int, threads: int, seed: int) -> dict[str, Any]:
    """Tokens, FLOPs and milliseconds of both, per runtime."""
    pattern = network.pattern
    plain = PerceptionNetwork(uniform_pattern(pattern), network.encoder.config).eval()
    plain.encoder.load_state_dict(network.encoder.state_dict())
    rng = np.random.default_rng(seed)
    work: dict[tuple[str, str], Callable[[], Any]] = {}
    counts: dict[str, dict[str, float]] = {'tokens': {}, 'flops': {}}
    for kind, made in (('foveated', network), ('uniform', plain)):
        views = [rng.integers(0, 256, (1, side, side, 3), np.uint8)
                 for side in made.pattern.window]
        encode, tensors = Encode(made).eval(), [torch.from_numpy(view) for view in views]
        counts['tokens'][kind] = made.front_end.tokens
        counts['flops'][kind] = _flops(encode, tensors)
        work['torch', kind] = _in_torch(encode, tensors)
        if not available('onnx'):
            continue
        graph = trace(encode, views, [f'level_{level}' for level in range(len(views))],
                      ['tokens'])
        for name, session in SESSIONS.items():
            if available(name):
                work[name, kind] = _in_session(session((graph,), threads, 1), views)
    ms = _medians(work, rounds)
    runtimes = {name: {'foveated_ms': ms[name, 'foveated'], 'uniform_ms': ms[name, 'uniform'],
                       'speedup': ms[name, 'uniform'] / ms[name, 'foveated']}
                for name in dict.fromkeys(name for name, _ in work)}
    quickest = min(runtimes, key=lambda name: runtimes[name]['foveated_ms'])
    tokens = counts['tokens']
    return {'token_reduction': 1 - tokens['foveated'] / tokens['uniform'],
            'speedup': runtimes[quickest]['speedup'], 'speedup_runtime': quickest,
            'pixels_per_degree': 1 / math.degrees(
                2 * pattern.half_tangent(0) / pattern.window[0]),
            'fov_deg': pattern.fov_deg[-1], **counts, 'runtimes': runtimes}


def vit_s(rounds: int, seed: int, crops: int = _CROPS, crop_px: int = _CROP_PX,
          config: EncoderConfig = _VIT_S) -> dict[str, Any]:
    """A ViT-S over nested crops, each twice as wide as the last, and over all of it sharply.

    Crops go through as a batch, as pretrained backbones take them. The large view is seen once.
    """
    torch.manual_seed(seed)
    encoder = FoveatedViT(config).eval()
    spent: dict[str, float] = {}
    flops, tokens = {}, {}
    uniform_px = crop_px * 2 ** (crops - 1)
    for kind, batch, side, times in (('crops', crops, crop_px, rounds),
                                     ('uniform', 1, uniform_px, 1)):
        pattern = FoveationPattern((90.0,), (side,), (config.patch,))
        layout = TokenLayout.of_pattern(pattern)
        view = torch.randint(0, 256, (batch, side, side, 3), dtype=torch.uint8)

        def see(view: torch.Tensor = view, layout: TokenLayout = layout) -> torch.Tensor:
            with torch.inference_mode():
                return encoder(patchify([view], [config.patch]), layout)
        tokens[kind] = batch * pattern.tokens
        if kind == 'crops':
            see()
        starts = []
        for _ in tqdm(range(times), desc=f'ViT-S, {kind}', unit='round'):
            start_s = time.perf_counter()
            see()
            starts.append(1e3 * (time.perf_counter() - start_s))
        spent[kind] = float(np.median(starts))
        flops[kind] = _block_flops(config, batch, pattern.tokens)
    return {'speedup': spent['uniform'] / spent['crops'], 'crops_ms': spent['crops'],
            'uniform_ms': spent['uniform'], 'tokens': tokens, 'flops': flops,
            'views': f'{crops} crops of {crop_px} against {uniform_px} x {uniform_px}'}


def _block_flops(config: EncoderConfig, batch: int, tokens: int) -> float:
    """Products of matrices of a plain vision transformer: 12 N D^2 + 2 N^2 D multiply-adds a block
    (Kaplan et al., 2020, table 1, with the context as long as the sequence).
    """
    count, width = tokens + config.registers, config.width
    embed = tokens * 3 * config.patch ** 2 * width
    return 2.0 * batch * (embed + config.depth * (12 * count * width ** 2
                                                  + 2 * count ** 2 * width))


def _flops(module: nn.Module, tensors: list[torch.Tensor]) -> float:
    """Counted on the plain form of attention: the counter overlooks the fused one of CPUs."""
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), \
            FlopCounterMode(display=False) as counter:
        module(*tensors)
    return float(counter.get_total_flops())


def _in_torch(module: nn.Module, tensors: list[torch.Tensor]) -> Callable[[], Any]:
    def run() -> Any:
        with torch.inference_mode():
            return module(*tensors)
    return run


def _in_session(session: Any, views: list[np.ndarray]) -> Callable[[], Any]:
    return lambda: session.run(views)


def _medians(work: dict[tuple[str, str], Callable[[], Any]], rounds: int
             ) -> dict[tuple[str, str], float]:
    """Milliseconds of each; all take turns of some calls, of which the first is not counted."""
    spent: dict[tuple[str, str], list[float]] = {name: [] for name in work}
    for _ in tqdm(range(rounds), desc='encoder', unit='round'):
        for name, one in work.items():
            one()
            calls, start_s = 0, time.perf_counter()
            while (past_s := time.perf_counter() - start_s) < _TURN_S or not calls:
                one()
                calls += 1
            spent[name].append(1e3 * past_s / calls)
    return {name: float(np.median(values)) for name, values in spent.items()}
