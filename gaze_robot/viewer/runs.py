"""Training runs as folders: what each was, how it went, its episodes. `gaze-robot runs`."""

from dataclasses import dataclass, field
import datetime
import json
from pathlib import Path
from typing import Any

from gaze_robot.errors import ConfigError

_SKIPPED = ('steps', 'seconds', 'n', 'success_low', 'success_high')
"""Columns of a curve that are no measure of how well it goes."""

_DEPTH = 3


@dataclass(frozen=True, eq=False)
class Run:
    """One folder that `gaze-robot train` wrote."""

    path: Path
    name: str
    """Relative to where it was looked for."""

    settings: dict[str, Any] = field(default_factory=dict)
    curve: list[dict[str, float | None]] = field(default_factory=list)
    """Rows with `steps` and what was measured then."""

    result: dict[str, Any] = field(default_factory=dict)
    """Of a run that has ended; {} before."""

    films: tuple[str, ...] = ()
    """Names of its films: 'before.gif', 'after.gif'."""

    changed_s: float = 0.0
    """When it last wrote anything, seconds since 1970."""

    @property
    def measures(self) -> tuple[str, ...]:
        """What its curve tells."""
        names = {name for row in self.curve for name, value in row.items() if value is not None}
        return tuple(sorted(names - set(_SKIPPED)))

    @property
    def state(self) -> str:
        """In words: how far it is and what came of it."""
        last = self.curve[-1] if self.curve else {}
        steps = self.result.get('steps', last.get('steps'))
        parts = ['ended' if self.result else 'not ended']
        if steps is not None:
            parts.append(f'{steps:g} steps')
        if last.get('seconds'):
            parts.append(f'{(last["seconds"] or 0) / 60:.0f} min')
        parts += [f'{name} {last[name]:.3g}' for name in self.measures[:3]
                  if last.get(name) is not None]
        return ', '.join(parts)


def find_runs(folder: str | Path) -> list[Run]:
    """The runs below a folder, or the folder itself, the newest first.

    What cannot be read is taken for not written yet: a run may be writing it now.
    """
    folder = Path(folder)
    if (folder / 'config.json').is_file():
        return [_read(folder, folder.name)]
    found = []
    for depth in range(1, _DEPTH + 1):
        for config in folder.glob('/'.join('*' * depth) + '/config.json'):
            path = config.parent
            if (path / 'tb').is_dir() or (path / 'curve.json').is_file():
                found.append(_read(path, path.relative_to(folder).as_posix()))
    return sorted(found, key=lambda run: run.changed_s, reverse=True)


def _read(path: Path, name: str) -> Run:
    curve = _json(path / 'curve.json')
    files = [each for each in path.iterdir() if each.is_file()]
    return Run(path, name, _json(path / 'config.json') or {},
               curve if isinstance(curve, list) else [], _json(path / 'result.json') or {},
               tuple(sorted((each.name for each in files if each.suffix in ('.gif', '.mp4')),
                            reverse=True)),
               max((each.stat().st_mtime for each in files), default=0.0))


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return None


@dataclass(frozen=True)
class RunsConfig:
    """Where to look."""

    folder: str = 'runs'
    """Folder of run folders, or one of them."""


def list_runs(config: RunsConfig) -> dict[str, Any]:
    """What training runs there are.

    Returns:
        {name: {'state', 'changed', 'films', 'look'}}.

    Raises:
        ConfigError: there is no such folder, or no run in it.
    """
    if not Path(config.folder).is_dir():
        raise ConfigError(f'there is no folder {config.folder}; train one with `gaze-robot train '
                          'search --out runs/search`, or name another with --folder')
    runs = find_runs(config.folder)
    if not runs:
        raise ConfigError(f'{config.folder} holds no training run')
    return {run.name: {
        'state': run.state,
        'changed': datetime.datetime.fromtimestamp(run.changed_s).isoformat(' ', 'minutes'),
        'films': ', '.join(run.films) or 'none',
        'look': f'tensorboard --logdir {run.path}'} for run in runs}
