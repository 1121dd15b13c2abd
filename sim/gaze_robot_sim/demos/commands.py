"""`gaze-robot demos record`, `convert` and `info`."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
import math
from pathlib import Path
from typing import Any

import cv2
from tqdm import tqdm

from gaze_robot.errors import ConfigError, DemoError
from gaze_robot.optional import require
from gaze_robot_sim.bcrl.workspace import Workspace, WorkspaceConfig
from gaze_robot_sim.demos.episode import DemoSource
from gaze_robot_sim.demos.eyerobot import find_sequences, read_eyerobot
from gaze_robot_sim.demos.lerobot import read_info, read_lerobot
from gaze_robot_sim.demos.oracle import OracleSource
from gaze_robot_sim.demos.recording import Recording
from gaze_robot_sim.demos.repair import fitted, Repair
from gaze_robot_sim.demos.store import DemoWriter, open_demos
from gaze_robot_sim.scenes.fixed_camera import FixedCamera


def _workspace(_: str, __: str, seed: int, episode_s: float) -> DemoSource:
    """The scripted arm of BC-RL; its world is its own."""
    return Workspace(seed, WorkspaceConfig(seconds=episode_s or WorkspaceConfig.seconds))


def _physics(name: str, world: str, seed: int, episode_s: float) -> DemoSource:
    """The expert of a workspace in physics, whose episodes are as long as they take."""
    module = require('gaze_robot_sim.physics.demos')
    source: DemoSource = module.source(name, world, seed, episode_s)
    return source


SOURCES: dict[str, Callable[[str, str, int, float], DemoSource]] = {
    **dict.fromkeys(('Search-v0', 'Track-v0', 'Orient-v0', 'Follow-v0'), OracleSource),
    'workspace': _workspace,
    **dict.fromkeys((f'workspace:{task}' for task in ('press', 'bucket', 'wipe', 'shelf', 'read')),
                    _physics)}
"""Who demonstrates: name -> what makes it of (name, world, seed, seconds of each)."""

USUAL_HFOV_DEG = 70.0
"""Of a camera about which nothing is known."""


@dataclass(frozen=True)
class RecordConfig:
    """Options of `gaze-robot demos record`."""

    out: str = 'demos'
    """Folder of demonstrations: a new one, or one to add to."""

    source: str = 'Track-v0'
    """Who demonstrates: the oracle of Search-v0, Track-v0, Orient-v0 or Follow-v0, or the scripted
    arm of the `workspace` that `train bcrl` makes up, or the expert of a workspace in physics:
    workspace:press, workspace:bucket, workspace:wipe, workspace:shelf or workspace:read."""

    n: int = 10
    """How many."""

    world: str = 'procedural'
    """'procedural', a panorama, a folder of panoramas, or a 360-degree video."""

    seed: int = 0
    """Of rooms and whatever happens there."""

    episode_s: float = 0.0
    """Seconds of each; 0: as long as the source's own episodes are."""

    lossless: bool = False
    """Keep every pixel where things move; takes 80 times the space."""

    def __post_init__(self) -> None:
        if not 0 <= self.episode_s <= 3600:
            raise ConfigError(f'episode_s is between 0 and 3600, got {self.episode_s}')
        if self.source not in SOURCES:
            raise ConfigError(f'nobody demonstrates {self.source!r}; known: {", ".join(SOURCES)}')
        if self.n < 1 or self.seed < 0:
            raise ConfigError(f'n is at least 1 and seed at least 0, got {self.n} and {self.seed}')


def record(config: RecordConfig) -> dict[str, Any]:
    """Let somebody demonstrate and write it down.

    Returns:
        recorded, steps, seconds (of demonstrations), bytes (of the whole folder), out.

    Raises:
        DemoError, WorldError: it cannot be written, or the world cannot be opened.
    """
    source = SOURCES[config.source](config.source, config.world, config.seed, config.episode_s)
    steps, seconds = 0, 0.0
    with closing(source):
        writer = DemoWriter(config.out)
        for index in tqdm(range(config.n), desc='recording', unit='demo'):
            episode = source.episode(index)
            writer.add(episode, config.lossless)
            steps, seconds = steps + episode.steps, seconds + episode.duration_s
    return {'recorded': config.n, 'steps': steps, 'seconds': seconds,
            'bytes': _size(Path(config.out)), 'out': config.out}


@dataclass(frozen=True)
class ConvertConfig:
    """Options of `gaze-robot demos convert`."""

    source: str
    """A folder of LeRobot (2.0, 2.1, 3.0) or EyeRobot."""

    out: str = 'demos'
    """Folder of demonstrations: a new one, or one to add to."""

    n: int = 0
    """How many to read at most; 0: all."""

    seed: int = 0
    """Nothing here is drawn; every command takes one."""

    camera: str = ''
    """Which video of a LeRobot data set: its key, or the end of it; '': the only one."""

    instruction: str = ''
    """What the hand does, in words; '': what the data set says, or the folder's name."""

    hfov_deg: float = 0.0
    """Horizontal field of view of an ordinary camera; 0: pictures twice as wide as high show all
    around, others 70 degrees."""

    pan_deg: float = 0.0
    """Where an ordinary camera looks; left is positive."""

    tilt_deg: float = 0.0
    """Likewise; down is positive."""

    repair: bool = False
    """Mend what can be mended: bridge short gaps, resample at the rate of the pictures, leave out
    rows without pictures. Without it what is broken is refused."""

    gap_s: float = 0.5
    """With --repair: the longest gap to bridge, seconds."""

    def __post_init__(self) -> None:
        if self.n < 0 or not 0 <= self.hfov_deg <= 150:
            raise ConfigError('n is at least 0 and hfov_deg between 0 and 150, got '
                              f'{self.n} and {self.hfov_deg}')
        Repair(self.gap_s)

    @property
    def mending(self) -> Repair | None:
        """What may be repaired."""
        return Repair(self.gap_s) if self.repair else None


def convert(config: ConvertConfig) -> dict[str, Any]:
    """Read other people's demonstrations and write them as ours; videos are copied as they are.

    Returns:
        converted, steps, refused and repaired (by name: why, what), bytes (of the folder), out.

    Raises:
        DemoError: nothing that can be read, or every single one is refused.
    """
    found_there = _read(config)
    writer, steps, converted = DemoWriter(config.out), 0, 0
    refused: dict[str, str] = {}
    repaired: dict[str, str] = {}
    for found in found_there:
        if config.n and converted + len(refused) >= config.n:
            break
        try:
            if isinstance(found, DemoError):
                raise found
            read = _looking(found, config)
            recording = fitted(read, config.mending)
            writer.add_recording(recording)
        except DemoError as error:
            name, _, reason = str(error).partition(': ')
            refused[name] = reason or name
            continue
        converted, steps = converted + 1, steps + len(recording.row)
        repairs = recording.notes[len(read.notes):]
        if repairs:
            repaired[recording.name] = '; '.join(repairs)
    if not converted:
        name, reason = next(iter(refused.items()), (config.source, 'it holds none'))
        more = f' (and {len(refused) - 1} more)' if len(refused) > 1 else ''
        raise DemoError(f'no demonstration was converted{more}: {name}: {reason}')
    return {'converted': converted, 'steps': steps, 'refused': refused, 'repaired': repaired,
            'bytes': _size(Path(config.out)), 'out': config.out}


def _read(config: ConvertConfig) -> Iterator[Recording | DemoError]:
    root = Path(config.source).expanduser()
    if not root.is_dir():
        raise DemoError(f'there is no folder {root}; name that of a LeRobot or EyeRobot data set')
    if read_info(root) is not None:
        return read_lerobot(root, config.camera, config.instruction)
    if find_sequences(root):
        return read_eyerobot(root, config.instruction)
    raise DemoError(f'{root} is neither a LeRobot data set (meta/info.json) nor one of EyeRobot '
                    '(downsampled_*.h5 beside downsampled.mp4)')


def _looking(recording: Recording, config: ConvertConfig) -> Recording:
    """A recording with the view of its camera."""
    capture = cv2.VideoCapture(str(recording.video))
    width, height = (capture.get(side) for side in (cv2.CAP_PROP_FRAME_WIDTH,
                                                    cv2.CAP_PROP_FRAME_HEIGHT))
    capture.release()
    if not config.hfov_deg and abs(width - 2 * height) <= 0.01 * width:
        return recording                      # also what cannot be opened: `fitted` says so
    hfov_deg = config.hfov_deg or USUAL_HFOV_DEG
    view = FixedCamera(*map(math.radians, (hfov_deg, config.pan_deg, config.tilt_deg)))
    if config.hfov_deg:
        return replace(recording, view=view)
    return recording.noted(f'its camera is taken to see {hfov_deg:g} degrees across', view=view)


@dataclass(frozen=True)
class InfoConfig:
    """Options of `gaze-robot demos info`."""

    path: str
    """Folder of demonstrations."""

    seed: int = 0
    """Nothing here is drawn; every command takes one."""


def info(config: InfoConfig) -> dict[str, Any]:
    """Say what a folder of demonstrations holds, after hashing every file.

    Returns:
        episodes, steps, seconds, rates_hz, joints, actions, instructions, looking ('all around',
        'camera'), bytes, and notes of each episode by name.

    Raises:
        DemoError: it is none, or a file is missing or altered; the text names it.
    """
    demos = open_demos(config.path)
    size, entries = demos.verify(), demos.entries
    return {'episodes': len(entries), 'steps': sum(entry.steps for entry in entries),
            'seconds': sum(entry.steps / entry.rate_hz for entry in entries),
            'rates_hz': sorted({entry.rate_hz for entry in entries}),
            'joints': ', '.join(entries[0].joint_names),
            'actions': ', '.join(entries[0].action_names),
            'instructions': sorted({entry.instruction for entry in entries}),
            'looking': sorted({'camera' if entry.camera_deg else 'all around'
                               for entry in entries}),
            'bytes': size, 'intact': True,
            'notes': {entry.name: '; '.join(entry.notes) for entry in entries if entry.notes}}


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob('*') if file.is_file())
