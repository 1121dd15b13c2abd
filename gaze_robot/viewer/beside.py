"""The page as a process beside a run: what `bringup --viewer` starts."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import tempfile
from typing import Any

import yaml

from gaze_robot.config import from_mapping, ViewerConfig
from gaze_robot.doctor import profile_path, PROFILE_VARIABLES
from gaze_robot.errors import MissingDependencyError
from gaze_robot.optional import available, INSTALL
from gaze_robot.viewer.address import address_of, bound_socket

SHARED_MEMORY_MB = 400
"""What our Fast DDS profile may fill; touching memory that is not there kills a process."""


@contextmanager
def viewer_beside(parameters: Mapping[str, Any], remap: Mapping[str, str] | None = None
                  ) -> Iterator[str]:
    """Run viewer_node in a process of its own; yields the page's address.

    Args:
        parameters: of the node, by their ROS names.
        remap: {topic: its new name}.

    Raises:
        MissingDependencyError: NiceGUI is absent.
        ConfigError: a parameter is wrong, or no port is free.
    """
    if not available('nicegui'):
        raise MissingDependencyError('the page needs nicegui, which is not installed. Get it '
                                     f'with: {INSTALL["nicegui"]}', name='nicegui')
    config = from_mapping(ViewerConfig, parameters)
    with bound_socket(config.host, config.port) as place:
        port = place.getsockname()[1]
    use_profile()
    with tempfile.TemporaryDirectory(prefix='gaze_robot_') as folder:
        given = Path(folder) / 'viewer.yaml'
        values = {key: list(value) if isinstance(value, tuple) else value
                  for key, value in {**parameters, 'port': port}.items() if value is not None}
        given.write_text(yaml.safe_dump({'/**': {'ros__parameters': values}}), encoding='utf-8')
        rules = [word for old, new in (remap or {}).items() for word in ('-r', f'{old}:={new}')]
        process = subprocess.Popen([sys.executable, '-m', 'gaze_robot.nodes.viewer_node',
                                    '--ros-args', '--params-file', str(given), *rules])
        try:
            yield address_of(config, port)
        finally:
            _end(process)


def use_profile() -> None:
    """Have pictures reach other processes, with Fast DDS; what the user set stays."""
    room_mb = shutil.disk_usage('/dev/shm').total >> 20 if Path('/dev/shm').is_dir() else 0
    path = profile_path()
    if path is not None and room_mb >= SHARED_MEMORY_MB \
            and not any(os.environ.get(name) for name in PROFILE_VARIABLES):
        os.environ[PROFILE_VARIABLES[0]] = str(path)


def _end(process: 'subprocess.Popen[bytes]') -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(5.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
