"""One glance as numbers and words: what somebody who watches needs to draw it again.

`gaze_node` publishes it as JSON on ~/glance while somebody listens; the viewer reads it.
"""

from dataclasses import asdict, dataclass, field
import json
import math
from typing import Any

import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.errors import CameraModelError, CommandError

Box = tuple[int, int, int]
"""(left, top, side) of a level's square in camera pixels."""


@dataclass(frozen=True)
class NotedTarget:
    """One place that a source proposes."""

    direction: tuple[float, float, float]
    """Unit vector, base frame."""

    source: str
    confidence: float
    in_view: bool = True
    head_box: tuple[float, float, float, float] | None = None
    """(xmin, ymin, xmax, ymax) of the head of who looks there, shares of the picture."""


@dataclass(frozen=True, eq=False)
class GlanceNote:
    """What one picture led to."""

    stamp_s: float
    """The picture's stamp."""

    camera: CameraModel
    """The lens the picture was taken through."""

    pan_rad: float
    tilt_rad: float
    """Where the camera itself looked then, base frame."""

    roll_rad: float
    """How it was turned about its axis, clockwise as it sees it."""

    mode: str
    on_target: bool
    boxes: tuple[Box, ...] = ()
    """The levels' squares, sharpest first."""

    heatmaps: tuple[np.ndarray, ...] = ()
    """(cells, cells) float32 per level; () while nothing is looked for."""

    command: tuple[float, float] | None = None
    """Pan and tilt of the head goal, radians; None for an eye that turns nothing."""

    target: NotedTarget | None = None
    others: tuple[NotedTarget, ...] = ()
    stages_ms: dict[str, float] = field(default_factory=dict)
    takes_words: bool = False
    """Whether what to do can be said in words (~/prompt)."""

    def __post_init__(self) -> None:
        values = (self.stamp_s, self.pan_rad, self.tilt_rad, self.roll_rad, *(self.command or ()))
        if not all(math.isfinite(value) for value in values):
            raise CommandError('a glance is told in finite numbers')

    def to_json(self) -> str:
        """The inverse of `from_json`; probabilities keep 4 digits."""
        values = {key: getattr(self, key) for key in _PLAIN}
        return json.dumps({
            **values, 'camera': asdict(self.camera),
            'heatmaps': [np.round(level, 4).tolist() for level in self.heatmaps],
            'target': None if self.target is None else asdict(self.target),
            'others': [asdict(other) for other in self.others],
            'stages_ms': {name: round(ms, 3) for name, ms in self.stages_ms.items()},
        }, separators=(',', ':'))

    @classmethod
    def from_json(cls, text: str) -> 'GlanceNote':
        """Read one.

        Raises:
            CommandError: not JSON, or something is missing or of the wrong kind: another version
                of this package wrote it.
        """
        try:
            raw = json.loads(text)
            camera = dict(raw['camera'], distortion=tuple(raw['camera']['distortion']))
            command, target = raw['command'], raw['target']
            return cls(**{key: raw[key] for key in _PLAIN if key not in ('boxes', 'command')},
                       camera=CameraModel(**camera),
                       boxes=tuple((int(x), int(y), int(side)) for x, y, side in raw['boxes']),
                       heatmaps=tuple(np.array(level, np.float32) for level in raw['heatmaps']),
                       command=None if command is None else (command[0], command[1]),
                       target=None if target is None else _target(target),
                       others=tuple(_target(other) for other in raw['others']),
                       stages_ms=dict(raw['stages_ms']))
        except (CameraModelError, KeyError, TypeError, ValueError) as error:
            raise CommandError(f'this is not a glance as this version tells it: {error!r}'
                               ) from error


_PLAIN = ('stamp_s', 'pan_rad', 'tilt_rad', 'roll_rad', 'mode', 'on_target', 'boxes', 'command',
          'takes_words')


def _target(raw: dict[str, Any]) -> NotedTarget:
    x, y, z = raw['direction']
    box = raw['head_box']
    return NotedTarget((x, y, z), raw['source'], raw['confidence'], raw['in_view'],
                       None if box is None else (box[0], box[1], box[2], box[3]))
