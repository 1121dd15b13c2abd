"""One joint of an emulated head: time-optimal to a goal, or at a wanted speed."""

import numpy as np

from gaze_robot.drivers.kinematic import approach


class Axis:
    """Position in any unit; every limit in the same unit per second."""

    def __init__(self, position: float, low: float, high: float, speed: float,
                 strength: float) -> None:
        self.position, self.velocity = position, 0.0
        self.low, self.high = low, high
        """The mechanical stops."""
        self.speed, self.strength = speed, strength
        """Fastest speed and strongest acceleration of the next moves."""
        self.goal: float | None = None
        """Where to; None: nowhere, `wanted` counts."""
        self.wanted = 0.0
        """Speed to keep."""
        self.lowest = self.highest = position
        self.fastest = 0.0
        """Extremes seen so far."""

    def live(self, dt_s: float) -> None:
        """Move on."""
        if dt_s <= 0:
            return
        if self.goal is not None:
            moved, speed = approach(
                np.array(self.position), np.array(self.velocity), np.array(self.goal),
                np.array(max(self.speed, 1e-9)), np.array(max(self.strength, 1e-9)), dt_s)
            self.position, self.velocity = float(moved), float(speed)
        else:
            self._keep_speed(dt_s)
        if not self.low <= self.position <= self.high:
            self.position = min(max(self.position, self.low), self.high)
            self.velocity = 0.0
        self.lowest = min(self.lowest, self.position)
        self.highest = max(self.highest, self.position)
        self.fastest = max(self.fastest, abs(self.velocity))

    def freeze(self) -> None:
        """No power: stay where it is."""
        self.goal, self.wanted, self.velocity = None, 0.0, 0.0

    def _keep_speed(self, dt_s: float) -> None:
        missing = self.wanted - self.velocity
        change_s = min(abs(missing) / self.strength, dt_s)
        reached = (self.wanted if change_s < dt_s else
                   self.velocity + np.copysign(self.strength * change_s, missing))
        self.position += 0.5 * (self.velocity + reached) * change_s + reached * (dt_s - change_s)
        self.velocity = float(reached)
