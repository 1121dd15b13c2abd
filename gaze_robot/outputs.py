"""Files that a command writes at its end."""

from pathlib import Path

from gaze_robot.errors import ConfigError


def check_writable(path: str) -> None:
    """Refuse before the work, not after it, when its result could not be written.

    Raises:
        ConfigError: it could not; nothing new is left there.
    """
    file = Path(path)
    try:
        there = file.exists()
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open('a'):
            pass
        if not there:
            file.unlink()
    except OSError as error:
        raise ConfigError(f'{path}: cannot write there ({error.strerror}); name a file in a '
                          'folder you own') from error
