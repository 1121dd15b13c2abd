"""Which source says where to look, and when the eye has looked there long enough.

Without something to search for, the eye goes to the peak of a priority map, the weighted sum of
the sources' maps, rests there, and moves on: places it has looked at are inhibited for a while
(inhibition of return, Posner and Cohen 1984; as a map that suppresses the winner, Itti and Koch
2001), so that it explores instead of staring.

L levels   C cells across a level
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
import math
from typing import TYPE_CHECKING

import numpy as np

from gaze_robot.config import GazeConfig
from gaze_robot.errors import ConfigError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.gaze_target.company import (
    claimant,
    Company,
    company_map,
    FOLLOWED_S,
    nearest,
    STARED_S,
)
from gaze_robot.gaze_target.evidence import CELLS
from gaze_robot.geometry import (
    angle_between,
    base_from_optical,
    base_ray,
    direction_from_pan_tilt,
    pan_tilt_from_direction,
    wrap_angle,
)
from gaze_robot.types import GazeTarget, PanTiltLimits, PanTiltState

if TYPE_CHECKING:
    from gaze_robot.perception import Percept

DWELL_S = 0.7
"""How long the eye rests on a place."""

_OUTDONE = 1.5
"""Somebody whose claim is so many times that of who is followed is followed instead."""

_SNAP_RAD = math.radians(10.0)
"""A peak of the map this near to what somebody looks at is that."""

URGE = 0.5
"""What a search that has found nothing yet bids, of the 1 of one that is sure; times its weight.
"""

_OWNS = 1.2
"""Who has the eye keeps it until outbid by this factor."""

INHIBITED_S = 6.0
"""After this long nothing is left of an inhibition, which fades linearly."""

INHIBITED_RAD = math.radians(9.0)
"""Standard deviation of the inhibition around a place."""

_ARRIVED_RAD = math.radians(3.0)

_STILL_RAD = math.radians(1.0)
"""A followed target that wavers by less has not moved."""
_PATIENCE_S = 2.5
"""A place not reached after so long is given up."""

_CORRECTION_RAD = math.radians(8.0)
"""How far what was meant may lie from where a coarse level showed it."""

_NEARLY = 0.8
"""A sharper level is believed if its peak is this share of the highest."""

_NOTHING = 0.01
"""A priority, of 1, below which there is nothing to look at."""

_PLACES, _APART_RAD = 4, math.radians(12.0)
"""Candidates of a source at most, and how far apart they are at least."""


@dataclass(frozen=True, eq=False)
class Fixation:
    """Where the eye rests, or goes."""

    direction: np.ndarray
    """(3,) unit vector, base frame."""

    source: str
    """Which one has the largest part in it."""

    confidence: float
    """What that source's map said of the place when it was last compared, 0 to 1."""

    person: int | None = None
    """Whose gaze is followed, by id; 0: people are looked for; None: it is a place."""


class Priority:
    """Fixations on what the sources other than search find, for one eye."""

    def __init__(self, pattern: FoveationPattern, weights: Mapping[str, float]) -> None:
        """Take the weights of the sources, 0 or more; those of 0 are left out."""
        self.weights = {name: weight for name, weight in weights.items() if weight > 0}
        steps = (np.arange(CELLS) + 0.5) / CELLS * 2 - 1
        x, y = np.meshgrid(steps, steps)
        optical = np.stack([np.stack([x * half, y * half, np.ones_like(x)], axis=-1) for half in (
            pattern.half_tangent(level) for level in range(pattern.levels))])
        self._optical = optical / np.linalg.norm(optical, axis=-1, keepdims=True)
        self.reset()

    def reset(self) -> None:
        """Forget where the eye has been."""
        self._fixation: Fixation | None = None
        self._chosen_s = 0.0
        self._expected = 0.0                            # the priority of the place chosen
        self._arrived_s: float | None = None
        self._left: list[tuple[np.ndarray, float]] = []
        self._company: Company = ()
        self.owns = False
        """Whether these sources have the eye and a search has not; see `outbid`."""

    def maps(self, percept: 'Percept', company: Company | None = None,
             pose: PanTiltState | None = None) -> dict[str, np.ndarray]:
        """What each source that has a weight says, (L, C, C).

        Args:
            percept: of this picture.
            company: what people look at; None: the source people is what `percept` says of heads.
            pose: of the eye, with `company`.

        Raises:
            ConfigError: perception has stopped computing one.
        """
        self._company = () if company is None else company
        found = {name: getattr(percept, name) for name in self.weights}
        if 'people' in found and company is not None and pose is not None:
            found['people'] = company_map(company, self.rays(pose))[None]
        if missing := [name for name, value in found.items() if value is None]:
            raise ConfigError(f'perception does not compute {", ".join(missing)} any more: '
                              'something else set up this network; give every pipeline a policy '
                              'of its own')
        return {name: value[0] for name, value in found.items()}

    def combine(self, maps: Mapping[str, np.ndarray]) -> np.ndarray:
        """The weighted mean of the sources' maps, (L, C, C) in [0, 1]."""
        total = sum(self.weights.values())
        return np.asarray(sum(weight / total * maps[name]
                              for name, weight in self.weights.items()))

    def with_search(self, priority: np.ndarray, heat: np.ndarray, weight: float) -> np.ndarray:
        """The priority map, (L, C, C) float32, with the search's own map among the sources."""
        total = sum(self.weights.values()) + weight
        return ((priority * (total - weight) + heat * weight) / total).astype(np.float32)

    def outbid(self, maps: Mapping[str, np.ndarray], valid: np.ndarray, pose: PanTiltState,
               limits: PanTiltLimits, search: tuple[float, float], now_s: float) -> bool:
        """Whether one of these sources gets the eye while something is searched for.

        Each bids its weight times the best it has that the eye can reach and has not just looked
        at; the search bids its own weight times its confidence, or `URGE` while that is more.

        Args:
            maps, valid, pose, limits, now_s: as of `step`.
            search: weight and confidence of the search.
        """
        rays = self.rays(pose)
        open_to = self.free(rays, now_s) * _reachable(rays, pose, limits) * valid
        bids = [weight * float((maps[name] * open_to).max())
                for name, weight in self.weights.items()]
        if self._fixation is not None and self.owns:                   # where it rests counts, too
            bids.append(self.weights[self._fixation.source] * self._fixation.confidence)
        mine, other = max(bids, default=0.0), search[0] * max(search[1], URGE)
        self.owns = mine > (other / _OWNS if self.owns else other * _OWNS)
        if not self.owns:
            self._fixation = None
        return self.owns

    def rays(self, pose: PanTiltState) -> np.ndarray:
        """Base-frame unit directions of all cells, (L, C, C, 3)."""
        return self._optical @ base_from_optical(pose.pan_rad, pose.tilt_rad).T

    def free(self, rays: np.ndarray, now_s: float) -> np.ndarray:
        """How little a place is inhibited, (...) in [0, 1], for directions (..., 3)."""
        free = np.ones(rays.shape[:-1])
        for direction, left_s in self._left:
            strength = min(1.0, max(0.0, 1.0 - (now_s - left_s) / INHIBITED_S))
            # 1 - cos of an angle is half its square, for angles that matter here.
            free *= 1 - strength * np.exp((rays @ direction - 1) / INHIBITED_RAD ** 2)
        return free

    def step(self, maps: Mapping[str, np.ndarray], valid: np.ndarray, pose: PanTiltState,
             limits: PanTiltLimits, now_s: float) -> tuple[Fixation | None, np.ndarray]:
        """Decide for one picture.

        Args:
            maps: (L, C, C) in [0, 1] of every source that has a weight.
            valid: (L, C, C) bool, False outside the picture.
            pose: of the eye at the picture's stamp.
            limits: of the eye; what lies outside is never chosen.
            now_s: the picture's stamp.

        Returns:
            Where to look (None: nowhere in particular), and the priority map that was used,
            inhibition included: (L, C, C) float32.
        """
        self._left = [(place, left_s) for place, left_s in self._left
                      if now_s - left_s < INHIBITED_S]
        plain = np.where(valid, self.combine(maps), 0.0)
        rays = self.rays(pose)
        plain = plain * _reachable(rays, pose, limits)
        gaze = direction_from_pan_tilt(pose.pan_rad, pose.tilt_rad)
        if self._fixation is not None and self._fixation.person is not None:
            self._follow(self._fixation, now_s)
        elif self._fixation is not None:
            self._rest(plain, rays, gaze, maps, now_s)
        inhibited = plain * self.free(rays, now_s)
        if self._fixation is None:
            self._choose(inhibited, rays, maps, now_s)
            self._choose_unseen(limits, pose, now_s)
        return self._fixation, inhibited.astype(np.float32)

    def _rest(self, plain: np.ndarray, rays: np.ndarray, gaze: np.ndarray,
              maps: Mapping[str, np.ndarray], now_s: float) -> None:
        """Arrive, look again closely, and leave when it is time."""
        assert self._fixation is not None
        arrived = gaze @ self._fixation.direction > math.cos(_ARRIVED_RAD)
        if arrived and self._arrived_s is None:
            self._arrived_s = now_s
            near = rays @ self._fixation.direction > math.cos(_CORRECTION_RAD)
            self._correct(np.where(near, plain, 0.0), rays, maps)
        since_s, patience_s = (self._chosen_s, _PATIENCE_S) if self._arrived_s is None else (
            self._arrived_s, DWELL_S)
        if now_s - since_s >= patience_s:
            self._left.append((self._fixation.direction, now_s))
            self._fixation = None

    def _follow(self, fixation: Fixation, now_s: float) -> None:
        """Stay with what somebody looks at, wherever that goes; leave when nothing is new."""
        followed = claimant(self._company, fixation.person or 0)
        best = max(self._company, key=lambda gazed: gazed.claim, default=None)
        if followed is None or (best is not None and best.claim > _OUTDONE * followed.claim):
            self._fixation = None
            return
        moved = angle_between(followed.target.direction, fixation.direction)
        place = followed.target.direction if moved > _STILL_RAD else fixation.direction
        self._fixation = Fixation(place, 'people', followed.target.confidence, followed.target.id)
        long_s = FOLLOWED_S if followed.target.object_box else STARED_S
        if now_s - max(self._chosen_s, followed.since_s) >= long_s:
            self._left.append((place, now_s))
            self._fixation = None

    def _correct(self, near: np.ndarray, rays: np.ndarray, maps: Mapping[str, np.ndarray]) -> None:
        """Once there, the sharpest level that shows it nearly as clearly says where it is.

        Where nothing is left of what was expected, the eye stays.
        """
        peaks = near.max(axis=(1, 2))
        if peaks.max() > 0.5 * self._expected:
            level = int((peaks >= _NEARLY * peaks.max()).argmax())
            self._fixation = self._at(level, near, rays, maps)

    def _choose(self, priority: np.ndarray, rays: np.ndarray, maps: Mapping[str, np.ndarray],
                now_s: float) -> None:
        if priority.max() > _NOTHING:
            level = int(priority.max(axis=(1, 2)).argmax())
            self._fixation = self._at(level, priority, rays, maps)
            self._chosen_s, self._arrived_s = now_s, None
            self._expected = float(priority.max())

    def _choose_unseen(self, limits: PanTiltLimits, pose: PanTiltState, now_s: float) -> None:
        """What people look at outside this view, which no map shows, if that is worth more."""
        if not self._company:
            return
        rays = np.stack([gazed.target.direction for gazed in self._company])
        share = self.weights.get('people', 0.0) / sum(self.weights.values())
        worth = share * np.array([gazed.claim for gazed in self._company]) * self.free(
            rays, now_s) * _reachable(rays, pose, limits)
        best = int(worth.argmax())
        if worth[best] > (_NOTHING if self._fixation is None else self._expected):
            target = self._company[best].target
            self._fixation = Fixation(target.direction, 'people', target.confidence, target.id)
            self._chosen_s, self._arrived_s = now_s, None
            self._expected = float(worth[best])

    def _at(self, level: int, priority: np.ndarray, rays: np.ndarray,
            maps: Mapping[str, np.ndarray]) -> Fixation:
        """The peak of a level: the mean direction of the best cell and those around it."""
        row, column = np.unravel_index(priority[level].argmax(), priority[level].shape)
        around = (level, slice(max(0, row - 1), row + 2), slice(max(0, column - 1), column + 2))
        mean = (priority[around][..., None] * rays[around]).sum(axis=(0, 1))
        said = {name: float(maps[name][level, row, column]) for name in self.weights}
        source = max(said, key=lambda name: self.weights[name] * said[name])
        direction = mean / np.linalg.norm(mean)
        gazed = nearest(self._company, direction, _SNAP_RAD) if source == 'people' else None
        if gazed is not None:
            return Fixation(gazed.target.direction, source, gazed.target.confidence,
                            gazed.target.id)
        return Fixation(direction, source, said[source])

    def target(self, fixation: Fixation) -> GazeTarget:
        """A fixation as a target, with what is known of the person whose gaze is followed."""
        gazed = claimant(self._company, fixation.person) if fixation.person else None
        if gazed is not None:
            return replace(gazed.target, direction=fixation.direction)
        return GazeTarget(fixation.direction, fixation.confidence, True, fixation.source)

    def candidates(self, maps: Mapping[str, np.ndarray], valid: np.ndarray, pose: PanTiltState,
                   least: float, winner: GazeTarget | None) -> list[GazeTarget]:
        """The best places of every source in this view, besides the winner's.

        Args:
            least: probability of a person at least; salience is none and needs no such thing.
        """
        found: list[GazeTarget] = []
        if not self.weights:
            return found
        rays = self.rays(pose).reshape(-1, 3)
        found += [gazed.target for gazed in self._company
                  if gazed.target.id and (winner is None or gazed.target.id != winner.id)]
        for name in self.weights:
            if name == 'people' and self._company:
                continue
            shown = np.where(valid, maps[name], 0.0).reshape(-1)
            if winner is not None and winner.source == name:
                shown[rays @ winner.direction > math.cos(_APART_RAD)] = 0.0
            for _ in range(_PLACES):
                best = int(shown.argmax())
                if shown[best] < max(least if name == 'people' else 0.0, _NOTHING):
                    break
                found.append(GazeTarget(rays[best], float(min(1.0, shown[best])), True, name))
                shown[rays @ rays[best] > math.cos(_APART_RAD)] = 0.0
        return found


def computed(config: GazeConfig) -> frozenset[str]:
    """Sources besides search that the network has to compute: not people whose gaze is judged."""
    return frozenset(source_weights(config)) - ({'people'} if config.people_model else set())


def source_weights(config: GazeConfig) -> dict[str, float]:
    """Weights of the sources besides search, those that are on."""
    weights = {'people': config.sources_people, 'salience': config.sources_salience}
    return {name: weight for name, weight in weights.items() if weight > 0}


def search_target(near: np.ndarray, offset_rad: np.ndarray, remembered: tuple[float, ...],
                  pose: PanTiltState) -> GazeTarget:
    """The most probable place: in view if a sharp enough level shows it, else remembered.

    Args:
        near: (L,) probability of each level's best cell and those around it.
        offset_rad: (L, 2) angle from the gaze to it, (pan left, tilt down).
        remembered: pan, tilt and score of the best place of past glances.
    """
    level = int((near >= _NEARLY * near.max()).argmax())              # the sharpest of the surest
    confidence = float(near[level])
    pan, tilt, score = remembered
    if score > confidence:
        return GazeTarget(direction_from_pan_tilt(pan, tilt), min(1.0, score), False)
    left, down = offset_rad[level]
    ray = np.array([-math.tan(left), math.tan(down), 1.0])
    return GazeTarget(base_ray(ray / np.linalg.norm(ray), pose.pan_rad, pose.tilt_rad),
                      confidence, True)


def error_rad(target: GazeTarget | None, pose: PanTiltState) -> float | None:
    """Angle between gaze and target; None where no target is in view."""
    if target is None or not target.in_view:
        return None
    gaze = direction_from_pan_tilt(pose.pan_rad, pose.tilt_rad)
    return float(angle_between(gaze, target.direction))


def _reachable(rays: np.ndarray, pose: PanTiltState, limits: PanTiltLimits) -> np.ndarray:
    """Whether the eye can look along directions (..., 3) without turning the long way round."""
    pan, tilt = pan_tilt_from_direction(rays)
    pan = pose.pan_rad + wrap_angle(pan - pose.pan_rad)
    low, high = limits.min_position, limits.max_position
    return (pan >= low[0]) & (pan <= high[0]) & (tilt >= low[1]) & (tilt <= high[1])
