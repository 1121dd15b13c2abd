"""Which way faces look: bins by hand, cut-outs, and L2CS-Net against a ResNet written anew."""

import math
import re

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from gaze_robot.errors import CheckpointError, ImageError
from gaze_robot.people.face_gaze import (
    Bins,
    bins_loss,
    cut_faces,
    FacedFinder,
    FaceNet,
    facings,
    PITCH,
    SmallFaceGaze,
    YAW,
)
from gaze_robot.people.l2cs import BINS, L2csGaze, L2csNet, load_l2cs, prepared_faces
from gaze_robot.people.records import Facing, Head

SURE = 60.0
"""A logit that leaves the other bins nothing."""


def logits(bins: Bins, *numbers: int) -> torch.Tensor:
    out = torch.zeros(1, bins.count)
    out[0, list(numbers)] = SURE
    return out


def test_one_bin_is_its_own_angle_and_two_share_one():
    for bins in (YAW, PITCH):
        mean, spread = bins.angle(logits(bins, 3))
        assert float(mean) == pytest.approx(bins.first_rad + 3 * bins.width_rad, abs=1e-4)
        assert float(spread) < math.radians(1)
        mean, spread = bins.angle(logits(bins, 3, 4))
        assert float(mean) == pytest.approx(bins.first_rad + 3.5 * bins.width_rad, abs=1e-4)
        assert float(spread) == pytest.approx(bins.width_rad / 2, rel=0.02)


def test_the_way_back_is_one_way_and_not_the_mean_of_two():
    """Half at 175 and half at -175 degrees looks away; a plain mean says: into the camera."""
    mean, spread = YAW.angle(logits(YAW, 0, YAW.count - 1))
    assert abs(float(mean)) == pytest.approx(math.pi, abs=1e-3)
    assert float(spread) == pytest.approx(math.radians(5), rel=0.02)
    assert float(YAW.angle(torch.zeros(1, YAW.count))[1]) > math.radians(120)


def test_angles_fall_into_the_bins_that_stand_for_them():
    for bins in (YAW, PITCH, *BINS.values()):
        centres = bins.centres(torch.zeros(1))
        assert bins.index(centres).tolist() == list(range(bins.count))
    assert YAW.index(torch.tensor([math.pi])).item() in (0, YAW.count - 1)
    assert PITCH.index(torch.tensor([2.0, -2.0])).tolist() == [PITCH.count - 1, 0]


def test_the_loss_is_least_at_the_truth():
    truth = torch.tensor([math.radians(-175 + 10 * 7)])
    right, near, far = (float(bins_loss(logits(YAW, number), truth, YAW))
                        for number in (7, 8, 25))
    assert right < 1e-3
    assert right < near < far


def test_uncertainty_is_in_the_facing():
    sure, unsure = facings(torch.cat([logits(YAW, 18), torch.zeros(1, YAW.count)]),
                           torch.cat([logits(PITCH, 9)] * 2))
    assert sure.yaw_rad == pytest.approx(math.radians(5), abs=1e-3)
    assert sure.pitch_rad == pytest.approx(math.radians(5), abs=1e-3)
    assert sure.spread_rad < math.radians(2)
    assert unsure.spread_rad > math.radians(90)


def test_faces_are_cut_out_squarely_and_edges_repeat():
    image = np.zeros((100, 200, 3), np.uint8)
    image[40:60, 90:110] = 200
    inner = cut_faces(image, [(0.45, 0.4, 0.55, 0.6)], side=20, grown=1.0)[0]
    assert (inner == 200).all()                             # 20 x 20 pixels, as in the box
    outer = cut_faces(image, [(0.45, 0.4, 0.55, 0.6)], side=40, grown=2.0)[0]
    assert (outer == 200).mean() == pytest.approx(0.25, abs=0.03)
    image[:, 0] = 77
    beyond = cut_faces(image, [(-0.2, 0.3, -0.1, 0.5)], side=8)[0]
    assert (beyond == 77).all()


def test_the_small_network_judges_each_face_by_itself():
    torch.manual_seed(0)
    judge = SmallFaceGaze(FaceNet(32))
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    heads = [Head((0.1, 0.1, 0.3, 0.4)), Head((0.5, 0.3, 0.9, 0.9))]
    both, alone = judge(image, heads), judge(image, heads[1:])
    assert both[1].yaw_rad == pytest.approx(alone[0].yaw_rad, abs=1e-5)
    assert judge(image, []) == []


def test_a_finder_takes_over_what_a_face_gaze_says():
    found = [Head((0.1, 0.1, 0.3, 0.4), facing=Facing(1.0, 0.0, 0.5)), Head((0.5, 0.1, 0.7, 0.4))]
    said = [Facing(0.1, 0.2, 0.3), Facing(-0.4, 0.5, 0.6)]
    heads = FacedFinder(lambda _: found, lambda *_: said)(np.zeros((9, 9, 3), np.uint8))
    assert [head.facing for head in heads] == said
    assert [head.box for head in heads] == [head.box for head in found]


def layout(bins: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes in the published files: those of torchvision's ResNet, and three heads."""
    found: dict[str, tuple[int, ...]] = {}

    def norm(name: str, width: int) -> None:
        found.update({f'{name}.{part}': (width,) for part in
                      ('weight', 'bias', 'running_mean', 'running_var')})
        found[f'{name}.num_batches_tracked'] = ()
    found['conv1.weight'] = (64, 3, 7, 7)
    norm('bn1', 64)
    before = 64
    for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), 1):
        for block in range(blocks):
            name = f'layer{stage}.{block}'
            found[f'{name}.conv1.weight'] = (width, before, 1, 1)
            found[f'{name}.conv2.weight'] = (width, width, 3, 3)
            found[f'{name}.conv3.weight'] = (4 * width, width, 1, 1)
            norm(f'{name}.bn1', width)
            norm(f'{name}.bn2', width)
            norm(f'{name}.bn3', 4 * width)
            if block == 0:
                found[f'{name}.downsample.0.weight'] = (4 * width, before, 1, 1)
                norm(f'{name}.downsample.1', 4 * width)
            before = 4 * width
    for name, size in (('fc_yaw_gaze', bins), ('fc_pitch_gaze', bins)):
        found[f'{name}.weight'], found[f'{name}.bias'] = (size, 2048), (size,)
    found['fc_finetune.weight'], found['fc_finetune.bias'] = (3, 2051), (3,)
    return found


def published(bins: int = 90) -> dict[str, torch.Tensor]:
    """Random weights that keep numbers in bounds."""
    torch.manual_seed(0)
    out = {}
    for name, shape in layout(bins).items():
        if name.endswith('num_batches_tracked'):
            out[name] = torch.tensor(7)
        elif name.endswith('running_var'):
            out[name] = torch.rand(shape) + 0.5
        elif re.search(r'(bn\d|downsample\.1)\.weight', name):
            out[name] = torch.rand(shape) * 0.5 + 0.25
        else:
            fan = math.prod(shape[1:]) if len(shape) > 1 else 4
            out[name] = torch.randn(shape) / math.sqrt(fan)
    return out


def by_hand(w: dict[str, torch.Tensor], x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """ResNet-50 as a list of sums, batch norms spelt out."""
    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        scale = w[f'{name}.weight'] / (w[f'{name}.running_var'] + 1e-5).sqrt()
        shift = w[f'{name}.bias'] - w[f'{name}.running_mean'] * scale
        return x * scale[:, None, None] + shift[:, None, None]
    x = F.max_pool2d(norm('bn1', F.conv2d(x, w['conv1.weight'], stride=2, padding=3)).relu(), 3,
                     stride=2, padding=1)
    for stage, blocks in enumerate((3, 4, 6, 3), 1):
        for block in range(blocks):
            name = f'layer{stage}.{block}'
            stride = 2 if block == 0 and stage > 1 else 1
            y = norm(f'{name}.bn1', F.conv2d(x, w[f'{name}.conv1.weight'])).relu()
            y = norm(f'{name}.bn2', F.conv2d(y, w[f'{name}.conv2.weight'], stride=stride,
                                             padding=1)).relu()
            y = norm(f'{name}.bn3', F.conv2d(y, w[f'{name}.conv3.weight']))
            if block == 0:
                x = norm(f'{name}.downsample.1', F.conv2d(x, w[f'{name}.downsample.0.weight'],
                                                          stride=stride))
            x = (x + y).relu()
    x = x.flatten(2).mean(dim=2)
    return (x @ w['fc_yaw_gaze.weight'].T + w['fc_yaw_gaze.bias'],
            x @ w['fc_pitch_gaze.weight'].T + w['fc_pitch_gaze.bias'])


def test_l2cs_has_the_published_names_and_shapes():
    for bins in (28, 90):
        own = L2csNet(bins).state_dict()
        assert {name: tuple(value.shape) for name, value in own.items()} == layout(bins)


def test_l2cs_computes_a_resnet_50(tmp_path):
    weights = published()
    torch.save(weights, tmp_path / 'gaze360.pkl')
    network = load_l2cs(tmp_path / 'gaze360.pkl').network
    faces = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        for ours, theirs in zip(network(faces), by_hand(weights, faces)):
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_l2cs_turns_left_and_up_where_its_angles_are_positive():
    """Upstream draws its arrow to -sin of the first and -sin of the second angle, y down."""
    network = L2csNet(90)
    with torch.no_grad():
        for name, number in (('fc_yaw_gaze', 55), ('fc_pitch_gaze', 50)):     # 40, 20 degrees
            layer = network.get_submodule(name)
            layer.weight.zero_()
            layer.bias.copy_(logits(BINS[90], number)[0])
    image = np.zeros((60, 60, 3), np.uint8)
    facing, = L2csGaze(network)(image, [Head((0.2, 0.2, 0.8, 0.8))])
    assert facing.yaw_rad == pytest.approx(-math.radians(40), abs=1e-3)
    assert facing.pitch_rad == pytest.approx(-math.radians(20), abs=1e-3)


def test_l2cs_is_given_normalised_faces():
    image = np.full((80, 80, 3), 255, np.uint8)
    faces = prepared_faces(image, [(0.0, 0.0, 1.0, 1.0)])
    assert faces.shape == (1, 3, 448, 448)
    white = [(1 - mean) / deviation for mean, deviation in
             ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))]
    torch.testing.assert_close(faces[0, :, 100, 100], torch.tensor(white))
    with pytest.raises(ImageError, match='outside'):
        prepared_faces(image, [(1.5, 0.2, 1.8, 0.5)])


@pytest.mark.parametrize('way, says', [
    ('missing', 'missing layer3.2.bn1.bias'), ('unknown', 'unknown extra'),
    ('shape', 'conv1.weight has shape'), ('nan', 'fc_pitch_gaze.bias is not finite'),
    ('bins', 'bins'), ('other', 'no fc_yaw_gaze')])
def test_l2cs_refuses_files_that_do_not_fit(way, says, tmp_path):
    weights = published(33 if way == 'bins' else 28)
    if way == 'missing':
        del weights['layer3.2.bn1.bias']
    elif way == 'unknown':
        weights['extra'] = torch.zeros(1)
    elif way == 'shape':
        weights['conv1.weight'] = torch.zeros(64, 3, 3, 3)
    elif way == 'nan':
        weights['fc_pitch_gaze.bias'][0] = math.nan
    elif way == 'other':
        weights = {'linear.weight': torch.zeros(2, 2)}
    torch.save(weights, tmp_path / 'file.pkl')
    with pytest.raises(CheckpointError, match=re.escape(says)):
        load_l2cs(tmp_path / 'file.pkl')
