import numpy as np
import pytest

from gaze_robot.draw import (
    crop_box,
    eye_picture,
    LEVEL_COLOURS,
    mosaic,
    panorama_strip,
    priority_map,
    TARGET_COLOUR,
    timeline,
)
from gaze_robot.geometry import direction_from_pan_tilt

GREY = np.full((120, 160, 3), 100, np.uint8)


def where(image, colour):
    """(u, v) middle of the pixels of exactly this colour."""
    rows, columns = np.nonzero((image == colour).all(axis=-1))
    assert len(rows)
    return columns.mean(), rows.mean()


def test_priority_map_puts_sharper_levels_on_top():
    coarse, fine = np.full((2, 2), 0.25), np.full((2, 2), 0.75)
    heat = priority_map([fine, coarse], [(60, 40, 40), (0, -20, 160)], 160, 120, shrink=4)
    assert heat.shape == (30, 40)
    assert heat.dtype == np.float32
    assert heat[15, 20] == 0.75                          # inside the fine level
    assert heat[2, 2] == 0.25


def test_priority_map_is_zero_where_no_level_looks():
    heat = priority_map([np.ones((4, 4))], [(150, 110, 20)], 160, 120, shrink=1)
    assert heat[115, 155] == 1
    assert heat.sum() == 100                             # a 10 x 10 corner; the rest is cut off


@pytest.mark.parametrize('box, inside', [
    ((10, 20, 30), (10, 20, 30, 30)), ((-10, 100, 40), (0, 100, 30, 20)),
    ((200, 0, 40), (160, 0, 0, 40))])
def test_crop_box_stays_in_the_picture(box, inside):
    assert crop_box(box, 160, 120) == inside


def test_eye_picture_draws_rings_and_target_where_they_are():
    before = GREY.copy()
    picture = eye_picture(GREY, [(70, 50, 20), (40, 20, 80)], target_px=(145, 105))
    np.testing.assert_array_equal(GREY, before)          # the camera's picture stays clean
    assert where(picture, LEVEL_COLOURS[0]) == pytest.approx((80, 60))
    assert where(picture, LEVEL_COLOURS[1]) == pytest.approx((80, 60))
    assert where(picture, TARGET_COLOUR) == pytest.approx((145, 105), abs=1)


def test_eye_picture_scales_everything_alike():
    picture = eye_picture(GREY, [(70, 50, 20)], target_px=(120, 30), width=320)
    assert picture.shape == (240, 320, 3)
    assert where(picture, TARGET_COLOUR) == pytest.approx((240, 60), abs=1)


def test_heat_glows_at_its_peak():
    heat = np.zeros((8, 8), np.float32)
    heat[1, 6] = 1.0                                     # right, near the top
    picture = eye_picture(GREY, [(20, 0, 120)], [heat]).astype(int)
    redness = picture[..., 0] - picture[..., 2]
    inner = redness[5:-5, 25:135]                        # without the level's own ring
    v, u = np.unravel_index(inner.argmax(), inner.shape)
    assert 20 + 6 * 15 <= u + 25 < 20 + 7 * 15
    assert 15 <= v + 5 < 30


def test_mosaic_stacks_the_levels_sharpest_on_top():
    levels = [np.full((64, 64, 3), value, np.uint8) for value in (10, 20, 30)]
    picture = mosaic(levels, 50)
    assert picture.shape == (150, 50, 3)
    assert [picture[row, 25, 0] for row in (25, 75, 125)] == [10, 20, 30]


def test_panorama_strip_marks_gaze_and_target():
    place = np.full((100, 200, 3), 50, np.uint8)
    left = direction_from_pan_tilt(np.pi / 2, 0.0)       # a quarter from the left edge
    down = direction_from_pan_tilt(0.0, np.pi / 4)
    picture = panorama_strip(place, left, down, 200)
    assert where(picture, TARGET_COLOUR) == pytest.approx((100, 75), abs=1)
    ring = np.abs(picture.astype(int) - LEVEL_COLOURS[0]).sum(axis=-1) < 30
    rows, columns = np.nonzero(ring)
    assert (columns.mean(), rows.mean()) == pytest.approx((50, 50), abs=1)


def test_timeline_falls_as_the_error_falls():
    times = np.linspace(0, 10, 50)
    picture = timeline(times, np.linspace(80, 2, 50), 200, 100)
    line = np.abs(picture.astype(int) - TARGET_COLOUR).sum(axis=-1) < 60
    first, last = (np.nonzero(line[:, column])[0].mean() for column in (75, 195))
    assert first < last                                  # down is a smaller error


def test_timeline_of_nothing_is_empty():
    assert timeline([], [], 100, 50).shape == (50, 100, 3)
