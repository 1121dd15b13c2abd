"""Places in space from sizes in a picture, and gazes that go there."""

import math

import numpy as np
import pytest
import torch

from gaze_robot.people import face_pose
from gaze_robot.people.attention_space import in_sight, in_space, lines_of_sight, Towards

ASPECT = 1.5


def seen(places: np.ndarray) -> torch.Tensor:
    """What a camera 64 degrees wide sees of things of size 1: their places in space again."""
    focal = math.sqrt(ASPECT) / 2 / math.tan(math.radians(32))
    flat, size = places[..., :2] / places[..., 2:] * focal, focal / places[..., 2]
    return in_space(torch.from_numpy(flat), torch.from_numpy(size),
                    torch.tensor([ASPECT], dtype=torch.float64))


@pytest.fixture
def places() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.uniform((-3, -2, 4), (3, 2, 14), (1, 6, 3))


def test_places_in_space_are_where_the_camera_saw_them(places):
    np.testing.assert_allclose(seen(places).numpy(), places, rtol=2e-3)


def test_a_gaze_has_no_angle_to_what_it_is_at(places):
    """Directions by `face_pose`, whose arithmetic is numpy's and one head at a time."""
    heads, ahead = places[:, :2], places[:, 2:]
    gaze = np.stack([[face_pose.in_sight(line / np.linalg.norm(line), head)
                      for head, line in zip(heads[0], ahead[0, 1] - heads[0])]])
    cosine, length = lines_of_sight(torch.from_numpy(gaze), torch.from_numpy(heads),
                                    torch.from_numpy(ahead))
    assert cosine.shape == length.shape == (1, 2, 4)
    np.testing.assert_allclose(cosine[..., 1], 1, atol=1e-3)
    for person in range(2):
        lines = ahead[0] - heads[0, person]
        long = np.linalg.norm(lines, axis=1)
        np.testing.assert_allclose(length[0, person], long, rtol=1e-3)
        np.testing.assert_allclose(cosine[0, person], lines @ lines[1] / long / long[1],
                                   atol=1e-3)


def test_depth_tells_apart_what_lies_along_one_line_of_the_picture():
    """Somebody looks straight to the side: what is behind there in the picture is not meant."""
    head, beside = np.array([[[-1.0, 0, 6]]]), np.array([[[1.0, 0, 6], [1.5, 0, 9]]])
    gaze = face_pose.in_sight(np.array([1.0, 0, 0]), head[0, 0])[None, None]
    cosine, _ = lines_of_sight(torch.from_numpy(gaze), seen(head), seen(beside))
    assert cosine[0, 0, 0] > 0.999
    assert cosine[0, 0, 1] < math.cos(math.radians(45))


def test_other_depths_are_tried_too():
    """Of two directions to what may be a fifth nearer or farther, the gaze is at the farther."""
    head, place = np.array([[[-1.0, 0, 6]]]), np.array([[[1.0, 0, 6]]])
    farther = place[0, 0] * math.exp(0.2) - head[0, 0]
    gaze = torch.from_numpy(face_pose.in_sight(farther / np.linalg.norm(farther), head[0, 0]))
    focal = math.sqrt(ASPECT) / 2 / math.tan(math.radians(32))
    flat = [(torch.from_numpy(some[..., :2] / some[..., 2:] * focal),
             torch.from_numpy(focal / some[..., 2])) for some in (head, place)]
    cosine, length = in_sight(gaze[None, None], *flat, torch.tensor([ASPECT]).double())
    assert cosine.shape == (1, 1, 1, 3)
    assert float(cosine[0, 0, 0, 2]) == pytest.approx(1, abs=1e-4)
    assert (cosine[0, 0, 0, :2] < 0.99).all()
    assert float(length[0, 0, 0]) == pytest.approx(2, rel=2e-3)


def test_the_judgement_turns_with_the_gaze():
    """Gaze and places turned together in the picture, about the head, are judged as before."""
    torch.manual_seed(2)
    towards, way = Towards(5), torch.nn.functional.normalize(torch.randn(1, 2, 3), dim=-1)
    offset, size, spread = torch.randn(1, 2, 7, 2), torch.rand(1, 2) + 0.1, torch.rand(1, 2)
    space = torch.rand(1, 2, 7, 3) * 2 - 1, torch.rand(1, 2, 7) + 0.5
    turn = torch.tensor([[math.cos(0.7), -math.sin(0.7)], [math.sin(0.7), math.cos(0.7)]])
    turned = torch.cat([way[..., :2] @ turn.T, way[..., 2:]], dim=-1)
    torch.testing.assert_close(towards(way, spread, offset, size, *space),
                               towards(turned, spread, offset @ turn.T, size, *space))
