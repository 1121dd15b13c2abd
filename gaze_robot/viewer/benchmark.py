"""What looking on costs a robot: `gaze-robot bench viewer`.

One simulated robot runs all the time; rounds without the viewer and with it and its onlookers take
turns, so that whatever else the machine does meets both. Onlookers ask for all that a browser asks
for and draw nothing: real browsers run on other machines.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import json
import os
import select
import subprocess
import sys
from typing import Any

import numpy as np

from gaze_robot.errors import ConfigError
from gaze_robot.optional import require
from gaze_robot.viewer.beside import use_profile, viewer_beside

STARTING_S = 60.0
"""At most, until the page is there and its onlookers see something."""

SETTLING_S = 2.0


@dataclass(frozen=True)
class BenchViewerConfig:
    """How long, how often, before how many."""

    rounds: int = 5
    """Pairs of a time without the viewer and a time with it."""

    seconds: float = 10.0
    """Each of these times."""

    viewers: int = 2
    """Browsers that look on."""

    port: int = 8080
    """Of the page."""

    seed: int = 0
    """Of the simulated world."""

    def __post_init__(self) -> None:
        if self.rounds < 1 or not self.seconds > 0 or self.viewers < 1 or self.seed < 0:
            raise ConfigError('rounds and viewers are 1 or more, seconds above 0, seed 0 or more')


def bench_viewer(config: BenchViewerConfig) -> dict[str, Any]:
    """Measure the age of a picture when its command leaves, with and without onlookers.

    Returns:
        p50_ms, p95_ms: {'absent', 'watched'}, medians over rounds; p95_growth: the median of
        watched over absent of one round, minus 1, and of every round; pictures_per_s of each
        onlooker; cores.

    Raises:
        MissingDependencyError: no rclpy, torch or NiceGUI.
    """
    from gaze_robot.bringup import BringupConfig, parts
    require('rclpy')
    composed: Any = require('gaze_robot.nodes._composed')
    use_profile()
    rows: dict[str, list[dict[str, float]]] = {'absent': [], 'watched': []}
    rates: list[float] = []
    with composed.Composed(parts(BringupConfig(seed=config.seed))) as run:
        run.spin(3 * SETTLING_S, _nothing)
        for _ in range(config.rounds):
            rows['absent'].append(_measured(run, config.seconds))
            with _onlookers(config, run) as got:
                rows['watched'].append(_measured(run, config.seconds))
            rates += got
            run.spin(SETTLING_S, _nothing)
    growth = [watched['p95'] / absent['p95'] - 1
              for absent, watched in zip(rows['absent'], rows['watched'])]
    return {
        **{f'{quantile}_ms': {name: round(float(np.median([row[quantile] for row in kept])), 2)
                              for name, kept in rows.items()} for quantile in ('p50', 'p95')},
        'p95_growth': round(float(np.median(growth)), 4),
        'p95_growth_of_rounds': [round(value, 3) for value in growth],
        'pictures_per_s': rates, 'viewers': config.viewers, 'rounds': config.rounds,
        'cores': os.cpu_count()}


def _nothing(_: float) -> None:
    pass


def _measured(run: Any, seconds: float) -> dict[str, float]:
    """Percentiles of the image-to-command time over the next seconds, milliseconds."""
    stats_of = require('gaze_robot.nodes._stats')
    gaze = next(node for node in run.nodes if node.get_name() == 'gaze')
    gaze.stats.latency_ms = stats_of.Samples()
    run.spin(seconds, _nothing)
    found: dict[str, float] = gaze.stats.latency_ms.percentiles()
    if found['p95'] is None:
        raise ConfigError('no command left: this machine is too slow for the loop')
    return found


@contextmanager
def _onlookers(config: BenchViewerConfig, run: Any) -> Iterator[list[float]]:
    """The viewer and its onlookers, once they see something.

    Yields a list that is filled at the end: the pictures per second that each got.
    """
    rates: list[float] = []
    with viewer_beside({'port': config.port}) as address:
        made = [subprocess.Popen([sys.executable, '-m', 'gaze_robot.viewer.onlooker', address],
                                 stdout=subprocess.PIPE, text=True)
                for _ in range(config.viewers)]
        try:
            _wait_for(made, run)
            yield rates
            for each in made:
                each.terminate()
            rates += [json.loads(each.communicate(timeout=30)[0].splitlines()[-1])[
                'pictures_per_s'] for each in made]
        finally:
            for each in made:
                if each.poll() is None:
                    each.kill()
                each.communicate()


def _wait_for(onlookers: list['subprocess.Popen[str]'], run: Any) -> None:
    """Keep the robot going until every onlooker has said that it sees something."""
    waiting = [each.stdout for each in onlookers if each.stdout is not None]
    for _ in range(round(STARTING_S / 0.2)):
        run.spin(0.2, _nothing)
        for pipe in select.select(waiting, [], [], 0)[0]:
            if not pipe.readline():
                raise ConfigError('an onlooker ended; the lines above say why')
            waiting.remove(pipe)
        if not waiting:
            run.spin(SETTLING_S, _nothing)
            return
    raise ConfigError(f'the page showed nothing within {STARTING_S:.0f} s; is the port free?')
