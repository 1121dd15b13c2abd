"""Pointing any axis of the head at any place; judged by the frames the node publishes on tf."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from gaze_robot.errors import CommandError
from gaze_robot.head_geometry import HeadGeometry
from gaze_robot.nodes._aim import aim_of, place_in_base
from gaze_robot.nodes._frames import fixed_frames, moving_frames
from gaze_robot.types import PanTiltLimits, PanTiltState

WIDE = PanTiltLimits((-6.2, -3.0), (6.2, 3.0))
small, length = st.floats(-0.15, 0.15), st.floats(-0.1, 0.1)
heads = st.builds(HeadGeometry, length, small, st.tuples(small, small, small),
                  st.tuples(length, length, length))
poses = st.builds(PanTiltState, st.floats(-2.0, 2.0), st.floats(-0.8, 0.8))
FRAMES = ['tilt_link', 'camera_link', 'camera_optical_frame']


def from_base(head, pose, frame):
    """4 x 4: base_link to `frame`, multiplied up from the published transforms."""
    found = np.eye(4)
    for turn in (*moving_frames(pose, '', head), *fixed_frames('', head)):
        x, y, z, w = turn.quaternion
        step = np.eye(4)
        step[:3, :3] = [[1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]]
        step[:3, 3] = turn.xyz
        found = found @ step
        if turn.child == frame:
            return found
    raise AssertionError(frame)


def seen_from(head, pose, frame, place):
    return (np.linalg.inv(from_base(head, pose, frame)) @ [*place, 1.0])[:3]


@settings(max_examples=60, deadline=None)
@given(heads, st.sampled_from(FRAMES), st.floats(-3.0, 3.0), st.floats(-0.6, 0.6),
       st.floats(1.0, 20.0), st.tuples(small, small), poses)
def test_the_axis_ends_up_on_the_place(head, frame, azimuth, height, distance, aside, pose):
    place = distance * np.array([math.cos(azimuth) * math.cos(height),
                                 math.sin(azimuth) * math.cos(height), math.sin(height)])
    ahead = np.array([aside[0], aside[1], 1.0]) if frame == 'camera_optical_frame' else \
        np.array([1.0, aside[0], aside[1]])
    aim = aim_of(head, frame, ahead.tolist())
    goal = aim.joints(place, pose, WIDE)
    there = PanTiltState(goal.pan_rad, goal.tilt_rad)
    seen = seen_from(head, there, frame, place)
    assert np.dot(seen, ahead) > 0
    np.testing.assert_allclose(np.cross(seen, ahead) / np.linalg.norm(seen), 0, atol=2e-3)
    assert aim.error(place, goal) == pytest.approx(
        float(np.linalg.norm(np.cross(seen, ahead))
              / np.linalg.norm(seen) / np.linalg.norm(ahead)), abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(heads, poses, st.sampled_from(['pan_link', *FRAMES]),
       st.tuples(*[st.floats(0.5, 3.0)] * 3))
def test_a_place_in_any_frame_of_the_head_is_where_tf_says(head, pose, frame, place):
    wanted = (from_base(head, pose, frame) @ [*place, 1.0])[:3]
    np.testing.assert_allclose(place_in_base(head, frame, place, pose), wanted, atol=1e-9)


def test_nothing_said_means_the_camera_straight_ahead():
    place = np.array([1.0, 1.0, 0.0])
    for frame in ('', 'tilt_link'):
        goal = aim_of(HeadGeometry(), frame).joints(place, PanTiltState(0.0, 0.0), WIDE)
        assert (goal.pan_rad, goal.tilt_rad) == pytest.approx((math.pi / 4, 0.0), abs=1e-12)


def test_the_nearer_turn_inside_the_limits_is_taken():
    place, aim = np.array([-1.0, 0.1, 0.0]), aim_of(HeadGeometry())
    assert aim.joints(place, PanTiltState(-3.0, 0.0), WIDE).pan_rad < -3.0
    assert aim.joints(place, PanTiltState(3.0, 0.0), WIDE).pan_rad > 3.0
    narrow = PanTiltLimits((-3.14, -1.0), (3.14, 1.0))
    assert aim.joints(place, PanTiltState(-3.0, 0.0), narrow).pan_rad > 3.0


@pytest.mark.parametrize('ask, says', [
    (lambda: aim_of(HeadGeometry(), 'pan_link'), 'pointing_frame is one of'),
    (lambda: aim_of(HeadGeometry(), '', [0.0, 0.0, -1.0]), 'too far aside'),
    (lambda: aim_of(HeadGeometry(), '', [math.nan, 0.0, 1.0]), 'finite'),
    (lambda: place_in_base(HeadGeometry(), 'map', [1, 0, 0], PanTiltState(0, 0)), 'transform it'),
    (lambda: place_in_base(HeadGeometry(), '', [0, 0, 0], PanTiltState(0, 0)), 'no direction'),
    (lambda: place_in_base(HeadGeometry(), '', [math.inf, 0, 0], PanTiltState(0, 0)), 'finite')])
def test_what_cannot_be_is_refused(ask, says):
    with pytest.raises(CommandError, match=says):
        ask()
