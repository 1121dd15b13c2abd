"""`gaze-robot calibrate board` and `calibrate camera`."""

from collections.abc import Iterator
from dataclasses import dataclass
import math
from pathlib import Path
import time
from typing import Any, Literal

import cv2
import numpy as np

from gaze_robot.calibration.board import Board
from gaze_robot.calibration.drawing import lens_picture
from gaze_robot.calibration.files import (
    check_parameters,
    save_board,
    save_picture,
    update_parameters,
)
from gaze_robot.calibration.lens_fit import fit_lens, LEAST_VIEWS
from gaze_robot.calibration.views import collect, ViewBook
from gaze_robot.camera_file import save_calibration
from gaze_robot.errors import CalibrationError, ConfigError
from gaze_robot.optional import require

_PICTURES = {'.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm'}


@dataclass(frozen=True)
class BoardConfig:
    """Which board, on which paper."""

    board: str = 'charuco:9x6:28'
    """KIND:COLUMNSxROWS:SQUARE_MM, squares; charuco or chessboard."""

    paper: Literal['a4', 'a3', 'letter'] = 'a4'
    """What it is printed on."""

    out: str = 'board.pdf'
    """.pdf, or .png with its resolution in it."""

    seed: int = 0
    """Nothing here is random; taken for uniformity."""


def print_board(config: BoardConfig) -> dict[str, Any]:
    """Write a board true to scale."""
    board = Board.parse(config.board)
    return {'board': board.text, 'out': config.out, **save_board(board, config.out, config.paper)}


@dataclass(frozen=True)
class CalibrateCameraConfig:
    """Which camera, which board, and where the result goes."""

    source: str = ''
    """Folder of pictures or a video of the board; empty: live, from the ROS topic."""

    board: str = 'charuco:9x6:28'
    """As it was printed: KIND:COLUMNSxROWS:SQUARE_MM; measure a square."""

    model: Literal['plumb_bob', 'rational_polynomial', 'equidistant'] = 'plumb_bob'
    """Lens: usual, wide, or fisheye."""

    out: str = 'camera.yaml'
    """camera_info file, as ROS's camera_calibration writes it."""

    params: str = ''
    """Parameter file in which camera.camera_info shall name that file; empty: none."""

    picture: str = ''
    """Residual picture; empty: beside `out` as .png."""

    image_topic: str = 'image_raw'
    """Live: where pictures come from."""

    namespace: str = ''
    """Live: of the camera."""

    views: int = 40
    """Live: this many different views are enough."""

    duration: float = 120.0
    """Live: seconds at most."""

    seed: int = 0
    """Nothing here is random; taken for uniformity."""

    def __post_init__(self) -> None:
        if not LEAST_VIEWS <= self.views <= 200:
            raise ConfigError(f'views is {LEAST_VIEWS} to 200, got {self.views}')
        if not 0 < self.duration < math.inf:
            raise ConfigError(f'duration is above 0 seconds, got {self.duration}')


def calibrate_camera(config: CalibrateCameraConfig) -> dict[str, Any]:
    """Find the lens of a camera, write it, and draw how well it fits.

    Raises:
        CalibrationError: the pictures do not tell; the text says why and what to do.
    """
    board = Board.parse(config.board)
    if config.params:
        check_parameters(config.params)
    if not Path(config.out).expanduser().absolute().parent.is_dir():
        raise ConfigError(f'{config.out}: there is no such folder')
    book = collect(_pictures(Path(config.source).expanduser()), board) if config.source \
        else _live(config, board)
    book.require(LEAST_VIEWS)
    assert book.size is not None
    found = fit_lens(book.views, board, book.size, config.model)
    picture = config.picture or str(Path(config.out).with_suffix('.png'))
    note = (f'{time.strftime("%Y-%m-%d")} with {board.text}: {len(found.views)} views, RMS '
            f'{found.rms_px:.3f} px')
    save_calibration(found.camera, config.out, 'camera', note)
    save_picture(picture, lens_picture(found))
    if config.params:
        where = str(Path(config.out).expanduser().absolute())
        update_parameters(config.params, {'camera': {'camera_info': where}}, f'camera: {note}')
    return {'out': config.out, 'picture': picture, **book.counts(), 'used': len(found.views),
            'left_out': found.left_out, 'model': config.model, 'rms_px': found.rms_px,
            'covered': found.covered, 'fx': found.camera.fx, 'fy': found.camera.fy,
            'cx': found.camera.cx, 'cy': found.camera.cy,
            'distortion': list(found.camera.distortion),
            'deviation_px': found.deviation}


def _pictures(source: Path) -> Iterator[tuple[str, np.ndarray]]:
    """(name, RGB) of a folder's pictures in order, or of a video's, five a second."""
    if source.is_dir():
        paths = sorted(path for path in source.iterdir() if path.suffix.lower() in _PICTURES)
        if not paths:
            raise CalibrationError(f'the folder {source} holds no pictures')
        for path in paths:
            content = np.fromfile(path, np.uint8)
            picture = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
            if picture is None:
                raise CalibrationError(f'{path} is no picture that can be read; take it away')
            yield path.name, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        return
    if not source.is_file():
        raise CalibrationError(f'{source}: no such folder or video')
    video = cv2.VideoCapture(str(source))
    every = max(1, round((video.get(cv2.CAP_PROP_FPS) or 30.0) / 5))
    number, good = 0, True
    try:
        while good:
            good, picture = video.read()
            if good and number % every == 0:
                yield f'picture {number}', cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
            number += good
    finally:
        video.release()
    if not number:
        raise CalibrationError(f'{source} cannot be read as a video; give a video or a folder')


def _live(config: CalibrateCameraConfig, board: Board) -> ViewBook:
    calibrator: Any = require('gaze_robot.nodes._calibrator')
    console = require('rich.console').Console(stderr=True, highlight=False, soft_wrap=True)
    book = ViewBook(board, config.views)
    console.print(f'Show {board.text} from near and far, tilted, in every part of the picture. '
                  'Ctrl-C when you have enough.')
    with calibrator.Calibrator(config.namespace, config.image_topic) as eyes:
        end_s, stamp_s = time.monotonic() + config.duration, -math.inf
        try:
            while len(book.views) < config.views and time.monotonic() < end_s:
                sight = eyes.picture(stamp_s)
                stamp_s = sight.stamp_s
                if book.look(sight.image, f'picture at {stamp_s:.2f}') and \
                        len(book.views) % 5 == 0:
                    console.print(f'{len(book.views)} of {config.views} views')
        except KeyboardInterrupt:
            pass                    # enough
    return book
