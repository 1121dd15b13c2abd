"""Where the head was at the moment a picture was taken."""

import bisect
import dataclasses
import math
import threading

from gaze_robot.errors import CommandError, ConfigError, DriverError
from gaze_robot.types import PanTiltState


class PoseBuffer:
    """Recent head poses, asked for at the stamp of a picture.

    Aiming with the pose of the moment a picture is processed, not taken, is off by speed times
    latency: 9 degrees at 180 deg/s and 50 ms. Safe to fill from one thread and read from another.
    """

    def __init__(self, capacity: int = 256, max_extrapolation_s: float = 0.05,
                 restart_after_s: float = 1.0) -> None:
        """Make an empty buffer.

        Args:
            capacity: poses kept, newest first to stay.
            max_extrapolation_s: how far beyond the newest pose its speed is trusted.
            restart_after_s: a stamp this much older than the newest is taken for a restarted
                clock (a simulation, a looping recording): the buffer empties and begins again.
        """
        if capacity < 2:
            raise ConfigError(f'capacity must be 2 or more to interpolate, got {capacity}')
        self.capacity = capacity
        self.max_extrapolation_s = max_extrapolation_s
        self.restart_after_s = restart_after_s
        self.dropped = 0
        """Poses refused so far: not finite, or older than one already here."""
        self._states: list[PanTiltState] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._states)

    @property
    def latest(self) -> PanTiltState | None:
        """The newest pose, or None."""
        with self._lock:
            return self._states[-1] if self._states else None

    def add(self, state: PanTiltState) -> bool:
        """Keep a pose; returns False where it was dropped and counted instead."""
        with self._lock:
            if not all(math.isfinite(value) for value in dataclasses.astuple(state)):
                self.dropped += 1
                return False
            if self._states:
                late_s = self._states[-1].stamp_s - state.stamp_s
                if late_s > self.restart_after_s:
                    self._states.clear()
                elif late_s >= 0:
                    self.dropped += 1
                    return False
            self._states.append(state)
            if len(self._states) > self.capacity:
                del self._states[0]
            return True

    def at(self, stamp_s: float) -> PanTiltState:
        """The pose at a moment.

        Returns:
            Position and speed interpolated linearly between the poses around it; up to
            `max_extrapolation_s` beyond the newest, carried on at its speed; else the nearest
            pose, with that pose's own stamp.

        Raises:
            DriverError: no pose has arrived yet.
            CommandError: stamp_s is not finite.
        """
        if not math.isfinite(stamp_s):
            raise CommandError(f'a stamp must be finite, got {stamp_s}')
        with self._lock:
            states = self._states
            if not states:
                raise DriverError('no head pose has arrived yet; is the head running and are its '
                                  'joint states published?')
            index = bisect.bisect_left(states, stamp_s, key=lambda state: state.stamp_s)
            if index == 0:
                return states[0]
            if index == len(states):
                return self._beyond(states[-1], stamp_s)
            return _between(states[index - 1], states[index], stamp_s)

    def _beyond(self, newest: PanTiltState, stamp_s: float) -> PanTiltState:
        ahead_s = stamp_s - newest.stamp_s
        if ahead_s > self.max_extrapolation_s:
            return newest
        return dataclasses.replace(
            newest, stamp_s=stamp_s, pan_rad=newest.pan_rad + newest.pan_rad_s * ahead_s,
            tilt_rad=newest.tilt_rad + newest.tilt_rad_s * ahead_s)


def _between(before: PanTiltState, after: PanTiltState, stamp_s: float) -> PanTiltState:
    part = (stamp_s - before.stamp_s) / (after.stamp_s - before.stamp_s)
    pan, tilt, pan_speed, tilt_speed = (
        first + part * (second - first) for first, second in zip(
            dataclasses.astuple(before)[:4], dataclasses.astuple(after)[:4]))
    return PanTiltState(pan, tilt, pan_speed, tilt_speed, stamp_s)
