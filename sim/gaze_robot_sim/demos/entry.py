"""What a store says about one demonstration, as the JSON beside its numbers has it."""

import dataclasses
from dataclasses import dataclass
import json
import math
from pathlib import Path
import re

from gaze_robot.errors import ConfigError, DemoError, WorldError
from gaze_robot.schema import from_mapping
from gaze_robot_sim.scenes.fixed_camera import FixedCamera

FORMAT, VERSION = 'gaze_robot demonstrations', 1
MARK, EPISODES, MEDIA = 'demos.json', 'episodes', 'media'

_FILE = re.compile(r'[0-9a-f]{16}\.(mp4|avi|mkv|webm|mov|m4v|png)')
"""Names of media: nothing that leads out of the folder."""


@dataclass(frozen=True)
class Entry:
    """One demonstration; a field is a key of the JSON."""

    name: str
    instruction: str
    joint_names: tuple[str, ...]
    action_names: tuple[str, ...]
    rate_hz: float
    steps: int
    task_numbers: int
    media: str
    """File in the folder of media: a video, or the picture of a scene in which nothing moves."""

    media_sha256: str
    media_bytes: int
    first_frame: int
    frames: int
    """Of the video, from the first on: one for each step; 0: a picture."""

    camera_deg: tuple[float, ...]
    """(hfov, pan, tilt) of an ordinary camera, degrees; (): it looks all around."""

    notes: tuple[str, ...]

    def __post_init__(self) -> None:
        if not _FILE.fullmatch(self.media):
            raise DemoError(f'{self.name}: {self.media!r} is not the name of a media file')
        if (self.steps < 2 or self.first_frame < 0 or self.frames not in (0, self.steps)
                or len(self.camera_deg) not in (0, 3)):
            raise DemoError(f'{self.name}: {self.steps} steps, {self.frames} frames from '
                            f'{self.first_frame} on, camera {self.camera_deg} cannot be')
        if self.view is not None and not self.frames:
            raise DemoError(f'{self.name}: a still picture is one of all around')

    @property
    def view(self) -> FixedCamera | None:
        """Where its camera looks; None: all around."""
        return FixedCamera(*map(math.radians, self.camera_deg)) if self.camera_deg else None

    def text(self) -> str:
        """As JSON; the same for the same entry."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def parse(cls, text: str, path: Path) -> 'Entry':
        """The entry of a JSON text.

        Raises:
            DemoError: it is none; the text names the file.
        """
        try:
            given = json.loads(text)
            if not isinstance(given, dict):
                raise DemoError('not an object')
            return from_mapping(cls, given)
        except (json.JSONDecodeError, ConfigError, DemoError, WorldError, TypeError) as error:
            raise DemoError(f'{path} does not describe a demonstration ({error}); copy it again '
                            'from where it came') from error


def camera_degrees(view: FixedCamera | None) -> tuple[float, ...]:
    """The `camera_deg` of a view."""
    return () if view is None else tuple(
        math.degrees(angle) for angle in (view.hfov_rad, view.pan_rad, view.tilt_rad))


def read_entries(path: Path) -> dict[Path, Entry]:
    """What a store holds, in order: each JSON file and what it says.

    Raises:
        DemoError: it is no store, or of another version, or its JSON cannot be read.
    """
    mark = path / MARK
    if not mark.is_file():
        raise DemoError(f'{path} holds no demonstrations: it has no {MARK}; make it with '
                        '`gaze-robot demos record` or `convert`')
    try:
        found = json.loads(mark.read_text())
        if not isinstance(found, dict) or found.get('format') != FORMAT:
            raise DemoError(f'{mark} is not that of demonstrations; was the folder altered?')
        if found.get('version') != VERSION:
            raise DemoError(f'{path} has version {found.get("version")} of its format, this code '
                            f'reads {VERSION}; convert it again with this version')
        entries = {}
        for file in sorted((path / EPISODES).glob('*.json')):
            written = json.loads(file.read_text())
            if not isinstance(written, dict) or written.keys() != {'numbers_sha256', 'entry'}:
                raise DemoError(f'{file} does not describe a demonstration; copy it again')
            entries[file] = Entry.parse(json.dumps(written['entry']), file)
        return entries
    except (OSError, ValueError) as error:
        raise DemoError(f'{path}: a JSON file cannot be read ({error}); copy it again') from error
