"""Ids: the same head keeps its own, through gaps and past others."""

import importlib.util
import math

import numpy as np
import pytest

from gaze_robot.errors import ConfigError
from gaze_robot.people.records import Facing, Head

if importlib.util.find_spec('norfair') is None:
    pytest.skip("pip install -e '.[people]'", allow_module_level=True)

from gaze_robot.people.tracks import HeadTracks


def nobody(image: np.ndarray) -> list[Head]:
    return []


def head(x: float, y: float, side: float = 0.1, facing: Facing | None = None) -> Head:
    return Head((x - side / 2, y - side / 2, x + side / 2, y + side / 2), 0.9, facing=facing)


def tracks(**options: int) -> HeadTracks:
    return HeadTracks(nobody, **{'every': 1, **options})


def test_a_head_counts_once_it_is_found_twice_and_keeps_its_id() -> None:
    follow = tracks()
    assert follow.update([head(0.2, 0.5)]) == []
    ids = [[one.id for one in follow.update([head(0.2 + 0.01 * step, 0.5)])]
           for step in range(1, 30)]
    assert ids[0] in ([], [1])
    assert ids[1:] == [[1]] * 28


def test_one_false_find_never_counts() -> None:
    follow = tracks()
    seen = [follow.update([head(0.7, 0.7)] if step == 5 else []) for step in range(20)]
    assert all(not heads for heads in seen)


def test_heads_that_pass_each_other_keep_their_ids() -> None:
    """One goes right, one goes left, a head's size apart in height."""
    follow = tracks()
    for step in range(40):
        x = 0.1 + 0.02 * step
        found = follow.update([head(x, 0.40), head(1 - x, 0.55)])
        if step > 3:
            places = {one.id: one.centre for one in found}
            assert set(places) == {1, 2}
            if step == 4:
                first = min(places, key=lambda key: places[key][0])
            right, left = places[first], places[3 - first]
            assert right[1] < left[1]
            assert right[0] == pytest.approx(x, abs=0.03)
            assert left[0] == pytest.approx(1 - x, abs=0.03)


def test_between_searches_a_head_moves_on() -> None:
    """Searched in every fourth picture, it is still within a quarter of its size in all."""
    follow = tracks(every=4)
    errors = []
    for step in range(60):
        x = 0.1 + 0.01 * step
        found = follow.update([head(x, 0.5)] if step % 4 == 0 else None)
        if step > 24:
            one, = found
            errors.append(abs(one.centre[0] - x))
    assert max(errors) < 0.025


def test_a_gap_is_bridged_and_an_end_is_an_end() -> None:
    follow = tracks(keep=12)
    for _ in range(12):
        follow.update([head(0.5, 0.5)])
    assert [[one.id for one in follow.update([])] for _ in range(6)] == [[1], [1], *[[]] * 4]
    assert [one.id for one in follow.update([head(0.5, 0.5)])] == [1]
    for _ in range(30):
        last = follow.update([])
    assert last == []
    for _ in range(3):
        again = follow.update([head(0.5, 0.5)])
    assert [one.id for one in again] == [2], 'who comes back is somebody new'


def test_a_far_head_is_not_the_same() -> None:
    follow = tracks()
    for _ in range(5):
        follow.update([head(0.2, 0.5)])
    for _ in range(3):
        found = follow.update([head(0.8, 0.5)])
    assert [one.id for one in found if one.centre[0] > 0.5] == [2]


def test_facing_settles_the_short_way_round() -> None:
    """From 170 to -170 degrees passes 180, never 0; a search that says the same keeps it."""
    follow = tracks()
    for _ in range(4):
        follow.update([head(0.5, 0.5, facing=Facing(math.radians(170), 0.0, 0.3))])
    for _ in range(4):
        one, = follow.update([head(0.5, 0.5, facing=Facing(math.radians(-170), 0.0, 0.3))])
        assert one.facing is not None
        assert abs(one.facing.yaw_rad) > math.radians(165)
    assert one.facing.yaw_rad == pytest.approx(math.radians(-170), abs=math.radians(1.5))


def test_searches_only_every_nth_picture() -> None:
    calls = []

    def finder(image: np.ndarray) -> list[Head]:
        calls.append(image[0, 0, 0])
        return [head(0.5, 0.5)]

    follow = HeadTracks(finder, every=3)
    for step in range(10):
        follow(np.full((4, 4, 3), step, np.uint8))
    assert calls == [0, 3, 6, 9]


@pytest.mark.parametrize('options', [{'every': 0}, {'keep': 0}, {'confirm': 0}])
def test_numbers_below_one_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match='at least 1'):
        tracks(**options)
