"""The benchmark of the encoder: it compares what is comparable, and its figures add up."""

import json
import math
import time

import numpy as np
import pytest
import torch

from gaze_robot import cli
from gaze_robot.checkpoint import load_policy, make_policy, save_policy
from gaze_robot.encoder import EncoderConfig
from gaze_robot.errors import ConfigError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.optional import available
from gaze_robot.perception import PerceptionNetwork
from gaze_robot.runtime.base import sample_inputs, TorchRuntime
from gaze_robot_sim import benchmark_encoder
from gaze_robot_sim.benchmark_encoder import BenchEncoderConfig, uniform_pattern, vit_s
from gaze_robot_sim.benchmark_search import paired_difference, search_beside_uniform, with_pattern

PATTERN = FoveationPattern((20.0, 45.0, 90.0), (16, 16, 32), (8, 8, 16))
ENCODER = EncoderConfig(width=16, depth=1, heads=2, registers=2, patch=8)


@pytest.fixture(scope='module')
def result(tmp_path_factory):
    """What the command writes, with a small model nobody trained."""
    folder = tmp_path_factory.mktemp('bench')
    torch.manual_seed(0)
    save_policy(folder / 'policy', make_policy(PATTERN, ENCODER))
    assert cli.main(['bench', 'encoder', '--policy', str(folder / 'policy'), '--quick',
                     '--rounds', '2', '--pictures', '5', '--json', str(folder / 'out.json')]) == 0
    return json.loads((folder / 'out.json').read_text())


@pytest.mark.parametrize('pattern', [PATTERN, FoveationPattern()], ids=['small', 'default'])
def test_the_uniform_view_is_as_sharp_and_as_wide(pattern):
    uniform = uniform_pattern(pattern)
    assert uniform.levels == 1
    assert uniform.fov_deg[0] == pytest.approx(pattern.fov_deg[-1])
    samples = [one.window[0] / math.tan(math.radians(one.fov_deg[0] / 2))
               for one in (pattern, uniform)]                      # per unit of tangent, half
    assert samples[1] == pytest.approx(samples[0], rel=0.1)        # rounded to whole tokens
    assert uniform.patch == (pattern.token_side,)


def test_the_default_and_the_shipped_eye_save_what_is_promised():
    """By counting: at least 94 % of the tokens, and products by a factor of 30."""
    network = load_policy('').perception
    for pattern, tokens in ((FoveationPattern(), FoveationPattern().tokens),
                            (network.pattern, network.front_end.tokens)):
        assert 1 - tokens / uniform_pattern(pattern).tokens >= 0.94
    size = network.encoder.config
    fine, foveated = (
        tokens * 3 * size.patch ** 2 * size.width + size.depth * (
            12 * size.width ** 2 + 2 * (tokens + size.registers) * size.width
        ) * (tokens + size.registers)
        for tokens in (uniform_pattern(network.pattern).tokens, network.front_end.tokens))
    assert fine / foveated >= 30


def test_keys_and_their_sums(result):
    assert {'token_reduction', 'speedup', 'perception_ms', 'runtimes', 'machine'} <= result.keys()
    tokens = result['tokens']
    assert tokens['foveated'] == 4 + 4 + 4
    assert result['token_reduction'] == pytest.approx(1 - 12 / tokens['uniform'])
    assert set(result['runtimes']) == {'torch', *(name for name in ('onnxruntime', 'openvino')
                                                  if available(name) and available('onnx'))}
    quickest = result['runtimes'][result['speedup_runtime']]
    assert quickest['foveated_ms'] == min(
        one['foveated_ms'] for one in result['runtimes'].values())
    assert result['speedup'] == pytest.approx(quickest['uniform_ms'] / quickest['foveated_ms'])
    assert result['vit_s'] is None
    stages = result['stages_ms']
    assert {'foveate', 'perceive', 'decide'} <= stages.keys()
    assert 0 < result['perception_ms']['p50'] <= result['perception_ms']['p95']
    assert result['perception_ms']['p50'] >= max(
        one['p50'] for name, one in stages.items() if not name.startswith('('))


def test_flops_are_those_of_the_layers(result):
    """Counted by hand for the foveated view: products of matrices only."""
    width, tokens, patch = 16, 12, 8
    rows = tokens + 2
    by_hand = 2 * (tokens * 3 * patch ** 2 * width + tokens * 3 * width
                   + rows * 12 * width ** 2 + 2 * rows ** 2 * width)
    assert result['flops']['foveated'] == pytest.approx(by_hand, rel=0.02)


def test_time_is_that_of_one_call():
    """Work of 2 ms and of 6 ms, told apart and measured."""
    found = benchmark_encoder._medians({
        ('a', 'short'): lambda: time.sleep(2e-3), ('a', 'long'): lambda: time.sleep(6e-3)}, 3)
    assert 2 <= found['a', 'short'] < 6 <= found['a', 'long'] < 20


def test_the_larger_view_of_vit_s_covers_all_crops_sharply():
    small = EncoderConfig(width=16, depth=1, heads=2, registers=2, patch=14)
    found = vit_s(2, 0, crops=3, crop_px=28, config=small)
    assert found['tokens'] == {'crops': 3 * 4, 'uniform': (28 * 4 // 14) ** 2}
    assert found['views'] == '3 crops of 28 against 112 x 112'
    assert found['speedup'] == pytest.approx(found['uniform_ms'] / found['crops_ms'])
    assert found['flops']['uniform'] > found['flops']['crops']


@pytest.mark.parametrize('values', [{'rounds': 0}, {'pictures': 0}, {'seed': -1}], ids=str)
def test_impossible_options_are_refused(values):
    with pytest.raises(ConfigError):
        BenchEncoderConfig(**values)


def test_the_same_weights_over_the_same_pattern_answer_the_same():
    torch.manual_seed(0)
    network = PerceptionNetwork(PATTERN, ENCODER).eval()
    inputs = sample_inputs(network, 2)
    ours, theirs = (TorchRuntime(one)(*inputs)
                    for one in (network, with_pattern(network, PATTERN)))
    for name, value in ours.items():
        np.testing.assert_array_equal(theirs[name], value)


def test_parts_of_tokens_are_compared_by_their_mean():
    """Where tokens are as fine as cells there is one part, by the mean of the weights of all."""
    torch.manual_seed(0)
    network = PerceptionNetwork(PATTERN, ENCODER).eval()
    fine = with_pattern(network, FoveationPattern((90.0,), (128,), (8,)))
    tokens = torch.randn(1, 5, ENCODER.width)
    parts = network.search.view(tokens).reshape(1, 5, network.search.subdivision ** 2, -1)
    np.testing.assert_allclose(fine.search.view(tokens).detach().numpy(),
                               parts.mean(dim=2).detach().numpy(), atol=1e-6)


@pytest.mark.slow
def test_searching_beside_a_uniform_view():
    torch.manual_seed(0)
    network = PerceptionNetwork(PATTERN, ENCODER).eval()
    found = search_beside_uniform(network, uniform_pattern(PATTERN), 2, 0)
    assert found['foveated']['n'] == found['uniform']['n'] == 2
    assert found['difference'] == pytest.approx(
        found['foveated']['success_rate'] - found['uniform']['success_rate'])


def test_the_interval_of_a_difference_covers_it_as_often_as_it_says():
    """Paired outcomes drawn from known shares: 95 % of the intervals hold the true difference."""
    rng = np.random.default_rng(0)
    shares = [0.9, 0.05, 0.03, 0.02]                     # both, one only, other only, neither
    hits = 0
    for _ in range(600):
        outcome = rng.choice(4, 200, p=shares)
        found = paired_difference(outcome <= 1, (outcome == 0) | (outcome == 2))
        assert found['difference_low'] < found['difference'] < found['difference_high']
        hits += found['difference_low'] <= 0.02 <= found['difference_high']
    assert 0.93 < hits / 600 < 0.985
    same = paired_difference(outcome == 0, outcome == 0)
    assert same['difference'] == 0
    assert same['difference_low'] == -same['difference_high'] < 0
