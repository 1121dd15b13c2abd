"""From a view and an exemplar to a probability per cell, per level."""

import math

import numpy as np
import pytest
import torch

from gaze_robot.camera import CameraModel
from gaze_robot.encoder import EncoderConfig
from gaze_robot.foveation import FoveationPattern, Foveator, PyramidFrontEnd
from gaze_robot.gaze_target.evidence import CELLS
from gaze_robot.gaze_target.search import SearchHead
from gaze_robot.perception import Perception, PerceptionNetwork, size_in_cells, valid_cells
from gaze_robot.types import Exemplar

PATTERN = FoveationPattern((20.0, 45.0, 90.0), (16, 16, 32), (8, 8, 16))
ENCODER = EncoderConfig(width=16, depth=1, heads=2, registers=2, patch=8)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return PerceptionNetwork(PATTERN, ENCODER).eval()


def views(eyes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (eyes, side, side, 3), dtype=np.uint8) for side in PATTERN.window]


def exemplar(seed=0, width_deg=10.0):
    picture = np.random.default_rng([seed, 1]).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    return Exemplar(picture, math.radians(width_deg))


def everything_visible(eyes):
    return np.ones((eyes, PATTERN.levels, CELLS, CELLS), bool)


# --- the head


def head_inputs(batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(batch, 12, 16, generator=generator),
            torch.randn(batch, 9, 16, generator=generator),
            torch.rand(batch, 3, CELLS, CELLS, generator=generator) * 2 - 1,
            torch.ones(batch, 3, CELLS, CELLS, dtype=torch.bool), torch.zeros(batch, 3))


def test_probabilities_of_every_level_sum_to_one(network):
    log_p = network.search(*head_inputs())
    assert log_p.shape == (2, 3, CELLS * CELLS + 1)
    np.testing.assert_allclose(log_p.detach().exp().sum(dim=2).numpy(), 1.0, atol=1e-5)


def test_cells_outside_the_picture_get_no_probability(network):
    tokens, shown, evidence, valid, size = head_inputs()
    valid[:, 1, :, :5] = False
    valid[0, 2] = False
    p = network.search(tokens, shown, evidence, valid, size).detach().exp()
    cells = p[..., :-1].view(2, 3, CELLS, CELLS)
    assert cells[~valid].max() < 1e-9
    assert cells[valid].min() > 1e-9
    assert p[0, 2, -1] > 0.999999
    np.testing.assert_allclose(p.sum(dim=2).numpy(), 1.0, atol=1e-5)


def test_evidence_outside_the_picture_does_not_matter(network):
    tokens, shown, evidence, valid, size = head_inputs()
    valid[:, :, 10:] = False
    before = network.search(tokens, shown, evidence, valid, size)
    evidence[:, :, 12:] = 0.97
    after = network.search(tokens, shown, evidence, valid, size)
    inner = valid.clone()
    inner[:, :, 9] = False                       # the judge looks at neighbours
    keep = torch.cat([inner.flatten(2), torch.ones(2, 3, 1, dtype=torch.bool)], dim=2)
    change = (after - before)[keep].view(2, 3, -1)
    spread = change.amax(dim=2) - change.amin(dim=2)            # all but the normalisation
    assert spread.max() < 1e-4


@pytest.mark.parametrize('token, rows, columns', [
    (0, (0, 8), (0, 8)), (1, (0, 8), (8, 16)), (2, (8, 16), (0, 8)), (3, (8, 16), (8, 16))])
@pytest.mark.parametrize('level', [0, 1, 2])
def test_tokens_speak_for_the_cells_under_their_patch(network, level, token, rows, columns):
    """A changed token changes its block of cells (and what borders it), relative to the rest."""
    tokens, shown, evidence, valid, size = head_inputs(1)
    before = network.search(tokens, shown, evidence, valid, size)
    tokens[0, 4 * level + token] += 3.0
    change = (network.search(tokens, shown, evidence, valid, size) - before)[0].detach().numpy()
    for other in set(range(3)) - {level}:
        np.testing.assert_allclose(change[other], 0, atol=1e-5)
    cells = change[level, :-1].reshape(CELLS, CELLS) - change[level, -1]
    changed = np.abs(cells) > 1e-4
    assert changed[rows[0]:rows[1], columns[0]:columns[1]].mean() > 0.9
    changed[max(0, rows[0] - 1):rows[1] + 1, max(0, columns[0] - 1):columns[1] + 1] = False
    assert not changed.any()


def test_patches_finer_than_cells_are_pooled():
    torch.manual_seed(0)
    pattern = FoveationPattern((20.0, 60.0), (64, 32), (4, 8))
    head = SearchHead(16, PyramidFrontEnd(pattern))
    batch = torch.randn(2, pattern.tokens, 16), torch.randn(2, 4, 16)
    log_p = head(*batch, torch.rand(2, 2, CELLS, CELLS), torch.ones(2, 2, CELLS, CELLS) > 0,
                 torch.zeros(2, 2))
    assert log_p.shape == (2, 2, CELLS * CELLS + 1)
    assert log_p.isfinite().all()


# --- eyes and exemplars


def test_percept_has_a_probability_for_every_cell_and_for_absence(network):
    perception = Perception(network, eyes=2)
    perception.look_for({0: exemplar(), 1: exemplar(1)})
    percept = perception(views(2), everything_visible(2), np.arange(2))
    assert percept.tokens.shape == (2, 12, 16)
    assert percept.heat.shape == (2, 3, CELLS, CELLS)
    assert percept.absent.shape == (2, 3)
    np.testing.assert_allclose(percept.heat.sum(axis=(2, 3)) + percept.absent, 1, atol=1e-5)
    assert percept.heat.dtype == percept.tokens.dtype == np.float32


def test_eyes_with_nothing_to_look_for_see_it_nowhere(network):
    perception = Perception(network, eyes=2)
    perception.look_for({1: exemplar()})
    percept = perception(views(2), everything_visible(2), np.arange(2))
    assert (percept.heat[0] == 0).all()
    assert (percept.absent[0] == 1).all()
    assert percept.heat[1].max() > 0
    perception.look_for({1: None})
    percept = perception(views(2), everything_visible(2), np.arange(2))
    assert (percept.heat == 0).all()
    assert np.isfinite(percept.tokens).all()


def test_eyes_look_for_their_own_exemplar_in_any_order(network):
    """Also when only some of them look."""
    perception = Perception(network, eyes=3)
    wanted = {0: exemplar(0), 1: exemplar(1, 14.0), 2: exemplar(2, 7.0)}
    perception.look_for(wanted)
    levels = views(3)
    together = perception(levels, everything_visible(3), np.arange(3))
    assert np.abs(together.heat[0] - together.heat[1]).max() > 1e-4
    turned = perception([level[[2, 0]] for level in levels], everything_visible(2),
                        np.array([2, 0]))
    np.testing.assert_allclose(turned.heat, together.heat[[2, 0]], atol=1e-6)
    for eye in range(3):
        alone = Perception(network)
        alone.look_for({0: wanted[eye]})
        percept = alone([level[eye:eye + 1] for level in levels], everything_visible(1),
                        np.zeros(1, int))
        np.testing.assert_allclose(percept.heat[0], together.heat[eye], atol=1e-6)
        np.testing.assert_allclose(percept.tokens[0], together.tokens[eye], atol=1e-5)


def test_another_exemplar_takes_the_place_of_the_first(network):
    perception, fresh = Perception(network), Perception(network)
    perception.look_for({0: exemplar(0)})
    perception.look_for({0: exemplar(1)})
    fresh.look_for({0: exemplar(1)})
    args = views(1), everything_visible(1), np.zeros(1, int)
    np.testing.assert_array_equal(perception(*args).heat, fresh(*args).heat)


def test_evidence_can_be_spread_over_any_map(network):
    plain, shuffled = Perception(network, 3), Perception(
        network, 3, lambda function, rows: [function(row) for row in rows])
    for perception in (plain, shuffled):
        perception.look_for({eye: exemplar(eye) for eye in range(3)})
    levels = views(3)
    first = plain.evidence(levels, np.arange(3))
    assert first.shape == (3, 3, CELLS, CELLS)
    np.testing.assert_array_equal(shuffled.evidence(levels, np.arange(3)), first)


# --- geometry


def test_size_in_cells_is_how_many_cells_an_exemplar_is_wide():
    """20 degrees are exactly the first level's width: all its 16 cells."""
    size = np.exp(size_in_cells(math.radians(20), PATTERN))
    assert size[0] == pytest.approx(CELLS, rel=1e-5)
    assert size[2] == pytest.approx(CELLS * math.tan(math.radians(10)), rel=1e-5)


def test_cells_are_valid_if_half_of_them_is_in_the_picture():
    mask = np.zeros((32, 32), bool)
    mask[:, 8:] = True
    mask[1, 30:] = False                          # half of a cell gone
    mask[2:4, 29:] = False                        # one gone, half of its neighbour
    cells = valid_cells([mask, np.ones((16, 16), bool)])
    assert cells.shape == (2, CELLS, CELLS)
    expected = np.ones((CELLS, CELLS), bool)
    expected[:, :4] = False
    expected[1, 15] = False
    np.testing.assert_array_equal(cells[0], expected)
    assert cells[1].all()


def test_a_wide_camera_leaves_the_rows_above_it_invalid():
    view = Foveator(PATTERN, CameraModel.from_hfov(640, 480, math.pi / 2))(
        np.zeros((480, 640, 3), np.uint8))
    cells = valid_cells(view.valid)
    assert cells[0].all()
    np.testing.assert_array_equal(cells[2].all(axis=1), [False] * 2 + [True] * 12 + [False] * 2)
