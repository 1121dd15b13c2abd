"""`gaze-robot people`: what it tells, what it draws, what it refuses."""

import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from gaze_robot.cli import main
from gaze_robot.film import Video
from gaze_robot.people.drawing import people_picture
from gaze_robot.people.records import Facing, Head, people_of
from gaze_robot.people.watch import make_model

KEYS = {'id', 'head_box', 'gaze_point', 'in_frame', 'confidence', 'source'}

follows = pytest.mark.skipif(importlib.util.find_spec('norfair') is None,
                             reason="pip install -e '.[people]'")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Nobody in it."""
    image = np.random.default_rng(0).integers(100, 130, (90, 120, 3), np.uint8)
    cv2.imwrite(str(tmp_path / 'room.png'), image)
    return tmp_path / 'room.png'


def test_a_picture_without_people(picture: Path, tmp_path: Path) -> None:
    out, told = tmp_path / 'new' / 'looks.png', tmp_path / 'looks.json'
    assert main(['people', str(picture), '--out', str(out), '--json', str(told)]) == 0
    found = json.loads(told.read_text())
    assert found['people'] == []
    assert (found['width'], found['height']) == (120, 90)
    assert cv2.imread(str(out)) is not None


def test_a_picture_of_people(data_dir: Path, tmp_path: Path) -> None:
    told = tmp_path / 'looks.json'
    picture = data_dir / 'people' / 'pexels_image02.jpg'
    assert main(['people', str(picture), '--json', str(told)]) == 0
    people = json.loads(told.read_text())['people']
    assert len(people) >= 3
    assert [person['id'] for person in people] == list(range(1, len(people) + 1))
    for person in people:
        assert set(person) == KEYS
        assert person['source'] == 'coarse'
        assert all(0 <= edge <= 1 for edge in person['head_box'] + person['gaze_point'])
        assert 0 <= person['confidence'] <= 0.5
        assert 0 <= person['in_frame'] <= 1


@follows
def test_a_video_without_people(tmp_path: Path) -> None:
    film = Video(str(tmp_path / 'room.mp4'), 10.0, (128, 96))
    for step in range(6):
        film.add(np.full((96, 128, 3), 100 + step, np.uint8))
    film.close()
    told, out = tmp_path / 'looks.json', tmp_path / 'looks.mp4'
    assert main(['people', str(tmp_path / 'room.mp4'), '--frames', '5', '--json', str(told),
                 '--out', str(out)]) == 0
    found = json.loads(told.read_text())
    assert (found['pictures'], found['ids']) == (5, 0)
    assert [frame['stamp_s'] for frame in found['frames']] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert int(cv2.VideoCapture(str(out)).get(cv2.CAP_PROP_FRAME_COUNT)) == 5


@follows
def test_a_face_keeps_its_id_over_a_video(data_dir: Path, tmp_path: Path) -> None:
    """The woman who listens, though a hand passes before her face: one id, and mostly there."""
    told = tmp_path / 'looks.json'
    video = data_dir / 'video' / 'pexels_video00.mp4'
    assert main(['people', str(video), '--frames', '30', '--every', '6', '--json', str(told)]) == 0
    frames = json.loads(told.read_text())['frames']
    listening = [[person['id'] for person in frame['people']
                  if person['head_box'][0] < 0.35 < person['head_box'][2]] for frame in frames]
    assert len({ids[0] for ids in listening if ids}) == 1
    assert sum(len(ids) == 1 for ids in listening[12:]) > 9


@pytest.mark.parametrize('options, says', [
    (['--heads', 'none'], 'starts from a head'), (['--model', 'gazelle'], 'no gaze model'),
    (['--model', 'gazelle_dinov2_vitb14'], 'weights pull gazelle_dinov2_vitb14'),
    (['--model', 'none.pt'], 'no file none.pt'), (['--out', 'looks.gif'], '--out looks.gif'),
    (['--every', '0'], 'at least 1'), (['--hfov-deg', '0'], 'between 5 and 170')])
def test_what_cannot_be_done_is_one_line(options: list[str], says: str, picture: Path,
                                         capsys: pytest.CaptureFixture[str],
                                         monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv('GAZE_ROBOT_WEIGHTS', str(tmp_path / 'weights'))
    assert main(['people', str(picture), *options]) == 2
    line = capsys.readouterr().err
    assert says in line
    assert line.count('\n') == 1


@pytest.mark.parametrize('name', ['none.png', 'none.mp4', 'text.mp4'])
def test_files_that_are_not_there_or_none(name: str, tmp_path: Path,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / 'text.mp4').write_text('no video')
    assert main(['people', str(tmp_path / name)]) == 2
    assert name in capsys.readouterr().err


def test_drawing_shows_head_ray_and_heat() -> None:
    """The frame of the head, the arrow's middle and the heat at the peak change the picture."""
    image = np.full((120, 160, 3), 90, np.uint8)
    head = Head((0.2, 0.4, 0.3, 0.6), 1.0, 1, Facing(1.4, 0.0, 0.3))
    person, = people_of(make_model('coarse')(image, [head]), [head], 'coarse')
    drawn = people_picture(image, [person], width=320)
    assert drawn.shape == (240, 320, 3)
    changed = np.abs(drawn.astype(int) - 90).max(axis=2) > 12
    assert changed[96:145, 64].mean() > 0.9, 'the left edge of the head'
    middle = [round((a + b) / 2 * side) for a, b, side in zip(
        head.centre, person.gaze_point, (320, 240))]
    assert changed[middle[1] - 2:middle[1] + 3, middle[0]].any()
    assert not changed[:, :30].any(), 'behind the head nothing is drawn'
