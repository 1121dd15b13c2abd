"""Gaze-LLE: equal to upstream's own outputs, which tools/gazelle_reference.py made; strict."""

import importlib.util
import json
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from safetensors.torch import save_file
import torch

pytest.importorskip('transformers', reason="pip install -e '.[backbones]'")

from gaze_robot.backbones.backbone import Backbone, BackboneConfig
from gaze_robot.backbones.loading import read_model
from gaze_robot.errors import CheckpointError, ImageError
from gaze_robot.people.gazelle import (
    GazeDecoder,
    GRID,
    head_masks,
    sine_positions,
)
from gaze_robot.people.gazelle_model import GazeLLE, load_decoder
from gaze_robot.people.records import Head, people_of

PUBLISHED = (('pos_embed', 'embeddings.position_embeddings'),
             ('cls_token', 'embeddings.cls_token'), ('mask_token', 'embeddings.mask_token'),
             ('patch_embed.proj', 'embeddings.patch_embeddings.projection'),
             ('blocks.', 'encoder.layer.'), ('attn.proj', 'attention.output.dense'),
             ('ls1.gamma', 'layer_scale1.lambda1'), ('ls2.gamma', 'layer_scale2.lambda1'))
"""DINOv2's own names -> those of the files on the hub."""


@pytest.fixture(scope='module')
def reference(root: Path) -> ModuleType:
    """The script that made the golden file: its recipe of weights and inputs, not its upstream."""
    spec = importlib.util.spec_from_file_location(
        'gazelle_reference', root / 'test' / 'tools' / 'gazelle_reference.py')
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def golden(root: Path) -> Any:
    return np.load(root / 'test' / 'data' / 'gazelle_golden.npz')


def tensors_of(decoder: GazeDecoder, reference: ModuleType) -> dict[str, torch.Tensor]:
    """The recipe's weights for a decoder, with the positions that are no weights."""
    shapes = {name: tuple(value.shape) for name, value in decoder.state_dict().items()
              if name != 'pos_embed'}
    return {**{name: torch.from_numpy(value)
               for name, value in reference.recipe(shapes, 2).items()},
            'pos_embed': decoder.pos_embed.clone()}


def dinov2_shapes(depth: int, width: int = 768) -> dict[str, tuple[int, ...]]:
    """Of a ViT-B/14 as DINOv2's own code names them."""
    shapes: dict[str, tuple[int, ...]] = {
        'cls_token': (1, 1, width), 'pos_embed': (1, 1370, width), 'mask_token': (1, width),
        'patch_embed.proj.weight': (width, 3, 14, 14), 'patch_embed.proj.bias': (width,),
        'norm.weight': (width,), 'norm.bias': (width,)}
    for block in range(depth):
        for name, out, given in (('attn.qkv', 3 * width, width), ('attn.proj', width, width),
                                 ('mlp.fc1', 4 * width, width), ('mlp.fc2', width, 4 * width)):
            shapes[f'blocks.{block}.{name}.weight'] = out, given
            shapes[f'blocks.{block}.{name}.bias'] = out,
        for name in ('norm1.weight', 'norm1.bias', 'norm2.weight', 'norm2.bias', 'ls1.gamma',
                     'ls2.gamma'):
            shapes[f'blocks.{block}.{name}'] = width,
    return shapes


def write_as_on_the_hub(folder: Path, tensors: dict[str, np.ndarray], depth: int) -> None:
    """config.json and model.safetensors with the names that the published files have."""
    out = {}
    for own, array in tensors.items():
        name, tensor = own, torch.from_numpy(array)
        for theirs, ours in PUBLISHED:
            name = name.replace(theirs, ours)
        name = name.replace('norm.', 'layernorm.') if name.startswith('norm.') else name
        if 'attn.qkv' in name:
            for part, value in zip(('query', 'key', 'value'), tensor.chunk(3)):
                out[name.replace('attn.qkv', f'attention.attention.{part}')] = value.clone()
        else:
            out[name] = tensor
    save_file(out, folder / 'model.safetensors')
    (folder / 'config.json').write_text(json.dumps({
        'model_type': 'dinov2', 'hidden_size': 768, 'num_hidden_layers': depth,
        'num_attention_heads': 12, 'patch_size': 14, 'image_size': 518}))


@pytest.fixture(scope='module')
def model(reference: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> GazeLLE:
    """Random weights of the recipe: a ViT-B/14 of two blocks, and the whole decoder."""
    folder = tmp_path_factory.mktemp('dinov2')
    write_as_on_the_hub(folder, reference.recipe(dinov2_shapes(reference.DEPTH), 3),
                        reference.DEPTH)
    backbone = Backbone(read_model(folder, 'dinov2', 768), BackboneConfig(patch=14), 1.0)
    decoder = GazeDecoder(768, inout=True)
    torch.save(tensors_of(decoder, reference), folder / 'decoder.pt')
    return GazeLLE(backbone, load_decoder(folder / 'decoder.pt'), 'random')


@pytest.mark.parametrize('name', ['vitb14_inout', 'vitl14_inout', 'vitb14', 'vitl14'])
def test_decoder_equals_upstream(name: str, reference: ModuleType, golden: Any,
                                 tmp_path: Path) -> None:
    """Several people, nobody given, two pictures, with and without in/out, from a file."""
    width, inout = reference.DECODERS[name]
    torch.save(tensors_of(GazeDecoder(width, inout), reference), tmp_path / 'x.pt')
    decoder = load_decoder(tmp_path / 'x.pt')
    with torch.no_grad():
        heatmaps, inside = decoder(torch.from_numpy(reference.features(width, 1)),
                                   reference.BOXES)
    assert [len(part) for part in heatmaps] == [4, 1]
    thin = torch.cat(heatmaps)[:, reference.THIN, reference.THIN].numpy()
    np.testing.assert_allclose(thin, golden[f'{name}/heatmap'], rtol=0, atol=1e-5)
    assert thin.std() > 0.1, 'maps that are all alike would prove nothing'
    assert (inside is not None) == inout
    if inside is not None:
        np.testing.assert_allclose(torch.cat(inside).numpy(), golden[f'{name}/inout'], rtol=0,
                                   atol=1e-5)


def test_picture_to_heatmap_equals_upstream(model: GazeLLE, reference: ModuleType, golden: Any
                                            ) -> None:
    """Resizing, colours, DINOv2's patches and resized positions, and the decoder, in one."""
    heads = [box and Head(box) for box in reference.BOXES[0]]
    found = model(reference.picture(4), heads)
    thin = found.heatmaps[:, reference.THIN, reference.THIN]
    np.testing.assert_allclose(thin, golden['picture/heatmap'], rtol=0, atol=1e-5)
    assert found.in_frame is not None
    np.testing.assert_allclose(found.in_frame, golden['picture/inout'], rtol=0, atol=1e-5)


def crowd(count: int) -> list[Head | None]:
    return [Head((0.02 + 0.07 * i, 0.3, 0.09 + 0.07 * i, 0.45), id=i + 1) for i in range(count)]


def test_twelve_people_cost_one_pass_of_the_backbone(model: GazeLLE, reference: ModuleType
                                                     ) -> None:
    passes = []
    hook = model.backbone.register_forward_hook(lambda *_: passes.append(1))
    image = reference.picture(5)
    try:
        together = model(image, crowd(12))
        assert len(passes) == 1
        for i in (0, 5, 11):
            alone = model(image, crowd(12)[i:i + 1])
            np.testing.assert_allclose(together.heatmaps[i], alone.heatmaps[0], atol=1e-5)
    finally:
        hook.remove()
    rows = people_of(together, crowd(12), model.source)
    assert [row.id for row in rows] == list(range(1, 13))
    assert np.ptp(together.heatmaps, axis=0).max() > 0.01, 'the head that is asked about matters'


def test_nobody_at_all_is_no_answer(model: GazeLLE, reference: ModuleType) -> None:
    assert model(reference.picture(6), []).heatmaps.shape == (0, 64, 64)


def test_no_head_given_equals_a_head_without_extent(reference: ModuleType) -> None:
    decoder = GazeDecoder(768, inout=False).eval()
    features = torch.from_numpy(reference.features(768, 7))[:1]
    with torch.no_grad():
        (both,), inside = decoder(features, [[None, (0.4, 0.4, 0.4, 0.4)]])
    torch.testing.assert_close(both[0], both[1])
    assert inside is None


def test_masks_cover_whole_cells_and_halves_go_to_the_even_edge() -> None:
    cell = 1 / GRID
    masks = head_masks([(2 * cell, 3 * cell, 5 * cell, 7 * cell), None,
                        (0.5 * cell, 1.5 * cell, 2.5 * cell, 3.5 * cell), (-1, -1, 2, 2)])
    first = masks[0].view(GRID, GRID)
    assert first[3:7, 2:5].all()
    assert masks.sum(dim=1).tolist() == [12, 0, 2 * 2, GRID ** 2]
    assert masks[2].view(GRID, GRID)[2:4, 0:2].all()


@pytest.mark.parametrize('box', [(0.5, 0.1, 0.4, 0.2), (0.1, 0.1, math.nan, 0.2)])
def test_boxes_that_are_none_are_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(ImageError, match='x_min, y_min, x_max, y_max'):
        head_masks([box])


def test_features_of_another_backbone_are_refused() -> None:
    with pytest.raises(ImageError, match='768, 32, 32'):
        GazeDecoder(768, inout=False)(torch.zeros(1, 384, 32, 32), [[None]])


def test_positions_compare_by_distance_alone() -> None:
    """Inner products of sines and cosines depend on how far apart two cells are, in each axis."""
    position = sine_positions(256, 32, 32).double()
    across = torch.einsum('cx,cy->xy', position[:128, 4], position[:128, 9])
    down = torch.einsum('cx,cy->xy', position[128:, :, 4], position[128:, :, 9])
    for table in (across, down):
        for offset in (0, 3, 17):
            row = torch.diagonal(table, offset)
            torch.testing.assert_close(row, row[:1].expand(len(row)), rtol=0, atol=1e-4)
        assert table[0, 0] > table[0, 1] > table[0, 2]
    assert position[0, 0, 1] == pytest.approx(math.sin(1.0))
    assert position[129, 1, 0] == pytest.approx(math.cos(1.0))


def spoilt(tensors: dict[str, torch.Tensor], how: str) -> Any:
    if how == 'missing':
        del tensors['transformer.1.attn.proj.bias']
    elif how == 'unknown':
        tensors['backbone.model.norm.weight'] = torch.ones(768)
    elif how == 'shape':
        tensors['heatmap_head.1.weight'] = torch.ones(2, 256, 1, 1)
    elif how == 'nan':
        tensors['inout_head.3.bias'] = torch.tensor([math.nan])
    elif how == 'inside':
        return {'model': tensors}
    elif how == 'width':
        tensors['linear.weight'] = torch.ones(256, 384, 1, 1)
    elif how == 'code':
        return Path('not a tensor')
    return tensors


@pytest.mark.parametrize('how, says', [
    ('missing', 'missing transformer.1.attn.proj.bias'),
    ('unknown', 'unknown backbone.model.norm.weight'),
    ('shape', r'heatmap_head.1.weight has shape \(2, 256, 1, 1\), not \(1, 256, 1, 1\)'),
    ('nan', 'inout_head.3.bias is not finite'), ('inside', 'it holds model'),
    ('width', 'no linear.weight for a backbone 768 or 1024 wide'),
    ('code', 'cannot be read as a checkpoint')])
def test_wrong_checkpoints_are_refused_by_name(how: str, says: str, tmp_path: Path) -> None:
    """What is wrong is named; code in a file is never run."""
    tensors = {name: value.clone()
               for name, value in GazeDecoder(768, inout=True).state_dict().items()}
    torch.save(spoilt(tensors, how), tmp_path / 'x.pt')
    with pytest.raises(CheckpointError, match=says):
        load_decoder(tmp_path / 'x.pt')


def test_missing_and_damaged_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match='weights list'):
        load_decoder(tmp_path / 'none.pt')
    torch.save(GazeDecoder(768, inout=False).state_dict(), tmp_path / 'x.pt')
    (tmp_path / 'x.pt').write_bytes((tmp_path / 'x.pt').read_bytes()[:5000])
    with pytest.raises(CheckpointError, match='cannot be read'):
        load_decoder(tmp_path / 'x.pt')


def test_a_decoder_of_another_width_does_not_go_with_this_backbone(model: GazeLLE) -> None:
    with pytest.raises(CheckpointError, match='1024 wide'):
        GazeLLE(model.backbone, GazeDecoder(1024, inout=True), 'large')
