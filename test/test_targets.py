"""The photo protocol: what may be looked for, what is shown, and the classical baseline."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from gaze_robot.errors import WorldError
from gaze_robot.geometry import angle_between, direction_from_pan_tilt, pan_tilt_from_direction
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.canvas import Canvas
from gaze_robot_sim.scenes.panoramas import load_panorama
from gaze_robot_sim.scenes.rooms import make_room, Room, RoomObject
from gaze_robot_sim.scenes.targets import (
    augment_exemplar,
    distinctive_directions,
    find_photo_place,
    is_distinctive,
    Likeness,
    Place,
    RoomPlaces,
    show_exemplar,
    template_match,
    UNCHANGED,
)
from gaze_robot_sim.scenes.things import draw_thing, random_thing

AHEAD = direction_from_pan_tilt(0.3, 0.1)
BEHIND = direction_from_pan_tilt(-2.4, 0.1)
WIDTH_RAD = math.radians(10)


def panorama_with(*directions: np.ndarray) -> Panorama:
    """Flat grey with the same striking thing at each direction."""
    canvas = Canvas(1024)
    canvas.image[:] = 120
    picture = draw_thing(random_thing(np.random.default_rng(4)))
    for direction in directions:
        canvas.sticker(direction, picture, WIDTH_RAD)
    return Panorama(canvas.image)


@pytest.fixture(scope='module')
def room() -> tuple[Room, Panorama]:
    made = make_room(np.random.default_rng(11))
    return made, Panorama(made.image)


def test_the_only_thing_around_is_distinctive():
    assert is_distinctive(panorama_with(AHEAD), AHEAD, WIDTH_RAD)


def test_a_thing_with_a_twin_is_not_distinctive():
    assert not is_distinctive(panorama_with(AHEAD, BEHIND), AHEAD, WIDTH_RAD)


def test_a_flat_place_is_not_distinctive():
    assert not is_distinctive(panorama_with(AHEAD), BEHIND, WIDTH_RAD)


def test_a_panorama_without_detail_is_refused():
    with pytest.raises(WorldError, match='stands out'):
        find_photo_place(panorama_with(), np.random.default_rng(0), tries=20)


def test_a_repeating_panorama_is_refused():
    column = (np.arange(1024) // 16 % 2 * 200).astype(np.uint8)
    stripes = np.broadcast_to(column[None, :, None], (512, 1024, 3)).copy()
    with pytest.raises(WorldError, match='stands out'):
        find_photo_place(Panorama(stripes), np.random.default_rng(0), tries=20)


def test_places_keep_the_protocol(room):
    rng = np.random.default_rng(0)
    for _ in range(15):
        place = find_photo_place(room[1], rng)
        _, tilt = pan_tilt_from_direction(place.direction)
        assert abs(math.degrees(tilt)) <= 25.001
        assert 6 <= math.degrees(place.width_rad) <= 12
        patch = room[1].patch(place.direction, place.width_rad, 24)
        assert cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY).std() >= 15


def test_a_likeness_shows_what_a_fresh_look_shows(room):
    """Same draws: the same picture up to resampling; the direct way is the reference."""
    rng = np.random.default_rng(0)
    for seed in range(12):
        place = find_photo_place(room[1], rng)
        shown = Likeness(room[1], place).show(np.random.default_rng(seed))
        fresh = show_exemplar(np.random.default_rng(seed), room[1], place.direction,
                              place.width_rad)
        assert shown.exemplar.image.shape == fresh.image.shape
        assert shown.exemplar.width_rad == fresh.width_rad == place.width_rad
        assert shown.direction is place.direction
        error = shown.exemplar.image.astype(float) - fresh.image
        assert np.sqrt(np.mean(error ** 2)) < 0.1 * fresh.image.std()


def test_a_likeness_reaches_to_the_corners_of_every_exemplar():
    """In a smooth picture resampling changes nothing, so every pixel agrees with a fresh look."""
    tilt, pan = np.mgrid[np.pi / 2:-np.pi / 2:513j, np.pi:-np.pi:1025j][:, :-1, :-1]
    waves = [np.sin(8 * pan), np.sin(8 * tilt), np.sin(6 * (pan + tilt))]
    panorama = Panorama((128 + 100 * np.stack(waves, axis=-1)).astype(np.uint8))
    place = Place(AHEAD, math.radians(12), 'wave')
    likeness = Likeness(panorama, place)
    for seed in range(60):
        shown = likeness.show(np.random.default_rng(seed)).exemplar.image
        fresh = show_exemplar(np.random.default_rng(seed), panorama, AHEAD, place.width_rad).image
        assert np.abs(shown.astype(int) - fresh).max() <= 3


def test_exemplars_of_one_place_fill_the_protocol():
    grey = Panorama(np.full((128, 256, 3), 100, np.uint8))
    likeness = Likeness(grey, Place(AHEAD, WIDTH_RAD, 'thing'))
    rng = np.random.default_rng(0)
    pictures = [likeness.show(rng).exemplar.image for _ in range(400)]
    sides = [picture.shape[0] for picture in pictures]
    assert 32 <= min(sides) < 36
    assert 60 < max(sides) <= 64
    assert all(picture.shape == (side, side, 3) for side, picture in zip(sides, pictures))
    brightness = [picture.mean() for picture in pictures]
    assert 64 <= min(brightness) < 75                    # 100 * 0.8 - 15 = 65
    assert 125 < max(brightness) <= 135                  # 100 * 1.2 + 15 = 135


def test_an_unchanged_exemplar_is_the_patch_itself(room):
    shown = show_exemplar(np.random.default_rng(0), room[1], AHEAD, WIDTH_RAD, 40, UNCHANGED)
    np.testing.assert_array_equal(shown.image, room[1].patch(AHEAD, WIDTH_RAD, 40))


def test_scale_enlarges_what_is_shown_and_not_the_stated_width():
    canvas = Canvas(2048)
    disc = np.zeros((64, 64, 4), np.uint8)
    cv2.circle(disc, (32, 32), 31, (255, 255, 255, 255), -1)
    canvas.sticker(AHEAD, disc, WIDTH_RAD / 2)
    panorama = Panorama(canvas.image)
    areas = []
    for scale in (0.85, 1.15):
        changes = type(UNCHANGED)(0.0, (scale, scale), (1.0, 1.0), 0.0)
        shown = show_exemplar(np.random.default_rng(0), panorama, AHEAD, WIDTH_RAD, 64, changes)
        assert shown.width_rad == WIDTH_RAD
        areas.append((shown.image[..., 0] > 127).sum())
    assert areas[1] / areas[0] == pytest.approx((1.15 / 0.85) ** 2, rel=0.05)


def test_brightness_changes_fill_their_range_and_stay_in_it():
    rng = np.random.default_rng(0)
    grey = np.full((4, 4, 3), 100, np.uint8)
    levels = [int(augment_exemplar(rng, grey)[0, 0, 0]) for _ in range(400)]
    assert 64 <= min(levels) < 72                        # 100 * 0.8 - 15 = 65
    assert 128 < max(levels) <= 135                      # 100 * 1.2 + 15 = 135


def test_template_matching_finds_unchanged_patches(room):
    rng = np.random.default_rng(4)
    for _ in range(8):
        place = find_photo_place(room[1], rng)
        shown = show_exemplar(rng, room[1], place.direction, place.width_rad, changes=UNCHANGED)
        peaks = template_match(room[1], shown, 1024 / 360, count=3)
        assert math.degrees(angle_between(peaks[0], place.direction)) < 1.0
        assert all(math.degrees(angle_between(peaks[0], peak)) > 5 for peak in peaks[1:])


def test_template_matching_works_across_the_seam():
    behind = direction_from_pan_tilt(math.pi - 0.01, -0.1)
    panorama = panorama_with(behind)
    shown = show_exemplar(np.random.default_rng(0), panorama, behind, WIDTH_RAD, 48, UNCHANGED)
    peak = template_match(panorama, shown, 2.0, count=1)[0]
    assert math.degrees(angle_between(peak, behind)) < 1.0


def test_a_room_offers_its_things_and_its_patches(room):
    rng = np.random.default_rng(2)
    places = RoomPlaces(*room)
    found = [places.find(rng) for _ in range(30)]
    things = [place for place in found if place.name != 'patch']
    assert 5 < len(things) < 25
    for place in things:
        assert min(angle_between(place.direction, thing.direction)
                   for thing in room[0].objects) < 1e-9


def test_a_thing_with_an_identical_twin_in_the_room_is_never_the_target():
    panorama = panorama_with(AHEAD, BEHIND)
    twins = [RoomObject(direction, WIDTH_RAD, 'twin') for direction in (AHEAD, BEHIND)]
    rng = np.random.default_rng(0)
    with pytest.raises(WorldError, match='stands out'):
        RoomPlaces(Room(panorama.image, twins, 'indoor'), panorama).find(rng, patch_share=0.0)
    alone = RoomPlaces(Room(panorama.image, twins[:1], 'indoor'), panorama)
    assert alone.find(rng, patch_share=0.0).name == 'twin'


def test_real_photographs_offer_targets_and_plain_matching_finds_most(data_dir: Path):
    files = sorted((data_dir / 'panoramas').glob('ph_*.jpg'))[:5]
    if not files:
        pytest.skip(f'no panoramas/ph_*.jpg in {data_dir}')
    rng, kept, found = np.random.default_rng(0), 0, 0
    for file in files:
        panorama = load_panorama(file)
        for direction, width_rad in distinctive_directions(panorama, rng, 24):
            shown = show_exemplar(rng, panorama, direction, width_rad)
            peak = template_match(panorama, shown, panorama.width / 360, count=1)[0]
            kept, found = kept + 1, found + (angle_between(peak, direction) < math.radians(5))
    assert 0.2 < kept / (24 * len(files)) < 0.7
    assert found / kept > 0.85
