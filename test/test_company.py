"""What people look at as a source: the eye follows it, leaves it in time, and searches may win."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gaze_robot.foveation import FoveationPattern
from gaze_robot.gaze_target.company import company_map, FOLLOWED_S, Gazed, nearest
from gaze_robot.gaze_target.evidence import CELLS
from gaze_robot.gaze_target.priority import Priority, URGE
from gaze_robot.geometry import angle_between, direction_from_pan_tilt
from gaze_robot.types import GazeTarget, PanTiltLimits, PanTiltState

PATTERN = FoveationPattern()
VALID = np.ones((PATTERN.levels, CELLS, CELLS), bool)
STILL, LIMITS = PanTiltState(0.0, 0.0), PanTiltLimits()
NOTHING: Any = SimpleNamespace(people=None, salience=None)


def gazed(pan: float, claim: float = 0.8, number: int = 1, since_s: float = 0.0) -> Gazed:
    return Gazed(GazeTarget(direction_from_pan_tilt(pan, 0.1), 0.8, True, 'people', number,
                            (0.4, 0.4, 0.5, 0.5), 0.9, (0.6, 0.4, 0.7, 0.5)), claim, since_s)


def look(priority: Priority, company: list[Gazed], now_s: float, pose: PanTiltState = STILL
         ) -> Any:
    maps = priority.maps(NOTHING, company, pose)
    return priority.step(maps, VALID, pose, LIMITS, now_s)[0]


def test_map_peaks_where_people_look_and_several_count_for_more() -> None:
    there, aside = direction_from_pan_tilt(0.3, 0.1), direction_from_pan_tilt(-0.3, 0.1)
    rays = np.stack([there, aside])
    one = company_map([gazed(0.3, 0.5)], rays)
    two = company_map([gazed(0.3, 0.5), gazed(0.3, 0.5, 2)], rays)
    assert one[0] == pytest.approx(0.5)
    assert two[0] == pytest.approx(0.75)                           # 1 - 0.5 * 0.5
    assert max(one[1], two[1]) < 1e-6
    assert not company_map([], rays).any()


def test_the_eye_goes_to_what_somebody_looks_at_exactly() -> None:
    """However coarse the cells are."""
    fixation = look(Priority(PATTERN, {'people': 1.0}), [gazed(0.37)], 0.0)
    assert fixation.source == 'people'
    assert fixation.person == 1
    np.testing.assert_allclose(fixation.direction, direction_from_pan_tilt(0.37, 0.1))


def test_the_eye_follows_a_gaze_that_moves_on() -> None:
    priority = Priority(PATTERN, {'people': 1.0})
    look(priority, [gazed(0.37)], 0.0)
    moved = look(priority, [gazed(-0.4)], 1.0)
    assert angle_between(moved.direction, direction_from_pan_tilt(-0.4, 0.1)) < 1e-6


def test_what_is_looked_at_for_long_is_left_and_not_returned_to() -> None:
    priority = Priority(PATTERN, {'people': 1.0})
    company = [gazed(0.4), gazed(-0.4, 0.6, 2)]
    seen = [look(priority, company, 0.1 * step) for step in range(int(10 * FOLLOWED_S) + 5)]
    assert {fixation.person for fixation in seen[:10]} == {1}
    assert seen[-1].person == 2
    other = Priority(PATTERN, {'people': 1.0})
    fresh = [look(other, [gazed(0.4 - 0.1 * (step // 20), since_s=step // 20 * 2.0),
                          gazed(-0.4, 0.6, 2)], 0.1 * step)
             for step in range(int(10 * FOLLOWED_S) + 5)]
    assert {fixation.person for fixation in fresh} == {1}, 'news keep the eye'


def test_somebody_with_a_much_higher_claim_takes_over_and_others_do_not() -> None:
    priority = Priority(PATTERN, {'people': 1.0})
    look(priority, [gazed(0.4, 0.5)], 0.0)
    assert look(priority, [gazed(0.4, 0.5), gazed(-0.4, 0.6, 2)], 0.1).person == 1
    look(priority, [gazed(0.4, 0.3), gazed(-0.4, 0.6, 2)], 0.2)
    assert look(priority, [gazed(0.4, 0.3), gazed(-0.4, 0.6, 2)], 0.3).person == 2


def test_who_is_gone_is_not_followed() -> None:
    priority = Priority(PATTERN, {'people': 1.0})
    look(priority, [gazed(0.4)], 0.0)
    assert look(priority, [], 0.1) is None


def test_what_the_view_does_not_show_is_looked_at_too() -> None:
    """Behind the eye, where no cell of its map is; unless the head cannot turn there."""
    priority = Priority(PATTERN, {'people': 1.0})
    fixation = look(priority, [gazed(2.5, 0.1, 0)], 0.0)
    assert fixation.person == 0
    np.testing.assert_allclose(fixation.direction, direction_from_pan_tilt(2.5, 0.1))
    assert look(priority, [gazed(-2.0, 0.1, 0)], 0.1).direction[1] < 0, 'it goes where it moves'
    assert look(priority, [gazed(0.3, 0.5, 7), gazed(2.5, 0.1, 0)], 0.2).person == 7
    narrow = PanTiltLimits((-1.0, -1.0), (1.0, 1.0))
    other = Priority(PATTERN, {'people': 1.0})
    maps = other.maps(NOTHING, [gazed(2.5, 0.5)], STILL)
    assert other.step(maps, VALID, STILL, narrow, 0.0)[0] is None


def bid(priority: Priority, claim: float, search: tuple[float, float], now_s: float = 0.0) -> bool:
    maps = priority.maps(NOTHING, [gazed(0.37, claim)], STILL)
    return priority.outbid(maps, VALID, STILL, LIMITS, search, now_s)


@pytest.mark.parametrize('weight, claim, search, wins', [
    (1.0, 0.9, (1.0, 0.0), True), (1.0, 0.9, (1.0, 0.95), False), (0.2, 0.9, (1.0, 0.0), False),
    (5.0, 0.5, (1.0, 1.0), True), (1.0, 0.9 * URGE, (1.0, 0.0), False)])
def test_a_search_keeps_the_eye_unless_outbid(weight: float, claim: float,
                                              search: tuple[float, float], wins: bool) -> None:
    assert bid(Priority(PATTERN, {'people': weight}), claim, search) is wins


def test_who_has_the_eye_keeps_it_against_an_equal_bid() -> None:
    for first, kept in (((1.0, 0.3), True), ((1.0, 0.99), False)):
        priority = Priority(PATTERN, {'people': 1.0})
        bid(priority, 0.75, first)
        assert bid(priority, 0.75, (1.0, 0.75)) is kept


def test_the_map_with_a_search_is_the_weighted_mean() -> None:
    priority = Priority(PATTERN, {'people': 1.0, 'salience': 2.0})
    mine, heat = np.full(VALID.shape, 0.3), np.zeros(VALID.shape)
    np.testing.assert_allclose(priority.with_search(mine, heat, 3.0), 0.15)


def test_the_nearest_target_counts_only_nearby() -> None:
    company = [gazed(0.4), gazed(-0.4, number=2)]
    found = nearest(company, direction_from_pan_tilt(0.35, 0.1), math.radians(10))
    assert found is company[0]
    assert nearest(company, direction_from_pan_tilt(0.0, 0.1), math.radians(10)) is None
    assert nearest([], direction_from_pan_tilt(0.0, 0.1), 1.0) is None
