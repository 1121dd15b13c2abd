"""A camera's picture lies in the panorama where the camera looked."""

import math

import cv2
import numpy as np
import pytest

from gaze_robot.camera import CameraModel
from gaze_robot.errors import WorldError
from gaze_robot.foveation import FILL
from gaze_robot.geometry import base_ray, panorama_pixel
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.fixed_camera import FixedCamera, FixedCameraScene, MAX_LAID_WIDTH

VIEWS = [FixedCamera(math.radians(70)), FixedCamera(math.radians(100), 0.6, -0.3),
         FixedCamera(math.radians(40), math.pi, 0.9)]


@pytest.mark.parametrize('view', VIEWS, ids=lambda view: f'{math.degrees(view.pan_rad):.0f}deg')
def test_a_dot_lies_in_the_direction_in_which_the_camera_saw_it(view):
    camera = CameraModel.from_hfov(320, 240, view.hfov_rad)
    for u, v in ((160, 120), (40, 60), (300, 200)):
        image = np.zeros((240, 320, 3), np.uint8)
        cv2.circle(image, (u, v), 6, (255, 0, 0), -1)
        laid = view.lay(image)
        ray = camera.unproject(np.array([u + 0.5, v + 0.5]))
        x, y = panorama_pixel(base_ray(ray, view.pan_rad, view.tilt_rad), laid.shape[1],
                              laid.shape[0])
        assert laid[int(y), int(x) % laid.shape[1], 0] > 200
        assert ((laid[..., 0] > 200).sum()) < 0.01 * laid[..., 0].size


@pytest.mark.parametrize('view', VIEWS, ids=lambda view: f'{math.degrees(view.pan_rad):.0f}deg')
def test_an_eye_at_the_camera_sees_its_picture_again(view):
    u, v = np.meshgrid(np.linspace(0, 3, 320), np.linspace(0, 3, 240))
    image = np.stack([127 + 120 * np.sin(u + k * v) for k in (0, 1, 2)], -1).astype(np.uint8)
    panorama = Panorama(view.lay(image), brief=True)
    again = panorama.picture(CameraModel.from_hfov(320, 240, view.hfov_rad), view.pan_rad,
                             view.tilt_rad)
    inner = (slice(8, -8), slice(8, -8))               # the edge is mixed with the grey outside
    difference = again[inner].astype(float) - image[inner]
    assert np.sqrt((difference ** 2).mean()) < 2.0


def test_around_the_picture_is_grey_and_its_box_holds_it():
    view = FixedCamera(math.radians(60), 0.4, 0.2)
    laid = view.lay(np.zeros((90, 160, 3), np.uint8))
    rows, columns = view.box(160, 90)
    outside = np.ones(laid.shape[:2], bool)
    outside[rows, columns] = False
    assert (laid[outside] == FILL).all()
    seen = (laid == 0).all(axis=2)
    # Solid angle of a pyramid of 60 degrees by what 9/16 of its tangent gives.
    a, b = math.tan(math.radians(30)), math.tan(math.radians(30)) * 9 / 16
    solid = 4 * math.asin(a * b / math.hypot(1, a) / math.hypot(1, b))
    height = laid.shape[0]
    level = np.cos((np.arange(height) + 0.5) / height * np.pi - np.pi / 2)
    assert (seen * level[:, None]).sum() * (np.pi / height) ** 2 == pytest.approx(solid, rel=0.03)


def test_large_pictures_are_shrunk_with_their_detail_averaged():
    stripes = np.zeros((1080, 1920, 3), np.uint8)
    stripes[:, ::2] = 200
    laid = FixedCamera(math.radians(60)).lay(stripes)
    assert laid.shape == (MAX_LAID_WIDTH // 2, MAX_LAID_WIDTH, 3)
    middle = laid[500:524, 1000:1048].astype(float)
    assert abs(middle.mean() - 100) < 3
    assert middle.std() < 15                           # of 100, where nothing is averaged


@pytest.mark.parametrize('given', [(0.0,), (3.0,), (1.0, 4.0), (1.0, 0.0, 2.0), (math.nan,)])
def test_cameras_that_cannot_be_are_refused(given):
    with pytest.raises(WorldError, match='a fixed camera'):
        FixedCamera(*given)


def test_a_video_plays_in_place_from_any_frame_on(tmp_path, write_ramp):
    path = write_ramp(tmp_path / 'ramp.mp4', 40, 30.0, (160, 120))
    scene = FixedCameraScene(path, FixedCamera(1.0), part=(10, 20), rate_hz=15.0)
    assert scene.duration_s == pytest.approx(20 / 15)
    for k in (0, 5, 19):
        image = scene.panorama(k / 15).image
        middle = image[image.shape[0] // 2, image.shape[1] // 2]
        assert round(middle.mean() / 6 + 0.4) == 10 + k      # encoding darkens
        assert (image[0] == FILL).all()
    assert scene.panorama(20 / 15).image[:, :, 0].max() == scene.panorama(0).image[:, :, 0].max()
    scene.close()
    with pytest.raises(WorldError, match='frame 41, which is needed'):
        FixedCameraScene(path, FixedCamera(1.0), part=(21, 20))
