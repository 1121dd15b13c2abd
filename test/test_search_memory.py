"""What an eye remembers of a search."""

import math

import numpy as np
import pytest

from gaze_robot.policy.search_memory import DOUBTS, END_RAD, REMEMBERED, SearchMemory

EYE = np.zeros(1, int)
DISMISSED = [(0.0, 0.6, 0.9)] + [(0.5, 1.2, 0.1)] * DOUBTS
"""Something attended to, looked at, and found to be something else."""


def searched(*glances, phase=(0.0,), told=None, **options):
    """A memory of one eye whose glances were: gaze pan, attended pan, and how much attention."""
    memory = SearchMemory(1, 1, **{'doubts': DOUBTS, **options})
    for row, (gaze, place, heed) in enumerate(glances):
        now = phase[min(row, len(phase) - 1)]
        memory.take(EYE, np.array([[gaze, 0.0]]), np.array([[place, 0.0]]), np.array([heed]),
                    np.array([[now]]), None if told is None else np.array([told]))
    return memory


def wanted(memory, gaze=0.0):
    (away,), (wish,) = memory.wanted(EYE, np.array([[gaze, 0.0]]))
    return away[0], wish


def dismissed(memory, place):
    return bool(memory.dismissed(EYE, np.array([[place, 0.0]]))[0])


def onwards(memory, gaze):
    return memory.frontier(EYE, np.array([[gaze, 0.0]]))[0]


def test_what_was_attended_to_is_wanted_until_it_was_looked_at():
    """Half way there attention is gone: coarse tokens flicker, and the eye goes on to see."""
    seen, half_way, there = (0.0, 0.6, 0.9), (0.17, -0.4, 0.1), (0.5, 1.2, 0.1)
    away, wish = wanted(searched(seen, half_way), 0.17)
    assert away == pytest.approx(0.43)
    assert wish == 0.9
    assert not dismissed(searched(seen, half_way), 0.6)
    memory = searched(seen, half_way, *[there] * DOUBTS)
    assert dismissed(memory, 0.6)
    assert dismissed(memory, 0.7)                       # the same thing, given or take a token
    assert not dismissed(memory, 1.2)
    assert wanted(memory)[1] == pytest.approx(0.1)      # something else, hardly


def test_a_thing_that_stays_attended_to_is_not_dismissed():
    memory = searched((0.0, 0.6, 0.9), (0.5, 0.6, 0.8), (0.6, 0.6, 0.7))
    assert not dismissed(memory, 0.6)
    assert wanted(memory, 0.5)[0] == pytest.approx(0.1)


def test_a_doubtful_glance_or_two_are_not_the_end():
    """One in fifteen of the right thing is; one is forgiven each time it is attended to again."""
    seen, doubtful, sure = (0.0, 0.6, 0.9), (0.5, 1.2, 0.1), (0.5, 0.6, 0.9)
    few = [doubtful] * (DOUBTS - 1)
    memory = searched(seen, *few)
    assert not dismissed(memory, 0.6)
    assert wanted(memory, 0.5) == (pytest.approx(0.1), 0.9)
    assert not dismissed(searched(seen, *few, sure, doubtful), 0.6)
    assert dismissed(searched(seen, *few, sure, doubtful, doubtful), 0.6)
    assert not dismissed(searched(seen, *few, *[sure] * 3, *few), 0.6)
    # The hand cannot decide, and the eye would be there for good.
    assert dismissed(searched(seen, *[doubtful, doubtful, sure] * 3), 0.6)
    assert not dismissed(searched(seen, *[sure, sure, doubtful] * 12), 0.6)
    assert dismissed(searched(seen, doubtful, doubts=1), 0.6)
    other = searched(seen, *few, (0.7, 0.9, 1.0), (0.9, -1.0, 0.1))     # none of the second's
    assert not dismissed(other, 0.9)


def test_doubts_wait_for_an_eye_that_does_not_keep_still():
    """A head swings by some degrees: beside the fovea nothing is judged, nor forgiven."""
    seen, doubtful, beside = (0.0, 0.6, 0.9), (0.5, 1.2, 0.1), (0.45, 0.6, 0.9)
    swings = [doubtful, beside] * DOUBTS
    assert dismissed(searched(seen, *swings, seen_rad=0.11), 0.6)
    assert not dismissed(searched(seen, *swings[:-2], seen_rad=0.11), 0.6)
    assert dismissed(searched(seen, *[doubtful] * DOUBTS, told=False), 0.6)


def test_what_was_dismissed_does_not_hold_the_eye_beside_it():
    """Attended to from the corner of the eye, it is near what is wanted, but not that."""
    beside = (0.9, 0.65, 0.5)
    memory = searched(*DISMISSED, (0.5, 0.88, 0.9), *[beside] * (DOUBTS - 1))
    assert wanted(memory, 0.9) == (pytest.approx(-0.02), 0.9)
    memory = searched(*DISMISSED, (0.5, 0.88, 0.9), *[beside] * DOUBTS)
    assert wanted(memory, 0.9)[1] <= 0.1


def test_what_was_dismissed_is_not_wanted_again_however_much_it_is_attended_to():
    memory = searched(*DISMISSED, (0.0, 0.6, 1.0))
    assert wanted(memory)[1] <= 0.1


def test_what_cannot_be_reached_is_given_up():
    """The eye stands still, at the end of its reach, beside what it wants."""
    memory = searched(*[(0.0, 0.6, 0.9)] * 20)
    assert not dismissed(memory, 0.6)
    memory = searched(*[(0.0, 0.6, 0.9)] * 40)
    assert dismissed(memory, 0.6)


def test_what_cannot_be_judged_however_long_it_is_looked_at_is_given_up():
    looked = [(0.5, 0.6, 0.9)] * 40
    assert not dismissed(searched(*looked, told=True), 0.6)
    assert dismissed(searched(*looked, told=False), 0.6)
    doubtful = [(0.0, 0.6, 0.9), *[(0.5, 1.2, 0.1)] * DOUBTS]     # what is attended to is not it
    assert dismissed(searched(*doubtful, told=False), 0.6)


def test_how_near_is_seen_well_is_for_hands_to_say():
    """Shapes are seen by a fovea only: 0.15 rad beside it nothing is dismissed, nor forgiven."""
    beside = [(0.0, 0.6, 0.9), *[(0.45, 1.2, 0.1)] * DOUBTS]
    assert dismissed(searched(*beside), 0.6)
    assert not dismissed(searched(*beside, seen_rad=0.11), 0.6)
    again = [*DISMISSED, (0.45, 0.6, 1.0)]
    assert wanted(searched(*again))[1] == 1.0
    assert wanted(searched(*again, seen_rad=0.11))[1] <= 0.1


def test_another_phase_of_the_task_is_another_search():
    """The gripper closes: what was dismissed may be where to put the thing down."""
    glances, before = [*DISMISSED, DISMISSED[-1]], [0.0] * len(DISMISSED)
    assert dismissed(searched(*glances, phase=(*before, 0.1)), 0.6)
    memory = searched(*glances, phase=(*before, 1.0))
    assert not dismissed(memory, 0.6)
    assert abs(onwards(memory, 0.5)) < 0.3              # it begins where the eye looks


def test_a_search_goes_on_at_the_nearest_end_of_what_was_looked_along():
    assert onwards(searched((0.3, 0.0, 0.0)), 0.3) > 0          # to the nearer end of the table
    assert onwards(searched((-0.3, 0.0, 0.0)), -0.3) < 0
    memory = searched((0.3, 0.0, 0.0), (0.2, 0.0, 0.0), (0.1, 0.0, 0.0))
    assert onwards(memory, 0.1) < 0
    memory = searched((-END_RAD, 0.0, 0.0), (0.3, 0.0, 0.0))
    assert onwards(memory, 0.0) > 0.3                           # that side was done


@pytest.mark.parametrize('pan', [0.3, -0.7, 1.1])
def test_rounding_does_not_choose_the_side(pan):
    """Where a search begins both ends are as far, of the gaze in 32 bits and in 64."""
    memory = SearchMemory(1, 1)
    gaze = np.array([[pan, 0.1]])
    memory.take(EYE, gaze.astype(np.float32), gaze, np.zeros(1), np.zeros((1, 1)))
    told = memory.frontier(EYE, gaze.astype(np.float32))
    np.testing.assert_allclose(memory.frontier(EYE, gaze), told, atol=1e-6)
    assert np.sign(told) == np.sign(pan)
    np.testing.assert_allclose(memory.frontier(EYE, gaze + 1e-7), told, atol=1e-6)
    np.testing.assert_allclose(memory.frontier(EYE, gaze - 1e-7), told, atol=1e-6)


def test_a_head_that_cannot_turn_has_nowhere_to_go_on():
    memory = SearchMemory(1, ends=(0.0, 0.0))
    memory.take(EYE, np.zeros((1, 2)), np.ones((1, 2)), np.zeros(1), np.zeros((1, 0)))
    assert memory.frontier(EYE, np.zeros((1, 2))) == np.inf     # as far as it may be


def test_a_search_that_found_nothing_begins_anew_within_the_reach_of_the_head():
    glances = [*DISMISSED, (0.8, 0.0, 0.0), (-0.8, 0.0, 0.0)]
    assert dismissed(searched(*glances), 0.6)
    memory = searched(*glances, ends=(-0.75, 0.75))
    assert not dismissed(memory, 0.6)
    assert onwards(memory, -0.8) > 0


def test_eyes_do_not_share_their_memories():
    memory = SearchMemory(2, 0)
    nothing = np.zeros((2, 0))
    memory.take(np.arange(2), np.zeros((2, 2)), np.array([[0.6, 0.0], [-0.6, 0.1]]),
                np.array([0.9, 0.5]), nothing)
    away, wish = memory.wanted(np.arange(2), np.zeros((2, 2)))
    np.testing.assert_allclose(away, [[0.6, 0.0], [-0.6, 0.1]])
    np.testing.assert_allclose(wish, [0.9, 0.5])
    memory.reset(np.array([1]))
    memory.take(np.arange(2), np.zeros((2, 2)), np.full((2, 2), 3.0), np.zeros(2), nothing)
    np.testing.assert_allclose(memory.wanted(np.arange(2), np.zeros((2, 2)))[1], [0.9, 0.0])


def test_what_is_seen_well_and_attended_to_is_wanted_whatever_was_thought_before():
    """A place known to a coarse token only was dismissed; the thing lies beside it."""
    assert wanted(searched(*DISMISSED, (0.2, 0.7, 0.9)), 0.2)[1] <= 0.1    # from afar: no
    away, wish = wanted(searched(*DISMISSED, (0.65, 0.7, 0.9)), 0.65)
    assert wish == 0.9
    assert away == pytest.approx(0.05)


def test_what_is_out_of_view_may_take_longer_to_come_near():
    """A head turns half round before it sees what a hand is sure of."""
    on_its_way = [(0.0, 1.5, 0.9)] + [(0.1, 0.0, 0.0)] * 30
    assert dismissed(searched(*on_its_way), 1.5)
    memory = searched(*on_its_way, patience=40)
    assert not dismissed(memory, 1.5)
    assert memory.at(EYE, np.array([[1.6, 0.0]]))[0]
    assert not memory.at(EYE, np.array([[1.0, 0.0]]))[0]


def test_a_memory_that_wants_nothing_is_at_nothing():
    memory = searched((0.0, 0.0, 0.0))
    assert not memory.at(EYE, np.array([[0.0, 0.0]]))[0]


# --- another phase, and what past glances show of what it asks for


def recalled(*glances, gaze=0.0, told=None):
    """A memory of one eye that begins a search with glances asked anew: gaze pan, attended pan,
    and how much attention.
    """
    memory = searched((gaze, 1.5, 0.9))
    pans, places, heed = np.array(glances).T
    memory.recall(0, np.array([gaze, 0.0]), np.array([1.0]), np.stack([pans, 0 * pans], axis=1),
                  np.stack([places, 0 * places], axis=1), heed,
                  None if told is None else np.array(told))
    return memory


def worth_it(heed):
    """How much what had so much attention is wanted when it is recalled."""
    return 0.5 + 0.5 * REMEMBERED * heed


def test_a_search_begins_with_the_most_that_was_seen_before():
    memory = recalled((0.0, 0.6, 0.5), (-0.4, -0.8, 0.8), (-0.2, -0.3, 0.1), gaze=-0.2)
    away, wish = wanted(memory, -0.2)
    assert away == pytest.approx(-0.6)
    assert wish == pytest.approx(worth_it(0.8))
    memory.take(EYE, np.array([[-0.2, 0.0]]), np.array([[0.0, 0.0]]), np.array([0.1]),
                np.array([[1.0]]))
    assert wanted(memory, -0.2) == (
        pytest.approx(-0.6), pytest.approx(worth_it(0.8)))              # the phase goes on
    hardly = recalled((0.0, 0.6, 0.2))
    assert wanted(hardly)[1] == pytest.approx(REMEMBERED * 0.2)
    memory.take(EYE, np.array([[-0.8, 0.0]]), np.array([[-0.8, 0.0]]), np.array([0.7]),
                np.array([[1.0]]))
    assert wanted(memory, -0.8)[1] == pytest.approx(0.7)                # seen again


def test_what_a_glance_at_it_showed_to_be_something_else_is_not_gone_back_to():
    coarse, close = (0.0, 0.6, 0.9), (0.55, 1.5, 0.1)
    assert wanted(recalled(coarse, (0.2, 0.4, 0.1)))[1] == pytest.approx(
        worth_it(0.9))
    memory = recalled(coarse, close, (-0.3, -0.5, 0.3))
    assert wanted(memory)[0] == pytest.approx(-0.5)
    assert dismissed(memory, 0.6)
    assert not dismissed(memory, -0.5)
    untold = recalled(coarse, close, (-0.3, -0.5, 0.3), told=[True, False, True])
    assert wanted(untold)[0] == pytest.approx(0.6)
    assert not dismissed(untold, 0.6)


def test_where_nothing_was_seen_the_search_goes_on_beyond_what_was_looked_along():
    memory = recalled((-0.9, -0.9, 0.0), (0.2, 0.2, 0.0), gaze=-0.1)
    assert wanted(memory)[1] == 0.0
    assert onwards(memory, 0.0) > 0.2                   # left, the nearer end of what was seen
    assert onwards(memory, -0.5) < -0.4
    everywhere = recalled((-END_RAD, 0.0, 0.0), (END_RAD, 0.0, 0.0), gaze=-0.1)
    assert onwards(everywhere, -0.1) == pytest.approx(onwards(searched((-0.1, 1.5, 0.0)), -0.1))


def test_only_another_phase_asks_anew():
    memory = searched((0.0, 0.6, 0.9))
    assert not memory.asks_anew(EYE, np.array([[0.0]]))[0]
    assert memory.asks_anew(EYE, np.array([[1.0]]))[0]
    memory.reset(EYE)
    assert not memory.asks_anew(EYE, np.array([[1.0]]))[0]          # another episode is no phase


def test_what_was_recalled_wrongly_gives_way_to_the_next_best():
    memory = recalled((0.0, 0.6, 0.9), (-0.4, -0.8, 0.8), gaze=0.6)
    for _ in range(DOUBTS):                                         # it is something else
        memory.take(EYE, np.array([[0.6, 0.0]]), np.array([[1.2, 0.0]]), np.array([0.1]),
                    np.array([[1.0]]))
    assert dismissed(memory, 0.6)
    away, wish = wanted(memory, 0.6)
    assert away == pytest.approx(-1.4)
    assert wish == pytest.approx(worth_it(0.8))
    for _ in range(DOUBTS):                                         # nor is that it
        memory.take(EYE, np.array([[-0.8, 0.0]]), np.array([[-1.4, 0.0]]), np.array([0.1]),
                    np.array([[1.0]]))
    assert dismissed(memory, -0.8)
    assert wanted(memory)[1] == pytest.approx(0.1)                  # nothing else is remembered


def test_what_was_dismissed_from_a_wrong_place_is_not_when_it_is_seen_from_near():
    """A coarse token said it 14 degrees beside where it is."""
    wrong, right = [(0.0, 0.6, 0.9)] + [(0.6, 1.2, 0.1)] * DOUBTS, [(0.4, 0.4, 0.9)] * 2
    assert dismissed(searched(*wrong), 0.4)
    assert dismissed(searched(*wrong, *right), 0.4)                     # the others' rule
    memory = searched(*wrong, *right, survey=1)
    assert not dismissed(memory, 0.4)
    assert wanted(memory, 0.4)[1] == 0.9


def surveyed(*pans, heed=0.9, **options):
    """A memory of one eye that looks around, attends to something ahead, and looked there."""
    return searched(*((pan, 0.0, heed) for pan in pans), **{'survey': 6, **options})


def test_an_eye_looks_around_before_it_wants_anything():
    memory = surveyed(0.3)
    assert memory.surveys(EYE)[0]
    assert wanted(memory)[1] == 0.0
    assert onwards(memory, 0.3) > 0.0                   # to the left first, which is nearer
    assert onwards(surveyed(0.3, 0.8, 1.0), 1.0) < -0.7                 # then to the right
    assert not memory.asks_anew(EYE, np.zeros((1, 1)))[0]
    done = surveyed(0.3, 1.0, 0.0, -1.0)
    assert not done.surveys(EYE)[0]
    assert done.asks_anew(EYE, np.zeros((1, 1)))[0]
    done.recall(0, np.array([-1.0, 0.0]), np.zeros(1), np.zeros((1, 2)), np.array([[0.5, 0.0]]),
                np.array([0.8]))
    assert wanted(done)[0] == pytest.approx(0.5)
    assert not done.asks_anew(EYE, np.zeros((1, 1)))[0]                 # once
    done.reset(EYE)
    done.take(EYE, np.array([[0.3, 0.0]]), np.zeros((1, 2)), np.array([0.9]), np.zeros((1, 1)))
    assert done.surveys(EYE)[0]                         # another episode


def test_it_does_not_look_around_for_ever():
    assert surveyed(*[0.3] * 5).surveys(EYE)[0]
    assert not surveyed(*[0.3] * 6).surveys(EYE)[0]
    narrow = surveyed(0.5, 0.3, -0.5, ends=(-0.5, 0.5))                 # as far as it can turn
    assert not narrow.surveys(EYE)[0]


def test_a_place_is_still_to_come_until_it_is_seen_well():
    memory, place = recalled((0.0, 0.6, 0.9)), np.array([[0.6, 0.0]])
    assert memory.comes(EYE, np.array([[0.0, 0.0]]), place)[0]
    assert not memory.comes(EYE, np.array([[0.5, 0.0]]), place)[0]      # there
    assert not memory.comes(EYE, np.array([[0.0, 0.0]]), -place)[0]     # not what is wanted


def test_an_eye_turns_within_its_limits_to_what_is_far_round():
    """What was seen on the left, from the right: through the middle, as heads turn."""
    away, _ = wanted(recalled((-1.7, -1.8, 0.9), gaze=1.7), 1.7)
    assert away == pytest.approx(-3.5)


def test_what_is_seen_nearer_to_the_gaze_takes_the_place_of_what_was_far():
    far, nearer = (0.0, 0.7, 0.9), (0.4, 0.98, 0.85)
    assert wanted(searched(far, nearer))[0] == pytest.approx(0.7)
    away, wish = wanted(searched(far, nearer, aside=0.3))
    assert away == pytest.approx(0.98)
    assert wish == pytest.approx(0.85 * (1 - 0.3 * 0.58 / math.radians(45.0)))
    near = wanted(recalled(far, nearer))
    assert near[0] == pytest.approx(0.7)                        # it is all the same to this one


def test_some_eyes_are_sooner_done_with_what_is_hardly_attended_to():
    seen, hardly = (0.0, 0.6, 0.9), (0.5, 0.6, 0.5)
    assert not dismissed(searched(seen, *[hardly] * 9), 0.6)
    assert dismissed(searched(seen, *[hardly] * 9, heedless=0.75), 0.6)
