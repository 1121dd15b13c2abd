"""From a picture's stamp to the command it led to, between processes: `gaze-robot bench latency`.

The nodes of the simulator, each in a process of its own, at a camera's rate; and beside them, in
the same run, a bare subscriber of the same pictures. What it waits for them is the floor: making a
picture, sending it, and the system's scheduling. The eye may add to that only its own work.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import json
import os
from pathlib import Path
import random
import signal
import subprocess
import sys
from typing import Any

import numpy as np

import gaze_robot
from gaze_robot.errors import ConfigError, GazeRobotError
from gaze_robot.optional import require
from gaze_robot_sim.benchmarks import machine

PROBES = ('image_raw', 'gaze/fixation')
_LONGEST_START_S = 180.0


@dataclass(frozen=True)
class BenchLatencyConfig:
    """Measure how late commands are, beside how late the pictures themselves are."""

    seconds: float = 20.0
    """How long, after the first messages."""

    width: int = 640
    """Picture width, pixels."""

    height: int = 480
    """Picture height, pixels."""

    rate: float = 30.0
    """Pictures per second."""

    policy: str = ''
    """Folder of a checkpoint; empty: the weights shipped."""

    seed: int = 0
    """Of the simulated world."""

    def __post_init__(self) -> None:
        if not 1.0 <= self.seconds <= 3600 or self.seed < 0:
            raise ConfigError('seconds is 1 to 3600 and seed not negative, got '
                              f'{self.seconds} and {self.seed}')


def bench_latency(config: BenchLatencyConfig) -> dict[str, Any]:
    """Start the nodes and both probes, and compare.

    Returns:
        p50_ms, p99_ms of commands (their fixation, published right after), floor_p50_ms,
        floor_p99_ms of the pictures, over_floor_p99_ms, how many of each, whether the Fast DDS
        profile was there, and on what machine.

    Raises:
        GazeRobotError: a node ended early; what it said is in the log above.
    """
    require('rclpy')
    profile = fastdds_profile()
    environment = _environment(profile)
    nodes: list[subprocess.Popen[str]] = []
    try:
        for module, parameters in _nodes(config).items():
            nodes.append(_start(module, environment, [
                '--ros-args', '--log-level', 'warn', *(word for name, value in parameters.items()
                                                       for word in ('-p', f'{name}:={value}'))]))
        probes = [_start('gaze_robot.nodes._latency_probe', environment,
                         [topic, str(config.seconds)], subprocess.PIPE) for topic in PROBES]
        nodes += probes
        late_ms = [_answer(probe, config.seconds) for probe in probes]
    finally:
        _end(nodes)
    floor, total = late_ms
    figures = {'p50_ms': _percentile(total, 50), 'p99_ms': _percentile(total, 99),
               'floor_p50_ms': _percentile(floor, 50), 'floor_p99_ms': _percentile(floor, 99)}
    return {**figures,
            'over_floor_p99_ms': round(figures['p99_ms'] - figures['floor_p99_ms'], 2),
            'pictures': len(floor), 'commands': len(total), 'seconds': config.seconds,
            'fastdds_profile': profile is not None, 'machine': machine()}


def fastdds_profile() -> Path | None:
    """The profile that the launch files set, in a checkout or an installation."""
    for folder in Path(gaze_robot.__file__).resolve().parents:
        for place in (folder / 'config', folder / 'share' / 'gaze_robot' / 'config'):
            if (place / 'fastdds.xml').is_file():
                return place / 'fastdds.xml'
    return None


def _nodes(config: BenchLatencyConfig) -> dict[str, Mapping[str, Any]]:
    gaze = {'model.path': config.policy} if config.policy else {}
    return {'gaze_robot.nodes.gaze_node': gaze, 'gaze_robot.nodes.pan_tilt_node': {},
            'gaze_robot_sim.world_node': {'width': config.width, 'height': config.height,
                                          'rate': float(config.rate), 'seed': config.seed}}


def _environment(profile: Path | None) -> dict[str, str]:
    """As the launch files set it, in a domain of its own and on this machine alone."""
    wanted = {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
              'ROS_DOMAIN_ID': str(random.SystemRandom().randint(2, 101)),
              'OMP_NUM_THREADS': '1', 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}
    if profile is not None:
        wanted['FASTRTPS_DEFAULT_PROFILES_FILE'] = str(profile)
    return {**os.environ, **wanted}


def _start(module: str, environment: dict[str, str], arguments: Sequence[str],
           out: int | None = None) -> 'subprocess.Popen[str]':
    return subprocess.Popen([sys.executable, '-m', module, *arguments], env=environment, text=True,
                            stdout=out)


def _answer(probe: 'subprocess.Popen[str]', seconds: float) -> list[float]:
    """What a probe printed last: milliseconds of every message."""
    try:
        said, _ = probe.communicate(timeout=_LONGEST_START_S + seconds)
    except subprocess.TimeoutExpired as error:
        raise GazeRobotError('the nodes did not start in time; the log above may say why'
                             ) from error
    late_ms: list[float] = json.loads(said.splitlines()[-1]) if said.strip() else []
    if len(late_ms) < 10:
        raise GazeRobotError(f'only {len(late_ms)} messages in {seconds:g} s; the log above may '
                             'say why')
    return late_ms


def _end(processes: list['subprocess.Popen[str]']) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    for process in processes:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _percentile(values: list[float], percent: float) -> float:
    return round(float(np.percentile(values, percent)), 2)
