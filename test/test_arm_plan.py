"""What an arm was told, read at any time."""

import math

import numpy as np
import pytest

pytest.importorskip('gymnasium', reason='needs gymnasium')

from gaze_robot.errors import CommandError
from gaze_robot_sim.physics.arm_plan import ArmPlan

BOUNDS = np.array([-9.0, -8.0]), np.array([9.0, 10.0])


@pytest.fixture
def plan():
    return ArmPlan(('elbow', 'wrist'), np.array([1.0, 2.0]), BOUNDS)


def test_it_holds_where_it_began(plan):
    for now in (0.0, 5.0, 1e9):
        np.testing.assert_array_equal(plan.at(now), [1.0, 2.0])


def test_it_goes_from_point_to_point_and_stays_at_the_last(plan):
    plan.follow(['elbow', 'wrist'], [0.5, 1.0], [[2.0, 2.0], [2.0, 0.0]], 100.0)
    for now, where in [(100.0, (1.0, 2.0)), (100.25, (1.5, 2.0)), (100.75, (2.0, 1.0)),
                       (300.0, (2.0, 0.0))]:
        np.testing.assert_allclose(plan.at(now), where)


def test_joints_are_found_by_name(plan):
    plan.follow(['wrist', 'elbow'], [1.0], [[7.0, 8.0]], 0.0)
    np.testing.assert_allclose(plan.at(1.0), [8.0, 7.0])


def test_a_newer_trajectory_begins_where_the_older_one_is(plan):
    plan.follow(['elbow', 'wrist'], [1.0], [[3.0, 2.0]], 0.0)
    plan.follow(['elbow', 'wrist'], [1.0], [[2.0, 2.0]], 0.5)
    np.testing.assert_allclose(plan.at(0.5), [2.0, 2.0])
    np.testing.assert_allclose(plan.at(1.0), [2.0, 2.0])


def test_no_points_mean_hold(plan):
    plan.follow(['elbow', 'wrist'], [1.0], [[3.0, 2.0]], 0.0)
    plan.follow(['elbow', 'wrist'], [], [], 0.5)
    np.testing.assert_allclose(plan.at(2.0), [2.0, 2.0])


@pytest.mark.parametrize('names, times, rows, says', [
    (['elbow'], [1.0], [[0.0]], 'this arm has elbow, wrist'),
    (['elbow', 'elbow'], [1.0], [[0.0, 0.0]], 'this arm has'),
    (['elbow', 'wrist'], [1.0], [[0.0]], '2 positions'),
    (['elbow', 'wrist'], [1.0], [[0.0, math.nan]], 'finite'),
    (['elbow', 'wrist'], [math.inf], [[0.0, 1.0]], 'finite'),
    (['elbow', 'wrist'], [1.0, 0.5], [[0.0, 1.0], [0.0, 1.0]], 'must grow'),
    (['elbow', 'wrist'], [-1.0], [[0.0, 1.0]], 'must grow')])
def test_what_cannot_be_done_changes_nothing(plan, names, times, rows, says):
    plan.follow(['elbow', 'wrist'], [1.0], [[3.0, 2.0]], 0.0)
    with pytest.raises(CommandError, match=says):
        plan.follow(names, times, rows, 0.5)
    np.testing.assert_allclose(plan.at(1.0), [3.0, 2.0])


def test_no_plan_goes_beyond_the_bounds_or_overflows(plan):
    plan.follow(['wrist', 'elbow'], [1e-6, 5.0], [[1.7e308, -1.7e308], [-1.7e308, 20.0]], 0.0)
    np.testing.assert_allclose(plan.at(1e-6), [-9.0, 10.0])
    for now in (0.5e-6, 2.5, 5.0):
        assert (plan.at(now) >= BOUNDS[0]).all()
        assert (plan.at(now) <= BOUNDS[1]).all()
