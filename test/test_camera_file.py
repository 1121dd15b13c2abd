"""Calibration files of ROS's camera_calibration."""

import math

import pytest

from gaze_robot.camera_file import at_size, load_calibration
from gaze_robot.errors import CameraModelError

GOOD = """\
image_width: 640
image_height: 480
camera_name: narrow
camera_matrix:
  rows: 3
  cols: 3
  data: [500.5, 0, 319.5, 0, 501.0, 239.5, 0, 0, 1]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [0.1, -0.2, 0.001, 0.002, 0]
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {rows: 3, cols: 4, data: [500, 0, 320, 0, 0, 500, 240, 0, 0, 0, 1, 0]}
"""


@pytest.fixture
def write(tmp_path):
    def make(text):
        path = tmp_path / 'camera.yaml'
        path.write_text(text)
        return str(path)
    return make


def test_ros_pixel_centres_become_ours(write):
    camera = load_calibration('file://' + write(GOOD))
    assert (camera.width, camera.height) == (640, 480)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (500.5, 501.0, 320.0, 240.0)
    assert camera.distortion == (0.1, -0.2, 0.001, 0.002, 0.0)


def test_a_smaller_picture_of_the_same_shape_scales(write):
    camera = load_calibration(write(GOOD))
    half = at_size(camera, 320, 240)
    assert half.fx == 250.25
    assert math.isclose(half.hfov_rad, camera.hfov_rad, rel_tol=1e-6)
    assert at_size(camera, 640, 480) is camera


def test_another_shape_is_refused(write):
    with pytest.raises(CameraModelError, match='another shape'):
        at_size(load_calibration(write(GOOD)), 1280, 720)


@pytest.mark.parametrize('text, says', [
    ('image_width: [', 'cannot read'), ('just text', 'not a camera calibration'),
    (GOOD.replace('camera_matrix', 'matrix'), 'camera_matrix'),
    (GOOD.replace('plumb_bob', 'banana'), 'banana'),
    (GOOD.replace('500.5', '0'), 'not calibrated'),
    (GOOD.replace('[0.1, -0.2, 0.001, 0.002, 0]', '[0.1]'), 'coefficients')])
def test_bad_files_say_what_is_wrong(write, text, says):
    with pytest.raises(CameraModelError, match=says):
        load_calibration(write(text))


def test_a_missing_file(tmp_path):
    with pytest.raises(CameraModelError, match='cannot read'):
        load_calibration(str(tmp_path / 'none.yaml'))
