import math

import numpy as np
import pytest

from gaze_robot.camera import CameraModel
from gaze_robot.config import GazeConfig
from gaze_robot.errors import CameraModelError, CommandError
from gaze_robot.nodes._intake import (
    choose_lens,
    direction_in_base,
    Intake,
    Starvation,
    starved,
    Throttle,
    undecodable,
)
from gaze_robot.types import PanTiltState


@pytest.mark.parametrize('stamp_s, reason', [
    (9.9, None), (9.7, 'stale'), (0.0, 'stale'), (10.1, None), (10.3, 'from the future')])
def test_pictures_are_refused_by_age(stamp_s, reason):
    assert Intake(max_age_s=0.25, rate_hz=30).refuse(stamp_s, now_s=10.0) == reason


def test_a_repeated_or_overtaken_picture_is_out_of_order():
    intake = Intake(0.25, 100)
    assert intake.refuse(10.0, 10.0) is None
    assert intake.refuse(10.0, 10.0) == 'out of order'
    assert intake.refuse(9.95, 10.0) == 'out of order'
    assert intake.refuse(10.05, 10.05) is None


def test_a_clock_that_went_back_is_followed():
    intake = Intake(0.25, 30)
    assert intake.refuse(100.0, 100.0) is None
    assert intake.refuse(5.0, 5.0) is None
    assert intake.refuse(5.04, 5.04) is None


@pytest.mark.parametrize('camera_hz, limit_hz, passed_hz', [
    (30, 30, 30), (60, 30, 30), (30, 10, 10), (25, 30, 25)])
def test_throttle_passes_the_lower_of_both_rates(camera_hz, limit_hz, passed_hz):
    throttle, rng = Throttle(limit_hz), np.random.default_rng(1)
    times = np.arange(10 * camera_hz) / camera_hz
    times += rng.uniform(0, 0.2 / camera_hz, len(times))             # jitter
    passed = sum(throttle.allows(time) for time in times)
    assert 10 * passed_hz <= passed <= 10 * passed_hz + 3


def test_lens_is_the_camera_infos_where_there_is_one():
    camera = CameraModel.from_hfov(320, 240, 1.0)
    lens = choose_lens(320, 240, 1.5, lambda width, height: camera)
    assert (lens.camera, lens.remark) == (camera, '')


def test_lens_without_camera_info_is_the_parameter_and_says_so():
    lens = choose_lens(320, 240, math.radians(60))
    assert math.degrees(lens.camera.hfov_rad) == pytest.approx(60)
    assert 'no camera_info' in lens.remark
    assert 'hfov_deg = 60.0' in lens.remark


def test_lens_with_a_camera_info_that_disagrees_says_why():
    def disagree(width, height):
        raise CameraModelError('another shape')
    lens = choose_lens(320, 240, math.radians(60), disagree)
    assert (lens.camera.width, lens.camera.height) == (320, 240)
    assert lens.remark.startswith('another shape; using hfov_deg')


@pytest.mark.parametrize('message, reason', [
    (('rgb8', True, 0, 0, 0), 'empty'), (('rgb8', True, 4, 4, 0), 'empty'),
    (('h264', False, 4, 4, 99), 'unknown encoding'), (('32FC1', True, 4, 4, 64), 'not finite'),
    (('rgb8', True, 4, 4, 40), 'wrong size'), (('', True, 0, 0, 99), 'damaged')])
def test_what_cannot_be_decoded_is_counted_under_its_reason(message, reason):
    assert undecodable(*message) == reason


def test_a_point_in_the_optical_frame_follows_the_head():
    left = direction_in_base(np.array([0.0, 0, 1]), 'camera_optical_frame', GazeConfig(),
                             PanTiltState(math.pi / 2, 0.0))
    np.testing.assert_allclose(left, (0, 1, 0), atol=1e-12)


@pytest.mark.parametrize('frame_id', ['', 'base_link'])
def test_a_point_in_the_fixed_frame_is_taken_as_it_is(frame_id):
    ray = np.array([0.6, 0.8, 0])
    np.testing.assert_allclose(direction_in_base(ray, frame_id, GazeConfig(), None), ray)


def test_a_near_point_is_looked_at_from_where_the_camera_is():
    """The camera sits 10 cm to the left of the axis: a point 1 m ahead is to its right."""
    askew = GazeConfig(camera_mount_xyz=(0.0, 0.1, 0.0))
    look = direction_in_base(np.array([1.0, 0.0, 0.0]), 'base_link', askew, None)
    assert math.atan2(look[1], look[0]) == pytest.approx(-math.asin(0.1), abs=1e-4)
    seen = direction_in_base(np.array([0.0, 0.0, 1.0]), 'camera_optical_frame', askew,
                             PanTiltState(0.2, 0.0))
    assert math.atan2(seen[1], seen[0]) == pytest.approx(0.2, abs=1e-4)


def test_a_point_elsewhere_is_refused_with_the_frames_that_work():
    with pytest.raises(CommandError, match="'map' cannot be used.*base_link.*camera_optical"):
        direction_in_base(np.array([1.0, 0, 0]), 'map', GazeConfig(), None)
    with pytest.raises(CommandError, match='no joint_states'):
        direction_in_base(np.array([1.0, 0, 0]), 'camera_optical_frame', GazeConfig(), None)


def test_starvation_is_told_after_five_seconds_and_again_after_thirty():
    starvation = Starvation(start_s=100.0)
    told = [now for now in range(100, 180) if starvation.due(None, now) is not None]
    assert told == [105, 135, 165]


def test_starvation_begins_anew_after_a_picture():
    starvation = Starvation(0.0)
    assert starvation.due(None, 6.0) == 6.0
    assert starvation.due(6.5, 7.0) is None
    assert starvation.due(6.5, 12.0) == 5.5


def test_starved_says_topic_publishers_and_quality():
    text = starved('/image_raw', 5.2, [], 'best effort, volatile')
    assert '/image_raw (best effort, volatile)' in text
    assert '0 publishers' in text
    text = starved('/image_raw', 5.2, [('usb', 'reliable, volatile')], 'best effort, volatile')
    assert '1 publisher: usb (reliable, volatile)' in text
