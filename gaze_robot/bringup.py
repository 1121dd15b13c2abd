"""The whole loop in one process: `gaze-robot bringup`, for machines without `ros2 launch`.

The same nodes with the same parameters as the launch file, in one executor, for a given time; at
the end a report and a film of what the eye saw.
"""

from contextlib import ExitStack
from dataclasses import dataclass
import json
import math
from pathlib import Path
from typing import Any, Literal, TYPE_CHECKING

from gaze_robot.allocator import keep_large_blocks
from gaze_robot.config import (
    from_mapping,
    HeadConfig,
    load_yaml,
    NODES,
    PanTiltConfig,
    parameter_names,
    WorldConfig,
)
from gaze_robot.errors import ConfigError
from gaze_robot.film import check_path
from gaze_robot.optional import require
from gaze_robot.outputs import check_writable
from gaze_robot.shipped import hand_of, WORKSPACE
from gaze_robot.viewer.beside import viewer_beside

if TYPE_CHECKING:
    from gaze_robot.nodes._composed import Part
    from gaze_robot.nodes._recorder import Recorder

FOLLOWING = {'sources.people': 1.0, 'people.model': 'figures', 'people.heads': 'figures'}
"""What lets a robot follow the gazes of the simulator's figures."""

SCHEMAS = NODES


@dataclass(frozen=True)
class BringupConfig:
    """What to run, for how long, and what to write."""

    world: str | None = None
    """With camera sim: 'procedural', a panorama, a folder of them, or a 360-degree video;
    workspace:press and so on: an arm in physics, for a policy with a hand."""

    camera: Literal['sim', 'usb', 'file', 'none'] = 'sim'
    """Where pictures come from: the simulated world, a USB camera, a file, or somebody else."""

    source: str = ''
    """With camera usb: its number or device; with camera file: video, picture or folder."""

    game: Literal['search', 'follow'] | None = None
    """With camera sim: find what pictures show, or look where a figure looks; follow also lets the
    robot judge gazes (sources.people 1, people.model and people.heads figures)."""

    exemplar: str | None = None
    """Picture of what to look for, or 'auto': a distinctive patch of the first frame, the default
    with camera usb and file. The simulated world sets tasks of its own."""

    duration: float = 0.0
    """Seconds; 0 runs until Ctrl-C."""

    report: str = ''
    """Write the report here, as JSON."""

    picture: str = ''
    """Write what the eye saw here: .gif, or .png or .jpg for a sheet of eight. Empty: beside the
    report as .gif."""

    params_file: str = ''
    """YAML of ROS parameters; options given here win over it."""

    eye: Literal['auto', 'head', 'picture'] | None = None
    """'head': a head turns the camera; 'picture': the camera stands still and the fixation moves
    inside its picture; 'auto': head with the simulated world or a real backend, else picture."""

    backend: str | None = None
    """Driver of the head: sim, dynamixel, feetech, pelco_d, onvif or trajectory; sim without one
    here or in the file. All but sim wait for ~/torque_enable unless enable_at_start is true."""

    port: str | None = None
    """Where that head is: a serial device, or a camera's address."""

    policy: str | None = None
    """Folder of a checkpoint, or a name as of `model.path`; empty: the weights shipped with the
    package, in workspace:press and so on those of the hand that ships for it."""

    image_topic: str = 'image_raw'
    """With camera none: the topic of the other driver's pictures."""

    image_transport: Literal['raw', 'compressed'] | None = None
    """With camera none: how that driver sends them."""

    seed: int | None = None
    """Seed of the simulated world's rooms, targets and starts; 0 without one here or in the file.
    """

    movers: int | None = None
    """People and things that move in front of the simulated world; 0 without a number here or in
    the file."""

    viewer: bool = False
    """Show a page in the browser while it runs: what the eye sees, where it looks, and a stop."""

    viewer_port: int | None = None
    """Port of that page; 8080, or the next free one, without one here or in the file."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.duration) or self.duration < 0:
            raise ConfigError(f'duration is 0 or more seconds, got {self.duration}')
        if self.camera == 'file' and not self.source:
            raise ConfigError('camera file needs a source: a video, a picture or a folder')
        if self.picture_path:
            check_path(self.picture_path)

    @property
    def picture_path(self) -> str:
        """`picture` with its default filled in; '' writes none."""
        if self.picture or not self.report:
            return self.picture
        return str(Path(self.report).with_suffix('.gif'))


def run_bringup(config: BringupConfig) -> dict[str, Any]:
    """Run the loop and report.

    Returns:
        The report: frames_in, frames_processed, commands, command_rate_hz, searches,
        found_within_5deg, median_time_to_target_s, latency_ms, stages_ms, dropped, and what
        was run.

    Raises:
        MissingDependencyError: no rclpy, or no torch.
        GazeRobotError: something cannot start; its text, or the log above it, says why.
    """
    for path in filter(None, (config.report, config.picture_path)):
        check_writable(path)
    keep_large_blocks()
    require('rclpy')
    composed: Any = require('gaze_robot.nodes._composed')
    world = WorldConfig(**{key: value for key, value in parameters(config)['world'].items()
                           if key in ('world', 'seed')})
    with ExitStack() as stack:
        address = stack.enter_context(viewer_beside(
            parameters(config)['viewer'], _remap(config))) if config.viewer else None
        run = stack.enter_context(composed.Composed(parts(config)))
        recorder = require('gaze_robot.nodes._recorder').Recorder(
            run, film=bool(config.picture_path))
        with _Progress(config.duration) as progress:
            elapsed_s = run.spin(config.duration, lambda s: progress.show(s, recorder))
        recorder.look_around()
        run.drain()
    report = {**recorder.report(), 'duration_s': round(elapsed_s, 2), 'camera': config.camera,
              **({'page': address} if address else {}),
              'world': world.world if config.camera == 'sim' else None, 'seed': world.seed}
    if config.picture_path and recorder.film.frames:
        report['picture'] = recorder.film.save(config.picture_path)
    if config.report:
        Path(config.report).parent.mkdir(parents=True, exist_ok=True)
        Path(config.report).write_text(json.dumps(report, indent=2, allow_nan=False) + '\n')
    return report


def parameters(config: BringupConfig) -> dict[str, dict[str, Any]]:
    """Parameters of every node: the file's, overruled by options that were given.

    Raises:
        ConfigError: the file has a node or a key that does not exist, or a value out of range.
    """
    merged: dict[str, dict[str, Any]] = {name: {} for name in SCHEMAS}
    if config.params_file:
        for path, values in load_yaml(config.params_file).items():
            name = path.removeprefix('**/')         # '/**/gaze': gaze in any namespace
            if name not in SCHEMAS and name != '**':
                raise ConfigError(f'{config.params_file}: there is no node {name!r}; '
                                  f'nodes are {", ".join(SCHEMAS)}')
            merged.setdefault(name, {}).update(values)
    everyone = merged.pop('**', {})
    given: dict[str, dict[str, Any]] = {
        'gaze': {'exemplar': config.exemplar, 'model.path': config.policy,
                 'eye': None if config.eye == 'auto' else config.eye,
                 'image_transport': config.image_transport},
        'pan_tilt': {'backend': config.backend, 'port': config.port},
        'world': {'world': config.world, 'seed': config.seed, 'movers': config.movers,
                  'game': config.game},
        'camera': {'source': config.source or None},
        'viewer': {'port': config.viewer_port, 'open': True,
                   'image_transport': config.image_transport},
    }
    for name in SCHEMAS:
        chosen = {key: value for key, value in given[name].items() if value is not None}
        merged[name] = {**everyone, **merged[name], **chosen}
    _derive(config, merged)
    for name, schema in SCHEMAS.items():
        try:
            from_mapping(schema, merged[name])          # a typo is told before anything starts
        except ConfigError as error:
            where = f'{config.params_file}: ' if config.params_file else ''
            raise ConfigError(f'{where}{name}: {error}') from error
    return merged


def _derive(config: BringupConfig, merged: dict[str, dict[str, Any]]) -> None:
    """Fill in what follows from the options and the file together."""
    gaze, head = merged['gaze'], merged['pan_tilt']
    hand = hand_of(merged['world'].get('world')) if config.camera == 'sim' else None
    if hand and not gaze.get('model.path'):
        gaze['model.path'] = hand
    still = config.camera == 'file' or (
        config.camera != 'sim' and head.get('backend', PanTiltConfig.backend) == 'sim')
    if config.eye == 'auto' or 'eye' not in gaze:
        gaze['eye'] = 'picture' if still else 'head'
    if config.exemplar is None and config.camera in ('usb', 'file') and not gaze.get('exemplar'):
        gaze['exemplar'] = 'auto'
    if config.game == 'follow':
        merged['gaze'] = gaze = {**FOLLOWING, **gaze}
    if gaze['eye'] == 'head':               # one head: who is not told otherwise knows its limits
        known = {key: head[key] for key in parameter_names(HeadConfig) if key in head}
        for name in ('gaze', 'world', 'viewer'):
            merged[name] = {**known, **merged[name]}


def parts(config: BringupConfig) -> 'list[Part]':
    """The nodes of a run, in the order they start: who listens before who speaks."""
    from gaze_robot.nodes._composed import Part
    values = parameters(config)
    remap = _remap(config)
    made = [Part('gaze_robot.nodes.gaze_node', 'GazeNode', values['gaze'], remap)]
    if values['gaze']['eye'] == 'head':
        made.append(Part('gaze_robot.nodes.pan_tilt_node', 'PanTiltNode', values['pan_tilt']))
    if config.camera == 'sim':
        require('gaze_robot_sim')
        physics = str(values['world'].get('world', '')).startswith(WORKSPACE)
        made.append(Part('gaze_robot_sim.workspace_node', 'WorkspaceNode', values['world'])
                    if physics else
                    Part('gaze_robot_sim.world_node', 'WorldNode', values['world']))
    elif config.camera != 'none':
        made.append(Part('gaze_robot.nodes.camera_node', 'CameraNode', values['camera']))
    return made


def _remap(config: BringupConfig) -> dict[str, str]:
    """A camera's pictures and its camera_info, which stands beside them by convention."""
    if config.image_topic == 'image_raw':
        return {}
    image = config.image_topic.removesuffix('/compressed')
    beside, slash, _ = image.rpartition('/')
    return {'image_raw': image, 'image_raw/compressed': f'{image}/compressed',
            'camera_info': f'{beside}{slash}camera_info'}


class _Progress:
    """One line on the terminal while a run lasts; nothing where there is no terminal."""

    def __init__(self, duration_s: float) -> None:
        progress: Any = require('rich.progress')
        console: Any = require('rich.console')
        self._bar = progress.Progress(
            progress.TextColumn('{task.description}'), progress.BarColumn(20),
            progress.TimeElapsedColumn(), console=console.Console(stderr=True), transient=True)
        self._task = self._bar.add_task('starting', total=duration_s or None)

    def __enter__(self) -> '_Progress':
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, elapsed_s: float, recorder: 'Recorder') -> None:
        """Say how it goes."""
        stats, searches = recorder.gaze.stats, recorder.searches
        now_s = recorder.gaze.now_s()
        self._bar.update(self._task, completed=elapsed_s, description=(
            f'{stats.frames_in.count} frames, {stats.commands.hz(now_s):.0f} commands/s, '
            f'{searches["found_within_5deg"]} of {searches["searches"]} found'))
