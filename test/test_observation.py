"""What the policy is told: finite, of one size, each eye's own."""

import math

from hypothesis import assume, given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from gaze_robot.foveation import FoveationPattern
from gaze_robot.gaze_target.evidence import CELLS
from gaze_robot.geometry import angle_between, base_ray, direction_from_pan_tilt
from gaze_robot.perception import Percept
from gaze_robot.policy.memory import BIN_DEG
from gaze_robot.policy.observation import Observer, peaks, turn_to, vector_size
from gaze_robot.types import PanTiltLimits

PATTERN = FoveationPattern(tuple(2 * math.degrees(math.atan(t)) for t in (0.2, 0.4, 1.0)),
                           (64, 64, 128), (16, 16, 32))
LIMITS = PanTiltLimits()


def percept_of(eyes, seed=0, sharpness=4.0):
    """Random probabilities that sum to one with absence, level by level."""
    rng = np.random.default_rng(seed)
    raw = np.exp(sharpness * rng.standard_normal((eyes, 3, CELLS * CELLS + 1))).astype(np.float32)
    p = raw / raw.sum(axis=2, keepdims=True)
    return Percept(rng.standard_normal((eyes, 48, 8)).astype(np.float32),
                   p[..., :-1].reshape(eyes, 3, CELLS, CELLS), p[..., -1])


def part(percept, eyes):
    return Percept(percept.tokens[eyes], percept.heat[eyes], percept.absent[eyes])


def single_cell(level, row, column, probability=0.9):
    heat = np.zeros((1, 3, CELLS, CELLS), np.float32)
    heat[0, level, row, column] = probability
    return Percept(np.zeros((1, 48, 8), np.float32), heat, np.ones((1, 3), np.float32))


def journey(eyes, steps, seed=0):
    """Poses, speeds and percepts of some eyes for some steps."""
    rng = np.random.default_rng(seed)
    pose = rng.uniform(-1, 1, (eyes, 2))
    for step in range(steps):
        speed = rng.uniform(-3, 3, (eyes, 2))
        pose = np.clip(pose + speed / 30, LIMITS.min_position, LIMITS.max_position)
        valid = np.ones((eyes, 3, CELLS, CELLS), bool)
        valid[:, 2, :2] = False
        yield percept_of(eyes, seed + step), valid, pose, speed, np.full(eyes, step / 30)


# --- peaks


@pytest.mark.parametrize('level', [0, 1, 2])
@pytest.mark.parametrize('row, column', [(0, 0), (7, 8), (15, 3), (4, 15)])
def test_peak_is_at_the_ray_of_its_cell(level, row, column):
    """By the geometry of a head at rest; left in the picture is pan to the left."""
    peak = peaks(single_cell(level, row, column), PATTERN)
    assert peak.probability[0, level] == pytest.approx(0.9)
    half = (0.2, 0.4, 1.0)[level]
    x, y = ((column + 0.5) / 8 - 1) * half, ((row + 0.5) / 8 - 1) * half
    pan, tilt = peak.offset_rad[0, level]
    assert math.tan(pan) == pytest.approx(-x, abs=1e-6)
    assert math.tan(tilt) == pytest.approx(y, abs=1e-6)
    truth = base_ray(np.array([x, 0.0, 1.0]), 0.0, 0.0)
    assert angle_between(truth, direction_from_pan_tilt(pan, 0.0)) < 1e-6


def test_peak_between_cells_is_their_weighted_mean():
    heat = np.zeros((1, 3, CELLS, CELLS), np.float32)
    heat[0, 0, 5, 9], heat[0, 0, 5, 10], heat[0, 0, 14, 2] = 0.6, 0.2, 0.15
    peak = peaks(Percept(np.zeros((1, 48, 8), np.float32), heat, np.zeros((1, 3), np.float32)),
                 PATTERN)
    expected = (((9.5 * 0.6 + 10.5 * 0.2) / 0.8) / 8 - 1) * 0.2
    assert math.tan(peak.offset_rad[0, 0, 0]) == pytest.approx(-expected, abs=1e-5)
    assert math.tan(peak.offset_rad[0, 0, 1]) == pytest.approx((5.5 / 8 - 1) * 0.2, abs=1e-5)


@pytest.mark.parametrize('row, column', [(5, 5), (0, 0), (15, 15), (0, 9)])
def test_what_lies_between_four_cells_is_probable_all_the_same(row, column):
    heat = np.zeros((1, 3, CELLS, CELLS), np.float32)
    rows, columns = [row, row + 1 if row < 15 else 14], [column, column + 1 if column < 15 else 14]
    for r in rows:
        for c in columns:
            heat[0, 1, r, c] = 0.23
    heat[0, 1, 8, 12] = 0.05
    peak = peaks(Percept(np.zeros((1, 48, 8), np.float32), heat, np.zeros((1, 3), np.float32)),
                 PATTERN)
    assert peak.probability[0, 1] == pytest.approx(0.23)
    assert peak.nearby[0, 1] == pytest.approx(0.92)
    assert peak.nearby[0, 0] == pytest.approx(0, abs=1e-6)


def test_no_peak_anywhere_is_still_a_place():
    peak = peaks(Percept(np.zeros((2, 48, 8), np.float32),
                         np.zeros((2, 3, CELLS, CELLS), np.float32),
                         np.ones((2, 3), np.float32)), PATTERN)
    assert (peak.probability == 0).all()
    assert np.isfinite(peak.offset_rad).all()
    assert (np.abs(peak.offset_rad) <= math.atan(1.0) + 1e-9).all()


# --- turning there


@settings(max_examples=100, deadline=None)
@given(st.floats(-math.pi, math.pi), st.floats(0.0, 1.0), st.floats(-4.0, 0.0),
       st.floats(0.1, 4.0))
def test_turning_to_a_direction_arrives_there_within_the_limits(pan, share, low, high):
    limits = PanTiltLimits((low, -1.0), (high, 1.0))
    start = low + share * (high - low)
    turn = float(turn_to(np.array([pan]), np.array([start]), limits)[0])
    assert math.cos(start + turn - pan) == pytest.approx(1.0, abs=1e-9)
    ways = [pan + whole * math.tau for whole in (-1, 0, 1)]
    edge = math.radians(BIN_DEG)                           # beyond a limit, but seen from there
    assume(all(abs(way - low + edge) > 1e-5 and abs(way - high - edge) > 1e-5 for way in ways))
    inside = [abs(way - start) for way in ways if low - edge <= way <= high + edge]
    if inside:
        assert abs(turn) == pytest.approx(min(inside), abs=1e-5)
        assert low - edge <= start + turn <= high + edge
    else:
        assert abs(turn) <= math.pi + 1e-5


# --- the vector


@pytest.mark.parametrize('pattern', [
    PATTERN, FoveationPattern((20.0,), (32,), 8), FoveationPattern((9.0, 90.0), (32, 32), 16)],
    ids=lambda p: f'{p.levels} levels')
def test_vector_has_the_declared_size(pattern):
    observer = Observer(2, pattern, LIMITS)
    heat = np.full((2, pattern.levels, CELLS, CELLS), 1e-3, np.float32)
    vector, peak = observer.observe(
        Percept(np.zeros((2, 4, 8), np.float32), heat, heat[:, :, 0, 0]),
        np.ones(heat.shape, bool), np.zeros((2, 2)), np.zeros((2, 2)), np.zeros(2), np.arange(2))
    assert vector.shape == (2, vector_size(pattern))
    assert vector.dtype == np.float32
    assert peak.probability.shape == (2, pattern.levels)


@pytest.mark.parametrize('sharpness', [0.0, 4.0, 20.0])
def test_observations_are_finite_and_tame(sharpness):
    """Also at the limits, with probabilities of nearly 0 and 1."""
    observer = Observer(4, PATTERN, LIMITS)
    poses = np.array([[0, 0], LIMITS.max_position, LIMITS.min_position, [2.97, -1.05]], float)
    for step in range(5):
        vector, _ = observer.observe(
            percept_of(4, step, sharpness), np.ones((4, 3, CELLS, CELLS), bool), poses,
            np.full((4, 2), 3.0), np.full(4, step / 30), np.arange(4))
        assert np.isfinite(vector).all()
        assert np.abs(vector).max() < 10


def test_what_an_eye_is_told_does_not_depend_on_the_others():
    together = Observer(3, PATTERN, LIMITS)
    alone = [Observer(1, PATTERN, LIMITS) for _ in range(3)]
    different = 0
    for percept, valid, pose, speed, now_s in journey(3, 12):
        vector, peak = together.observe(percept, valid, pose, speed, now_s, np.arange(3))
        for eye in range(3):
            only = [eye]
            own, own_peak = alone[eye].observe(part(percept, only), valid[only], pose[only],
                                               speed[only], now_s[only], np.zeros(1, int))
            np.testing.assert_array_equal(own[0], vector[eye])
            np.testing.assert_array_equal(own_peak.offset_rad[0], peak.offset_rad[eye])
        different += (vector[0] != vector[1]).sum()
    assert different > 100


def test_some_eyes_may_look_while_others_do_not():
    some, all_of_them = Observer(4, PATTERN, LIMITS), Observer(4, PATTERN, LIMITS)
    chosen = np.array([3, 1])
    for percept, valid, pose, speed, now_s in journey(4, 6):
        own, _ = some.observe(part(percept, chosen), valid[chosen], pose[chosen], speed[chosen],
                              now_s[chosen], chosen)
        vector, _ = all_of_them.observe(percept, valid, pose, speed, now_s, np.arange(4))
        np.testing.assert_array_equal(own, vector[chosen])
    assert (some.memory.sharpness[[0, 2]] == 0).all()
    assert (some.memory.sharpness[[1, 3]] > 0).any()


def test_an_eye_that_forgot_is_told_what_a_fresh_one_is():
    used, fresh = Observer(2, PATTERN, LIMITS), Observer(2, PATTERN, LIMITS)
    untouched = Observer(2, PATTERN, LIMITS)
    for args in journey(2, 5):
        used.observe(*args, np.arange(2))
        untouched.observe(*args, np.arange(2))
    used.reset([0])
    args = next(journey(2, 1, seed=50))
    vector, _ = used.observe(*args, np.arange(2))
    first, _ = fresh.observe(*args, np.arange(2))
    kept, _ = untouched.observe(*args, np.arange(2))
    np.testing.assert_array_equal(vector[0], first[0])
    np.testing.assert_array_equal(vector[1], kept[1])
    assert (vector[1] != first[1]).any()


def test_past_glances_are_remembered():
    """Two eyes that now see the same, after different pasts."""
    observer = Observer(2, PATTERN, LIMITS)
    valid, eyes = np.ones((2, 3, CELLS, CELLS), bool), np.arange(2)
    seen = single_cell(2, 8, 12).heat
    heat = np.concatenate([seen, 0 * seen])
    nothing = np.zeros((2, 48, 8), np.float32), 0 * heat, np.ones((2, 3), np.float32)
    observer.observe(Percept(nothing[0], heat, nothing[2]), valid, np.zeros((2, 2)),
                     np.zeros((2, 2)), np.zeros(2), eyes)
    pose = np.array([[1.5, 0.0]] * 2)                        # looking elsewhere: out of view
    vector, _ = observer.observe(Percept(*nothing), valid, pose, np.zeros((2, 2)),
                                 np.full(2, 0.5), eyes)
    assert np.abs(vector[0] - vector[1]).max() > 0.1


# --- where to look next


def looks(observer, percept, pan=0.0, now_s=0.0):
    """The goal after one glance of one eye, degrees."""
    observer.observe(percept, np.ones((1, 3, CELLS, CELLS), bool), np.array([[pan, 0.0]]),
                     np.zeros((1, 2)), np.array([now_s]), np.zeros(1, int))
    return np.degrees(observer.goal[0])


def test_what_the_fovea_recognises_is_centred_exactly():
    percept = single_cell(0, 11, 5)
    goal = looks(Observer(1, PATTERN, LIMITS), percept)
    np.testing.assert_allclose(goal, np.degrees(peaks(percept, PATTERN).offset_rad[0, 0]))


def test_what_moves_to_where_nothing_was_is_centred_at_once():
    """Though the memory of that place has yet to believe it."""
    observer = Observer(1, PATTERN, LIMITS)
    looks(observer, single_cell(0, 0, 0, 0.0))
    percept = single_cell(0, 11, 5, 0.97)
    goal = looks(observer, percept, 0.0, 1 / 30)
    np.testing.assert_allclose(goal, np.degrees(peaks(percept, PATTERN).offset_rad[0, 0]))
    assert observer.memory.candidates(np.zeros(1, int), 1)[0].score[0] < 0.1


def test_a_suspicion_in_the_periphery_is_turned_to():
    percept = single_cell(2, 8, 14)
    goal = looks(Observer(1, PATTERN, LIMITS), percept)
    np.testing.assert_allclose(goal, np.degrees(peaks(percept, PATTERN).offset_rad[0, 2]),
                               atol=1.5 * BIN_DEG)


def test_a_better_candidate_is_looked_at_before_a_likeness_is_settled_on():
    observer = Observer(1, PATTERN, LIMITS)
    percept = single_cell(0, 8, 8, 0.7)                      # straight ahead, not quite it
    percept.heat[0, 2, 8, 14] = 0.8                          # and this, to the right
    goal = looks(observer, percept)
    assert goal[0] < -30
    refuted = single_cell(0, 8, 8, 0.0)                      # looked at: it is not it
    for step in range(3):
        back = looks(observer, refuted, math.radians(goal[0]), 0.2 + step / 30)
    assert back[0] == pytest.approx(-goal[0], abs=1.5 * BIN_DEG)


def test_with_nothing_to_go_by_new_places_are_looked_at():
    observer = Observer(1, PATTERN, LIMITS)
    goal = looks(observer, single_cell(0, 0, 0, 0.0))
    np.testing.assert_allclose(goal, np.degrees(observer.explore[0]))
    assert abs(goal[0]) > 5


def faded(score=0.02):
    """What the periphery holds for hardly probable, off to the right."""
    return single_cell(2, 8, 12, score)


def test_a_suspicion_is_looked_at_even_if_it_fades_on_the_way():
    observer = Observer(1, PATTERN, LIMITS)
    place = looks(observer, single_cell(2, 8, 14, 0.4))[0]
    for step in range(1, 3):                                 # ten degrees a step, seen less well
        pan = -10.0 * step
        goal = looks(observer, faded(), math.radians(pan), step / 30)
        assert pan + goal[0] == pytest.approx(place, abs=1.0)
    looks(observer, single_cell(0, 0, 0, 0.0), math.radians(place), 0.2)     # nothing is there
    goal = looks(observer, single_cell(0, 0, 0, 0.0), math.radians(place), 0.3)
    assert np.linalg.norm(goal) > 5


def test_a_suspicion_gives_way_to_a_much_better_one_only():
    for score, turns in ((0.5, False), (0.95, True)):
        observer = Observer(1, PATTERN, LIMITS)
        place = looks(observer, single_cell(2, 8, 14, 0.4))[0]
        percept = single_cell(2, 8, 14, 0.3)
        percept.heat[0, 2, 8, 2] = score
        sides = [looks(observer, percept, 0.0, step / 30)[0] > 0 for step in range(1, 9)]
        assert place < 0
        assert sides[-1] == any(sides) == turns


def test_a_suspicion_that_cannot_be_looked_at_is_dropped_after_a_second():
    observer = Observer(1, PATTERN, LIMITS)
    place = looks(observer, single_cell(2, 8, 14, 0.4))[0]
    for step in range(1, 30):
        assert looks(observer, faded(), 0.0, step / 30)[0] == pytest.approx(place, abs=1.0)
    assert looks(observer, faded(), 0.0, 1.1)[0] != pytest.approx(place, abs=1.0)


@pytest.mark.parametrize('beyond_deg, stays', [(8.0, True), (14.0, False)])
def test_what_is_glimpsed_just_beyond_the_limit_is_looked_at_from_there(beyond_deg, stays):
    """A near level shows it from the limit; what is farther, from the other end only."""
    start = LIMITS.max_position[0] - math.radians(30)
    column = int((math.tan(-math.radians(30 + beyond_deg)) + 1) / 2 * CELLS)
    goal = looks(Observer(1, PATTERN, LIMITS), single_cell(2, 7, column), start)
    assert (0 < goal[0] < 60) == stays
    assert (goal[0] < -180) != stays


def test_what_was_seen_from_afar_only_gets_a_closer_look_before_the_rest_of_the_world():
    """Nothing anywhere: first around the start, then around it closely, then behind."""
    observer, pan, order = Observer(1, PATTERN, LIMITS), 0.0, []
    nothing = single_cell(0, 0, 0, 0.0)
    for step in range(150):
        goal = looks(observer, nothing, pan, step / 60)
        order.append((int(observer.new[0]), abs(math.degrees(pan))))
        pan = float(np.clip(pan + math.radians(goal[0]), *np.array(
            [LIMITS.min_position, LIMITS.max_position])[:, 0]))
    kinds = [kind for kind, _ in order]
    first, later = kinds.index(1), [away for kind, away in order if kind == 1]
    assert set(kinds[:first]) == {2}
    assert max(away for _, away in order[:first]) < 95
    closely = next(i for i, away in enumerate(later) if away > 95)
    assert closely > 10                                      # a second round near the start
    assert min(later[:closely]) < 30
    assert (observer.memory.sharpness[0, :, 15] > 0).mean() > 0.9


def test_observing_leaves_the_percept_as_it_was():
    observer, percept = Observer(1, PATTERN, LIMITS), percept_of(1)
    heat, absent = percept.heat.copy(), percept.absent.copy()
    pose = np.array([[0.3, -0.2]])
    observer.observe(percept, np.ones(heat.shape, bool), pose, np.zeros((1, 2)), np.zeros(1),
                     np.zeros(1, int))
    np.testing.assert_array_equal(percept.heat, heat)
    np.testing.assert_array_equal(percept.absent, absent)
    np.testing.assert_array_equal(pose, [[0.3, -0.2]])
