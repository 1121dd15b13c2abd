"""What knows drawn figures, against pictures whose truth was drawn with them."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from gaze_robot.camera import CameraModel
from gaze_robot.errors import CheckpointError, ConfigError
from gaze_robot.people.figure_heads import FigureFinder, head_crop
from gaze_robot.people.figure_net import CROP, FigureNet, normal, STRIDE
from gaze_robot.people.figure_weights import load_figures, save_figures, SHIPPED
from gaze_robot.people.records import Head
from gaze_robot.people.watch import make_model
from gaze_robot_sim.training.figure_pictures import (
    figure_pictures,
    FigurePicture,
    head_box,
    labels,
    sprite_box,
)
from gaze_robot_sim.training.figures import face_loss, scores, TrainFiguresConfig


@pytest.fixture(scope='module')
def pictures() -> list[FigurePicture]:
    """Of a seed that no training has used."""
    return list(itertools.islice(figure_pictures(987_654_321), 40))


def test_shipped_weights_know_figures_they_have_never_seen(pictures: list[FigurePicture]) -> None:
    found = scores(load_figures(), pictures)
    assert found['head_recall'] > 0.85
    assert found['head_precision'] > 0.8
    assert found['gaze_median_deg'] < 15
    assert found['thing_recall'] > 0.6
    meta = json.loads((SHIPPED / 'meta.json').read_text())
    assert meta['command'].startswith('gaze-robot train figures')
    assert found['gaze_median_deg'] < 2 * meta['unseen']['gaze_median_deg'] + 2


def test_pictures_are_those_of_their_seed(pictures: list[FigurePicture]) -> None:
    again = next(figure_pictures(987_654_321))
    np.testing.assert_array_equal(again.image, pictures[0].image)
    assert not np.array_equal(next(figure_pictures(987_654_322)).image, pictures[0].image)


def test_labels_are_highest_where_heads_and_things_are(pictures: list[FigurePicture]) -> None:
    for picture in pictures[:10]:
        heat, weight, sizes = labels(picture)
        for kind, boxes in enumerate((picture.heads, picture.things)):
            for left, top, right, bottom in boxes:
                x, y = int((left + right) / 2 // STRIDE), int((top + bottom) / 2 // STRIDE)
                assert heat[kind, y, x] == 1
                assert weight[kind, y, x] == 1
                assert np.isfinite(sizes[4 * kind, y, x])
        assert np.isfinite(sizes).mean() < 0.3


def test_mirrored_faces_cost_the_same(pictures: list[FigurePicture]) -> None:
    """A network that says the same of every crop is as wrong about a mirrored one."""
    crops = np.concatenate([one.crops for one in pictures if len(one.crops)])
    gazes = np.concatenate([one.gazes for one in pictures if len(one.crops)])
    np.testing.assert_allclose(np.linalg.norm(gazes, axis=1), 1)

    class Straight(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.tensor([[0.0, 0.0, -1.0]]).expand(len(x), -1), torch.full((len(x),), 2.0)

    rows = np.arange(len(crops))
    losses = [float(face_loss(Straight(), crops, gazes, rows,    # type: ignore[arg-type]
                              np.random.default_rng(seed))) for seed in range(3)]
    assert np.ptp(losses) < 1e-5
    # By hand: -log of kappa / (4 pi sinh kappa) exp(kappa cos), but for log 2 pi.
    by_hand = -np.mean(math.log(2.0 / (2 * math.sinh(2.0))) - 2.0 * gazes[:, 2])
    assert losses[0] == pytest.approx(by_hand, rel=1e-5)


def test_a_crop_holds_the_head_in_its_middle() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    image[80:120, 100:130] = 255
    crop = head_crop(image, (100 / 300, 80 / 200, 130 / 300, 120 / 200))
    assert crop is not None
    assert crop.shape == (CROP, CROP, 3)
    rows, columns = np.nonzero(crop[..., 0] > 128)
    assert abs(rows.mean() - (CROP - 1) / 2) < 1
    assert abs(columns.mean() - (CROP - 1) / 2) < 1
    assert head_crop(image, (0.0, -0.3, 0.1, -0.1)) is None, 'outside'
    assert head_crop(image, (0.5, 0.5, 0.51, 0.52)) is None, 'too small'
    assert head_crop(image, (-0.04, 0.1, 0.1, 0.4)) is not None, 'cut by the edge'


def test_nothing_is_found_in_nothing_and_an_answer_is_kept() -> None:
    finder = FigureFinder(load_figures())
    image = np.full((240, 320, 3), 128, np.uint8)
    sight = finder.look(image)
    assert sight.heads == []
    assert finder.look(image) is sight
    assert finder.look(image.copy()) is not sight
    assert finder.facing(image, [Head((0.5, 0.5, 0.502, 0.502))])[0].facing is None


def test_the_figures_model_looks_the_way_the_figure_does(pictures: list[FigurePicture]) -> None:
    """Left or right of the head, where the figure surely looks aside."""
    model = make_model('figures', math.radians(90))
    right = []
    for picture in pictures:
        height, width = picture.image.shape[:2]
        for box, gaze in zip(picture.heads, picture.gazes):
            if abs(gaze[0]) < 0.6 or len(picture.heads) != len(picture.gazes):
                continue
            head = Head(tuple((box / (width, height, width, height)).clip(0, 1)))
            if head.box[2] - head.box[0] < 0.04:
                continue
            heat = model(picture.image, [head]).heatmaps[0]
            column = (int(heat.argmax()) % heat.shape[1] + 0.5) / heat.shape[1]
            right.append((column - head.centre[0]) * gaze[0] > 0)
    assert len(right) > 8
    assert np.mean(right) > 0.8


def test_boxes_of_sprites_are_where_the_camera_sees_them() -> None:
    from gaze_robot.geometry import direction_from_pan_tilt
    from gaze_robot_sim.envs import cast
    from gaze_robot_sim.scenes.overlay import draw_on_picture, Sprite
    camera = CameraModel.from_hfov(640, 480, math.radians(90))
    sprite = Sprite(np.full((40, 40, 4), 255, np.uint8), direction_from_pan_tilt(0.4, 0.1), 0.12)
    picture = np.zeros((480, 640, 3), np.uint8)
    draw_on_picture(picture, camera, 0.1, 0.05, [sprite])
    rows, columns = np.nonzero(picture[..., 0] > 128)
    box = sprite_box(sprite, camera, 0.1, 0.05)
    assert box is not None
    np.testing.assert_allclose(box, (columns.min(), rows.min(), columns.max() + 1,
                                     rows.max() + 1), atol=2)
    figure = cast.standing(cast.person(0), 0.1, 0.05, math.radians(50))
    head = head_box(figure, camera, 0.1, 0.05)
    assert head is not None
    assert (head[0] + head[2]) / 2 == pytest.approx(320, abs=1)
    assert (head[1] + head[3]) / 2 == pytest.approx(240, abs=4)
    assert sprite_box(sprite, camera, 2.5, 0.0) is None


@pytest.mark.parametrize('how', ['missing', 'shape', 'damaged', 'nan'])
def test_other_weights_are_refused(how: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match='train figures'):
        load_figures(tmp_path)
    network = FigureNet()
    if how == 'nan':
        network.face.layers[-1].bias.data[0] = math.nan
    save_figures(tmp_path, network, {})
    path = tmp_path / 'weights.safetensors'
    if how == 'damaged':
        path.write_bytes(path.read_bytes()[:500])
    elif how != 'nan':
        from safetensors.torch import load_file, save_file
        tensors = load_file(path)
        tensors['face.layers.8.weight'] = tensors['face.layers.8.weight'][:2].clone()
        if how == 'missing':
            del tensors['face.layers.8.weight']
        save_file(tensors, path)
    with pytest.raises(CheckpointError):
        load_figures(tmp_path)


def test_saved_weights_come_back_at_half_precision(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = FigureNet().eval()
    save_figures(tmp_path, network, {'seed': 0})
    again = load_figures(tmp_path)
    seen = normal(torch.randint(0, 256, (1, 80, 80, 3), dtype=torch.uint8))
    with torch.inference_mode():
        torch.testing.assert_close(again.scene(seen), network.scene(seen), atol=2e-2, rtol=2e-2)


def test_settings_without_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match='at least 1'):
        TrainFiguresConfig(samples=0)
