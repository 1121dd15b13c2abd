"""Heads whose axes and camera do not meet in one point."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from gaze_robot.errors import ConfigError
from gaze_robot.geometry import base_from_optical, direction_from_pan_tilt
from gaze_robot.head_geometry import (
    HeadGeometry,
    rotation_about,
    rotation_from_rpy,
    rpy_from_rotation,
)
from gaze_robot.nodes._frames import fixed_frames, moving_frames
from gaze_robot.types import PanTiltCommand, PanTiltState

small = st.floats(-0.2, 0.2)
length = st.floats(-0.1, 0.1)
heads = st.builds(HeadGeometry, length, small, st.tuples(small, small, small),
                  st.tuples(length, length, length))
pans, tilts = st.floats(-3.0, 3.0), st.floats(-0.9, 0.9)


def matrix(turn):
    """4 x 4 of a published frame, from Hamilton's product."""
    x, y, z, w = turn.quaternion
    vector = np.array([x, y, z])
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    out = np.eye(4)
    out[:3, :3] = (w * w - vector @ vector) * np.eye(3) + 2 * np.outer(vector, vector) \
        + 2 * w * cross
    out[:3, 3] = turn.xyz
    return out


def test_without_offsets_everything_is_as_it_was():
    head = HeadGeometry()
    pose = PanTiltState(0.4, -0.2, 1.0, 0.5, 3.0)
    assert head.plain
    assert head.view(pose) == (pose, 0.0)
    np.testing.assert_allclose(head.optical(0.4, -0.2)[0], base_from_optical(0.4, -0.2),
                               atol=1e-12)
    np.testing.assert_allclose(head.direction_to(np.array([0.0, 2.0, 0.0])), (0, 1, 0))


@settings(max_examples=60, deadline=None)
@given(heads, pans, tilts)
def test_the_published_frames_are_this_geometry(head, pan, tilt):
    total = np.eye(4)
    for turn in moving_frames(PanTiltState(pan, tilt), '', head) + fixed_frames('', head):
        total = total @ matrix(turn)
    rotation, origin = head.optical(pan, tilt)
    np.testing.assert_allclose(total[:3, :3], rotation, atol=1e-9)
    np.testing.assert_allclose(total[:3, 3], origin, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(heads, pans, tilts)
def test_a_view_is_the_optical_frame_as_pan_tilt_and_roll(head, pan, tilt):
    view, roll = head.view(PanTiltState(pan, tilt))
    level = base_from_optical(view.pan_rad, view.tilt_rad) @ rotation_about('z', roll)
    np.testing.assert_allclose(level, head.optical(pan, tilt)[0], atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(heads, pans, tilts, st.floats(-1, 1), st.floats(-1, 1))
def test_joints_are_the_inverse_of_the_view_speeds_too(head, pan, tilt, pan_speed, tilt_speed):
    view, _ = head.view(PanTiltState(pan, tilt, pan_speed, tilt_speed))
    back = head.joints(PanTiltCommand(view.pan_rad, view.tilt_rad, view.pan_rad_s,
                                      view.tilt_rad_s))
    assert (back.pan_rad, back.tilt_rad) == pytest.approx((pan, tilt), abs=1e-7)
    assert (back.pan_rad_s, back.tilt_rad_s) == pytest.approx((pan_speed, tilt_speed), abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(heads, pans, st.floats(-0.5, 0.5), st.floats(0.6, 5.0))
def test_a_near_point_ends_up_in_the_middle_of_the_picture(head, pan, tilt, distance):
    point = distance * direction_from_pan_tilt(pan, tilt)
    look = head.direction_to(point)
    joints = head.joints(PanTiltCommand(math.atan2(look[1], look[0]),
                                        math.atan2(-look[2], math.hypot(look[0], look[1]))))
    rotation, origin = head.optical(joints.pan_rad, joints.tilt_rad)
    seen = rotation.T @ (point - origin)
    assert math.hypot(seen[0], seen[1]) / seen[2] < 1e-3


@given(st.floats(-3, 3), st.floats(-1.5, 1.5), st.floats(-3, 3))
def test_roll_pitch_and_yaw_come_back(roll, pitch, yaw):
    np.testing.assert_allclose(rpy_from_rotation(rotation_from_rpy(roll, pitch, yaw)),
                               (roll, pitch, yaw), atol=1e-9)


def test_what_is_out_of_reach_becomes_the_nearest():
    head = HeadGeometry(camera_rpy=(0.0, 0.0, 0.3))         # never looks straight up
    up = head.joints(PanTiltCommand(0.0, -math.pi / 2))
    assert head.view(PanTiltState(up.pan_rad, up.tilt_rad))[0].tilt_rad == pytest.approx(
        -math.pi / 2 + 0.3, abs=1e-6)


@pytest.mark.parametrize('wrong', [
    {'tilt_axis_roll': math.nan}, {'camera_xyz': (0.0, math.inf, 0.0)}, {'tilt_axis_roll': 1.5},
    {'camera_rpy': (0.0, 0.0, 2.0)}])
def test_what_is_no_head_is_refused(wrong):
    with pytest.raises(ConfigError):
        HeadGeometry(**wrong)
