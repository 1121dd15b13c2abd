"""Position control of a head that only takes speeds: the loop runs here, at every call."""

from dataclasses import replace
import math

import numpy as np

from gaze_robot.drivers.kinematic import advance
from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState

SHORTEST_S, LONGEST_S = 0.005, 0.1
"""One speed is planned for as long as the last one held: no sooner again than the first of these
seconds, and for the second at most."""
FIRST_S = 0.02
"""How long the first speed of a move is planned for."""
SHARE = 0.6
"""Share of the acceleration limit that moves are planned with: what the head does late, and what
the loop hears late, must not become overshoot."""


class RateLoop:
    """Where the head should be by what it was told, and the speed to tell it next.

    Speeds keep to the limits, and from one to the next differ by what the acceleration limit
    allows, rounded towards rest to what the wire can say. Where the head measures its position,
    `correct` puts the estimate right.
    """

    def __init__(self, limits: PanTiltLimits, quantum: tuple[float, float], coast_s: float = 0.1
                 ) -> None:
        """Start at rest, looking straight ahead.

        Args:
            limits: of position, speed and acceleration.
            quantum: smallest step of the speeds the head takes, rad/s.
            coast_s: how long the speed of a goal is followed when no newer one comes.
        """
        self.position = np.zeros(2)
        """Estimate, rad."""
        self.told = np.zeros(2)
        """Speed the head was told, rad/s."""
        self._limits = replace(limits, max_acceleration=(
            SHARE * limits.max_acceleration[0], SHARE * limits.max_acceleration[1]))
        self._quantum, self._coast_s = np.array(quantum), coast_s
        self._goal: np.ndarray | None = None
        self._drift = np.zeros(2)
        self._since_s = self._time_s = self._planned_s = -math.inf

    def pose(self, now_s: float) -> PanTiltState:
        """The estimate now."""
        self._live(now_s)
        return PanTiltState(float(self.position[0]), float(self.position[1]),
                            float(self.told[0]), float(self.told[1]), now_s)

    def aim(self, goal: PanTiltCommand, now_s: float) -> None:
        """Head for a goal that is inside the limits."""
        self._goal = np.array([goal.pan_rad, goal.tilt_rad])
        self._drift = np.array([goal.pan_rad_s, goal.tilt_rad_s])
        self._since_s = now_s

    def halt(self, now_s: float) -> None:
        """Forget the goal; the head has been told to stand still."""
        self._live(now_s)
        self._goal, self.told, self._planned_s = None, np.zeros(2), -math.inf

    def correct(self, axis: int, position: float) -> None:
        """A measurement of one axis, rad."""
        self.position[axis] = position

    def plan(self, now_s: float) -> np.ndarray:
        """The speed to tell the head now, (2,) rad/s; the caller tells it and calls `tell`."""
        self._live(now_s)
        if self._goal is None:
            return np.zeros(2)
        if 0.0 <= now_s - self._planned_s < SHORTEST_S:
            return self.told
        moving = self.told.any() and now_s > self._planned_s
        step_s = min(now_s - self._planned_s, LONGEST_S) if moving else FIRST_S
        self._planned_s = now_s
        coasting_s = min(max(now_s - self._since_s, 0.0), self._coast_s)
        goal = self._goal + self._drift * coasting_s
        drift = self._drift if coasting_s < self._coast_s else np.zeros(2)
        moved, _ = advance(self.position, self.told, goal, self._limits, step_s, drift)
        speed = (moved - self.position) / step_s
        steps = np.floor(np.abs(speed) / self._quantum + 1e-9)
        return np.sign(speed) * steps * self._quantum

    def tell(self, speed: np.ndarray, now_s: float) -> None:
        """What the head has been told."""
        self._live(now_s)
        self.told = speed

    def _live(self, now_s: float) -> None:
        if math.isfinite(self._time_s):
            self.position = self.position + self.told * max(now_s - self._time_s, 0.0)
        self._time_s = now_s
