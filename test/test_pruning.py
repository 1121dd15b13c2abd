"""The token budget: who stays, how many, and that nothing changes without one."""

import numpy as np
import pytest
import torch

from gaze_robot.encoder import EncoderConfig, FoveatedViT, Fusion, TokenBudget, TokenLayout, Watch
from gaze_robot.errors import ConfigError
from gaze_robot.foveation import FoveationPattern, PyramidFrontEnd
from gaze_robot.perception import PerceptionNetwork

PATTERN = FoveationPattern((20.0, 45.0, 90.0), (16, 16, 32), (8, 8, 16))
TINY = EncoderConfig(width=16, depth=3, heads=2, registers=2, patch=8)
TOKENS, FOVEA = 12, {0, 1, 2, 3}


def network(seed=0):
    torch.manual_seed(seed)
    return PerceptionNetwork(PATTERN, TINY).eval()


def views(batch, seed=0):
    rng = np.random.default_rng(seed)
    return [torch.from_numpy(rng.integers(0, 256, (batch, side, side, 3), dtype=np.uint8))
            for side in PATTERN.window]


def encoder(seed=0):
    torch.manual_seed(seed)
    return FoveatedViT(TINY).eval()


def layout():
    return TokenLayout.of(PyramidFrontEnd(PATTERN))


def test_keep_one_is_the_unpruned_model_bit_for_bit():
    net, levels = network(), views(3)
    with torch.inference_mode():
        plain = net.encode(levels)
        net.keep_tokens(1.0)
        assert torch.equal(net.encode(levels), plain)
        patches = torch.randn(2, TOKENS, 8 * 8 * 3, generator=torch.Generator().manual_seed(1))
        one = encoder()
        assert torch.equal(one(patches, layout(), TokenBudget(1.0)), one(patches, layout()))
        net.keep_tokens(0.5)
        assert not torch.equal(net.encode(levels), plain)


@pytest.mark.parametrize('keep, kept', [(0.9, 11), (0.75, 9), (0.5, 6), (0.1, 4)])
def test_the_later_blocks_see_as_many_as_the_budget_says_or_all_protected(keep, kept):
    """Registers and the token that stands for the fused ones come on top."""
    net = network()
    net.keep_tokens(keep)
    net.encoder.watch = watch = Watch()
    with torch.inference_mode():
        tokens = net.encode(views(2))
    assert tokens.shape == (2, TOKENS, TINY.width)
    assert [a.shape[-1] for a in watch.attention] == [TINY.registers + TOKENS] + 2 * [
        TINY.registers + kept + 1]


@pytest.mark.parametrize('seed', range(8))
def test_protected_tokens_stay_whatever_the_attention(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(5, 40))
    protect = tuple(rng.choice(count, int(rng.integers(0, count - 1)), replace=False).tolist())
    score = torch.from_numpy(rng.random((6, count)) ** 8).float()
    budget = TokenBudget(float(rng.uniform(0.1, 0.9)), protect=protect)
    fusion = Fusion.by_score(score, budget)
    size = max(1, len(protect), round(budget.keep * count))
    for row in range(6):
        kept, fused = set(fusion.kept[row].tolist()), set(fusion.fused[row].tolist())
        assert set(protect) <= kept
        assert len(kept) == size
        assert not kept & fused
        assert kept | fused == set(range(count))
        free = [float(score[row, token]) for token in kept - set(protect)]
        if free and fused:
            assert min(free) >= max(float(score[row, token]) for token in fused)


def test_the_fovea_and_heads_are_protected():
    net = network()
    net.keep_tokens(0.5, heads=[7, 11])
    assert set(net.budget.protect) == FOVEA | {7, 11}
    net.encoder.watch = watch = Watch()
    with torch.inference_mode():
        net.encode(views(16))
    for row in watch.fusion[-1].kept.tolist():
        assert FOVEA | {7, 11} == set(row)


def test_tokens_shuffled_give_results_shuffled():
    one, budget = encoder(), TokenBudget(0.5, protect=(0, 3))
    generator = torch.Generator().manual_seed(2)
    patches = torch.randn(4, TOKENS, 8 * 8 * 3, generator=generator)
    order = torch.randperm(TOKENS, generator=generator)
    place = layout()
    moved = TokenLayout(place.position_rad[order], place.log_scale[order])
    where = {int(token): index for index, token in enumerate(order)}
    with torch.inference_mode():
        straight = one(patches, place, budget)
        shuffled = one(patches[:, order], moved,
                       TokenBudget(0.5, protect=(where[0], where[3])))
    torch.testing.assert_close(shuffled, straight[:, order], atol=1e-5, rtol=1e-4)


def test_restoring_what_did_not_change_gives_the_same_back():
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(5, TOKENS, 6, generator=generator)
    fusion = Fusion.by_score(torch.rand(5, TOKENS, generator=generator), TokenBudget(0.4))
    torch.testing.assert_close(fusion.restore(x, fusion.fuse(x)), x, atol=1e-6, rtol=0)


def test_what_the_fused_token_gains_every_fused_one_gains():
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(1, 4, 2, generator=generator)
    fusion = Fusion.by_score(torch.tensor([[0.4, 0.1, 0.2, 0.3]]), TokenBudget(0.5))
    assert fusion.kept.tolist() == [[0, 3]]
    assert fusion.fused.tolist() == [[2, 1]]
    small = fusion.fuse(x)
    mean = (2 * x[0, 2] + x[0, 1]) / 3
    torch.testing.assert_close(small[0], torch.stack([x[0, 0], x[0, 3], mean]))
    after = small + torch.tensor([[[1.0, 0], [2, 0], [0, 5]]])
    expected = x + torch.tensor([[[1.0, 0], [0, 5], [0, 5], [2, 0]]])
    torch.testing.assert_close(fusion.restore(x, after), expected)


def test_spread_attention_mixes_all_tokens_as_the_fused_one_does():
    """Attention spread to all tokens, times all tokens, is attention times the fused ones."""
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(2, TOKENS, 3, generator=generator)
    fusion = Fusion.by_score(torch.rand(2, TOKENS, generator=generator), TokenBudget(0.5))
    attention = torch.rand(2, 7, 7, generator=generator).softmax(dim=-1)
    small = attention @ fusion.fuse(x)
    large = fusion.spread(attention) @ x
    for row in range(2):
        for index, token in enumerate(fusion.kept[row].tolist()):
            torch.testing.assert_close(large[row, token], small[row, index])
        for token in fusion.fused[row].tolist():
            torch.testing.assert_close(large[row, token], small[row, -1])


def test_an_exemplar_is_always_read_whole():
    net = network()
    image = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8,
                          generator=torch.Generator().manual_seed(6))
    with torch.inference_mode():
        plain = net.encode_exemplar(image, torch.tensor([0.2]))
        net.keep_tokens(0.3)
        assert torch.equal(net.encode_exemplar(image, torch.tensor([0.2])), plain)


@pytest.mark.parametrize('make', [
    lambda: TokenBudget(0.0), lambda: TokenBudget(1.2), lambda: TokenBudget(0.5, -1),
    lambda: TokenBudget(0.5, protect=(12,)).count(TOKENS)])
def test_a_budget_that_cannot_be_is_refused(make):
    with pytest.raises(ConfigError):
        make()


def test_an_encoder_that_cannot_do_with_fewer_says_so():
    net = network()
    net.encoder = torch.nn.Identity()
    with pytest.raises(ConfigError, match=r'model\.keep'):
        net.keep_tokens(0.5)
    net.keep_tokens(1.0)
