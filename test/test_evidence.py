"""Correlation with an exemplar: at its place, on every level, whatever was done to its picture."""

import math

import cv2
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from gaze_robot.foveation import FoveationPattern
from gaze_robot.gaze_target.evidence import (
    CELLS,
    correlate,
    EXEMPLAR_PX,
    make_templates,
    square,
    square_width_rad,
)
from gaze_robot.geometry import direction_from_pan_tilt
from gaze_robot.types import Exemplar
from gaze_robot_sim.render import Panorama

HALF_TANGENTS = (0.2, 0.4, 1.0)
PATTERN = FoveationPattern(tuple(2 * math.degrees(math.atan(t)) for t in HALF_TANGENTS),
                           (64, 64, 128), (16, 16, 32))


def texture(seed=0, width=1536):
    """Colour noise with detail of every size, so that no two places look alike at any level."""
    rng = np.random.default_rng(seed)
    total = np.zeros((width // 2, width, 3), np.float32)
    for octave in range(3, 9):
        coarse = rng.standard_normal((2 ** (octave - 1), 2 ** octave, 3)).astype(np.float32)
        total += cv2.resize(coarse, (width, width // 2), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + 24 * total, 0, 255).astype(np.uint8)


@pytest.fixture(scope='module')
def panorama():
    return Panorama(texture())


def cell_of(offset_rad, level):
    """(row, column) of a place at (pan left, tilt down) from a fovea at tilt 0; None outside."""
    pan, tilt = offset_rad
    x, y = -math.tan(pan), math.tan(tilt) / math.cos(pan)
    column = (x / HALF_TANGENTS[level] + 1) / 2 * CELLS
    row = (y / HALF_TANGENTS[level] + 1) / 2 * CELLS
    return (row, column) if 0 <= row < CELLS and 0 <= column < CELLS else None


def looked_for(panorama, offset_deg, width_deg=8.0, shown_deg=None, roll_deg=0.0, gain=1.0,
               shift=0.0):
    """An exemplar of what is at an offset from pan 1, and the evidence of an eye there."""
    offset = np.radians(offset_deg)
    picture = panorama.patch(direction_from_pan_tilt(1.0 + offset[0], offset[1]),
                             math.radians(shown_deg or width_deg), 48, math.radians(roll_deg))
    changed = np.clip(picture * gain + shift, 0, 255).astype(np.uint8)
    exemplar = Exemplar(changed, math.radians(width_deg))
    levels = panorama.levels(1.0, 0.0, PATTERN)
    return correlate(levels, make_templates(exemplar, PATTERN))


def assert_peak_at(evidence, offset_deg, level, cells=1.0):
    row, column = np.unravel_index(evidence[level].argmax(), (CELLS, CELLS))
    expected = cell_of(np.radians(offset_deg), level)
    assert abs(row + 0.5 - expected[0]) <= 0.5 + cells
    assert abs(column + 0.5 - expected[1]) <= 0.5 + cells


@pytest.mark.parametrize('offset_deg', [(0.0, 0.0), (3.0, 2.0), (-5.0, 4.5), (4.0, -6.0)], ids=str)
@pytest.mark.parametrize('width_deg', [6.0, 9.0, 12.0])
def test_exemplar_is_found_at_its_cell_on_every_level(panorama, offset_deg, width_deg):
    evidence = looked_for(panorama, offset_deg, width_deg)
    assert evidence.shape == (3, CELLS, CELLS)
    assert evidence.dtype == np.float32
    for level in range(3):
        assert_peak_at(evidence, offset_deg, level, cells=0.2)
    assert evidence[0].max() > 0.9


@pytest.mark.parametrize('offset_deg', [(20.0, 8.0), (-30.0, -20.0), (38.0, 0.0)], ids=str)
def test_what_only_the_periphery_shows_is_found_there(panorama, offset_deg):
    evidence = looked_for(panorama, offset_deg, 10.0)
    assert_peak_at(evidence, offset_deg, 2)
    assert evidence[2].max() > evidence[0].max() + 0.15


@pytest.mark.parametrize('change', [
    {'roll_deg': 8.0}, {'roll_deg': -8.0}, {'shown_deg': 8.0 * 1.13}, {'shown_deg': 8.0 / 1.13},
    {'gain': 0.8, 'shift': 15.0}, {'gain': 1.2, 'shift': -15.0},
    {'roll_deg': -9.0, 'gain': 0.85, 'shift': 10.0}], ids=str)
@pytest.mark.parametrize('offset_deg', [(2.0, -3.0), (-5.0, 4.0)], ids=str)
def test_turned_scaled_and_recoloured_exemplars_still_peak_there(panorama, offset_deg, change):
    evidence = looked_for(panorama, offset_deg, **change)
    assert_peak_at(evidence, offset_deg, 0, cells=1.0)
    assert_peak_at(evidence, offset_deg, 2, cells=1.0)
    assert evidence[0].max() > 0.7


@settings(max_examples=25, deadline=None)
@given(st.floats(0.85, 1.15), st.floats(-10, 10), st.floats(6, 12))
def test_near_the_fovea_every_exemplar_of_the_protocol_is_like_its_place(scale, roll_deg,
                                                                         width_deg):
    """At any scale and roll, half way between those that are tried as well."""
    evidence = looked_for(Panorama(texture()), (1.0, -1.5), width_deg,
                          shown_deg=width_deg / scale, roll_deg=roll_deg)
    assert evidence[0].max() > 0.82
    assert_peak_at(evidence, (1.0, -1.5), 0, cells=0.5)


def test_what_is_not_there_resembles_little(panorama):
    levels = panorama.levels(1.0, 0.0, PATTERN)
    other = Panorama(texture(seed=5))
    strange = [correlate(levels, make_templates(Exemplar(
        other.patch(direction_from_pan_tilt(pan, 0.2), math.radians(8), 48), math.radians(8)),
        PATTERN))[0].max() for pan in (0.0, 1.0, 2.0, 3.0)]
    assert max(strange) < 0.6


def test_shifting_the_picture_shifts_the_evidence():
    """By whole cells, where nothing is cut off; and nothing depends on absolute places."""
    big = texture(3, 512)
    exemplar = Exemplar(np.ascontiguousarray(big[100:110, 100:110]), math.radians(3.0))
    templates = make_templates(exemplar, PATTERN)
    for level, side in ((0, 4), (1, 4), (2, 8)):
        window = PATTERN.window[level]
        views = [np.ascontiguousarray(big[50:50 + window, 60 + dx:60 + dx + window])
                 for dx in (0, 2 * side)]
        both = []
        for view in views:
            levels = [np.zeros((w, w, 3), np.uint8) for w in PATTERN.window]
            levels[level] = view
            both.append(correlate(levels, templates)[level])
        np.testing.assert_allclose(both[1][3:-3, 3:-5], both[0][3:-3, 5:-3], atol=1e-4)


def reference(view, template):
    """Normalised cross-correlation written out for every centre, colours centred one by one."""
    side = template.shape[0]
    half = side // 2
    padded = np.pad(view.astype(float), ((half, half), (half, half), (0, 0)), mode='edge')
    t = template.astype(float) - template.astype(float).mean(axis=(0, 1))
    result = np.zeros(view.shape[:2])
    for row, column in np.ndindex(*result.shape):
        w = padded[row:row + side, column:column + side]
        w = w - w.mean(axis=(0, 1))
        result[row, column] = (w * t).sum() / math.sqrt((w ** 2).sum() * (t ** 2).sum())
    return result


def test_evidence_is_normalised_cross_correlation():
    """Against the definition: the best of all variants, each in its own size."""
    view = texture(1, 256)[:64, :64]
    exemplar = Exemplar(np.ascontiguousarray(view[40:60, 30:50]),
                        2 * math.atan(0.4 * 9 / 64))    # 9 samples of the middle level
    templates = make_templates(exemplar, PATTERN)
    pictures = [template.image for template in templates[1].variants]
    assert pictures[0].shape == (9, 9, 3)
    assert len({picture.shape for picture in pictures}) > 1
    levels = [np.zeros((w, w, 3), np.uint8) for w in PATTERN.window]
    levels[1] = view
    best = np.max([reference(view, picture) for picture in pictures], axis=0)
    expected = best.reshape(CELLS, 4, CELLS, 4).max(axis=(1, 3))
    np.testing.assert_allclose(correlate(levels, templates)[1], expected, atol=2e-3)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.floats(0.5, 1.0), st.floats(0.0, 100.0))
def test_brightness_and_contrast_of_the_picture_do_not_matter(seed, gain, shift):
    rng = np.random.default_rng(seed)
    levels = [texture(seed, 256)[:w, :w] for w in PATTERN.window]
    top, left = rng.integers(0, 40, 2)
    exemplar = Exemplar(np.ascontiguousarray(levels[0][top:top + 12, left:left + 12]),
                        math.radians(4.0))
    templates = make_templates(exemplar, PATTERN)
    changed = [np.rint(level * gain + shift * (1 - gain)).astype(np.uint8) for level in levels]
    before, after = correlate(levels, templates), correlate(changed, templates)
    difference = np.abs(after - before)             # the rest: darkest places, rounded to nothing
    assert np.quantile(difference, 0.97) < 0.03
    assert difference.max() < 0.25


@pytest.mark.parametrize('grey', [0, 77, 255])
def test_flat_picture_gives_no_evidence(panorama, grey):
    exemplar = Exemplar(panorama.patch(np.array([1.0, 0.0, 0.0]), 0.15, 48), 0.15)
    levels = [np.full((w, w, 3), grey, np.uint8) for w in PATTERN.window]
    assert np.abs(correlate(levels, make_templates(exemplar, PATTERN))).max() < 1e-3


def test_nearly_flat_picture_gives_little_evidence(panorama):
    """Sensor noise of a grey level must not look like anything."""
    exemplar = Exemplar(panorama.patch(np.array([1.0, 0.0, 0.0]), 0.15, 48), 0.15)
    rng = np.random.default_rng(0)
    levels = [rng.integers(127, 130, (w, w, 3), dtype=np.uint8) for w in PATTERN.window]
    assert correlate(levels, make_templates(exemplar, PATTERN)).max() < 0.3


def test_flat_exemplar_resembles_nothing(panorama):
    exemplar = Exemplar(np.full((48, 48, 3), 140, np.uint8), 0.15)
    levels = panorama.levels(1.0, 0.0, PATTERN)
    assert np.abs(correlate(levels, make_templates(exemplar, PATTERN))).max() < 1e-2


def test_exemplar_larger_than_every_level_leaves_them_empty(panorama):
    assert (looked_for(panorama, (0.0, 0.0), 80.0) == 0).all()


@settings(max_examples=30, deadline=None)
@given(st.floats(0.3, 85.0), st.integers(4, 90), st.integers(4, 90), st.integers(0, 99))
def test_any_exemplar_gives_finite_evidence(width_deg, width, height, seed):
    rng = np.random.default_rng(seed)
    exemplar = Exemplar(rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
                        math.radians(width_deg))
    levels = [rng.integers(0, 256, (w, w, 3), dtype=np.uint8) for w in PATTERN.window]
    evidence = correlate(levels, make_templates(exemplar, PATTERN))
    assert evidence.shape == (3, CELLS, CELLS)
    assert np.isfinite(evidence).all()
    assert np.abs(evidence).max() <= 1


# --- the square of an exemplar


def test_square_is_the_middle_of_a_picture():
    image = np.zeros((64, 100, 3), np.uint8)
    image[:, 18:82] = np.arange(64, dtype=np.uint8)[None, :, None]
    np.testing.assert_array_equal(square(Exemplar(image, 0.3)), image[:, 18:82])
    assert square_width_rad(Exemplar(image, 0.3)) == pytest.approx(0.192)
    tall = np.ascontiguousarray(image.transpose(1, 0, 2))
    np.testing.assert_array_equal(square(Exemplar(tall, 0.3)), tall[18:82])
    assert square_width_rad(Exemplar(tall, 0.3)) == pytest.approx(0.3)


@pytest.mark.parametrize('size', [(4, 4), (7, 31), (200, 64), (500, 900)], ids=str)
def test_square_has_one_size(size):
    picture = square(Exemplar(np.full((*size, 3), 31, np.uint8), 0.2))
    assert picture.shape == (EXEMPLAR_PX, EXEMPLAR_PX, 3)
    assert (picture == 31).all()


def test_a_level_too_narrow_for_the_exemplar_sees_the_wider_ones_correlation():
    """The patch of a smooth random picture, 12 degrees wide, off the axis of a fovea of 11."""
    pattern = FoveationPattern()
    fine = cv2.resize(np.random.default_rng(5).integers(0, 256, (60, 60, 3), np.uint8),
                      (1280, 1280), interpolation=cv2.INTER_CUBIC)       # 90 degrees
    levels = []
    for level, window in enumerate(pattern.window):
        side = round(640 * pattern.half_tangent(level))
        crop = fine[640 - side:640 + side, 640 - side:640 + side]
        levels.append(cv2.resize(crop, (window, window), interpolation=cv2.INTER_AREA))
    width = 2 * round(640 * math.tan(math.radians(6)))
    x, y = 640 + 30, 640 - 20                                            # pixels of `fine`
    exemplar = Exemplar(fine[y - width // 2:y + width // 2, x - width // 2:x + width // 2].copy(),
                        math.radians(12))
    templates = make_templates(exemplar, pattern)
    assert [bool(one.variants) for one in templates] == [False, True, True, True]
    evidence = correlate(levels, templates)
    row, column = np.unravel_index(evidence[0].argmax(), evidence[0].shape)
    cell = 2 * 640 * pattern.half_tangent(0) / 16
    assert abs((column + 0.5 - 8) * cell - 30) <= cell
    assert abs((row + 0.5 - 8) * cell + 20) <= cell
    assert evidence[0].max() > 0.7
