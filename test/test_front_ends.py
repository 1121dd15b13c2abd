"""Three ways from samples to tokens: what holds for each, over many shapes, by a second route."""

import json
import math

import cv2
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from gaze_robot.camera import CameraModel
from gaze_robot.errors import ConfigError
from gaze_robot.foveation import (
    FILL,
    FoveationPattern,
    Foveator,
    FRONT_ENDS,
    IntegralFoveator,
    LogPolarFrontEnd,
    make_front_end,
    PyramidFrontEnd,
    RingsFrontEnd,
)
from gaze_robot.foveation.integral import integral


@pytest.fixture(scope='module', autouse=True)
def one_thread():
    """Threads for pictures this small wait for each other most of the time."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


def pattern_of(halves, window, patch):
    """A pattern by the tangents of its half angles."""
    return FoveationPattern(tuple(2 * math.degrees(math.atan(half)) for half in halves),
                            window, patch)


WIDE = pattern_of((0.1, 0.2, 0.4, 1.0), (64, 64, 64, 128), (16, 16, 16, 32))
SMALL = pattern_of((0.2, 0.5, 1.0), (16, 16, 32), (8, 8, 16))
TWO = pattern_of((0.125, 0.75), (32, 96), (8, 16))
EYES = {
    'pyramid': lambda: PyramidFrontEnd(), 'pyramid of 4': lambda: PyramidFrontEnd(WIDE),
    'small pyramid': lambda: PyramidFrontEnd(SMALL), 'one level': lambda: PyramidFrontEnd(
        pattern_of((1.0,), (160,), (16,))),
    'rings': lambda: RingsFrontEnd(), 'rings of 172': lambda: RingsFrontEnd(
        60.0, (1, 2, 4, 6, 8), (4, 4, 6, 8, 10), 4),
    'odd rings': lambda: RingsFrontEnd(80.0, (1, 3), (3, 5), 8),
    'log_polar': lambda: LogPolarFrontEnd(WIDE), 'small log_polar': lambda: LogPolarFrontEnd(
        SMALL, 3, 6), 'log_polar of 2': lambda: LogPolarFrontEnd(TWO, 5, 7)}
each_eye = pytest.mark.parametrize('eye', [make() for make in EYES.values()], ids=EYES)
each_log_polar = pytest.mark.parametrize(
    'eye', [make() for name, make in EYES.items() if 'log_polar' in name],
    ids=[name for name in EYES if 'log_polar' in name])
RINGS = [(EYES[name]()) for name in ('rings', 'rings of 172', 'odd rings')]
each_rings = pytest.mark.parametrize('eye', RINGS, ids=lambda eye: f'{eye.tokens} tokens')


def noise(width, height, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(width, height, seed=0, waves=2.0):
    """A picture of a few slow waves, uint8; `waves` is how many fit across it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / width * 2 * math.pi * waves
    return np.stack([127 + 40 * np.sin(x * math.cos(a) + y * math.sin(a) + a) + 40 * np.cos(
        x * math.sin(b) - y * math.cos(b) + b) for a, b in rng.uniform(0, 6, (3, 2))],
        axis=-1).round().astype(np.uint8)


def camera_of(width, height, hfov_deg=90.0):
    return CameraModel.from_hfov(width, height, math.radians(hfov_deg))


def whole_strides(eye, strides, margin=40):
    """A camera in which each level's samples are exactly these many pixels wide."""
    focal = strides[0] * eye.pattern.window[0] / 2 / eye.pattern.half_tangent(0)
    side = max(stride * window for stride, window in zip(strides, eye.pattern.window)) + margin
    foveator = Foveator(eye.pattern, CameraModel(side, side, focal, focal, side / 2, side / 2))
    assert foveator.side_px == tuple(
        stride * window for stride, window in zip(strides, eye.pattern.window))
    return foveator


def tokens_of(eye, foveator, image, fixation=None):
    """Patches (N, P, P, 3), and which tokens lie in the picture with every sample."""
    view = foveator(image, fixation)
    mask = eye.patches([np.repeat(valid[None, ..., None], 3, axis=3) * np.uint8(255)
                        for valid in view.valid])[0]
    patches = eye.patches([level[None] for level in view.levels])[0]
    return patches, (mask == 255).all(axis=(1, 2, 3))


# --- what the interface promises


@each_eye
def test_tokens_have_a_place_a_size_and_a_patch(eye):
    levels = [np.zeros((2, window, window, 3), np.uint8) for window in eye.pattern.window]
    patches = eye.patches(levels)
    assert patches.shape == (2, eye.tokens, eye.token_side, eye.token_side, 3)
    assert patches.dtype == np.float32
    assert eye.position_rad.shape == (eye.tokens, 2)
    assert eye.sample_rad.shape == (eye.tokens,)
    assert (eye.sample_rad > 0).all()
    assert len(np.unique(eye.position_rad.round(9), axis=0)) == eye.tokens or len(
        eye.pattern.window) > 1 and eye.name == 'pyramid'


@each_eye
def test_every_token_is_found_at_its_own_centre(eye):
    """But where a sharper one covers it: in the pyramid, and beside the log-polar square."""
    token, row, column = eye.locate(*np.tan(eye.position_rad).T)
    middle = eye.token_side // 2
    own = token == np.arange(eye.tokens)
    if eye.name == 'rings' or eye.pattern.levels == 1:
        assert own.all()
    sharper = eye.sample_rad[token[~own]] < eye.sample_rad[~own]
    assert sharper.all()
    assert own.sum() >= eye.pattern.tokens_per_level[0]
    assert (np.abs(row[own] - middle + 0.5) <= 0.5).all()
    assert (np.abs(column[own] - middle + 0.5) <= 0.5).all()


@each_eye
def test_nothing_is_found_outside_and_all_of_the_middle_is(eye):
    edge = eye.pattern.half_tangent(eye.pattern.levels - 1)
    steps = np.linspace(-edge, edge, 201)
    x, y = np.meshgrid(steps, steps)
    token, row, column = eye.locate(x, y)
    assert (token[np.hypot(x, y) < edge * (1 - 1e-9)] >= 0).all()
    assert (eye.locate(np.array([1.01 * edge, 0, 9e9]), np.array([0, -1.01 * edge, 9e9]))[0]
            == -1).all()
    inside = token >= 0
    for along in (row, column):
        assert ((along[inside] >= 0) & (along[inside] < eye.token_side)).all()


@pytest.mark.parametrize('size', [(160, 120), (641, 479), (1280, 720), (3840, 2160)],
                         ids=str)
@pytest.mark.parametrize('name', FRONT_ENDS)
def test_number_of_tokens_does_not_depend_on_the_camera(name, size):
    eye = make_front_end(name)
    view = Foveator(eye.pattern, camera_of(*size))(noise(*size))
    patches = eye.patches([level[None] for level in view.levels])
    assert patches.shape == (1, eye.tokens, 16, 16, 3)
    assert 48 <= eye.tokens <= 64


@each_eye
@pytest.mark.parametrize('grey', [0, 77, 255])
def test_flat_grey_stays_grey_also_at_the_edge_of_the_picture(eye, grey):
    foveator = Foveator(eye.pattern, camera_of(640, 480))
    image = np.full((480, 640, 3), grey, np.uint8)
    for fixation in (None, (3.0, 470.0), (600.0, 20.5), (-200.0, 240.0)):
        patches, valid = tokens_of(eye, foveator, image, fixation)
        assert (patches[valid] == grey).all()
        if fixation != (-200.0, 240.0):
            assert valid.any()


@each_eye
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2 ** 31), shift=st.tuples(*[st.integers(-60, 60)] * 2))
def test_shifting_picture_and_fixation_together_changes_nothing(eye, seed, shift):
    large = noise(720, 720, seed)
    foveator = Foveator(eye.pattern, CameraModel(600, 600, 200.0, 200.0, 300.0, 300.0))
    column, row = 60 + shift[0], 60 + shift[1]
    one, valid = tokens_of(eye, foveator, np.ascontiguousarray(large[60:660, 60:660]))
    two, _ = tokens_of(eye, foveator, np.ascontiguousarray(
        large[row:row + 600, column:column + 600]), (300.0 - shift[0], 300.0 - shift[1]))
    assert valid.all()
    np.testing.assert_array_equal(one, two)


# --- sharp tokens are the pixels


@each_eye
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2 ** 31), off=st.tuples(*[st.floats(-9, 9)] * 2))
def test_sharp_tokens_equal_the_pixels_bit_for_bit(eye, seed, off):
    """The middle of a camera whose pixels are the sharpest samples, cut by hand."""
    window, side = eye.pattern.window[0], eye.token_side
    if eye.pattern.patch[0] != side:
        pytest.skip('its sharpest patches are averaged down')
    focal = window / 2 / eye.pattern.half_tangent(0)
    size = 2 * math.ceil(window / 2) + 60
    camera = CameraModel(size, size, focal, focal, size / 2, size / 2)
    image, fixation = noise(size, size, seed), (size / 2 + off[0], size / 2 + off[1])
    patches, _ = tokens_of(eye, Foveator(eye.pattern, camera), image, fixation)
    left, top = (math.floor(along - window / 2 + 0.5) for along in fixation)
    across = window // side
    for token in range(across ** 2):
        row, column = top + token // across * side, left + token % across * side
        np.testing.assert_array_equal(patches[token], image[row:row + side, column:column + side])


@each_rings
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2 ** 31))
def test_ring_tokens_are_the_means_of_their_pixels(eye, seed):
    """Every token by its place in the picture: position, stride and rounding, without levels."""
    foveator = whole_strides(eye, eye.strides)
    side = foveator.camera.width
    image = noise(side, side, seed)
    patches, valid = tokens_of(eye, foveator, image)
    assert valid.all()
    strides = np.repeat(eye.strides, [grid ** 2 - hole ** 2
                                      for grid, hole in zip(eye.grids, eye.hole)])
    focal, patch = foveator.camera.fx, eye.token_side
    for token in np.random.default_rng(seed).integers(eye.tokens, size=12):
        stride = strides[token]
        x, y = side / 2 + np.tan(eye.position_rad[token]) * focal - stride * patch / 2
        x, y = round(float(x)), round(float(y))
        block = image[y:y + stride * patch, x:x + stride * patch].astype(float)
        means = block.reshape(patch, stride, patch, stride, 3).mean(axis=(1, 3))
        assert np.abs(patches[token] - means).max() <= 0.5 + 1e-3


# --- means


@pytest.mark.parametrize('eye', [EYES[name]() for name in (
    'pyramid of 4', 'one level', 'rings', 'rings of 172', 'odd rings')], ids=lambda eye: eye.name)
def test_mean_of_the_tokens_by_area_is_the_mean_of_the_picture(eye):
    """Of noise; tokens that overlap sharper ones do not count in the pyramid: its widest level."""
    widest = eye.pattern.window[-1]
    step = 2 * eye.pattern.half_tangent(eye.pattern.levels - 1) / widest
    strides = [round(2 * eye.pattern.half_tangent(level) / window / step * 6)
               for level, window in enumerate(eye.pattern.window)]
    focal = 6 / step
    side = widest * 6
    camera = CameraModel(side, side, focal, focal, side / 2, side / 2)
    foveator = Foveator(eye.pattern, camera)
    image = noise(side, side) // 2 + smooth(side, side) // 2
    patches, valid = tokens_of(eye, foveator, image)
    assert valid.all()
    assert strides[-1] == 6
    first = eye.tokens - eye.pattern.tokens_per_level[-1] if eye.name == 'pyramid' else 0
    area = eye.sample_rad[first:] ** 2
    mean = (patches[first:].mean(axis=(1, 2)) * area[:, None]).sum(axis=0) / area.sum()
    np.testing.assert_allclose(mean, image.reshape(-1, 3).mean(axis=0), atol=0.1)


@each_log_polar
def test_mean_of_log_polar_tokens_by_area_is_the_mean_of_the_disc(eye):
    """Samples grow outward within a token too. Without the square's corners beyond its circle,
    which the innermost ring shows as well: within 1 grey level of the disc's mean.
    """
    edge = eye.pattern.half_tangent(eye.pattern.levels - 1)
    side = 900
    camera = CameraModel(side, side, side / 2 / edge, side / 2 / edge, side / 2, side / 2)
    image = noise(side, side) // 4 + smooth(side, side, waves=1.3) // 2
    patches, _ = tokens_of(eye, Foveator(eye.pattern, camera), image)
    y, x = (np.mgrid[:side, :side] + 0.5) / side * 2 - 1
    ring = (np.hypot(x, y) < 1) & (np.hypot(x, y) > eye.inner / edge)
    rows = eye.image(patches)
    area = np.exp(2 * eye.ring_step * np.arange(len(rows)))
    mean = (rows.mean(axis=1) * area[:, None]).sum(axis=0) / area.sum()
    np.testing.assert_allclose(mean, image[ring].mean(axis=0), atol=1.0)
    inside = eye.patches([np.full((1, w, w, 1), 9, np.uint8) for w in eye.pattern.window])
    assert (inside == 9).all()


# --- rings


def test_default_rings_are_52_tokens_for_1024():
    eye = RingsFrontEnd()
    assert eye.tokens == 16 + 3 * 12
    assert eye.hole == (0, 2, 2, 2)
    assert eye.pattern.window == (64, 64, 64, 64)
    np.testing.assert_allclose([eye.pattern.half_tangent(level) for level in range(4)],
                               [1 / 8, 1 / 4, 1 / 2, 1], rtol=1e-12)
    uniform = (2 * math.tan(math.radians(45)) / eye.sample_rad[0] / eye.patch) ** 2
    assert uniform == pytest.approx(1024)


def test_the_rings_of_segment_this_thing_are_172_tokens():
    """1280 pixels, as published: 172 tokens where a grid has 6400."""
    eye = RingsFrontEnd(60.0, (1, 2, 4, 6, 8), (4, 4, 6, 8, 10))
    assert eye.tokens == 172
    assert eye.strides[-1] * eye.grids[-1] * eye.patch == 1280


@each_rings
def test_rings_tile_the_plane_without_overlap(eye):
    """Areas add up to the whole, and every place belongs to the token whose square holds it."""
    edge = eye.pattern.half_tangent(eye.pattern.levels - 1)
    width = eye.sample_rad * eye.token_side
    assert (width ** 2).sum() == pytest.approx((2 * edge) ** 2, rel=1e-12)
    places = np.random.default_rng(1).uniform(-edge, edge, (2000, 2))
    away = np.abs(np.tan(eye.position_rad) - places[:, None]).max(axis=2)
    holding = away < width / 2
    assert (holding.sum(axis=1) == 1).all()
    np.testing.assert_array_equal(eye.locate(*places.T)[0], holding.argmax(axis=1))


@each_rings
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2 ** 31), off=st.tuples(*[st.floats(-90, 90)] * 2))
def test_direct_sampling_equals_the_levels_bit_for_bit_at_whole_strides(eye, seed, off):
    foveator = whole_strides(eye, eye.strides)
    camera = foveator.camera
    image = noise(camera.width, camera.height, seed)
    fixation = (camera.cx + off[0], camera.cy + off[1])
    view = foveator(image, fixation)
    patches, valid = eye.sample(image, camera, fixation)
    np.testing.assert_array_equal(patches, eye.patches([level[None] for level in view.levels])[0])
    np.testing.assert_array_equal(valid, eye.patches([
        mask[None, ..., None] for mask in view.valid])[0, ..., 0] == 1)


@each_rings
@settings(max_examples=8, deadline=None)
@given(size=st.tuples(st.integers(120, 900), st.integers(100, 700)), hfov=st.floats(50, 120),
       place=st.tuples(*[st.floats(-0.3, 1.3)] * 2))
def test_direct_sampling_is_within_one_grey_level_at_any_stride(eye, size, hfov, place):
    camera, image = camera_of(*size, hfov), noise(*size)
    fixation = (place[0] * size[0], place[1] * size[1])
    view = Foveator(eye.pattern, camera)(image, fixation)
    patches, _ = eye.sample(image, camera, fixation)
    assert np.abs(patches - eye.patches([level[None] for level in view.levels])[0]).max() <= 1


def test_many_fixations_of_one_picture_are_each_as_alone():
    eye, image = IntegralFoveator(WIDE, camera_of(640, 480)), noise(640, 480)
    fixations = [None, (10.0, 20.0), (500.5, 300.5)]
    for fixation, view in zip(fixations, eye.views(image, fixations)):
        for level, alone in zip(view.levels, Foveator(WIDE, eye.camera)(image, fixation).levels):
            assert np.abs(level.astype(int) - alone).max() <= 1


@pytest.mark.parametrize('side', [2901, 2902], ids=['the last int32', 'the first float64'])
def test_tables_are_exact_up_to_and_beyond_32_bits(side):
    table = integral(np.full((side, side, 3), 255, np.uint8))
    assert table.dtype == (np.int32 if side == 2901 else np.float64)
    assert (table[-1, -1] == 255 * side * side).all()
    assert (table[7, 5] == 255 * 35).all()


# --- log-polar


def log_polar_of(eye, image):
    """The log-polar image of a square picture that fills the widest level."""
    side = len(image)
    focal = side / 2 / eye.pattern.half_tangent(eye.pattern.levels - 1)
    camera = CameraModel(side, side, focal, focal, side / 2, side / 2)
    return eye.image(tokens_of(eye, Foveator(eye.pattern, camera), image)[0])


@each_log_polar
@pytest.mark.parametrize('quarters', [1, 2, 3])
def test_quarter_turns_are_exact_shifts(eye, quarters):
    """np.rot90 turns the other way: from below towards the right."""
    levels = [noise(window, window, window) for window in eye.pattern.window]
    turned = [np.rot90(level, -quarters) for level in levels]
    before, after = (eye.image(eye.patches([level[None] for level in view])[0])
                     for view in (levels, turned))
    shift = quarters * eye.wedges * eye.token_side // 4
    np.testing.assert_array_equal(after, np.roll(before, shift, axis=1))


def warped(image, turn_rad=0.0, scale=1.0):
    """The picture turned clockwise and magnified about its middle."""
    middle = (len(image) - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), -math.degrees(turn_rad), scale)
    return cv2.warpAffine(image, matrix, image.shape[:2], flags=cv2.INTER_CUBIC,
                          borderMode=cv2.BORDER_REFLECT)


@each_log_polar
@pytest.mark.parametrize('steps', [1, 5, -3])
def test_turning_the_view_shifts_the_wedges(eye, steps):
    image = smooth(900, 900)
    shifted = np.roll(log_polar_of(eye, image), steps, axis=1)
    turned = log_polar_of(eye, warped(image, steps * eye.wedge_step))
    assert np.abs(turned - shifted).max() < 3
    assert np.abs(turned - log_polar_of(eye, image)).max() > 6


@each_log_polar
@pytest.mark.parametrize('steps', [1, 4])
def test_magnifying_the_view_shifts_the_rings(eye, steps):
    image = smooth(900, 900)
    before = log_polar_of(eye, image)
    after = log_polar_of(eye, warped(image, scale=math.exp(steps * eye.ring_step)))
    assert np.abs(after[steps:] - before[:-steps]).max() < 3
    assert np.abs(after - before).max() > 6


@each_log_polar
def test_inverse_returns_a_smooth_picture(eye):
    side = 640
    image = smooth(side, side)
    focal = side / 2 / eye.pattern.half_tangent(eye.pattern.levels - 1)
    camera = CameraModel(side, side, focal, focal, side / 2, side / 2)
    patches, _ = tokens_of(eye, Foveator(eye.pattern, camera), image)
    back = eye.inverse(patches, side)
    y, x = (np.mgrid[:side, :side] + 0.5) / side * 2 - 1
    seen = np.hypot(x, y) < 0.97
    off = np.abs(back - image)[seen]
    assert off.mean() < 1.5
    assert off.max() < 9
    assert (back[np.hypot(x, y) > 1.001] == 0).all()


def test_weights_of_log_polar_samples_are_exact_in_float32():
    """So that numpy, torch and exported graphs agree to the last bit."""
    for make in (EYES['log_polar'], EYES['small log_polar'], EYES['log_polar of 2']):
        weight = make().taps.weight
        assert (weight * 1024 == np.rint(weight * 1024)).all()
        assert (weight.astype(float).sum(axis=2) == 1).all()
        assert (weight >= 0).all()


# --- back to a picture


@each_eye
def test_mosaic_shows_the_picture(eye):
    """Against the picture itself: smooth, so that coarse tokens can show it."""
    side = 480
    focal = side / 2 / eye.pattern.half_tangent(eye.pattern.levels - 1)
    camera = CameraModel(side, side, focal, focal, side / 2, side / 2)
    image = smooth(side, side, waves=1.0)
    patches, _ = tokens_of(eye, Foveator(eye.pattern, camera), image)
    mosaic = eye.mosaic(patches, side)
    y, x = (np.mgrid[:side, :side] + 0.5) / side * 2 - 1
    seen = eye.locate(x / focal * side / 2, y / focal * side / 2)[0] >= 0
    off = np.abs(mosaic[seen] - image[seen])
    assert off.mean() < 3
    assert off.max() < 24
    assert (mosaic[~seen] == 0).all()
    assert seen.mean() > 0.75


@each_eye
def test_painted_numbers_are_those_of_the_tokens(eye):
    painted = eye.paint(np.arange(eye.tokens), 64)
    patches = np.broadcast_to(np.arange(eye.tokens)[:, None, None, None],
                              (eye.tokens, eye.token_side, eye.token_side, 3))
    shown = eye.mosaic(patches, 64)[..., 0]
    inside = ~np.isnan(painted)
    np.testing.assert_array_equal(painted[inside], shown[inside])


def test_samples_outside_the_picture_are_the_fill():
    eye = RingsFrontEnd()
    patches, valid = tokens_of(eye, Foveator(eye.pattern, camera_of(640, 480)),
                               np.zeros((480, 640, 3), np.uint8), (5000.0, 240.0))
    assert not valid.any()
    assert (patches == FILL).all()


# --- by name


@each_eye
def test_name_pattern_and_config_make_the_same_again(eye):
    """By way of JSON, as a checkpoint keeps them."""
    config, fov = json.loads(json.dumps([eye.config, eye.pattern.fov_deg]))
    pattern = FoveationPattern(tuple(fov), eye.pattern.window, eye.pattern.patch)
    again = make_front_end(eye.name, pattern, config)
    assert type(again) is type(eye)
    assert (again.config, again.pattern) == (eye.config, eye.pattern)
    np.testing.assert_array_equal(again.position_rad, eye.position_rad)


def test_names_are_those_of_the_classes():
    assert {name: make_front_end(name).name for name in FRONT_ENDS} == {
        name: name for name in ('pyramid', 'rings', 'log_polar')}


@pytest.mark.parametrize('name, config, reason', [
    ('fovea', {}, "no front end 'fovea'; choose from log_polar, pyramid, rings"),
    ('rings', {'stride': [1]}, "no parameter 'stride'; did you mean 'strides'"),
    ('pyramid', {'rings': 2}, "no parameter 'rings'"),
    ('log_polar', {'pattern': {}}, 'given beside its config'),
    ('rings', {'strides': [1, 2.5]}, 'strides must be int, got 2.5'),
    ('rings', {'strides': [1, 2]}, 'strides has 2 rings and grids has 4'),
    ('rings', {'strides': [], 'grids': []}, 'strides has 0 rings'),
    ('rings', {'strides': [2, 4], 'grids': [4, 4]}, 'the first is 1'),
    ('rings', {'strides': [1, 1], 'grids': [4, 8]}, 'must grow outward'),
    ('rings', {'strides': [1, 0], 'grids': [4, 8]}, 'at least 1'),
    ('rings', {'strides': [1, 3], 'grids': [4, 4]},
     r'ring 1: a hole of 4 .*1 x 4 = 4; 4 / 3 = 1.33; needs an integer below 4 and even'),
    ('rings', {'strides': [1, 2], 'grids': [4, 5]}, r'4 / 2 = 2.00; .*below 5 and odd'),
    ('rings', {'strides': [1, 2], 'grids': [8, 4]}, r'8 / 2 = 4.00; needs an integer below 4'),
    ('rings', {'fov_deg': 180.0}, 'between 0 and 180'),
    ('rings', {'fov_deg': math.nan}, 'between 0 and 180'),
    ('rings', {'patch': 0}, 'patch must be at least 1'),
    ('log_polar', {'rings': 0}, 'must be at least 1, got 0 and 12'),
    ('log_polar', {'wedges': -1}, 'must be at least 1')], ids=str)
def test_front_ends_that_cannot_be_made_say_why(name, config, reason):
    with pytest.raises(ConfigError, match=reason):
        make_front_end(name, None, config)


def test_patterns_that_do_not_suit_the_front_end_say_why():
    with pytest.raises(ConfigError, match='these rings sample levels of .* leave the pattern out'):
        make_front_end('rings', WIDE)
    with pytest.raises(ConfigError, match='needs 2 levels or more'):
        make_front_end('log_polar', pattern_of((1.0,), (64,), (16,)))
    with pytest.raises(ConfigError, match=r'9 x 2 / 4 = 4.50; needs an integer'):
        LogPolarFrontEnd(pattern_of((0.5, 1.0), (16, 16), (2, 2)), wedges=9)
