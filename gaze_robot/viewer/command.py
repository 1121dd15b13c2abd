"""`gaze-robot view`: the page of a robot that runs, or of what was recorded of one."""

from dataclasses import dataclass
import logging
import os
from typing import Any

from gaze_robot.config import ViewerConfig
from gaze_robot.errors import ConfigError
from gaze_robot.optional import require
from gaze_robot.viewer.address import exposure_warning
from gaze_robot.viewer.runs import find_runs


@dataclass(frozen=True)
class ViewConfig:
    """Which robot or recording, and where the page is."""

    recording: str = ''
    """A bag's folder, a film of an episode, or a training run, whose last film is shown; empty:
    the robot that runs now."""

    export: str = ''
    """Write a film of the recording here (.mp4, .webm, .gif) instead of showing the page."""

    start: float = 0.0
    """Where that film begins, seconds."""

    duration: float = 60.0
    """How long it is at most, seconds."""

    rate: float = 10.0
    """Its pictures per second."""

    width: int = 0
    """Its width, pixels; 0: as it comes, 768 with pictures of 4:3."""

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
        if self.export and not self.recording:
            raise ConfigError('a film is made of a recording: give --recording, too')
        if not 0 < self.rate <= 60 or not self.duration > 0 or not 0 <= self.width <= 3840:
            raise ConfigError('rate is above 0 and at most 60, duration above 0, width 0 to 3840')

    def viewer(self) -> ViewerConfig:
        """The same as the page takes it."""
        return ViewerConfig(host=self.host, port=self.port, token=self.token, open=self.open)


def view(config: ViewConfig) -> dict[str, Any]:
    """Serve the page until Ctrl-C, or write a film.

    Returns:
        film: its path, if one was made.

    Raises:
        MissingDependencyError: no NiceGUI; for a robot, no rclpy; for a bag, no rosbags.
        GazeRobotError: nothing can be shown; its text says why.
    """
    return _view_recording(config) if config.recording else _view_robot(config)


def _view_recording(config: ViewConfig) -> dict[str, Any]:
    replay = require('gaze_robot.viewer.replay')
    path = config.recording
    runs = find_runs(path)
    if len(runs) == 1 and runs[0].films and str(runs[0].path) == path.rstrip('/'):
        path = str(runs[0].path / runs[0].films[-1])
    recording = replay.open_recording(path)
    if config.export:
        films = require('gaze_robot.viewer.export')
        try:
            return {'film': films.export(recording, config.export, config.start,
                                         config.start + config.duration, config.rate,
                                         config.width)}
        finally:
            recording.close()
    server = require('gaze_robot.viewer.server')
    logging.basicConfig(format='%(message)s', level=logging.INFO)
    log = logging.getLogger('gaze_robot.viewer')
    viewer = config.viewer()
    if exposure_warning(viewer):
        log.warning(exposure_warning(viewer))
    server.serve(recording, viewer, lambda at: log.info(f'page: {at}'), path)
    return {}


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
