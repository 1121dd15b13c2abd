"""The hand's network: its error by hand, its geometry by another route, and what it must learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from gaze_robot.encoder.tokens import patchify
from gaze_robot.errors import ConfigError
from gaze_robot.geometry import base_ray, direction_from_pan_tilt
from gaze_robot.policy.hand import (
    chunk_error,
    cut,
    HandConfig,
    HandNetwork,
    pan_tilt_of,
    turned,
)

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
    torch.testing.assert_close(tokens(view), expected, rtol=1e-5, atol=1e-5)


SHAPES = replace(SMALL, levels=((32, 32), (16, 16)), shapes=True)


def test_shapes_are_the_same_wherever_they_are():
    """A picture moved by a token moves what is found, but for what is at the edges."""
    torch.manual_seed(3)
    hand = HandNetwork(replace(SHAPES, levels=((48, 48), (16, 16))))
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (1, 48, 56, 3), dtype=np.uint8)
    other = np.zeros((1, 16, 16, 3), np.uint8)
    here, moved = (hand.tokens(torch.from_numpy(cut([part, other], 8)))[0, :36].view(6, 6, -1)
                   for part in (picture[:, :, :48], picture[:, :, 8:]))
    torch.testing.assert_close(here[1:-1, 2:-1], moved[1:-1, 1:-2], rtol=1e-4, atol=1e-4)
    assert (here[0, 0] - moved[0, 0]).abs().max() > 1e-3


def test_what_is_in_the_fovea_sways_attention_to_the_other_level():
    torch.manual_seed(3)
    hand, (view, *rest) = HandNetwork(SHAPES), given(SHAPES, 5)
    before = hand(view, *rest).attention
    changed = view.clone()
    changed[:, :16] = 255 - changed[:, :16]                             # the fovea alone
    after = hand(changed, *rest).attention
    ratio = [part[:, 16:] / part[:, 16:17] for part in (before, after)]  # the softmax cancels out
    assert (ratio[0] - ratio[1]).abs().max() > 1e-3
    plain = HandNetwork(replace(SHAPES, shapes=False))
    ratio = [part[:, 16:] / part[:, 16:17] for part in (
        plain(view, *rest).attention, plain(changed, *rest).attention)]
    torch.testing.assert_close(*ratio)


def test_rays_turn_with_the_gaze_as_geometry_says():
    rng = np.random.default_rng(1)
    places = rng.uniform(-0.6, 0.6, (5, 2))
    gaze = rng.uniform([-3, -1], [3, 1], (7, 2))
    rays = direction_from_pan_tilt(*places.T)
    found = turned(torch.from_numpy(rays), torch.from_numpy(gaze)).numpy()
    optical = np.stack([-rays[:, 1], -rays[:, 2], rays[:, 0]], axis=1)      # right, down, forward
    for row, (pan, tilt) in enumerate(gaze):
        np.testing.assert_allclose(found[row], base_ray(optical, pan, tilt), atol=1e-12)


def test_directions_as_angles():
    angles = np.random.default_rng(2).uniform([-3, -1.4], [3, 1.4], (9, 2))
    rays = direction_from_pan_tilt(*angles.T) * np.linspace(0.01, 2.0, 9)[:, None]
    np.testing.assert_allclose(pan_tilt_of(torch.from_numpy(rays)), angles, atol=1e-12)


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
