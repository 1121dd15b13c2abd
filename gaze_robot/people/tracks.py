"""Heads over time: the same id for the same head, by place and motion alone (norfair).

norfair (Kalman filters and nearest-first assignment) by its maintained fork norfair-enough:
norfair itself wants numpy below 2, and `trackers` brings a second OpenCV. Appearance is not used:
who comes back is somebody new.
"""

from collections.abc import Sequence
import dataclasses
import logging
import math
from typing import Any

import numpy as np

from gaze_robot.errors import ConfigError
from gaze_robot.optional import require
from gaze_robot.people.heads import HeadFinder
from gaze_robot.people.records import Facing, Head

_REACH = 1.0
"""Sizes of a head that it may be away from where it was expected."""
_MISSED = 2
"""Searches without it after which a head is not told any more."""
_SETTLING = 0.6
"""How much of a new facing is taken over at once."""


class HeadTracks:
    """Looks for heads in every n-th picture and follows them in all."""

    def __init__(self, finder: HeadFinder, every: int = 3, keep: int = 30, confirm: int = 2
                 ) -> None:
        """Start without heads.

        Args:
            finder: how to find them.
            every: pictures from one search to the next; between them heads move on as before.
            keep: pictures for which the id of one that is not found again is kept; after two
                searches without it, it is not told any more, but may come back.
            confirm: searches that must find a head before it counts.

        Raises:
            ConfigError: numbers below 1.
            MissingDependencyError: norfair is not installed.
        """
        if min(every, keep, confirm) < 1:
            raise ConfigError(f'every, keep and confirm are at least 1, got {every}, {keep} and '
                              f'{confirm}')
        self._finder, self._every = finder, every
        self._norfair: Any = require('norfair')
        # It warns that a distance of pairs is slow; there are a handful of heads.
        logging.getLogger('norfair.tracker').setLevel(logging.ERROR)
        delay = (confirm - 1) * every
        self._tracker = self._norfair.Tracker(
            distance_function=_apart, distance_threshold=_REACH,
            hit_counter_max=max(keep, delay + 1), initialization_delay=delay,
            pointwise_hit_counter_max=max(keep, delay + 1))
        self._seen = 0
        self._missed: dict[int, int] = {}
        """Searches in a row that have not found a head, by id."""
        self._facing: dict[int, Facing] = {}

    def __call__(self, image: np.ndarray) -> list[Head]:
        """Heads of the next picture, (h, w, 3) uint8 RGB, by id; they must come in order."""
        search = self._seen % self._every == 0
        self._seen += 1
        return self.update(self._finder(image) if search else None)

    def update(self, found: Sequence[Head] | None, everywhere: bool = False) -> list[Head]:
        """The same with what was found in the next picture; None: nobody looked.

        Args:
            found: heads; their boxes may also be angles around a camera that turns.
            everywhere: they are not shares of a picture, and none is outside.
        """
        detections = None if found is None else [
            self._norfair.Detection(np.array(head.box).reshape(2, 2), np.full(2, head.confidence),
                                    data=head) for head in found]
        objects = self._tracker.update(detections, period=self._every if found is not None else 1)
        heads = []
        for one in objects:
            (left, top), (right, bottom) = one.estimate
            last: Head = one.last_detection.data
            facing = self._settle(one.id, last, found)
            if found is not None:
                here = any(head is last for head in found)
                self._missed[one.id] = 0 if here else self._missed.get(one.id, 0) + 1
            inside = everywhere or (right > max(left, 0) and bottom > max(top, 0)
                                    and left < 1 and top < 1)
            if inside and self._missed.get(one.id, 0) <= _MISSED:
                heads.append(dataclasses.replace(
                    last, box=(float(left), float(top), float(right), float(bottom)), id=one.id,
                    facing=facing))
        alive = {one.id for one in objects}
        self._facing = {key: value for key, value in self._facing.items() if key in alive}
        self._missed = {key: value for key, value in self._missed.items() if key in alive}
        return sorted(heads, key=lambda head: head.id)

    def _settle(self, key: int, last: Head, found: Sequence[Head] | None) -> Facing | None:
        """The facing, smoothed: a new one counts for `_SETTLING`, between searches it stays."""
        before = self._facing.get(key)
        if last.facing is None or before is None:
            after = last.facing
        elif found is None or not any(head is last for head in found):
            after = before
        else:
            turn = math.remainder(last.facing.yaw_rad - before.yaw_rad, 2 * math.pi)
            after = Facing(math.remainder(before.yaw_rad + _SETTLING * turn, 2 * math.pi),
                           before.pitch_rad + _SETTLING * (last.facing.pitch_rad
                                                           - before.pitch_rad),
                           last.facing.spread_rad, last.facing.eyes)
        if after is not None:
            self._facing[key] = after
        return after


def _apart(found: Any, expected: Any) -> float:
    """Distance of two heads' middles in their mean size; sizes that differ count as well."""
    one, other = found.points, expected.estimate                       # (2, 2) corners each
    sizes = [max(float((box[1] - box[0]).mean()), 1e-6) for box in (one, other)]
    apart = float(np.linalg.norm(one.mean(axis=0) - other.mean(axis=0)))
    return apart * 2 / sum(sizes) + 0.5 * abs(math.log(sizes[0] / sizes[1]))
