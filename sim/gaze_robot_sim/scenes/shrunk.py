"""Smaller copies of the pictures of sprites, kept as long as those live."""

import weakref

import cv2
import numpy as np


class _Mips:
    """A picture with premultiplied alpha and its halves, quarters..., built when needed."""

    def __init__(self, picture: np.ndarray) -> None:
        colour, alpha = picture[..., :3].astype(np.uint16), picture[..., 3:]
        whole = np.concatenate([((colour * alpha + 127) // 255).astype(np.uint8), alpha], axis=-1)
        self._levels = [np.ascontiguousarray(whole)]

    def at(self, level: int) -> np.ndarray:
        while len(self._levels) <= level and min(self._levels[-1].shape[:2]) > 1:
            height, width = self._levels[-1].shape[:2]
            self._levels.append(cv2.resize(self._levels[-1], (width // 2, height // 2),
                                           interpolation=cv2.INTER_AREA))
        return self._levels[min(level, len(self._levels) - 1)]


_mips: dict[int, tuple[weakref.ref[np.ndarray], _Mips]] = {}


def mips_of(picture: np.ndarray) -> _Mips:
    """The picture's copies, made once in its life."""
    key = id(picture)
    known = _mips.get(key)
    if known is not None and known[0]() is picture:
        return known[1]
    made = _Mips(picture)
    _mips[key] = weakref.ref(picture, lambda _: _mips.pop(key, None)), made
    return made
