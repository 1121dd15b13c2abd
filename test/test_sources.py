"""Pictures from files, folders, videos and cameras that are not there."""

import cv2
import numpy as np
import pytest

from gaze_robot.config import CameraConfig
from gaze_robot.errors import ImageError
from gaze_robot.nodes._sources import open_source, read_picture

FRAMES = 20


@pytest.fixture
def said():
    """What the source told a person."""
    return []


@pytest.fixture
def source(said):
    """Open a source; it is closed afterwards."""
    opened = []

    def make(name, **settings):
        opened.append(open_source(CameraConfig(source=str(name), **settings), said.append))
        return opened[-1]
    yield make
    for each in opened:
        each.close()


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """20 pictures, 64x48 at 12.5 Hz; the grey level counts up by 10."""
    path = tmp_path_factory.mktemp('video') / 'count.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 12.5, (64, 48))
    for index in range(FRAMES):
        writer.write(np.full((48, 64, 3), 20 + 10 * index, np.uint8))
    writer.release()
    return path


def grey(picture):
    return round((float(picture.mean()) - 20) / 10)


def test_a_video_plays_in_order_at_its_own_rate(source, video, said):
    player = source(video, loop=False)
    assert player.rate_hz == pytest.approx(12.5)
    assert [grey(player.read()) for _ in range(FRAMES)] == list(range(FRAMES))
    assert player.read() is None
    assert player.ended
    assert said == []


def test_a_looping_video_starts_again(source, video):
    player = source(video, loop=True)
    counts = [grey(player.read()) for _ in range(2 * FRAMES + 3)]
    assert counts == [*range(FRAMES), *range(FRAMES), 0, 1, 2]
    assert not player.ended


def test_the_rate_can_be_set(source, video):
    assert source(video, rate=3.0).rate_hz == 3.0


def test_a_cut_video_is_used_as_far_as_it_goes_and_said_once(source, video, said, tmp_path):
    content = video.read_bytes()
    cut = tmp_path / 'cut.avi'
    cut.write_bytes(content[:len(content) * 6 // 10])
    player = source(cut)
    counts = [grey(player.read()) for _ in range(30)]
    assert counts[:3] == [0, 1, 2]
    assert 0 in counts[3:]
    assert max(counts) < FRAMES - 1
    assert len(said) == 1
    assert 'cut off' in said[0]


@pytest.mark.parametrize('content', [b'', b'this is not a video at all' * 100])
def test_what_is_no_video_is_refused(source, tmp_path, content):
    path = tmp_path / 'fake.mp4'
    path.write_bytes(content)
    with pytest.raises(ImageError, match='cannot be opened as a video'):
        source(path)


def test_a_missing_file_is_refused(source, tmp_path):
    with pytest.raises(ImageError, match='does not exist'):
        source(tmp_path / 'nowhere.mp4')


def test_a_picture_is_shown_over_and_over_in_rgb(source, tmp_path):
    path = tmp_path / 'red.png'
    cv2.imwrite(str(path), np.full((10, 12, 3), (0, 0, 255), np.uint8))
    shown = source(path)
    for _ in range(3):
        picture = shown.read()
    assert picture.shape == (10, 12, 3)
    assert picture[0, 0].tolist() == [255, 0, 0]
    assert shown.rate_hz == 30.0


@pytest.mark.parametrize('name, depth', [('grey.png', np.uint8), ('deep.png', np.uint16),
                                         ('deep.tif', np.uint16), ('grey.bmp', np.uint8)])
def test_grey_and_16bit_pictures_become_rgb8(tmp_path, name, depth):
    path = tmp_path / name
    cv2.imwrite(str(path), np.full((6, 7), np.iinfo(depth).max // 2, depth))
    picture = read_picture(path)
    assert picture.shape == (6, 7, 3)
    assert picture.dtype == np.uint8
    assert abs(int(picture[0, 0, 0]) - 127) <= 1


def test_a_folder_goes_by_name_and_passes_over_what_is_damaged(source, tmp_path, said):
    for index, name in enumerate(['b.png', 'a.png', 'd.png']):
        cv2.imwrite(str(tmp_path / name), np.full((6, 6, 3), 50 * index, np.uint8))
    (tmp_path / 'c.jpg').write_bytes(b'\xff\xd8\xff\xe0 cut')
    (tmp_path / 'notes.txt').write_text('not a picture')
    folder = source(tmp_path)
    assert [int(folder.read()[0, 0, 0]) for _ in range(6)] == [50, 0, 100, 50, 0, 100]
    assert len(said) == 1
    assert 'c.jpg' in said[0]


def test_a_folder_ends_without_loop(source, tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((6, 6, 3), np.uint8))
    folder = source(tmp_path, loop=False)
    assert folder.read() is not None
    assert folder.read() is None
    assert folder.ended


def test_a_folder_without_pictures_is_refused(source, tmp_path):
    with pytest.raises(ImageError, match='holds no pictures'):
        source(tmp_path)
    (tmp_path / 'broken.png').write_bytes(b'\x89PNG')
    folder = source(tmp_path)
    with pytest.raises(ImageError, match='no picture in'):
        folder.read()


def test_a_missing_camera_is_said_once_and_tried_again(source, said):
    camera = source('/dev/video97')
    for _ in range(3):
        assert camera.read() is None
    assert not camera.ended
    assert len(said) == 1
    assert 'is not there' in said[0]


def test_real_videos(source, data_dir, said):
    for path, rate, size in (('intel_one_by_one.mp4', 10.0, (432, 768, 3)),
                             ('pexels_video00.mp4', 25.0, (720, 1280, 3))):
        player = source(data_dir / 'video' / path)
        assert player.rate_hz == pytest.approx(rate, rel=0.01)
        assert player.read().shape == size
    assert said == []
