"""A lens from views of a board: found again, and poor data refused with the reason."""

import math

import numpy as np
import pytest

from gaze_robot.calibration.board import Board, Detection
from gaze_robot.calibration.drawing import lens_picture
from gaze_robot.calibration.lens_fit import fit_lens
from gaze_robot.calibration.views import View
from gaze_robot.camera import CameraModel
from gaze_robot.camera_file import load_calibration, save_calibration
from gaze_robot.errors import CalibrationError, ConfigError
from gaze_robot.head_geometry import rotation_from_rpy

BOARD = Board.parse('charuco:9x6:40')
SIZE = (640, 480)
LENSES = {
    'plumb_bob': CameraModel(*SIZE, 420, 421, 325, 236, 'plumb_bob',
                             (-0.3, 0.1, 0.001, -0.001, 0.0)),
    'rational_polynomial': CameraModel(*SIZE, 420, 421, 325, 236, 'rational_polynomial',
                                       (-0.3, 0.1, 0.001, -0.001, 0.0, 0.1, 0.01, 0.0)),
    'equidistant': CameraModel(*SIZE, 200, 201, 325, 236, 'equidistant',
                               (0.05, -0.01, 0.003, 0.0))}


def views(camera, count=25, noise=0.3, tilt=0.6, spread=0.4, near=0.35, seed=1):
    rng = np.random.default_rng(seed)
    made = []
    while len(made) < count:
        turn = rotation_from_rpy(*rng.uniform(-tilt, tilt, 3))
        pixel = np.array([camera.cx, camera.cy]) + rng.uniform(-spread, spread, 2) * SIZE
        place = rng.uniform(near, 2 * near) * camera.unproject(pixel) - turn @ BOARD.centre
        seen = BOARD.corners @ turn.T + place
        pixels, visible = camera.project(seen)
        ids = np.flatnonzero(visible)
        if len(ids) >= 12 and seen[:, 2].min() > 0.05:
            noisy = pixels[ids] + rng.normal(0, noise, (len(ids), 2))
            made.append(View(f'{len(made)}.png', Detection(ids, noisy, 2.0, 30.0)))
    return made


@pytest.mark.parametrize('model', LENSES)
def test_a_lens_is_found_again(model):
    truth = LENSES[model]
    found = fit_lens(views(truth), BOARD, SIZE, model)
    assert found.rms_px == pytest.approx(0.3 * math.sqrt(2), rel=0.1)
    assert found.camera.fx == pytest.approx(truth.fx, abs=4 * found.deviation['fx'])
    assert found.camera.cx == pytest.approx(truth.cx, abs=4 * found.deviation['cx'])
    assert 0.2 < found.deviation['fx'] < 3.0
    grid = np.stack(np.meshgrid(np.linspace(80, 560, 9), np.linspace(60, 420, 7)), axis=-1)
    off = np.linalg.norm(truth.unproject(grid) - found.camera.unproject(grid), axis=-1)
    assert np.degrees(off.mean()) < 0.4          # the zero of a camera's own axis is the worst
    assert lens_picture(found).shape[2] == 3


def test_a_view_of_a_bent_board_is_left_out():
    good = views(LENSES['plumb_bob'], noise=0.1)
    bent = good[3].found
    moved = bent.pixels + 9 * np.sin(np.arange(len(bent.ids)))[:, None]
    good[3] = View('bent.png', Detection(bent.ids, moved, 2.0, 30.0))
    found = fit_lens(good, BOARD, SIZE)
    assert found.left_out == ['bent.png']
    assert found.rms_px < 0.2


@pytest.mark.parametrize('how, says', [
    ({'count': 5}, '5 views'), ({'tilt': 0.02}, 'nearly the same tilt'),
    ({'spread': 0.01, 'near': 1.5}, 'of the picture only'), ({'noise': 1.0}, 'pixels off')])
def test_poor_data_are_refused_with_the_reason(how, says):
    with pytest.raises(CalibrationError, match=says):
        fit_lens(views(LENSES['plumb_bob'], **how), BOARD, SIZE)


def test_corners_that_are_no_boards_are_refused():
    rng = np.random.default_rng(0)
    mixed = [View(view.name, Detection(rng.permutation(view.found.ids), view.found.pixels, 2.0,
                                       30.0)) for view in views(LENSES['plumb_bob'])]
    with pytest.raises(CalibrationError):
        fit_lens(mixed, BOARD, SIZE)


def test_no_such_model():
    with pytest.raises(ConfigError, match='model is one of'):
        fit_lens(views(LENSES['plumb_bob']), BOARD, SIZE, 'banana')


@pytest.mark.parametrize('model', LENSES)
def test_what_is_written_is_what_cameras_load(model, tmp_path):
    path = str(tmp_path / 'camera.yaml')
    save_calibration(LENSES[model], path, 'left eye', 'a note\nof two lines')
    read = load_calibration(path)
    assert read.model == model
    assert (read.width, read.height) == SIZE
    assert (read.fx, read.cx, *read.distortion) == pytest.approx(
        (LENSES[model].fx, LENSES[model].cx, *LENSES[model].distortion), rel=1e-8)
