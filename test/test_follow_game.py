"""The task giver with figures: a look is followed in time or it is not, then comes the next."""

import numpy as np
import pytest

from gaze_robot.geometry import angle_between, direction_from_pan_tilt
from gaze_robot_sim.follow_game import FollowGame, SOON_S, STAYS_S
from gaze_robot_sim.scenes.procedural import ProceduralWorld

AHEAD = direction_from_pan_tilt(0.0, 0.0)


@pytest.fixture(scope='module')
def world():
    return ProceduralWorld(7, 2)


@pytest.fixture
def game(world):
    made = FollowGame(world, np.random.default_rng(3))
    made.begin(made.choose(AHEAD, next_scene=False), 100.0)
    return made


def play(game, gaze_of, until_s, start_s=100.0):
    """How looks end, with the times."""
    ends, now_s = [], start_s
    while now_s < until_s:
        if game.target is None:
            break
        how = game.watch(gaze_of(game), now_s)
        if how is not None:
            ends.append((how, now_s))
        now_s += 1 / 30
    return ends


def test_nobody_is_shown_a_picture_and_the_figure_stands_before_the_scene(game, world):
    assert game.target.exemplar is None
    assert len(game.scene.sprites(0.0)) > len(world.scene(0).sprites(0.0)) + 2
    assert game.scene.panorama(0.0) is world.scene(0).panorama(0.0)


def test_everything_appears_near_where_the_eye_looks(world):
    made = FollowGame(world, np.random.default_rng(5))
    for pan in (-2.0, 0.0, 2.5):
        gaze = direction_from_pan_tilt(pan, 0.1)
        visit = made.choose(gaze, next_scene=False)
        away = [angle_between(gaze, sprite.direction) for sprite in visit.company.sprites]
        assert max(away) < np.radians(75)


def test_an_eye_that_knows_follows_every_look_at_once(game):
    ends = play(game, lambda game: game.target.direction, 112.0)
    assert len(ends) >= 3
    assert {how for how, _ in ends} == {'found'}
    assert max(game.log.times_s) < 0.1
    assert game.log.timeouts == 0
    assert game.error_rad == pytest.approx(0.0, abs=1e-6)


def test_an_eye_that_looks_away_never_does(game):
    ends = play(game, lambda game: -game.target.direction, 112.0)
    assert len(ends) >= 3
    assert {how for how, _ in ends} == {'timeout'}
    assert ends[0][1] == pytest.approx(100.0 + SOON_S, abs=0.05)
    assert game.log.report()['found_within_5deg'] == 0


def test_passing_by_does_not_count(game):
    """On it for one picture of four: never for long enough."""
    count = iter(range(10_000))
    ends = play(game, lambda game: game.target.direction if next(count) % 4 == 0 else AHEAD * -1,
                103.0)
    assert STAYS_S > 1 / 30
    assert 'found' not in {how for how, _ in ends}


def test_coming_late_does_not_count(game):
    """Away for a little longer than is allowed, then there."""
    steps = iter(range(10_000))
    late = (SOON_S + 0.1) * 30
    ends = play(game, lambda game: game.target.direction if next(steps) > late
                else -game.target.direction, 102.4)
    assert [how for how, _ in ends] == ['timeout']


def test_a_first_look_that_the_eye_could_not_see_is_not_judged(world):
    made = FollowGame(world, np.random.default_rng(3))
    far = made.choose(direction_from_pan_tilt(0.0, 0.9), next_scene=False)
    assert not far.near
    made.begin(far, 100.0)
    ends = play(made, lambda game: -game.target.direction, 112.0)
    assert ends[0][1] > 102.5 + SOON_S - 0.1
    assert {how for how, _ in ends} == {'timeout'}


def test_a_visit_ends(game):
    play(game, lambda game: game.target.direction, 130.0)
    assert game.target is None
    assert game.watch(AHEAD, 130.0) is None
    assert len(game.scene.sprites(0.0)) == 0
