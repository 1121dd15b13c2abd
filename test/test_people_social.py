"""Things looked at, each other, together: against drawn truths and by properties."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from gaze_robot.people.records import Box, PersonGaze
from gaze_robot.people.social import (
    attention_map,
    density,
    gazed_object,
    joint_attention,
    looks_at_heads,
    mutual_gaze,
    shared_target,
    together,
)

SIDE = 64
PLACE = st.tuples(st.floats(0.1, 0.9), st.floats(0.1, 0.9))


def heatmap(point: tuple[float, float], sigma: float = 3.0, peak: float = 0.9) -> np.ndarray:
    """A bell around a point, as gaze models are taught."""
    y, x = np.indices((SIDE, SIDE)) + 0.5
    away = (x - point[0] * SIDE) ** 2 + (y - point[1] * SIDE) ** 2
    return (peak * np.exp(-away / (2 * sigma ** 2))).astype(np.float32)


def box(centre: tuple[float, float], size: float = 0.08) -> Box:
    x, y = centre
    return x - size / 2, y - size / 2, x + size / 2, y + size / 2


def somebody(target: tuple[float, float], number: int = 1, head: tuple[float, float] | None = None,
             in_frame: float | None = 0.95, sigma: float = 3.0) -> PersonGaze:
    return PersonGaze(number, None if head is None else box(head), target, in_frame, 0.8, 'drawn',
                      heatmap(target, sigma))


def test_of_several_things_the_one_at_the_peak_is_chosen() -> None:
    boxes = [box((0.2, 0.2)), box((0.7, 0.5)), box((0.5, 0.8))]
    for number, one in enumerate(boxes):
        middle = (one[0] + one[2]) / 2, (one[1] + one[3]) / 2
        choice = gazed_object(somebody(middle), boxes)
        assert choice.index == number
        assert choice.probability == choice.shares[number] > 0.7


def test_a_thing_on_a_table_wins_over_the_table() -> None:
    cup, table = box((0.5, 0.5), 0.06), (0.1, 0.4, 0.9, 0.9)
    assert gazed_object(somebody((0.5, 0.5)), [table, cup]).index == 1
    assert gazed_object(somebody((0.2, 0.8)), [table, cup], unlisted=1.0).index == 0


def test_nothing_is_chosen_where_nothing_is() -> None:
    assert gazed_object(somebody((0.2, 0.2)), [box((0.8, 0.8))]).index is None
    assert gazed_object(somebody((0.2, 0.2)), []).index is None


def test_who_looks_out_of_the_picture_looks_at_nothing_in_it() -> None:
    choice = gazed_object(somebody((0.5, 0.5), in_frame=0.05), [box((0.5, 0.5))])
    assert choice.index is None
    assert choice.probability > 0.9


@given(PLACE, st.lists(PLACE, min_size=1, max_size=6), st.floats(0.01, 1.0))
@settings(max_examples=40, deadline=None)
def test_shares_are_probabilities(target: tuple[float, float],
                                  places: list[tuple[float, float]], inside: float) -> None:
    boxes = [box(place) for place in places]
    choice = gazed_object(somebody(target, in_frame=inside), boxes)
    assert all(0 <= share <= 1 for share in choice.shares)
    assert sum(choice.shares) <= inside + 1e-9
    order = list(reversed(range(len(boxes))))
    turned = gazed_object(somebody(target, in_frame=inside), [boxes[k] for k in order])
    np.testing.assert_allclose([turned.shares[k] for k in order], choice.shares)


def test_the_own_head_is_not_looked_at() -> None:
    person = somebody((0.5, 0.5), head=(0.5, 0.5))
    covered = density(person)[30:34, 30:34]
    assert covered.max() == 0
    assert density(person).mean() == pytest.approx(1.0)


def test_two_who_look_at_each_other_are_found_and_others_are_not() -> None:
    left, right, far = (0.25, 0.4), (0.6, 0.45), (0.85, 0.3)
    people = [somebody(right, 1, left), somebody(left, 2, right), somebody(right, 3, far)]
    looks, mutual = looks_at_heads(people), mutual_gaze(people)
    assert looks[0, 1] > 0.7
    assert looks[1, 0] > 0.7
    assert looks[2, 1] > 0.7                                 # but nobody looks back
    np.testing.assert_array_equal(mutual, mutual.T)
    assert mutual[0, 1] > 0.5
    assert max(mutual[0, 2], mutual[1, 2]) < 0.1
    assert not mutual.diagonal().any()


def test_a_thing_beside_a_head_is_looked_at_instead() -> None:
    head, cup = (0.6, 0.45), (0.6, 0.6)
    people = [somebody(cup, 1, (0.2, 0.5)), somebody((0.2, 0.5), 2, head)]
    assert looks_at_heads(people, [box(cup)])[0, 1] < 0.2


def test_one_map_of_all_is_where_all_look_whatever_one_other_does() -> None:
    target = (0.3, 0.6)
    people = [somebody(target, k, sigma=4.0) for k in range(3)]
    rng = np.random.default_rng(0)
    for stray in rng.uniform(0.05, 0.95, (12, 2)):
        both = [*people, somebody((float(stray[0]), float(stray[1])), 9)]
        row, column = np.unravel_index(int(attention_map(both).argmax()), (SIDE, SIDE))
        assert np.hypot((column + 0.5) / SIDE - target[0], (row + 0.5) / SIDE - target[1]) < 0.05
        found = joint_attention(both)[0]
        apart = np.hypot(stray[0] - target[0], stray[1] - target[1])
        assert set(found.ids) == ({0, 1, 2, 9} if 9 in found.ids else {0, 1, 2})
        assert apart < 0.2 or 9 not in found.ids
        assert found.probability > 0.9


def test_a_mean_would_have_followed_the_one_who_is_surer() -> None:
    """The second route: what a plain mean of heatmaps does with the same people."""
    target, other = (0.25, 0.5), (0.8, 0.2)
    people = [somebody(target, 1, sigma=6.0), somebody(target, 2, sigma=6.0),
              somebody(other, 3, sigma=1.5)]
    mean = np.mean([density(person) for person in people], axis=0)
    column = int(mean.argmax()) % SIDE
    assert abs((column + 0.5) / SIDE - other[0]) < 0.05
    assert joint_attention(people)[0].ids == (1, 2)


def test_two_pairs_are_two_groups() -> None:
    people = [somebody((0.2, 0.3), 1), somebody((0.8, 0.7), 2), somebody((0.22, 0.3), 3),
              somebody((0.8, 0.68), 4)]
    assert sorted(group.ids for group in joint_attention(people)) == [(1, 3), (2, 4)]


def test_who_looks_elsewhere_alone_is_in_no_group() -> None:
    people = [somebody((0.2, 0.3), 1), somebody((0.8, 0.7), 2), somebody((0.5, 0.1), 3)]
    assert joint_attention(people) == []
    assert joint_attention(people[:1]) == []
    assert joint_attention([]) == []


@given(PLACE, st.floats(0, 0.5))
@settings(max_examples=40, deadline=None)
def test_the_farther_apart_the_less_they_share(place: tuple[float, float], step: float) -> None:
    one = somebody((0.1, 0.5))
    near, far = (shared_target(one, somebody((0.1 + away, 0.5))) for away in (step, step + 0.2))
    assert far <= near + 1e-9
    assert shared_target(one, somebody(place)) == pytest.approx(
        shared_target(somebody(place), one))


def test_people_without_maps_of_one_size_are_refused() -> None:
    small = PersonGaze(2, None, (0.5, 0.5), 1.0, 0.5, 'drawn', np.ones((8, 8), np.float32))
    with pytest.raises(ValueError, match='one size'):
        attention_map([somebody((0.5, 0.5)), small])
    with pytest.raises(ValueError, match='people'):
        attention_map([])


def test_what_is_told_of_people_together() -> None:
    left, right = (0.25, 0.4), (0.6, 0.45)
    cup = (0.8, 0.8)
    people = [somebody(right, 1, left), somebody(left, 2, right), somebody(cup, 3, (0.5, 0.2)),
              somebody(cup, 4, (0.9, 0.2))]
    told = together(people)
    assert [pair['ids'] for pair in told['looking_at_each_other']] == [[1, 2]]
    assert [group['ids'] for group in told['joint_attention']] == [[3, 4]]
    assert np.hypot(*np.subtract(told['joint_attention'][0]['point'], cup)) < 0.03
    assert together([]) == {'looking_at_each_other': [], 'joint_attention': []}
