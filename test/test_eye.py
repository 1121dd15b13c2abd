import math

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='the eye needs torch')

from gaze_robot.camera import CameraModel  # noqa: E402
from gaze_robot.checkpoint import make_policy  # noqa: E402
from gaze_robot.config import GazeConfig  # noqa: E402
from gaze_robot.encoder import EncoderConfig  # noqa: E402
from gaze_robot.errors import ImageError  # noqa: E402
from gaze_robot.foveation import FoveationPattern  # noqa: E402
from gaze_robot.nodes._eye import Eye, Glance, Picture, Refusal, target_pixel  # noqa: E402
from gaze_robot.pipeline import GazePipeline  # noqa: E402
from gaze_robot.types import PanTiltState  # noqa: E402

STRAIGHT = PanTiltState(0.0, 0.0)


@pytest.fixture(scope='module')
def policy():
    torch.manual_seed(0)
    return make_policy(FoveationPattern(), EncoderConfig())


@pytest.fixture
def make_eye(policy):
    def make(now_s=1.0, **settings):
        config = GazeConfig(**settings)
        return Eye(GazePipeline(policy, config=config), config, lambda: now_s)
    return make


def noise(width=320, height=240, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def picture(image, draw=False, lens=None, stamp_s=1.0):
    def decode():
        if image is None:
            raise ImageError('it is torn')
        return image
    return Picture(stamp_s, STRAIGHT, decode, 'damaged', lens, 'header', draw)


def test_a_glance_carries_the_header_through_and_times_every_stage(make_eye):
    glance = make_eye().look(picture(noise()))
    assert isinstance(glance, Glance)
    assert glance.picture.header == 'header'
    assert {'wait', 'decode', 'foveate', 'perceive'} <= glance.stages_ms.keys()
    assert all(value >= 0 for value in glance.stages_ms.values())
    assert glance.debug is None


def test_what_cannot_be_decoded_is_refused_with_its_reason(make_eye):
    assert make_eye().look(picture(None)) == Refusal('damaged', 'it is torn')


def test_a_picture_of_a_rolled_camera_is_turned_level_and_its_fixation_turned_back(make_eye):
    """What lies level is level again; the fixation is a ray of the camera as it really is."""
    roll, camera = 0.2, CameraModel.from_hfov(320, 240, 1.2)
    flat = np.full((240, 320, 3), 128, np.uint8)
    for along in range(-100, 101):              # a level line as a camera rolled clockwise has it
        u = 160 + along * math.cos(-roll)
        v = 120 + along * math.sin(-roll)
        flat[int(v) - 1:int(v) + 2, int(u) - 1:int(u) + 2] = 255
    eye = make_eye()
    eye.pipeline.look_at(np.array([math.cos(0.3), math.sin(0.3), 0.0]))     # 0.3 rad to the left
    rolled = Picture(1.0, STRAIGHT, lambda: flat, '', lambda width, height: camera, None,
                     roll_rad=roll)
    glance = eye.look(rolled)
    rows, columns = np.nonzero(glance.frame.image[..., 0] > 200)
    middle = (columns > 80) & (columns < 240)
    slope = np.polyfit(columns[middle], rows[middle], 1)[0]
    assert abs(math.degrees(math.atan(slope))) < 1.0
    left, down, ahead = -math.sin(0.3), 0.0, math.cos(0.3)
    turn = np.array([[math.cos(roll), math.sin(roll)], [-math.sin(roll), math.cos(roll)]])
    np.testing.assert_allclose(glance.result.fixation, [*(turn @ [left, down]), ahead], atol=1e-6)
    same = eye.look(Picture(1.03, STRAIGHT, lambda: flat, '', lambda width, height: camera, None))
    assert same.frame.image is flat


def test_a_picture_that_waited_too_long_is_stale(make_eye):
    assert make_eye(now_s=1.24).look(picture(None)).reason == 'damaged'
    assert make_eye(now_s=1.26).look(picture(None)) == Refusal('stale', '')


def test_without_an_exemplar_the_eye_is_idle(make_eye):
    glance = make_eye().look(picture(noise()))
    assert glance.result.mode == 'idle'
    assert glance.confidence is None


def test_a_picture_to_look_for_gets_its_angle_from_the_camera_that_is_used(make_eye):
    eye, asked = make_eye(), []
    eye.pipeline.look_for = asked.append
    eye.look_for_picture(noise(32, 32))
    camera = CameraModel.from_hfov(320, 240, math.radians(40))
    eye.look(picture(noise(), lens=lambda width, height: camera))
    assert asked[0].width_rad == pytest.approx(2 * math.atan(16 / camera.fx))


def test_the_width_parameter_wins(make_eye):
    eye, asked = make_eye(exemplar_width_deg=9.0), []
    eye.pipeline.look_for = asked.append
    eye.look_for_picture(noise(32, 32))
    eye.look(picture(noise()))
    assert math.degrees(asked[0].width_rad) == pytest.approx(9)


def test_an_impossible_exemplar_is_told_once_and_the_eye_goes_on(make_eye):
    eye = make_eye()
    eye.look_for_picture(noise(3, 3))
    first, second = eye.look(picture(noise())), eye.look(picture(noise()))
    assert any('at least 4x4' in remark for remark in first.remarks)
    assert not any('4x4' in remark for remark in second.remarks)


def test_auto_waits_for_a_frame_in_which_something_stands_out(make_eye):
    eye, asked = make_eye(exemplar='auto'), []
    eye.pipeline.look_for = asked.append
    eye.look(picture(np.zeros((240, 320, 3), np.uint8)))
    assert asked == []
    image = cv2.GaussianBlur(noise(), (0, 0), 3)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    eye.look(picture(image))
    eye.look(picture(image))
    assert len(asked) == 1


def test_an_exemplar_file_that_is_missing_is_told_at_once(make_eye, tmp_path):
    with pytest.raises(ImageError, match='there is no file'):
        make_eye(exemplar=str(tmp_path / 'cup.png'))


def test_the_lens_falls_back_to_hfov_deg_with_a_remark(make_eye):
    eye = make_eye(hfov_deg=60.0)
    first, later = eye.look(picture(noise())), eye.look(picture(noise(), stamp_s=3.0))
    assert math.degrees(first.frame.camera.hfov_rad) == pytest.approx(60)
    assert first.remarks == ()                           # it may still come
    assert any('no camera_info' in remark for remark in later.remarks)


def test_boxes_are_centred_for_a_head_and_follow_the_electronic_eye(make_eye):
    glance = make_eye().look(picture(noise()))
    left, top, side = glance.boxes[0]
    assert (left + side / 2, top + side / 2) == pytest.approx((160, 120), abs=1)
    eye = make_eye(eye='picture')
    eye.pipeline.look_at(np.array([math.cos(0.3), math.sin(0.3), 0.0]))
    for frame in range(30):
        glance = eye.look(Picture(frame / 30, STRAIGHT, noise, '', None, None))
    left, top, side = glance.boxes[0]
    assert left + side / 2 == pytest.approx(160 - 160 * math.tan(0.3), abs=3)   # to the left
    assert top + side / 2 == pytest.approx(120, abs=3)


def test_the_debug_picture_is_drawn_when_asked(make_eye):
    glance = make_eye().look(picture(noise(), draw=True))
    assert glance.debug.shape == (240, 320, 3)
    assert glance.stages_ms['draw'] > 0


def test_any_picture_size_goes(make_eye):
    eye = make_eye()
    for width, height in ((160, 120), (1, 1), (640, 480), (333, 77)):
        assert isinstance(eye.look(picture(noise(width, height))), Glance)


def test_target_pixel_is_none_outside_the_picture():
    camera = CameraModel.from_hfov(320, 240, math.pi / 2)
    assert target_pixel(camera, np.array([1.0, 0, 0]), STRAIGHT) == pytest.approx((160, 120))
    assert target_pixel(camera, np.array([-1.0, 0, 0]), STRAIGHT) is None
