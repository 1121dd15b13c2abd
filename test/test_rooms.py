"""Made-up rooms: geometry of what is drawn, determinism, and that they differ."""

import math

import cv2
import numpy as np
import pytest

from gaze_robot.errors import WorldError
from gaze_robot.geometry import (
    angle_between,
    direction_from_pan_tilt,
    pan_tilt_from_direction,
    panorama_direction,
    panorama_pixel,
)
from gaze_robot_sim.scenes import settings
from gaze_robot_sim.scenes.canvas import Canvas
from gaze_robot_sim.scenes.figures import stand
from gaze_robot_sim.scenes.rooms import make_room, Room
from gaze_robot_sim.scenes.textures import draw_pattern, palette, PATTERNS, pink_noise
from gaze_robot_sim.scenes.things import draw_thing, random_thing, shape_mask, SHAPES, THING_PX

RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture(scope='module')
def rooms() -> list[Room]:
    return [make_room(np.random.default_rng(seed), width=512) for seed in range(24)]


def colour_at(canvas: Canvas, pan_deg: float, tilt_deg: float) -> tuple[int, ...]:
    direction = direction_from_pan_tilt(np.radians(pan_deg), np.radians(tilt_deg))
    u, v = panorama_pixel(direction, canvas.width, canvas.height)
    return tuple(int(value) for value in canvas.image[int(v), int(u) % canvas.width])


def test_one_seed_gives_one_room():
    first, again = (make_room(np.random.default_rng(5), width=256) for _ in range(2))
    other = make_room(np.random.default_rng(6), width=256)
    np.testing.assert_array_equal(first.image, again.image)
    assert [thing.name for thing in first.objects] == [thing.name for thing in again.objects]
    assert np.abs(first.image.astype(int) - other.image).mean() > 10


def test_rooms_hold_the_things_they_promise(rooms):
    for room in rooms:
        assert room.image.shape == (256, 512, 3)
        assert room.image.dtype == np.uint8
        assert 12 <= len(room.objects) <= 30
        for i, thing in enumerate(room.objects):
            _, tilt = pan_tilt_from_direction(thing.direction)
            assert abs(np.degrees(tilt)) <= 35.001
            assert 5 <= np.degrees(thing.width_rad) <= 14
            for other in room.objects[:i]:
                assert angle_between(thing.direction, other.direction) >= \
                    0.499 * (thing.width_rad + other.width_rad)


def test_rooms_are_of_every_kind_and_spread_their_things_all_around(rooms):
    assert {room.kind for room in rooms} == {'indoor', 'outdoor', 'clutter'}
    pans = [np.degrees(pan_tilt_from_direction(thing.direction)[0])
            for room in rooms for thing in room.objects]
    quarters = np.histogram(pans, bins=4, range=(-180, 180))[0]
    assert quarters.min() > 0.18 * len(pans)


def test_rooms_differ_in_brightness_colour_and_contrast(rooms):
    pictures = [room.image.astype(float) for room in rooms]
    assert np.ptp([picture.mean() for picture in pictures]) > 60
    assert np.ptp([picture.std() for picture in pictures]) > 20
    casts = np.array([picture.mean(axis=(0, 1)) - picture.mean() for picture in pictures])
    assert (casts.std(axis=0) > 4).all()


def test_rooms_have_no_seam(rooms):
    """The step from the last column to the first is the boldest one no more than by chance."""
    boldest = 0
    for room in rooms:
        wrapped = np.concatenate([room.image, room.image[:, :1]], axis=1).astype(float)
        step = np.abs(np.diff(wrapped, axis=1)).mean(axis=(0, 2))
        boldest += step[-1] == step.max()
    assert boldest <= 2


@pytest.mark.parametrize('width', [63, 32, 257])
def test_impossible_room_sizes_are_refused(width):
    with pytest.raises(WorldError, match=str(width)):
        make_room(np.random.default_rng(0), width=width)


@pytest.mark.parametrize('pan_deg,tilt_deg', [(0, 0), (-120, 20), (179.5, -10), (60, 34)])
def test_a_sticker_lies_where_it_was_put(pan_deg, tilt_deg):
    canvas = Canvas(1024)
    direction = direction_from_pan_tilt(np.radians(pan_deg), np.radians(tilt_deg))
    disc = np.zeros((64, 64, 4), np.uint8)
    cv2.circle(disc, (32, 32), 31, (*RED, 255), -1)
    canvas.sticker(direction, disc, np.radians(10))
    rows, columns = np.nonzero(canvas.image[..., 0] > 127)
    seen = panorama_direction(np.stack([columns, rows], axis=-1) + 0.5, 1024, 512)
    assert np.degrees(angle_between(seen.mean(axis=0), direction)) < 0.5
    reach = np.degrees(angle_between(seen, direction)).max()
    assert 4.4 < reach < 5.4


def test_a_sticker_is_not_mirrored():
    canvas = Canvas(512)
    flag = np.full((32, 32, 4), 255, np.uint8)
    flag[:, :16, :3], flag[:, 16:, :3] = RED, BLUE
    canvas.sticker(direction_from_pan_tilt(1.0, 0.0), flag, np.radians(20))
    assert colour_at(canvas, np.degrees(1.0) + 5, 0) == RED      # positive pan is left
    assert colour_at(canvas, np.degrees(1.0) - 5, 0) == BLUE


@pytest.mark.parametrize('swapped', [False, True])
def test_a_wall_stands_where_its_plan_says(swapped):
    canvas = Canvas(1024)
    texture = np.zeros((60, 60, 3), np.uint8)
    texture[:, :30], texture[:, 30:] = RED, BLUE
    ends = np.array([[2.0, 2.0], [2.0, -2.0]])                  # ahead, from 45 deg left to right
    start, end = ends[::-1] if swapped else ends
    canvas.wall(start, end, -1.0, 2.0, texture)
    assert colour_at(canvas, 20, 0) == RED
    assert colour_at(canvas, -20, 0) == BLUE
    assert colour_at(canvas, 46, 0) == colour_at(canvas, -46, 0) == (0, 0, 0)
    assert colour_at(canvas, 2, -44) == RED                     # top: atan(2 / 2) = 45 deg up
    assert colour_at(canvas, 2, -46) == (0, 0, 0)
    assert colour_at(canvas, 2, 26) == RED                      # bottom: atan(1 / 2) = 26.6 deg
    assert colour_at(canvas, 2, 27.5) == (0, 0, 0)


def test_a_floor_lies_below_and_leaves_the_rest_alone():
    canvas = Canvas(512)
    texture = np.full((100, 100, 3), BLUE, np.uint8)
    texture[:, 50:] = RED                                       # x > 0, ahead
    canvas.plane(-1.0, texture, 10.0)
    assert colour_at(canvas, 10, 45) == RED
    assert colour_at(canvas, 170, 45) == BLUE
    assert not canvas.image[:128].any()


def test_a_box_top_covers_its_corners():
    canvas = Canvas(1024)
    corners = np.array([[1.0, 1.0], [1.0, -1.0], [3.0, -1.0], [3.0, 1.0]])
    canvas.top(corners, -1.0, np.full((8, 8, 3), RED, np.uint8))
    assert colour_at(canvas, 0, np.degrees(np.arctan(1 / 2))) == RED
    assert colour_at(canvas, 0, np.degrees(np.arctan(1 / 3)) - 1) == (0, 0, 0)
    assert colour_at(canvas, 0, np.degrees(np.arctan(1 / 1)) + 1) == (0, 0, 0)
    assert colour_at(canvas, 40, np.degrees(np.arctan(1 / 3))) == (0, 0, 0)


def test_a_wall_with_alpha_shows_what_is_behind_it():
    canvas = Canvas(512)
    canvas.image[:] = BLUE
    texture = np.zeros((60, 60, 4), np.uint8)
    texture[:, :30] = (*RED, 255)
    texture[:, 30:] = (255, 255, 255, 0)
    canvas.wall(np.array([2.0, 2.0]), np.array([2.0, -2.0]), -1.0, 1.0, texture)
    assert colour_at(canvas, 20, 0) == RED
    assert colour_at(canvas, -20, 0) == BLUE


@pytest.mark.parametrize('place', [(2.0, 0.0), (-1.5, 0.1), (1.0, -4.0)], ids=str)
@pytest.mark.parametrize('seed', range(3))
def test_a_person_stands_on_the_floor_at_their_place(place, seed):
    canvas, eye_m, distance = Canvas(1024), 1.2, math.hypot(*place)
    canvas.image[:] = grey = 128
    stand(np.random.default_rng(seed), canvas, np.array(place), eye_m)
    rows, columns = np.nonzero(np.abs(canvas.image.astype(int) - grey).max(axis=-1) > 60)
    seen = panorama_direction(np.stack([columns, rows], axis=-1) + 0.5, 1024, 512)
    turn = angle_between(seen * (1, 1, 0), np.array([*place, 0.0]))
    assert np.degrees(turn.max()) < np.degrees(math.atan(0.5 / distance))
    _, tilt = pan_tilt_from_direction(seen)
    feet = math.tan(tilt.max()) * distance           # below the eye, or their shadow before them
    assert eye_m - 0.05 < feet < eye_m * distance / (distance - 0.3)
    assert 1.35 < eye_m - math.tan(tilt.min()) * distance < 2.0                     # their height


def test_rooms_and_streets_have_people_in_them(monkeypatch):
    counts = {kind: [] for kind in ('indoor', 'outdoor', 'clutter')}
    standing = []
    monkeypatch.setattr(settings, 'stand', lambda *args: standing.append(args[2]))
    for seed in range(40):
        standing.clear()
        kind = make_room(np.random.default_rng(seed), width=128).kind
        counts[kind].append(len(standing))
        assert all(math.hypot(*place) > 1.0 for place in standing)
    assert set(counts['clutter']) == {0}
    for kind in ('indoor', 'outdoor'):
        assert min(counts[kind]) == 0
        assert 2 <= max(counts[kind]) <= 3


def test_noise_of_slope_one_has_equal_power_in_every_octave():
    octaves = np.zeros(5)
    for seed in range(6):
        field = pink_noise(np.random.default_rng(seed), 256, 256, slope=1.0)
        power = np.abs(np.fft.fftshift(np.fft.fft2(field - field.mean()))) ** 2
        y, x = np.indices(power.shape) - 128
        radius = np.hypot(x, y)
        octaves += [power[(radius >= 2 ** k) & (radius < 2 ** (k + 1))].sum()
                    for k in range(1, 6)]
    assert octaves.max() / octaves.min() < 3


@pytest.mark.parametrize('kind', PATTERNS)
def test_every_pattern_shows_at_least_two_levels(kind):
    rng = np.random.default_rng(3)
    picture = draw_pattern(rng, kind, 40, 56, palette(rng, 3), 3.0)
    assert picture.shape == (40, 56, 3)
    assert picture.dtype == np.uint8
    assert picture.std(axis=(0, 1)).max() > 8


@pytest.mark.parametrize('shape', SHAPES)
def test_every_shape_fills_a_fair_part_of_its_square(shape):
    mask = shape_mask(shape, np.random.default_rng(1)) > 127
    assert mask.shape == (THING_PX, THING_PX)
    assert 0.25 < mask.mean() < 0.95


def test_the_same_thing_draws_the_same_picture():
    thing = random_thing(np.random.default_rng(2))
    np.testing.assert_array_equal(draw_thing(thing), draw_thing(thing))
