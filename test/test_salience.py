"""What stands out: odd ones among equal ones, and nothing where nothing does."""

import math

import cv2
import numpy as np
import pytest
import torch

from gaze_robot.gaze_target.evidence import CELLS
from gaze_robot.gaze_target.salience import cell_features, FEATURES, Salience

SIDE = 64
EVERYWHERE = torch.ones(1, 1, CELLS, CELLS, dtype=torch.bool)


def judge(picture, valid=EVERYWHERE):
    level = torch.from_numpy(picture)[None]
    return Salience()(cell_features([level]), valid)[0, 0].numpy()


def display(seed, odd_by):
    """Sixteen bars on grey, one of them odd: the picture, their places in cells, which is odd."""
    rng = np.random.default_rng(seed)
    picture = np.full((4 * SIDE, 4 * SIDE, 3), 110, np.uint8)
    odd, step = int(rng.integers(16)), SIDE
    angle, places = rng.uniform(0, math.pi), []
    for item in range(16):
        middle = (np.array([item % 4, item // 4]) + 0.5 + rng.uniform(-0.12, 0.12, 2)) * step
        colour, turn, half = (200, 60, 60), angle, 0.26 * step
        if item == odd:
            colour = (60, 180, 60) if odd_by == 'colour' else colour
            turn += math.pi / 2 if odd_by == 'orientation' else 0.0
            half *= 1.8 if odd_by == 'size' else 1.0
        along = half * np.array([math.cos(turn), math.sin(turn)])
        ends = [tuple(int(value) for value in middle + way * along) for way in (-1, 1)]
        cv2.line(picture, *ends, colour, round(0.45 * half), cv2.LINE_AA)
        places.append(middle / (4 * SIDE) * CELLS)
    small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return small, np.array(places), odd


@pytest.mark.parametrize('odd_by', ['colour', 'orientation', 'size'])
def test_the_odd_one_out_gets_the_peak(odd_by):
    """By chance, one in sixteen; here at least four in five of twenty displays."""
    found = 0
    for seed in range(20):
        picture, places, odd = display(seed, odd_by)
        row, column = np.unravel_index(judge(picture).argmax(), (CELLS, CELLS))
        nearest = np.hypot(*(places - (column + 0.5, row + 0.5)).T).argmin()
        found += int(nearest == odd)
    assert found >= 16


@pytest.mark.parametrize('noise', [0, 3])
def test_a_flat_surface_has_nothing_salient(noise):
    rng = np.random.default_rng(0)
    picture = np.clip(128 + rng.normal(0, noise, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
    assert judge(picture).max() < 0.05


def test_nothing_outside_the_picture_and_its_edge_is_no_news():
    """A picture that ends in the middle of the level, in black."""
    rng = np.random.default_rng(1)
    picture = rng.integers(90, 160, (SIDE, SIDE, 3), dtype=np.uint8)
    picture[34:] = 0                                     # cells are 4 samples; the ninth is half
    valid = EVERYWHERE.clone()
    valid[:, :, 9:] = False
    seen = judge(picture, valid)
    assert seen[8:].max() == 0
    assert seen[:8].max() < 0.2
    assert np.isfinite(judge(picture, torch.zeros_like(EVERYWHERE))).all()
    assert judge(picture, torch.zeros_like(EVERYWHERE)).max() == 0


def test_levels_and_eyes_are_judged_each_by_itself():
    rng = np.random.default_rng(2)
    levels = [torch.from_numpy(rng.integers(0, 256, (2, side, side, 3), dtype=np.uint8))
              for side in (32, 64)]
    valid = torch.ones(2, 2, CELLS, CELLS, dtype=torch.bool)
    both = Salience()(cell_features(levels), valid)
    for eye in range(2):
        for level in range(2):
            one = Salience()(cell_features([levels[level][eye:eye + 1]]), EVERYWHERE)
            torch.testing.assert_close(both[eye, level], one[0, 0], atol=1e-5, rtol=1e-5)


def test_features_are_means_of_cells_and_changes_across_them():
    """A picture that grows by 8 grey levels per cell to the right: 4 per fine sample."""
    row = (np.arange(SIDE) * 2).astype(np.uint8)
    picture = np.repeat(np.tile(row, (SIDE, 1))[..., None], 3, axis=2)
    features = cell_features([torch.from_numpy(picture)[None]])[0, 0].numpy()
    assert features.shape == (FEATURES, CELLS, CELLS)
    np.testing.assert_allclose(features[0, :, 3], 12 * 2 + 3, atol=1e-4)       # samples 12 to 15
    assert np.abs(features[1:3]).max() < 1e-4                                  # grey
    np.testing.assert_allclose(features[3, 5, 5], 4.0 ** 2, atol=1e-3)         # strength
    np.testing.assert_allclose(features[4, 5, 5], 4.0 ** 2, atol=1e-3)         # all of it across
    np.testing.assert_allclose(features[5, 5, 5], 0.0, atol=1e-3)
