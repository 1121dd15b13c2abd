"""Where an eye looks, on a panorama: the seam and the poles are places like any other."""

import math

import numpy as np
import pytest

from gaze_robot.draw import foveated_picture, level_colour, LEVEL_COLOURS, PANEL, stacked_bars
from gaze_robot.draw_panorama import draw_marker, draw_trail, draw_view

HEIGHT, WIDTH = 180, 360                               # a pixel is a degree
HALVES = [(0.2, 0.2), (0.4, 0.4), (1.0, 0.75)]


def plain():
    return np.full((HEIGHT, WIDTH, 3), 200, np.uint8)


def seen(pan, tilt, halves=HALVES):
    picture = plain()
    draw_view(picture, pan, tilt, halves)
    return picture


def pixel_of(right, down, pan, tilt):
    """Row and column of the ray (right, down, 1) of an eye: pitch about y, then yaw about z."""
    pitch = np.array([[math.cos(tilt), 0, math.sin(tilt)], [0, 1, 0],
                      [-math.sin(tilt), 0, math.cos(tilt)]])
    yaw = np.array([[math.cos(pan), -math.sin(pan), 0], [math.sin(pan), math.cos(pan), 0],
                    [0, 0, 1]])
    x, y, z = yaw @ pitch @ np.array([1.0, -right, -down])          # forward, left, up
    longitude, latitude = math.atan2(y, x), math.atan2(z, math.hypot(x, y))
    return (math.floor((0.5 - latitude / math.pi) * HEIGHT),
            math.floor((0.5 - longitude / (2 * math.pi)) * WIDTH) % WIDTH)


def near(picture, row, column, colour):
    """Whether a pixel or a neighbour of it has a colour; columns go on across the seam."""
    rows = slice(max(0, row - 1), row + 2)
    return (picture[rows][:, np.arange(column - 1, column + 2) % WIDTH] == colour).all(-1).any()


@pytest.mark.parametrize('pan_deg, tilt_deg', [
    (0, 0), (179, 10), (-178, -30), (90, 60), (-120, -75), (30, 89), (180, -89)])
def test_outlines_lie_where_the_edges_of_the_view_point(pan_deg, tilt_deg):
    pan, tilt = math.radians(pan_deg), math.radians(tilt_deg)
    picture = seen(pan, tilt)
    for level, (across, along) in enumerate(HALVES):
        for share in np.linspace(-0.9, 0.9, 7):
            for right, down in ((across, share * along), (-across, share * along),
                                (share * across, along), (share * across, -along)):
                place = pixel_of(right, down, pan, tilt)
                assert near(picture, *place, level_colour(level)), (level, right, down)
                outside = picture[pixel_of(2.5 * right, 2.5 * down, pan, tilt)]
                if level == 2:
                    assert (outside < 130).all()
        inside = picture[pixel_of(0.7 * across, 0.7 * along, pan, tilt)]
        if abs(tilt_deg) < 70:                         # near a pole lines are wider than that
            assert (inside == 200).all()


def test_views_across_the_seam_are_those_of_the_middle_turned_round():
    for tilt in (0.0, 0.5, -1.2):
        np.testing.assert_array_equal(seen(math.pi, tilt),
                                      np.roll(seen(0.0, tilt), WIDTH // 2, axis=1))


def test_a_square_view_straight_down_looks_the_same_from_four_sides():
    picture = seen(0.0, math.pi / 2, [(0.4, 0.4)])
    same = (picture == np.roll(picture, WIDTH // 4, axis=1)).all(axis=-1)
    assert same.mean() > 0.995                         # the corners round to either side
    assert (picture[-1] == 200).all()
    assert (picture[0] < 130).all()


def test_a_trail_takes_the_short_way_across_the_seam():
    pans = np.radians([170, 178, -174, -165])
    ways = np.stack([np.cos(pans), np.sin(pans), 0 * pans], axis=-1)
    picture = plain()
    draw_trail(picture, ways, LEVEL_COLOURS[0])
    touched = np.nonzero((picture != 200).any(axis=(0, 2)))[0]
    assert touched.min() <= 1
    assert touched.max() >= WIDTH - 2
    assert not ((touched > 25) & (touched < WIDTH - 25)).any()


def test_a_marker_at_the_seam_is_seen_from_both_sides():
    picture = plain()
    draw_marker(picture, np.array([-1.0, 0.0, 0.0]), 8)
    touched = np.nonzero((picture != 200).any(axis=(0, 2)))[0]
    assert touched.min() <= 1
    assert touched.max() >= WIDTH - 2
    assert len(touched) < 50


def test_the_foveated_picture_is_sharp_only_in_its_middle():
    levels = [np.full((side, side, 3), value, np.uint8) for side, value in ((64, 10), (32, 90))]
    picture = foveated_picture(levels, [0.25, 1.0], 200)
    assert picture.shape == (200, 200, 3)
    assert picture[100, 100, 0] == picture[80, 120, 0] == 10
    assert picture[60, 100, 0] == picture[5, 5, 0] == 90


def test_bars_are_as_high_as_their_parts():
    red, blue = (250, 0, 0), (0, 0, 250)
    picture = stacked_bars(np.array([[0.3, 0.1], [0.2, -0.1]]), [red, blue], 40, 102, span=4)
    heights = [[(picture[:, column] == colour).all(axis=-1).sum() for colour in (red, blue)]
               for column in (5, 15)]
    np.testing.assert_allclose(heights, [[60, 20], [40, 20]], atol=1)
    gain, loss = ((picture[:, 15] == colour).all(axis=-1).nonzero()[0] for colour in (red, blue))
    assert gain.max() < loss.min()
    assert (picture[:70, 25:] == PANEL).all()          # what has not happened yet


def test_bars_of_nothing_are_empty_and_old_ones_leave():
    assert stacked_bars(np.zeros((0, 0)), [], 40, 50, 10).shape == (50, 40, 3)
    rows = np.concatenate([np.full((50, 1), 9.0), np.full((10, 1), 1.0)])
    late = stacked_bars(rows, [(250, 0, 0)], 40, 50, 10)
    np.testing.assert_array_equal(late, stacked_bars(rows[-10:], [(250, 0, 0)], 40, 50, 10))
