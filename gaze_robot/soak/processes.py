"""The robot's processes: started, frozen, killed, measured. Linux; no ROS."""

from collections.abc import Mapping
import os
from pathlib import Path
import signal
import subprocess
import sys
import tempfile
import time
from types import TracebackType
from typing import Any

from gaze_robot.doctor import profile_path, PROFILE_VARIABLES
from gaze_robot.soak.verdict import Sample

MODULES = {'gaze': 'gaze_robot.nodes.gaze_node', 'pan_tilt': 'gaze_robot.nodes.pan_tilt_node',
           'world': 'gaze_robot_sim.world_node'}


class Processes:
    """world_node, gaze_node and pan_tilt_node of one ROS domain; a context manager."""

    def __init__(self, policy: str = '', domain: int = 0, rate_hz: float = 30.0) -> None:
        self.domain = domain or 2 + os.getpid() % 100
        environment = {**os.environ, 'ROS_DOMAIN_ID': str(self.domain),
                       'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
        profile = profile_path()
        if profile is not None and not any(name in environment for name in PROFILE_VARIABLES):
            environment[PROFILE_VARIABLES[0]] = str(profile)
        self.environment: Mapping[str, str] = environment
        # What leaks and what heals is asked, not how quick a machine with other work is.
        model = [f'model.path:={policy}'] if policy else []
        self._parameters = {'gaze': [*model, 'max_image_age:=1.0'],
                            'world': [f'rate:={rate_hz}']}
        self._log: Any = None
        self._running: dict[str, subprocess.Popen] = {}
        self._start_s = time.monotonic()

    def __enter__(self) -> 'Processes':
        self._log = tempfile.TemporaryFile()
        for name in MODULES:
            self.start(name)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        for process in self._running.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(10.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._log.close()

    def start(self, name: str) -> None:
        """Start a process, anew if it ended."""
        words = [word for each in self._parameters.get(name, []) for word in ('-p', each)]
        self._running[name] = subprocess.Popen(
            [sys.executable, '-m', MODULES[name], '--ros-args', *words], env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._log)

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal; after SIGKILL, wait for the end."""
        self._running[name].send_signal(number)
        if number == signal.SIGKILL:
            self._running[name].wait()

    def ended(self) -> list[str]:
        """Those that do not run any more, with their exit codes."""
        return [f'{name} ended with {process.returncode}'
                for name, process in self._running.items() if process.poll() is not None]

    def log(self) -> str:
        """The end of what they wrote on stderr."""
        self._log.seek(0)
        return bytes(self._log.read()[-4000:]).decode(errors='replace')

    def sample(self) -> list[Sample]:
        """What each of them uses now."""
        at_s = round(time.monotonic() - self._start_s, 2)
        return [sample for name, process in self._running.items()
                if (sample := usage(name, process.pid, at_s)) is not None]


def usage(name: str, pid: int, at_s: float) -> Sample | None:
    """Memory, threads and files of a process; None when it is gone."""
    folder = Path('/proc') / str(pid)
    try:
        fields = dict(line.split(':', 1) for line in (folder / 'status').read_text().splitlines())
        files = len(os.listdir(folder / 'fd'))
    except OSError:
        return None
    if 'VmRSS' not in fields:                   # a zombie
        return None
    return Sample(name, pid, at_s, int(fields['VmRSS'].split()[0]) / 1024,
                  int(fields['RssAnon'].split()[0]) / 1024, int(fields['Threads']), files)
