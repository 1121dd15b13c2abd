"""All lens models against OpenCV's own projections, and the conventions around them."""

import dataclasses
import math
import pickle

import cv2
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from gaze_robot.camera import CameraModel
from gaze_robot.errors import CameraModelError

LENSES = {
    'pinhole': ('plumb_bob', (0.0,) * 5),
    'plumb_bob_4': ('plumb_bob', (-0.28, 0.07, 0.001, -0.0005)),
    'plumb_bob_5': ('plumb_bob', (-0.30, 0.10, 0.001, -0.0005, -0.012)),
    'pincushion': ('plumb_bob', (0.12, -0.05, 0.0, 0.0, 0.01)),
    'rational_8': ('rational_polynomial', (8.1, 3.2, 3e-4, -2e-4, 0.15, 8.5, 5.5, 0.9)),
    'rational_12': ('rational_polynomial', (0.4, -0.1, 3e-4, -2e-4, 0.02, 0.75, -0.05, 0.03,
                                            1e-3, 1e-4, -5e-4, 2e-4)),
    'rational_14': ('rational_polynomial', (0.4, -0.1, 3e-4, -2e-4, 0.02, 0.75, -0.05, 0.03,
                                            1e-3, 1e-4, -5e-4, 2e-4, 0.01, -0.02)),
    'equidistant': ('equidistant', (-0.02, 0.005, -0.003, 0.0004)),
    'equidistant_ideal': ('equidistant', (0.0,) * 4),
}


@pytest.fixture(params=LENSES, name='camera')
def fixture_camera(request):
    model, distortion = LENSES[request.param]
    return CameraModel(640, 480, 401.5, 399.0, 322.3, 238.7, model, distortion)


def opencv_pixels(camera, rays):
    """OpenCV counts the top-left pixel's centre as (0, 0): take half a pixel off, then add it."""
    matrix = np.array([[camera.fx, 0, camera.cx - 0.5], [0, camera.fy, camera.cy - 0.5],
                       [0, 0, 1]])
    project = cv2.fisheye.projectPoints if camera.model == 'equidistant' else cv2.projectPoints
    coefficients = np.array(camera.distortion)
    pixels, _ = project(rays[:, None], np.zeros(3), np.zeros(3), matrix, coefficients)
    return pixels.reshape(-1, 2) + 0.5


def rays_in_front(rng, count=500, max_angle=0.7):
    angle, around = rng.uniform(0, max_angle, count), rng.uniform(0, 2 * math.pi, count)
    length = rng.uniform(0.1, 10, count)[:, None]
    return length * np.stack([np.sin(angle) * np.cos(around), np.sin(angle) * np.sin(around),
                              np.cos(angle)], axis=1)


def test_project_agrees_with_opencv(camera):
    rays = rays_in_front(np.random.default_rng(0))
    pixels, visible = camera.project(rays)
    expected = opencv_pixels(camera, rays)
    inside = ((expected > 0) & (expected < (640, 480))).all(axis=1)
    np.testing.assert_array_equal(visible, inside)
    assert inside.sum() > 200
    np.testing.assert_allclose(pixels[inside], expected[inside], atol=1e-6)


def test_unproject_finds_the_ray_that_opencv_projects_to_the_pixel(camera):
    u, v = np.meshgrid(np.arange(20.5, 620, 13), np.arange(20.5, 460, 11))
    pixels = np.stack([u, v], axis=-1)
    rays = camera.unproject(pixels)
    assert rays.shape == (*u.shape, 3)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1)
    np.testing.assert_allclose(opencv_pixels(camera, rays.reshape(-1, 3)),
                               pixels.reshape(-1, 2), atol=1e-5)


def test_principal_point_looks_along_the_axis(camera):
    np.testing.assert_allclose(camera.unproject([camera.cx, camera.cy])[2], 1, atol=1e-3)
    if len(camera.distortion) < 14:                     # 14: a tilted sensor moves it
        pixel, visible = camera.project([0.0, 0.0, 2.0])
        np.testing.assert_allclose(pixel, (camera.cx, camera.cy))
        assert visible


def test_right_in_the_picture_is_right_of_the_axis_and_low_is_down(camera):
    right, low = camera.unproject([[500.0, camera.cy], [camera.cx, 400.0]])
    assert right[0] > 0.2
    assert low[1] > 0.2


def test_rays_behind_a_pinhole_camera_are_not_visible():
    camera = CameraModel.from_hfov(640, 480, 1.5)
    _, visible = camera.project([[0.1, 0.0, -1.0], [0.0, 0.0, -1.0], [0.1, 0.1, 0.0],
                                 [0.0, 0.0, 0.0], [math.nan, 0.0, 1.0]])
    assert not visible.any()


def test_pixels_outside_the_picture_are_not_visible():
    camera = CameraModel.from_hfov(640, 480, math.pi / 2)
    _, visible = camera.project([[1.001, 0, 1], [0.999, 0, 1], [-1.001, 0, 1], [0, 0.751, 1],
                                 [0, 0.749, 1]])
    np.testing.assert_array_equal(visible, [False, True, False, False, True])


@pytest.mark.parametrize('hfov_deg', [10, 60, 90, 150])
def test_camera_of_a_field_of_view_has_it(hfov_deg):
    camera = CameraModel.from_hfov(1280, 720, math.radians(hfov_deg))
    assert math.degrees(camera.hfov_rad) == pytest.approx(hfov_deg)
    edge, _ = camera.project([math.sin(math.radians(hfov_deg / 2)), 0,
                              math.cos(math.radians(hfov_deg / 2))])
    np.testing.assert_allclose(edge, [1280, 360])
    assert camera.fx == camera.fy


def test_fisheye_sees_beyond_90_degrees():
    camera = CameraModel(640, 640, 180.0, 180.0, 320.0, 320.0, 'equidistant', (0.0,) * 4)
    angle = math.radians(100)
    pixel, visible = camera.project([-math.sin(angle), 0.0, math.cos(angle)])
    np.testing.assert_allclose(pixel, [320 - 180 * angle, 320])
    assert visible
    np.testing.assert_allclose(camera.unproject(pixel), [-math.sin(angle), 0, math.cos(angle)],
                               atol=1e-12)
    assert math.degrees(camera.hfov_rad) == pytest.approx(2 * math.degrees(320 / 180))


# --- folds: where a lens model stops being one-to-one


def grid_fold(grow, end):
    """Second route: walk outwards until the image stops growing."""
    x = np.linspace(0, end, 400_001)
    falling = np.nonzero(np.diff(grow(x)) <= 0)[0]
    return x[falling[0]] if len(falling) else math.inf


@pytest.mark.parametrize('distortion', [
    (-0.3, 0.0, 0.0, 0.0, 0.0), (-0.38, 0.17, 2e-4, -3e-4, -0.04), (-0.005, 0.0, 0.0, 0.0, 0.0),
    (0.1, 0.0, 0.0, 0.0, 0.0), (-0.30, 0.10, 0.001, -0.0005),
    (1.0, -0.3, 0.0, 0.0, 0.0, 0.8, 0.0, 0.0), (0.2, 0.0, 0.0, 0.0, 0.0, -0.1, 0.0, 0.0)])
def test_fold_of_a_pinhole_lens_is_where_it_stops_growing(distortion):
    def grow(radius):
        rays = np.stack([radius, 0 * radius, 1 + 0 * radius], axis=1)
        radial = np.array(distortion)
        radial[2:4] = 0
        image, _ = cv2.projectPoints(rays[:, None], np.zeros(3), np.zeros(3), np.eye(3), radial)
        return image[:, 0, 0]

    model = 'plumb_bob' if len(distortion) < 8 else 'rational_polynomial'
    camera = CameraModel(640, 480, 400, 400, 320, 240, model, distortion)
    expected = grid_fold(grow, 12.0)
    assert math.tan(camera.fold_angle_rad) == pytest.approx(expected, abs=1e-3) or (
        expected == math.inf and camera.fold_angle_rad == pytest.approx(math.pi / 2))


@pytest.mark.parametrize('distortion', [
    (0.0,) * 4, (-0.02, 0.005, -0.003, 0.0004), (-0.2, 0.0, 0.0, 0.0), (0.1, -0.2, 0.05, -0.01)])
def test_fold_of_a_fisheye_is_where_it_stops_growing(distortion):
    camera = CameraModel(640, 480, 200, 200, 320, 240, 'equidistant', distortion)
    k1, k2, k3, k4 = distortion
    expected = grid_fold(lambda t: t + k1 * t**3 + k2 * t**5 + k3 * t**7 + k4 * t**9, math.pi)
    assert camera.fold_angle_rad == pytest.approx(min(expected, math.pi), abs=1e-4)


def test_rays_beyond_the_fold_are_not_visible_though_the_polynomial_puts_them_in_the_picture():
    camera = CameraModel(640, 480, 300, 300, 320, 240, 'plumb_bob', (-0.3, 0.0, 0.0, 0.0, 0.0))
    fold = math.sqrt(1 / 0.9)                   # of r - 0.3 r^3, on paper
    pixel, visible = camera.project([[0.99 * fold, 0, 1], [1.01 * fold, 0, 1], [1.7, 0, 1]])
    np.testing.assert_array_equal(visible, [True, False, False])
    assert (pixel[:, 0] < 640).all()
    far = CameraModel(640, 480, 300, 300, 320, 240, 'plumb_bob', (-0.005, 0.0, 0.0, 0.0, 0.0))
    assert not far.project([math.sqrt(200.0), 0.0, 1.0])[1]     # back at the centre of the picture


@pytest.mark.parametrize('focal', [280.0, 320.0, 400.0])
@pytest.mark.parametrize('distortion', [
    (-0.3, 0.0, 0.0, 0.0, 0.0), (-0.38, 0.17, 2e-4, -3e-4, -0.04),
    (-0.3, 0.1, 1e-3, -5e-4, -0.01)], ids=['one', 'strong', 'mild'])
def test_pixel_beyond_the_lens_model_gives_the_models_edge_on_that_side(focal, distortion):
    camera = CameraModel(640, 480, focal, focal, 320, 240, 'plumb_bob', distortion)
    u, v = np.meshgrid(np.arange(0.5, 640, 9), np.arange(0.5, 480, 9))
    pixels = np.stack([u, v], axis=-1).reshape(-1, 2)
    rays = camera.unproject(pixels)
    assert np.isfinite(rays).all()
    angle = np.arctan2(np.hypot(rays[:, 0], rays[:, 1]), rays[:, 2])
    assert angle.max() <= camera.fold_angle_rad + 1e-9
    back, _ = camera.project(rays)
    missed = np.linalg.norm(back - pixels, axis=1)
    edge = math.tan(camera.fold_angle_rad)
    reach = focal * edge * np.polyval([distortion[4], distortion[1], distortion[0], 1], edge ** 2)
    inside = np.linalg.norm(pixels - (320, 240), axis=1) < 0.98 * reach
    assert inside.sum() > 1000
    assert missed[inside].max() < 1e-4
    offset = pixels - (320, 240)
    side = (rays[:, :2] * offset).sum(axis=1) / (
        np.linalg.norm(rays[:, :2], axis=1) * np.linalg.norm(offset, axis=1))
    assert side.min() > 0.99


@settings(max_examples=60, deadline=None)
@given(st.tuples(st.floats(-0.5, 0.5), st.floats(-0.3, 0.3), st.floats(-0.01, 0.01),
                 st.floats(-0.01, 0.01), st.floats(-0.1, 0.1)), st.floats(250, 900))
def test_any_lens_gives_finite_unit_rays_for_every_pixel(distortion, focal):
    camera = CameraModel(640, 480, focal, focal, 320, 240, 'plumb_bob', distortion)
    u, v = np.meshgrid(np.linspace(0, 640, 9), np.linspace(0, 480, 9))
    rays = camera.unproject(np.stack([u, v], axis=-1))
    np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1)
    assert (rays[..., 2] > 0).all()


def test_a_lens_whose_slope_is_steep_one_way_and_flat_the_other_still_gives_rays():
    # Found by test/tools/fuzz.py: the damping of a step was less than its rounding.
    camera = CameraModel(1920, 1200, 1920, 1920, 960, 780, 'rational_polynomial',
                         (0.2, -0.92, 0.93, -0.525, -0.995, -0.08, -0.78, -0.775))
    away = [(-0.48164583333333333, -0.3983125), (-0.475, -0.3933333333333333)]
    rays = camera.unproject(1920 * np.array(away) + (960, 780))
    np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1)


# --- camera_info


K = (500.0, 0.0, 319.5, 0.0, 510.0, 239.5, 0.0, 0.0, 1.0)


def test_ros_half_pixel_rule():
    """ROS puts (0, 0) on the centre of the first pixel: a centred K has cx = (width - 1) / 2."""
    camera = CameraModel.from_camera_info(640, 480, K, 'plumb_bob', (0.0,) * 5)
    assert (camera.cx, camera.cy) == (320.0, 240.0)
    np.testing.assert_allclose(camera.unproject([320.0, 240.0]), [0, 0, 1], atol=1e-12)


def test_roi_and_binning_give_the_same_rays_for_the_same_sensor_pixels():
    full = CameraModel.from_camera_info(640, 480, K, 'plumb_bob', (-0.1, 0.01, 0.0, 0.0, 0.0))
    part = CameraModel.from_camera_info(640, 480, K, 'plumb_bob', (-0.1, 0.01, 0.0, 0.0, 0.0),
                                        binning=(2, 4), roi=(100, 40, 320, 240))
    assert (part.width, part.height) == (160, 60)
    for u, v in ((0.0, 0.0), (160.0, 60.0), (31.5, 7.25)):
        np.testing.assert_allclose(part.unproject([u, v]),
                                   full.unproject([100 + 2 * u, 40 + 4 * v]), atol=1e-9)


def test_binning_of_zero_means_one_and_empty_roi_the_whole_picture():
    plain = CameraModel.from_camera_info(640, 480, K, 'plumb_bob', (0.0,) * 5)
    zeros = CameraModel.from_camera_info(640, 480, K, 'plumb_bob', (0.0,) * 5, (0, 0),
                                         (0, 0, 0, 0))
    assert plain == zeros


@pytest.mark.parametrize('model', ['', 'plumb_bob', 'rational_polynomial', 'equidistant'])
def test_camera_info_without_coefficients_is_an_ideal_lens(model):
    camera = CameraModel.from_camera_info(640, 480, K, model, ())
    assert not any(camera.distortion)


@pytest.mark.parametrize('change, reason', [
    ({'k': (0.0,) * 9}, 'not calibrated'),
    ({'k': K[:8]}, 'not calibrated'),
    ({'k': (math.nan, *K[1:])}, 'finite'),
    ({'d': (math.nan, 0.0, 0.0, 0.0, 0.0)}, 'finite'),
    ({'d': (0.1, 0.2)}, r'takes \(4, 5\) coefficients, got 2'),
    ({'model': 'thin_prism'}, "unknown distortion model 'thin_prism'; known"),
    ({'width': 0}, 'sees nothing'),
    ({'roi': (600, 0, 100, 100)}, 'leaves its 640x480 picture'),
    ({'roi': (-1, 0, 100, 100)}, 'leaves its'),
    ({'roi': (640, 0, 0, 0)}, 'sees nothing'),
    ({'binning': (1000, 1)}, 'sees nothing')], ids=str)
def test_camera_info_that_cannot_be_used_is_refused(change, reason):
    fields = {'width': 640, 'height': 480, 'k': K, 'model': 'plumb_bob', 'd': (0.0,) * 5, **change}
    with pytest.raises(CameraModelError, match=reason):
        CameraModel.from_camera_info(**fields)


@pytest.mark.parametrize('hfov', [0.0, -1.0, math.pi, 4.0, math.nan])
def test_impossible_field_of_view_is_refused(hfov):
    with pytest.raises(CameraModelError, match='between 0 and 180'):
        CameraModel.from_hfov(640, 480, hfov)


def test_scaled_camera_sees_the_same_rays(camera):
    half = camera.scaled(320, 240)
    np.testing.assert_allclose(half.unproject([[50.0, 70.0], [200.0, 160.0]]),
                               camera.unproject([[100.0, 140.0], [400.0, 320.0]]), atol=1e-7)


def test_two_cameras_do_not_share_what_they_remember():
    first = CameraModel(640, 480, 300, 300, 320, 240, 'plumb_bob', (-0.3, 0.0, 0.0, 0.0, 0.0))
    assert first.fold_angle_rad < 1
    second = dataclasses.replace(first, distortion=(0.0,) * 5)
    assert second.fold_angle_rad == pytest.approx(math.pi / 2)
    assert pickle.loads(pickle.dumps(first)) == first           # noqa: S301 (our own bytes)


def test_empty_arrays_stay_empty(camera):
    assert camera.unproject(np.zeros((0, 2))).shape == (0, 3)
    pixels, visible = camera.project(np.zeros((0, 3)))
    assert (pixels.shape, visible.shape) == ((0, 2), (0,))
