import math

import numpy as np
import pytest

from gaze_robot.errors import WorldError
from gaze_robot.geometry import angle_between, direction_from_pan_tilt
from gaze_robot.types import Exemplar
from gaze_robot_sim.scenes.base import SearchTarget
from gaze_robot_sim.search_game import Search, SearchGame

AHEAD = direction_from_pan_tilt(0.0, 0.0)


def target(pan_deg, tilt_deg=0.0):
    exemplar = Exemplar(np.zeros((8, 8, 3), np.uint8), 0.1)
    direction = direction_from_pan_tilt(math.radians(pan_deg), math.radians(tilt_deg))
    return SearchTarget(direction, 0.1, exemplar, 'thing')


class Targets:
    """A scene of given targets, or of one anywhere at all; and the world of such scenes."""

    count = None

    def __init__(self, *directions, name='0', broken=()):
        self.directions, self.name, self.broken = list(directions), name, broken

    def scene(self, index):
        if index in self.broken:
            raise WorldError(f'{index} is broken')
        return Targets(*self.directions, name=str(index))

    def sample_target(self, rng, t_s=0.0):
        if self.directions:
            return target(*self.directions[rng.integers(len(self.directions))])
        return target(rng.uniform(-180, 180), rng.uniform(-80, 80))


def make_game(*directions, **options):
    return SearchGame(Targets(*directions), np.random.default_rng(0), **options)


def gaze(pan_deg):
    return direction_from_pan_tilt(math.radians(pan_deg), 0.0)


def test_targets_are_away_from_the_gaze_within_the_start_angle_and_reachable():
    game = make_game(max_start_rad=math.radians(60))
    for seed in range(200):
        chosen = game.choose(gaze(seed)).target
        angle = math.degrees(angle_between(gaze(seed), chosen.direction))
        assert 10 <= angle <= 60
        assert abs(chosen.direction[2]) <= math.sin(1.05) + 1e-9     # the head's tilt limit


def test_every_search_but_the_first_is_in_another_scene():
    game = make_game((40,))
    shown = []
    for next_scene in (False, True, True):
        game.begin(game.choose(AHEAD, next_scene=next_scene), 0.0)
        shown.append(game.scene.name)
    assert shown == ['0', '1', '2']


def test_a_choice_is_not_shown_before_it_begins():
    game = make_game((40,))
    search = game.choose(AHEAD)
    assert (game.scene.name, game.target) == ('0', None)
    game.begin(search, 0.0)
    assert (game.scene.name, game.target) == ('1', search.target)


def test_a_broken_scene_is_reported_once_and_passed_over():
    game = SearchGame(Targets((40,), broken={1}), np.random.default_rng(0))
    with pytest.raises(WorldError, match='1 is broken'):
        game.choose(AHEAD)
    assert game.scene.name == '0'
    assert game.choose(AHEAD).scene.name == '2'


def test_a_world_without_a_reachable_target_says_so():
    with pytest.raises(WorldError, match='raise max_start_deg'):
        make_game((0, 80)).choose(AHEAD)


def play(game, pans_deg, rate=10.0):
    """Gaze directions at 10 Hz towards a target at 30 degrees; returns {event: when}."""
    game.begin(Search(game.scene, target(30)), now_s=100.0)
    events = {}
    for step, pan in enumerate(pans_deg):
        event = game.watch(gaze(pan), 100.0 + step / rate)
        if event:
            events[event] = step / rate
    return events


def test_found_means_within_five_degrees_for_the_hold_time():
    game = make_game(hold_s=1.0)
    assert play(game, [0] * 10 + [26] * 30) == {'found': 2.0}
    assert game.log.times_s == pytest.approx([1.0])                  # when it came to stay
    assert game.target is None


def test_passing_over_the_target_is_not_finding_it():
    game = make_game(hold_s=1.0, timeout_s=4.0)
    assert play(game, ([0] * 5 + [30] * 5) * 10) == {'timeout': 4.0}
    assert game.log.report() == {'searches': 1, 'found_within_5deg': 0,
                                 'median_time_to_target_s': None}


def test_leaving_starts_the_hold_anew():
    game = make_game(hold_s=1.0)
    assert play(game, [30] * 8 + [36] + [30] * 20) == {'found': 1.9}
    assert game.log.times_s == pytest.approx([0.9])


def test_error_is_the_angle_between_gaze_and_target():
    game = make_game()
    play(game, [10])
    assert math.degrees(game.error_rad) == pytest.approx(20)


def test_report_counts_and_takes_the_median():
    game = make_game(hold_s=0.0, timeout_s=2.0)
    for delay in (2, 4, 9):
        play(game, [0] * delay + [30])
    play(game, [0] * 30)
    assert game.log.report() == {'searches': 4, 'found_within_5deg': 3,
                                 'median_time_to_target_s': 0.4}


def test_without_a_target_there_is_nothing_to_watch():
    assert make_game().watch(AHEAD, 0.0) is None
