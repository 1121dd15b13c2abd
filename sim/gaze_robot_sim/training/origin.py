"""What a checkpoint says of where it comes from; no paths of the machine it was made on."""

import dataclasses
from pathlib import Path
import subprocess
from typing import Any

from gaze_robot.shipped import WORKSPACE

_PLACES = ('encoder', 'pictures', 'policy', 'demos', 'data', 'start')
"""Options that are folders something is learned from: that they were given is said, not where.
'workspace:press' and the like are none."""

_UNSAID = ('out', 'resume', 'device')


def origin(command: str, config: Any) -> dict[str, Any]:
    """Seed, commit, options, and the command line that gives them.

    Args:
        command: 'train search' and the like.
        config: dataclass instance of its options, `seed` among them, all with defaults.
    """
    defaults = type(config)()
    places = [name for name in _PLACES if isinstance(getattr(config, name, None), str)
              and not getattr(config, name).startswith(WORKSPACE)]
    settings = {name: value for name, value in dataclasses.asdict(config).items()
                if name not in (*_UNSAID, *places)}
    options = [option(name, value) for name, value in settings.items()
               if name == 'seed' or value != getattr(defaults, name)]
    options += [option(name, name.upper()) for name in places
                if getattr(config, name) != getattr(defaults, name)]
    return {'seed': config.seed, 'commit': _commit(), 'config': settings,
            'command': ' '.join([f'gaze-robot {command}', *options])}


def option(name: str, value: Any) -> str:
    """As it is written on the command line."""
    if value is False:
        return f'--no-{name.replace("_", "-")}'
    words = value if isinstance(value, tuple) else () if value is True else (value,)
    return ' '.join([f'--{name.replace("_", "-")}', *map(str, words)])


def _commit() -> str:
    """The commit of the checkout this runs from, or 'unknown' in an installed package."""
    try:
        return subprocess.run(['git', 'rev-parse', '--short', 'HEAD'], cwd=Path(__file__).parent,
                              capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'
