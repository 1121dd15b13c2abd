"""What a checkpoint says of where it comes from."""

from pathlib import Path
import subprocess
from typing import Any


def option(name: str, value: Any) -> str:
    """A setting as words of the command line."""
    words = value if isinstance(value, tuple) else () if value is True else (value,)
    return ' '.join([f'--{name.replace("_", "-")}', *map(str, words)])


def commit() -> str:
    """The commit of the checkout this runs from, or 'unknown' in an installed package."""
    try:
        return subprocess.run(['git', 'rev-parse', '--short', 'HEAD'], cwd=Path(__file__).parent,
                              capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'
