"""Calibration boards: what is printed, where its corners are, and finding them in a picture.

The board's frame: origin at its upper left, x right, y down, z into the board, as it is read.
"""

from dataclasses import dataclass
import functools
import math
from typing import Any

import cv2
import numpy as np

from gaze_robot.errors import ConfigError, MissingDependencyError

DICTIONARIES = tuple(f'{bits}x{bits}_{count}' for bits in (4, 5, 6, 7)
                     for count in (50, 100, 250, 1000))
_FORM = ('KIND:COLUMNSxROWS:SQUARE_MM, as charuco:9x6:30 or chessboard:10x7:25 (squares, not '
         'inner corners); a charuco board may go on with :MARKER_MM:DICTIONARY, as '
         'charuco:9x6:30:22:5x5_100')
_LEAST_CORNERS = 6


@dataclass(frozen=True)
class Board:
    """A flat board of black and white squares; a ChArUco board has markers in the white ones."""

    kind: str
    """'charuco' or 'chessboard'."""

    columns: int
    """Squares from left to right."""

    rows: int
    """Squares from top to bottom."""

    square_m: float
    marker_m: float = 0.0
    """Side of a marker; 0: three quarters of a square."""

    dictionary: str = '4x4_250'

    def __post_init__(self) -> None:
        if self.kind not in ('charuco', 'chessboard'):
            raise ConfigError(f'a board is a charuco or a chessboard, got {self.kind!r}; {_FORM}')
        if not (3 <= self.columns <= 40 and 3 <= self.rows <= 40):
            raise ConfigError('a board has 3 to 40 squares a side, got '
                              f'{self.columns}x{self.rows}')
        if not (math.isfinite(self.square_m) and 0.001 <= self.square_m <= 2.0):
            raise ConfigError('squares are 1 to 2000 mm wide, got '
                              f'{1000 * self.square_m:g} mm; {_FORM}')
        if self.kind == 'charuco' and not 0.3 <= self.marker_side_m / self.square_m <= 0.95:
            raise ConfigError(f'markers take 30 to 95 % of their square, got '
                              f'{1000 * self.marker_side_m:g} of {1000 * self.square_m:g} mm')
        if self.dictionary not in DICTIONARIES:
            raise ConfigError(f'no dictionary {self.dictionary!r}; there are '
                              f'{", ".join(DICTIONARIES)}')
        if self.kind == 'charuco' and self._markers > int(self.dictionary.split('_')[1]):
            raise ConfigError(f'{self.columns}x{self.rows} squares need {self._markers} markers, '
                              f'more than {self.dictionary} has')

    @classmethod
    def parse(cls, text: str) -> 'Board':
        """From text such as 'charuco:9x6:30'.

        Raises:
            ConfigError: it cannot be read, or describes no board.
        """
        parts = text.strip().lower().split(':')
        try:
            columns, rows = (int(number) for number in parts[1].split('x'))
            square, marker = float(parts[2]) / 1000, float([*parts, '0'][3]) / 1000
        except (IndexError, ValueError) as error:
            raise ConfigError(f'{text!r} describes no board; write {_FORM}') from error
        if not 3 <= len(parts) <= (5 if parts[0] == 'charuco' else 3):
            raise ConfigError(f'{text!r} describes no board; write {_FORM}')
        return cls(parts[0], columns, rows, square, marker, *parts[4:])

    @property
    def text(self) -> str:
        """What `parse` reads."""
        plain = f'{self.kind}:{self.columns}x{self.rows}:{1000 * self.square_m:g}'
        own = self.marker_m or self.dictionary != '4x4_250'
        return f'{plain}:{1000 * self.marker_side_m:g}:{self.dictionary}' if own else plain

    @property
    def marker_side_m(self) -> float:
        """Side of a marker."""
        return self.marker_m or 0.75 * self.square_m

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height."""
        return self.columns * self.square_m, self.rows * self.square_m

    @property
    def centre(self) -> np.ndarray:
        """(3,) metres, board frame."""
        width, height = self.size_m
        return np.array([width / 2, height / 2, 0.0])

    @functools.cached_property
    def corners(self) -> np.ndarray:
        """(N, 3) inner corners, metres, board frame, row by row from the upper left."""
        x, y = np.meshgrid(np.arange(1, self.columns), np.arange(1, self.rows))
        flat = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
        return flat * self.square_m

    @property
    def _markers(self) -> int:
        return self.columns * self.rows // 2

    @functools.cached_property
    def charuco(self) -> Any:
        """OpenCV's own board."""
        _require_aruco()
        return cv2.aruco.CharucoBoard((self.columns, self.rows), self.square_m,
                                      self.marker_side_m, dictionary(self.dictionary))

    def picture(self, square_px: int) -> np.ndarray:
        """(rows * square_px, columns * square_px) uint8, without a margin."""
        size = (self.columns * square_px, self.rows * square_px)
        if self.kind == 'charuco':
            return np.asarray(self.charuco.generateImage(size, None, 0, 1))
        row, column = np.indices((self.rows, self.columns))
        squares = np.where((row + column) % 2 == 0, 0, 255).astype(np.uint8)
        return squares.repeat(square_px, axis=0).repeat(square_px, axis=1)


def dictionary(name: str) -> Any:
    """OpenCV's predefined dictionary '4x4_250' and so on."""
    _require_aruco()
    return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f'DICT_{name.upper()}'))


@dataclass(frozen=True, eq=False)
class Detection:
    """A board's corners in one picture."""

    ids: np.ndarray
    """(N,) int, which rows of `Board.corners`."""

    pixels: np.ndarray
    """(N, 2) float64 (u, v), the centre of the top-left pixel at (0.5, 0.5)."""

    edge_px: float
    """How many pixels the change from black to white takes; above 4, the picture is blurred."""

    square_px: float
    """Side of a square, about."""


def find(image: np.ndarray, board: Board) -> Detection | None:
    """Look for a board.

    Args:
        image: (h, w, 3) uint8 RGB or (h, w) uint8.
        board: of which at least six corners, not all in a line, must show; of a chessboard all.

    Returns:
        Its corners, or None.
    """
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    look = _find_charuco if board.kind == 'charuco' else _find_chessboard
    found = look(grey, board)
    if found is None:
        return None
    ids, pixels = found
    places = board.corners[ids, :2]
    if len(ids) < _LEAST_CORNERS or np.linalg.matrix_rank(places - places.mean(axis=0)) < 2:
        return None
    square_px = _square_px(places, pixels, board.square_m)
    return Detection(ids, pixels + 0.5, _edge_px(grey, pixels, square_px), square_px)


def explain_absence(image: np.ndarray, board: Board) -> str:
    """Why `find` found nothing, as far as the picture tells; '' where it shows no board at all."""
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if not hasattr(cv2, 'aruco'):
        return ''
    names = [board.dictionary] if board.kind == 'charuco' else []
    names += [f'{bits}x{bits}_{count}' for bits in (4, 5, 6, 7) for count in (250, 1000)]
    for name in dict.fromkeys(names):
        _, ids, _ = cv2.aruco.ArucoDetector(dictionary(name)).detectMarkers(grey)
        if ids is not None and len(ids) >= 4:
            return (f'markers of the dictionary {name} are there, up to number {int(ids.max())}: '
                    f'is the board really {board.text}?')
    return ''


def _find_charuco(grey: np.ndarray, board: Board) -> tuple[np.ndarray, np.ndarray] | None:
    corners, ids, _, markers = _charuco_detector(board).detectBoard(grey)
    if ids is None or markers is None or (markers.max() >= board._markers):
        return None
    return ids.reshape(-1).astype(int), corners.reshape(-1, 2).astype(float)


@functools.lru_cache(maxsize=8)
def _charuco_detector(board: Board) -> Any:
    options = cv2.aruco.DetectorParameters()
    options.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    detector = cv2.aruco.CharucoDetector(board.charuco)
    detector.setDetectorParameters(options)
    return detector


def _find_chessboard(grey: np.ndarray, board: Board) -> tuple[np.ndarray, np.ndarray] | None:
    """All corners, the first one at the upper left: a chessboard itself does not say."""
    size = (board.columns - 1, board.rows - 1)
    good, corners = cv2.findChessboardCornersSB(
        grey, size, flags=cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_ACCURACY)
    if not good:
        return None
    pixels = corners.reshape(-1, 2).astype(float)
    if pixels[0].sum() > pixels[-1].sum():
        pixels = pixels[::-1]
    return np.arange(len(pixels)), pixels


def _square_px(places: np.ndarray, pixels: np.ndarray, square_m: float) -> float:
    """From the areas that the corners span: about right under any perspective."""
    board_area = cv2.contourArea(cv2.convexHull(places.astype(np.float32)))
    picture_area = cv2.contourArea(cv2.convexHull(pixels.astype(np.float32)))
    return float(square_m * math.sqrt(picture_area / max(board_area, 1e-12)))


def _edge_px(grey: np.ndarray, pixels: np.ndarray, square_px: float) -> float:
    """Contrast over the steepest slope, around each corner; the median."""
    reach = int(np.clip(0.3 * square_px, 4, 25))
    widths = []
    for u, v in np.rint(pixels).astype(int):
        patch = grey[max(v - reach, 0):v + reach + 1, max(u - reach, 0):u + reach + 1]
        if min(patch.shape) < reach:
            continue
        low, high = np.percentile(patch, (5, 95))
        down, right = np.gradient(patch.astype(np.float32))
        steepest = float(np.percentile(np.hypot(down, right), 98))
        widths.append(float(high - low) / max(steepest, 1e-3))
    return float(np.median(widths)) if widths else math.inf


def _require_aruco() -> None:
    if not hasattr(cv2, 'aruco') or not hasattr(cv2.aruco, 'CharucoDetector'):
        raise MissingDependencyError(
            f'OpenCV {cv2.__version__} cannot read ChArUco boards; use a chessboard, or get 4.7 '
            "or newer: pip install 'opencv-python-headless>=4.7,<5'")
