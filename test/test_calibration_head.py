"""A head from views of a board: axes, camera and zeros are found again, or refused."""

import math

import numpy as np
import pytest

from gaze_robot.calibration.board import Board
from gaze_robot.calibration.drawing import head_picture
from gaze_robot.calibration.head_command import (
    CalibrateHeadConfig,
    head_parameters,
    pattern,
)
from gaze_robot.calibration.head_fit import as_mount, fit_head, HeadView
from gaze_robot.camera import CameraModel
from gaze_robot.config import from_mapping, PanTiltConfig
from gaze_robot.errors import CalibrationError, ConfigError
from gaze_robot.geometry import angle_between, base_from_optical
from gaze_robot.head_geometry import HeadGeometry, rotation_from_rpy
from gaze_robot.nodes._mount import Mount
from gaze_robot.types import PanTiltState

BOARD = Board.parse('charuco:9x6:60')
CAMERA = CameraModel(640, 480, 420, 421, 325, 236, 'plumb_bob', (-0.3, 0.1, 0.001, -0.001, 0.0))
TICK_RAD = math.tau / 4096
CENTRE = (0.9, 0.1, -0.05)
AZIMUTH = math.atan2(CENTRE[1], CENTRE[0])
HEAD = HeadGeometry(0.03, 0.015, (0.05, 0.0, -0.04), (0.04, 0.01, 0.05))
ZERO = (0.21, -0.13)


def views(head=HEAD, zero=ZERO, direction=(1, 1), side=7, span=(0.6, 0.45), noise=0.3, seed=0,
          camera=CAMERA):
    """What a camera on this head sees of a board, with steps of its encoders and noisy corners."""
    rng = np.random.default_rng(seed)
    turn = rotation_from_rpy(0.05, 0.1, -0.1) @ base_from_optical(0.0, 0.0)
    origin = np.array(CENTRE) - turn @ BOARD.centre
    made = []
    for pan in AZIMUTH + np.linspace(-span[0], span[0], side):
        for tilt in np.linspace(-span[1], span[1], side):
            optical, place = head.optical(pan, tilt)
            pixels, visible = camera.project((origin + BOARD.corners @ turn.T - place) @ optical)
            ids = np.flatnonzero(visible)
            if len(ids) < 6:
                continue
            said = (zero[0] + direction[0] * pan, zero[1] + direction[1] * tilt)
            made.append(HeadView(tuple(round(angle / TICK_RAD) * TICK_RAD for angle in said), ids,
                                 pixels[ids] + rng.normal(0, noise, (len(ids), 2))))
    return made


@pytest.mark.parametrize('direction, seed', [((1, 1), 0), ((-1, 1), 1), ((1, -1), 2)])
def test_the_truth_is_recovered_with_0_3_px_of_noise(direction, seed):
    found = fit_head(views(direction=direction, seed=seed), BOARD, CAMERA, AZIMUTH)
    assert found.direction == direction
    assert np.degrees(np.abs(np.array(found.zero_rad) - ZERO)).max() < 0.05
    assert abs(math.degrees(found.geometry.tilt_axis_roll - HEAD.tilt_axis_roll)) < 0.1
    turn = rotation_from_rpy(*found.geometry.camera_rpy).T @ rotation_from_rpy(*HEAD.camera_rpy)
    assert math.degrees(math.acos(min((np.trace(turn) - 1) / 2, 1.0))) < 0.1
    assert abs(found.geometry.tilt_axis_forward - HEAD.tilt_axis_forward) < 0.003
    assert np.abs(np.array(found.geometry.camera_xyz) - HEAD.camera_xyz).max() < 0.003
    assert found.rms_px == pytest.approx(0.33, abs=0.1)
    off = abs(found.zero_rad[1] - ZERO[1])
    assert off < 4 * found.deviation['tilt zero']
    assert head_picture(found, (640, 480)).ndim == 3


def test_a_camera_far_off_its_zero_is_found():
    zero = (-2.9, 1.6)
    found = fit_head(views(zero=zero, head=HeadGeometry(0.0, 0.01, (0.03, 0.0, 0.02)), noise=0.1,
                           side=5), BOARD, CAMERA, AZIMUTH, position=False)
    np.testing.assert_allclose(found.zero_rad, zero, atol=math.radians(0.06))


def test_without_where_the_board_is_the_pan_keeps_its_zero():
    found = fit_head(views(noise=0.1, side=5), BOARD, CAMERA)
    assert found.zero_rad[0] == 0.0
    assert found.zero_rad[1] == pytest.approx(ZERO[1], abs=math.radians(0.05))


def test_views_from_poses_the_head_was_not_in_are_left_out():
    some = views(side=5, noise=0.1)
    for index in (3, 11):
        pan, tilt = some[index].joints_rad
        some[index] = HeadView((pan + 0.05, tilt), some[index].ids, some[index].pixels)
    found = fit_head(some, BOARD, CAMERA, AZIMUTH)
    assert found.left_out == 2
    assert found.zero_rad == pytest.approx(ZERO, abs=math.radians(0.08))


@pytest.mark.parametrize('poor, says', [
    (lambda: views(side=2), 'only 4 views'),
    (lambda: views(span=(0.6, 0.02), side=5), 'the tilt moved by'),
    (lambda: views(span=(0.02, 0.45), side=5), 'the pan moved by'),
    (lambda: views(span=(0.12, 0.1), side=5, noise=1.2), 'is known to .* only|pixels off'),
    (lambda: views(side=4, noise=4.0), 'pixels off|known to')])
def test_poor_data_are_refused_with_the_reason(poor, says):
    with pytest.raises(CalibrationError, match=says):
        fit_head(poor(), BOARD, CAMERA, AZIMUTH)


def test_a_board_that_moved_is_refused():
    some = views(side=5, noise=0.1)
    rng = np.random.default_rng(0)
    moved = [HeadView(view.joints_rad, view.ids, view.pixels + rng.normal(0, 12, 2))
             for view in some]
    with pytest.raises(CalibrationError, match='did the board move|known to|no pan-tilt head'):
        fit_head(moved, BOARD, CAMERA, AZIMUTH)


@pytest.mark.parametrize('joints', [(math.nan, 0.0), (0.0, math.inf)])
def test_joints_that_are_no_numbers_are_refused(joints):
    with pytest.raises(CalibrationError, match='encoders'):
        HeadView(joints, np.arange(8), np.zeros((8, 2)))


@pytest.mark.parametrize('direction', [(1, 1), (-1, 1)])
def test_what_is_written_makes_the_motors_read_true(direction):
    """By the node's own mount: what a motor reads at a true pose becomes that pose."""
    before = PanTiltConfig(direction=(1, -1), offset=(0.3, -0.2))
    found = fit_head(views(direction=direction, noise=0.05, side=5), BOARD, CAMERA, AZIMUTH)
    nodes = head_parameters(found, before, 'calibrate')
    after = from_mapping(PanTiltConfig, nodes['pan_tilt'])
    true = np.array([0.2, 0.1])
    said = np.array(ZERO) + np.array(direction) * true
    motor = np.array(before.offset) + np.array(before.direction) * said
    read = Mount(after.direction, after.offset).to_joint(PanTiltState(*motor))
    np.testing.assert_allclose((read.pan_rad, read.tilt_rad), true, atol=math.radians(0.06))
    assert nodes['gaze']['camera_mount.rpy'] == nodes['pan_tilt']['camera_mount.rpy']
    assert after.geometry.camera_rpy == pytest.approx(HEAD.camera_rpy, abs=math.radians(0.1))


def test_zeros_that_are_kept_go_into_the_mount():
    """Either way the camera looks where it did."""
    found = fit_head(views(zero=(0.0, -0.13), noise=0.05, side=5), BOARD, CAMERA)
    kept = as_mount(found)
    for pan, tilt in ((0.0, 0.0), (0.4, 0.2), (-0.3, -0.4)):
        here, place = kept.optical(pan, tilt)
        there, spot = found.geometry.optical(pan, tilt - found.zero_rad[1])
        assert math.degrees(angle_between(here[:, 2], there[:, 2])) < 1e-6
        np.testing.assert_allclose(here, there, atol=1e-9)
        np.testing.assert_allclose(place, spot, atol=1e-9)


def test_kept_zeros_cannot_turn_a_joint_round():
    found = fit_head(views(direction=(-1, 1), noise=0.05, side=5), BOARD, CAMERA)
    with pytest.raises(CalibrationError, match="robot's own description"):
        as_mount(found)


def test_the_pattern_keeps_the_board_in_view_and_the_head_in_its_limits():
    config, head = CalibrateHeadConfig(), PanTiltConfig(limits_tilt_max_position=0.2)
    poses = np.array(pattern((0.5, 0.0), config, head, CAMERA, (0.1, 0.0)))
    assert len(poses) == config.side ** 2
    assert poses[:, 1].max() <= 0.2
    assert np.ptp(poses[:, 0]) > math.radians(30)
    assert np.abs(np.diff(poses, axis=0)).max() < 0.3           # to and fro, no long ways back
    with pytest.raises(CalibrationError, match='point the head at the board'):
        pattern((0.5, 0.0), config, head, CAMERA, (0.78, 0.0))


@pytest.mark.parametrize('wrong', [{'side': 2}, {'pictures': 0}, {'pan_deg': math.nan},
                                   {'board_pan_deg': 200.0}])
def test_options_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigError):
        CalibrateHeadConfig(**wrong)
