"""A target that somebody names: one place, or again and again as it moves."""

import math

import numpy as np

from gaze_robot.control.tracker import Tracker
from gaze_robot.errors import CommandError
from gaze_robot.geometry import direction_from_pan_tilt, pan_tilt_from_direction, wrap_angle

LONGEST_GAP_S = 0.35
"""Points further apart in time are places of their own, not a target that moves."""

_SURE_AFTER = 3
"""Points in a row before a motion is believed."""


class PointedTarget:
    """Where a named target is at the moment of a picture.

    While points keep coming, it moves on at the speed they show; once they stop, it is where the
    last one was.
    """

    def __init__(self, noise_rad: float = 0.003, agility_rad_s2: float = 1.0) -> None:
        """Know none yet.

        Args:
            noise_rad: standard deviation of a point, per axis.
            agility_rad_s2: of the target's acceleration.
        """
        self._tracker = Tracker(noise_rad, agility_rad_s2, LONGEST_GAP_S)
        self.clear()

    def clear(self) -> None:
        """Forget it."""
        self._tracker.reset()
        self._direction: np.ndarray | None = None
        self._stamp_s: float | None = None
        self._gap_s, self._count = 0.0, 0

    def __bool__(self) -> bool:
        return self._direction is not None

    def point(self, direction: np.ndarray, stamp_s: float | None) -> None:
        """The target is there.

        Args:
            direction: (3,) base frame, of any length but zero.
            stamp_s: when, on the clock of the pictures; None: a place, from now on.

        Raises:
            CommandError: a direction that is not finite, or none; a stamp that is not finite.
        """
        direction = np.asarray(direction, dtype=float)
        length = np.linalg.norm(direction)
        if direction.shape != (3,) or not 0 < length < math.inf:
            raise CommandError('a direction to look at is 3 finite numbers, not all 0, got '
                               f'{direction}')
        if stamp_s is not None and not math.isfinite(stamp_s):
            raise CommandError(f'a stamp must be finite, got {stamp_s}')
        gap_s = math.inf if stamp_s is None or self._stamp_s is None else stamp_s - self._stamp_s
        if not 0 < gap_s <= LONGEST_GAP_S:
            self._tracker.reset()
            self._count, gap_s = 0, 0.0
        pan, tilt = (float(angle) for angle in pan_tilt_from_direction(direction))
        if self._tracker.position is not None:          # the turn nearest to where it was
            last = float(self._tracker.position[0])
            pan = last + float(wrap_angle(pan - last))
        self._tracker.see(np.array([pan, tilt]), gap_s)
        self._direction, self._stamp_s = direction / length, stamp_s
        self._gap_s, self._count = gap_s, self._count + 1

    def at(self, stamp_s: float) -> np.ndarray:
        """(3,) unit direction at the moment of a picture; ask only while there is a target."""
        assert self._direction is not None
        position = self._tracker.position
        if self._stamp_s is None or position is None or self._count < _SURE_AFTER:
            return self._direction
        ahead_s = stamp_s - self._stamp_s
        if ahead_s > max(2.5 * self._gap_s, 0.1) or ahead_s < -LONGEST_GAP_S:
            return self._direction
        return direction_from_pan_tilt(*(position + ahead_s * self._tracker.speed))
