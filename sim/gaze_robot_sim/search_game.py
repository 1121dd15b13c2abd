"""The task giver of a simulated world: one search after another, judged by the ground truth."""

from dataclasses import dataclass, field
import math

import numpy as np

from gaze_robot.errors import WorldError
from gaze_robot.geometry import angle_between, pan_tilt_from_direction
from gaze_robot.types import PanTiltLimits
from gaze_robot_sim.scenes.base import Scene, SearchTarget, World

FOUND_WITHIN_RAD = math.radians(5.0)
TRIES = 50


@dataclass
class SearchLog:
    """What became of the searches that have ended."""

    times_s: list[float] = field(default_factory=list)
    """For each search that found its target: seconds until the gaze came to stay within 5 deg."""

    timeouts: int = 0
    """Searches that ran out of time."""

    @property
    def searches(self) -> int:
        """Searches that have ended, either way."""
        return len(self.times_s) + self.timeouts

    def report(self) -> dict[str, float | int | None]:
        """The searches' half of the bringup report."""
        return {
            'searches': self.searches,
            'found_within_5deg': len(self.times_s),
            'median_time_to_target_s':
                round(float(np.median(self.times_s)), 3) if self.times_s else None,
        }


@dataclass(frozen=True, eq=False)
class Search:
    """What to look for, and where."""

    scene: Scene
    target: SearchTarget


class SearchGame:
    """Owns the scene shown now, picks targets, watches the gaze, says when a search has ended.

    A search is found when the gaze has stayed within 5 degrees of its target for `hold_s`, and
    over when `timeout_s` have passed without that.
    """

    def __init__(self, world: World, rng: np.random.Generator, hold_s: float = 1.0,
                 timeout_s: float = 10.0, max_start_rad: float = math.pi / 2,
                 limits: PanTiltLimits | None = None) -> None:
        self.world = world
        self.scene = world.scene(0)
        """What is around now."""
        self.log = SearchLog()
        self.target: SearchTarget | None = None
        self.error_rad = math.nan
        self._rng = rng
        self._index = 0
        self._hold_s = hold_s
        self._timeout_s = timeout_s
        self._max_start_rad = max_start_rad
        self._limits = limits or PanTiltLimits()
        self._started_s = math.nan
        self._within_since_s: float | None = None

    def choose(self, gaze: np.ndarray, t_s: float = 0.0, next_scene: bool = True) -> Search:
        """Pick a scene and something to look for in it; slow (tenths of a second).

        Changes nothing that is shown or judged, so it may run in another thread.

        Args:
            gaze: (3,) where the head looks, base frame.
            t_s: time in the world.
            next_scene: False stays in this room or picture; True goes on to the next one, past
                one that an earlier call failed in.

        Raises:
            WorldError: the scene cannot be used, or has nothing to look for that the head could
                reach.
        """
        scene = self.scene
        if next_scene:
            self._index += 1
            scene = self.world.scene(self._index)
        for _ in range(TRIES):
            target = scene.sample_target(self._rng, t_s)
            if self._reachable(target.direction) and \
                    self._far_enough(float(angle_between(gaze, target.direction))):
                return Search(scene, target)
        raise WorldError(
            f'{scene.name}: none of {TRIES} things to look for lies within '
            f'{math.degrees(self._max_start_rad):.0f} degrees of the gaze and within reach of the '
            'head; raise max_start_deg')

    def begin(self, search: Search, now_s: float) -> None:
        """A search starts now, on the clock `watch` will use; its scene is shown from now on."""
        self.scene, self.target = search.scene, search.target
        self._started_s, self._within_since_s = now_s, None

    def begin_again(self, now_s: float) -> None:
        """The clock was set: what goes on starts anew at the new time."""
        if self.target is not None:
            self.begin(Search(self.scene, self.target), now_s)

    def watch(self, gaze: np.ndarray, now_s: float) -> str | None:
        """Judge the gaze now; returns 'found', 'timeout', or None while the search goes on.

        After either the game has no target until `begin`.
        """
        if self.target is None:
            return None
        self.error_rad = float(angle_between(gaze, self.target.direction))
        if self.error_rad > FOUND_WITHIN_RAD:
            self._within_since_s = None
        elif self._within_since_s is None:
            self._within_since_s = now_s
        if self._within_since_s is not None and now_s - self._within_since_s >= self._hold_s:
            self.log.times_s.append(self._within_since_s - self._started_s)
            self.target = None
            return 'found'
        if now_s - self._started_s >= self._timeout_s:
            self.log.timeouts += 1
            self.target = None
            return 'timeout'
        return None

    def _reachable(self, direction: np.ndarray) -> bool:
        angles = np.array(pan_tilt_from_direction(direction))
        return bool(np.all(angles >= self._limits.min_position)
                    and np.all(angles <= self._limits.max_position))

    def _far_enough(self, angle_rad: float) -> bool:
        """Not found before it begins, and not further than asked."""
        return 2 * FOUND_WITHIN_RAD <= angle_rad <= self._max_start_rad
