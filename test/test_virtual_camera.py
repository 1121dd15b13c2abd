import math

import numpy as np
import pytest

from gaze_robot.camera import CameraModel
from gaze_robot.geometry import panorama_pixel
from gaze_robot.types import PanTiltState
from gaze_robot_sim.dynamics import EyeDynamics
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.virtual_camera import VirtualCamera


@pytest.fixture
def camera():
    return VirtualCamera(CameraModel.from_hfov(64, 48, 1.0))


def add(camera, pan, stamp_s, speed=0.0):
    camera.poses.add(PanTiltState(pan, 0.0, speed, 0.0, stamp_s))


def test_the_shutter_falls_at_the_newest_joint_state(camera):
    add(camera, 0.5, 10.000)
    pose = camera.exposure(10.008)
    assert (pose.pan_rad, pose.stamp_s) == (0.5, 10.0)


def test_without_a_newer_joint_state_the_pose_is_carried_on(camera):
    panorama = Panorama(np.zeros((64, 128, 3), np.uint8))
    add(camera, 0.5, 10.0, speed=1.0)
    first = camera.shoot(panorama, 10.008)
    second = camera.shoot(panorama, 10.03)
    assert second.pose.stamp_s == 10.03 > first.pose.stamp_s
    assert second.pose.pan_rad == pytest.approx(0.53)


def test_a_head_that_fell_silent_is_where_it_was_last_seen_now(camera):
    add(camera, 0.5, 10.0, speed=1.0)
    pose = camera.exposure(20.0)
    assert (pose.pan_rad, pose.stamp_s) == (0.5, 20.0)


def test_without_a_head_the_camera_looks_straight_ahead(camera):
    pose = camera.exposure(3.0)
    assert (pose.pan_rad, pose.tilt_rad, pose.stamp_s) == (0.0, 0.0, 3.0)


def test_it_sees_what_lies_along_its_gaze(camera):
    """A white dot in the panorama is in the middle of the picture when the head looks there."""
    pan = math.radians(60)
    add(camera, pan, 1.0)
    image = np.zeros((256, 512, 3), np.uint8)
    u, v = panorama_pixel(np.array([math.cos(pan), math.sin(pan), 0.0]), 512, 256)
    image[int(v) - 2:int(v) + 2, int(u) - 2:int(u) + 2] = 255
    shot = camera.shoot(Panorama(image), 1.0)
    rows, columns = np.nonzero(shot.image[..., 0] > 100)
    assert (columns.mean(), rows.mean()) == pytest.approx((32, 24), abs=1.5)
    np.testing.assert_allclose(shot.gaze, (math.cos(pan), math.sin(pan), 0), atol=1e-12)


def test_while_the_head_turns_an_edge_is_as_wide_as_the_way_it_went():
    """From black to white over speed * exposure, and sharp where the head stands."""
    image = np.zeros((512, 1024, 3), np.uint8)
    image[:, :512] = 255                                # left of straight ahead
    wide = {}
    for speed in (0.0, 2.0):
        camera = VirtualCamera(CameraModel.from_hfov(64, 48, 1.0),
                               EyeDynamics(exposure_s=(0.05, 0.05)))
        add(camera, 0.0, 1.0, speed)
        row = camera.shoot(Panorama(image), 1.0).image[24, :, 0].astype(int)
        assert (row[0], row[-1]) == (255, 0)
        wide[speed] = np.count_nonzero((row > 10) & (row < 245))
        assert abs(row.sum() / 255 - 32) < 0.7          # centred on the pose
    assert wide[0.0] <= 3
    assert wide[2.0] == pytest.approx(2.0 * 0.05 * camera.camera.fx, abs=2.5)


def test_its_noise_and_its_losses_follow_the_generator():
    dynamics = EyeDynamics(sensor_noise=(3.0, 3.0), drop_rate=(0.5, 0.5))
    panorama, lens = Panorama(np.full((64, 128, 3), 90, np.uint8)), CameraModel.from_hfov(
        64, 48, 1.0)
    one, same, other = (VirtualCamera(lens, dynamics, np.random.default_rng(seed))
                        for seed in (1, 1, 2))
    lost = [[camera.loses_picture() for _ in range(50)] for camera in (one, same, other)]
    assert 10 < sum(lost[0]) < 40
    assert lost[0] == lost[1] != lost[2]
    shots = [camera.shoot(panorama, 1.0).image for camera in (one, same, other)]
    np.testing.assert_array_equal(shots[0], shots[1])
    assert (shots[0] != shots[2]).mean() > 0.5
    assert shots[0].std() == pytest.approx(3.0, rel=0.1)
