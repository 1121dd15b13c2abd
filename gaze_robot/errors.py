"""One error tree: everything this package raises on purpose.

Edges (nodes, command line) catch `GazeRobotError` and only that; its text says what to do.
"""


class GazeRobotError(Exception):
    """Base of every error raised on purpose."""


class ConfigError(GazeRobotError, ValueError):
    """A setting is unknown, of the wrong type, or contradicts another one."""


class FindingsError(ConfigError):
    """Several things are wrong with one file; `lines` has one text each."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__('\n'.join(lines))
        self.lines = tuple(lines)


class ImageError(GazeRobotError, ValueError):
    """A picture cannot be used: empty, wrong size, unknown encoding, not finite."""


class CameraModelError(GazeRobotError, ValueError):
    """A camera description cannot be used."""


class CalibrationError(GazeRobotError):
    """What was measured does not tell what is asked; the message says why and what to do."""


class WorldError(GazeRobotError):
    """A world (panorama, folder, 360 video, room) cannot be opened or read."""


class DemoError(GazeRobotError):
    """A demonstration cannot be used: broken, altered, or what it holds does not fit together."""


class BagError(GazeRobotError):
    """A recording cannot be written, read or played."""


class SoakError(GazeRobotError):
    """A long run with faults found something wrong; its report says what."""


class CheckpointError(GazeRobotError):
    """Weights or their metadata are missing, altered, or do not fit the model."""


class MissingDependencyError(GazeRobotError, ImportError):
    """An optional library is needed here; the message names its installer."""


class CommandError(GazeRobotError, ValueError):
    """A motion command cannot be executed: not finite, wrong joints, wrong length."""


class DriverError(GazeRobotError):
    """The head did not do what it was told."""


class DriverConnectionError(DriverError):
    """The link to the head cannot be opened or is gone."""


class DriverTimeoutError(DriverError):
    """The head did not answer in time."""

    def __init__(self, device: str, waited_s: float) -> None:
        super().__init__(
            f'{device} did not answer within {waited_s:.2f} s; is it powered and connected?')
        self.device = device
        self.waited_s = waited_s


class DriverProtocolError(DriverError):
    """An answer of the head cannot be right: broken checksum, wrong length, nonsense."""
