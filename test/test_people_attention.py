"""The network that reads its own attention: its sums by another route, its files, its manners."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gaze_robot.checkpoint import META, WEIGHTS
from gaze_robot.encoder import Block, EncoderConfig
from gaze_robot.errors import CheckpointError, ConfigError, ImageError
from gaze_robot.people.attention_net import _asking, AttentionReader, ReaderConfig
from gaze_robot.people.attention_read import (
    AttentionGaze,
    heatmaps,
    load_reader,
    prepared,
    save_reader,
)
from gaze_robot.people.records import Head

BOXES = [(0.1, 0.2, 0.2, 0.4), (0.5, 0.1, 0.62, 0.3), (0.8, 0.3, 0.95, 0.6)]
HEADS = [Head(box, id=number) for number, box in enumerate(BOXES)]


@pytest.fixture(scope='module')
def reader() -> AttentionReader:
    torch.manual_seed(0)
    return AttentionReader().eval()


@pytest.fixture(scope='module')
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (120, 200, 3), np.uint8)


def given(image: np.ndarray, boxes: list, side: int) -> list[torch.Tensor]:
    return [torch.from_numpy(part)[None] for part in prepared(image, boxes, side)]


def test_the_decoder_is_less_than_a_hundredth(reader):
    own = sum(value.numel() for value in reader.decoder.parameters())
    assert own < 0.01 * sum(value.numel() for value in reader.parameters())


def test_the_encoder_runs_once_for_any_number_of_heads(reader, image):
    runs = []
    hook = reader.encoder.embed.register_forward_hook(lambda *_: runs.append(1))
    gazes = AttentionGaze(reader)(image, HEADS * 4)
    hook.remove()
    assert len(runs) == 1
    assert gazes.heatmaps.shape == (12, 64, 64)
    assert gazes.in_frame.shape == (12,)
    assert 0 <= gazes.heatmaps.min() <= gazes.heatmaps.max() <= 1


def test_the_order_of_heads_does_not_matter(reader, image):
    order = [2, 0, 1]
    with torch.inference_mode():
        cells, inside, features, _ = reader(*given(image, BOXES, 160))
        other = reader(*given(image, [BOXES[i] for i in order], 160))
    for one, two in zip((cells, inside, features), other):
        torch.testing.assert_close(one[:, order], two, atol=1e-4, rtol=1e-4)


def test_rows_of_attention_are_of_heads_over_patches(reader, image):
    with torch.inference_mode():
        attention, heads, features, things, fits = reader.encoder(*given(image, BOXES, 160))
    assert attention.shape == (1, 3, 12, 100)
    assert things.shape == (1, 100, 2, 4)
    assert fits.shape == (1, 3, 100, 4)
    assert heads.shape == features.shape == (1, 3, 96)
    total = attention.sum(dim=-1)                    # registers and heads have the rest
    assert (attention >= 0).all()
    assert ((total > 0.2) & (total < 1)).all()


def test_cells_of_a_patch_come_in_the_order_of_the_map(reader):
    """Their places, drawn as the decoder draws answers, are where the map's cells are."""
    places = reader.encoder.cells.unflatten(0, (10, 10, 4)).permute(3, 2, 0, 1)
    drawn = torch.nn.functional.pixel_shuffle(places, 2)[:, 0]                 # (2, 20, 20)
    steps = (torch.arange(20) + 0.5) / 20
    torch.testing.assert_close(drawn[0], steps.expand(20, 20))
    torch.testing.assert_close(drawn[1], steps[:, None].expand(20, 20))


def test_a_block_for_the_last_tokens_equals_the_whole_block():
    torch.manual_seed(1)
    block, x = Block(32, 4), torch.randn(2, 9, 32)
    cos, sin = torch.ones(2, 1, 9, 4), torch.zeros(2, 1, 9, 4)
    angle = torch.randn(2, 1, 9, 4)
    cos, sin = angle.cos(), angle.sin()
    with torch.no_grad():
        whole, attention = block(x, cos, sin, True)
        last, rows = _asking(block, x, cos, sin, torch.zeros(2, 4, 3, 9))
    torch.testing.assert_close(last, whole[:, -3:], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(rows, attention[:, :, -3:], atol=1e-6, rtol=1e-5)


def test_heatmaps_peak_where_cells_do():
    cells = torch.full((1, 20, 20), -6.0)
    cells[0, 4, 15] = 5.0
    heat = heatmaps(cells)[0]
    row, column = divmod(int(heat.argmax()), 64)
    assert row / 64 == pytest.approx(4.5 / 20, abs=0.03)
    assert column / 64 == pytest.approx(15.5 / 20, abs=0.03)


def test_a_picture_is_squeezed_and_its_shape_told():
    wide = np.zeros((90, 160, 3), np.uint8)
    square, faces, boxes, aspect = prepared(wide, BOXES, 64)
    assert square.shape == (64, 64, 3)
    assert faces.shape == (3, 48, 48, 3)
    assert boxes.shape == (3, 4)
    assert aspect == pytest.approx(16 / 9)


def test_nobody_is_no_trouble_and_no_head_is_refused(reader, image):
    model = AttentionGaze(reader)
    assert model(image, []).heatmaps.shape[0] == 0
    with pytest.raises(ImageError, match='head'):
        model(image, [None])


def test_faces_are_told_with_the_gazes(reader, image):
    gazes, faces = AttentionGaze(reader).look(image, HEADS)
    assert len(faces) == len(gazes.heatmaps) == 3
    assert all(face.eyes for face in faces)


def test_files_bring_back_the_same_network(reader, image, tmp_path):
    save_reader(tmp_path / 'run' / 'policy', reader, {'seed': 3})
    again, meta = load_reader(tmp_path / 'run')
    assert meta['seed'] == 3
    for name, value in reader.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, atol=2e-3, rtol=2e-3)
    one, other = (AttentionGaze(net)(image, HEADS) for net in (reader, again))
    np.testing.assert_allclose(one.heatmaps, other.heatmaps, atol=0.02)


@pytest.mark.parametrize('way', ['nothing', 'weights', 'kind', 'text'])
def test_files_that_do_not_fit_are_refused(way, tmp_path: Path, reader):
    if way != 'nothing':
        save_reader(tmp_path, reader, {})
    meta = tmp_path / META
    if way == 'weights':
        data = bytearray((tmp_path / WEIGHTS).read_bytes())
        data[-1] ^= 255
        (tmp_path / WEIGHTS).write_bytes(data)
    elif way == 'kind':
        meta.write_text(json.dumps({**json.loads(meta.read_text()), 'kind': 'search'}))
    elif way == 'text':
        meta.write_text('{')
    with pytest.raises(CheckpointError, match={'nothing': 'train people', 'weights': 'damaged',
                                               'kind': 'no network', 'text': 'cannot be read'
                                               }[way]):
        load_reader(tmp_path)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match='multiple'):
        ReaderConfig(side=150)
    with pytest.raises(ConfigError, match='multiple'):
        ReaderConfig(encoder=EncoderConfig(width=80, heads=4, depth=2))
