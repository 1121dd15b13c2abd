"""Demonstrations on disk: written one by one, read as a sequence of episodes.

    DIR/demos.json                       what this is, and the version of its format
    DIR/episodes/000000.json             an `Entry`, and the hash of the numbers beside it
    DIR/episodes/000000.safetensors      joints, actions, task; the entry once more
    DIR/media/<hash>.mp4, <hash>.png     what was seen; episodes may share a file

An episode counts once its JSON is there, which is written last. Nothing in it is executed when it
is read; pictures are streamed, hashes checked when an episode is first opened.
"""

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
import functools
import json
from pathlib import Path
import shutil
from typing import overload
from weakref import WeakValueDictionary

import numpy as np
from safetensors import safe_open, SafetensorError
from safetensors.numpy import save_file

from gaze_robot.backbones.store import sha256_of
from gaze_robot.errors import DemoError, WorldError
from gaze_robot_sim.demos.entry import (
    camera_degrees,
    Entry,
    EPISODES,
    FORMAT,
    MARK,
    MEDIA,
    read_entries,
    VERSION,
)
from gaze_robot_sim.demos.episode import Episode
from gaze_robot_sim.demos.filming import film
from gaze_robot_sim.demos.recording import Recording, task_embedding
from gaze_robot_sim.scenes.base import Scene
from gaze_robot_sim.scenes.fixed_camera import FixedCamera, FixedCameraScene
from gaze_robot_sim.scenes.panoramas import load_panorama
from gaze_robot_sim.scenes.still import StillScene
from gaze_robot_sim.scenes.targets import find_photo_place
from gaze_robot_sim.scenes.video360 import VideoScene

KEPT_BYTES = 64 << 20
"""Memory for the pictures, looked at last, of one open episode."""


class DemoWriter:
    """Adds demonstrations to a folder, each of which appears whole or not at all."""

    def __init__(self, path: str | Path) -> None:
        """Make a store, or go on with one.

        Raises:
            DemoError: something else is there, or it cannot be written.
        """
        self.path = Path(path)
        if not (self.path / MARK).is_file():
            if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
                raise DemoError(f'{self.path} is there and holds no demonstrations; name an empty '
                                'or new folder')
            try:
                for folder in (EPISODES, MEDIA):
                    (self.path / folder).mkdir(parents=True, exist_ok=True)
                _write(self.path / MARK, json.dumps({'format': FORMAT, 'version': VERSION}))
            except OSError as error:
                raise DemoError(f'{self.path} cannot be written ({error.strerror})') from error
        self._names = {entry.name for entry in read_entries(self.path).values()}
        self._hashed: tuple[Path, int, int, str] | None = None

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def add_recording(self, recording: Recording) -> Entry:
        """Add what `repair.fitted` returned; its video is copied as it is.

        Raises:
            DemoError: it is no episode, or one of its name is there already.
        """
        if recording.frames is None:
            raise DemoError(f'{recording.name} was not checked; use repair.fitted first')
        part = recording.first_frame, recording.frames
        scene = _video_scene(recording.video, recording.view, part, recording.rate_hz)
        try:
            episode = Episode(
                recording.name, scene, task_embedding(recording.instruction),
                recording.instruction, recording.joint_names,
                recording.joints.astype(np.float32), recording.actions.astype(np.float32),
                recording.action_names, recording.rate_hz, recording.notes)
        finally:
            scene.close()
        return self._add(episode, recording.video, part, camera_degrees(recording.view))

    def add(self, episode: Episode, lossless: bool = False) -> Entry:
        """Add an episode with what can be seen in it: filmed, or one picture if nothing moves.

        Args:
            lossless: keep every pixel of a film, which takes 80 times the space.

        Raises:
            DemoError: one of its name is there already, or it cannot be written.
        """
        media, frames = film(episode, self.path / MEDIA, lossless)
        try:
            return self._add(episode, media, (0, frames), ())
        finally:
            media.unlink(missing_ok=True)

    def _add(self, episode: Episode, media: Path, part: tuple[int, int],
             camera_deg: tuple[float, ...]) -> Entry:
        if episode.name in self._names:
            raise DemoError(f'{self.path} holds {episode.name!r} already; name another folder')
        digest = self._hash(media)
        kept = self.path / MEDIA / f'{digest[:16]}{media.suffix.lower()}'
        entry = Entry(
            episode.name, episode.instruction, episode.joint_names, episode.action_names,
            episode.rate_hz, episode.steps, len(episode.task), kept.name, digest,
            media.stat().st_size, *part, camera_deg, episode.notes)
        stem = self.path / EPISODES / f'{len(self._names):06d}'
        try:
            if not kept.exists():
                shutil.copyfile(media, kept.with_suffix('.part'))
                kept.with_suffix('.part').replace(kept)
            numbers = stem.with_suffix('.safetensors')
            save_file({'joints': np.ascontiguousarray(episode.joints),
                       'actions': np.ascontiguousarray(episode.actions),
                       'task': np.ascontiguousarray(episode.task)}, numbers,
                      metadata={'entry': entry.text()})
            numbers.chmod(0o644)                         # safetensors writes for the owner only
            _write(stem.with_suffix('.json'), json.dumps(
                {'numbers_sha256': sha256_of(numbers), 'entry': dataclasses.asdict(entry)}))
        except OSError as error:
            raise DemoError(f'{self.path} cannot be written ({error.strerror})') from error
        self._names.add(episode.name)
        return entry

    def _hash(self, media: Path) -> str:
        """Of a file, hashed once where many episodes in a row share it."""
        stat = media.stat()
        if self._hashed is None or self._hashed[:3] != (media, stat.st_size, stat.st_mtime_ns):
            self._hashed = media, stat.st_size, stat.st_mtime_ns, sha256_of(media)
        return self._hashed[3]


class Demos(Sequence[Episode]):
    """The episodes of a store, opened when they are asked for and closed when nobody holds them.

    An episode is the same object as long as somebody holds it.
    """

    def __init__(self, path: str | Path, kept_bytes: int = KEPT_BYTES) -> None:
        """See `open_demos`."""
        self.path = Path(path)
        found = read_entries(self.path)
        self.entries, self._files = tuple(found.values()), tuple(found)
        if not self.entries:
            raise DemoError(f'{self.path} holds no demonstration yet; add one with `gaze-robot '
                            'demos record` or `convert`')
        self._kept_bytes = kept_bytes
        self._open: WeakValueDictionary[int, Episode] = WeakValueDictionary()
        self._intact: set[str] = set()

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, index: int) -> Episode: ...

    @overload
    def __getitem__(self, index: slice) -> list[Episode]: ...

    def __getitem__(self, index: int | slice) -> Episode | list[Episode]:
        """An episode by its number, from the end where negative.

        Raises:
            IndexError: there is no such number.
            DemoError: one of its files is missing, cut short or altered; the text names it.
        """
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        episode = self._open.get(number)
        if episode is None:
            episode = self._open[number] = self._read(number)
        return episode

    def __iter__(self) -> Iterator[Episode]:
        return (self[number] for number in range(len(self)))

    def number(self, name: str) -> int:
        """The number of an episode: of its name, or of a number in words.

        Raises:
            DemoError: there is none of that name.
        """
        names = [entry.name for entry in self.entries]
        if name not in names and name.isdecimal() and int(name) < len(self):
            return int(name)
        if name not in names:
            raise DemoError(f'{self.path} has no demonstration {name!r}; there are {len(self)}, '
                            f'numbered from 0, among them {", ".join(names[:3])}')
        return names.index(name)

    def verify(self) -> int:
        """Read and hash every file. Returns bytes; raises DemoError naming what is altered."""
        for number in range(len(self)):
            self._numbers(number)
            self._media(self.entries[number])
        return (sum(file.stat().st_size for file in (self.path / EPISODES).iterdir())
                + sum({entry.media: entry.media_bytes for entry in self.entries}.values()))

    def _read(self, number: int) -> Episode:
        entry = self.entries[number]
        numbers = self._numbers(number)
        media = self._media(entry)
        try:
            return Episode(
                entry.name, self._scene(entry, media), numbers['task'], entry.instruction,
                entry.joint_names, numbers['joints'], numbers['actions'], entry.action_names,
                entry.rate_hz, entry.notes)
        except WorldError as error:
            raise DemoError(f'{entry.name}: {error}') from error

    def _scene(self, entry: Entry, media: Path) -> Scene:
        if not entry.frames:
            panorama = load_panorama(media)
            return StillScene(entry.name, panorama,
                              functools.partial(find_photo_place, panorama), (0,))
        return _video_scene(media, entry.view, (entry.first_frame, entry.frames), entry.rate_hz,
                            self._kept_bytes)

    def _numbers(self, number: int) -> Mapping[str, np.ndarray]:
        """joints, actions and task of an episode, its file checked."""
        entry, path = self.entries[number], self._files[number].with_suffix('.safetensors')
        try:
            wanted = json.loads(path.with_suffix('.json').read_text())['numbers_sha256']
            if sha256_of(path) != wanted:
                raise DemoError(f'{path} is altered or cut short: its hash is not that in its '
                                'JSON; copy it again from where it came')
            with safe_open(path, 'np') as file:
                if (file.metadata() or {}).get('entry') != entry.text():
                    raise DemoError(f'{path.with_suffix(".json")} was altered: it differs from '
                                    f'what {path.name} was written with; restore it')
                numbers = {name: file.get_tensor(name) for name in ('joints', 'actions', 'task')}
        except (OSError, KeyError, SafetensorError) as error:
            raise DemoError(f'{path} cannot be read ({error}); copy it again') from error
        if len(numbers['joints']) != entry.steps or len(numbers['task']) != entry.task_numbers:
            raise DemoError(f'{path} has other shapes than its JSON says; copy both again')
        return numbers

    def _media(self, entry: Entry) -> Path:
        """The file of what was seen, checked once."""
        path = self.path / MEDIA / entry.media
        if entry.media in self._intact:
            return path
        if not path.is_file():
            raise DemoError(f'{path} of {entry.name} is missing; copy it again')
        size = path.stat().st_size
        if size != entry.media_bytes:
            raise DemoError(f'{path} of {entry.name} has {size} bytes, not {entry.media_bytes}: '
                            f'{"cut short" if size < entry.media_bytes else "altered"}; copy it '
                            'again')
        if sha256_of(path) != entry.media_sha256:
            raise DemoError(f'{path} of {entry.name} is altered: its hash is another than when it '
                            'was added; copy it again')
        self._intact.add(entry.media)
        return path


def open_demos(path: str | Path, kept_bytes: int = KEPT_BYTES) -> Demos:
    """Open a store.

    Args:
        kept_bytes: memory for the pictures, looked at last, of each episode in use.

    Raises:
        DemoError: there is none, it is empty, or it is of another version or damaged.
    """
    return Demos(path, kept_bytes)


def _video_scene(path: Path, view: FixedCamera | None, part: tuple[int, int], rate_hz: float,
                 kept_bytes: int = KEPT_BYTES) -> VideoScene:
    """A part of a video as a scene; raises WorldError where it cannot be played."""
    if view is None:
        return VideoScene(path, kept_bytes, part, rate_hz)
    return FixedCameraScene(path, view, kept_bytes, part, rate_hz)


def _write(path: Path, text: str) -> None:
    part = path.with_suffix('.part')
    part.write_text(text + '\n', encoding='utf-8')
    part.replace(path)
