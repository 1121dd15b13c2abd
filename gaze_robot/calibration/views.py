"""Pictures of a board, and which of them are worth a calibration."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from gaze_robot.calibration.board import Board, Detection, explain_absence, find
from gaze_robot.errors import CalibrationError

BLURRED_PX = 4.5
"""A change from black to white that takes more pixels than this is blurred or out of focus."""

_NEW_VIEW = 0.03
"""Share of the picture's width that corners must have moved by, in the mean, for a new view."""


@dataclass(frozen=True, eq=False)
class View:
    """A board in one picture."""

    name: str
    """For people: a file, or the number of a picture."""

    found: Detection


@dataclass
class ViewBook:
    """Collects views that differ, and counts what was left out and why."""

    board: Board
    most: int = 60
    views: list[View] = field(default_factory=list)
    size: tuple[int, int] | None = None
    """Width and height of the pictures, pixels."""

    seen: int = 0
    """Pictures looked at."""

    missing: int = 0
    """Without the board."""

    blurred: int = 0
    alike: int = 0
    """Hardly different from a view already taken."""

    hint: str = ''
    """What pictures without the board show instead."""

    def look(self, image: np.ndarray, name: str) -> View | None:
        """Take a picture if it adds something.

        Args:
            image: (h, w, 3) uint8 RGB or (h, w) uint8.
            name: for people.

        Returns:
            The view if it was taken.

        Raises:
            CalibrationError: it has another size than those before.
        """
        size = (image.shape[1], image.shape[0])
        if self.size is None:
            self.size = size
        if size != self.size:
            raise CalibrationError(
                f'{name} is {size[0]}x{size[1]} and those before are {self.size[0]}x'
                f'{self.size[1]}: a calibration is of one camera at one resolution; sort them out')
        self.seen += 1
        found = find(image, self.board)
        if found is None:
            self.missing += 1
            if not self.hint and self.missing <= 3:
                self.hint = explain_absence(image, self.board)
            return None
        if found.edge_px > BLURRED_PX:
            self.blurred += 1
            return None
        if any(self._moved(found, view.found) < _NEW_VIEW for view in self.views):
            self.alike += 1
            return None
        if len(self.views) >= self.most:
            return None
        self.views.append(View(name, found))
        return self.views[-1]

    def _moved(self, one: Detection, other: Detection) -> float:
        assert self.size is not None
        _, first, second = np.intersect1d(one.ids, other.ids, return_indices=True)
        if len(first) < 4:
            return 1.0
        apart = np.linalg.norm(one.pixels[first] - other.pixels[second], axis=1)
        return float(apart.mean()) / self.size[0]

    def counts(self) -> dict[str, int]:
        """What became of the pictures."""
        return {'pictures': self.seen, 'views': len(self.views), 'without_board': self.missing,
                'blurred': self.blurred, 'alike': self.alike}

    def require(self, least: int) -> None:
        """Refuse too few views, and say why there are no more.

        Raises:
            CalibrationError: fewer than `least`.
        """
        if len(self.views) >= least:
            return
        why = [f'{self.missing} did not show {self.board.text}'
               + (f' ({self.hint})' if self.hint else '')] if self.missing else []
        why += [f'{self.blurred} were blurred'] if self.blurred else []
        why += [f'{self.alike} were like another one'] if self.alike else []
        raise CalibrationError(
            f'{len(self.views)} good views in {self.seen} pictures, {least} at least are needed'
            + (f': {"; ".join(why)}' if why else '')
            + '. Show the board sharp and well lit, near, tilted, and in every part of the '
              'picture')


def collect(pictures: Iterable[tuple[str, np.ndarray]], board: Board, most: int = 60) -> ViewBook:
    """Look through named pictures."""
    book = ViewBook(board, most)
    for name, image in pictures:
        book.look(image, name)
    return book


def cells_hit(views: Sequence[View], size: tuple[int, int], columns: int = 8, rows: int = 6
              ) -> np.ndarray:
    """(rows, columns) int: how many corners lie in each cell of the picture."""
    pixels = np.concatenate([view.found.pixels for view in views])
    column = np.clip((pixels[:, 0] / size[0] * columns).astype(int), 0, columns - 1)
    row = np.clip((pixels[:, 1] / size[1] * rows).astype(int), 0, rows - 1)
    hit = np.zeros((rows, columns), int)
    np.add.at(hit, (row, column), 1)
    return hit
