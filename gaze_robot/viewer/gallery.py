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

KINDS = ('eye', 'camera', 'mosaic', 'map', 'panorama')
KEPT = 24


class Gallery:
    """Makes and keeps JPEGs; may be asked from several threads."""

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[str, int, int], bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._surrounding: tuple[int, np.ndarray] | None = None

    def picture(self, board: Board, kind: str, number: int) -> bytes | None:
        """The JPEG of one of `KINDS`; None if that number is not, or no longer, there.

        'eye' (with drawings) and 'camera' (without) count pictures, 'mosaic' mosaics, 'panorama'
        panoramas; of 'map' there is only the newest, whatever the number.
        """
        make = self._maker(board, kind, number)
        if make is None:
            return None
        key = (kind, number, id(board))
        with self._lock:                    # two browsers that want the same wait for one making
            if key not in self._made:
                self._made[key] = make()
                while len(self._made) > KEPT:
                    self._made.popitem(last=False)
            return self._made[key]

    def _maker(self, board: Board, kind: str, number: int) -> Callable[[], bytes] | None:
        shown = board.numbered(number)
        if kind == 'eye' and shown is not None:
            return lambda: jpeg(seen(shown))
        if kind == 'camera' and shown is not None:
            return lambda: jpeg(levelled(shown))
        mosaic, panorama = board.mosaic, board.panorama
        if kind == 'mosaic' and mosaic is not None and mosaic[0] == number:
            return lambda: jpeg(mosaic_picture(mosaic[1], board.note), 90)
        if kind == 'panorama' and panorama is not None and panorama[0] == number:
            return lambda: panorama[1]
        if kind == 'map':
            return lambda: jpeg(map_picture(board, self._around(board)))
        return None

    def _around(self, board: Board) -> np.ndarray:
        number, data = board.panorama or (0, None)
        if self._surrounding is None or self._surrounding[0] != number:
            self._surrounding = (number, surrounding_picture(data))
        return self._surrounding[1]
