"""`gaze-robot view`: the page of a robot that runs, or of what was recorded of one."""

from dataclasses import dataclass
import os
from pathlib import Path
from typing import Any

from gaze_robot.config import ViewerConfig
from gaze_robot.errors import ConfigError
from gaze_robot.optional import require


@dataclass(frozen=True)
class ViewConfig:
    """Which robot or recording, and where the page is."""

    recording: str = ''
    """Folder of a recording (a bag) to look at; empty: the robot that runs now."""

    host: str = '127.0.0.1'
    """Address to listen on: this machine alone, or 0.0.0.0 for whoever can reach it, who may then
    move the robot unless there is a token."""

    port: int = 8080
    """Port of the page; if it is taken, the next free one of ten."""

    token: str = ''
    """Secret of 8 or more letters and digits that a browser must know to see the page."""

    namespace: str = ''
    """Of the robot's nodes."""

    params_file: str = ''
    """YAML of ROS parameters, those of `viewer`; options given here win over it."""

    open: bool = True
    """Open the page in this machine's browser, where there is a screen."""

    def __post_init__(self) -> None:
        self.viewer()
        if self.recording and not Path(self.recording).exists():
            raise ConfigError(f'there is no recording {self.recording}')

    def viewer(self) -> ViewerConfig:
        """The same as the page takes it."""
        return ViewerConfig(host=self.host, port=self.port, token=self.token, open=self.open)


def view(config: ViewConfig) -> dict[str, Any]:
    """Serve the page until Ctrl-C.

    Returns:
        Nothing to tell: {}.

    Raises:
        MissingDependencyError: no NiceGUI; for a robot, no rclpy.
        GazeRobotError: nothing can be shown; its text says why.
    """
    return _view_robot(config)


def _view_robot(config: ViewConfig) -> dict[str, Any]:
    require('nicegui')
    require('rclpy')
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    node = require('gaze_robot.nodes.viewer_node')
    given = {'host': config.host, 'port': str(config.port), 'open': str(config.open).lower()}
    if config.token:
        given['token'] = f'"{config.token}"'
    words = [word for name, value in given.items() for word in ('-p', f'{name}:={value}')]
    if config.params_file:
        words = ['--params-file', config.params_file, *words]
    if config.namespace:
        words += ['-r', f'__ns:=/{config.namespace.strip("/")}']
    if node.main(['--ros-args', *words]):
        raise ConfigError('the page could not be served; the line above says why')
    return {}
