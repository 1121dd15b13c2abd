"""The film of a demonstration shows what was seen, what the joints did, and the words."""

import cv2
import numpy as np
import pytest

from gaze_robot import cli
from gaze_robot.draw import PANEL, TEXT_COLOUR
from gaze_robot.errors import ConfigError
from gaze_robot_sim.demos.play import Board, draw_traces, play, PlayConfig
from gaze_robot_sim.demos.recording import Recording
from gaze_robot_sim.demos.repair import fitted
from gaze_robot_sim.demos.store import DemoWriter, open_demos
from gaze_robot_sim.scenes.fixed_camera import FixedCamera

T, RATE = 20, 10.0


@pytest.fixture(scope='module')
def folder(tmp_path_factory, write_ramp):
    """One demonstration all around, one of an ordinary camera."""
    root = tmp_path_factory.mktemp('demos')
    times = np.arange(T) / RATE
    writer = DemoWriter(root / 'store')
    for name, view in (('around', None), ('ahead', FixedCamera(1.0, 0.5))):
        video = write_ramp(root / f'{name}.mp4', T, RATE)
        writer.add_recording(fitted(Recording(
            name, 'wave', ('a', 'b'), np.stack([times, -times], 1), ('a',), times[:, None],
            np.arange(T), times, RATE, video, view=view)))
    return root / 'store'


@pytest.mark.parametrize('name', ['around', 'ahead'])
def test_frames_show_the_picture_of_their_step(folder, name):
    demos = open_demos(folder)
    board = Board(demos[demos.number(name)], 480)
    for step in (0, 9, T - 1):
        frame = board.frame(step)
        assert frame.shape == board.shape
        assert frame.dtype == np.uint8
        middle = frame[20 + (frame.shape[0] - 150) // 2, 240]
        assert round(middle.mean() / 6 + 0.4) == step


def test_a_line_marks_the_step_in_both_plots(folder):
    board = Board(open_demos(folder)[0], 480)
    for step, column in ((0, 0), (10, round(10 / 19 * 479)), (T - 1, 479)):
        plots = board.frame(step)[-130:]                # both, 65 rows each
        marked = np.flatnonzero((plots == TEXT_COLOUR).all(axis=(0, 2)))
        assert len(marked) <= 2
        assert np.abs(marked - column).max() <= 1


def test_traces_go_where_the_numbers_go():
    up = np.linspace(0, 1, 50)[:, None]
    for rows, rises in ((up, True), (1 - up, False)):
        out = draw_traces(rows, (), 'joints', 401, 121)
        drawn = (np.abs(out.astype(int) - PANEL) > 60).any(axis=2)
        middle, late = (np.flatnonzero(drawn[:, x]).mean() for x in (200, 380))
        assert middle == pytest.approx(60, abs=2)                   # half way up
        assert (late < 20) if rises else (late > 100)
    flat = draw_traces(np.ones((5, 1)), ('a',), 'actions', 200, 60)
    assert flat.shape == (60, 200, 3)


def test_a_film_has_every_second_step_and_lasts_as_long(folder, tmp_path, capsys):
    out = tmp_path / 'film.webm'
    assert cli.main(['demos', 'play', str(folder), 'ahead', '--out', str(out),
                     '--size', '320']) == 0
    assert 'wave' in capsys.readouterr().out
    capture = cv2.VideoCapture(str(out))
    frames = 0
    while capture.grab():
        frames += 1
    assert frames == T // 2
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(RATE / 2)


def test_a_gif_is_written(folder, tmp_path):
    pillow = pytest.importorskip('PIL.Image')
    result = play(PlayConfig(str(folder), out=str(tmp_path / 'film.gif'), size=320, every=4))
    assert result['episode'] == 'around'
    with pillow.open(tmp_path / 'film.gif') as film:
        assert film.n_frames == result['frames'] == 5


def test_options_are_checked(folder, capsys):
    for wrong in ({'size': 10}, {'every': 0}):
        with pytest.raises(ConfigError, match='size is between'):
            PlayConfig('x', **wrong)
    with pytest.raises(ConfigError, match='a film ends in'):
        PlayConfig('x', out='film.txt')
    assert cli.main(['demos', 'play', str(folder), 'nobody']) == 2
    assert "has no demonstration 'nobody'; there are 2" in capsys.readouterr().err
