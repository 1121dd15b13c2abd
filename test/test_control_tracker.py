"""Where a target is going: against a regression that is written out, and in cases by hand."""

import numpy as np
import pytest

from gaze_robot.control.tracker import Tracker

DT = 1 / 30


def tracker(noise=0.003, agility=1.0, forget=0.5):
    return Tracker(noise, agility, forget)


def follow(made, path, dt_s=DT):
    for place in path:
        made.see(np.array(place), dt_s)
    return made


def test_a_target_that_cannot_accelerate_is_a_line_through_all_sightings():
    """Then the filter is a linear regression with a normal prior on the speed of 0.5 rad/s."""
    rng = np.random.default_rng(0)
    time_s = np.arange(12) * DT
    seen = np.stack([0.1 + 0.3 * time_s, -0.2 - 0.1 * time_s], axis=1)
    seen += rng.normal(0.0, 0.003, seen.shape)
    made = follow(tracker(agility=0.0), seen)
    rows = np.stack([np.ones(12), time_s - time_s[-1]], axis=1) / 0.003
    # The first sighting fixes the place before the speed is known: 0.5 rad/s about none.
    prior = np.array([[0.0, 1 / 0.5]])
    for axis in (0, 1):
        place, speed = np.linalg.lstsq(np.vstack([rows, prior]),
                                       np.append(seen[:, axis] / 0.003, 0.0), rcond=None)[0]
        assert made.position[axis] == pytest.approx(place, abs=1e-9)
        assert made.speed[axis] == pytest.approx(speed, abs=1e-9)
    covariance = np.linalg.inv(np.vstack([rows, prior]).T @ np.vstack([rows, prior]))
    assert made.speed_deviation == pytest.approx(np.sqrt(covariance[1, 1]))


def test_a_steady_target_is_known_after_a_second():
    rng = np.random.default_rng(1)
    path = [(0.5 * step * DT, 0.0) for step in range(30)]
    made = follow(tracker(), path + rng.normal(0.0, 0.003, (30, 2)))
    assert made.speed == pytest.approx((0.5, 0.0), abs=0.1)


def test_a_target_that_turns_back_is_followed_back():
    path = [(0.4 * abs(step - 20) * DT, 0.0) for step in range(40)]
    assert follow(tracker(), path).speed[0] == pytest.approx(0.4, abs=0.05)


def test_unseen_it_goes_on_and_is_less_sure():
    made = follow(tracker(), [(0.5 * step * DT, 0.0) for step in range(30)])
    place, doubt = made.position[0], made.speed_deviation
    made.predict(0.2)
    assert made.position[0] == pytest.approx(place + 0.2 * made.speed[0])
    assert made.speed_deviation > doubt


def test_a_jump_is_another_target():
    made = follow(tracker(), [(0.5 * step * DT, 0.0) for step in range(30)] + [(2.0, 0.3)])
    np.testing.assert_array_equal(made.position, [2.0, 0.3])
    np.testing.assert_array_equal(made.speed, [0.0, 0.0])


@pytest.mark.parametrize('gap_s', [0.6, 1e300])
def test_what_was_long_unseen_is_forgotten(gap_s):
    made = follow(tracker(), [(0.5 * step * DT, 0.0) for step in range(30)])
    made.see(made.position, gap_s)
    np.testing.assert_array_equal(made.speed, [0.0, 0.0])


def test_the_same_moment_twice_tells_nothing_new():
    once = follow(tracker(), [(0.01, 0.0), (0.02, 0.0)])
    twice = follow(tracker(), [(0.01, 0.0), (0.02, 0.0)])
    twice.see(np.array([0.021, 0.0]), 0.0)
    np.testing.assert_array_equal(once.speed, twice.speed)
    twice.see(np.array([1.0, 0.0]), 0.0)
    assert twice.position[0] == 1.0, 'but another target is another target'


def test_without_noise_it_believes_every_sighting():
    made = follow(tracker(noise=0.0), [(0.1, 0.2), (0.11, 0.2), (0.13, 0.2)])
    assert made.position == pytest.approx((0.13, 0.2), abs=1e-6)
