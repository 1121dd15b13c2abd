"""What a camera's sensor does to its pictures under `EyeDynamics`."""

from collections.abc import Sequence
import functools
import math

import cv2
import numpy as np

from gaze_robot_sim.dynamics import EyeDynamics

_SIGMA = 32
"""One standard deviation of the noise bank, in its units; it holds +-4 of them in a byte."""


@functools.cache
def _bank() -> np.ndarray:
    """(2^20,) uint8, 128 + noise: what every sensor's noise is cut from."""
    drawn = np.random.default_rng(0).standard_normal(1 << 20, np.float32)
    return np.clip(np.rint(128 + _SIGMA * drawn), 0, 255).astype(np.uint8)


class Sensor:
    """B cameras. An eye's draws come from its own generator, in the order of the calls."""

    def __init__(self, dynamics: EyeDynamics, eyes: int = 1) -> None:
        self.dynamics = dynamics
        self.gain, self.noise, self._drop = np.ones(eyes), np.zeros(eyes), np.zeros(eyes)

    def start(self, eye: int, rng: np.random.Generator) -> None:
        """Draw an eye's gain, noise and rate of lost pictures."""
        self.gain[eye] = self.dynamics.draw('gain', rng)
        self.noise[eye] = self.dynamics.draw('sensor_noise', rng)
        self._drop[eye] = self.dynamics.draw('drop_rate', rng)

    def dropped(self, eye: int, rng: np.random.Generator) -> bool:
        """Whether this picture is lost; draws only where pictures get lost."""
        return bool(self._drop[eye]) and rng.random() < self._drop[eye]

    def develop(self, view: np.ndarray, eye: int, rng: np.random.Generator,
                averaged: float = 1.0) -> None:
        """Apply gain, then noise, in place; one draw per million values where there is noise.

        Args:
            view: (height, width, 3) uint8.
            eye: whose.
            rng: the eye's generator.
            averaged: camera pixels that one of the view's pixels is the mean of; the noise is
                divided by its root.
        """
        gain, noise = float(self.gain[eye]), float(self.noise[eye]) / math.sqrt(averaged)
        if not noise:
            if gain != 1.0:
                view[...] = cv2.convertScaleAbs(view, alpha=gain)
            return
        scale, bank = noise / _SIGMA, _bank()
        rows = max(len(bank) // 2 // view[0].size, 1)
        for top in range(0, len(view), rows):
            part = view[top:top + rows]
            first = int(rng.integers(len(bank) - part.size))
            cut = bank[first:first + part.size].reshape(part.shape)
            part[...] = cv2.addWeighted(part, gain, cut, scale, -128.0 * scale)


def exposed(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of pictures of one shape, uint8: what a shutter lets through as the view moves."""
    if len(pictures) == 1:
        return pictures[0]
    total = np.zeros(pictures[0].shape, np.float32)
    for picture in pictures:
        cv2.accumulate(picture, total)
    return cv2.convertScaleAbs(total, alpha=1.0 / len(pictures))
