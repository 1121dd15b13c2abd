"""Renderings against analytic answers and brute force; every formula here is written anew."""

import math

import cv2
import numpy as np
import pytest

from gaze_robot.camera import CameraModel
from gaze_robot.foveation import FoveationPattern
from gaze_robot_sim.envs.config import EyeConfig
from gaze_robot_sim.render import Panorama

PATTERN = FoveationPattern((22.62, 43.6, 90.0), (64, 64, 64), (16, 16, 16))
HALF = [math.tan(math.radians(fov) / 2) for fov in PATTERN.fov_deg]


def turned(ray, pan, tilt):
    """Optical rays (..., 3) of an eye at (pan, tilt) as directions: x ahead, y left, z up."""
    x, y, z = ray[..., 2], -ray[..., 0], -ray[..., 1]
    x, z = math.cos(tilt) * x + math.sin(tilt) * z, math.cos(tilt) * z - math.sin(tilt) * x
    return np.stack([math.cos(pan) * x - math.sin(pan) * y,
                     math.sin(pan) * x + math.cos(pan) * y, z], axis=-1)


def square(half, taps):
    """Unit optical rays (taps, taps, 3) of points that fill a level evenly."""
    steps = ((np.arange(taps) + 0.5) / taps * 2 - 1) * half
    x, y = np.meshgrid(steps, steps)
    return unit(np.stack([x, y, np.ones_like(x)], axis=-1))


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def angle_from(axis, direction):
    axis = unit(np.array(axis, float))
    return np.arctan2(np.linalg.norm(np.cross(direction, axis), axis=-1), direction @ axis)


def around(height):
    """Directions (height, 2 * height, 3) of the pixels of a panorama: left edge behind, left."""
    pan = math.pi - (np.arange(2 * height) + 0.5) / height * math.pi
    up = math.pi / 2 - (np.arange(height) + 0.5) / height * math.pi
    pan, up = np.meshgrid(pan, up)
    return np.stack([np.cos(up) * np.cos(pan), np.cos(up) * np.sin(pan), np.sin(up)], axis=-1)


def painted(patterns, height):
    """One pattern per colour."""
    direction = around(height)
    return Panorama(np.rint(np.stack([p(direction) for p in patterns], axis=-1)).astype(np.uint8))


def means(values, taps):
    """Of squares of taps x taps."""
    side = len(values) // taps
    return values.reshape(side, taps, side, taps, *values.shape[2:]).mean(axis=(1, 3))


# --- stripes


def parallels(axis, waves):
    """Stripes around an axis, smooth everywhere."""
    return lambda direction: 127.5 + 100 * np.cos(waves * angle_from(axis, direction))


def meridians(waves):
    """Stripes from pole to pole, where they become finer than anything can show."""
    return lambda d: 127.5 + 100 * np.sin(waves * np.arctan2(d[..., 1], d[..., 0]))


STRIPES = (parallels((0, 0, 1), 6), parallels((1, 2, 0.5), 5), meridians(5))
MERIDIANS, AWAY_FROM_POLES = 2, math.sin(math.radians(65))


@pytest.fixture(scope='module', params=[1024, 2048], ids=['2048x1024', '4096x2048'])
def striped(request):
    return painted(STRIPES, request.param)


def poses():
    rng = np.random.default_rng(7)
    special = [(math.pi, 0.0), (-math.pi, 0.2), (3.13, -0.3), (9.4, 0.1),             # the seam
               (0.3, math.pi / 2), (1.0, -math.pi / 2), (-2.0, 1.5), (3.1, -1.45)]    # the poles
    return [(rng.uniform(-math.pi, math.pi), rng.uniform(-1.4, 1.4)) for _ in range(50)] + special


def assert_within_one(picture, exact, direction):
    """Every sample at most one off the nearest grey level, most of them none."""
    counts = np.abs(direction[..., 2]) < AWAY_FROM_POLES
    for colour in range(3):
        off = np.abs(picture[..., colour].astype(int) - np.rint(exact[..., colour]).astype(int))
        if colour == MERIDIANS:
            off = off[counts]
        if off.size:
            assert off.max() <= 1
            assert (off == 0).mean() > 0.5


@pytest.mark.parametrize('samples', [0, 4])
def test_levels_show_stripes_to_the_grey_level(striped, samples):
    taps = 3
    for pan, tilt in poses():
        for half, view in zip(HALF, striped.levels(pan, tilt, PATTERN, samples)):
            fine = turned(square(half, 64 * taps), pan, tilt)
            exact = np.stack([means(stripes(fine), taps) for stripes in STRIPES], axis=-1)
            assert_within_one(view, exact, turned(square(half, 64), pan, tilt))


def lens_rays(camera):
    """Unit optical rays of the pixels of a pinhole or an equidistant fisheye."""
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    x, y = (u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy
    if camera.model != 'equidistant':
        return unit(np.stack([x, y, np.ones_like(x)], axis=-1))
    angle = np.hypot(x, y)
    share = np.sin(angle) / angle
    return np.stack([x * share, y * share, np.cos(angle)], axis=-1)


@pytest.mark.parametrize('camera', [
    CameraModel.from_hfov(160, 120, math.radians(90)),
    CameraModel(150, 150, 48.0, 48.0, 75.25, 74.75, 'equidistant', (0.0, 0.0, 0.0, 0.0))],
    ids=['pinhole', 'fisheye'])
def test_pictures_show_stripes_to_the_grey_level(striped, camera):
    rays = lens_rays(camera)
    for pan, tilt in poses():
        direction = turned(rays, pan, tilt)
        exact = np.stack([stripes(direction) for stripes in STRIPES], axis=-1)
        assert_within_one(striped.picture(camera, pan, tilt), exact, direction)


# --- zone plates


AXES = ((1.0, 0.0, 0.0), (1.0, 0.3, 0.7), (1.0, 0.3, -0.2))
EDGE_RAD = 0.97
VIEWS = ((0.1, 0.05), (0.3, -0.5), (-0.4, 0.3))


def rings(height, share):
    """Rings of full contrast, finer and finer: wave number 2 * k * angle, up to a share of the
    highest that the panorama can hold, at 1 radian from each axis.
    """
    k = share * height / 2

    def plate(axis):
        return lambda d: 127.5 + 127.5 * np.cos(k * np.minimum(angle_from(axis, d), 1.0) ** 2)
    return painted([plate(axis) for axis in AXES], height), k


def brute_force(image, half, pan, tilt, taps):
    """Area means: taps x taps points of the full picture per sample, read bilinearly."""
    height, width = image.shape[:2]
    direction = turned(square(half, 64 * taps), pan, tilt)
    u = (0.5 - np.arctan2(direction[..., 1], direction[..., 0]) / (2 * math.pi)) * width - 0.5
    v = (0.5 - np.arcsin(direction[..., 2]) / math.pi) * height - 0.5
    left, top = np.floor(u).astype(int), np.floor(v).astype(int)
    a, b = (u - left)[..., None], (v - top)[..., None]

    def at(row, column):
        return image[np.clip(row, 0, height - 1), column % width].astype(np.float32)
    upper = (1 - a) * at(top, left) + a * at(top, left + 1)
    lower = (1 - a) * at(top + 1, left) + a * at(top + 1, left + 1)
    return means((1 - b) * upper + b * lower, taps)


@pytest.fixture(scope='module', params=[(512, 0.4), (1024, 0.4), (1920, 0.4)], ids=str)
def looked_at(request):
    """Every sample of every level that shows rings, (N,) each: its level; the rings' frequency
    there, in Nyquist frequencies of the level; what area means show; what is seen, with the
    defaults, in brief panoramas, with 4 samples and with 2.
    """
    height, share = request.param
    panorama, k = rings(height, share)
    brief = Panorama(panorama.image, brief=True)
    rows = []
    for pan, tilt in VIEWS:
        seen = (panorama.levels(pan, tilt, PATTERN), brief.levels(pan, tilt, PATTERN),
                panorama.levels(pan, tilt, PATTERN, samples=4),
                panorama.levels(pan, tilt, PATTERN, samples=2))
        for level, (half, *views) in enumerate(zip(HALF, *seen)):
            step = 2 * half / 64
            taps = max(4, math.ceil(2 * share * step * height / math.pi))
            exact = brute_force(panorama.image, half, pan, tilt, taps)
            ray = square(half, 64)
            local = step * ray[..., 2] ** 1.5               # samples are smaller off the axis
            for colour, axis in enumerate(AXES):
                angle = angle_from(axis, turned(ray, pan, tilt))
                values = [np.full(angle.shape, level), 2 * k * angle * local / math.pi,
                          *(picture[..., colour] for picture in (exact, *views))]
                rows.append(np.stack(values)[:, angle < EDGE_RAD])
    return np.concatenate(rows, axis=1)


def rms(values):
    return math.sqrt((values ** 2).mean())


def bands(frequency, *edges):
    """Which samples lie in each band of frequencies, where enough do."""
    chosen = [(low <= frequency) & (frequency < high) for low, high in zip(edges, edges[1:])]
    full = [band for band in chosen if band.sum() > 300]
    assert len(full) > 1
    return full


def test_zone_plates_look_as_brute_force_shows_them(looked_at):
    """At most 2 grey levels on every level: no rings that are not in the world."""
    level, frequency, exact, seen, _, four, _ = looked_at
    for view in (seen, four):
        assert [rms((view - exact)[level == which]) <= 2.0 for which in range(3)] == [True] * 3
        assert rms(view - exact) <= 1.6
        for band in bands(frequency, 0, 0.25, 0.5, 1, 2, 4):
            assert rms((view - exact)[band]) <= 2.2


def test_zone_plates_in_brief_panoramas_are_little_worse(looked_at):
    level, _, exact, _, brief, _, _ = looked_at
    for which in range(3):
        assert rms((brief - exact)[level == which]) <= 4.5
    assert rms(brief - exact) <= 3.2


def test_zone_plates_in_environments_are_little_worse(looked_at):
    """Which read four taps a sample unless they are told otherwise."""
    assert EyeConfig.samples == 2
    level, _, exact, *_, two = looked_at
    for which in range(3):
        assert rms((two - exact)[level == which]) <= 4.0
    assert rms(two - exact) <= 3.0


@pytest.mark.parametrize('samples', [0, 1, 2, 4])
@pytest.mark.parametrize('pattern', ['checkerboard', 'columns', 'rows'])
def test_what_is_finer_than_samples_comes_out_grey(pattern, samples):
    """Full contrast is 127.5 RMS; a picture that aliases keeps all of it."""
    image = np.zeros((1024, 2048, 3), np.uint8)
    {'checkerboard': lambda: [image[::2, ::2].fill(255), image[1::2, 1::2].fill(255)],
     'columns': lambda: image[:, ::2].fill(255), 'rows': lambda: image[::2].fill(255)}[pattern]()
    for pan, tilt in ((0.3, 0.05), (3.1, -0.6)):
        view = Panorama(image).levels(pan, tilt, PATTERN, samples)[2]       # ten pixels a sample
        assert rms(view - 127.5) <= 16.0                    # one pixel of ten out of balance: 13
        assert abs(view.mean() - 127.5) <= 1.0


# --- brightness


def test_halving_again_and_again_does_not_make_brighter():
    """A drift of rounding would be 1 / 4 grey level per halving; smooth pictures show it best."""
    noise = np.random.default_rng(0).integers(0, 256, (5, 9, 3), np.uint8)
    image = cv2.resize(noise, (8192, 4096), interpolation=cv2.INTER_CUBIC)
    for half, view in zip(HALF, Panorama(image).levels(0.0, 0.0, PATTERN)):
        exact = brute_force(image, half, 0.0, 0.0, 6)
        assert abs((view - exact).mean()) < 0.06
