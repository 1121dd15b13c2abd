"""The encoder: positions in visual angle, one sequence over all levels, any camera."""

import math

import numpy as np
import pytest
import torch

from gaze_robot.camera import CameraModel
from gaze_robot.encoder import EncoderConfig, FoveatedViT, patchify, TokenLayout
from gaze_robot.encoder.positions import frequencies, rotate, rotation
from gaze_robot.errors import ConfigError
from gaze_robot.foveation import FoveationPattern, Foveator
from gaze_robot.perception import PerceptionNetwork

SMALL = FoveationPattern((20.0, 45.0, 90.0), (16, 16, 32), (8, 8, 16))
TINY = EncoderConfig(width=16, depth=2, heads=2, registers=2, patch=8)


def network(seed=0, pattern=SMALL, config=TINY):
    torch.manual_seed(seed)
    return PerceptionNetwork(pattern, config).eval()


def views(batch, pattern=SMALL, seed=0):
    rng = np.random.default_rng(seed)
    return [torch.from_numpy(rng.integers(0, 256, (batch, side, side, 3), dtype=np.uint8))
            for side in pattern.window]


# --- rotary positions


def test_wavelengths_span_two_degrees_to_a_full_turn():
    frequency = frequencies(32)
    assert frequency.shape == (8,)
    np.testing.assert_allclose(np.degrees(2 * math.pi / frequency[[0, -1]].numpy()), [2, 360],
                               rtol=1e-5)
    ratio = (frequency[1:] / frequency[:-1]).numpy()
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)


def test_rotation_is_multiplication_by_a_complex_phase():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 3, 5, 16, generator=generator, dtype=torch.float64)
    position = torch.rand(5, 2, generator=generator, dtype=torch.float64)
    frequency = frequencies(16).double()
    turned = rotate(x, *rotation(position, frequency)).numpy()
    pairs = x[..., :8].numpy() + 1j * x[..., 8:].numpy()
    for token in range(5):
        phase = np.concatenate([float(position[token, 0]) * frequency.numpy(),
                                float(position[token, 1]) * frequency.numpy()])
        expected = pairs[:, :, token] * np.exp(1j * phase)
        np.testing.assert_allclose(turned[:, :, token, :8], expected.real, atol=1e-12)
        np.testing.assert_allclose(turned[:, :, token, 8:], expected.imag, atol=1e-12)


def test_rotation_keeps_lengths_and_does_nothing_at_the_fixation():
    x = torch.randn(1, 2, 6, 32, generator=torch.Generator().manual_seed(0))
    position = torch.linspace(-0.8, 0.8, 12).view(6, 2)
    turned = rotate(x, *rotation(position, frequencies(32)))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    assert (turned - x).abs().max() > 0.1
    torch.testing.assert_close(rotate(x, *rotation(torch.zeros(6, 2), frequencies(32))), x)


@pytest.mark.parametrize('shift', [(0.3, 0.0), (0.0, -0.4), (-1.1, 0.7)], ids=str)
def test_attention_depends_on_where_tokens_are_from_each_other_only(shift):
    generator = torch.Generator().manual_seed(2)
    q, k = torch.randn(2, 1, 2, 7, 32, generator=generator, dtype=torch.float64)
    position = torch.rand(7, 2, generator=generator, dtype=torch.float64) - 0.5
    frequency = frequencies(32).double()

    def scores(q_at, k_at):
        return (rotate(q, *rotation(q_at, frequency))
                @ rotate(k, *rotation(k_at, frequency)).transpose(-1, -2))
    moved = position + torch.tensor(shift, dtype=torch.float64)
    torch.testing.assert_close(scores(moved, moved), scores(position, position))
    assert (scores(moved, position) - scores(position, position)).abs().max() > 0.1


# --- layout


def test_tokens_sit_where_the_camera_puts_their_patches():
    """Against the lens model: every level of a camera whose squares are whole pixels."""
    pattern = FoveationPattern()
    eye = Foveator(pattern, CameraModel.from_hfov(640, 480, math.pi / 2))
    rays = np.concatenate([level.reshape(-1, 3) for level in eye.cell_rays(4)])
    expected = np.stack([np.arctan2(rays[:, 0], rays[:, 2]), np.arctan2(rays[:, 1], rays[:, 2])],
                        axis=1)
    layout = TokenLayout.of_pattern(pattern)
    np.testing.assert_allclose(layout.position_rad.numpy(), expected, atol=1e-6)


def test_coarseness_is_that_of_the_samples_the_encoder_reads():
    """In pixels of a camera with a focal length of 320: 2, 4 and 10 per embedded sample."""
    fov = tuple(2 * math.degrees(math.atan(half)) for half in (0.2, 0.4, 1.0))
    layout = TokenLayout.of_pattern(FoveationPattern(fov, (64, 64, 128), (16, 16, 32)))
    degrees = np.exp(layout.log_scale.numpy()).reshape(3, 16)
    np.testing.assert_allclose(degrees, degrees[:, :1].repeat(16, axis=1))
    np.testing.assert_allclose(degrees[:, 0], np.degrees(np.array([2, 4, 10]) / 320), rtol=1e-5)


def test_exemplars_are_laid_out_over_the_angle_they_cover():
    layout = TokenLayout.of_squares(torch.tensor([0.1, 0.2]), 64, 16)
    assert layout.position_rad.shape == (2, 16, 2)
    np.testing.assert_allclose(layout.position_rad[0, 0].numpy(), [-0.0375, -0.0375], atol=1e-7)
    np.testing.assert_allclose(layout.position_rad[0, 1].numpy(), [-0.0125, -0.0375], atol=1e-7)
    torch.testing.assert_close(layout.position_rad[1], 2 * layout.position_rad[0])
    np.testing.assert_allclose(layout.log_scale[:, 0].exp().numpy(), np.degrees([0.1, 0.2]) / 64,
                               rtol=1e-5)


# --- patches


def test_patches_are_squares_of_the_picture_in_reading_order():
    level = views(2, FoveationPattern((20.0,), (12,), 4))
    patches = patchify(level, (4,))
    assert patches.shape == (2, 9, 48)
    for index, (row, column) in enumerate(np.ndindex(3, 3)):
        square = level[0][1, 4 * row:4 * row + 4, 4 * column:4 * column + 4].numpy()
        np.testing.assert_allclose(patches[1, index].numpy(), square.ravel() / 127.5 - 1,
                                   atol=1e-6)


def test_larger_patches_are_averaged_down_exactly():
    """In integers: samples are sums of 9 pixels over 9, whatever the order of adding."""
    levels = views(2, FoveationPattern((20.0, 60.0), (8, 24), (4, 12)))
    patches = patchify(levels, (4, 12))
    assert patches.shape == (2, 4 + 4, 48)
    wide = levels[1].numpy().astype(np.int64)
    for index, (row, column) in enumerate(np.ndindex(2, 2)):
        square = wide[1, 12 * row:12 * row + 12, 12 * column:12 * column + 12]
        sums = sum(square[i::3, j::3] for i in range(3) for j in range(3))
        np.testing.assert_allclose(patches[1, 4 + index].numpy(),
                                   sums.ravel() / 9 / 127.5 - 1, atol=1e-6)


def test_patches_span_minus_one_to_one():
    levels = [torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 4, 4, 3)]
    patches = patchify([level.contiguous() for level in levels], (4,))
    assert (patches[0] == -1).all()
    assert (patches[1] == 1).all()


# --- the transformer


@pytest.mark.parametrize('size', [(160, 120), (640, 480), (1280, 720), (3840, 2160)], ids=str)
def test_as_many_tokens_whatever_the_resolution(size):
    eye = Foveator(SMALL, CameraModel.from_hfov(*size, math.pi / 2))
    image = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    levels = [torch.from_numpy(level)[None] for level in eye(image).levels]
    with torch.inference_mode():
        tokens = network().encode(levels)
    assert tokens.shape == (1, 12, 16)
    assert tokens.isfinite().all()


@pytest.mark.parametrize('registers', [0, 1, 5])
def test_registers_are_never_in_the_output(registers):
    """Reordering patches with their places reorders the output, row by row, and nothing else."""
    config = EncoderConfig(width=16, depth=2, heads=2, registers=registers, patch=8)
    torch.manual_seed(0)
    encoder = FoveatedViT(config).eval()
    layout, patches = TokenLayout.of_pattern(SMALL), patchify(views(2), SMALL.patch)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        tokens = encoder(patches, layout)
        mixed = encoder(patches[:, order],
                        TokenLayout(layout.position_rad[order], layout.log_scale[order]))
    assert tokens.shape == (2, 12, 16)
    torch.testing.assert_close(mixed, tokens[:, order], atol=1e-5, rtol=1e-4)


def test_registers_take_part():
    """Otherwise the test above would hold for registers that do nothing."""
    encoder, layout = network().encoder, TokenLayout.of_pattern(SMALL)
    patches = patchify(views(1), SMALL.patch)
    with torch.inference_mode():
        before = encoder(patches, layout)
        encoder.registers[0, 0] += 3.0
        assert (encoder(patches, layout) - before).abs().max() > 1e-4


def test_pictures_of_a_batch_do_not_see_each_other():
    net, levels = network(), views(4)
    with torch.inference_mode():
        tokens = net.encode(levels)
        turned = net.encode([level.flip(0) for level in levels])
        alone = torch.cat([net.encode([level[i:i + 1] for level in levels]) for i in range(4)])
    torch.testing.assert_close(turned.flip(0), tokens, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(alone, tokens, atol=1e-5, rtol=1e-4)
    assert (tokens[0] - tokens[1]).abs().max() > 1e-2


def test_places_matter_to_tokens():
    net, patches = network(), patchify(views(1), SMALL.patch)
    layout = TokenLayout.of_pattern(SMALL)
    with torch.inference_mode():
        here = net.encoder(patches, layout)
        elsewhere = net.encoder(patches, TokenLayout(layout.position_rad.flip(0),
                                                     layout.log_scale))
        coarser = net.encoder(patches, TokenLayout(layout.position_rad, layout.log_scale + 1))
    assert (here - elsewhere).abs().max() > 1e-3
    assert (here - coarser).abs().max() > 1e-3


def test_tokens_of_an_exemplar_depend_on_its_angular_width():
    net = network()
    image = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8,
                          generator=torch.Generator().manual_seed(0)).repeat(3, 1, 1, 1)
    with torch.inference_mode():
        tokens = net.encode_exemplar(image, torch.tensor([0.1, 0.2, 0.1]))
    assert tokens.shape == (3, 64, 16)
    torch.testing.assert_close(tokens[0], tokens[2])
    assert (tokens[0] - tokens[1]).abs().max() > 1e-2


def test_everything_is_computed_where_the_weights_are():
    """On torch's device without memory, which refuses to mix with the processor's tensors."""
    net = network().to('meta')
    with torch.inference_mode():
        tokens = net.encode([level.to('meta') for level in views(2)])
        exemplar = net.encode_exemplar(torch.zeros(2, 64, 64, 3, dtype=torch.uint8, device='meta'),
                                       torch.tensor([0.1, 0.2], device='meta'))
        evidence = torch.zeros(2, 3, 16, 16, device='meta')
        log_p = net.search(tokens, exemplar, evidence, evidence > 0, evidence[:, :, 0, 0])
    assert tokens.device.type == exemplar.device.type == log_p.device.type == 'meta'


def test_gradients_reach_every_weight():
    net = network().train()
    levels = views(2)
    tokens = net.encode(levels)
    exemplar = net.encode_exemplar(torch.zeros(2, 64, 64, 3, dtype=torch.uint8) + 9,
                                   torch.tensor([0.1, 0.2]))
    valid = torch.ones(2, 3, 16, 16, dtype=torch.bool)
    log_p = net.search(tokens, exemplar, torch.rand(2, 3, 16, 16), valid, torch.zeros(2, 3))
    (log_p[..., -1].sum() + log_p[..., 5].sum()).backward()
    still = [name for name, weight in net.named_parameters()
             if weight.grad is None or not weight.grad.abs().sum() > 0]
    assert still == []


# --- what cannot be


def test_width_that_cannot_be_turned_in_pairs_is_refused():
    with pytest.raises(ConfigError, match='width 36 must be a multiple of 4 x heads = 16'):
        EncoderConfig(width=36, heads=4)


@pytest.mark.parametrize('pattern, config, reason', [
    (SMALL, EncoderConfig(16, 1, 2, 0, 16), 'reads patches of 16, the front end gives 8'),
    (FoveationPattern((20.0,), (48,), 24), EncoderConfig(16, 1, 2, 0, 24), 'divisor of 64'),
    (FoveationPattern((20.0,), (24,), 8), EncoderConfig(16, 1, 2, 0, 8), 'multiples of 16')],
    ids=['patch', 'exemplar', 'window'])
def test_patterns_and_encoders_that_do_not_fit_say_why(pattern, config, reason):
    with pytest.raises(ConfigError, match=reason):
        PerceptionNetwork(pattern, config)


@pytest.mark.parametrize('values', [{'heads': 0}, {'heads': -4}, {'width': -96}, {'width': 0},
                                    {'depth': 0}, {'patch': 0}, {'registers': -1}], ids=str)
def test_sizes_that_make_no_encoder_are_refused(values):
    with pytest.raises(ConfigError, match='are at least 1 and registers not negative'):
        EncoderConfig(**values)
