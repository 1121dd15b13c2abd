"""What is known of the robot at a time: filled by a robot or a recording, read by the page."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
import itertools
import threading
from typing import Protocol

import numpy as np

from gaze_robot.geometry import angle_between, direction_from_pan_tilt
from gaze_robot.glance_note import GlanceNote

KEPT_S = 30.0
"""How far back the plots go."""

KEPT_PICTURES = 24
TRAIL = 200
"""Fixations kept for the trail."""

OLD_S = 1.0
"""A glance says nothing of pictures that are newer than this."""

SILENT_S = 1.5
"""A node that tells something every second is missed after this long."""


_NUMBERS = itertools.count(1)


def fresh_number() -> int:
    """A number that nothing in this process has had: browsers tell pictures apart by it."""
    return next(_NUMBERS)


@dataclass(frozen=True, eq=False)
class Shown:
    """One picture as somebody may look at it now, and click into a little later."""

    number: int
    stamp_s: float
    image: np.ndarray
    """(h, w, 3) uint8 RGB, as the camera gave it."""

    note: GlanceNote | None
    """What the eye made of it; None where it told nothing of this one."""


@dataclass(frozen=True)
class Status:
    """What a node says of itself once a second."""

    level: str
    """ok, warn, error or stale."""

    message: str
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Remark:
    """A warning that a node wrote to its log."""

    stamp_s: float
    node: str
    text: str


class Robot(Protocol):
    """What the page can tell a robot; each returns what came of it in words.

    Raises:
        CommandError: it did not do that; the text says why.
    """

    async def look_at(self, direction: np.ndarray) -> str:
        """Look along a base-frame direction (3,) for a while."""

    async def show(self, picture: np.ndarray) -> str:
        """Search for what this (h, w, 3) uint8 RGB cut-out of the camera's picture shows."""

    async def prompt(self, text: str) -> str:
        """Do what these words say."""

    async def run_stop(self, stop: bool) -> str:
        """Stop the head at once, or release it."""

    async def enable(self, looking: bool) -> str:
        """Let the eye look, or rest."""

    async def power(self, on: bool) -> str:
        """Let the head obey commands, or not."""

    async def home(self) -> str:
        """Rest the eye and turn the head straight ahead."""

    async def weights(self) -> dict[str, float]:
        """Weights of the sources: search, people, salience."""

    async def weigh(self, source: str, weight: float) -> str:
        """Change the weight of one of them."""

    async def record(self, start: bool) -> str:
        """Start or stop recording."""


class Board:
    """What is known; times are seconds of the robot's clock, unless they say otherwise.

    One thread writes, others read: histories come as copies.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.serial = fresh_number()
        """No two boards of a process have the same."""

        self._pictures: deque[Shown] = deque(maxlen=KEPT_PICTURES)
        self._series: dict[str, deque[tuple[float, ...]]] = {
            name: deque() for name in ('pose', 'command', 'error', 'truth')}
        self._stages: deque[tuple[float, dict[str, float]]] = deque()
        self._trail: deque[tuple[float, float, float]] = deque(maxlen=TRAIL)
        self._remarks: deque[Remark] = deque(maxlen=20)
        self._note: GlanceNote | None = None
        self.mosaic: tuple[int, np.ndarray] | None = None
        """(its number, (side * levels, side, 3) uint8): what the network received."""

        self.panorama: tuple[int, bytes] | None = None
        """(its number, JPEG): the simulated surrounding."""

        self.exemplar: tuple[int, np.ndarray] | None = None
        """(its number, (h, w, 3) uint8): what was last shown to the eye."""

        self.mode: str | None = None
        self.on_target: bool | None = None
        self.stopped: bool | None = None
        """Whether the head is run-stopped; None while nobody said."""

        self.truth: tuple[float, float, float] | None = None
        """Direction of what is to be found, in simulation."""

        self.statuses: dict[str, Status] = {}
        """By 'gaze' and 'pan_tilt'."""

        self.heard_s: dict[str, float] = {}
        """When each of 'gaze', 'pan_tilt', 'camera' was last heard of, monotonic clock."""

        self.recording: str = ''
        """Where a recording is being written; '' while none is."""

    @property
    def picture(self) -> Shown | None:
        """The newest picture."""
        with self._lock:
            return self._pictures[-1] if self._pictures else None

    @property
    def note(self) -> GlanceNote | None:
        """What the eye told last; None once pictures are much newer."""
        note, picture = self._note, self.picture
        if note is None or (picture is not None and picture.stamp_s - note.stamp_s > OLD_S):
            return None
        return note

    @property
    def gaze(self) -> np.ndarray | None:
        """(3,) where the camera looks now, base frame; None while nobody said."""
        poses = self.history('pose')
        if poses:
            return direction_from_pan_tilt(np.array(poses[-1][1]), np.array(poses[-1][2]))
        trail = self.trail()
        return np.array(trail[-1]) if trail else None

    def numbered(self, number: int) -> Shown | None:
        """A recent picture by its number; None if it is gone."""
        with self._lock:
            return next((shown for shown in self._pictures if shown.number == number), None)

    def see(self, image: np.ndarray, stamp_s: float, note: GlanceNote | None) -> None:
        """Show a picture from now on, and keep what its glance adds."""
        self.put(image, stamp_s, note)
        if note is not None:
            self.follow(note)

    def put(self, image: np.ndarray, stamp_s: float, note: GlanceNote | None) -> None:
        """Show a picture from now on; `note` of its glance, if there was one."""
        with self._lock:
            self._pictures.append(Shown(fresh_number(), stamp_s, image, note))

    def follow(self, note: GlanceNote) -> None:
        """Keep what a glance adds to the histories and to the trail."""
        gaze = direction_from_pan_tilt(np.array(note.pan_rad), np.array(note.tilt_rad))
        self._note = note
        with self._lock:
            self._trail.append((float(gaze[0]), float(gaze[1]), float(gaze[2])))
            self._stages.append((note.stamp_s, note.stages_ms))
            while self._stages and self._stages[0][0] < note.stamp_s - KEPT_S:
                self._stages.popleft()
        if note.command is not None:
            self.add('command', note.stamp_s, *note.command)
        if note.target is not None:
            error = float(angle_between(gaze, np.array(note.target.direction)))
            self.add('error', note.stamp_s, np.degrees(error))

    def add(self, name: str, stamp_s: float, *values: float) -> None:
        """Add to a history: 'pose' and 'command' (pan, tilt), 'error' and 'truth' (degrees)."""
        with self._lock:
            series = self._series[name]
            if series and stamp_s < series[-1][0] - 1.0:        # a clock that began anew
                series.clear()
            series.append((stamp_s, *map(float, values)))
            while series[0][0] < stamp_s - KEPT_S:
                series.popleft()

    def remark(self, remark: Remark) -> None:
        """Keep a warning."""
        with self._lock:
            self._remarks.append(remark)

    def history(self, name: str) -> list[tuple[float, ...]]:
        """(stamp, values...) of the last `KEPT_S`; see `add`."""
        with self._lock:
            return list(self._series[name])

    def stages(self) -> list[tuple[float, dict[str, float]]]:
        """(stamp, milliseconds by stage) of the last `KEPT_S`."""
        with self._lock:
            return list(self._stages)

    def trail(self) -> list[tuple[float, float, float]]:
        """Directions the camera looked in, oldest first, base frame."""
        with self._lock:
            return list(self._trail)

    def remarks(self) -> list[Remark]:
        """The last warnings, oldest first."""
        with self._lock:
            return list(self._remarks)

    def missing(self, now_s: float, who: Iterable[str] = ('gaze', 'pan_tilt', 'camera')
                ) -> list[str]:
        """Who was not heard of for `SILENT_S`, on the monotonic clock."""
        return [name for name in who if now_s - self.heard_s.get(name, -np.inf) > SILENT_S]
