"""Explanations: known answers, debug pictures on demand, the command, and what removal shows."""

import json
import math

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='explanations need torch')

from gaze_robot.checkpoint import load_policy, make_policy, save_policy  # noqa: E402
from gaze_robot.cli import main  # noqa: E402
from gaze_robot.config import GazeConfig  # noqa: E402
from gaze_robot.encoder import EncoderConfig, FoveatedViT, TokenLayout, Watch  # noqa: E402
from gaze_robot.errors import ConfigError  # noqa: E402
from gaze_robot.explain import best_place, chosen_action, explain, METHODS, watching  # noqa: E402
from gaze_robot.explain.attention import attention_received, relevance, rollout  # noqa: E402
from gaze_robot.foveation import FoveationPattern, PyramidFrontEnd  # noqa: E402
from gaze_robot.nodes._eye import Eye, Picture  # noqa: E402
from gaze_robot.pipeline import GazePipeline  # noqa: E402
from gaze_robot.runtime.base import sample_inputs  # noqa: E402
from gaze_robot.types import PanTiltState  # noqa: E402

PATTERN = FoveationPattern((20.0, 45.0, 90.0), (16, 16, 32), (8, 8, 16))
TINY = EncoderConfig(width=16, depth=3, heads=2, registers=2, patch=8)
TOKENS = 12


@pytest.fixture(autouse=True)
def one_thread():
    """Work this small: more threads wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope='module')
def tiny():
    torch.manual_seed(0)
    return make_policy(PATTERN, TINY)


def encoded(seed=0):
    torch.manual_seed(seed)
    encoder = FoveatedViT(TINY).eval()
    patches = torch.randn(3, TOKENS, 8 * 8 * 3)
    return encoder, patches, TokenLayout.of(PyramidFrontEnd(PATTERN))


# --- attention, recorded


def test_watching_changes_nothing_and_ends():
    encoder, patches, layout = encoded()
    plain = encoder(patches, layout)
    with watching(encoder) as watch:
        torch.testing.assert_close(encoder(patches, layout), plain, atol=1e-5, rtol=0)
    assert [a.shape for a in watch.attention] == [(3, 2, 14, 14)] * 3
    for attention in watch.attention:
        torch.testing.assert_close(attention.sum(dim=-1), torch.ones(3, 2, 14))
    assert encoder.watch is None
    encoder(patches, layout)
    assert len(watch.attention) == 3


def test_an_encoder_that_shows_no_attention_is_refused():
    with pytest.raises(ConfigError, match='does not show its attention'), \
            watching(torch.nn.Identity()):
        pass


# --- known answers


def test_rollout_and_attention_that_are_uniform_are_uniform():
    uniform = torch.full((2, 3, 6, 6), 1 / 6)
    watch = Watch([uniform] * 4, [None] * 4, torch.zeros(2, 5, 8))          # one register
    for found in (rollout(watch), attention_received(watch)):
        torch.testing.assert_close(found, torch.full((2, 5), 0.2))


def test_rollout_of_one_block_by_hand():
    """Half identity, half attention, mean over the two tokens."""
    attention = torch.tensor([[[[0.75, 0.25], [0.5, 0.5]]]])
    watch = Watch([attention], [None], torch.zeros(1, 2, 1))
    torch.testing.assert_close(rollout(watch), torch.tensor([[
        (0.5 + 0.375 + 0.25) / 2, (0.125 + 0.5 + 0.25) / 2]]))
    torch.testing.assert_close(attention_received(watch), torch.tensor([[0.625, 0.375]]))


def test_relevance_of_one_block_by_hand():
    """Tokens A v with v = (3, 1): (2.5, 2), and the output is twice the first.

    Its slope by A's first row is 2 v = (6, 2): gains (4.5, 0.5), and none in the second row; rows
    then sum to 1 in the mean as (1.8, 0.2). Only the first token is read.
    """
    attention = torch.tensor([[[[0.75, 0.25], [0.5, 0.5]]]], requires_grad=True)
    tokens = attention[:, 0] @ torch.tensor([[3.0], [1.0]])
    watch = Watch([attention], [None], tokens)
    expected = torch.tensor([[1 + 1.8, 0.2]]) / 3
    for unit in (1.0, 1e-4):                     # the unit of the output does not matter
        value = unit * 2 * tokens[:, 0, 0]
        torch.testing.assert_close(relevance(watch, value), expected)
        tokens = attention[:, 0] @ torch.tensor([[3.0], [1.0]])
        watch.tokens = tokens


def test_an_output_of_one_token_alone_points_at_it():
    encoder, patches, layout = encoded()
    for block in encoder.blocks:                 # nothing passes between tokens
        torch.nn.init.zeros_(block.out.weight)
        torch.nn.init.zeros_(block.out.bias)
    with watching(encoder) as watch:
        tokens = encoder(patches, layout)
    towards = (tokens[:, 5] - tokens.mean(dim=1)).detach()
    found = relevance(watch, (tokens[:, 5] * towards).sum(dim=1))
    torch.testing.assert_close(found, torch.nn.functional.one_hot(
        torch.full((3,), 5), TOKENS).float())


def test_an_output_of_one_token_that_only_attends_to_another_points_at_both():
    """Two tokens' worth of attention, made by hand in the last block: 3 attends to 8 alone."""
    attention = torch.eye(TOKENS).repeat(1, 1, 1, 1)
    attention[0, 0, 3] = torch.nn.functional.one_hot(torch.tensor(8), TOKENS)
    attention.requires_grad_()
    own = torch.randn(1, TOKENS, 4, generator=torch.Generator().manual_seed(1))
    tokens = own + attention[:, 0] @ own
    towards = (tokens[:, 3] - tokens.mean(dim=1)).detach()
    value = (tokens[:, 3] * towards).sum(dim=1)
    watch = Watch([attention], [None], tokens)
    found = relevance(watch, value)[0]
    assert float(found[[3, 8]].sum()) == pytest.approx(1)
    assert float(found[8]) > 0


# --- any output


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('keep', [1.0, 0.5])
def test_shares_are_shares(tiny, method, keep):
    tiny.perception.keep_tokens(keep)
    inputs = sample_inputs(tiny.perception, 3)
    with torch.inference_mode():                 # as inside a pipeline's step
        shares = explain(tiny.perception, inputs, best_place(), method)
    tiny.perception.keep_tokens(1.0)
    assert shares.shape == (3, TOKENS)
    assert shares.min() >= 0
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert np.ptp(shares) > 1e-4


def test_frozen_weights_are_explained_alike(tiny):
    inputs = sample_inputs(tiny.perception, 2)
    expected = explain(tiny.perception, inputs, best_place())
    for parameter in tiny.perception.parameters():
        parameter.requires_grad_(False)
    try:
        np.testing.assert_allclose(explain(tiny.perception, inputs, best_place()), expected,
                                   atol=1e-6)
    finally:
        for parameter in tiny.perception.parameters():
            parameter.requires_grad_(True)


def test_the_best_place_in_log_odds():
    log_p = torch.randn(4, 3, 257, generator=torch.Generator().manual_seed(0)).log_softmax(dim=2)
    best = log_p[..., :-1].exp().flatten(1).amax(dim=1).double()
    torch.testing.assert_close(best_place()({'search': log_p}).double(),
                               torch.log(best / (1 - best)), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(best_place('people')({'people': log_p[..., :-1].exp()}).double(),
                               torch.log(best / (1 - best)), atol=1e-4, rtol=1e-4)


def test_the_policys_choice_is_explained(tiny):
    inputs = sample_inputs(tiny.perception, 2)
    vector = torch.randn(2, tiny.eye.trunk.situation.in_features,
                         generator=torch.Generator().manual_seed(0))
    shares = explain(tiny.perception, inputs, chosen_action(tiny.eye, vector))
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert np.abs(shares - explain(tiny.perception, inputs, best_place())).max() > 1e-3


def test_what_cannot_be_explained_is_refused(tiny):
    inputs = sample_inputs(tiny.perception, 1)
    with pytest.raises(ConfigError, match='no head "smell"'):
        explain(tiny.perception, inputs, best_place('smell'))
    with pytest.raises(ConfigError, match='relevance, rollout, attention'):
        explain(tiny.perception, inputs, best_place(), 'intuition')
    with pytest.raises(ConfigError, match='does not depend on the tokens'):
        explain(tiny.perception, inputs, lambda out: torch.ones(1, requires_grad=True))
    with pytest.raises(ConfigError, match='does not depend on the tokens'):
        explain(tiny.perception, inputs, lambda out: torch.ones(1))


# --- the debug picture


def glance(eye, image, draw):
    return eye.look(Picture(1.0, PanTiltState(0.0, 0.0), lambda: image, 'damaged', None, 'header',
                            draw))


@pytest.mark.parametrize('method', ['relevance', 'rollout'])
def test_debug_pictures_show_reasons_only_while_somebody_looks(method):
    torch.manual_seed(0)
    config = GazeConfig(debug_explain=method, model_runtime='torch')
    pipeline = GazePipeline(make_policy(FoveationPattern(), EncoderConfig()), config=config)
    eye = Eye(pipeline, config, lambda: 1.0)
    image = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    passes = []
    pipeline.policy.perception.encoder.register_forward_hook(
        lambda encoder, args, out: passes.append(encoder.watch is not None))
    glance(eye, image, draw=False)
    assert glance(eye, image, draw=True).debug.shape == (240, 320, 3)     # nothing is looked for
    eye.look_for_picture(image[80:140, 100:160].copy())
    assert glance(eye, image, draw=False).debug is None
    assert not any(passes)
    debug = glance(eye, image, draw=True).debug
    assert debug.shape == (240, 320 + 120, 3)
    assert passes.count(True) == 1
    top, below = debug[:120, 320:], debug[120:, 320:]
    assert top.std() > 5
    assert np.abs(top.astype(int) - below).mean() > 5


# --- the command


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp('pictures')
    image = cv2.resize(np.random.default_rng(1).integers(0, 256, (24, 32, 3), np.uint8),
                       (320, 240), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(folder / 'room.png'), image)
    cv2.imwrite(str(folder / 'thing.png'), image[100:140, 120:160])
    (folder / 'text.png').write_text('no picture')
    return folder


@pytest.mark.parametrize('more', [['--exemplar', 'thing.png'], ['--head', 'policy'],
                                  ['--exemplar', 'thing.png', '--method', 'rollout',
                                   '--fixation', '100', '90', '--keep', '0.5']])
def test_the_command_draws_and_tells(pictures, tmp_path, monkeypatch, capsys, more):
    monkeypatch.chdir(pictures)
    out = tmp_path / 'explain.png'
    assert main(['explain', 'room.png', *more, '--out', str(out),
                 '--json', str(tmp_path / 'e.json')]) == 0
    result = json.loads((tmp_path / 'e.json').read_text())
    assert math.isclose(sum(result['shares']), 1, abs_tol=1e-6)
    assert f'{100 * max(result["shares"]):.1f}%' in result['top_1']
    picture = cv2.imread(str(out))
    assert picture.shape[1] > 2 * picture.shape[0]
    assert 'top_1' in capsys.readouterr().out


def test_the_command_explains_people_where_the_weights_have_them(pictures, tmp_path, capsys):
    torch.manual_seed(0)
    policy = make_policy(PATTERN, TINY)
    arguments = ['explain', str(pictures / 'room.png'), '--head', 'people', '--policy',
                 str(tmp_path), '--out', str(tmp_path / 'people.png'), '--json',
                 str(tmp_path / 'e.json')]
    save_policy(tmp_path, policy)
    assert main(arguments) == 2
    assert 'no head "people"' in capsys.readouterr().err
    uneven = []
    for seed in range(4):                # in an untrained head, nothing may speak for a person
        torch.manual_seed(seed)
        policy.perception.add_people()
        save_policy(tmp_path, policy)
        assert main(arguments) == 0
        result = json.loads((tmp_path / 'e.json').read_text())
        assert math.isclose(sum(result['shares']), 1, abs_tol=1e-6)
        uneven.append(np.ptp(result['shares']) > 1e-4)
    assert any(uneven)
    assert cv2.imread(str(tmp_path / 'people.png')) is not None


@pytest.mark.parametrize('arguments, said', [
    ('missing.png --exemplar thing.png', 'there is no file missing.png'),
    ('text.png --exemplar thing.png', 'text.png is not a picture'),
    ('room.png --exemplar text.png', 'text.png is not a picture'),
    ('thing.png --exemplar room.png', 'larger than the picture'),
    ('room.png', 'Give its picture with --exemplar'),
    ('room.png --head smell', 'no head "smell"'),
    ('room.png --head policy --fixation 500 10', 'outside the picture'),
    ('room.png --head policy --method guess', '--method is one of'),
    ('room.png --head policy --hfov-deg 300', '--hfov-deg'),
    ('room.png --head policy --out explain.txt', '.png or .jpg'),
    ('room.png --head policy --out room.png/x.png', '--out room.png/x.png: cannot write there'),
    ('room.png --head salience', 'salience is computed from the picture'),
    ('room.png --exemplar thing.png --exemplar-width-deg nan', '--exemplar-width-deg'),
    ('room.png --exemplar thing.png --exemplar-width-deg -5', '--exemplar-width-deg'),
])
def test_bad_input_is_one_clear_line(pictures, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(pictures)
    assert main(['explain', *arguments.split()]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count('\n') == 1


# --- removing tokens


def areas(policy, inputs, score, orders, steps=8):
    """Mean change of a score while more and more tokens turn grey, in each order.

    Args:
        orders: name -> (B, N) tokens, first to go first.
    """
    network, tokens = policy.perception, policy.perception.front_end.tokens
    levels, *rest = inputs
    tensors = [torch.from_numpy(level) for level in levels], *map(torch.from_numpy, rest)
    grey, found = 128 / 127.5 - 1, {}
    for name, order in orders.items():
        curve = []
        for count in np.linspace(0, tokens, steps + 1).round().astype(int):
            gone = torch.zeros(order.shape, dtype=torch.bool).scatter(
                1, torch.from_numpy(order[:, :count].copy()), True)
            handle = network.encoder.register_forward_pre_hook(
                lambda _, args, gone=gone: (args[0].masked_fill(gone[..., None], grey), *args[1:]))
            with torch.no_grad():
                curve.append(score(network(*tensors)).numpy())
            handle.remove()
        found[name] = np.mean(np.stack(curve) - curve[0], axis=0)
    return found


@pytest.mark.slow
def test_tokens_with_large_relevance_are_missed_most():
    """Correlation with the exemplar stays as it was: only what the tokens say is removed."""
    from gaze_robot_sim.training.encoder import Glances
    policy = load_policy('')
    network = policy.perception
    stream = iter(Glances(network.pattern, seed=31, rooms=8, uses=8))
    batch = {name: np.stack([row[name] for row in rows]) for rows in [
        [next(stream) for _ in range(64)]] for name in rows[0]}
    with torch.no_grad():
        exemplar = network.encode_exemplar(torch.from_numpy(batch['exemplar']),
                                           torch.from_numpy(batch['width'])).numpy()
    inputs = ([batch[f'level{i}'] for i in range(network.pattern.levels)], exemplar,
              batch['evidence'], batch['valid'], batch['size'])
    with torch.no_grad():
        log_p = network(*[[torch.from_numpy(level) for level in inputs[0]]],
                        *map(torch.from_numpy, inputs[1:]))['search']
    best = log_p[..., :-1].flatten(1).argmax(dim=1)
    row, level, cell = torch.arange(64), best // 256, best % 256

    def score(out):
        """Log-odds of the cell that was best with every token."""
        chosen = out['search'][row, level]
        return chosen[row, cell] - chosen.scatter(1, cell[:, None], -torch.inf).logsumexp(dim=1)
    orders = {method: np.argsort(-explain(network, inputs, score, method), axis=1)
              for method in METHODS}
    every = np.tile(np.arange(network.front_end.tokens), (64, 1))
    chance = {f'random {seed}': np.random.default_rng(seed).permuted(every, axis=1)
              for seed in range(4)}
    found = areas(policy, inputs, score, orders | chance)
    found['random'] = np.mean([found.pop(name) for name in chance], axis=0)
    means = {name: float(value.mean()) for name, value in found.items()}
    print(means)
    assert means['relevance'] < means['attention']
    assert means['relevance'] < means['random']
    for other in ('attention', 'random'):                # and not by luck of a few views
        gain = found[other] - found['relevance']
        assert gain.mean() > 2 * gain.std() / math.sqrt(len(gain))
