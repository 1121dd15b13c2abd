"""Opening worlds: rooms, photographs, folders, and everything that is none of them."""

import logging
import os
from pathlib import Path
import pickle
import subprocess
import sys

import cv2
import numpy as np
import pytest

from gaze_robot.errors import WorldError
from gaze_robot_sim.scenes import open_world
from gaze_robot_sim.scenes.hdr import tone_map
from gaze_robot_sim.scenes.panoramas import load_panorama, PanoramaWorld
from gaze_robot_sim.scenes.procedural import ProceduralWorld
from gaze_robot_sim.scenes.rooms import make_room
from gaze_robot_sim.scenes.still import RememberingWorld, StillScene
from gaze_robot_sim.scenes.targets import Place


def picture(width: int = 256, height: int = 128, seed: int = 0) -> np.ndarray:
    return cv2.resize(make_room(np.random.default_rng(seed), width=256).image, (width, height))


def write_picture(path: Path, width: int = 256, height: int = 128, seed: int = 0) -> Path:
    assert cv2.imwrite(str(path), picture(width, height, seed)[..., ::-1])
    return path


def shown(world, index: int) -> np.ndarray:
    return world.scene(index).panorama().image


def targets(scene, seeds, t_s: float = 0.0) -> list[tuple]:
    made = [scene.sample_target(np.random.default_rng(seed), t_s) for seed in seeds]
    return [(t.name, t.width_rad, t.direction.tobytes(), t.exemplar.image.tobytes())
            for t in made]


# --- rooms


def test_a_room_follows_its_seed_and_number_whatever_was_seen_before():
    world, same, other = (ProceduralWorld(seed, width=256) for seed in (3, 3, 4))
    shown(same, 7)
    for index in (0, 5):
        np.testing.assert_array_equal(shown(world, index), shown(same, index))
        assert (shown(world, index) != shown(other, index)).any()
    assert (shown(world, 0) != shown(world, 5)).any()
    assert (shown(world, 1) != shown(other, 0)).any()


def test_reading_a_scene_changes_nothing():
    scene = ProceduralWorld(3, width=256).scene(1)
    before = scene.panorama()
    scene.sample_target(np.random.default_rng(0), 5.0)
    assert scene.panorama(5.0) is before
    assert (scene.duration_s, tuple(scene.sprites(5.0))) == (0.0, ())


def test_targets_do_not_depend_on_who_asked_before():
    one, other = (ProceduralWorld(3, width=256).scene(1) for _ in range(2))
    seeds = list(range(8))
    assert targets(one, seeds) == targets(other, seeds[::-1])[::-1]


def test_a_scene_offers_many_places_and_shows_each_anew():
    scene = ProceduralWorld(3, width=256).scene(1)
    seen = targets(scene, range(40))
    places = {direction for _, _, direction, _ in seen}
    assert 8 < len(places) <= 32
    assert len({image for *_, image in seen}) == 40


def test_a_scene_made_again_is_the_same(monkeypatch):
    monkeypatch.setattr('gaze_robot_sim.scenes.still.KEPT_BYTES', 1)
    world = ProceduralWorld(3, 9, width=256)
    first, seen = world.scene(0), targets(world.scene(0), range(4))
    image = first.panorama().image
    del first
    world.scene(1)
    again = world.scene(0)
    assert again.panorama().image is not image
    np.testing.assert_array_equal(again.panorama().image, image)
    assert targets(again, range(4)) == seen


def test_memory_for_scenes_is_bounded(monkeypatch):
    most = 3 * ProceduralWorld(0, width=256).scene(0).nbytes
    monkeypatch.setattr('gaze_robot_sim.scenes.still.KEPT_BYTES', most)
    world = ProceduralWorld(0, 9, width=256)
    for index in range(6):
        world.scene(index)
    assert len(world._recent) == 3
    assert world.scene(5) is world.scene(5)


def test_a_world_can_be_given_less_memory():
    room = ProceduralWorld(0, width=256).scene(0).nbytes
    world = ProceduralWorld(0, width=256, kept_bytes=2 * room)
    for index in range(5):
        world.scene(index)
    assert len(world._recent) == 2
    again = pickle.loads(pickle.dumps(world))      # noqa: S301
    assert again == world
    for index in range(5):
        again.scene(index)
    assert len(again._recent) == 2


def test_a_counted_world_starts_again_and_an_endless_one_does_not():
    world, endless = ProceduralWorld(3, count=2, width=256), ProceduralWorld(3, width=256)
    assert (world.count, endless.count) == (2, None)
    assert world.scene(2) is world.scene(0)
    assert (shown(endless, 2) != shown(endless, 0)).any()


@pytest.mark.parametrize('given', [{'seed': -1}, {'count': 0}], ids=str)
def test_rooms_that_cannot_be_are_refused(given):
    with pytest.raises(WorldError, match='seed of 0 or more'):
        ProceduralWorld(**given)


# --- what all worlds share


class Blank(RememberingWorld):
    """Scenes in which nothing stands out."""

    searches = 0

    def _make(self, index):
        def find(rng):
            Blank.searches += 1
            raise WorldError('nothing stands out')
        return StillScene(f'blank {index}', load_panorama(Path(self.name)), find, (index,))


def test_a_scene_without_targets_says_so_and_searches_once_per_place(tmp_path, monkeypatch):
    monkeypatch.setattr('gaze_robot_sim.scenes.still.BANK', 2)
    scene = Blank(str(write_picture(tmp_path / 'a.png')), None, ()).scene(3)
    for seed in range(20):
        with pytest.raises(WorldError, match='blank 3: nothing stands out'):
            scene.sample_target(np.random.default_rng(seed))
    assert Blank.searches == 2


def test_a_place_that_was_not_found_gives_way_to_another(tmp_path):
    """Whether a search is in vain follows from its generator, as with real pictures."""
    panorama = load_panorama(write_picture(tmp_path / 'a.png'))

    def find(rng):
        if rng.random() < 0.5:
            raise WorldError('nothing stands out')
        return Place(np.array([1.0, 0.0, 0.0]), rng.uniform(0.1, 0.2), 'thing')

    def scene():
        return StillScene('half', panorama, find, (4,))
    seeds = list(range(60))
    assert targets(scene(), seeds) == targets(scene(), seeds[::-1])[::-1]
    assert len({width for _, width, *_ in targets(scene(), seeds)}) > 8


@pytest.fixture(params=['procedural', 'picture', 'folder'])
def spec(request, tmp_path):
    if request.param == 'procedural':
        return 'procedural'
    for i in range(3):
        write_picture(tmp_path / f'{i}.png', 512, 256, seed=i)
    return str(tmp_path if request.param == 'folder' else tmp_path / '0.png')


def test_worlds_pickle_as_what_opened_them(spec):
    world = open_world(spec, 4)
    world.scene(1)
    data = pickle.dumps(world)
    assert len(data) < 1000
    again = pickle.loads(data)                           # noqa: S301 (own data)
    assert again == world
    assert hash(again) == hash(world)
    assert (again.name, again.count) == (world.name, world.count)
    np.testing.assert_array_equal(shown(again, 1), shown(world, 1))
    assert targets(again.scene(1), [5]) == targets(world.scene(1), [5])


def test_worlds_of_other_seeds_and_files_differ(tmp_path):
    worlds = [open_world('procedural', seed) for seed in (1, 2)]
    worlds += [open_world(str(write_picture(tmp_path / name))) for name in ('a.png', 'b.png')]
    assert len(set(worlds)) == 4


def test_a_world_can_be_closed_twice_and_scenes_are_numbered_from_0(spec):
    world = open_world(spec)
    with pytest.raises(WorldError, match='from 0'):
        world.scene(-1)
    world.close()
    world.close()


# --- pictures


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp', '.tif'])
def test_a_picture_is_a_world_in_red_green_blue(tmp_path, suffix):
    image = np.zeros((64, 128, 3), np.uint8)
    image[..., 0] = 200
    cv2.imwrite(str(tmp_path / f'red{suffix}'), image[..., ::-1])
    world = open_world(str(tmp_path / f'red{suffix}'))
    assert (world.name, world.count, world.scene(0).name) == (f'red{suffix}', 1, f'red{suffix}')
    red, green, blue = shown(world, 5).mean(axis=(0, 1))
    assert red > 190
    assert max(green, blue) < 15


def test_a_folder_shows_its_pictures_in_the_order_of_their_names(tmp_path):
    for i in (2, 0, 1):
        write_picture(tmp_path / f'{i}.png', seed=i)
    (tmp_path / 'notes.txt').write_text('not a picture')
    world = open_world(str(tmp_path))
    assert world.count == 3
    assert [world.scene(i).name for i in range(4)] == ['0.png', '1.png', '2.png', '0.png']
    for i in range(3):
        np.testing.assert_array_equal(shown(world, i), picture(seed=i))


def test_hidden_files_and_folders_are_no_pictures(tmp_path):
    write_picture(tmp_path / 'a.png')
    (tmp_path / '._a.png').write_bytes(b'of a file system that keeps such things')
    (tmp_path / 'b.jpg').mkdir()
    world = PanoramaWorld.from_folder(tmp_path)
    assert world.count == 1
    assert world.scene(0).name == 'a.png'


def test_a_picture_offers_the_same_places_alone_and_in_a_folder(tmp_path):
    for i in range(2):
        write_picture(tmp_path / f'{i}.png', 512, 256, seed=i)
    alone, folder = open_world(str(tmp_path / '1.png')), open_world(str(tmp_path))
    assert targets(alone.scene(0), range(3)) == targets(folder.scene(1), range(3))
    assert targets(folder.scene(0), range(3)) != targets(folder.scene(1), range(3))


def test_one_percent_off_two_to_one_is_accepted(tmp_path):
    panorama = load_panorama(write_picture(tmp_path / 'a.png', 640, 322))
    assert (panorama.width, panorama.height) == (640, 322)


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
def test_sixteen_bits_look_like_eight(tmp_path, suffix):
    image = picture()
    deep = np.minimum(image * 257.0 + 100, 65535).astype(np.uint16)      # 257 = 65535 / 255
    assert cv2.imwrite(str(tmp_path / f'a{suffix}'), deep[..., ::-1])
    np.testing.assert_array_equal(load_panorama(tmp_path / f'a{suffix}').image, image)


def test_a_very_wide_picture_is_made_smaller_with_one_line_in_the_log(tmp_path, monkeypatch,
                                                                      caplog):
    monkeypatch.setattr('gaze_robot_sim.scenes.panoramas.MAX_WIDTH', 128)
    image = picture(512, 256)
    assert cv2.imwrite(str(tmp_path / 'wide.png'), image[..., ::-1])
    with caplog.at_level(logging.WARNING):
        small = load_panorama(tmp_path / 'wide.png').image
    means = image.reshape(64, 4, 128, 4, 3).mean(axis=(1, 3))
    assert np.abs(small - means).max() <= 1
    assert [record.getMessage().count('512 pixels wide') for record in caplog.records] == [1]


# --- high dynamic range


def light(brightest: float = 1.0) -> np.ndarray:
    """A picture in linear light with a small lamp in it, (128, 256, 3) BGR float32."""
    made = (picture()[..., ::-1].astype(np.float32) / 255) ** 2.2
    made[10:12, 20:22] = brightest
    return made


@pytest.mark.parametrize('suffix', ['.hdr', '.tif'])
def test_high_dynamic_range_is_shown_whatever_its_scale(tmp_path, suffix):
    shows = []
    for scale in (1.0, 1000.0):
        assert cv2.imwrite(str(tmp_path / f'a{suffix}'), light(1e5) * np.float32(scale))
        shows.append(load_panorama(tmp_path / f'a{suffix}').image)
    assert np.abs(shows[0].astype(int) - shows[1]).mean() < 1
    bright, plain = shows[0].astype(float).mean(axis=2), picture().astype(float).mean(axis=2)
    assert bright[10:12, 20:22].min() > 250
    assert np.corrcoef(bright.ravel(), plain.ravel())[0, 1] > 0.9
    assert 60 < np.median(bright) < 180
    assert bright.std() > 25                             # the lamp does not flatten the room


def test_brighter_light_is_never_darker():
    ramp = np.geomspace(1e-4, 1e4, 256, dtype=np.float32)
    grey = tone_map(np.repeat(ramp[None, :, None], 3, axis=2))[0]
    assert np.all(np.diff(grey.astype(int), axis=0) >= 0)
    np.testing.assert_array_equal(grey[:, 0], grey[:, 2])
    assert grey[0, 0] < 5
    assert grey[-1, 0] == 255


def test_the_average_light_becomes_middle_grey():
    """Reinhard: 0.18 of the way, L / (1 + L) = 0.1525, and a gamma of 2.2: 108 of 255."""
    flat = np.full((8, 16, 3), 37.0, np.float32)
    flat[0, 0] = 1e5                                     # far away, so that white is far away
    assert tone_map(flat)[4, 8, 1] == pytest.approx(108, abs=4)


def test_darkness_is_black():
    np.testing.assert_array_equal(tone_map(np.zeros((8, 16, 3), np.float32)), 0)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_light_that_is_no_number_is_refused(tmp_path, value):
    made = light()
    made[3, 3:5] = value
    assert cv2.imwrite(str(tmp_path / 'broken.tif'), made)
    with pytest.raises(WorldError, match=r'broken\.tif: 2 of 32768 pixels are NaN or infinite'):
        open_world(str(tmp_path / 'broken.tif'))


def test_openexr_is_read_where_it_is_allowed_and_said_how_otherwise(tmp_path):
    script = """
import sys, cv2, numpy as np
from gaze_robot.errors import WorldError
from gaze_robot_sim.scenes import open_world
path = sys.argv[1]
try:
    cv2.imwrite(path, np.full((64, 128, 3), 0.5, np.float32))
except cv2.error:
    open(path, 'wb').write(bytes([0x76, 0x2f, 0x31, 0x01, 2, 0, 0, 0]))
try:
    print(open_world(path).scene(0).panorama().width)
except WorldError as error:
    print(error)
"""
    said = {}
    for allowed in ('0', '1'):
        done = subprocess.run([sys.executable, '-c', script, str(tmp_path / f'{allowed}.exr')],
                              env={**os.environ, 'OPENCV_IO_ENABLE_OPENEXR': allowed,
                                   'PYTHONPATH': os.pathsep.join(sys.path)},
                              capture_output=True, text=True, check=True)
        said[allowed] = done.stdout
    assert '0.exr' in said['0']
    assert 'OPENCV_IO_ENABLE_OPENEXR=1' in said['0']
    if 'OPENCV_IO_ENABLE_OPENEXR=1' in said['1']:
        pytest.skip('this OpenCV was built without OpenEXR')
    assert said['1'].strip() == '128'


# --- what is none of them


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


@pytest.mark.parametrize('suffix', ['.hdr', '.tif', '.webp', '.bmp'])
def test_other_pictures_cut_short_are_refused(tmp_path, suffix):
    path = tmp_path / f'part{suffix}'
    assert cv2.imwrite(str(path), light() if suffix == '.hdr' else picture())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(WorldError, match=rf'part\{suffix}.*damaged'):
        open_world(str(path))


def test_a_damaged_picture_is_refused(tmp_path):
    path = tmp_path / 'noise.jpg'
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(WorldError, match=r'noise\.jpg'):
        open_world(str(path))


def test_a_bad_picture_among_good_ones_is_named_when_its_turn_comes(tmp_path):
    write_picture(tmp_path / 'a.png')
    (tmp_path / 'b.png').write_bytes(b'\x89PNG nothing')
    write_picture(tmp_path / 'c.png')
    world = open_world(str(tmp_path))
    for _ in range(2):
        with pytest.raises(WorldError, match=r'b\.png'):
            world.scene(1)
    assert [world.scene(index).name for index in (0, 2)] == ['a.png', 'c.png']


@pytest.mark.parametrize('spec', ['', 'procedurel', 'no/such/file.jpg', 'no/such.mp4'])
def test_what_does_not_exist_is_refused_with_the_choices(spec):
    with pytest.raises(WorldError, match="'procedural'"):
        open_world(spec)


def test_an_empty_folder_and_an_unknown_kind_are_refused(tmp_path):
    with pytest.raises(WorldError, match='holds no picture'):
        open_world(str(tmp_path))
    with pytest.raises(WorldError, match='holds no picture'):
        PanoramaWorld([], 'nothing')
    (tmp_path / 'room.obj').write_text('v 0 0 0')
    with pytest.raises(WorldError, match='neither a picture'):
        open_world(str(tmp_path / 'room.obj'))


def test_real_panoramas_open_and_offer_targets(data_dir):
    world = open_world(str(data_dir / 'panoramas'))
    for index in range(3):
        target = world.scene(index).sample_target(np.random.default_rng(0))
        assert target.exemplar.image.std() > 5
