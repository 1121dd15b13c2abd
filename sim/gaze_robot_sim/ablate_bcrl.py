"""What BC-RL's parts are worth: the same short training, each time without one of them."""

from dataclasses import dataclass, replace
import json
from pathlib import Path
from typing import Any

import numpy as np

from gaze_robot.errors import ConfigError
from gaze_robot_sim.training.bcrl import train_bcrl, TrainBcrlConfig

VARIANTS: dict[str, dict[str, Any]] = {
    'default': {},
    'no replay': {'replay': 0},
    'no warm-up': {'warm_up': 0, 'follow': 0},
    'no time-pausing': {'pause_steps': 0},
    'judged before the move': {'judged': 'before'},
    'no centring': {'centring': 0.0},
    'no rule to begin with': {'follow': 0}}
"""What differs from the default; without a warm-up the rule has nothing to follow."""

_FIGURES = ('hand_error', 'in_fovea', 'gaze_error_deg')


@dataclass(frozen=True)
class AblateBcrlConfig:
    """Train with and without each part of BC-RL, and tabulate."""

    out: str = 'runs/ablation'
    """Folder of the runs; those that are finished are not repeated."""

    steps: int = 150_000
    """Of each training: shorter than a whole one, so that differences are those of learning."""

    warm_up: int = 75_000
    """Glances before them."""

    seeds: int = 3
    """Trainings of each variant."""

    only: tuple[str, ...] = ()
    """Variants to run; empty: all of them."""

    def __post_init__(self) -> None:
        unknown = set(self.only) - VARIANTS.keys()
        if unknown or self.seeds < 1:
            raise ConfigError(f'no such variants: {sorted(unknown)}; known: '
                              f'{", ".join(VARIANTS)}; and seeds are at least 1')


def ablate_bcrl(config: AblateBcrlConfig) -> dict[str, Any]:
    """Train every variant with every seed; mean and spread of its last evaluation.

    Raises:
        CheckpointError: the folder holds runs of other settings.
    """
    table: dict[str, dict[str, float]] = {}
    for name in config.only or VARIANTS:
        rows = [_finished(config, name, seed) for seed in range(config.seeds)]
        table[name] = {'runs': len(rows)}
        for key in _FIGURES:
            values = np.array([row[key] for row in rows], float)
            table[name] |= {key: float(values.mean()), f'{key}_spread': float(values.std())}
    return {'steps': config.steps, 'seeds': config.seeds, 'variants': table}


def _finished(config: AblateBcrlConfig, name: str, seed: int) -> dict[str, Any]:
    """The last evaluation of one run, which is made, gone on with, or read."""
    out = Path(config.out) / f'{name.replace(" ", "-")}-{seed}'
    settings = {'warm_up': config.warm_up, **VARIANTS[name]}
    run = replace(TrainBcrlConfig(str(out), seed, steps=config.steps, keep_replay=False,
                                  resume=out.is_dir()), **settings)
    if (out / 'result.json').is_file():
        before = json.loads((out / 'config.json').read_text())
        if before['steps'] == config.steps and all(before[key] == value
                                                   for key, value in settings.items()):
            return json.loads((out / 'result.json').read_text())['end']
    return train_bcrl(run)['end']
