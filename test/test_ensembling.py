"""Temporal ensembling, against hand-worked averages."""

import math

import numpy as np
import pytest

from gaze_robot.errors import ConfigError
from gaze_robot.policy.ensembling import TemporalEnsemble


def test_one_chunk_is_itself():
    chunk = np.arange(12.0).reshape(6, 2)
    np.testing.assert_allclose(TemporalEnsemble(0.1).add(5.0, chunk), chunk)


def test_two_chunks_by_hand():
    """Weights 1 for the older and 1/2 for the newer; where the older ends, the newer alone."""
    ensemble = TemporalEnsemble(1.0, decay=math.log(2))
    ensemble.add(0.0, np.array([[0.0], [3.0], [6.0]]))
    said = ensemble.add(1.0, np.array([[0.0], [0.0], [9.0]]))
    np.testing.assert_allclose(said, [[2.0], [4.0], [9.0]])


def test_between_its_moments_an_older_chunk_is_a_straight_line():
    ensemble = TemporalEnsemble(1.0, decay=0.0)
    ensemble.add(0.0, np.array([[0.0], [4.0], [8.0]]))
    said = ensemble.add(0.5, np.array([[0.0], [0.0], [0.0]]))
    np.testing.assert_allclose(said, [[1.0], [3.0], [0.0]])


def test_chunks_that_agree_change_nothing():
    ensemble = TemporalEnsemble(0.1)
    for step in range(20):
        times = step * 0.1 + np.arange(5) * 0.1
        chunk = np.stack([2 * times, 1 - times], axis=1)
        np.testing.assert_allclose(ensemble.add(step * 0.1, chunk), chunk, atol=1e-12)


def test_what_was_said_of_the_past_only_is_forgotten():
    ensemble = TemporalEnsemble(0.1)
    ensemble.add(0.0, np.full((3, 1), 100.0))
    np.testing.assert_allclose(ensemble.add(0.3, np.zeros((3, 1))), 0.0)


@pytest.mark.parametrize('stamp_s', [-1.0, 1.9])
def test_a_clock_that_goes_back_starts_anew(stamp_s):
    ensemble = TemporalEnsemble(0.1)
    ensemble.add(2.0, np.full((30, 1), 100.0))
    np.testing.assert_allclose(ensemble.add(stamp_s, np.zeros((30, 1))), 0.0)


@pytest.mark.parametrize('period_s, decay', [(0.0, 0.01), (math.nan, 0.01), (0.1, -1.0)])
def test_impossible_settings_are_refused(period_s, decay):
    with pytest.raises(ConfigError, match='period'):
        TemporalEnsemble(period_s, decay)
