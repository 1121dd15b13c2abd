"""ONNX files with the interface of gazelle-dinov3: read, checked, asked."""

import io
from pathlib import Path
from typing import Any
import warnings

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip('onnx', reason="pip install -e '.[runtimes]'")
pytest.importorskip('onnxruntime', reason="pip install -e '.[runtimes]'")

from gaze_robot.camera import CameraModel
from gaze_robot.errors import CheckpointError
from gaze_robot.people.gazelle_onnx import load_onnx, OnnxGaze
from gaze_robot.people.records import gaze_target, Head, people_of
from gaze_robot.people.watch import make_model
from gaze_robot.types import PanTiltState

INPUTS, OUTPUTS = ['image_bgr', 'bboxes_x1y1x2y2'], ['heatmap', 'inout']


class Mirror(nn.Module):
    """Everybody looks at where their head would be in a mirror; blue pictures show the target."""

    side = 32

    def forward(self, image: torch.Tensor, boxes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        steps = (torch.arange(self.side) + 0.5) / self.side
        x = 1 - (boxes[0, :, 0] + boxes[0, :, 2]) / 2
        y = (boxes[0, :, 1] + boxes[0, :, 3]) / 2
        away = (steps - x[:, None, None]) ** 2 + (steps[:, None] - y[:, None, None]) ** 2
        blue = image[0, 0].mean() / 255
        return torch.exp(-20 * away), blue + 0 * x


class OnlyMap(Mirror):
    def forward(self, image: torch.Tensor, boxes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        heatmap, inout = super().forward(image, boxes)
        return (heatmap * inout[:, None, None],)


def export(module: nn.Module, inputs: list[str] = INPUTS, outputs: list[str] = OUTPUTS,
           image: tuple[int, ...] = (1, 3, 48, 64), boxes: tuple[int, ...] = (1, 2, 4),
           free: bool = True, kind: torch.dtype = torch.float32) -> bytes:
    file: Any = io.BytesIO()
    axes = {inputs[1]: {1: 'heads'}, **{name: {0: 'heads'} for name in outputs}} if free else {}
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.onnx.export(module, (torch.rand(image).to(kind), torch.rand(boxes)), file,
                          dynamo=False, opset_version=17, input_names=inputs,
                          output_names=outputs, dynamic_axes=axes)
    return file.getvalue()


@pytest.fixture(scope='module')
def mirror() -> bytes:
    return export(Mirror())


def heads(count: int) -> list[Head | None]:
    return [Head((0.05 * i, 0.6, 0.05 * i + 0.1, 0.8), id=i + 1) for i in range(count)]


@pytest.mark.parametrize('count', [1, 12])
def test_tells_where_each_looks(mirror: bytes, count: int) -> None:
    picture = np.zeros((90, 200, 3), np.uint8)
    picture[..., 2] = 204                                                # blue, in RGB
    model = OnnxGaze(mirror, 'mirror')
    people = people_of(model(picture, heads(count)), heads(count), model.source)
    assert len(people) == count
    for person, head in zip(people, heads(count)):
        assert head is not None
        assert person.gaze_point == pytest.approx((1 - head.centre[0], 0.7), abs=1 / 32)
        assert person.in_frame == pytest.approx(0.8, abs=1e-3)
        assert person.source == 'mirror'
        assert person.id == head.id
        assert person.head_box == head.box


def test_colours_are_blue_first(mirror: bytes) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[..., 0] = 255
    found = OnnxGaze(mirror, 'mirror')(picture, heads(1))
    assert found.in_frame == pytest.approx([0.0])


def test_nobody_and_nobody_in_particular(mirror: bytes) -> None:
    model, picture = OnnxGaze(mirror, 'mirror'), np.zeros((48, 64, 3), np.uint8)
    assert model(picture, []).heatmaps.shape[0] == 0
    assert model(picture, [None]).heatmaps.shape == (1, 32, 32)


def test_direction_follows_the_lens_and_the_head(mirror: bytes) -> None:
    """A target a quarter right of the middle: atan(tan(45) / 2) right of where the head points."""
    camera = CameraModel.from_hfov(64, 48, np.pi / 2)
    model = OnnxGaze(mirror, 'mirror')
    asked = [Head((0.15, 0.4, 0.35, 0.6))]
    person, = people_of(model(np.zeros((48, 64, 3), np.uint8), asked), asked, 'mirror')
    target = gaze_target(person, camera, PanTiltState(pan_rad=0.3, tilt_rad=0.0))
    pan = np.arctan2(target.direction[1], target.direction[0])
    assert pan == pytest.approx(0.3 - np.arctan(0.5), abs=0.04)
    assert target.source == 'people'
    assert not target.in_view, 'a picture without blue shows no target'


def test_files_without_inout_are_taken() -> None:
    model = OnnxGaze(export(OnlyMap(), outputs=['heatmap']), 'map')
    person, = people_of(model(np.zeros((48, 64, 3), np.uint8), heads(1)), heads(1), 'map')
    assert person.in_frame is None
    assert person.row()['in_frame'] is None


def test_a_file_for_one_number_of_heads_says_so() -> None:
    model = OnnxGaze(export(Mirror(), free=False), 'two')
    picture = np.zeros((48, 64, 3), np.uint8)
    assert model(picture, heads(2)).heatmaps.shape == (2, 32, 32)
    with pytest.raises(CheckpointError, match='made for 2 heads in a picture and this one has 3'):
        model(picture, heads(3))


@pytest.mark.parametrize('changes, says', [
    ({'inputs': ['images', 'bboxes_x1y1x2y2']}, 'no input image_bgr, its inputs are images'),
    ({'inputs': ['image_bgr', 'boxes']}, 'it asks for boxes'),
    ({'outputs': ['heat', 'inout']}, 'no output heatmap'),
    ({'boxes': (1, 2, 5)}, r'bboxes_x1y1x2y2 is \[1, heads, 5\], not \[1, heads, 4\]'),
    ({'image': (1, 4, 48, 64)}, r'image_bgr is \[1, 4, 48, 64\], not \[1, 3, H, W\]'),
    ({'kind': torch.float64}, r'image_bgr is a tensor\(double\), not of float32'),
    ({'outputs': ['inout', 'heatmap']}, 'heatmap has 1 dimensions')])
def test_another_interface_is_explained(changes: dict[str, Any], says: str, tmp_path: Path
                                        ) -> None:
    (tmp_path / 'x.onnx').write_bytes(export(Mirror(), **changes))
    with pytest.raises(CheckpointError, match=says) as caught:
        load_onnx(tmp_path / 'x.onnx')
    assert 'Wanted: image_bgr float32 [1, 3, H, W]' in str(caught.value)


def test_what_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'x.onnx').write_bytes(b'nothing of the kind')
    with pytest.raises(CheckpointError, match='cannot read this graph'):
        make_model(str(tmp_path / 'x.onnx'))
    with pytest.raises(CheckpointError, match='no file'):
        make_model(str(tmp_path / 'none.onnx'))


class Broken(Mirror):
    def forward(self, image: torch.Tensor, boxes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        heatmap, inout = super().forward(image, boxes)
        return heatmap / (image[0, 0, 0, 0] - image[0, 0, 0, 0]), inout


def test_answers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(CheckpointError, match='not finite'):
        OnnxGaze(export(Broken()), 'broken')(np.zeros((48, 64, 3), np.uint8), heads(1))
