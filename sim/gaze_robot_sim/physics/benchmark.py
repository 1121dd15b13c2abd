"""How fast workspaces are, on one core: `gaze-robot bench workspace`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import time
from typing import Any

import cv2

from gaze_robot.errors import ConfigError
from gaze_robot.foveation import FoveationPattern
from gaze_robot_sim.physics.build import SUBSTEPS
from gaze_robot_sim.physics.expert import Expert
from gaze_robot_sim.physics.tasks import KINDS
from gaze_robot_sim.physics.views import Painter
from gaze_robot_sim.physics.world import PhysicsWorld

_PATTERN = FoveationPattern((15.0, 40.0, 90.0), (64, 64, 64), (8,))


@dataclass(frozen=True)
class BenchWorkspaceConfig:
    """Measure whole episodes of every task: made, stepped by the expert, and drawn."""

    episodes: int = 5
    """Of each task."""

    seed: int = 0
    """Of the first; the others follow."""

    def __post_init__(self) -> None:
        if self.episodes < 1 or self.seed < 0:
            raise ConfigError('episodes is at least 1 and seed not negative, got '
                              f'{self.episodes} and {self.seed}')


def bench_workspace(config: BenchWorkspaceConfig) -> dict[str, Any]:
    """Measure.

    Returns:
        Per task: steps_per_s of wall time and steps_per_cpu_s of processor time, both with
        everything but the making of the world (three levels of 64 x 64, the expert's inverse
        kinematics), and milliseconds of each part.
    """
    cv2.setNumThreads(1)
    return {name: _episodes(name, config) for name in KINDS}


def _episodes(task: str, config: BenchWorkspaceConfig) -> dict[str, float]:
    parts, steps, wall, cpu = _Parts(), 0, 0.0, 0.0
    for index in range(config.episodes):
        with parts.timed('make'):
            world = PhysicsWorld(task, config.seed, index)
            painter = Painter(world)
        expert = Expert(world)
        painter.levels(_PATTERN)
        began, began_cpu = time.perf_counter(), time.process_time()
        while not world.outcome:
            with parts.timed('expert'):
                action = expert.act()
            with parts.timed('step'):
                world.step(action, world.aim())
            with parts.timed('draw'):
                painter.levels(_PATTERN)
        wall, cpu = wall + time.perf_counter() - began, cpu + time.process_time() - began_cpu
        steps += world.steps
        painter.close()
    each = {f'{name}_ms': 1000 * value / (config.episodes if name == 'make' else steps)
            for name, value in parts.seconds.items()}
    return {'steps_per_s': steps / wall, 'steps_per_cpu_s': steps / cpu,
            'physics_steps_per_s': steps * SUBSTEPS / parts.seconds['step'], **each}


class _Parts:
    """Seconds spent in each part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Count what happens inside."""
        began = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began
