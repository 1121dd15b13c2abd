"""The published frames agree with the package's own geometry."""

import numpy as np
import pytest

from gaze_robot.geometry import base_from_optical
from gaze_robot.nodes._frames import fixed_frames, moving_frames
from gaze_robot.types import PanTiltState


def rotation(quaternion):
    """Rotation matrix of (x, y, z, w), from Hamilton's product."""
    x, y, z, w = quaternion
    vector = np.array([x, y, z])
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return (w * w - vector @ vector) * np.eye(3) + 2 * np.outer(vector, vector) + 2 * w * cross


@pytest.mark.parametrize('pan, tilt', [(0.0, 0.0), (0.7, 0.0), (0.0, 0.4), (-2.1, -0.9)])
def test_the_chain_is_base_from_optical(pan, tilt):
    chain = moving_frames(PanTiltState(pan, tilt)) + fixed_frames()
    assert [turn.parent for turn in chain[1:]] == [turn.child for turn in chain[:-1]]
    total = np.eye(3)
    for turn in chain:
        total = total @ rotation(turn.quaternion)
    np.testing.assert_allclose(total, base_from_optical(pan, tilt), atol=1e-12)


def test_the_prefix_is_on_every_name():
    moving = moving_frames(PanTiltState(0.0, 0.0), 'left/')
    names = [name for turn in moving + fixed_frames('left/')
             for name in (turn.parent, turn.child)]
    assert all(name.startswith('left/') for name in names)
    assert names[0] == 'left/base_link'
    assert names[-1] == 'left/camera_optical_frame'
