import numpy as np
import pytest

from gaze_robot.errors import ConfigError
from gaze_robot.film import check_path, Film, panel, sheet


def frame(value, size=(40, 60)):
    return np.full((*size, 3), value, np.uint8)


def record(seconds, fps=30, **options):
    film = Film(**options)
    for step in range(int(seconds * fps)):
        if film.wants(step / fps):
            film.add(frame(step * 255 // int(seconds * fps)), step / fps)
    return film


def test_a_long_run_keeps_few_frames_spread_evenly_over_it():
    film = record(100, every_s=0.2, most=40)
    values = [int(frame[0, 0, 0]) for frame in film.frames]
    assert 20 <= len(values) <= 40
    assert values[0] == 0
    assert values[-1] > 240
    steps = np.diff(values)
    assert steps.max() - steps.min() <= 2


def test_frames_come_no_faster_than_asked():
    assert len(record(2.0, every_s=0.5).frames) == 4


def test_a_frame_of_another_size_is_made_to_fit():
    film = Film()
    film.add(frame(1), 0.0)
    film.add(frame(2, (80, 200)), 1.0)
    assert film.frames[1].shape == (40, 60, 3)


def test_gif_has_every_frame(tmp_path):
    pillow = pytest.importorskip('PIL.Image', reason='GIFs need Pillow')
    film = record(2.0, every_s=0.25)
    with pillow.open(film.save(str(tmp_path / 'new' / 'eye.gif'))) as gif:
        assert gif.n_frames == len(film.frames) == 8
        assert gif.size == (60, 40)
        assert gif.info['duration'] == 250


def test_sheet_shows_eight_frames_in_reading_order(tmp_path):
    frames = [frame(value) for value in range(160)]
    picture = sheet(frames)
    assert picture.shape == (4 * 40, 2 * 60, 3)
    corners = [int(picture[row * 40, column * 60, 0]) for row in range(4) for column in range(2)]
    assert corners == [0, 23, 45, 68, 91, 114, 136, 159]


def test_sheet_of_three_leaves_one_place_empty():
    assert sheet([frame(1), frame(2), frame(3)]).shape == (80, 120, 3)


def test_png_is_written(tmp_path):
    path = record(1.0).save(str(tmp_path / 'eye.png'))
    assert (tmp_path / 'eye.png').stat().st_size > 100
    assert path.endswith('eye.png')


def test_unknown_endings_and_empty_films_say_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match='.gif'):
        check_path('eye.mp4')
    with pytest.raises(ConfigError, match='no frame was processed'):
        Film().save(str(tmp_path / 'eye.png'))


def test_panel_puts_levels_beside_and_the_rest_below():
    levels = [np.full((64, 64, 3), value, np.uint8) for value in (10, 20, 30)]
    picture = panel(frame(200, (300, 400)), levels, [frame(50, (130, 260)), frame(60, (130, 240))])
    assert picture.shape == (430, 500, 3)
    assert picture[0, 0, 0] == 200
    assert [int(picture[row, 450, 0]) for row in (50, 150, 250)] == [10, 20, 30]
    assert [int(picture[400, column, 0]) for column in (10, 490)] == [50, 60]
