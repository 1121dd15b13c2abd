"""Where pretrained weights are kept, and whether they are still what they were.

A model is a folder under $GAZE_ROBOT_WEIGHTS, or else under ~/.cache/gaze_robot/weights, with a
record beside its files: size and sha256 of each as it was pulled. Nothing here uses the network.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from gaze_robot.backbones.table import Weights
from gaze_robot.errors import CheckpointError

RECORD = 'record.json'


def store_folder() -> Path:
    """The folder of all models."""
    chosen = os.environ.get('GAZE_ROBOT_WEIGHTS')
    return Path(chosen or Path.home() / '.cache' / 'gaze_robot' / 'weights').expanduser()


def model_folder(row: Weights, folder: str | Path = '') -> Path:
    """The folder of a model, its files checked.

    Args:
        row: which model.
        folder: where it lies; '' is its place in the store.

    Raises:
        CheckpointError: a file is missing, truncated or altered.
    """
    place = Path(folder) if folder else store_folder() / row.name
    if not folder and not place.is_dir():
        raise CheckpointError(f'{row.name} is not here yet: {how_to_get(row)}')
    wrong = [f'{name} is {state}' for name, state in check(row, place).items()
             if state not in ('ok', 'unknown')]
    if wrong:
        raise CheckpointError(f'{row.name} in {place}: {", ".join(wrong)}; remove what is wrong, '
                              f'then {how_to_get(row)}')
    return place


def how_to_get(row: Weights) -> str:
    """What to do to have a model's files, with and without a network."""
    names = ' and '.join(file.name for file in row.files)
    source = (f'https://huggingface.co/{row.repo}/tree/{row.revision}' if row.repo
              else ' and '.join(file.url for file in row.files))
    return (f'run `gaze-robot weights pull {row.name}`, or copy {names} from {source} into '
            f'{store_folder() / row.name}')


def check(row: Weights, folder: Path) -> dict[str, str]:
    """Hash every file of a model.

    Returns:
        File name -> 'ok', 'missing', 'truncated' (shorter than recorded), 'altered', or
        'unknown': there, but neither published nor recorded hash says what it should be.

    Raises:
        CheckpointError: the record cannot be read.
    """
    record = read_record(folder)
    states = {}
    for file in row.files:
        path, entry = folder / file.name, record.get(file.name, {})
        wanted = file.sha256 or entry.get('sha256')
        if not path.is_file():
            states[file.name] = 'missing'
        elif path.stat().st_size < entry.get('size', 0):
            states[file.name] = 'truncated'
        elif wanted is None:
            states[file.name] = 'unknown'
        else:
            states[file.name] = 'ok' if sha256_of(path) == wanted else 'altered'
    return states


def known_sha256(row: Weights, folder: Path) -> tuple[str, ...]:
    """Hashes of a model's files that `model_folder` has let pass, in the order of the table."""
    record = read_record(folder)
    return tuple(file.sha256 or record.get(file.name, {}).get('sha256')
                 or sha256_of(folder / file.name) for file in row.files)


def read_record(folder: Path) -> dict[str, Any]:
    """What was pulled into a folder: file name -> size and sha256; empty without a record.

    Raises:
        CheckpointError: it is there and cannot be read.
    """
    path = folder / RECORD
    if not path.is_file():
        return {}
    try:
        files = json.loads(path.read_text(encoding='utf-8'))['files']
        return {name: {'size': int(entry['size']), 'sha256': str(entry['sha256'])}
                for name, entry in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f'{path} is damaged ({error}); remove it to check against the '
                              'published hashes alone') from error


def write_record(row: Weights, folder: Path) -> None:
    """Write down what the files of a model are now."""
    files = {file.name: {'size': (folder / file.name).stat().st_size,
                         'sha256': sha256_of(folder / file.name)} for file in row.files}
    part = folder / (RECORD + '.part')
    part.write_text(json.dumps({'name': row.name, 'repo': row.repo, 'revision': row.revision,
                                'licence': row.licence.name, 'files': files}, indent=2) + '\n',
                    encoding='utf-8')
    part.replace(folder / RECORD)


def sha256_of(path: Path) -> str:
    """Hash of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
