"""Changing light: none means none, and some stays in bounds and without jumps."""

import numpy as np
import pytest

from gaze_robot.errors import WorldError
from gaze_robot_sim.scenes.lighting import apply, Lighting

TIMES = np.arange(0, 60, 0.01)


def gains(seed, amount):
    light = Lighting(np.random.default_rng(seed), amount)
    return np.array([light.gain(t) for t in TIMES])


def test_no_amount_is_exactly_one_and_draws_nothing():
    rng = np.random.default_rng(0)
    light = Lighting(rng, 0.0)
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state
    for t in (0.0, 3.3, 1e6):
        np.testing.assert_array_equal(light.gain(t), 1.0)


def test_light_comes_from_its_generator_alone():
    np.testing.assert_array_equal(gains(3, 0.7)[::100], gains(3, 0.7)[::100])
    assert np.abs(gains(3, 0.7) - gains(4, 0.7)).max() > 0.05


def test_more_changes_more_and_never_beyond_its_bounds():
    spans = {}
    for amount in (0.1, 0.4, 1.0):
        seen = np.array([gains(seed, amount) for seed in range(12)])
        assert 0.3 ** amount < seen.min()
        assert seen.max() < 1.62 ** amount
        spans[amount] = np.ptp(np.log(seen), axis=1).mean()
    assert spans[0.1] < 0.4 * spans[0.4]
    assert spans[0.4] < 0.6 * spans[1.0]
    assert spans[1.0] > 0.4


def test_colours_change_too_but_less_than_brightness():
    seen = np.log([gains(seed, 1.0) for seed in range(12)])
    brightness = seen.mean(axis=2)
    tint = seen - brightness[..., None]
    assert 0.03 < tint.std() < 0.5 * brightness.std()


def test_light_drifts_slowly_and_lamps_are_switched_quickly_in_some_episodes():
    speeds = [np.abs(np.diff(np.log(gains(seed, 1.0)).mean(axis=1))).max() / 0.01
              for seed in range(40)]
    switched = np.array(speeds) > 0.5                       # per second; drift alone: below 0.4
    assert 0.2 < switched.mean() < 0.8
    assert max(speeds) < 1.05 * 0.6 / 0.02 + 0.4            # never a jump


def test_gains_are_applied_to_their_colours_in_place_and_white_stays_white():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    before = image.copy()
    apply(image, np.array([0.5, 1.0, 1.7]))
    assert np.abs(image - np.minimum(before * [0.5, 1.0, 1.7], 255)).max() <= 0.5 + 1e-6
    again = before.copy()
    apply(again, np.ones(3))
    np.testing.assert_array_equal(again, before)


def test_a_view_of_a_larger_picture_is_changed_in_place():
    image = np.full((20, 20, 3), 100, np.uint8)
    apply(image[5:10, 5:10], np.array([0.5, 0.5, 0.5]))
    assert (image[5:10, 5:10] == 50).all()
    assert image.sum() == 100 * 20 * 20 * 3 - 50 * 25 * 3


@pytest.mark.parametrize('amount', [-0.1, 1.1, float('nan')])
def test_impossible_amounts_are_refused(amount):
    with pytest.raises(WorldError, match='between 0 and 1'):
        Lighting(np.random.default_rng(0), amount)
