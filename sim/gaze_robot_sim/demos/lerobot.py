"""LeRobot's data sets, versions 2.0, 2.1 and 3.0: parquet beside mp4.

    2.x   one parquet and one mp4 per camera for each episode; tasks and episodes in JSON lines
    3.0   many episodes in a file; where each one is stands in meta/episodes (parquet)

Both say in meta/info.json how their files are called. Two or three files of a 2.x data set that
were taken out of it can be read as well: an info JSON, parquet and mp4 in one folder.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
import json
from pathlib import Path, PurePosixPath
import re
from typing import Any

import numpy as np

from gaze_robot.errors import DemoError
from gaze_robot.optional import require
from gaze_robot_sim.demos.recording import Recording

STATE, ACTION = 'observation.state', 'action'
_NUMBERED = re.compile(r'episode_(\d{6})')


@dataclass(frozen=True)
class _Episode:
    """Where one episode's files are."""

    index: int
    rows: Path
    video: Path
    instruction: str
    """'' where only the rows say which task it is."""

    first_s: float = 0.0
    """Of the video: when its part begins."""

    length: int | None = None
    """Rows it should have; None: the files do not say."""

    alone: bool = True
    """Whether its files hold nothing else."""


def read_info(root: Path) -> dict[str, Any] | None:
    """The info of the data set in a folder; None where there is none.

    Raises:
        DemoError: it cannot be read, or is of an unknown version.
    """
    loose = sorted(root.glob('*info.json'))
    path = root / 'meta' / 'info.json'
    if not path.is_file():
        if len(loose) != 1:
            return None
        path = loose[0]
    try:
        info = json.loads(path.read_text(encoding='utf-8'))
        version = str(info['codebase_version'])
        if not isinstance(info['features'], dict) or not float(info['fps']) > 0:
            raise DemoError('features must be an object and fps positive')
    except (OSError, ValueError, KeyError, TypeError, DemoError) as error:
        raise DemoError(f'{path} is not the info of a LeRobot data set ({error!r})') from error
    if not re.fullmatch(r'v(2\.[01]|3\.\d+)', version):
        raise DemoError(f'{path} is of LeRobot {version}; versions 2.0, 2.1 and 3.x are read')
    return info


def read_lerobot(root: Path, camera: str = '', instruction: str = ''
                 ) -> Iterator[Recording | DemoError]:
    """The episodes of a data set, one after the other; an error in place of an unreadable one.

    Args:
        camera: key of the video, or its end; '': the only one.
        instruction: what to do, in words; '': what the data set says.

    Raises:
        DemoError: no such data set, or nothing in it can be read.
        MissingDependencyError: pyarrow is not installed.
    """
    parquet = require('pyarrow.parquet')
    info = read_info(root)
    if info is None:
        raise DemoError(f'{root} is not a LeRobot data set: it has no meta/info.json')
    for name in (STATE, ACTION):
        if name not in info['features']:
            raise DemoError(f'{root} has no {name!r}; it has {", ".join(info["features"])}')
    key = _camera(root, info['features'], camera)
    tasks = _tasks(root, parquet)
    for episode in _episodes(root, info, key, parquet):
        try:
            yield _recording(episode, info, tasks, instruction, parquet, root.name)
        except DemoError as error:
            yield error


def _camera(root: Path, features: Mapping[str, Any], asked: str) -> str:
    known = [name for name, feature in features.items() if feature.get('dtype') == 'video']
    found = [name for name in known if name == asked or name.split('.')[-1] == asked] \
        if asked else known
    if len(found) != 1:
        raise DemoError(
            f'{root} has {len(known)} videos ({", ".join(known) or "none"})'
            + (f' and {asked!r} is none of them' if asked else '')
            + ('; name one with --camera' if known else '; data sets of pictures are not read'))
    return found[0]


def _tasks(root: Path, parquet: Any) -> dict[int, str]:
    """Instruction by number."""
    table, lines = root / 'meta' / 'tasks.parquet', root / 'meta' / 'tasks.jsonl'
    if table.is_file():
        rows = _table(table, parquet).to_pydict()
        # The instruction is the index of the frame that was written.
        words = next((rows[name] for name in ('task', '__index_level_0__') if name in rows), None)
        if words is None or 'task_index' not in rows:
            raise DemoError(f'{table} has columns {", ".join(rows)}, not task and task_index')
        return dict(zip(map(int, rows['task_index']), map(str, words)))
    if lines.is_file():
        try:
            return {int(row['task_index']): str(row['task']) for row in _lines(lines)}
        except (KeyError, TypeError, ValueError) as error:
            raise DemoError(f'{lines} does not list tasks ({error!r})') from error
    return {}


def _episodes(root: Path, info: Mapping[str, Any], key: str, parquet: Any) -> Iterator[_Episode]:
    if not (root / 'meta' / 'info.json').is_file():
        return _loose(root, key)
    if str(info['codebase_version']).startswith('v3'):
        return _shared(root, info, key, parquet)
    return _single(root, info, key)


def _single(root: Path, info: Mapping[str, Any], key: str) -> Iterator[_Episode]:
    """Version 2.x: a file each."""
    listed = root / 'meta' / 'episodes.jsonl'
    try:
        size = int(info.get('chunks_size', 1000))
        rows: list[dict[str, Any]] = _lines(listed) if listed.is_file() else [
            {'episode_index': index} for index in range(int(info['total_episodes']))]
        for row in rows:
            index = int(row['episode_index'])
            place = {'episode_chunk': index // size, 'episode_index': index, 'video_key': key}
            tasks = row.get('tasks') or ['']
            yield _Episode(index, _inside(root, info['data_path'], place),
                           _inside(root, info['video_path'], place), str(tasks[0]),
                           length=None if 'length' not in row else int(row['length']))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DemoError(f'{listed} or meta/info.json does not say where the episodes are '
                        f'({error!r})') from error


def _shared(root: Path, info: Mapping[str, Any], key: str, parquet: Any) -> Iterator[_Episode]:
    """Version 3: many episodes in a file."""
    tables = sorted((root / 'meta' / 'episodes').glob('*/*.parquet'))
    if not tables:
        raise DemoError(f'{root}/meta/episodes holds no parquet; copy the data set again')
    video = f'videos/{key}'
    columns = ['episode_index', 'tasks', 'length', 'data/chunk_index', 'data/file_index',
               f'{video}/chunk_index', f'{video}/file_index', f'{video}/from_timestamp']
    for table in tables:
        for row in _table(table, parquet, columns).to_pylist():
            try:
                yield _Episode(
                    int(row['episode_index']),
                    _inside(root, info['data_path'], {
                        'chunk_index': row['data/chunk_index'],
                        'file_index': row['data/file_index']}),
                    _inside(root, info['video_path'], {
                        'video_key': key, 'chunk_index': row[f'{video}/chunk_index'],
                        'file_index': row[f'{video}/file_index']}),
                    str((row['tasks'] or [''])[0]), float(row[f'{video}/from_timestamp']),
                    int(row['length']), alone=False)
            except (KeyError, TypeError, ValueError, IndexError) as error:
                raise DemoError(f'{table} does not say where the episodes are ({error!r})'
                                ) from error


def _loose(root: Path, key: str) -> Iterator[_Episode]:
    """Files in one folder, paired by the episode's number in their names."""
    name = key.split('.')[-1]
    rows = {found[1]: path for path in sorted(root.glob('*.parquet'))
            if (found := _NUMBERED.search(path.name))}
    if not rows:
        raise DemoError(f'{root} has neither meta/info.json nor ..episode_000000.parquet files')
    for number, path in rows.items():
        videos = sorted(root.glob(f'*episode_{number}*.mp4'))
        fitting = [video for video in videos if name in video.name] or videos
        yield _Episode(int(number), path, fitting[0] if fitting else path.with_suffix('.mp4'), '')


def _inside(root: Path, template: str, place: Mapping[str, Any]) -> Path:
    """A file of the data set; DemoError where its name leads elsewhere."""
    relative = PurePosixPath(template.format(**place))
    if relative.is_absolute() or '..' in relative.parts:
        raise DemoError(f'{root}: a data set has no files outside of it, got {relative}')
    return root / relative


def _recording(episode: _Episode, info: Mapping[str, Any], tasks: Mapping[int, str],
               instruction: str, parquet: Any, source: str) -> Recording:
    name = f'{source} {episode.index}'
    if not episode.video.is_file():
        raise DemoError(f'{name}: its video {episode.video} is missing; copy it again')
    columns = [STATE, ACTION, 'timestamp', 'frame_index', 'task_index']
    table = _table(episode.rows, parquet, columns, None if episode.alone else
                   [('episode_index', '=', episode.index)])
    if not table.num_rows or episode.length not in (None, table.num_rows):
        raise DemoError(f'{name}: {episode.rows} has {table.num_rows} rows of it, its meta data '
                        f'says {episode.length or "at least one"}; copy it again')
    joints, actions, stamp_s, frame = (
        _matrix(table, column, name) for column in (STATE, ACTION, 'timestamp', 'frame_index'))
    if not np.isfinite(frame).all():
        raise DemoError(f'{name}: a frame_index of {episode.rows} is no number; copy it again')
    notes = [f'from {source}, LeRobot {info["codebase_version"]}, episode {episode.index}']
    words = instruction or episode.instruction or tasks.get(int(table['task_index'][0].as_py()))
    if not words:
        words = f'task {table["task_index"][0].as_py()}'
        notes.append('the data set does not say in words what the task is')
    fps = float(info['fps'])
    return Recording(
        name, words, _names(info['features'][STATE], 'state', joints.shape[1]), joints,
        _names(info['features'][ACTION], 'action', actions.shape[1]), actions,
        frame[:, 0].astype(np.int64), stamp_s[:, 0], fps, episode.video,
        round(episode.first_s * fps),
        None if episode.alone else int(episode.length or 0), notes=tuple(notes))


def _matrix(table: Any, column: str, name: str) -> np.ndarray:
    """A column of lists as (T, n) float64; missing numbers are NaN."""
    try:
        matrix = np.array(table[column].to_pylist(), dtype=float)     # None becomes NaN
        if matrix.ndim == 1:
            matrix = matrix[:, None]
        if matrix.ndim != 2:
            raise ValueError(f'shape {matrix.shape}')
        return matrix
    except (TypeError, ValueError) as error:
        raise DemoError(f'{name}: {column!r} is not a list of numbers of one length in each row '
                        f'({error})') from error


def _names(feature: Mapping[str, Any], what: str, count: int) -> tuple[str, ...]:
    """Names of the numbers in a feature, numbered where the data set has none that fit."""
    names = feature.get('names')
    if isinstance(names, dict):
        names = list(names.values())
    while isinstance(names, list) and len(names) == 1 and isinstance(names[0], list):
        names = names[0]
    if (isinstance(names, Sequence) and len(names) == count
            and all(isinstance(name, str) for name in names) and len(set(names)) == count):
        return tuple(names)
    return tuple(f'{what}_{number}' for number in range(count))


def _table(path: Path, parquet: Any, columns: list[str] | None = None, filters: Any = None) -> Any:
    arrow = require('pyarrow')
    if not path.is_file():
        raise DemoError(f'{path} is missing; copy it again')
    try:
        return parquet.read_table(path, columns=columns, filters=filters)
    except (arrow.ArrowException, OSError, ValueError, KeyError) as error:
        raise DemoError(f'{path} cannot be read as parquet ({str(error)[:120]}); copy it again'
                        ) from error


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        rows = [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines() if line]
    except (OSError, ValueError) as error:
        raise DemoError(f'{path} is not JSON, line by line ({error})') from error
    if not all(isinstance(row, dict) for row in rows):
        raise DemoError(f'{path} does not hold an object in each line')
    return rows
