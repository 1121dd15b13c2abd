"""Boards: described, printed true to scale, found again."""

import re
import struct
import zlib

import cv2
import numpy as np
import pytest

from gaze_robot.calibration.board import Board, explain_absence, find
from gaze_robot.calibration.files import save_board
from gaze_robot.calibration.views import BLURRED_PX, ViewBook
from gaze_robot.errors import CalibrationError, ConfigError


def photograph(board, square=30.0, seed=0, blur=0.6):
    """(picture, (N, 2) true corners in pixels): seen aslant, four samples a pixel each way."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(-0.4, 0.4)
    cos, sin = np.cos(angle) * square, np.sin(angle) * square
    view = np.array([[cos, -sin, 190 + rng.uniform()], [1.05 * sin, cos, 170 + rng.uniform()],
                     [1e-2 * rng.uniform(-1, 1), 1e-2 * rng.uniform(-1, 1), 1.0]])
    fine, samples = 64, 4
    to_centre = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])    # OpenCV counts centres
    matrix = (np.linalg.inv(to_centre) @ np.diag([samples, samples, 1.0]) @ view
              @ np.diag([1 / fine, 1 / fine, 1]) @ to_centre)
    big = cv2.warpPerspective(board.picture(fine), matrix, (640 * samples, 480 * samples),
                              flags=cv2.INTER_AREA, borderValue=210)
    picture = cv2.GaussianBlur(cv2.resize(big, (640, 480), interpolation=cv2.INTER_AREA),
                               (0, 0), blur)
    noisy = picture + rng.normal(0, 2, picture.shape)
    corners = np.c_[board.corners[:, :2] / board.square_m, np.ones(len(board.corners))] @ view.T
    return (np.clip(noisy, 0, 255).astype(np.uint8),
            corners[:, :2] / corners[:, 2:])


@pytest.mark.parametrize('text', ['charuco:9x6:30', 'chessboard:9x6:30',
                                  'charuco:7x9:40:26:5x5_100'])
def test_corners_are_found_where_they_are(text):
    board = Board.parse(text)
    assert Board.parse(board.text) == board
    picture, corners = photograph(board)
    found = find(picture, board)
    assert len(found.ids) > 0.9 * len(corners)
    error = found.pixels - corners[found.ids]
    assert np.abs(error.mean(axis=0)).max() < 0.05         # half a pixel is a convention missed
    assert np.sqrt((error ** 2).mean()) < 0.15
    assert found.square_px == pytest.approx(30, rel=0.25)
    assert found.edge_px < BLURRED_PX


def test_a_blurred_picture_is_told():
    board = Board.parse('charuco:9x6:30')
    assert find(photograph(board, 45.0, blur=2.0)[0], board).edge_px > BLURRED_PX


def test_another_board_is_not_taken_for_this_one_and_the_reason_is_told():
    picture, _ = photograph(Board.parse('charuco:9x6:30'))
    for other in ('charuco:7x5:30', 'charuco:9x6:30:22:5x5_100', 'chessboard:10x7:30'):
        board = Board.parse(other)
        assert find(picture, board) is None
        assert 'dictionary 4x4_250 are there' in explain_absence(picture, board)
    assert explain_absence(np.full((120, 160), 128, np.uint8), board) == ''


@pytest.mark.parametrize('text', [
    'charuco', 'charuco:9x6', 'circles:9x6:30', 'charuco:9:30', 'charuco:2x6:30',
    'charuco:9x6:0.1', 'charuco:9x6:nan', 'charuco:9x6:30:29.9', 'charuco:9x6:30:20:9x9_50',
    'charuco:20x20:30:20:4x4_50', 'chessboard:9x6:30:20', ''])
def test_what_describes_no_board_is_refused(text):
    with pytest.raises(ConfigError):
        Board.parse(text)


def test_a_printed_board_is_true_to_scale(tmp_path):
    board = Board.parse('charuco:9x6:28')
    sizes = save_board(board, str(tmp_path / 'board.png'))
    assert sizes['board_width_mm'] == pytest.approx(252)
    data = (tmp_path / 'board.png').read_bytes()
    at = data.index(b'pHYs')
    per_metre, _, unit = struct.unpack('>IIB', data[at + 4:at + 13])
    assert unit == 1
    assert struct.unpack('>I', data[at + 13:at + 17])[0] == zlib.crc32(data[at:at + 13])
    page = cv2.imread(str(tmp_path / 'board.png'), cv2.IMREAD_GRAYSCALE)
    assert page.shape[1] / per_metre == pytest.approx(0.297, abs=2e-4)
    found = find(page, board)
    assert found.square_px / per_metre == pytest.approx(0.028, rel=1e-3)


def test_a_pdf_page_has_the_size_of_the_paper_and_the_picture_fills_it(tmp_path):
    save_board(Board.parse('chessboard:9x6:28'), str(tmp_path / 'board.pdf'))
    data = (tmp_path / 'board.pdf').read_bytes()
    box = [float(value) for value in re.search(rb'MediaBox \[0 0 ([\d.]+) ([\d.]+)\]', data
                                               ).groups()]
    assert box == pytest.approx([297 / 25.4 * 72, 210 / 25.4 * 72], abs=0.3)
    start = int(re.search(rb'startxref\n(\d+)', data).group(1))
    assert data[start:start + 4] == b'xref'
    for number, line in enumerate(data[start:].split(b'\n')[3:8], 1):
        assert data[int(line[:10]):].startswith(b'%d 0 obj' % number)
    width = int(re.search(rb'/Width (\d+)', data).group(1))
    pixels = zlib.decompress(data[data.rindex(b'stream\n', 0, data.rindex(b'endstream')) + 7:
                                  data.rindex(b'\nendstream')])
    page = np.frombuffer(pixels, np.uint8).reshape(-1, width)
    dark = np.flatnonzero((page < 128).any(axis=0))
    assert (dark[-1] + 1 - dark[0]) / width * 297 == pytest.approx(9 * 28, abs=0.2)


def test_a_board_too_large_for_the_paper_says_what_fits(tmp_path):
    with pytest.raises(CalibrationError, match='squares of 3[123] mm would'):
        save_board(Board.parse('charuco:9x6:60'), str(tmp_path / 'board.pdf'))
    with pytest.raises(ConfigError, match='pdf or .png'):
        save_board(Board.parse('charuco:9x6:28'), str(tmp_path / 'board.bmp'))


def test_pictures_of_two_sizes_are_refused_and_repeats_and_blanks_counted():
    board = Board.parse('charuco:9x6:30')
    book = ViewBook(board)
    picture, _ = photograph(board)
    assert book.look(picture, 'one') is not None
    assert book.look(picture, 'the same') is None
    assert book.look(np.full((480, 640), 90, np.uint8), 'nothing') is None
    assert book.look(photograph(board, 45.0, seed=3)[0], 'another') is not None
    assert book.counts() == {'pictures': 4, 'views': 2, 'without_board': 1, 'blurred': 0,
                             'alike': 1}
    with pytest.raises(CalibrationError, match='1 did not show charuco:9x6:30'):
        book.require(10)
    with pytest.raises(CalibrationError, match='is 320x240 and those before are 640x480'):
        book.look(np.zeros((240, 320), np.uint8), 'small.png')
