"""Get a model's files: the only module that uses the network, and only when `pull` is called.

huggingface_hub knows the hub (log-in, gates, redirections, retries). Its own cache forgets a
download that was interrupted, so the unfinished part is kept here, beside where the file will be.
"""

import hashlib
from pathlib import Path
import re
from typing import Any

from gaze_robot.backbones.store import check, sha256_of, store_folder, write_record
from gaze_robot.backbones.table import File, Weights
from gaze_robot.errors import CheckpointError
from gaze_robot.optional import require

_SHA256, _SHA1 = re.compile('[0-9a-f]{64}'), re.compile('[0-9a-f]{40}')


def pull(row: Weights, endpoint: str | None = None) -> list[str]:
    """Download the files of a model that are not here yet, and record all of them.

    Args:
        row: which model; the caller has seen to its licence.
        endpoint: address of the hub; None is huggingface_hub's own ($HF_ENDPOINT).

    Returns:
        Names of the files that were downloaded.

    Raises:
        CheckpointError: no network, no access, no room, or not the content that was announced;
            what is unfinished is kept and resumed by the next call, what is wrong is not.
    """
    folder = store_folder() / row.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        here = check(row, folder)
        got = [file.name for file in row.files
               if here[file.name] != 'ok' and _get(row, file, folder, endpoint)]
        write_record(row, folder)
    except OSError as error:
        raise CheckpointError(f'{folder} cannot be written: {error}') from error
    return got


def _get(row: Weights, file: File, folder: Path, endpoint: str | None) -> bool:
    """Download one file, from where an earlier attempt ended; False: it was here already."""
    hub, errors = require('huggingface_hub'), require('huggingface_hub.errors')
    path, part = folder / file.name, folder / (file.name + '.part')
    try:
        url, headers, size, announced = _source(hub, row, file, endpoint)
        if path.is_file() and _wrong(path, file, announced) is None:
            return False
        done = part.stat().st_size if part.is_file() else 0
        if size is not None and done > size:
            part.unlink()
            done = 0
        with part.open('ab') as target:
            require('huggingface_hub.file_download').http_get(
                url, target, resume_size=done, headers=headers, expected_size=size,
                displayed_filename=file.name)
    except errors.GatedRepoError as error:
        raise CheckpointError(
            f'{row.repo} is given only to whoever accepted its licence: accept it at '
            f'https://huggingface.co/{row.repo}, log in with `hf auth login`, and pull '
            'again') from error
    except (errors.HTTPError, OSError) as error:
        raise CheckpointError(_failed(row, file, error, part)) from error
    wrong = _wrong(part, file, announced)
    if wrong is not None:
        part.unlink()
        raise CheckpointError(f'{file.name} of {row.name} arrived damaged: {wrong}; it was not '
                              'kept, pull again')
    part.replace(path)
    return True


def _source(hub: Any, row: Weights, file: File, endpoint: str | None
            ) -> tuple[str, dict[str, str] | None, int | None, str]:
    """Address, headers, size in bytes and hash as announced; None or '' where they are not."""
    if file.url:
        return file.url, None, None, ''
    url = hub.hf_hub_url(row.repo, file.name, revision=row.revision, endpoint=endpoint)
    about = hub.get_hf_file_metadata(url)
    return url, require('huggingface_hub.utils').build_hf_headers(), about.size, about.etag or ''


def _wrong(path: Path, file: File, announced: str) -> str | None:
    """Which hash a file has and which it should have; None if it is as it should be.

    The published sha256 decides; without one, what the hub announces: the sha256 of large files,
    the sha1 of the git blob of small ones.
    """
    actual, wanted = sha256_of(path), file.sha256
    if wanted is None and _SHA256.fullmatch(announced):
        wanted = announced
    if wanted is None and _SHA1.fullmatch(announced):
        content, wanted = path.read_bytes(), announced
        actual = hashlib.sha1(b'blob %d\0' % len(content) + content,
                              usedforsecurity=False).hexdigest()
    if wanted in (None, actual):
        return None
    return f'its hash is {actual[:12]}, not {str(wanted)[:12]}'


def _failed(row: Weights, file: File, error: Exception, part: Path) -> str:
    names = ' and '.join(each.name for each in row.files)
    source = f'https://huggingface.co/{row.repo}/tree/{row.revision}' if row.repo else file.url
    kept = part.stat().st_size if part.is_file() else 0
    return (f'{file.name} of {row.name} could not be downloaded: {error}. '
            + (f'{kept / 1e6:.1f} MB are kept and the next pull goes on from there. ' if kept
               else '')
            + f'Without a network here, get {names} from {source} on another machine and copy '
            f'them into {part.parent}')
