"""The commands `gaze-robot weights list`, `pull` and `verify`."""

from dataclasses import dataclass
import sys
from typing import Any

from gaze_robot.backbones.store import check, model_folder, store_folder
from gaze_robot.backbones.table import row_of, TABLE, Weights
from gaze_robot.errors import CheckpointError, ConfigError
from gaze_robot.optional import require


@dataclass(frozen=True)
class ListConfig:
    """What there is; the network is not asked."""

    seed: int = 0
    """Not used: nothing is drawn."""


@dataclass(frozen=True)
class PullConfig:
    """Which weights to download."""

    names: tuple[str, ...]
    """Of `gaze-robot weights list`."""

    accept_licence: bool = False
    """Agree to the licence that is shown, where it is not an open one."""

    seed: int = 0
    """Not used: nothing is drawn."""


@dataclass(frozen=True)
class VerifyConfig:
    """Which weights to hash again; the network is not asked."""

    names: tuple[str, ...]
    """Of `gaze-robot weights list`; none is all that are here."""

    seed: int = 0
    """Not used: nothing is drawn."""


def list_weights(config: ListConfig) -> dict[str, Any]:
    """Name every model: licence, size, and whether its files are here (without hashing them)."""
    rows: dict[str, Any] = {'folder': str(store_folder())}
    for row in TABLE.values():
        folder = store_folder() / row.name
        here = all((folder / file.name).is_file() for file in row.files)
        rows[row.name] = (f'{"here" if here else "not here"}, {row.megabytes} MB, '
                          f'{row.licence.name}, {row.repo or row.files[0].url}')
    return rows


def pull_weights(config: PullConfig) -> dict[str, Any]:
    """Download models, each after its licence was shown and, where it needs that, agreed to.

    Raises:
        ConfigError: no such model, or its licence is not agreed to.
        CheckpointError: see `download.pull`.
    """
    if not config.names:
        raise ConfigError(f'name what to pull: {", ".join(TABLE)}')
    rows = [row_of(name) for name in config.names]
    for row in rows:
        _agree(row, config.accept_licence)
    pull = require('gaze_robot.backbones.download').pull
    return {row.name: {'downloaded': ', '.join(pull(row)) or 'nothing, all was here',
                       'folder': str(store_folder() / row.name)} for row in rows}


def verify_weights(config: VerifyConfig) -> dict[str, Any]:
    """Hash files again and compare them with the published hashes and the record of the pull.

    Raises:
        ConfigError: no such model.
        CheckpointError: a file is missing, truncated or altered; the text names it.
    """
    rows = ([row_of(name) for name in config.names]
            or [row for row in TABLE.values() if any((store_folder() / row.name).glob('*'))])
    result: dict[str, Any] = {'folder': str(store_folder()), 'verified': len(rows)}
    wrong = []
    for row in rows:
        try:
            result[row.name] = check(row, model_folder(row))
        except CheckpointError as error:
            wrong.append(str(error))
    if wrong:
        raise CheckpointError('. '.join(wrong))
    return result


def _agree(row: Weights, accepted: bool) -> None:
    """Show a licence; ask where it is not an open one and nobody has agreed yet."""
    console = require('rich.console').Console(stderr=True)
    console.print(f'{row.name}: {row.licence.name}, {row.licence.url}', soft_wrap=True)
    if row.licence.is_open or accepted:
        return
    if sys.stdin.isatty():
        answer = console.input(f'Do you accept the {row.licence.name}? (yes/no) ')
        if answer.strip().lower() in ('y', 'yes'):
            return
    raise ConfigError(f'{row.name} is under the {row.licence.name} ({row.licence.url}): read it, '
                      'then pull with --accept-licence')
