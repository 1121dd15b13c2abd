"""Pretrained backbones: equal to transformers' own models where those can be run, and strict."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
import torch

transformers = pytest.importorskip('transformers', reason="pip install -e '.[backbones]'")

from gaze_robot.backbones.adapt import MEAN, patch_embedding, STD  # noqa: E402
from gaze_robot.backbones.backbone import Backbone, BackboneConfig, load_backbone  # noqa: E402
from gaze_robot.backbones.loading import read_model  # noqa: E402
from gaze_robot.encoder import EncoderConfig, patchify, TokenLayout  # noqa: E402
from gaze_robot.errors import CheckpointError, ConfigError  # noqa: E402
from gaze_robot.foveation import FoveationPattern, FRONT_ENDS  # noqa: E402
from gaze_robot.gaze_target.evidence import CELLS, EXEMPLAR_PX  # noqa: E402
from gaze_robot.perception import PerceptionNetwork  # noqa: E402

KINDS = {'dinov2': ('Dinov2', 14), 'dinov2_with_registers': ('Dinov2WithRegisters', 14),
         'dinov3_vit': ('DINOv3ViT', 16)}
GRID, WIDTH, DEPTH = 4, 32, 3


def make_model(kind: str, seed: int = 1, **changes: Any) -> Any:
    """A small model whose every weight is random, also those that start at 0 or 1."""
    family, patch = KINDS[kind]
    options = {'hidden_size': WIDTH, 'num_hidden_layers': DEPTH, 'num_attention_heads': 2,
               'patch_size': patch, 'image_size': patch * GRID}
    if kind == 'dinov3_vit':
        options.update(intermediate_size=64, num_register_tokens=3)
    config = getattr(transformers, family + 'Config')(**{**options, **changes})
    model = getattr(transformers, family + 'Model')(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            matrix = name.endswith('.weight') and parameter.ndim > 1
            scale = parameter[0].numel() ** -0.5 if matrix else 0.5
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return model


def uniform(kind: str, across: int) -> tuple[FoveationPattern, np.ndarray, torch.Tensor]:
    """A one-level pattern, its picture, and the same picture as transformers wants it."""
    patch = KINDS[kind][1]
    pattern = FoveationPattern((80.0,), (across * patch,), (patch,))
    picture = np.random.default_rng(3).integers(0, 256, (2, across * patch, across * patch, 3),
                                                dtype=np.uint8)
    pixels = torch.from_numpy(picture).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return pattern, picture, (pixels - mean) / std


def half_tangent(pattern: FoveationPattern) -> float:
    return pattern.half_tangent(pattern.levels - 1)


@pytest.mark.parametrize('across', [GRID, 7, 2, 3], ids=lambda across: f'{across}x{across}')
@pytest.mark.parametrize('kind', KINDS)
def test_uniform_picture_equals_the_plain_model(kind: str, across: int) -> None:
    """Also on grids finer and coarser than the pretrained one, where positions are resized."""
    model, (pattern, picture, pixels) = make_model(kind), uniform(kind, across)
    backbone = Backbone(model, BackboneConfig(patch=pattern.token_side), half_tangent(pattern))
    with torch.no_grad():
        plain = model(pixels, output_hidden_states=True)
        patches = patchify([torch.from_numpy(picture)], pattern.patch)
        layout = TokenLayout.of_pattern(pattern)
        features = backbone.features(patches, layout, layers=range(DEPTH + 1))
        alone = backbone(patches, layout)
    tokens = plain.last_hidden_state[:, -across ** 2:]
    torch.testing.assert_close(features.tokens, tokens, rtol=0, atol=1e-5)
    torch.testing.assert_close(alone, features.tokens, rtol=0, atol=0)
    torch.testing.assert_close(features.class_token, plain.last_hidden_state[:, 0],
                               rtol=0, atol=1e-5)
    assert len(plain.hidden_states) == len(features.layers)
    for own, theirs in zip(features.layers, plain.hidden_states):
        torch.testing.assert_close(own, theirs[:, -across ** 2:], rtol=0, atol=1e-5)
    assert tokens.std() > 0.1, 'a model whose tokens are all alike would prove nothing'


@pytest.mark.parametrize('kind', KINDS)
def test_every_token_knows_its_place(kind: str) -> None:
    """Mirroring the places, not the patches, changes what every token says."""
    pattern = FoveationPattern()
    backbone = Backbone(make_model(kind), BackboneConfig(), half_tangent(pattern))
    patches = torch.randn(1, pattern.tokens, pattern.token_side ** 2 * 3,
                          generator=torch.Generator().manual_seed(6))
    layout = TokenLayout.of_pattern(pattern)
    mirrored = TokenLayout(layout.position_rad * torch.tensor([-1.0, 1.0]), layout.log_scale)
    with torch.no_grad():
        change = backbone(patches, layout) - backbone(patches, mirrored)
    assert change.abs().amax(dim=-1).min() > 1e-3


@pytest.mark.parametrize('name', sorted(FRONT_ENDS))
def test_reads_every_front_end(name: str) -> None:
    front_end = FRONT_ENDS[name]()
    backbone = Backbone(make_model('dinov3_vit'), BackboneConfig(patch=front_end.token_side),
                        half_tangent(front_end.pattern))
    levels = [np.random.default_rng(level).integers(0, 256, (2, window, window, 3), np.uint8)
              for level, window in enumerate(front_end.pattern.window)]
    patches = torch.from_numpy(front_end.patches(levels)).flatten(2) / 127.5 - 1
    with torch.no_grad():
        tokens = backbone(patches, TokenLayout.of(front_end))
    assert tokens.shape == (2, front_end.tokens, WIDTH)
    assert tokens.isfinite().all()


@pytest.mark.parametrize('kind', KINDS)
def test_exemplars_of_different_size_share_a_batch(kind: str) -> None:
    """A layout per picture gives each what it gets alone."""
    backbone = Backbone(make_model(kind), BackboneConfig(), 1.0)
    patches = torch.randn(2, 16, 16 ** 2 * 3, generator=torch.Generator().manual_seed(2))
    widths = torch.tensor([0.05, 0.6])
    with torch.no_grad():
        both = backbone(patches, TokenLayout.of_squares(widths, 64, 16))
        single = [backbone(patches[i:i + 1], TokenLayout.of_squares(widths[i:i + 1], 64, 16))
                  for i in range(2)]
    torch.testing.assert_close(both, torch.cat(single), rtol=0, atol=1e-5)


@pytest.mark.parametrize('side', [8, 14, 16, 32])
def test_grey_patches_embed_alike_at_every_side(side: int) -> None:
    """Resizing a flat patch gives a flat patch."""
    generator = torch.Generator().manual_seed(4)
    kernel, bias = (torch.randn(5, 3, 14, 14, generator=generator),
                    torch.randn(5, generator=generator))
    weight, offset = patch_embedding(kernel, bias, side)
    for grey in (0.0, 0.3, 1.0):
        pixel = (torch.full((3,), grey) - torch.tensor(MEAN)) / torch.tensor(STD)
        by_hand = kernel.sum(dim=(2, 3)) @ pixel + bias
        flat = torch.full((side ** 2 * 3,), grey * 2 - 1)
        torch.testing.assert_close(weight @ flat + offset, by_hand, rtol=1e-4, atol=1e-3)


def test_a_ramp_embeds_nearly_alike_at_14_and_16_samples() -> None:
    """What a patch shows counts, not how many samples show it: a ramp's middle and slope stay."""
    kernel = torch.zeros(1, 3, 14, 14)
    steps = (torch.arange(14) + 0.5) / 14
    kernel[0, 0] = steps[None, :] - 0.5                              # measures the slope in x
    bias = torch.zeros(1)
    answers = []
    for side in (14, 16):
        weight, offset = patch_embedding(kernel, bias, side)
        ramp = ((torch.arange(side) + 0.5) / side).expand(side, side)
        patch = torch.stack([ramp] * 3, dim=-1) * 2 - 1
        answers.append(float(weight @ patch.reshape(-1) + offset))
    assert answers[0] == pytest.approx(answers[1], rel=0.02)
    assert abs(answers[0]) > 1.0


def test_takes_the_place_of_the_small_encoder() -> None:
    """Perception reads views and exemplars through it; the heads see its tokens."""
    pattern = FoveationPattern()
    network = PerceptionNetwork(pattern, EncoderConfig(width=WIDTH, heads=2)).eval()
    network.encoder = Backbone(make_model('dinov2_with_registers'), BackboneConfig(),
                               half_tangent(pattern))
    assert network.encoder.config.width == WIDTH
    rng = np.random.default_rng(9)
    levels = [rng.integers(0, 256, (1, window, window, 3), np.uint8)
              for window in pattern.window]
    picture = torch.from_numpy(rng.integers(0, 256, (1, EXEMPLAR_PX, EXEMPLAR_PX, 3), np.uint8))
    cells = (1, pattern.levels, CELLS, CELLS)
    with torch.no_grad():
        exemplar = network.encode_exemplar(picture, torch.tensor([0.2]))
        tokens = network.encode([torch.from_numpy(level) for level in levels])
        heat = network.search(tokens, exemplar, torch.zeros(cells), torch.ones(cells).bool(),
                              torch.zeros(1, pattern.levels))
    assert tokens.shape == (1, pattern.tokens, WIDTH)
    assert heat.exp().sum(dim=-1).numpy() == pytest.approx(1, abs=1e-4)


def test_layers_are_given_side_by_side() -> None:
    model, (pattern, picture, pixels) = make_model('dinov2'), uniform('dinov2', GRID)
    config = BackboneConfig(patch=14, layers=(1, -1))
    backbone = Backbone(model, config, half_tangent(pattern))
    assert backbone.config.width == 2 * WIDTH
    with torch.no_grad():
        plain = model(pixels, output_hidden_states=True)
        tokens = backbone(patchify([torch.from_numpy(picture)], pattern.patch),
                          TokenLayout.of_pattern(pattern))
        first = model.layernorm(plain.hidden_states[1][:, 1:])
    torch.testing.assert_close(tokens[..., :WIDTH], first, rtol=0, atol=1e-5)
    torch.testing.assert_close(tokens[..., WIDTH:], plain.last_hidden_state[:, 1:], rtol=0,
                               atol=1e-5)
    for wrong in ((DEPTH + 1,), (-DEPTH - 2,), ()):
        with pytest.raises(ConfigError, match='layer'):
            Backbone(model, BackboneConfig(layers=wrong), 1.0)


def test_frozen_unless_asked_otherwise() -> None:
    frozen = Backbone(make_model('dinov2'), BackboneConfig(), 1.0).train()
    assert not frozen.training
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    free = Backbone(make_model('dinov2'), BackboneConfig(frozen=False), 1.0).train()
    assert free.training
    layout = TokenLayout.of_pattern(FoveationPattern())
    patches = torch.randn(1, len(layout.log_scale), 768,
                          generator=torch.Generator().manual_seed(5))
    free(patches, layout).square().sum().backward()
    still = [name for name, parameter in free.named_parameters()
             if parameter.grad is None or not parameter.grad.abs().sum() > 0]
    assert still == []


@pytest.mark.parametrize('kind', KINDS)
def test_a_saved_model_is_read_back(kind: str, tmp_path: Path) -> None:
    model = make_model(kind)
    model.save_pretrained(tmp_path)
    again = read_model(tmp_path, kind, WIDTH)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, rtol=0, atol=0)


def altered(folder: Path, change: str) -> None:
    """Write a model into a folder and then do something to it."""
    make_model('dinov2').save_pretrained(folder)
    path = folder / 'model.safetensors'
    tensors = load_file(path)
    if change == 'truncated':
        path.write_bytes(path.read_bytes()[:-100])
        return
    if change == 'keys':
        del tensors['layernorm.weight'], tensors['encoder.layer.1.norm1.bias']
        tensors['extra.one'] = tensors['extra.two'] = torch.zeros(2)
    if change == 'shape':
        tensors['embeddings.cls_token'] = torch.zeros(1, 1, WIDTH + 1)
    if change == 'nan':
        tensors['layernorm.bias'][3] = float('nan')
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, path)


@pytest.mark.parametrize('change, named', [
    ('truncated', ['damaged or partial']),
    ('keys', ['missing layernorm.weight', 'missing encoder.layer.1.norm1.bias',
              'unknown extra.one', 'unknown extra.two']),
    ('shape', ['embeddings.cls_token', '(1, 1, 33)', '(1, 1, 32)']),
    ('nan', ['layernorm.bias', 'not finite'])])
def test_what_does_not_fit_is_named(change: str, named: list[str], tmp_path: Path) -> None:
    altered(tmp_path, change)
    with pytest.raises(CheckpointError) as error:
        read_model(tmp_path, 'dinov2')
    assert [text for text in named if text not in str(error.value)] == []


def test_files_of_another_model_are_refused(tmp_path: Path) -> None:
    make_model('dinov3_vit').save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match='type dinov3_vit, a dinov2 is wanted'):
        read_model(tmp_path, 'dinov2')
    with pytest.raises(CheckpointError, match='32 wide, one of 384 is wanted'):
        read_model(tmp_path, 'dinov3_vit', 384)
    (tmp_path / 'config.json').write_text('{')
    with pytest.raises(CheckpointError, match='not JSON'):
        read_model(tmp_path, 'dinov3_vit')
    (tmp_path / 'config.json').unlink()
    with pytest.raises(CheckpointError, match='no config.json'):
        read_model(tmp_path, 'dinov3_vit')


def configure(folder: Path, kind: str, **values: Any) -> None:
    """Save a model, then change its config.json."""
    make_model(kind).save_pretrained(folder)
    path = folder / 'config.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_what_a_config_says_of_loading_is_not_read(tmp_path: Path) -> None:
    """Some such keys would fetch code and run it."""
    configure(tmp_path, 'dinov2', _attn_implementation='somebody/attention',
              attn_implementation='somebody/attention', use_kernels=True, trust_remote_code=True,
              _attn_implementation_internal='somebody/attention', auto_map={'AutoModel': 'x.Y'})
    config = read_model(tmp_path, 'dinov2', WIDTH).config
    assert config._attn_implementation == 'sdpa'
    assert not any(hasattr(config, name) for name in ('auto_map', 'use_kernels',
                                                      'trust_remote_code'))


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('values', [
    {'num_attention_heads': 5}, {'num_attention_heads': 0}, {'num_hidden_layers': 'three'},
    {'patch_size': 0}, {'hidden_act': 'smell'}, {'hidden_size': -32}, {'image_size': 'large'},
    {'quantization_config': {'quant_method': 'bitsandbytes'}}], ids=str)
def test_impossible_configs_are_refused(kind: str, values: dict[str, Any], tmp_path: Path) -> None:
    configure(tmp_path, kind, **values)
    with pytest.raises(CheckpointError, match=r'config\.json'):
        read_model(tmp_path, kind)


def test_weights_of_another_architecture_behind_the_right_config(tmp_path: Path) -> None:
    """DINOv3's tensors beside DINOv2's config.json."""
    make_model('dinov2').save_pretrained(tmp_path)
    other = tmp_path / 'other'
    make_model('dinov3_vit').save_pretrained(other)
    (other / 'model.safetensors').replace(tmp_path / 'model.safetensors')
    with pytest.raises(CheckpointError, match='missing embeddings.position_embeddings'):
        read_model(tmp_path, 'dinov2')


def test_the_name_must_be_that_of_a_backbone() -> None:
    with pytest.raises(ConfigError, match='no weights "dinov9".*dinov2-small'):
        load_backbone(BackboneConfig('dinov9'), 1.0)
