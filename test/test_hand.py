"""The hand's network: its error by hand, its geometry by another route, and what it must learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from gaze_robot.encoder.tokens import patchify
from gaze_robot.errors import ConfigError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.geometry import base_ray, direction_from_pan_tilt
from gaze_robot.policy.glances import token_places
from gaze_robot.policy.hand import (
    chunk_error,
    cut,
    HandConfig,
    HandNetwork,
    pan_tilt_of,
    turned,
)
from gaze_robot.policy.hand_sight import closely, closely_size

SMALL = HandConfig(joints=2, task=3, actions=2, chunk=4, levels=((16, 16), (16, 16)), patch=8,
                   width=16, hidden=32)


def given(config, batch, seed=0):
    rng = np.random.default_rng(seed)
    return (torch.from_numpy(rng.integers(0, 256, (batch, config.tokens, config.patch ** 2 * 3),
                                          dtype=np.uint8)),
            *(torch.from_numpy(rng.normal(size=(batch, size)).astype(np.float32))
              for size in (config.joints, 2, config.task)))


def test_chunk_error_by_hand():
    # row 0: |1-0|, |2-2| over two actions: (1 + 0) / 2 = 0.5 and (3 + 1) / 2 = 2; both count: 1.25
    # row 1: only the first counts: (0 + 4) / 2 = 2;  row 2: nothing counts: 0
    said = torch.tensor([[[1., 2.], [3., 1.]], [[0., 4.], [9., 9.]], [[5., 5.], [5., 5.]]])
    wanted = torch.tensor([[[0., 2.], [0., 0.]], [[0., 0.], [0., 0.]], [[0., 0.], [0., 0.]]])
    real = torch.tensor([[True, True], [True, False], [False, False]])
    assert chunk_error(said, wanted, real).tolist() == [1.25, 2.0, 0.0]


def test_cut_gives_the_encoders_patches():
    """The encoder cuts in torch; what is cut here in numpy must be the same patches."""
    rng = np.random.default_rng(0)
    levels = [rng.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8) for _ in range(2)]
    expected = patchify([torch.from_numpy(level) for level in levels], [8, 8])
    np.testing.assert_allclose(cut(levels, 8).astype(np.float32) / 127.5 - 1, expected, atol=1e-6)


def test_tokens_are_a_convolution_and_a_matrix():
    """The same by torch's own convolution of each patch."""
    torch.manual_seed(3)
    tokens, view = HandNetwork(SMALL).tokens, given(SMALL, 3)[0]
    pictures = (view.float() / 127.5 - 1).reshape(-1, 8, 8, 3).permute(0, 3, 1, 2)
    weight = tokens.local.weight.reshape(-1, 2, 2, 3).permute(0, 3, 1, 2)
    found = torch.relu(functional.conv2d(pictures, weight, tokens.local.bias, stride=2))
    expected = tokens.embed(found.permute(0, 2, 3, 1).reshape(3, SMALL.tokens, -1))
    said, colours = tokens(view)
    torch.testing.assert_close(said, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(colours.flatten(0, 1), found.permute(0, 2, 3, 1).flatten(1, 2))


SHAPES = replace(SMALL, levels=((32, 32), (16, 16)), shapes=True)


def test_a_verdict_takes_attention_away():
    torch.manual_seed(3)
    hand, (view, joints, gaze, task) = HandNetwork(SHAPES), given(SHAPES, 5)
    hand.rays.copy_(torch.nn.functional.normalize(torch.randn(SHAPES.tokens, 3), dim=1))
    plain = HandNetwork(replace(SHAPES, shapes=False))
    plain.load_state_dict({name: value for name, value in hand.state_dict().items()
                           if not name.startswith('inspect.')})
    hand.eval()
    said, without = hand(view, joints, gaze, task), plain(view, joints, gaze, task)
    assert without.verdict is None
    torch.testing.assert_close(
        said.attention, without.attention * said.verdict.sigmoid()[:, None])
    torch.testing.assert_close(said.peak, without.attention.argmax(dim=1))
    said.chunk.sum().backward()
    assert all(value.grad is None for value in hand.inspect.parameters())   # for its own sake


def two_levels():
    """Rays of 4 x 4 tokens 4 degrees apart, and of 2 x 2 that are 16: a fovea and the rest."""
    rows = [np.stack(np.meshgrid(np.radians(angles), -np.radians(angles), indexing='ij'),
                     axis=-1).reshape(-1, 2) for angles in ([-6.0, -2.0, 2.0, 6.0], [-8.0, 8.0])]
    tilt, pan = np.concatenate(rows).T
    return torch.from_numpy(direction_from_pan_tilt(pan, tilt)).float()


def looked_at(pan_deg, tilt_deg, count):
    return torch.from_numpy(direction_from_pan_tilt(
        np.full(count, np.radians(pan_deg)), np.full(count, np.radians(tilt_deg)))).float()


def test_what_is_far_from_what_is_attended_to_is_not_inspected():
    torch.manual_seed(3)
    inspect, (view, *_, task) = HandNetwork(SHAPES).eval().inspect, given(SHAPES, 5)
    place = looked_at(6.0, -6.0, 5)                         # up to the left: the first token
    before, told = inspect(view, two_levels(), place, task)
    assert told.all()
    far, here, coarse = view.clone(), view.clone(), view.clone()
    far[:, 15], here[:, 0], coarse[:, 16:] = 255 - far[:, 15], 255 - here[:, 0], 0
    torch.testing.assert_close(inspect(far, two_levels(), place, task)[0], before)
    torch.testing.assert_close(inspect(coarse, two_levels(), place, task)[0], before)
    assert (inspect(here, two_levels(), place, task)[0] - before).abs().min() > 1e-6


def test_in_the_corner_of_the_eye_shapes_are_not_told():
    torch.manual_seed(3)
    inspect, (view, *_, task) = HandNetwork(SHAPES).eval().inspect, given(SHAPES, 5)
    far = looked_at(12.0, 0.0, 5)
    verdict, told = inspect(view, two_levels(), far, task)
    assert not told.any()
    assert (verdict.sigmoid() > 0.99).all()                 # worth a look
    same = two_levels()[:16].repeat(2, 1)                   # two cameras, both as sharp
    both = HandNetwork(replace(SHAPES, levels=((32, 32), (32, 32)))).eval().inspect
    turned_about = torch.cat([same[:16], same[:16] * torch.tensor([-1.0, -1.0, 1.0])])
    view = torch.cat([view[:, :16]] * 2, dim=1)
    ahead, there = looked_at(3.0, 1.0, 5), torch.tensor([-1.0, -1.0, 1.0])
    one, two = (both(view, turned_about, place, task) for place in (ahead, ahead * there))
    assert one[1].all()
    assert two[1].all()
    torch.testing.assert_close(one[0], two[0], atol=1e-4, rtol=1e-4)


def test_mirrored_while_it_learns_only():
    torch.manual_seed(3)
    inspect, (view, *_, task) = HandNetwork(SHAPES).inspect, given(SHAPES, 5)
    place = looked_at(0.0, 0.0, 5)
    said = {tuple(inspect(view, two_levels(), place, task)[0].tolist()) for _ in range(8)}
    assert len(said) > 1
    inspect.eval()
    said = {tuple(inspect(view, two_levels(), place, task)[0].tolist()) for _ in range(8)}
    assert len(said) == 1


def test_inspection_learns_a_shape_that_no_token_has():
    """A bar across two tokens, and which way it lies is what the task asks: each end alone is the
    same. Wherever it is.
    """
    torch.manual_seed(0)
    config = HandConfig(joints=1, task=2, actions=1, chunk=1, levels=((32, 32),), shapes=True)
    rng, count = np.random.default_rng(0), 1024
    pictures = rng.integers(0, 60, (count, 32, 32, 3), dtype=np.uint8)
    lies, asked = rng.integers(2, size=(2, count))
    middles = []
    for picture, flat in zip(pictures, lies):
        row, column = rng.integers(4, 16, 2)
        ends = ((0, 0), (0, 8)) if flat else ((0, 0), (8, 0))
        for down, right in ends:
            picture[row + down:row + down + 4, column + right:column + right + 4] = 240
        middles.append(np.mean(ends, axis=0) + (row + 2, column + 2))
    view = torch.from_numpy(cut([pictures], 8))
    task = torch.from_numpy(np.eye(2, dtype=np.float32)[asked])
    right = torch.from_numpy((lies == asked).astype(np.float32))
    tilt, left = np.radians((np.array(middles) - 16) * 0.5).T       # tokens are 4 degrees wide
    place = torch.from_numpy(direction_from_pan_tilt(-left, tilt)).float()
    inspect, rays = HandNetwork(config).inspect, two_levels()[:16]
    optimizer = torch.optim.Adam(inspect.parameters(), 2e-3)
    for _ in range(100):
        rows = torch.from_numpy(rng.integers(768, size=64))
        loss = functional.binary_cross_entropy_with_logits(
            inspect(view[rows], rays, place[rows], task[rows])[0], right[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    inspect.eval()
    with torch.no_grad():
        said, told = inspect(view[768:], rays, place[768:], task[768:])
    assert told.all()
    assert ((said > 0) == (right[768:] > 0)).float().mean() > 0.9


def test_tokens_reach_half_their_diagonal_and_a_little_more():
    # two levels of a row each: tokens 3 degrees apart, and 8
    hand = HandNetwork(replace(SMALL, levels=((8, 24), (8, 24))))
    angles = np.radians([0.0, 3.0, 6.0, 0.0, 8.0, 16.0])
    hand.rays.copy_(torch.from_numpy(np.stack([np.cos(angles), np.sin(angles), 0 * angles], 1)))
    np.testing.assert_allclose(np.degrees(hand.reach().numpy()),
                               np.repeat([3, 8], 3) / np.sqrt(2) + 1.5, atol=0.01)


def test_rays_turn_with_the_gaze_as_geometry_says():
    rng = np.random.default_rng(1)
    places = rng.uniform(-0.6, 0.6, (5, 2))
    gaze = rng.uniform([-3, -1], [3, 1], (7, 2))
    rays = direction_from_pan_tilt(*places.T)
    found = turned(torch.from_numpy(rays), torch.from_numpy(gaze)).numpy()
    optical = np.stack([-rays[:, 1], -rays[:, 2], rays[:, 0]], axis=1)      # right, down, forward
    for row, (pan, tilt) in enumerate(gaze):
        np.testing.assert_allclose(found[row], base_ray(optical, pan, tilt), atol=1e-12)


def test_a_fine_hand_tells_where_within_a_token_the_thing_is():
    """Of all parts of 2 x 2 samples one is bright, and what is bright is asked for."""
    torch.manual_seed(0)
    hand = HandNetwork(replace(SMALL, levels=((32, 32),), fine=True))
    edge = (np.arange(4) + 0.5) / 4 * 2 - 1
    down, right = np.meshgrid(edge, edge, indexing='ij')
    hand.rays.copy_(torch.from_numpy(np.stack([np.ones(16), -right.ravel(), -down.ravel()], 1)))
    rng = np.random.default_rng(4)
    row, column = rng.integers(16, size=(2, 20))
    colours = torch.zeros(20, 16, 16, SMALL.colours)
    token, part = row // 4 * 4 + column // 4, row % 4 * 4 + column % 4
    colours[np.arange(20), token, part] = 1.0
    attention = torch.full((20, 16), 0.05)
    with torch.no_grad():
        hand.finer.query[-1].weight.zero_()
        hand.finer.query[-1].bias.fill_(1.0)
        colours = torch.where(colours > 0, 1.0, -2.0)
        found = hand.finer(colours, attention, torch.zeros(20, 3), hand.rays,
                           torch.eye(16)).numpy()
    wanted = np.stack([np.ones(20), -((column + 0.5) / 8 - 1), -((row + 0.5) / 8 - 1)], axis=1)
    np.testing.assert_allclose(found, 0.8 * wanted, atol=1e-3)


def test_a_fine_hand_tells_the_place_on_the_level_that_shows_it_best():
    """Attention is on the coarse token that holds the thing whole; the fine level shows it, and
    something alike far away, which nobody attends to.
    """
    torch.manual_seed(0)
    hand = HandNetwork(replace(SMALL, levels=((32, 32), (32, 32)), fine=True))
    edge = (np.arange(4) + 0.5) / 4 * 2 - 1
    down, right = np.meshgrid(edge, edge, indexing='ij')
    hand.rays.copy_(torch.from_numpy(np.concatenate([np.stack([
        np.ones(16), -reach * right.ravel(), -reach * down.ravel()], 1) for reach in (0.1, 0.4)])))
    hand.rays.copy_(torch.nn.functional.normalize(hand.rays, dim=1))
    colours = torch.full((1, 32, 16, SMALL.colours), -2.0)
    colours[0, 6, 5] = colours[0, 16 + 5] = 1.0             # the thing, fine and coarse
    colours[0, 16 + 12] = 1.0                               # something alike, far below
    attention = torch.zeros(1, 32)
    attention[0, 16 + 5] = 0.9
    with torch.no_grad():
        hand.finer.query[-1].weight.zero_()
        hand.finer.query[-1].bias.fill_(1.0)
        hand.finer.query[-1].bias[-2:] = torch.tensor([8.0, 0.0])
        found = hand.finer(colours, attention, torch.zeros(1, 3), hand.rays, hand._around())[0]
    step = 0.1 * 2 / 16
    wanted = np.array([1.0, -(9 - 7.5) * step, -(5 - 7.5) * step])
    np.testing.assert_allclose(found / found.norm(), wanted / np.linalg.norm(wanted), atol=2e-3)
    assert found.norm().item() == pytest.approx(0.9, abs=0.01)


def test_what_is_near_a_token_is_the_same_in_half_precision():
    """Training runs in it, the robot does not."""
    hand = HandNetwork(replace(SMALL, levels=((32, 32),) * 3))
    hand.rays.copy_(torch.from_numpy(direction_from_pan_tilt(*token_places(
        FoveationPattern((15.0, 40.0, 90.0), (32, 32, 32), (8,))).T)))
    with torch.autocast('cpu', torch.bfloat16):
        near = hand._around()
    np.testing.assert_array_equal(near, hand._around())


def test_directions_as_angles():
    angles = np.random.default_rng(2).uniform([-3, -1.4], [3, 1.4], (9, 2))
    rays = direction_from_pan_tilt(*angles.T) * np.linspace(0.01, 2.0, 9)[:, None]
    np.testing.assert_allclose(pan_tilt_of(torch.from_numpy(rays)), angles, atol=1e-12)


def test_angles_are_resolved_closely():
    """A joint that is where the thing is, one a hundredth of a radian beside, one far off."""
    place = torch.tensor([[0.5, -0.1]], requires_grad=True)
    joints = torch.tensor([[0.5, 0.49, -1.5]])
    found = closely(place, joints, joints / 2)[0]
    assert len(found) == closely_size(3) == 3 * 6 + 4 * 2 * 5
    np.testing.assert_allclose(found[:3], np.tanh([0.0, 0.01 / 0.03, 2.0 / 0.03]), atol=1e-6)
    np.testing.assert_allclose(found[3:6], np.tanh([-0.6 / 0.03, -0.59 / 0.03, 1.4 / 0.03]),
                               atol=1e-6)
    np.testing.assert_allclose(found[-5:], np.cos(30 * np.array([0.5, -0.1, 0.25, 0.245, -0.75])),
                               atol=1e-5)
    assert not found.requires_grad


def test_a_hand_told_angles_knows_a_joint_from_a_gaze():
    """An arm that turns towards the gaze: the difference of two angles."""
    torch.manual_seed(0)
    config = HandConfig(joints=1, task=1, actions=1, chunk=1, levels=((16, 16),), patch=8,
                        width=16, hidden=32, angles=True)
    hand, rng = HandNetwork(config), np.random.default_rng(0)
    optimizer = torch.optim.Adam(hand.parameters(), 3e-3)
    view = torch.full((256, 4, 192), 90, dtype=torch.uint8)
    for _ in range(300):
        joints, pan = torch.from_numpy(rng.uniform(-1.5, 1.5, (2, 256, 1)).astype(np.float32))
        said = hand(view, joints, torch.cat([pan, torch.zeros(256, 1)], dim=1),
                    torch.ones(256, 1)).chunk
        loss = (said[:, 0] - (pan - joints)).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1                        # 0.9 for one that does not know


def test_attention_is_shared_out_among_tokens_and_nothing():
    torch.manual_seed(0)
    said = HandNetwork(SMALL)(*given(SMALL, 5))
    assert said.chunk.shape == (5, 4, 2)
    assert said.attention.shape == (5, 8)
    assert (said.attention >= 0).all()
    assert ((said.attention.sum(dim=1) > 0) & (said.attention.sum(dim=1) < 1)).all()


def test_transformer_blocks_can_be_put_in():
    torch.manual_seed(0)
    config = HandConfig(joints=2, task=3, actions=2, chunk=4, levels=((16, 16),), patch=8,
                        width=16, hidden=32, layers=2)
    hand = HandNetwork(config)
    assert len(hand.blocks) == 2
    hand(*given(config, 3)).chunk.sum().backward()
    assert all(parameter.grad is not None for parameter in hand.blocks.parameters())


def test_actions_are_in_the_robots_units():
    torch.manual_seed(0)
    hand = HandNetwork(SMALL)
    hand.action_spread.copy_(torch.tensor([2.0, 0.5]))
    view = given(SMALL, 3)
    torch.testing.assert_close(hand.actions(*view), hand(*view).chunk.detach()
                               * torch.tensor([2.0, 0.5]))


def test_what_to_look_for_hangs_on_phase_joints_alone():
    """Attention may follow the gripper, and nothing else of the joints."""
    torch.manual_seed(0)
    config = HandConfig(joints=3, task=2, actions=1, chunk=2, levels=((16, 16),), patch=8,
                        width=16, hidden=32, phase=(2,))
    hand = HandNetwork(config)
    view, joints, gaze, task = given(config, 4)
    before = hand(view, joints, gaze, task).attention
    other = joints.clone()
    other[:, :2] += 1.0
    torch.testing.assert_close(hand(view, other, gaze, task).attention, before)
    other[:, 2] += 1.0
    assert not torch.allclose(hand(view, other, gaze, task).attention, before)


@pytest.mark.parametrize('wrong', [{'joints': 0}, {'width': 18}, {'patch': 7}, {'layers': -1},
                                   {'patch': 6, 'shapes': True},
                                   {'levels': ((8, 32),), 'fine': True},
                                   {'phase': (2,)}, {'levels': ()}])
def test_impossible_hands_are_refused(wrong):
    with pytest.raises(ConfigError):
        HandConfig(**{'joints': 2, 'task': 3, 'actions': 2, **wrong})


def test_a_hand_finds_the_one_bright_token():
    """Where the bright token is, is what to do: a hand that cannot learn this is broken."""
    torch.manual_seed(0)
    config = HandConfig(joints=1, task=1, actions=2, chunk=2, levels=((32, 32),), patch=8,
                        width=16, hidden=32)
    hand = HandNetwork(config)
    steps = (np.arange(4) + 0.5) / 4 - 0.5
    places = torch.from_numpy(np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)).float()
    hand.rays.copy_(torch.nn.functional.pad(places, (1, 0), value=1.0))
    optimizer = torch.optim.Adam(hand.parameters(), 3e-3)
    rng = np.random.default_rng(0)
    for _ in range(400):
        which = torch.from_numpy(rng.integers(16, size=64))
        view = torch.full((64, 16, 192), 40, dtype=torch.uint8)
        view[torch.arange(64), which] = 220
        zero = torch.zeros(64, 1)
        wanted = places[which][:, None].expand(-1, 2, -1)
        loss = chunk_error(hand(view, zero, torch.zeros(64, 2), zero).chunk, wanted,
                           torch.ones(64, 2, dtype=torch.bool)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05                       # 0.25 without looking
