import math

import cv2
import numpy as np
import pytest

from gaze_robot.camera import CameraModel
from gaze_robot.errors import ImageError
from gaze_robot.exemplars import (
    at_camera_scale,
    distinctive_patch,
    exemplar_from_picture,
    load_exemplar_picture,
)
from gaze_robot.types import Exemplar

CAMERA = CameraModel.from_hfov(640, 480, math.pi / 2)


def picture(width, height=None, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height or width, width, 3), np.uint8)


def test_a_cut_out_has_the_angle_its_pixels_have_in_the_middle_of_the_camera():
    exemplar = exemplar_from_picture(picture(64), CAMERA)
    edges = CAMERA.unproject(np.array([[320 - 32, 240.0], [320 + 32, 240.0]]))
    assert exemplar.width_rad == pytest.approx(math.acos(edges[0] @ edges[1]), abs=1e-9)


def test_a_given_width_wins_over_the_pixels():
    assert exemplar_from_picture(picture(64), CAMERA, 7.5).width_rad == math.radians(7.5)


def test_a_picture_too_large_to_be_a_cut_out_says_what_to_do():
    with pytest.raises(ImageError, match='exemplar_width_deg'):
        exemplar_from_picture(picture(640), CAMERA)


@pytest.mark.parametrize('width_deg', [3, 6, 12, 30])
@pytest.mark.parametrize('camera', [CAMERA, CameraModel.from_hfov(1280, 720, 1.2)],
                         ids=['vga', '720p'])
def test_camera_scale_and_back_keeps_the_angle(width_deg, camera):
    exemplar = Exemplar(picture(48), math.radians(width_deg))
    back = exemplar_from_picture(at_camera_scale(exemplar, camera), camera)
    pixel_rad = 1 / camera.fx
    assert back.width_rad == pytest.approx(exemplar.width_rad, abs=pixel_rad)


def test_distinctive_patch_is_the_odd_one_out():
    """Thirty equal crosses and one disc: the disc is the only thing worth looking for."""
    image = np.full((240, 320, 3), 90, np.uint8)
    for x in range(30, 320, 52):
        for y in range(30, 240, 45):
            cv2.line(image, (x - 8, y - 8), (x + 8, y + 8), (250, 250, 250), 3)
            cv2.line(image, (x - 8, y + 8), (x + 8, y - 8), (250, 250, 250), 3)
    image[60:100, 120:160] = 90
    cv2.circle(image, (134, 75), 10, (10, 10, 10), -1)
    patch, (u, v) = distinctive_patch(image)
    assert patch.shape[0] == patch.shape[1]
    assert math.hypot(u - 134, v - 75) < 20


def test_a_blank_picture_has_nothing_distinctive():
    with pytest.raises(ImageError, match='nothing in this picture stands out'):
        distinctive_patch(np.full((240, 320, 3), 77, np.uint8))


def test_exemplar_files_are_read_as_rgb(tmp_path):
    image = np.zeros((8, 8, 3), np.uint8)
    image[..., 0] = 255                                  # red
    cv2.imwrite(str(tmp_path / 'red.png'), image[..., ::-1])
    np.testing.assert_array_equal(load_exemplar_picture(str(tmp_path / 'red.png')), image)


def test_exemplar_files_that_are_missing_or_no_picture_say_so(tmp_path):
    with pytest.raises(ImageError, match='there is no file'):
        load_exemplar_picture(str(tmp_path / 'none.png'))
    (tmp_path / 'text.png').write_text('hello')
    with pytest.raises(ImageError, match='not a picture'):
        load_exemplar_picture(str(tmp_path / 'text.png'))
