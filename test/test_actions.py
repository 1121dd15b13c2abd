"""What the eye can do in one step."""

import math

import numpy as np
import pytest

from gaze_robot.errors import CommandError
from gaze_robot.policy.actions import MAX_STEP_RAD, move, MOVES, STAY


def test_moves_are_stay_and_eight_directions_of_three_sizes():
    assert MOVES.shape == (25, 2)
    np.testing.assert_array_equal(MOVES[STAY], [0, 0])
    size = np.degrees(np.hypot(*MOVES.T))
    angle = np.degrees(np.arctan2(MOVES[:, 1], MOVES[:, 0])).round().astype(int) % 360
    found = {(int(s.round()), int(a)) for s, a in zip(size[1:], angle[1:])}
    assert found == {(s, a) for s in (10, 3, 1) for a in range(0, 360, 45)}
    np.testing.assert_allclose(size[1:], size[1:].round(), atol=1e-9)


def test_every_move_has_its_opposite():
    assert {tuple(row) for row in (-MOVES).round(9) + 0.0} == {
        tuple(row) for row in MOVES.round(9) + 0.0}


def test_discrete_actions_pick_moves_of_any_shape():
    index = np.array([[0, 1, 24], [3, 3, 8]])
    moves = move(index, True)
    assert moves.shape == (2, 3, 2)
    for place in np.ndindex(2, 3):
        np.testing.assert_array_equal(moves[place], MOVES[index[place]])
    np.testing.assert_array_equal(move(np.int64(1), True), [math.radians(10), 0.0])


def test_continuous_actions_are_fractions_of_ten_degrees_per_axis():
    moves = np.degrees(move(np.array([[0.5, -0.25], [1.0, 1.0], [-7.0, 3.0]]), False))
    np.testing.assert_allclose(moves, [[5, -2.5], [10, 10], [-10, 10]])
    assert math.degrees(MAX_STEP_RAD) == pytest.approx(10)


@pytest.mark.parametrize('action', [-1, 25, 10 ** 9, [0, 25], 3.0, [1.0, 2.0], True, 'left'],
                         ids=repr)
def test_what_is_no_discrete_action_is_refused(action):
    with pytest.raises(CommandError, match='an integer from 0 to 24'):
        move(np.asarray(action), True)


@pytest.mark.parametrize('action', [[math.nan, 0.0], [0.0, math.inf],
                                    [[0.0, 0.0], [-math.inf, 0]]], ids=repr)
def test_continuous_actions_that_are_not_finite_are_refused(action):
    with pytest.raises(CommandError, match='must be finite'):
        move(np.asarray(action), False)
