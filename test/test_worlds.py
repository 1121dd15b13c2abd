"""Opening worlds: rooms, photographs, folders, 360 videos, and everything that is none of them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from gaze_robot.errors import WorldError
from gaze_robot_sim.scenes import open_world
from gaze_robot_sim.scenes.rooms import make_room
from gaze_robot_sim.scenes.video360 import VideoWorld

FRAMES, RATE = 60, 10.0


def write_picture(path: Path, width: int = 256, height: int = 128, seed: int = 0) -> Path:
    image = make_room(np.random.default_rng(seed), width=256).image
    cv2.imwrite(str(path), cv2.resize(image, (width, height))[..., ::-1])
    return path


@pytest.fixture(scope='module')
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty frames, the k-th of brightness 4 k."""
    path = tmp_path_factory.mktemp('video') / 'ramp.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), RATE, (128, 64))
    assert writer.isOpened()
    for k in range(FRAMES):
        writer.write(np.full((64, 128, 3), 4 * k, np.uint8))
    writer.release()
    return path


def frame_number(world, t_s: float) -> int:
    return round(world.panorama(t_s).image.mean() / 4)


def test_procedural_rooms_follow_their_seed():
    world, same, other = (open_world('procedural', seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(world.panorama().image, same.panorama().image)
    assert (world.panorama().image != other.panorama().image).any()


def test_the_next_room_is_another_and_follows_the_generator():
    world, same = open_world('procedural', 1), open_world('procedural', 2)
    before = world.panorama()
    assert world.panorama(5.0) is before
    for each in (world, same):
        each.next_scene(np.random.default_rng(9))
    assert world.panorama() is not before
    np.testing.assert_array_equal(world.panorama().image, same.panorama().image)
    target = world.sample_target(np.random.default_rng(0))
    assert np.linalg.norm(target.direction) == pytest.approx(1.0)


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp'])
def test_a_picture_is_a_world_in_red_green_blue(tmp_path, suffix):
    image = np.zeros((64, 128, 3), np.uint8)
    image[..., 0] = 200
    cv2.imwrite(str(tmp_path / f'red{suffix}'), image[..., ::-1])
    world = open_world(str(tmp_path / f'red{suffix}'))
    red, green, blue = world.panorama().image.mean(axis=(0, 1))
    assert red > 190
    assert max(green, blue) < 15
    world.next_scene(np.random.default_rng(0))
    world.close()
    world.close()


def test_a_folder_shows_its_pictures_in_turn(tmp_path):
    for i in range(3):
        write_picture(tmp_path / f'{i}.png', seed=i)
    (tmp_path / 'notes.txt').write_text('not a picture')
    world = open_world(str(tmp_path))
    rng, seen = np.random.default_rng(0), []
    for _ in range(4):
        seen.append(world.panorama().image)
        world.next_scene(rng)
    assert not (seen[0] == seen[1]).all()
    assert not (seen[1] == seen[2]).all()
    np.testing.assert_array_equal(seen[0], seen[3])


def test_one_percent_off_two_to_one_is_accepted(tmp_path):
    world = open_world(str(write_picture(tmp_path / 'a.png', 640, 322)))
    assert (world.panorama().width, world.panorama().height) == (640, 322)


@pytest.mark.parametrize('size', [(640, 480), (640, 330), (100, 200)], ids=str)
def test_an_ordinary_picture_is_refused_with_its_size(tmp_path, size):
    path = write_picture(tmp_path / 'photo.jpg', *size)
    with pytest.raises(WorldError, match=rf'photo\.jpg.*{size[0]}x{size[1]}'):
        open_world(str(path))


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
@pytest.mark.parametrize('share', [0.0, 0.3, 0.95])
def test_a_picture_cut_short_is_refused(tmp_path, suffix, share):
    path = write_picture(tmp_path / f'cut{suffix}')
    data = path.read_bytes()
    path.write_bytes(data[:int(share * len(data))])
    with pytest.raises(WorldError, match='cut'):
        open_world(str(path))


def test_a_damaged_picture_is_refused(tmp_path):
    path = tmp_path / 'noise.jpg'
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(WorldError, match=r'noise\.jpg'):
        open_world(str(path))


def test_a_folder_with_a_damaged_picture_says_which(tmp_path):
    write_picture(tmp_path / 'a.png')
    (tmp_path / 'b.png').write_bytes(b'\x89PNG nothing')
    world = open_world(str(tmp_path))
    good = world.panorama()
    with pytest.raises(WorldError, match=r'b\.png'):
        world.next_scene(np.random.default_rng(0))
    assert world.panorama() is good


@pytest.mark.parametrize('spec', ['', 'procedurel', 'no/such/file.jpg', 'no/such.mp4'])
def test_what_does_not_exist_is_refused_with_the_choices(spec):
    with pytest.raises(WorldError, match="'procedural'"):
        open_world(spec)


def test_an_empty_folder_and_an_unknown_kind_are_refused(tmp_path):
    with pytest.raises(WorldError, match='holds no picture'):
        open_world(str(tmp_path))
    (tmp_path / 'room.obj').write_text('v 0 0 0')
    with pytest.raises(WorldError, match='neither a picture'):
        open_world(str(tmp_path / 'room.obj'))


def test_a_video_shows_the_frame_of_the_time(video):
    world = open_world(str(video))
    assert isinstance(world, VideoWorld)
    assert (world.frames, world.duration_s) == (FRAMES, pytest.approx(FRAMES / RATE))
    # On, back, far ahead, past the skipping range, and k / rate in floating point.
    for k in (0, 1, 2, 7, 6, 59, 0, 55, 3, 3, 29, 30):
        assert frame_number(world, k / RATE) == k
    assert frame_number(world, 0.19) == 1


def test_a_video_starts_again_at_its_end(video):
    world = open_world(str(video))
    assert frame_number(world, (FRAMES + 5) / RATE) == 5
    assert frame_number(world, (1000 * FRAMES - 1) / RATE) == FRAMES - 1


def test_a_frame_is_kept_as_long_as_it_is_shown(video):
    world = open_world(str(video))
    assert world.panorama(1.0) is world.panorama(1.09)


def test_a_video_of_nothing_has_no_targets(video):
    with pytest.raises(WorldError, match=r'ramp\.avi at 1\.00 s'):
        open_world(str(video)).sample_target(np.random.default_rng(0), 1.0)


@pytest.mark.parametrize('t_s', [-0.1, float('nan'), float('inf')])
def test_a_time_outside_a_video_is_refused(video, t_s):
    with pytest.raises(WorldError, match='0 s or later'):
        open_world(str(video)).panorama(t_s)


@pytest.mark.parametrize('share', [0.0, 0.1, 0.5, 0.8])
def test_a_video_cut_short_is_refused_at_once(video, tmp_path, share):
    path = tmp_path / 'cut.avi'
    path.write_bytes(video.read_bytes()[:int(share * video.stat().st_size)])
    with pytest.raises(WorldError, match='cut'):
        open_world(str(path))


def test_an_ordinary_video_is_refused(tmp_path):
    path = tmp_path / 'flat.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 48))
    for _ in range(8):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    with pytest.raises(WorldError, match=r'flat\.avi.*64x48'):
        open_world(str(path))


def test_a_closed_video_says_so(video):
    world = open_world(str(video))
    world.close()
    world.close()
    with pytest.raises(WorldError, match='still open'):
        world.panorama(3.0)


def test_real_panoramas_open_and_offer_targets(data_dir):
    world = open_world(str(data_dir / 'panoramas'))
    rng = np.random.default_rng(0)
    for _ in range(3):
        target = world.sample_target(rng)
        assert target.exemplar.image.std() > 5
        world.next_scene(rng)


def test_a_real_video_seeks_to_what_it_plays(data_dir, tmp_path):
    files = sorted((data_dir / 'video360').glob('*.mp4'))
    if not files:
        pytest.skip(f'no video360/*.mp4 in {data_dir}')
    world = open_world(str(files[0]))
    played = [world.panorama(k / world.rate).image for k in range(90)]
    for k in (80, 3, 61, 0):
        np.testing.assert_array_equal(world.panorama(k / world.rate).image, played[k])
    assert world.sample_target(np.random.default_rng(0), 10.0).name == 'patch'
    data = files[0].read_bytes()
    cut = tmp_path / 'cut.mp4'
    cut.write_bytes(data[:int(0.7 * len(data))])
    with pytest.raises(WorldError, match='cut'):
        open_world(str(cut))
