"""Made-up pictures of people: who looks at what is so in space, in pictures and in labels."""

import dataclasses

import numpy as np
import pytest

from gaze_robot_sim.people.cast import Cast, CastConfig, Figures
from gaze_robot_sim.people.pictures import (
    angle_of,
    HEAD_TALL,
    HEAD_WIDE,
    make_scene,
    mirrored,
    portrait,
    Scene,
)
from gaze_robot_sim.people.stories import NOTHING, Story, tell
from gaze_robot_sim.people.stream import faces_alone, made_up, PeopleStream, turned_over
from gaze_robot_sim.scenes.figures import (
    BUST_CENTRE,
    BUST_HEAD_HIGH,
    gaze_towards,
    HEAD_CENTRE,
    HEAD_HIGH,
    turned,
)

SMALL = CastConfig(busts=96, wholes=48, things=12, views=4)
TO_BASE = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
"""Optical frame (x right, y down, z away) to base (x forward, y left, z up)."""


@pytest.fixture(scope='module')
def cast() -> Cast:
    return Cast(np.random.default_rng(3), SMALL)


@pytest.fixture(scope='module')
def stories() -> list[Story]:
    rng = np.random.default_rng(5)
    return [tell(rng) for _ in range(150)]


@pytest.fixture(scope='module')
def scenes(cast: Cast) -> list[Scene]:
    rng = np.random.default_rng(7)
    return [make_scene(rng, cast) for _ in range(12)]


def places(story: Story) -> np.ndarray:
    return np.concatenate([story.things, story.heads])


def test_who_looks_at_something_looks_along_the_line_to_it(stories):
    """By the simulator's own arithmetic for figures, in the other frame."""
    seen = 0
    for story in stories:
        for head, number, way in zip(story.heads, story.looks_at, story.direction):
            if number == NOTHING:
                continue
            gaze = gaze_towards(TO_BASE @ head, TO_BASE @ places(story)[number])
            np.testing.assert_allclose(turned(*gaze)[:, 2] * (1, 1, -1), way, atol=1e-9)
            seen += 1
    assert seen > 100


def test_what_is_looked_at_is_apart_from_all_else(stories):
    for story in stories:
        everything = places(story)
        for person, (head, number) in enumerate(zip(story.heads, story.looks_at)):
            if number == NOTHING:
                continue
            others = np.delete(everything, [number, len(story.things) + person], axis=0) - head
            aim = everything[number] - head
            cosine = others @ aim / np.linalg.norm(others, axis=1) / np.linalg.norm(aim)
            assert (np.degrees(np.arccos(cosine.clip(-1, 1))) > 11.9).all()


def test_who_looks_at_nothing_looks_past_everything(stories):
    for story in stories:
        for person, (number, way) in enumerate(zip(story.looks_at, story.direction)):
            if number != NOTHING or way[2] == -1:           # -1: into the camera
                continue
            others = np.delete(places(story), len(story.things) + person, axis=0)
            for other in others:
                gaze = gaze_towards(TO_BASE @ story.heads[person], TO_BASE @ other)
                there = turned(*gaze)[:, 2] * (1, 1, -1)
                assert np.degrees(np.arccos(min(there @ way, 1))) > 14.9


def test_all_kinds_of_company_come_up(stories):
    mutual = [story.mutual.any() for story in stories]
    joint = [story.joint.any() for story in stories]
    inside = np.concatenate([story.looks_at != NOTHING for story in stories])
    assert 0.08 < np.mean(mutual) < 0.6
    assert 0.15 < np.mean(joint) < 0.8
    assert 0.5 < inside.mean() < 0.8


def test_mutual_and_joint_are_what_their_names_say():
    story = tell(np.random.default_rng(0), people=3)
    things = len(story.things)
    told = dataclasses.replace(story, looks_at=np.array([things + 1, things, things]))
    assert told.mutual.tolist() == [[False, True, False], [True, False, False], [False] * 3]
    assert told.joint.tolist() == [[False] * 3, [False, False, True], [False, True, False]]
    alone = dataclasses.replace(story, looks_at=np.full(3, NOTHING))
    assert not alone.mutual.any()
    assert not alone.joint.any()


def test_the_picture_shows_what_the_story_tells(scenes):
    for scene in scenes:
        height, width = scene.image.shape[:2]
        assert scene.image.dtype == np.uint8
        assert width >= 200
        assert height >= 150
        for person, number in enumerate(scene.looks_at):
            assert scene.inside[person] == (number != NOTHING)
            if number != NOTHING:
                left, top, right, bottom = scene.boxes[number]
                np.testing.assert_allclose(scene.target[person],
                                           [(left + right) / 2, (top + bottom) / 2])
        for left, top, right, bottom in scene.heads:
            assert 0 < (left + right) / 2 < 1
            assert 0 < (top + bottom) / 2 < 1
            assert 8 < (bottom - top) * height < 0.5 * height
        assert scene.boxes[-len(scene.heads):] == scene.heads


def test_heads_are_where_the_boxes_say(cast):
    """Figures fill the box that their portraits come with, and hardly reach above it."""
    for figures, (x, y), high in ((cast.busts, BUST_CENTRE, BUST_HEAD_HIGH),
                                  (cast.wholes, HEAD_CENTRE, HEAD_HIGH)):
        alpha = np.stack([picture[..., 3] for picture in figures.pictures]).mean(axis=0) / 255
        rows, columns = alpha.shape
        tall, wide = HEAD_TALL * high * rows, HEAD_WIDE * high * rows
        top, left = round(y * rows - tall / 2), round(x * columns - wide / 2)
        box = alpha[max(top, 0):round(top + tall), left:round(left + wide)]
        assert box.mean() > 0.75
        assert alpha[:max(top, 0)].sum() < 0.05 * alpha[:round(top + tall)].sum()
        assert box.sum() > 0.8 * alpha[:round(y * rows)].sum() / 2


def test_a_portrait_shows_its_head_in_the_middle(cast):
    image, (left, top, right, bottom), direction = portrait(np.random.default_rng(1), cast)
    assert image.shape[0] == image.shape[1]
    assert (left + right) / 2 == pytest.approx(0.5)
    assert bottom - top == pytest.approx(1 / 1.6, rel=0.05)
    assert np.linalg.norm(direction) == pytest.approx(1)


def test_figures_chosen_look_the_way_that_is_wanted(cast):
    rng = np.random.default_rng(4)
    for figures in (cast.busts, cast.wholes):
        np.testing.assert_allclose(np.linalg.norm(figures.gaze, axis=1), 1)
        for _ in range(20):
            way = rng.normal(size=3)
            way /= np.linalg.norm(way)
            fits = figures.gaze @ way
            assert (fits > fits[figures.looking(rng, way)]).sum() < 3


def test_mirroring_twice_changes_nothing(scenes):
    again = mirrored(mirrored(scenes[0]))
    np.testing.assert_array_equal(again.image, scenes[0].image)
    np.testing.assert_allclose(again.target, scenes[0].target)
    np.testing.assert_allclose(again.direction, scenes[0].direction)
    np.testing.assert_allclose(again.heads, scenes[0].heads)
    once = mirrored(scenes[0])
    yaw, pitch = angle_of(scenes[0].direction)
    other, same = angle_of(once.direction)
    np.testing.assert_allclose(other, -yaw, atol=1e-9)
    np.testing.assert_allclose(same, pitch)


def test_seeds_decide_everything():
    def first(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return make_scene(rng, Cast(rng, CastConfig(16, 16, 4, 2)), people=2).image
    np.testing.assert_array_equal(first(1), first(1))
    other = first(2)
    assert other.shape != first(1).shape or (other != first(1)).any()


def test_a_stream_repeats_itself_and_shakes_boxes():
    def batches(seed: int) -> list[dict[str, np.ndarray]]:
        stream = iter(PeopleStream(seed, 3, 64, faces=1, config=CastConfig(16, 16, 4, 2)))
        return [next(stream) for _ in range(2)]
    faces, pictures = batches(6)
    assert set(faces) == {'faces', 'angle'}
    people = pictures['boxes'].shape[1]
    assert pictures['pictures'].shape == (3, 64, 64, 3)
    assert pictures['faces'].shape == (3, people, 48, 48, 3)
    assert pictures['target'].shape == (3, people, 2)
    for one, other in zip((faces, pictures), batches(6)):
        for name, value in one.items():
            np.testing.assert_array_equal(value, other[name])


def test_lessons_keep_the_truth_and_hide_what_is_outside(cast):
    rng = np.random.default_rng(9)
    lesson = made_up(rng, cast, 3)
    np.testing.assert_array_equal(np.isfinite(lesson.target).all(axis=1), lesson.inside > 0)
    over = turned_over(lesson)
    np.testing.assert_allclose(over.target[:, 0], 1 - lesson.target[:, 0])
    np.testing.assert_allclose(over.angle, lesson.angle * (-1, 1))
    assert over.boxes[0][0] == pytest.approx(1 - lesson.boxes[0][2])
    np.testing.assert_allclose(over.things[-3:], over.boxes)


def test_faces_alone_come_with_their_angles(cast):
    batch = faces_alone(np.random.default_rng(1), cast, 40)
    assert batch['faces'].shape == (40, 48, 48, 3)
    assert np.abs(batch['angle'][:, 0]).max() <= np.pi
    assert np.abs(batch['angle'][:, 1]).max() <= np.pi / 2
    assert batch['angle'][:, 0].std() > 0.8


def test_people_are_replaced_as_time_goes_by():
    rng = np.random.default_rng(0)
    figures = Figures(rng, 8, False)
    before = figures.gaze.copy()
    figures.renew(rng)
    assert (figures.gaze != before).any(axis=1).sum() == 1


@pytest.mark.parametrize('wrong', [{'busts': 2}, {'things': 0}, {'views': 0}])
def test_a_cast_has_some_of_everything(wrong):
    with pytest.raises(ValueError, match='at least'):
        CastConfig(**wrong)
