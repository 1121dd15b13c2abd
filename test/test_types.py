"""Records that cross module boundaries refuse what they cannot hold."""

import math

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from gaze_robot.camera import CameraModel
from gaze_robot.errors import CommandError, ImageError
from gaze_robot.types import (
    Exemplar,
    Frame,
    GazeTarget,
    PanTiltCommand,
    PanTiltLimits,
)

CAMERA = CameraModel.from_hfov(64, 48, math.pi / 2)


def test_frame_holds_a_picture_of_its_cameras_size():
    frame = Frame(np.zeros((48, 64, 3), np.uint8), 1.5, CAMERA)
    assert frame.stamp_s == 1.5


@pytest.mark.parametrize('image, reason', [
    (np.zeros((48, 64), np.uint8), 'height, width, 3'),
    (np.zeros((48, 64, 4), np.uint8), 'height, width, 3'),
    (np.zeros((48, 64, 3), np.uint16), 'uint16'),
    (np.full((48, 64, 3), np.nan), 'float64'),
    (np.zeros((0, 0, 3), np.uint8), 'empty'),
    (np.zeros((64, 48, 3), np.uint8), '48x64 and its camera model 64x48')],
    ids=['grey', 'rgba', '16-bit', 'nan', 'empty', 'turned'])
def test_frame_refuses(image, reason):
    with pytest.raises(ImageError, match=reason):
        Frame(image, 0.0, CAMERA)


@pytest.mark.parametrize('position', range(4))
@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf])
def test_command_refuses_what_is_not_finite(position, bad):
    values = [0.0] * 4
    values[position] = bad
    with pytest.raises(CommandError, match='finite'):
        PanTiltCommand(*values)


@pytest.mark.parametrize('rows, reason', [
    ({'min_position': (1.0, 0.0), 'max_position': (1.0, 1.0)}, 'below max_position'),
    ({'min_position': (2.0, 0.0), 'max_position': (1.0, 1.0)}, 'below max_position'),
    ({'max_velocity': (0.0, 1.0)}, 'positive'),
    ({'max_acceleration': (1.0, -1.0)}, 'positive'),
    ({'max_velocity': (math.inf, 1.0)}, 'finite'),
    ({'min_position': (-1.0, math.nan)}, 'finite'),
    ({'max_velocity': (1.0, 1.0, 1.0)}, 'pairs')])
def test_limits_refuse(rows, reason):
    with pytest.raises(CommandError, match=reason):
        PanTiltLimits(**rows)


wild = st.floats(allow_nan=False, allow_infinity=False)


@given(wild, wild, wild, wild)
def test_clipped_command_is_inside_the_limits_and_clipping_again_changes_nothing(
        pan, tilt, pan_speed, tilt_speed):
    limits = PanTiltLimits((-1.0, 0.2), (2.0, 0.7), (3.0, 0.5), (9.0, 9.0))
    sent = limits.clip(PanTiltCommand(pan, tilt, pan_speed, tilt_speed))
    assert -1 <= sent.pan_rad <= 2
    assert 0.2 <= sent.tilt_rad <= 0.7
    assert abs(sent.pan_rad_s) <= 3
    assert abs(sent.tilt_rad_s) <= 0.5
    assert limits.clip(sent) == sent


@given(st.floats(-0.99, 1.99), st.floats(0.21, 0.69), st.floats(-3, 3), st.floats(-0.5, 0.5))
def test_command_inside_the_limits_is_left_as_it_is(
        pan, tilt, pan_speed, tilt_speed):
    limits = PanTiltLimits((-1.0, 0.2), (2.0, 0.7), (3.0, 0.5), (9.0, 9.0))
    command = PanTiltCommand(pan, tilt, pan_speed, tilt_speed)
    assert limits.clip(command) == command


def test_at_a_limit_no_speed_leads_out_of_it():
    limits = PanTiltLimits()
    sent = limits.clip(PanTiltCommand(5.0, -5.0, 1.0, -1.0))
    assert (sent.pan_rad_s, sent.tilt_rad_s) == (0.0, 0.0)
    back = limits.clip(PanTiltCommand(5.0, -5.0, -1.0, 1.0))
    assert (back.pan_rad_s, back.tilt_rad_s) == (-1.0, 1.0)


@pytest.mark.parametrize('image, width_rad, reason', [
    (np.zeros((8, 8), np.uint8), 0.1, 'height, width, 3'),
    (np.zeros((8, 8, 3), np.float32), 0.1, 'float32'),
    (np.zeros((3, 8, 3), np.uint8), 0.1, '8x3'),
    (np.zeros((8, 8, 3), np.uint8), 0.0, 'between 0 and 90'),
    (np.zeros((8, 8, 3), np.uint8), 1.6, 'between 0 and 90'),
    (np.zeros((8, 8, 3), np.uint8), math.nan, 'between 0 and 90')])
def test_exemplar_refuses(image, width_rad, reason):
    with pytest.raises(ImageError, match=reason):
        Exemplar(image, width_rad)


@pytest.mark.parametrize('direction, confidence', [
    (np.array([1.0, 0.0]), 0.5), (np.array([1.0, math.nan, 0.0]), 0.5),
    (np.array([1.0, 0.0, 0.0]), 1.5), (np.array([1.0, 0.0, 0.0]), math.nan)])
def test_gaze_target_refuses(direction, confidence):
    with pytest.raises(ValueError, match='direction must be|probability'):
        GazeTarget(direction, confidence, True)
