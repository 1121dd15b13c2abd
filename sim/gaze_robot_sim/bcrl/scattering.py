"""Glances at what stands out, from which a hand learns before there is an eye: in this process, or
in several, each with demonstrations and an OpenGL of its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
import functools
from types import MappingProxyType
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from gaze_robot_sim.bcrl.batch import WatchBatch
from gaze_robot_sim.bcrl.sight import Sight
from gaze_robot_sim.bcrl.studio import Studio

if TYPE_CHECKING:
    from gaze_robot_sim.training.bcrl import TrainBcrlConfig


FRESH: Mapping[str, float] = MappingProxyType({'own_hand': 0.1, 'early': 0.8})
"""How glances are scattered from which a hand learns what it can be sure of: mostly when it cannot
yet. Among the warm-up's there are so few of these that it learned them by heart."""


def studio_of(config: 'TrainBcrlConfig') -> Studio:
    """What a training's eyes are in front of."""
    return Studio.open(config.demos, config.eye, config.chunk, config.seed,
                       look_alikes=config.look_alikes, plays=config.plays, angles=config.angles)


def scattered(batch: WatchBatch, glances: int) -> Iterator[tuple[Sight, float]]:
    """So many glances of every eye, each in front of a demonstration of its own, and the mean tilt
    of each: how far down things lie. A sight holds until the next one.
    """
    batch.start(range(batch.eyes))
    for _ in range(glances):
        batch.scatter()
        yield batch.sight(), float(batch.reported[:, 1].mean())


def scattered_aside(config: 'TrainBcrlConfig', fresh: bool, part: tuple[int, int]
                    ) -> tuple[Sight, float]:
    """`scattered`, for a process that does nothing else: all of one part, whose number among this
    rank's is part[1], and what it sees depends on the seed, the rank part[0] and that only;
    scattered as `FRESH` says, or not.
    """
    batch = _batch(config, fresh)
    seeds = np.random.SeedSequence([config.seed, *part]).generate_state(batch.eyes)
    batch.reseed(seeds.tolist())
    batch.first = int(np.random.SeedSequence([config.seed, *part, 1]).generate_state(1)[0])
    rows, tilts = zip(*(({item.name: getattr(sight, item.name).copy() for item in fields(sight)},
                         tilt) for sight, tilt in scattered(batch, config.warm_glances)))
    return (Sight(**{name: np.concatenate([row[name] for row in rows]) for name in rows[0]}),
            float(np.mean(tilts)))


@functools.lru_cache(maxsize=1)
def _batch(config: 'TrainBcrlConfig', fresh: bool) -> WatchBatch:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    studio = studio_of(config)
    watching = config.watching(**FRESH if fresh else {})
    return studio.batch(config.eyes, studio.hand(), watching, 0)    # nobody asks its hand
