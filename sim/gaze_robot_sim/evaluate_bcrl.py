"""Hands and eyes of BC-RL, measured on demonstrations that nobody has seen.

Every policy has a hand of its own, trained for as many glances with the gaze it is measured with.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, Literal

import cv2
import numpy as np
import torch
from tqdm import tqdm

from gaze_robot.errors import CheckpointError, ConfigError
from gaze_robot.hand_eye import HandEye, load_hand_eye, SHIPPED
from gaze_robot_sim.bcrl.batch import WatchConfig
from gaze_robot_sim.bcrl.plays import Scale
from gaze_robot_sim.bcrl.studio import EyeKind, Studio
from gaze_robot_sim.bcrl.watching import learned, player_of, scores, watch
from gaze_robot_sim.bcrl.workspace import Workspace

Name = Literal['bcrl', 'random', 'fixed', 'oracle', 'uniform', 'wide']
NAMES: tuple[Name, ...] = get_args(Name)
_MADE_BY: dict[Name, tuple[str, EyeKind]] = {
    'bcrl': ('learned', 'foveated'), 'random': ('random', 'foveated'),
    'fixed': ('fixed', 'foveated'), 'oracle': ('oracle', 'foveated'),
    'uniform': ('learned', 'uniform'), 'wide': ('fixed', 'wide')}
"""`--gaze` and `--eye` that each was trained with."""

_EXAM = 1 << 40
"""Added to the seed of workspaces; seeds of training are smaller."""
_EYES = 64
_RESAMPLED = 2000
_KEYS = {'hand_error': 'hand_error', 'in_fovea': 'in_fovea_fraction', 'switched':
         'switched_within_1s', 'switch_s': 'time_to_switch_s', 'drift_deg': 'drift_deg_per_step'}


@dataclass(frozen=True)
class EvalBcrlConfig:
    """Measure a hand and its eye, beside hands with other gazes and other eyes."""

    policy: str = ''
    """Run directory or checkpoint of `train bcrl`; empty: the one shipped."""

    baselines: str = ''
    """Folder with a run or checkpoint for each of the others, named after them: random, fixed,
    oracle, uniform, wide; those that are missing are left out. Empty: those shipped."""

    seeds: int = 3
    """How many sets of demonstrations."""

    episodes: int = 64
    """Of each set."""

    seed: int = 1
    """Of the first set; the others follow."""

    picture: str = ''
    """Where to draw the comparison, a .png; empty: nowhere."""

    def __post_init__(self) -> None:
        if min(self.seeds, self.episodes) < 1 or self.seed < 0:
            raise ConfigError('seeds and episodes are at least 1 and seed not negative, got '
                              f'{self.seeds}, {self.episodes} and {self.seed}')
        if self.picture and not self.picture.endswith('.png'):
            raise ConfigError(f'picture ends in .png, got {self.picture}')


def evaluate_bcrl(config: EvalBcrlConfig) -> dict[str, Any]:
    """Show the same demonstrations to every policy.

    Raises:
        CheckpointError: a policy cannot be read, or was trained as something else.
    """
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    own = load_hand_eye(config.policy)
    if _made_by(own)[0] != 'learned':
        raise CheckpointError(f'{config.policy} holds a hand without an eye; give a run of '
                              '`gaze-robot train bcrl`')
    if own.meta.get('workspace'):
        raise CheckpointError(f'{config.policy} works in a workspace in physics: measure it with '
                              f'`gaze-robot eval workspace --task {own.meta["workspace"]}`')
    if own.meta.get('recorded'):
        raise CheckpointError('a hand trained on recordings cannot be measured in the made-up '
                              'workspace; its curve is in its run directory')
    policies = {'bcrl': own, **_baselines(config)}
    rows = {name: _measure(both, config, name) for name, both in policies.items()}
    result = {name: _figures(of, config.seed) for name, of in rows.items()}
    for name, of in result.items():
        for other in ('oracle', 'random'):
            if other in result and name != other:
                of[f'times_{other}'] = of['hand_error'] / result[other]['hand_error']
    if config.picture:
        draw_comparison(result, Path(config.picture))
    return {'seeds': config.seeds, 'episodes': config.episodes * config.seeds,
            'fovea_deg': own.pattern.fov_deg[0], 'train_minutes': own.meta.get('minutes'),
            'steps': own.meta.get('config', {}).get('steps'), 'policies': result}


def _baselines(config: EvalBcrlConfig) -> dict[str, HandEye]:
    folder = Path(config.baselines) if config.baselines else SHIPPED / 'baselines'
    found: dict[str, HandEye] = {}
    for name in NAMES[1:]:
        if (folder / name).is_dir():
            found[name] = both = load_hand_eye(folder / name)
            if _made_by(both) != _MADE_BY[name]:
                gaze, eye = _MADE_BY[name]
                raise CheckpointError(f'{folder / name} is another policy; train it with `gaze-'
                                      f'robot train bcrl --gaze {gaze} --eye {eye}`')
    if config.baselines and not found:
        raise CheckpointError(f'{folder} has none of {", ".join(NAMES[1:])} in it')
    return found


def _made_by(both: HandEye) -> tuple[str, str]:
    config = both.meta.get('config', {})
    return config.get('gaze', ''), config.get('eye', '')


def _measure(both: HandEye, config: EvalBcrlConfig, name: str) -> dict[str, np.ndarray]:
    """Figures of every episode of every set, (seeds * episodes,) each."""
    gaze, eye = _made_by(both)
    hand = both.hand
    scale = Scale(hand.joint_mean.numpy(), hand.joint_spread.numpy(), hand.action_spread.numpy())
    watching = WatchConfig(rewards={}, chunk=hand.config.chunk, rate_hz=both.rate_hz,
                           recalls=both.recalls)
    sets = []
    with tqdm(total=config.seeds * -(-config.episodes // _EYES) * watching.length, desc=name,
              unit='step') as bar:
        for seed in range(config.seed, config.seed + config.seeds):
            source = Workspace(_EXAM + seed)
            studio = Studio(source, source, scale, eye, hand.config.chunk)     # type: ignore[arg-type]
            batch = studio.batch(min(_EYES, config.episodes), hand, watching, seed)
            player = learned(both.eye) if both.eye else player_of(gaze, seed)
            # The same fovea for all: 'inside' means within the sharpest 15 degrees of ours.
            sets.append(scores(watch(batch, player, config.episodes, bar.update), both.rate_hz,
                               both.pattern.fov_deg[0] if eye == 'foveated' else 15.0))
    return {key: np.concatenate([part[key] for part in sets]) for key in sets[0]}


def _figures(rows: dict[str, np.ndarray], seed: int) -> dict[str, Any]:
    """Means with 95 % intervals over episodes, by bootstrap; the median of gaze errors."""
    out: dict[str, Any] = {}
    for key, name in _KEYS.items():
        out |= _interval(rows[key], name, np.mean, seed)
    return out | _interval(rows['gaze_error_deg'], 'median_gaze_error_deg', np.median, seed)


def _interval(values: np.ndarray, name: str, of: Callable[..., Any], seed: int
              ) -> dict[str, float | None]:
    values = values[np.isfinite(values)]
    if not len(values):
        return {name: None, f'{name}_low': None, f'{name}_high': None}
    drawn = np.random.default_rng(seed).integers(len(values), size=(_RESAMPLED, len(values)))
    low, high = np.quantile(of(values[drawn], axis=1), (0.025, 0.975))
    return {name: float(of(values)), f'{name}_low': float(low), f'{name}_high': float(high)}


def draw_comparison(result: dict[str, dict[str, Any]], path: Path) -> None:
    """Hand error, and time with the relevant thing in the fovea, of each policy."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.5))
    panels: Sequence[tuple[str, str]] = (
        ('hand_error', 'hand error'),
        ('in_fovea_fraction', 'time with the thing in the fovea'))
    for axis, (key, title) in zip(axes, panels):
        names = list(result)
        middle = np.array([result[name][key] for name in names])
        ends = np.array([[result[name][f'{key}_{end}'] for name in names]
                         for end in ('low', 'high')])
        axis.bar(names, middle, yerr=np.maximum(abs(ends - middle), 0), capsize=4,
                 color=['tab:orange' if name == 'bcrl' else 'tab:gray' for name in names])
        axis.set(title=title, ylim=(0, None))
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


