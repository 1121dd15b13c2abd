"""Moving things: where they are drawn, that every view agrees, how they move, worlds with them."""

import dataclasses
import gc
import math
import pickle
import weakref

import cv2
import numpy as np
import pytest

from gaze_robot.camera import CameraModel
from gaze_robot.errors import WorldError
from gaze_robot.foveation import FoveationPattern, Foveator
from gaze_robot.geometry import (
    angle_between,
    base_from_optical,
    base_ray,
    direction_from_pan_tilt,
    optical_ray,
    pan_tilt_from_direction,
    panorama_direction,
)
from gaze_robot.types import PanTiltState
from gaze_robot_sim.dynamics import EyeDynamics
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.figures import draw_person, random_person
from gaze_robot_sim.scenes.movers import Mover, OverlaidWorld, Path, random_mover
from gaze_robot_sim.scenes.overlay import (
    draw_on_levels,
    draw_on_panorama,
    draw_on_picture,
    Sprite,
)
from gaze_robot_sim.scenes.procedural import ProceduralWorld
from gaze_robot_sim.virtual_camera import VirtualCamera

PATTERN = FoveationPattern(tuple(2 * math.degrees(math.atan(t)) for t in (0.2, 0.4, 1.0)),
                           (64, 64, 128), (16, 16, 32))
VGA = CameraModel.from_hfov(640, 480, math.pi / 2)
LENSES = {
    'pinhole': CameraModel.from_hfov(160, 120, math.radians(90)),
    'off centre': CameraModel(160, 120, 90.0, 70.0, 70.0, 66.0),
    'barrel': CameraModel(160, 120, 90.0, 90.0, 75.0, 62.0, 'plumb_bob',
                          (-0.1, 0.01, 0.001, 0.0, 0.0)),
    'fisheye': CameraModel(200, 200, 55.0, 55.0, 100.0, 100.0, 'equidistant',
                           (0.01, 0.0, 0.0, 0.0)),
}
RED, GREEN, BLUE = (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255)


def looking(pan_deg, tilt_deg):
    return direction_from_pan_tilt(math.radians(pan_deg), math.radians(tilt_deg))


def plain(colour=RED, height=40, width=40):
    return np.full((height, width, 4), colour, np.uint8)


def detailed(seed=0, height=96, width=64):
    """Soft blobs of strong colours inside an oval, like a photograph of something."""
    rng = np.random.default_rng(seed)
    picture = cv2.resize(rng.integers(0, 256, (9, 6, 3), dtype=np.uint8), (width, height),
                         interpolation=cv2.INTER_CUBIC)
    alpha = np.zeros((height, width), np.uint8)
    cv2.ellipse(alpha, (width // 2, height // 2), (width // 2 - 3, height // 2 - 3), 0, 0, 360,
                255, -1, cv2.LINE_AA)
    return np.dstack([picture, alpha])


def blank_levels(grey=100):
    return [np.full((side, side, 3), grey, np.uint8) for side in PATTERN.window]


def on_plane(sprite, direction):
    """(x, y) where base-frame directions (..., 3) meet a sprite's plane, in half-widths and
    half-heights; nan behind it.
    """
    rotation = base_from_optical(*pan_tilt_from_direction(sprite.direction))
    local = direction @ rotation
    local = local / np.where(local[..., 2:] > 0, local[..., 2:], np.nan)
    back = (local[..., 0] + 1j * local[..., 1]) * np.exp(-1j * sprite.roll_rad)
    x, y = back.real, back.imag
    half = math.tan(sprite.width_rad / 2)
    tall = half * sprite.picture.shape[0] / sprite.picture.shape[1]
    return x / half, y / tall


def inside(sprite, direction):
    """Which base-frame directions (..., 3) a sprite covers."""
    x, y = on_plane(sprite, direction)
    return (np.abs(x) <= 1) & (np.abs(y) <= 1)


def brute_force(sprite, half_tangent, side, pan, tilt, taps=12):
    """A level (side, side, 3) on black: the mean of taps x taps nearest pixels per sample."""
    steps = ((np.arange(side * taps) + 0.5) / (side * taps) * 2 - 1) * half_tangent
    x, y = np.meshgrid(steps, steps)
    x, y = on_plane(sprite, base_ray(np.stack([x, y, np.ones_like(x)], axis=-1), pan, tilt))
    seen = (np.abs(x) < 1) & (np.abs(y) < 1)
    tall, wide = sprite.picture.shape[:2]
    rows = np.where(seen, (y + 1) / 2 * tall, 0).astype(int)
    columns = np.where(seen, (x + 1) / 2 * wide, 0).astype(int)
    light = sprite.picture[rows, columns] * seen[..., None] / 255
    fine = 255 * light[..., :3] * light[..., 3:]
    return fine.reshape(side, taps, side, taps, 3).mean(axis=(1, 3))


PLACES = [(0, 0), (4, -3), (-30, 20), (179.5, 5), (-178, -10), (70, 60), (-20, -80), (0, 90)]


# --- drawing


@pytest.mark.parametrize('place', PLACES, ids=str)
@pytest.mark.parametrize('turned_deg', [0, 7])
@pytest.mark.parametrize('lens', LENSES)
def test_a_picture_shows_a_sprite_exactly_where_its_rays_meet_it(lens, turned_deg, place):
    camera, pan, tilt = LENSES[lens], *np.radians(place)
    pan, tilt = pan + math.radians(turned_deg), tilt - math.radians(turned_deg) / 2
    sprite = Sprite(plain(height=60), looking(*place), math.radians(24), 0.4)
    picture = np.zeros((camera.height, camera.width, 3), np.uint8)
    draw_on_picture(picture, camera, pan, tilt, [sprite])
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    truth = inside(sprite, base_ray(camera.unproject(np.stack([u, v], axis=-1)), pan, tilt))
    core = cv2.erode(truth.astype(np.uint8), np.ones((3, 3))) > 0
    around = cv2.dilate(truth.astype(np.uint8), np.ones((5, 5))) > 0
    assert core.sum() > 200
    assert (picture[core] == (255, 0, 0)).all()
    assert not picture[~around].any()
    assert picture[..., 0].sum() / 255 == pytest.approx(truth.sum(), rel=0.02)   # edges are soft


@pytest.mark.parametrize('place', PLACES, ids=str)
def test_a_panorama_shows_a_sprite_exactly_where_its_directions_meet_it(place):
    sprite = Sprite(plain(height=60), looking(*place), math.radians(20), -0.7)
    image = np.zeros((300, 600, 3), np.uint8)
    draw_on_panorama(image, [sprite])
    u, v = np.meshgrid(np.arange(600) + 0.5, np.arange(300) + 0.5)
    truth = inside(sprite, panorama_direction(np.stack([u, v], axis=-1), 600, 300))
    rim = cv2.morphologyEx(np.pad(truth.astype(np.uint8), ((0, 0), (3, 3)), 'wrap'),
                           cv2.MORPH_GRADIENT, np.ones((5, 5)))[:, 3:-3] > 0
    assert truth.sum() > 200
    assert ((image[..., 0] == 255) == truth)[~rim].all()
    assert not image[..., 1:].any()


def test_a_sprite_stands_upright_and_not_mirrored():
    picture = plain(BLUE)
    picture[:20, :20] = RED                                 # its upper left
    picture[:20, 20:] = GREEN                               # its upper right
    levels = blank_levels()
    draw_on_levels(levels, PATTERN, 0.5, 0.1, [
        Sprite(picture, direction_from_pan_tilt(0.5, 0.1), math.radians(60))])
    widest = levels[2]
    assert tuple(widest[50, 50]) == RED[:3]
    assert tuple(widest[50, 78]) == GREEN[:3]
    assert tuple(widest[78, 50]) == tuple(widest[78, 78]) == BLUE[:3]


def test_a_positive_roll_turns_it_clockwise():
    picture = plain(BLUE)
    picture[:10] = RED                                      # its top
    view = [np.zeros((64, 64, 3), np.uint8)]
    pattern = FoveationPattern((60.0,), (64,), (16,))
    draw_on_levels(view, pattern, 0, 0, [
        Sprite(picture, np.array([1.0, 0, 0]), math.radians(30), math.pi / 2)])
    assert tuple(view[0][32, 42]) == RED[:3]                # now on its right
    assert tuple(view[0][32, 22]) == BLUE[:3]


def test_the_last_of_the_list_is_nearest():
    ahead = np.array([1.0, 0, 0])
    large, small = Sprite(plain(RED), ahead, 0.6), Sprite(plain(BLUE), ahead, 0.2)
    for order, colour in (([large, small], BLUE), ([small, large], RED)):
        levels, picture = blank_levels(), np.zeros((480, 640, 3), np.uint8)
        draw_on_levels(levels, PATTERN, 0, 0, order)
        draw_on_picture(picture, VGA, 0, 0, order)
        assert tuple(levels[2][64, 64]) == tuple(picture[240, 320]) == colour[:3]


def test_half_transparent_means_half_of_each():
    picture = plain((200, 0, 40, 128))
    levels = blank_levels(100)
    draw_on_levels(levels, PATTERN, 0, 0, [Sprite(picture, np.array([1.0, 0, 0]), 0.5)])
    for level in levels:
        middle = len(level) // 2
        assert np.abs(level[middle, middle].astype(int) - (150, 50, 70)).max() <= 2


def test_what_is_behind_is_not_drawn():
    levels, picture = blank_levels(), np.full((480, 640, 3), 100, np.uint8)
    behind = [Sprite(plain(), looking(180, 10), math.radians(100)),
              Sprite(plain(), looking(120, 0), math.radians(30)),
              Sprite(plain(), looking(0, -89), math.radians(30))]
    draw_on_levels(levels, PATTERN, 0.0, 0.0, behind)
    draw_on_picture(picture, VGA, 0.0, 0.0, behind)
    draw_on_picture(picture, dataclasses.replace(VGA, distortion=(-0.01, 0.0, 0.0, 0.0, 0.0)),
                    0.0, 0.0, behind)
    assert all((level == 100).all() for level in levels)
    assert (picture == 100).all()


def test_a_sprite_wider_than_the_view_fills_it_and_one_reaching_behind_is_cut():
    levels = blank_levels(0)
    draw_on_levels(levels, PATTERN, 0.2, 0.1, [
        Sprite(plain(), direction_from_pan_tilt(0.2, 0.1), math.radians(150))])
    assert all((level == (255, 0, 0)).all() for level in levels)
    side = Sprite(plain(), looking(85, 0), math.radians(120))   # from 25 to 145 deg
    levels = blank_levels(0)
    draw_on_levels(levels, PATTERN, 0.0, 0.0, [side])
    steps = ((np.arange(128) + 0.5) / 64 - 1)
    x, y = np.meshgrid(steps, steps)
    truth = inside(side, base_ray(np.stack([x, y, np.ones_like(x)], axis=-1), 0.0, 0.0))
    shown = levels[2][..., 0] > 127
    assert truth.any()
    assert not truth.all()
    assert (shown == truth).mean() > 0.99


@pytest.mark.parametrize('width_deg', [1.0, 4.0, 15.0, 50.0])
@pytest.mark.parametrize('place,aim', [((3, 2), (0, 0)), ((178, 4), (-176, 8)),
                                       ((-60, 60), (-50, 58)), ((10, -72), (25, -60))], ids=str)
def test_the_eye_sees_what_a_camera_there_would_show_it(place, aim, width_deg):
    """Drawn on levels, or on a VGA picture that the robot's foveator then reads."""
    someone = draw_person(random_person(np.random.default_rng(1)), (0.4, 0.1))
    sprites = [Sprite(detailed(), looking(*place), math.radians(width_deg), 0.3),
               Sprite(someone, looking(place[0] + 4, place[1]), math.radians(width_deg))]
    pan, tilt = np.radians(aim)
    scene = Panorama(np.full((512, 1024, 3), 90, np.uint8))
    direct = scene.levels(pan, tilt, PATTERN)
    draw_on_levels(direct, PATTERN, pan, tilt, sprites)
    picture = scene.picture(VGA, pan, tilt)
    draw_on_picture(picture, VGA, pan, tilt, sprites)
    seen = Foveator(PATTERN, VGA)(picture)
    touched = 0
    for level, other, valid in zip(direct, seen.levels, seen.valid):
        difference = level[valid].astype(float) - other[valid]
        assert np.sqrt((difference ** 2).mean()) <= 2.0
        touched += (level != 90).sum()
    assert touched > 3


def test_a_panorama_with_a_sprite_in_it_looks_like_one_drawn_over_it():
    """The two orders, drawn then rendered and rendered then drawn, also across the seam."""
    sprite = Sprite(detailed(), looking(179, 12), math.radians(25), 0.2)
    ground = np.full((1024, 2048, 3), 90, np.uint8)
    painted = ground.copy()
    draw_on_panorama(painted, [sprite])
    pan, tilt = math.radians(-177), math.radians(8)
    over = Panorama(ground).levels(pan, tilt, PATTERN)
    draw_on_levels(over, PATTERN, pan, tilt, [sprite])
    for direct, other in zip(over, Panorama(painted).levels(pan, tilt, PATTERN)):
        assert np.sqrt(((direct.astype(float) - other) ** 2).mean()) < 3.0


@pytest.mark.parametrize('width_deg', [6, 20, 60])
@pytest.mark.parametrize('fov_deg,off_deg', [(90, 5), (90, 38), (150, 62)])
def test_every_sample_is_the_mean_of_what_it_covers(fov_deg, off_deg, width_deg):
    rng = np.random.default_rng(0)
    picture = np.dstack([rng.integers(0, 256, (60, 40, 3), dtype=np.uint8),
                         np.full((60, 40), 255, np.uint8)])
    picture = cv2.resize(picture, (200, 300), interpolation=cv2.INTER_CUBIC)
    sprite = Sprite(picture, looking(20 + off_deg, -8), math.radians(width_deg), 0.2)
    pan, tilt = math.radians(20), math.radians(-5)
    view = [np.zeros((96, 96, 3), np.uint8)]
    draw_on_levels(view, FoveationPattern((fov_deg,), (96,), (32,)), pan, tilt, [sprite])
    truth = brute_force(sprite, math.tan(math.radians(fov_deg) / 2), 96, pan, tilt)
    touched = truth.any(axis=-1)
    assert touched.sum() > 20
    error = (view[0] - truth)[touched]
    assert np.sqrt((error ** 2).mean()) < 0.22 * truth[touched].std()


def test_the_far_side_of_a_plane_is_not_drawn():
    """The antipode of its first pixel lies on the axis, where its mirror image would be."""
    half = math.tan(math.radians(60)) * 39 / 40
    first = np.array([1.0, half, half])                                     # left and up
    view = [np.zeros((65, 65, 3), np.uint8)]
    draw_on_levels(view, FoveationPattern((90.0,), (65,), (65,)),
                   *map(float, pan_tilt_from_direction(-first)),
                   [Sprite(plain(), np.array([1.0, 0, 0]), math.radians(120))])
    assert view[0].any()
    assert not view[0][28:37, 28:37].any()


def test_fine_stripes_far_away_are_grey_not_aliased():
    stripes = plain((0, 0, 0, 255), 256, 256)
    stripes[:, ::2, :3] = 255
    levels = blank_levels(127)
    draw_on_levels(levels, PATTERN, 0.0, 0.0, [Sprite(stripes, looking(1.3, 0.7), 0.2)])
    assert np.abs(levels[2].astype(int) - 127).max() < 25
    assert np.abs(levels[1].astype(int) - 127).max() < 40


def test_a_speck_keeps_its_light_when_it_moves_between_samples():
    """Much smaller than a sample, and still worth the same wherever it falls."""
    worth = []
    for shift in np.linspace(0, 1, 9):
        view = [np.zeros((64, 64, 3), np.uint8)]
        step = math.tan(math.radians(30)) / 32
        direction = np.array([1.0, -(0.2 + shift) * step, 0.1 * step])
        draw_on_levels(view, FoveationPattern((60.0,), (64,), (16,)), 0.0, 0.0, [
            Sprite(plain((255, 255, 255, 255)), direction / np.linalg.norm(direction),
                   1.5 * step)])
        worth.append(int(view[0][..., 0].sum()))
    assert np.mean(worth) == pytest.approx(1.5 ** 2 * 255, rel=0.1)
    assert np.ptp(worth) < 0.25 * np.mean(worth)


@pytest.mark.parametrize('change', [
    {'picture': np.zeros((4, 4, 3), np.uint8)}, {'picture': np.zeros((4, 4, 4), float)},
    {'picture': np.zeros((0, 4, 4), np.uint8)}, {'direction': np.array([1.0, 1.0, 0.0])},
    {'direction': np.full(3, np.nan)}, {'width_rad': 0.0}, {'width_rad': math.pi},
    {'width_rad': math.nan}, {'roll_rad': math.inf}], ids=str)
def test_impossible_sprites_are_refused(change):
    good = {'picture': plain(), 'direction': np.array([1.0, 0, 0]), 'width_rad': 0.1}
    with pytest.raises(WorldError):
        Sprite(**{**good, **change})


def test_a_picture_cannot_change_once_it_is_a_sprite_and_its_copies_go_with_it():
    picture = plain()
    sprite = Sprite(picture, np.array([1.0, 0, 0]), 0.1)
    with pytest.raises(ValueError, match='read-only'):
        picture[0] = 0
    draw_on_levels(blank_levels(), PATTERN, 0.0, 0.0, [sprite])
    gone = weakref.ref(picture)
    del picture, sprite
    gc.collect()
    assert gone() is None
    # Another array may now live at the same address and must not be taken for the first.
    levels = blank_levels()
    draw_on_levels(levels, PATTERN, 0.0, 0.0, [Sprite(plain(BLUE), np.array([1.0, 0, 0]), 1.0)])
    assert tuple(levels[0][32, 32]) == BLUE[:3]


# --- moving


BOUNDS = (math.radians(-50), math.radians(70)), (math.radians(-20), math.radians(35))
TIMES = np.arange(0, 120, 0.02)


@pytest.mark.parametrize('seed', range(12))
def test_a_path_keeps_to_its_bounds_and_its_speed(seed):
    path = Path.random(np.random.default_rng(seed), *BOUNDS, speed_rad_s=0.5)
    directions = np.array([path.direction(t) for t in TIMES])
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1.0, atol=1e-12)
    for angle, (low, high) in zip(pan_tilt_from_direction(directions), BOUNDS):
        assert low - 1e-9 <= angle.min()
        assert angle.max() <= high + 1e-9
        assert np.ptp(angle) > 0.45 * (high - low)
    speed = angle_between(directions[1:], directions[:-1]) / 0.02
    assert speed.max() <= 0.5 * (1 + 1e-6)
    assert path.max_speed_rad_s == pytest.approx(0.5)
    assert 0.12 < speed.mean() < 0.5
    assert np.abs(np.diff(directions, n=2, axis=0)).max() / 0.02 ** 2 < 3.0        # no jumps


def test_paths_come_from_their_generator_alone():
    one, again, other = (Path.random(np.random.default_rng(seed), *BOUNDS, speed_rad_s=0.5)
                         for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.direction(7.7), again.direction(7.7))
    assert angle_between(one.direction(7.7), other.direction(7.7)) > 1e-3


def test_a_path_without_speed_or_room_stands_still():
    rng = np.random.default_rng(0)
    for path in (Path.random(rng, *BOUNDS, speed_rad_s=0.0),
                 Path.random(rng, (0.3, 0.3), (0.1, 0.1), speed_rad_s=1.0),
                 Path.still(0.3, 0.1)):
        np.testing.assert_array_equal(path.direction(0.0), path.direction(50.0))
        assert path.max_speed_rad_s == 0.0
    np.testing.assert_allclose(Path.still(0.3, 0.1).direction(1.0),
                               direction_from_pan_tilt(0.3, 0.1))


@pytest.mark.parametrize('pan,tilt,speed', [((1, 0), (0, 0), 1), ((0, 1), (0, 2), 1),
                                            ((0, 1), (0, 1), -1), ((0, 1), (0, 1), math.nan),
                                            ((0, math.nan), (0, 1), 1)], ids=str)
def test_impossible_paths_are_refused(pan, tilt, speed):
    with pytest.raises(WorldError):
        Path.random(np.random.default_rng(0), pan, tilt, speed)


def test_a_mover_is_there_for_its_time_and_where_its_path_says():
    path = Path.random(np.random.default_rng(1), *BOUNDS, speed_rad_s=0.5)
    mover = Mover(plain(), 0.2, path, present_s=(2.0, 5.0))
    assert mover.sprite(1.99) is None
    assert mover.sprite(5.0) is None
    for t in (2.0, 4.99):
        sprite = mover.sprite(t)
        np.testing.assert_array_equal(sprite.direction, path.direction(t))
        assert sprite.picture is mover.picture
        assert optical_ray(sprite.direction, *path.angles(t)) == pytest.approx((0, 0, 1))


# --- worlds with movers


@pytest.fixture(scope='module')
def rooms():
    return ProceduralWorld(3, count=2, width=128)


def looks(scene, t_s):
    """Everything about the sprites of a scene at a time, for comparing."""
    return [(sprite.direction.tobytes(), sprite.width_rad, sprite.picture.tobytes())
            for sprite in scene.sprites(t_s)]


def test_movers_come_with_their_scene_whatever_was_asked_before(rooms):
    one, other = OverlaidWorld(rooms, 3, seed=5), OverlaidWorld(rooms, 3, seed=5)
    other.scene(1).sprites(4.0)
    assert looks(one.scene(0), 2.5) == looks(other.scene(0), 2.5)
    assert looks(one.scene(0), 2.5) == looks(one.scene(2), 2.5)          # two rooms: 2 wraps to 0
    assert looks(one.scene(0), 2.5) != looks(one.scene(1), 2.5)
    assert looks(one.scene(0), 2.5) != looks(OverlaidWorld(rooms, 3, seed=6).scene(0), 2.5)


def test_an_overlaid_world_is_the_world_below_and_more(rooms):
    world = OverlaidWorld(rooms, 4)
    scene, below = world.scene(1), rooms.scene(1)
    assert (world.name, world.count) == (rooms.name, rooms.count)
    assert (scene.name, scene.duration_s) == (below.name, below.duration_s)
    assert scene.panorama(1.0) is below.panorama(1.0)
    target, same = (each.sample_target(np.random.default_rng(0)) for each in (scene, below))
    np.testing.assert_array_equal(target.direction, same.direction)
    first, later = scene.sprites(0.0), scene.sprites(3.0)
    assert len(first) == len(later) == 4
    assert [sprite.width_rad for sprite in first] == sorted(sprite.width_rad for sprite in first)
    for before, after in zip(first, later):
        assert 0 < angle_between(before.direction, after.direction) < 3.0 * math.radians(25)
        assert before.picture is after.picture
    assert list(OverlaidWorld(rooms, 0).scene(0).sprites(0.0)) == []
    twice = OverlaidWorld(world, 2, seed=9).scene(1)
    assert looks(twice, 1.0)[:4] == looks(scene, 1.0)
    assert len(twice.sprites(1.0)) == 6


def test_overlaid_worlds_pickle_and_equal_those_opened_alike(rooms):
    world = OverlaidWorld(rooms, 2, seed=1)
    again = pickle.loads(pickle.dumps(world))                   # noqa: S301 (our own bytes)
    assert again == world
    assert world != OverlaidWorld(rooms, 3, seed=1)
    assert world != OverlaidWorld(ProceduralWorld(4, count=2, width=128), 2, seed=1)
    assert looks(again.scene(0), 1.0) == looks(world.scene(0), 1.0)


@pytest.mark.parametrize('movers,seed', [(-1, 0), (1, -1)])
def test_impossible_overlays_are_refused(rooms, movers, seed):
    with pytest.raises(WorldError):
        OverlaidWorld(rooms, movers, seed)


def test_random_movers_are_people_and_things_that_stay_near_the_horizon():
    movers = [random_mover(np.random.default_rng(seed)) for seed in range(24)]
    tall = [mover for mover in movers if mover.picture.shape[0] > mover.picture.shape[1]]
    assert 4 < len(tall) < 20
    tilts = np.array([[mover.path.angles(t)[1] for t in range(60)] for mover in movers])
    assert np.degrees(np.abs(tilts)).max() <= 30
    assert all(0 < np.degrees(mover.path.max_speed_rad_s) < 26 for mover in movers)


def test_the_virtual_camera_shows_sprites_blurred_as_it_turns():
    grey = Panorama(np.full((64, 128, 3), 100, np.uint8))
    sprite = Sprite(plain(height=400), np.array([1.0, 0, 0]), 0.05)
    lens = CameraModel.from_hfov(200, 150, math.radians(60))
    widths = []
    for speed in (0.0, 3.0):
        camera = VirtualCamera(lens, EyeDynamics(exposure_s=(0.05, 0.05)))
        camera.poses.add(PanTiltState(0.0, 0.0, speed, 0.0, 1.0))
        image = camera.shoot(grey, 1.0, [sprite]).image
        assert (image[75, [5, -5]] == 100).all()
        row = image[75].astype(int)
        widths.append(np.count_nonzero((np.abs(row - 100) > 4).any(axis=-1)))
    step = 2 * math.tan(math.radians(30)) / 200
    assert widths[0] == pytest.approx(0.05 / step, abs=2)
    assert widths[1] == pytest.approx((0.05 + 0.15) / step, abs=6)


def test_the_light_of_the_virtual_camera_changes_with_time_and_only_where_asked():
    grey = Panorama(np.full((64, 128, 3), 100, np.uint8))
    spans = []
    for amount in (0.0, 0.8):
        camera = VirtualCamera(CameraModel.from_hfov(16, 16, 1.0),
                               EyeDynamics(lighting=(amount, amount)))
        means = [camera.shoot(grey, 100.0 + t).image.mean() for t in range(0, 40, 2)]
        spans.append(np.ptp(means))
    assert spans[0] == 0
    assert spans[1] > 10
