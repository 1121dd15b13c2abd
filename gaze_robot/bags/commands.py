"""`gaze-robot record`, `replay` and `process`: their options, and who does the work."""

from dataclasses import dataclass
import math
from typing import Any, Literal

from gaze_robot.errors import BagError
from gaze_robot.optional import require
from gaze_robot.outputs import check_writable


@dataclass(frozen=True)
class RecordConfig:
    """What to record, for how long, and where."""

    out: str
    """Folder of the bag, which must not exist yet."""

    topics: tuple[str, ...] = ()
    """Topics to record; none: all but those excluded."""

    exclude: tuple[str, ...] = ('/rosout', '/parameter_events')
    """Topics not to record."""

    storage: Literal['mcap', 'sqlite3'] = 'mcap'
    """Kind of file."""

    duration: float = 0.0
    """Seconds; 0 records until Ctrl-C."""

    reserve_mib: float = 256.0
    """Recording stops when less than this is left on the disk, MiB."""

    seed: int = 0
    """Changes nothing: nothing here is random."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.duration) or self.duration < 0 or not self.reserve_mib >= 0:
            raise BagError('duration and reserve_mib are 0 or more, got '
                           f'{self.duration} and {self.reserve_mib}')


@dataclass(frozen=True)
class ReplayConfig:
    """Which bag to play, and how."""

    bag: str
    """Folder of a bag, or its .mcap or .db3 file."""

    topics: tuple[str, ...] = ()
    """Topics to play; none: all."""

    speed: float = 1.0
    """Of the recording's own."""

    loop: bool = False
    """Begin again at the end, until Ctrl-C."""

    clock: bool = False
    """Publish /clock with the time of the recording, for nodes with use_sim_time."""

    wait: float = 3.0
    """Seconds before the first message at most: sooner if every topic has a listener."""

    restamp: bool = False
    """Set the stamps of messages to now, for nodes without use_sim_time."""

    seed: int = 0
    """Changes nothing: nothing here is random."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.speed) or self.speed <= 0:
            raise BagError(f'speed is more than 0, got {self.speed}')
        if not 0.0 < self.wait < 1000.0:
            raise BagError(f'wait is more than 0 seconds, got {self.wait}')
        if self.clock and self.restamp:
            raise BagError('--clock and --restamp contradict each other: either the nodes follow '
                           "the recording's time, or the recording follows theirs")


@dataclass(frozen=True)
class ProcessConfig:
    """Which bag to look at without ROS running, and how."""

    bag: str
    """Folder of a bag, or its .mcap or .db3 file."""

    out: str = 'glances.jsonl'
    """Write what the eye decided here, one JSON object per picture."""

    params_file: str = ''
    """YAML of ROS parameters; those of gaze are used."""

    eye: Literal['auto', 'head', 'picture'] = 'auto'
    """'head': a head turned the camera; 'picture': it stood still; 'auto': head if the bag has
    joint states."""

    exemplar: str = ''
    """Picture of what to look for, or 'auto': a distinctive patch of the first frame. Empty: the
    parameter file's, and what the bag holds on gaze/exemplar."""

    image_topic: str = ''
    """Of the pictures; empty: the only one of the bag."""

    policy: str = ''
    """Folder of a checkpoint; empty: the weights shipped with the package."""

    seed: int = 0
    """Changes nothing: nothing here is random."""


def record(config: RecordConfig) -> dict[str, Any]:
    """Record until the time is over, Ctrl-C, or the disk is full.

    Returns:
        {'bag', 'duration_s', 'messages', 'topics': {name: messages}, 'not_recorded'}.

    Raises:
        BagError: the bag cannot be made; or the disk was full, and what came before is kept.
        MissingDependencyError: no rclpy, or no rosbags.
    """
    require('rclpy')
    result: dict[str, Any] = require('gaze_robot.nodes._bag_record').record(config)
    return result


def replay(config: ReplayConfig) -> dict[str, Any]:
    """Publish what a bag holds, at its own pace.

    Raises:
        BagError: the bag cannot be read.
        MissingDependencyError: no rclpy, or no rosbags.
    """
    require('rclpy')
    result: dict[str, Any] = require('gaze_robot.nodes._bag_play').play(config)
    return result


def process(config: ProcessConfig) -> dict[str, Any]:
    """Look at every picture of a bag with the code of gaze_node, the same way every time.

    Raises:
        BagError: the bag cannot be read, or holds no pictures.
        GazeRobotError: the parameters or the weights cannot be used.
        MissingDependencyError: no message packages, no torch, or no rosbags.
    """
    require('rclpy')
    check_writable(config.out)
    result: dict[str, Any] = require('gaze_robot.nodes._bag_process').process(config)
    return result
