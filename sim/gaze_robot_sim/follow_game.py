"""The task giver who shows people: figures that look at one thing after another.

It stands where `SearchGame` does in `world_node`, but nothing is shown on the exemplar topic: only
the figure tells where to look.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math

import numpy as np

from gaze_robot.geometry import (
    angle_between,
    direction_from_pan_tilt,
    pan_tilt_from_direction,
)
from gaze_robot.types import Exemplar, PanTiltLimits
from gaze_robot_sim.envs.follow import Company, FollowConfig
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.base import Scene, World
from gaze_robot_sim.scenes.overlay import Sprite
from gaze_robot_sim.search_game import FOUND_WITHIN_RAD, SearchLog

STAYS_S = 0.2
"""A look is followed once the eye has been on the thing for so long."""

SOON_S = 2.0
"""And it must have come there within this time."""

_MIND_S = (2.5, 4.0)
"""How long the figure looks at a thing: every look leaves the eye its time."""
_EPISODE_S = 15.0
_START_RAD = math.radians(15)
_ROOM_RAD = math.radians(48)
"""Things and figure are so far at most from where the eye looks when they appear."""


@dataclass(frozen=True, eq=False)
class FollowTarget:
    """What the figure looks at."""

    direction: np.ndarray
    """(3,) unit vector, base frame."""

    name: str = 'gaze'
    exemplar: Exemplar | None = None
    """Nobody is shown a picture of it."""


@dataclass(frozen=True, eq=False)
class Visit:
    """A place, and who is there."""

    scene: Scene
    company: Company
    near: bool = True
    """Whether the figure's head appears near where the eye looks: as `Follow-v0` begins. Else the
    eye has to find it first, and its first look is not judged."""

    @property
    def target(self) -> FollowTarget:
        """What is looked at now."""
        return FollowTarget(self.company.things[self.company.choice].direction)


class PeopledScene:
    """A scene with the visit's figure and things in front of it; see `Scene`."""

    def __init__(self, scene: Scene, sprites: Sequence[Sprite]) -> None:
        self._scene, self._sprites = scene, sprites
        self.name, self.duration_s = scene.name, scene.duration_s

    def panorama(self, t_s: float) -> Panorama:
        """The scene's own."""
        return self._scene.panorama(t_s)

    def sprites(self, t_s: float) -> Sequence[Sprite]:
        """The scene's own, and the figure and its things."""
        return [*self._scene.sprites(t_s), *self._sprites]


class FollowGame:
    """Shows figures, watches the eye, says how each look ended: 'found' in time or 'timeout'."""

    def __init__(self, world: World, rng: np.random.Generator,
                 limits: PanTiltLimits | None = None) -> None:
        """Take a world; nobody is there before the first visit."""
        self.world, self._rng = world, rng
        self._limits = limits or PanTiltLimits()
        self._index, self._plain = 0, world.scene(0)
        self.scene: Scene | PeopledScene = self._plain
        self.log = SearchLog()
        self.target: FollowTarget | None = None
        self.error_rad = math.nan
        self._visit: Visit | None = None
        self._began_s = self._since_s = math.nan
        self._on_s: float | None = None
        self._told = False

    def choose(self, gaze: np.ndarray, _: float = 0.0, next_scene: bool = True) -> Visit:
        """Think of a place and a figure near where the eye looks; slow, changes nothing shown.

        Raises:
            WorldError: the scene cannot be used.
            ConfigError: the head's limits leave no room.
        """
        if next_scene:
            self._index += 1
        scene = self.world.scene(self._index) if next_scene else self._plain
        pan = float(pan_tilt_from_direction(gaze)[0])
        low, high = self._limits.min_position, self._limits.max_position
        middle = min(max(pan, low[0] + _ROOM_RAD), high[0] - _ROOM_RAD)
        limits = replace(self._limits, min_position=(max(low[0], middle - _ROOM_RAD), low[1]),
                         max_position=(min(high[0], middle + _ROOM_RAD), high[1]))
        company = Company(self._rng, FollowConfig(limits=limits, mind_s=_MIND_S))
        away = angle_between(gaze, direction_from_pan_tilt(*company.head))
        return Visit(scene, company, bool(away <= _START_RAD))

    def begin(self, visit: Visit, now_s: float) -> None:
        """Show it from now on, on the clock that `watch` will use."""
        self._visit, self.target, self._plain = visit, visit.target, visit.scene
        self.scene = PeopledScene(visit.scene, visit.company.sprites)
        self._began_s = now_s
        self._look(now_s)
        self._told = not visit.near

    def begin_again(self, now_s: float) -> None:
        """The clock was set: the visit starts anew at the new time."""
        if self._visit is not None:
            self.begin(self._visit, now_s)

    def watch(self, gaze: np.ndarray, now_s: float) -> str | None:
        """Judge the gaze and let the figure live; after the last look of a visit, no target."""
        if self._visit is None or self.target is None:
            return None
        self.error_rad = float(angle_between(gaze, self.target.direction))
        self._on_s = None if self.error_rad > FOUND_WITHIN_RAD else (
            now_s if self._on_s is None else self._on_s)
        ended = self._judge(now_s)
        if now_s - self._began_s >= _EPISODE_S:
            self._visit = self.target = None
            self.scene = self._plain
        elif self._visit.company.live(now_s - self._began_s):
            if not self._told:
                ended = self._end('timeout', now_s)
            self.target = self._visit.target
            self.scene = PeopledScene(self._visit.scene, self._visit.company.sprites)
            self._look(now_s)
        return ended

    def _look(self, now_s: float) -> None:
        self._since_s, self._on_s, self._told = now_s, None, False

    def _judge(self, now_s: float) -> str | None:
        if self._told:
            return None
        if self._on_s is not None and now_s - self._on_s >= STAYS_S:
            return self._end('found', self._on_s)
        if self._on_s is None and now_s - self._since_s >= SOON_S:
            return self._end('timeout', now_s)
        return None

    def _end(self, how: str, when_s: float) -> str:
        self._told = True
        if how == 'found':
            self.log.times_s.append(when_s - self._since_s)
        else:
            self.log.timeouts += 1
        return how
