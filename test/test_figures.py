"""Figures: they look where they are told to, and it shows."""

from dataclasses import replace
import math

import cv2
import numpy as np
import pytest

from gaze_robot.errors import WorldError
from gaze_robot.geometry import direction_from_pan_tilt, pan_tilt_from_direction
from gaze_robot_sim.scenes.figures import (
    ASPECT,
    draw_bust,
    draw_person,
    gaze_towards,
    HAIR,
    HEAD_CENTRE,
    HEAD_HIGH,
    Person,
    random_person,
    turned,
)
from gaze_robot_sim.scenes.solids import Solid, Stage

SKIN, EYE, TOP = (0, 220, 0), (230, 0, 0), (0, 0, 230)


def someone(**changes):
    """Somebody of colours that tell the parts apart: green skin, red eyes, blue clothes."""
    person = random_person(np.random.default_rng(0))
    blue = np.array(TOP, np.uint8)
    return replace(person, **{
        'skin': np.array(SKIN, np.uint8), 'hair': blue, 'iris': EYE, 'style': 'short',
        'top': np.tile(blue, (20, 20, 1)), 'bottom': blue, 'shoes': blue, 'beard': False,
        'skirt': False, 'long_sleeves': True, **changes})


def place_of(picture, channel):
    """Mean (right, down) of the pixels of a colour; their number."""
    others = [i for i in range(3) if i != channel]
    here = (picture[..., channel] > 2 * picture[..., others].max(axis=-1)) & (picture[..., 3] > 99)
    rows, columns = np.nonzero(here)
    return np.array([columns.mean(), rows.mean()]) + 0.5, len(rows)


def gazes(*degrees):
    return [tuple(np.radians(pair)) for pair in degrees]


@pytest.mark.parametrize('channel', [0, 1], ids=['eyes', 'face'])
@pytest.mark.parametrize('axis', [0, 1], ids=['right', 'down'])
def test_eyes_and_face_move_to_where_they_look(axis, channel):
    places = []
    for degrees in (-40, -20, 0, 20, 40):
        gaze = (math.radians(degrees), 0.0) if axis == 0 else (0.0, math.radians(degrees))
        places.append(place_of(draw_bust(someone(), gaze, 200), channel)[0][axis])
    assert (np.diff(places) > 0.2).all()
    assert places[4] - places[0] > 6.5


def test_who_looks_away_shows_no_face():
    for style in ('short', 'long', 'bun', 'tail'):
        person = someone(style=style)
        _, front = place_of(draw_bust(person, (0.0, 0.0), 200), 1)
        back = draw_bust(person, (math.pi, 0.0), 200)
        assert place_of(back, 1)[1] < 0.35 * front                             # neck and ears
        red = (back[..., 0] > 100) & (back[..., 1] < 60)
        assert not red.any()


def test_left_is_the_mirror_image_of_right_but_for_the_light():
    straight = np.array([0.0, -0.5, math.sqrt(0.75)])
    person = someone(light=straight, arms=(0.1, 0.1, 0.1, 0.1))
    left, right = (draw_person(person, gaze, 256).astype(int)
                   for gaze in gazes((-50, 12), (50, 12)))
    assert np.abs(left - right[:, ::-1]).mean() < 0.5
    assert np.abs(left - right).mean() > 1.0


@pytest.mark.parametrize('height', [64, 256, 700])
def test_a_figure_fills_its_picture_and_its_head_is_where_promised(height):
    picture = draw_person(someone(style='bald'), (0.0, 0.0), height)
    assert picture.shape == (height, round(height * ASPECT), 4)
    assert picture.dtype == np.uint8
    solid = picture[..., 3] > 127
    assert solid[-max(2, height // 60):].any()                                 # feet at the bottom
    rows = np.nonzero(solid.any(axis=1))[0]
    assert rows[0] / height == pytest.approx(HEAD_CENTRE[1] - HEAD_HIGH / 2, abs=0.02)
    head = picture[:int(height * (HEAD_CENTRE[1] + HEAD_HIGH * 0.4))]
    centre, _ = place_of(head, 1)
    assert centre / (picture.shape[1], height) == pytest.approx(HEAD_CENTRE, abs=0.015)
    assert not solid[:, 0].any()
    assert not solid[:, -1].any()


def test_the_same_person_is_drawn_the_same_and_people_differ():
    first, again, other = (random_person(np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(draw_person(first, (0.3, 0.1)), draw_person(again, (0.3, 0.1)))
    difference = draw_person(first, (0.3, 0.1)).astype(int) - draw_person(other, (0.3, 0.1))
    assert np.abs(difference).mean() > 5


def test_people_are_of_many_kinds():
    people = [random_person(np.random.default_rng(seed)) for seed in range(60)]
    assert {person.style for person in people} == set(HAIR)
    skins = np.array([person.skin.mean() for person in people])
    assert np.ptp(skins) > 100
    for attribute in ('beard', 'skirt', 'long_sleeves'):
        assert {getattr(person, attribute) for person in people} == {True, False}


def tiny_face(person: Person, gaze):
    """A head about 20 pixels high on grey, as numbers."""
    picture = cv2.resize(draw_bust(person, gaze, 72), (36, 36), interpolation=cv2.INTER_AREA)
    alpha = picture[..., 3:] / 255.0
    return cv2.GaussianBlur((picture[..., :3] * alpha + 120 * (1 - alpha))[3:26, 7:29], (0, 0), 1)


def test_where_strangers_look_can_be_told_from_20_pixels():
    """A linear reading (ridge regression) of 40 people's faces, tried on 20 others."""
    directions = gazes((40, 0), (-40, 0), (0, -35), (0, 35))
    faces = np.array([tiny_face(random_person(np.random.default_rng(seed)), gaze).ravel()
                      for seed in range(60) for gaze in directions])
    which = np.tile(np.eye(4), (60, 1))
    faces -= faces[:160].mean(axis=0)
    known, strangers = faces[:160], faces[160:]
    weights = known.T @ np.linalg.solve(known @ known.T + 3e5 * np.eye(160), which[:160])
    told = (strangers @ weights).argmax(axis=1) == which[160:].argmax(axis=1)
    assert told.mean() > 0.9


# --- where to look


@pytest.mark.parametrize('target,gaze_deg', [
    ((0, 0, 0), (0, 0)),                    # at the viewer
    ((2, -3, 0), (90, 0)),                  # to the viewer's right
    ((2, 3, 0), (-90, 0)),
    ((5, 0, 0), (180, 0)),                  # away
    ((1, 0, -1), (0, 45)),                  # at the floor between them
    ((1, -1, math.sqrt(2)), (45, -45))], ids=str)
def test_gaze_towards_a_point_as_the_viewer_sees_it(target, gaze_deg):
    gaze = gaze_towards(np.array([2.0, 0, 0]), np.array(target, float))
    assert np.degrees(np.abs(gaze)) == pytest.approx(np.abs(gaze_deg), abs=1e-9)
    assert np.sign(np.round(gaze, 9)) == pytest.approx(np.sign(gaze_deg))


def test_gaze_does_not_depend_on_where_the_scene_is_turned():
    rng = np.random.default_rng(0)
    for _ in range(20):
        pan, shift = rng.uniform(-3, 3, 2)
        person = 2 * direction_from_pan_tilt(pan, 0.0)
        target = rng.normal(size=3)
        c, s = math.cos(shift), math.sin(shift)
        spin = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        assert gaze_towards(spin @ person, spin @ target) == pytest.approx(
            gaze_towards(person, target))
        assert pan_tilt_from_direction(person)[0] == pytest.approx(pan)


@pytest.mark.parametrize('gaze', [(math.nan, 0.0), (0.0, math.inf)], ids=str)
def test_a_gaze_that_is_no_number_is_refused(gaze):
    with pytest.raises(WorldError, match='finite'):
        draw_person(someone(), gaze)


def test_a_figure_of_no_size_is_refused():
    with pytest.raises(WorldError, match='8 pixels'):
        draw_person(someone(), (0.0, 0.0), 4)


# --- solids


def test_an_ellipsoid_covers_its_outline_and_is_brightest_towards_the_light():
    grey = np.full(3, 200, np.uint8)
    stage = Stage(200, 100, 20.0, (100.0, 50.0), np.array([-0.6, 0.0, 0.8]))
    stage.add(Solid((1.0, 0.0, 0.0), (3.0, 2.0, 1.0), grey), np.eye(3), np.zeros(3))
    picture = stage.rgba()
    u, v = np.meshgrid(np.arange(200) + 0.5, np.arange(100) + 0.5)
    truth = ((u - 120) / 60) ** 2 + ((v - 50) / 40) ** 2 <= 1
    assert ((picture[..., 3] > 0) == truth).mean() > 0.995
    assert picture[50, 75, 0] > picture[50, 165, 0] + 20


def test_the_nearer_solid_hides_the_other_in_any_order():
    red, blue = (np.array(colour, np.uint8) for colour in ((200, 0, 0), (0, 0, 200)))
    near, far = Solid((0, 0, 2.0), (1, 1, 1), red), Solid((0, 0, 0), (2, 2, 2), blue)
    for order in ((near, far), (far, near)):
        stage = Stage(100, 100, 20.0, (50.0, 50.0), np.array([0.0, 0.0, 1.0]))
        for solid in order:
            stage.add(solid, np.eye(3), np.zeros(3))
        assert stage.rgba()[50, 50, 0] > 100
        assert stage.rgba()[50, 80, 2] > 50


@pytest.mark.parametrize('right_deg,down_deg', [(0, 0), (70, 20), (-170, -50)])
def test_turning_is_a_rotation_that_takes_forward_to_the_gaze(right_deg, down_deg):
    matrix = turned(math.radians(right_deg), math.radians(down_deg))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1)
    x, y, z = matrix @ (0, 0, 1)
    assert math.degrees(math.atan2(x, z)) == pytest.approx(right_deg)
    assert math.degrees(math.asin(y)) == pytest.approx(down_deg)


@pytest.mark.parametrize('looks_deg', [(0, 0), (30, 0), (-20, 15)])
@pytest.mark.parametrize('head_deg', [(0, 0), (25, -10)])
def test_an_eye_looks_where_it_is_told_however_its_head_is_turned(looks_deg, head_deg):
    looks, head = turned(*np.radians(looks_deg))[:, 2], turned(*np.radians(head_deg))
    stage = Stage(200, 200, 80.0, (100.0, 100.0), np.array([0.0, 0.0, 1.0]))
    stage.add(Solid((0, 0, 0), (1, 1, 1), np.array(SKIN, np.uint8), looks=looks, iris=EYE), head,
              np.zeros(3))
    picture = stage.rgba()
    pupil = (picture[..., 3] > 0) & (picture[..., :3].max(axis=-1) < 40)
    rows, columns = np.nonzero(pupil)
    seen = np.array([columns.mean() - 99.5, rows.mean() - 99.5]) / 80
    assert seen == pytest.approx(looks[:2], abs=0.04)


def test_a_tube_ends_where_its_length_does():
    grey = np.full(3, 200, np.uint8)
    stage = Stage(100, 100, 10.0, (50.0, 50.0), np.array([0.0, 0.0, 1.0]))
    stage.add(Solid((0, 0, 0), (1.0, 3.0, 1.0), grey, tube=True), np.eye(3), np.zeros(3))
    rows, columns = np.nonzero(stage.rgba()[..., 3])
    assert (rows.min(), rows.max()) == (20, 79)
    assert (columns.min(), columns.max()) == (40, 59)
