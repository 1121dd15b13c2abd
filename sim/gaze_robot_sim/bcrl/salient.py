"""Where a panorama stands out: gazes for the hand's warm-up, which nobody has to label."""

import functools

import cv2
import numpy as np

from gaze_robot.geometry import pan_tilt_from_direction, panorama_direction

_WIDTH = 180
"""Columns of the picture that is looked at: 2 degrees each."""
_NEAR, _AROUND = 5, 31
"""Pixels across a thing, and across its surroundings."""
_NEAR_COLOURED, _AROUND_COLOURED = 3, 13
"""The same where colours alone count."""
DETAILED = 720
"""Columns where detail is looked for: half a degree each, in which the stripes of a sign show."""
_FINE, _MUCH = 3, 9
"""Pixels across what is detail, and across a place that is full of it."""


def salient_gazes(rng: np.random.Generator, image: np.ndarray, reach_rad: tuple[float, float],
                  count: int, coloured: bool = False) -> np.ndarray:
    """Gazes at what differs in colour from its surroundings.

    Args:
        image: (height, width, 3) uint8 panorama.
        reach_rad: how far to the sides, and up and down, to look.
        coloured: whether brightness does not count: a table's edge against a wall does not
            stand out then, and what is small does.

    Returns:
        (count, 2) pan and tilt, radians, each drawn in proportion to the fourth power of how much
        the place stands out.
    """
    small = cv2.resize(image, (_WIDTH, _WIDTH // 2), interpolation=cv2.INTER_AREA).astype(
        np.float32)
    near, around = (_NEAR_COLOURED, _AROUND_COLOURED) if coloured else (_NEAR, _AROUND)
    if coloured:
        small -= small.mean(axis=2, keepdims=True)
    wide = cv2.copyMakeBorder(small, 0, 0, around, around, cv2.BORDER_WRAP)
    apart = cv2.blur(wide, (near, near)) - cv2.blur(wide, (around, around))
    return _drawn(rng, np.linalg.norm(apart[:, around:-around], axis=2), reach_rad, count)


def detailed_gazes(rng: np.random.Generator, image: np.ndarray, reach_rad: tuple[float, float],
                   count: int) -> np.ndarray:
    """Gazes at what has fine detail, such as print, to be read; see `salient_gazes`."""
    bright = cv2.resize(image, (DETAILED, DETAILED // 2), interpolation=cv2.INTER_AREA).mean(
        axis=2, dtype=np.float32)
    wide = cv2.copyMakeBorder(bright, 0, 0, _MUCH, _MUCH, cv2.BORDER_WRAP)
    detail = cv2.blur(abs(wide - cv2.blur(wide, (_FINE, _FINE))), (_MUCH, _MUCH))
    return _drawn(rng, detail[:, _MUCH:-_MUCH], reach_rad, count)


def _drawn(rng: np.random.Generator, stands_out: np.ndarray, reach_rad: tuple[float, float],
           count: int) -> np.ndarray:
    """(count, 2) places, each in proportion to the fourth power of how much it stands out."""
    pan, tilt = _places(stands_out.shape[1])
    inside = (abs(pan) <= reach_rad[0]) & (abs(tilt) <= reach_rad[1])
    weight = np.cumsum(np.where(inside, stands_out ** 2 * stands_out ** 2 + 1e-9, 0.0).ravel())
    chosen = np.searchsorted(weight, rng.random(count) * weight[-1])
    return np.stack([pan.ravel()[chosen], tilt.ravel()[chosen]], axis=1)


@functools.lru_cache(maxsize=2)
def _places(width: int) -> tuple[np.ndarray, np.ndarray]:
    """Pan and tilt of every pixel of a panorama so wide."""
    rows, columns = np.mgrid[:width // 2, :width]
    places = np.stack([columns, rows], axis=-1) + 0.5
    return pan_tilt_from_direction(panorama_direction(places, width, width // 2))
