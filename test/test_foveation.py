"""What the eye samples: exact where it can be, averaged where it must, at any resolution."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from gaze_robot.camera import CameraModel
from gaze_robot.errors import ConfigError, ImageError
from gaze_robot.foveation import FILL, FoveationPattern, Foveator

RESOLUTIONS = [(160, 120), (320, 240), (640, 480), (1280, 720), (1920, 1080), (3840, 2160),
               (480, 640), (641, 479)]
each_resolution = pytest.mark.parametrize('size', RESOLUTIONS, ids=lambda s: f'{s[0]}x{s[1]}')

FIELDS = {'fov_deg': tuple(2 * math.degrees(math.atan(t)) for t in (0.2, 0.4, 1.0)),
          'window': (64, 64, 128), 'patch': (16, 16, 32)}
THREE = FoveationPattern(**FIELDS)


def camera_of(width, height, hfov_deg=90.0):
    return CameraModel.from_hfov(width, height, math.radians(hfov_deg))


def foveator_with_strides(strides, window=16, size=(200, 160)):
    """Levels whose squares are exactly stride * window pixels."""
    camera = CameraModel(*size, 400.0, 400.0, size[0] / 2, size[1] / 2)
    fov = tuple(2 * math.degrees(math.atan(stride * window / 2 / 400.0)) for stride in strides)
    return Foveator(FoveationPattern(fov, (window,) * len(strides), 8), camera)


def noise(width, height, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


# --- exactness


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2 ** 31), st.floats(9, 191), st.floats(9, 151))
def test_samples_of_stride_one_are_the_pixels_themselves(seed, u, v):
    eye, image = foveator_with_strides((1, 3)), noise(200, 160, seed)
    left, top, side = eye.box_px(0, (u, v))
    assert side == 16
    np.testing.assert_array_equal(eye(image, (u, v)).levels[0],
                                  image[top:top + 16, left:left + 16])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2 ** 31), st.integers(2, 9), st.floats(75, 125), st.floats(75, 85))
def test_samples_of_stride_k_are_the_rounded_means_of_their_pixels(seed, stride, u, v):
    """In integers: twice the distance between sample * k^2 and the sum is at most k^2."""
    eye, image = foveator_with_strides((stride,)), noise(200, 160, seed)
    left, top, side = eye.box_px(0, (u, v))
    assert side == 16 * stride
    square = image[top:top + side, left:left + side].astype(np.int64)
    sums = square.reshape(16, stride, 16, stride, 3).sum(axis=(1, 3))
    sample = eye(image, (u, v)).levels[0].astype(np.int64)
    assert (2 * np.abs(sample * stride ** 2 - sums) <= stride ** 2).all()


def test_default_pattern_averages_a_vga_camera_by_whole_pixels():
    eye = Foveator(FoveationPattern(), camera_of(640, 480))
    assert eye.side_px == (64, 128, 256, 640)
    assert FoveationPattern().tokens == 64


@each_resolution
@pytest.mark.parametrize('fixation', [None, (0.31, 0.77), (0.0, 0.0), (1.0, 0.5)], ids=str)
def test_flat_grey_stays_grey(size, fixation):
    eye = Foveator(THREE, camera_of(*size))
    image = np.full((size[1], size[0], 3), 77, np.uint8)
    view = eye(image, fixation and (fixation[0] * size[0], fixation[1] * size[1]))
    for level, valid in zip(view.levels, view.valid):
        assert (level[valid] == 77).all()
        assert (level[~valid] == FILL).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(-40, 40), st.integers(-30, 30), st.floats(90, 110), st.floats(70, 90),
       st.sampled_from([(1, 2), (1, 3, 5), (2,)]))
def test_shifting_picture_and_fixation_together_changes_nothing(dx, dy, u, v, strides):
    eye, big = foveator_with_strides(strides), noise(280, 220)
    still = eye(np.ascontiguousarray(big[30:190, 40:240]), (u, v))
    moved = eye(np.ascontiguousarray(big[30 - dy:190 - dy, 40 - dx:240 - dx]), (u + dx, v + dy))
    for first, second, first_valid, second_valid in zip(
            still.levels, moved.levels, still.valid, moved.valid):
        both = first_valid & second_valid
        # Cells cut by the picture's border differ: look at those a cell further in.
        inner = both & np.roll(both, 1, 0) & np.roll(both, -1, 0) & np.roll(
            both, 1, 1) & np.roll(both, -1, 1)
        assert inner.any()
        np.testing.assert_array_equal(first[inner], second[inner])


@pytest.mark.parametrize('side', [15, 16, 17])
def test_square_moves_one_pixel_when_the_fixation_does(side):
    """Also at halves, where Python's round() goes to the even neighbour."""
    camera = CameraModel(200, 160, 400.0, 400.0, 100.0, 80.0)
    fov = 2 * math.degrees(math.atan(side / 2 / 400.0))
    eye = Foveator(FoveationPattern((fov,), (8,), 8), camera)
    lefts = [eye.box_px(0, (u, 80.0))[0] for u in np.arange(60.0, 80.0)]
    assert set(np.diff(lefts)) == {1}
    lefts = [eye.box_px(0, (u, 80.0))[0] for u in np.arange(60.5, 80.5)]
    assert set(np.diff(lefts)) == {1}


@given(st.floats(-500, 900), st.floats(-500, 900))
def test_square_is_centred_on_the_fixation_within_half_a_pixel(u, v):
    eye = Foveator(THREE, camera_of(640, 480))
    for level in range(3):
        left, top, side = eye.box_px(level, (u, v))
        assert abs(left + side / 2 - u) <= 0.5
        assert abs(top + side / 2 - v) <= 0.5


# --- no aliasing


def zone_plate(x, y):
    """Rings from slow to faster than a wide level can hold; values 20..235."""
    return 127.5 + 107.5 * np.cos((x ** 2 + y ** 2) * 0.5)


def area_means(x0, y0, size, cells, fine):
    """Second route: the plate averaged over each of cells x cells squares of a large square.

    `fine` points per cell and axis.
    """
    steps = (np.arange(cells * fine) + 0.5) * size / (cells * fine)
    values = zone_plate(*np.meshgrid(x0 + steps, y0 + steps))
    return values.reshape(cells, fine, cells, fine).mean(axis=(1, 3))


@pytest.mark.parametrize('size', [(640, 480), (1280, 720), (1000, 700)],
                         ids=lambda s: f'{s[0]}x{s[1]}')
@pytest.mark.parametrize('fixation', [(0.5, 0.5), (0.37, 0.58)], ids=str)
def test_zone_plate_is_averaged_not_aliased(size, fixation):
    """Against a supersampled reference, RMS at most 2 grey levels; picked pixels: over 20."""
    width, height = size
    eye = Foveator(THREE, camera_of(width, height))
    scale = 24.0 / width                                        # plate units per pixel
    x0, y0 = -0.5 * width * scale, -0.5 * height * scale
    rows = np.arange(width * 3, dtype=float)
    x, y = x0 + (rows + 0.5) * scale / 3, y0 + (np.arange(height * 3) + 0.5) * scale / 3
    grey = zone_plate(x[None], y[:, None]).reshape(height, 3, width, 3).mean(axis=(1, 3))
    image = np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=2)
    where = (fixation[0] * width, fixation[1] * height)
    view = eye(image, where)
    for level, window in enumerate(eye.pattern.window):
        left, top, side = eye.box_px(level, where)
        fine = max(4, math.ceil(2 * side / window))
        expected = area_means(x0 + left * scale, y0 + top * scale, side * scale, window, fine)
        valid = view.valid[level].copy()
        valid[[0, -1]] = valid[:, [0, -1]] = False
        edge = ~(np.roll(valid, 1, 0) & np.roll(valid, -1, 0)
                 & np.roll(valid, 1, 1) & np.roll(valid, -1, 1))
        inner = valid & ~edge
        difference = view.levels[level][..., 0][inner] - expected[inner]
        assert inner.sum() > 500
        assert np.sqrt((difference ** 2).mean()) <= 2.0
        if level == 2:
            steps = np.arange(window) * side // window
            picked = image[np.clip(top + steps, 0, height - 1)][
                :, np.clip(left + steps, 0, width - 1), 0]
            assert np.sqrt(((picked[inner] - expected[inner]) ** 2).mean()) > 20


# --- any resolution


@each_resolution
def test_number_of_tokens_does_not_depend_on_the_resolution(size):
    pattern = THREE
    view = Foveator(pattern, camera_of(*size))(noise(*size))
    assert [level.shape for level in view.levels] == [(64, 64, 3), (64, 64, 3), (128, 128, 3)]
    assert [valid.shape for valid in view.valid] == [(64, 64), (64, 64), (128, 128)]
    assert pattern.tokens == 48
    assert pattern.tokens_across == (4, 4, 4)
    assert pattern.tokens_per_level == (16, 16, 16)


@each_resolution
def test_levels_cover_their_field_of_view(size):
    """Rays of the outermost cells, by the camera, against the pattern's degrees."""
    pattern = THREE
    eye = Foveator(pattern, camera_of(*size))
    for level, rays in enumerate(eye.cell_rays(64)):
        middle = rays[32]
        width = math.degrees(np.arctan2(middle[-1, 0], middle[-1, 2])
                             - np.arctan2(middle[0, 0], middle[0, 2]))
        pixel_deg = math.degrees(2 / size[0])           # of a 90-degree camera, at its centre
        cell_deg = pattern.fov_deg[level] / 64
        assert width == pytest.approx(pattern.fov_deg[level] - cell_deg, abs=pixel_deg + cell_deg)


@pytest.mark.parametrize('model', [
    CameraModel(640, 480, 320.0, 320.0, 320.0, 240.0, 'plumb_bob', (-0.2, 0.04, 0.0, 0.0, 0.0)),
    CameraModel(640, 480, 220.0, 220.0, 320.0, 240.0, 'equidistant', (0.02, -0.01, 0.0, 0.0)),
    CameraModel(640, 480, 300.0, 300.0, 320.0, 240.0, 'plumb_bob', (-0.3, 0.0, 0.0, 0.0, 0.0)),
    CameraModel(640, 480, 300.0, 300.0, 320.0, 240.0, 'equidistant', (-0.6, 0.0, 0.0, 0.0))],
    ids=['barrel', 'fisheye', 'folds inside the level', 'fisheye folds inside the level'])
def test_distorting_cameras_give_growing_levels_and_exact_rays(model):
    eye = Foveator(THREE, model)
    assert 0 < eye.side_px[0] < eye.side_px[1] < eye.side_px[2] < 4 * model.width
    left, top, side = eye.box_px(1)
    rays = eye.cell_rays(4)[1]
    pixel, _ = model.project(rays)
    expected = left + (np.arange(4) + 0.5) * side / 4
    np.testing.assert_allclose(pixel[0, :, 0], expected, atol=1e-6)
    np.testing.assert_allclose(pixel[:, 0, 1], top + (np.arange(4) + 0.5) * side / 4, atol=1e-6)


def test_camera_coarser_than_the_fovea_is_interpolated_between_its_pixels():
    eye = Foveator(THREE, camera_of(160, 120))
    assert eye.side_px[0] < 64
    ramp = np.repeat(np.arange(160, dtype=np.uint8)[None, :, None], 120, axis=0).repeat(3, axis=2)
    row = eye(ramp).levels[0][32, :, 0].astype(int)
    left, _, side = eye.box_px(0)
    assert row.min() >= left
    assert row.max() <= left + side
    assert (np.diff(row) >= 0).all()
    assert np.diff(row).max() <= 1


# --- fixations at and beyond the border


@pytest.mark.parametrize('fixation', [(-5000.0, 240.0), (320.0, 1e7), (1e30, -1e30)], ids=str)
def test_fixation_far_outside_sees_nothing_valid(fixation):
    view = Foveator(THREE, camera_of(640, 480))(noise(640, 480), fixation)
    for level, valid in zip(view.levels, view.valid):
        assert not valid.any()
        assert (level == FILL).all()


@settings(max_examples=80, deadline=None)
@given(st.floats(-400, 1040), st.floats(-400, 880))
def test_samples_are_valid_exactly_where_their_centre_lies_in_the_picture(u, v):
    eye, image = Foveator(THREE, camera_of(640, 480)), noise(640, 480)
    view = eye(image, (u, v))
    for level, window in enumerate(eye.pattern.window):
        left, top, side = eye.box_px(level, (u, v))
        for row, column in ((0, 0), (0, window - 1), (window - 1, 0), (31, 31), (5, window - 4)):
            x, y = left + (column + 0.5) * side / window, top + (row + 0.5) * side / window
            assert view.valid[level][row, column] == (0 <= x <= 640 and 0 <= y <= 480)
        assert (view.levels[level][~view.valid[level]] == FILL).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2 ** 31), st.floats(-30, 230), st.floats(-30, 190), st.integers(2, 12))
def test_samples_at_the_border_repeat_its_pixels(seed, u, v, stride):
    """Both ways of averaging (padded, and by weights) against a picture padded by numpy."""
    eye, image = foveator_with_strides((stride,)), noise(200, 160, seed)
    left, top, side = eye.box_px(0, (u, v))
    padded = np.pad(image, ((300, 300), (300, 300), (0, 0)), mode='edge').astype(np.int64)
    square = padded[300 + top:300 + top + side, 300 + left:300 + left + side]
    means = square.reshape(16, stride, 16, stride, 3).mean(axis=(1, 3))
    view = eye(image, (u, v))
    valid = view.valid[0]
    assert np.abs(view.levels[0][valid] - means[valid]).max(initial=0) <= 0.501


def test_nearly_half_a_sphere_does_not_need_the_memory_of_it():
    """179 degrees of a 640-pixel camera are 73,000 pixels across: 16 GB if they were padded."""
    pattern = FoveationPattern((20.0, 179.0), (64, 64), 16)
    eye = Foveator(pattern, camera_of(640, 480))
    assert eye.side_px[1] > 70_000
    view = eye(np.full((480, 640, 3), 90, np.uint8))
    assert (view.levels[1][view.valid[1]] == 90).all()


def test_views_do_not_share_memory_with_the_picture():
    eye, image = foveator_with_strides((1,)), noise(200, 160)
    view = eye(image)
    before = view.levels[0].copy()
    image[:] = 0
    np.testing.assert_array_equal(view.levels[0], before)


def test_mirrored_and_sliced_pictures_are_read_as_they_look():
    eye, image = foveator_with_strides((1, 3)), noise(400, 160)
    for tricky in (image[:, 200::-1][:, :200], image[:, ::2], image[:, :200, ::-1]):
        expected = eye(np.ascontiguousarray(tricky))
        for first, second in zip(eye(tricky).levels, expected.levels):
            np.testing.assert_array_equal(first, second)


def test_rays_at_a_fixation_are_those_of_its_pixels():
    camera = camera_of(640, 480)
    eye = Foveator(THREE, camera)
    centre = eye.cell_rays(1, (100.0, 50.0))
    for level in range(3):
        left, top, side = eye.box_px(level, (100.0, 50.0))
        np.testing.assert_allclose(
            centre[level][0, 0], camera.unproject([left + side / 2, top + side / 2]))
    assert eye.cell_rays(8)[0].shape == (8, 8, 3)
    np.testing.assert_array_equal(eye.cell_rays(8)[0], eye.cell_rays(8, eye.centre_px)[0])


# --- what cannot be


@pytest.mark.parametrize('image', [
    np.zeros((480, 640, 3), np.uint16), np.zeros((480, 640), np.uint8),
    np.zeros((240, 320, 3), np.uint8), np.zeros((480, 640, 4), np.uint8),
    np.full((480, 640, 3), np.nan), np.zeros((0, 0, 3), np.uint8)],
    ids=['16-bit', 'grey', 'small', 'rgba', 'nan', 'empty'])
def test_pictures_of_another_kind_are_refused(image):
    with pytest.raises(ImageError, match='this eye samples 640x480'):
        Foveator(THREE, camera_of(640, 480))(image)


@pytest.mark.parametrize('fixation', [(math.nan, 1.0), (1.0, math.inf)], ids=str)
def test_fixation_that_is_not_finite_is_refused(fixation):
    with pytest.raises(ImageError, match='finite'):
        Foveator(THREE, camera_of(640, 480))(noise(640, 480), fixation)


@pytest.mark.parametrize('fields, reason', [
    ({'fov_deg': (), 'window': ()}, '0 levels'),
    ({'fov_deg': (10.0, 20.0)}, '2 levels and window has 3'),
    ({'fov_deg': (10.0, 20.0, 180.0)}, 'between 0 and 180'),
    ({'fov_deg': (0.0, 20.0, 90.0)}, 'between 0 and 180'),
    ({'fov_deg': (math.nan, 20.0, 90.0)}, 'between 0 and 180'),
    ({'fov_deg': (10.0, 10.0, 90.0)}, 'must grow'),
    ({'window': (64, 60, 64)}, r'level 1.*60 / 16 = 3.75'),
    ({'window': (64, 0, 64)}, 'level 1'),
    ({'patch': 0}, 'level 0'), ({'patch': -16}, 'level 0'),
    ({'patch': (16, 16, 0)}, 'level 2'), ({'patch': 16.5}, 'patch is one integer per level'),
    ({'window': 'abc'}, 'window is one integer per level'),
    ({'window': 64}, '3 levels and window has 1'),
    ({'window': (64, 64.5, 64)}, 'window is one integer per level'),
    ({'window': (64, (64, 64), 64)}, 'window is one integer per level'),
    ({'fov_deg': ('wide', 20.0, 90.0)}, 'fov_deg is one angle per level'),
    ({'fov_deg': 90.0}, 'fov_deg is one angle per level'),
    ({'patch': (16, 16)}, 'patch has 2 levels and window has 3'),
    ({'patch': (16, 16, 24), 'window': (64, 64, 96)}, 'level 2: patches of 24')], ids=str)
def test_patterns_that_cannot_be_built_say_why(fields, reason):
    with pytest.raises(ConfigError, match=reason):
        FoveationPattern(**{**FIELDS, **fields})


def test_one_patch_size_is_for_all_levels():
    pattern = FoveationPattern((10.0, 20.0, 90.0), (32, 48, 64), 16)
    assert pattern.patch == (16, 16, 16)
    assert pattern == FoveationPattern((10.0, 20.0, 90.0), (32, 48, 64), (16, 16, 16))
    assert pattern.tokens_across == (2, 3, 4)
    assert pattern.tokens == 4 + 9 + 16


def test_larger_patches_make_fewer_tokens_and_are_embedded_at_the_smallest_size():
    pattern = FoveationPattern((10.0, 20.0), (32, 64), (8, 32))
    assert pattern.tokens_per_level == (16, 4)
    assert pattern.token_side == 8


@settings(max_examples=60, deadline=None)
@given(st.floats(50, 120), st.integers(100, 900), st.integers(100, 900))
def test_inside_camera_is_what_an_eye_on_the_axis_finds_valid(hfov_deg, width, height):
    """But for samples within a pixel of the border: squares are whole pixels."""
    pattern = THREE
    eye = Foveator(pattern, camera_of(width, height, hfov_deg))
    view = eye(np.zeros((height, width, 3), np.uint8))
    masks = pattern.inside_camera(hfov_deg, height / width)
    for level, (mask, valid) in enumerate(zip(masks, view.valid)):
        assert mask.shape == valid.shape
        assert mask.dtype == bool
        left, top, side = eye.box_px(level)
        centre = (np.arange(len(mask)) + 0.5) * side / len(mask)
        to_side = np.minimum(np.abs(left + centre), np.abs(left + centre - width))
        to_top = np.minimum(np.abs(top + centre), np.abs(top + centre - height))
        clear = (to_side > 1)[None, :] & (to_top > 1)[:, None]
        np.testing.assert_array_equal(mask[clear], valid[clear])


@pytest.mark.parametrize('size', [(640, 480), (1280, 720), (160, 120)], ids=str)
def test_inside_camera_is_exact_where_squares_are_whole_pixels(size):
    pattern = THREE
    view = Foveator(pattern, camera_of(*size))(np.zeros((size[1], size[0], 3), np.uint8))
    masks = pattern.inside_camera(90.0, size[1] / size[0])
    for mask, valid in zip(masks, view.valid):
        np.testing.assert_array_equal(mask, valid)
    assert not masks[2].all()
    assert masks[2].sum() == 128 * round(128 * size[1] / size[0])


def test_pattern_from_lists_is_hashable_and_equal():
    listed = FoveationPattern([10, 40], [32, 32], 8)
    assert listed == FoveationPattern((10.0, 40.0), (32, 32), 8)
    assert hash(listed) == hash(FoveationPattern((10.0, 40.0), (32, 32), 8))
    assert listed.half_tangent(1) == pytest.approx(math.tan(math.radians(20)))
