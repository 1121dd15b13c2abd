"""Light that changes with time: drift of brightness and colour, and a lamp that is switched."""

import math

import cv2
import numpy as np

from gaze_robot.errors import WorldError

# Natural logarithms of gains, at amount 1.
_DRIFT = 0.35
"""By how much the drift makes everything lighter or darker."""
_TINT = 0.12
"""The same for each colour on its own."""
_LAMP = 0.6
"""By how much it is darker while the lamp is off."""
_SWITCHED = 0.5
"""Probability that there is a lamp that goes on and off."""


class Lighting:
    """The light of one episode, known at every time."""

    def __init__(self, rng: np.random.Generator, amount: float) -> None:
        """Choose how it changes.

        Args:
            rng: untouched when the amount is 0.
            amount: 0 (it never changes: gains of exactly 1) to 1 (between a third and 1.6 times).

        Raises:
            WorldError: an amount outside 0..1.
        """
        if not 0 <= amount <= 1:
            raise WorldError(f'the amount of changing light is between 0 and 1, got {amount}')
        self.amount = amount
        if amount == 0:
            return
        # One wave of all colours, one of each: periods of 10 to 60 s.
        self._frequency = 2 * math.pi / rng.uniform(10, 60, 4)
        self._phase = rng.uniform(0, 2 * math.pi, 4)
        self._lamp = _LAMP * amount if rng.random() < _SWITCHED else 0.0
        self._period_s, self._off_share = rng.uniform(6, 30), rng.uniform(0.2, 0.6)
        self._shift_s, self._ramp_s = rng.uniform(0, 30), rng.uniform(0.02, 0.4)

    def gain(self, t_s: float) -> np.ndarray:
        """Gains (3,) of red, green and blue at a time."""
        if self.amount == 0:
            return np.ones(3)
        wave = np.sin(self._frequency * t_s + self._phase)
        change = self.amount * (_DRIFT * wave[0] + _TINT * wave[1:])
        return np.exp(change - self._lamp * self._darkness(t_s))

    def _darkness(self, t_s: float) -> float:
        """0 while the lamp is on, 1 while it is off, between them while it goes on or off."""
        into = (t_s + self._shift_s) % self._period_s
        off_s = self._off_share * self._period_s
        return min(1.0, into / self._ramp_s) if into < off_s \
            else max(0.0, 1.0 - (into - off_s) / self._ramp_s)


def apply(image: np.ndarray, gain: np.ndarray) -> None:
    """Multiply (height, width, 3) uint8 RGB by gains (3,), in place; white stays white."""
    if not (gain == 1).all():
        cv2.multiply(image, np.append(gain, 1.0), image)
