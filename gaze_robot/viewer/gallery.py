"""Pictures as bytes for browsers: each is made once, when the first browser asks for it."""

from collections import OrderedDict
from collections.abc import Callable
import threading

import numpy as np

from gaze_robot.viewer.board import Board
from gaze_robot.viewer.drawing import (
    jpeg,
    levelled,
    map_picture,
    mosaic_picture,
    seen,
    surrounding_picture,
)

KINDS = ('eye', 'camera', 'mosaic', 'map', 'panorama', 'exemplar')
KEPT = 24


class Gallery:
    """Makes and keeps JPEGs; may be asked from several threads."""

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[str, int, int], bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._surrounding: tuple[int, np.ndarray] | None = None

    def picture(self, board: Board, kind: str, number: int) -> bytes | None:
        """The JPEG of one of `KINDS`; None while there is none at all.

        Of 'eye' (with drawings) and 'camera' (without) the last few are there, so that a click can
        be understood; of the others only the newest, whatever the number.
        """
        make, number = self._maker(board, kind, number)
        if make is None:
            return None
        key = (kind, number, board.serial)
        with self._lock:                    # two browsers that want the same wait for one making
            if key not in self._made:
                self._made[key] = make()
                while len(self._made) > KEPT:
                    self._made.popitem(last=False)
            return self._made[key]

    def _maker(self, board: Board, kind: str, number: int
               ) -> tuple[Callable[[], bytes] | None, int]:
        """What makes a picture (None: nothing can), and its number."""
        shown = board.numbered(number) or board.picture
        if kind == 'eye' and shown is not None:
            return lambda: jpeg(seen(shown)), shown.number
        if kind == 'camera' and shown is not None:
            return lambda: jpeg(levelled(shown)), shown.number
        mosaic, panorama, exemplar = board.mosaic, board.panorama, board.exemplar
        if kind == 'exemplar' and exemplar is not None:
            return lambda: jpeg(exemplar[1], 90), exemplar[0]
        if kind == 'mosaic' and mosaic is not None:
            return lambda: jpeg(mosaic_picture(mosaic[1], board.note), 90), mosaic[0]
        if kind == 'panorama' and panorama is not None:
            return lambda: panorama[1], panorama[0]
        if kind == 'map':
            return lambda: jpeg(map_picture(board, self._around(board))), number
        return None, number

    def _around(self, board: Board) -> np.ndarray:
        number, data = board.panorama or (0, None)
        if self._surrounding is None or self._surrounding[0] != number:
            self._surrounding = (number, surrounding_picture(data))
        return self._surrounding[1]
