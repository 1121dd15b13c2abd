"""`gaze-robot soak`: the whole simulated robot, in processes of its own, for long and with faults.

Processes are killed in the first quarter only: what is left of the run then is one life of each
process, long enough to see whether its memory, threads or files grow.
"""

from dataclasses import asdict, dataclass
import json
import math
from pathlib import Path
from typing import Any

from gaze_robot.errors import ConfigError, SoakError
from gaze_robot.optional import require
from gaze_robot.soak.processes import Processes
from gaze_robot.soak.verdict import judge

KILLS_UNTIL = 0.25
"""Share of the run."""


@dataclass(frozen=True)
class SoakConfig:
    """How long, with how many faults."""

    minutes: float = 30.0
    """Length of the run."""

    rest: float = 8.0
    """Mean seconds of calm between two faults."""

    rate: float = 30.0
    """Pictures per second of the simulated camera; fewer where the machine has other work."""

    out: str = 'soak.json'
    """Write the report here: faults, memory, threads and files over time, verdict."""

    policy: str = ''
    """Folder of a checkpoint; empty: the weights shipped with the package."""

    domain: int = 0
    """ROS domain to run in; 0: one of its own."""

    seed: int = 0
    """Of which fault comes when."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.minutes) and self.minutes > 0 and 0 <= self.rest < 3600):
            raise ConfigError('minutes is more than 0, rest from 0 to 3600 seconds; got '
                              f'{self.minutes} and {self.rest}')
        if not 0.1 <= self.rate <= 240.0:
            raise ConfigError(f'rate is 0.1 to 240 Hz, got {self.rate}')
        if not 0 <= self.domain <= 232:
            raise ConfigError(f'domain is 0 to 232, got {self.domain}')


def soak(config: SoakConfig) -> dict[str, Any]:
    """Run, break, heal, measure.

    Returns:
        The report: 'faults' (what, after how many seconds it showed, and was over), 'processes'
        (growth of memory, threads, files), 'passed'.

    Raises:
        SoakError: something leaked, a fault did not show or did not heal, the head left its
            limits, or a process ended by itself; the report is written all the same.
        MissingDependencyError: no rclpy, or no torch.
    """
    require('rclpy')
    out = Path(config.out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.touch()
    except OSError as error:
        raise ConfigError(f'--out {out}: cannot write there ({error.strerror})') from error
    with Processes(config.policy, config.domain, config.rate) as processes:
        run = require('gaze_robot.nodes._soak').run_soak(config, processes)
    verdict = judge(run.samples, run.faults, run.beyond, run.ended, run.calm_from_s)
    report = {'config': asdict(config), **verdict,
              'faults': [asdict(fault) for fault in run.faults],
              'samples': [asdict(sample) for sample in run.samples]}
    out.write_text(json.dumps(report, indent=1, allow_nan=False) + '\n', encoding='utf-8')
    if not verdict['passed']:
        raise SoakError(f'{"; ".join(verdict["wrong"])}. {out} holds everything')
    return {**verdict, 'faults': len(run.faults), 'out': str(out)}
