"""What past glances saw: sharp looks count, refuted places are not revisited, no seam behind."""

import math

import numpy as np
import pytest

from gaze_robot.foveation import FoveationPattern
from gaze_robot.gaze_target.evidence import CELLS
from gaze_robot.geometry import angle_between, direction_from_pan_tilt
from gaze_robot.policy.memory import GazeMemory, KEEP_S, PAN_BINS, TILT_BINS
from gaze_robot.types import PanTiltLimits

PATTERN = FoveationPattern(tuple(2 * math.degrees(math.atan(t)) for t in (0.2, 0.4, 1.0)),
                           (64, 64, 128), (16, 16, 32))
FOVEA, COARSEST = 3, 1
ONE = np.zeros(1, int)


def bin_of(pan_deg, tilt_deg):
    """Five-degree bins: pan from -180, tilt from -75."""
    return math.floor((pan_deg + 180) % 360 / 5), math.floor((tilt_deg + 75) / 5)


def glance(memory, pan_deg, tilt_deg, per_level=(0.0, 0.0, 0.0), now_s=0.0, eye=0, valid=True):
    """One eye sees the same probability in every cell of a level."""
    heat = np.empty((1, 3, CELLS, CELLS), np.float32)
    heat[0] = np.array(per_level, np.float32)[:, None, None]
    memory.update(heat, np.full(heat.shape, valid), np.radians([[pan_deg, tilt_deg]]),
                  np.array([now_s]), np.array([eye]))


@pytest.fixture
def memory():
    return GazeMemory(1, PATTERN)


# --- what is kept


def test_fresh_memory_has_seen_nothing(memory):
    assert (memory.sharpness == 0).all()
    assert (memory.score == 0).all()
    assert memory.score.shape == (1, PAN_BINS, TILT_BINS) == (1, 72, 30)


@pytest.mark.parametrize('gaze', [(0.0, 0.0), (50.0, 20.0), (-120.0, -30.0), (178.0, 5.0)],
                         ids=str)
def test_places_are_remembered_where_they_are(memory, gaze):
    """Near the gaze by the fovea, further out by the coarse levels, behind it not at all."""
    per_level = (0.09, 0.05, 0.02)
    glance(memory, *gaze, per_level)
    for pan in np.arange(-177.5, 180, 5):
        for tilt in np.arange(-72.5, 75, 5):
            away = math.degrees(angle_between(
                direction_from_pan_tilt(*np.radians([pan, tilt])),
                direction_from_pan_tilt(*np.radians(gaze))))
            place = (0, *bin_of(pan, tilt))
            if away < 8:
                assert memory.sharpness[place] == FOVEA
                assert 0.09 <= memory.score[place] <= 9 * 0.09       # at most its neighbours' too
            elif away > 60:
                assert memory.sharpness[place] == 0
                assert memory.score[place] == 0
            elif 17 < away < 19:
                assert memory.sharpness[place] == 2
                assert 0.05 <= memory.score[place] <= 9 * 0.05
            elif 32 < away < 44:
                assert memory.sharpness[place] == COARSEST
                assert 0.02 <= memory.score[place] <= 9 * 0.02


@pytest.mark.parametrize('offset_deg', [(0.0, 0.0), (7.5, -7.5), (-12.5, 2.5), (22.5, 17.5),
                                        (-32.5, -12.5)], ids=str)
@pytest.mark.parametrize('pan_deg', [0.0, 90.0, 177.5, -180.0])
def test_a_bright_cell_is_remembered_at_its_direction(memory, pan_deg, offset_deg):
    """Second route: the cell's ray by the pan-tilt head's geometry."""
    pan, tilt = np.radians(offset_deg)
    forward = math.cos(tilt) * math.cos(pan)
    x, y = -math.cos(tilt) * math.sin(pan) / forward, math.sin(tilt) / forward
    heat = np.zeros((1, 3, CELLS, CELLS), np.float32)
    for level, half in enumerate((0.2, 0.4, 1.0)):
        if max(abs(x), abs(y)) < half:
            heat[0, level, int((y / half + 1) * 8), int((x / half + 1) * 8)] = 0.8
    memory.update(heat, np.ones(heat.shape, bool), np.radians([[pan_deg, 0.0]]), np.zeros(1), ONE)
    best = memory.candidates(ONE, 1)[0]
    found = direction_from_pan_tilt(float(best.pan_rad[0]), float(best.tilt_rad[0]))
    truth = direction_from_pan_tilt(math.radians(pan_deg + offset_deg[0]), tilt)
    assert math.degrees(angle_between(found, truth)) < 7.5       # a bin and a half
    assert memory.score.max() > 0.5


def test_what_was_seen_sharply_is_not_overwritten_by_a_coarse_look(memory):
    place = (0, *bin_of(2.5, 2.5))
    glance(memory, 2.5, 2.5, (0.0, 0.0, 0.0))
    assert memory.sharpness[place] == FOVEA
    for now_s in (0.5, 1.0, KEEP_S - 0.1):
        glance(memory, 35.0, 2.5, (0.0, 0.0, 0.9), now_s)
        assert memory.sharpness[place] == FOVEA
        assert memory.score[place] == 0
    glance(memory, 35.0, 2.5, (0.0, 0.0, 0.9), KEEP_S + 0.2)
    assert memory.sharpness[place] == COARSEST
    assert memory.score[place] > 0.8


def test_a_sharper_look_overrules_a_coarse_one_at_once(memory):
    place = (0, *bin_of(2.5, 2.5))
    glance(memory, 35.0, 2.5, (0.0, 0.0, 0.9))
    assert memory.score[place] > 0.8
    glance(memory, 2.5, 2.5, (0.01, 0.0, 0.0), 0.1)
    assert memory.sharpness[place] == FOVEA
    assert memory.score[place] < 0.2


def test_what_lies_outside_the_picture_is_not_seen(memory):
    glance(memory, 0.0, 0.0, (0.9, 0.9, 0.9), valid=False)
    assert (memory.sharpness == 0).all()
    assert (memory.score == 0).all()


def test_glances_wrap_around_behind(memory):
    glance(memory, 180.0, 0.0, (0.7, 0.3, 0.3))
    for pan_deg in (177.5, -177.5):
        assert memory.sharpness[(0, *bin_of(pan_deg, 2.5))] == FOVEA
        assert memory.score[(0, *bin_of(pan_deg, 2.5))] > 0.6
    assert memory.sharpness[(0, *bin_of(0.0, 2.5))] == 0
    other = GazeMemory(1, PATTERN)
    glance(other, -180.0, 0.0, (0.7, 0.3, 0.3))
    np.testing.assert_array_equal(other.sharpness, memory.sharpness)
    turned = GazeMemory(1, PATTERN)
    glance(turned, 0.0, 0.0, (0.7, 0.3, 0.3))
    np.testing.assert_array_equal(np.roll(turned.sharpness, 36, axis=1), memory.sharpness)


def test_forgetting_one_eye_leaves_the_others():
    memory = GazeMemory(3, PATTERN)
    for eye in range(3):
        glance(memory, 30.0 * eye, 0.0, (0.5, 0.5, 0.5), eye=eye)
    before = memory.score.copy()
    memory.reset([1])
    assert (memory.score[1] == 0).all()
    assert (memory.sharpness[1] == 0).all()
    np.testing.assert_array_equal(memory.score[[0, 2]], before[[0, 2]])
    assert (before[0] != before[2]).any()
    memory.reset()
    assert (memory.sharpness == 0).all()


def test_target_between_cells_is_remembered_as_one_inside_a_cell_is(memory):
    """Four cells with a quarter each, or one with all."""
    scores = []
    for cells in ([(8, 8)], [(7, 7), (7, 8), (8, 7), (8, 8)]):
        heat = np.zeros((1, 3, CELLS, CELLS), np.float32)
        for cell in cells:
            heat[(0, 0, *cell)] = 0.96 / len(cells)
        memory.reset()
        memory.update(heat, np.ones(heat.shape, bool), np.zeros((1, 2)), np.zeros(1), ONE)
        scores.append(float(memory.score.max()))
    assert scores[0] > 0.8
    assert scores[1] > 0.6 * scores[0]


# --- candidates


def test_refuted_places_rank_last(memory):
    """The same probability everywhere; where it was the fovea's, it counts less."""
    glance(memory, 0.0, 0.0, (0.3, 0.3, 0.3))
    assert (memory.sharpness == FOVEA).any()
    first, second = memory.candidates(ONE, 2)
    for place in (first, second):
        assert place.sharpness[0] < FOVEA
    foveal = memory.score[memory.sharpness == FOVEA] ** 2             # at the very least
    assert first.score[0] > foveal.max()


def test_confirmed_places_rank_first(memory):
    glance(memory, 60.0, 0.0, (0.0, 0.0, 0.4))
    glance(memory, -62.5, 2.5, (0.95, 0.0, 0.0), 0.1)
    best = memory.candidates(ONE, 1)[0]
    assert best.sharpness[0] == FOVEA
    assert math.degrees(float(best.pan_rad[0])) == pytest.approx(-62.5, abs=10)


@pytest.mark.parametrize('likeness, suspicion', [(0.8, 0.5), (0.6, 0.2), (0.5, 0.1)], ids=str)
def test_a_likeness_is_left_for_better_candidates_and_come_back_to(memory, likeness, suspicion):
    """A fovea that is not quite sure, and something in the periphery; then that is looked at."""
    place = (0, *bin_of(-62.5, 2.5))
    glance(memory, 60.0, 0.0, (0.0, 0.0, suspicion / 5))
    memory.sharpness[place], memory.score[place] = FOVEA, likeness
    best = memory.candidates(ONE, 1)[0]
    assert best.sharpness[0] == COARSEST
    memory.score[memory.sharpness == COARSEST] = 0.01
    best = memory.candidates(ONE, 1)[0]
    assert math.degrees(float(best.pan_rad[0])) == pytest.approx(-62.5)


def test_patience_ends(memory):
    """What is left for others at first is good enough later on; others' order stays."""
    place = (0, *bin_of(-62.5, 2.5))
    chosen = []
    for now_s in (0.0, 1.0, 2.0, 4.0, 60.0):
        memory.reset()
        glance(memory, 60.0, 0.0, (0.0, 0.0, 0.03), now_s)
        memory.sharpness[place], memory.score[place] = FOVEA, 0.6
        chosen.append(int(memory.candidates(ONE, 1)[0].sharpness[0]))
    assert chosen[0] == COARSEST
    assert chosen[-1] == FOVEA
    assert chosen == sorted(chosen)


@pytest.mark.parametrize('seed', range(8))
def test_candidates_are_apart_and_in_order(seed):
    memory = GazeMemory(4, PATTERN)
    rng = np.random.default_rng(seed)
    memory.score[:] = rng.random(memory.score.shape).astype(np.float32)
    memory.sharpness[:] = COARSEST
    places = memory.candidates(np.arange(4), 4, math.radians(15))
    for eye in range(4):
        scores = [float(place.score[eye]) for place in places]
        assert scores == sorted(scores, reverse=True)
        assert scores[0] == memory.score[eye].max()
        directions = [direction_from_pan_tilt(float(p.pan_rad[eye]), float(p.tilt_rad[eye]))
                      for p in places]
        for i in range(4):
            for j in range(i):
                assert math.degrees(angle_between(directions[i], directions[j])) > 12


def test_asking_for_candidates_changes_nothing(memory):
    glance(memory, 10.0, 0.0, (0.5, 0.4, 0.3))
    before = memory.score.copy(), memory.sharpness.copy()
    memory.candidates(ONE, 3)
    np.testing.assert_array_equal(memory.score, before[0])
    np.testing.assert_array_equal(memory.sharpness, before[1])


# --- what is left to explore


LIMITS = PanTiltLimits((-1.5, -0.6), (1.2, 0.8))


@pytest.mark.parametrize('seen_by', [0, 1])
def test_turning_to_the_frontier_shows_something_new(memory, seen_by):
    """To the left and to the right in turn, until nothing within reach is left."""
    pan, seen = 0.0, 0
    for step in range(30):
        glance(memory, math.degrees(pan), 0.0, now_s=0.1 * step)
        now_seen = int((memory.sharpness > seen_by).sum())
        assert now_seen > seen
        seen = now_seen
        left, right = memory.frontier(np.array([[pan, 0.0]]), ONE, LIMITS, seen_by)[0, :2]
        assert left > 0
        assert right > 0
        if min(left, right) >= math.pi:
            break
        pan += left if left < right else -right
        column = int((math.degrees(pan) + 180) // 5) % PAN_BINS
        assert (memory.sharpness[0, column, 8:22] <= seen_by).mean() >= 0.5
    else:
        pytest.fail('thirty looks to either side did not see 155 degrees')
    assert step > 2 + 2 * seen_by


def test_nothing_new_to_either_side_once_all_was_seen(memory):
    for seen_by in (0, 1):
        assert (memory.frontier(np.zeros((1, 2)), ONE, LIMITS, seen_by)[0, :2]
                < math.radians(10)).all()
        memory.sharpness[:] = seen_by + 1
        left, right, up, down = memory.frontier(np.zeros((1, 2)), ONE, LIMITS, seen_by)[0]
        assert left == right == pytest.approx(math.pi)
        assert up == down == 0


def test_frontier_above_and_below(memory):
    memory.sharpness[:, :, :15] = COARSEST                       # above the horizon
    up, down = memory.frontier(np.zeros((1, 2)), ONE, LIMITS)[0, 2:]
    assert up == 0
    assert down > 0.3
    memory.sharpness[:] = COARSEST - memory.sharpness
    up, down = memory.frontier(np.zeros((1, 2)), ONE, LIMITS)[0, 2:]
    assert up > 0.3
    assert down == 0


def test_frontiers_of_several_eyes_are_their_own():
    memory = GazeMemory(3, PATTERN)
    glance(memory, 40.0, 0.0, eye=1)
    pose = np.array([[0.1, 0.0], [0.7, 0.1], [-0.4, 0.2]])
    together = memory.frontier(pose, np.arange(3), LIMITS)
    for eye in range(3):
        np.testing.assert_allclose(memory.frontier(pose[[eye]], np.array([eye]), LIMITS)[0],
                                   together[eye])


# --- the map as the eye sees it


def test_egocentric_map_turns_with_the_eye():
    """Eye and memory turned together: the same map."""
    maps = []
    for turn_deg in (0.0, 35.0, 180.0, -145.0):
        memory = GazeMemory(1, PATTERN)
        glance(memory, turn_deg + 2.5, 7.5, (0.9, 0.4, 0.1))
        maps.append(memory.egocentric(np.radians([turn_deg + 42.5]), ONE))
    assert maps[0].shape == (1, 2, 18, 6)
    assert maps[0].max() > 0.8
    for other in maps[1:]:
        np.testing.assert_allclose(other, maps[0], atol=1e-6)


@pytest.mark.parametrize('side, column', [(+7.5, 9), (-7.5, 8), (+27.5, 10), (-27.5, 7)])
@pytest.mark.parametrize('pan_deg', [0.0, 100.0, -170.0])
def test_left_of_the_gaze_comes_after_the_middle(memory, pan_deg, side, column):
    memory.score[(0, *bin_of(pan_deg + side, 2.5))] = 0.6
    memory.sharpness[(0, *bin_of(pan_deg + side, 2.5))] = FOVEA
    seen, score = memory.egocentric(np.radians([pan_deg]), ONE)[0]
    assert np.unravel_index(score.argmax(), score.shape) == (column, 3)
    assert seen[column, 3] == pytest.approx(1 / 20)              # of 4 x 5 bins
    assert np.count_nonzero(score) == np.count_nonzero(seen) == 1
