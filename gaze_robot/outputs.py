"""Files that a command writes at its end."""

from pathlib import Path

from gaze_robot.errors import ConfigError


def check_writable(path: str, option: str = '') -> None:
    """Refuse before the work, not after it, when its result could not be written.

    Args:
        option: what the file was named with, for the message.

    Raises:
        ConfigError: it could not; nothing new is left there, file or folder.
    """
    made: list[Path] = []
    try:
        file = Path(path).resolve()
        made = [folder for folder in file.parents if not folder.exists()]
        there = file.exists()
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open('a'):
            pass
        if not there:
            file.unlink()
    except (OSError, ValueError, RuntimeError) as error:     # a NUL; links in a circle
        why = getattr(error, 'strerror', None) or error
        raise ConfigError(f'{option} {path}: cannot write there ({why}); name a file in a folder '
                          'you own'.strip()) from error
    finally:
        for folder in made:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
