"""Panoramas as eyes and cameras see them: the right way round, seamless, without aliasing."""

from concurrent.futures import ThreadPoolExecutor
import math

import cv2
import numpy as np
import pytest

from gaze_robot.camera import CameraModel
from gaze_robot.errors import ConfigError, WorldError
from gaze_robot.foveation import FoveationPattern, Foveator
from gaze_robot.geometry import (
    base_from_optical,
    base_ray,
    direction_from_pan_tilt,
    panorama_direction,
)
from gaze_robot_sim.mips import copies_for, Copy
from gaze_robot_sim.render import _rotations, Panorama, render_levels

PATTERN = FoveationPattern(tuple(2 * math.degrees(math.atan(t)) for t in (0.2, 0.4, 1.0)),
                           (64, 64, 128), (16, 16, 32))
HALF_TANGENTS, WINDOWS = (0.2, 0.4, 1.0), (64, 64, 128)


def colours(direction):
    """A smooth colour for every direction, without seam or pole: (..., 3) grey levels."""
    x, y, z = np.moveaxis(direction, -1, 0)
    return np.stack([127.5 + 100 * np.sin(9 * x + 2 * y), 127.5 + 100 * np.cos(7 * y - 4 * z),
                     127.5 + 100 * np.sin(8 * z + 3 * x * y)], axis=-1)


def pixel_directions(width):
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(width // 2) + 0.5)
    return panorama_direction(np.stack([u, v], axis=-1), width, width // 2)


@pytest.fixture(scope='module')
def smooth():
    return Panorama(np.rint(colours(pixel_directions(2048))).astype(np.uint8))


def poses():
    rng = np.random.default_rng(0)
    fixed = [(0.0, 0.0), (math.pi, 0.0), (-math.pi, 0.3), (3.1, -0.2), (0.7, math.pi / 2),
             (-2.0, -math.pi / 2), (1.0, 1.45), (100.0, 0.1), (-3 * math.pi, 0.0)]
    return fixed + [(rng.uniform(-4, 4), rng.uniform(-1.3, 1.3)) for _ in range(8)]


def level_directions(level, pan, tilt):
    steps = ((np.arange(WINDOWS[level]) + 0.5) / WINDOWS[level] * 2 - 1) * HALF_TANGENTS[level]
    x, y = np.meshgrid(steps, steps)
    ray = np.stack([x, y, np.ones_like(x)], axis=-1)
    return base_ray(ray / np.linalg.norm(ray, axis=-1, keepdims=True), pan, tilt)


@pytest.mark.parametrize('pose', poses(), ids=lambda p: f'{p[0]:.2f},{p[1]:.2f}')
def test_levels_show_the_colours_of_their_directions(smooth, pose):
    """Anywhere, also across the seam and at the poles: at most about a grey level off."""
    for level, view in enumerate(smooth.levels(*pose, PATTERN)):
        assert view.shape == (WINDOWS[level], WINDOWS[level], 3)
        assert view.dtype == np.uint8
        error = view - colours(level_directions(level, *pose))
        assert np.sqrt((error ** 2).mean()) < 0.8
        assert np.abs(error).max() < 3.0


@pytest.mark.parametrize('camera', [
    CameraModel.from_hfov(160, 120, math.radians(90)),
    CameraModel.from_hfov(320, 180, math.radians(60)),
    CameraModel(160, 120, 90.0, 90.0, 75.0, 62.0, 'plumb_bob', (-0.1, 0.01, 0.001, 0.0, 0.0)),
    CameraModel(160, 160, 55.0, 55.0, 80.0, 80.0, 'equidistant', (0.01, 0.0, 0.0, 0.0))],
    ids=['pinhole', 'narrow', 'barrel', 'fisheye'])
@pytest.mark.parametrize('pose', poses()[1:6], ids=lambda p: f'{p[0]:.2f},{p[1]:.2f}')
def test_pictures_show_the_colours_of_their_pixels(smooth, camera, pose):
    picture = smooth.picture(camera, *pose)
    assert picture.shape == (camera.height, camera.width, 3)
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = camera.unproject(np.stack([u, v], axis=-1))
    error = picture - colours(base_ray(rays, *pose))
    assert np.sqrt((error ** 2).mean()) < 1.0
    assert np.abs(error).max() < 4.0


def landmarks(width=1024):
    """Grey, with a red spot ahead, green to the left, blue straight up."""
    direction = pixel_directions(width)
    image = np.full((width // 2, width, 3), 100, np.uint8)
    for axis, colour in (((1, 0, 0), (255, 0, 0)), ((0, 1, 0), (0, 255, 0)),
                         ((0, 0, 1), (0, 0, 255))):
        image[direction @ np.array(axis, float) > math.cos(math.radians(4))] = colour
    return Panorama(image)


def centre_of(picture, channel):
    """(u, v) of the spot of a colour."""
    others = [c for c in range(3) if c != channel]
    v, u = np.nonzero((picture[..., channel] > 200) & (picture[..., others] < 60).all(axis=-1))
    assert len(u) > 5
    return u.mean() + 0.5, v.mean() + 0.5


def test_turning_left_moves_the_world_right_and_looking_down_moves_it_up():
    panorama, camera = landmarks(), CameraModel.from_hfov(200, 200, math.pi / 2)
    ahead = centre_of(panorama.picture(camera, 0.0, 0.0), 0)
    assert ahead == pytest.approx((100, 100), abs=0.6)
    turned = centre_of(panorama.picture(camera, math.radians(20), 0.0), 0)
    assert turned == pytest.approx((100 + 100 * math.tan(math.radians(20)), 100), abs=1)
    lowered = centre_of(panorama.picture(camera, 0.0, math.radians(20)), 0)
    assert lowered == pytest.approx((100, 100 - 100 * math.tan(math.radians(20))), abs=1)
    assert centre_of(panorama.picture(camera, math.pi / 2, 0.0), 1) == pytest.approx(
        (100, 100), abs=0.6)
    assert centre_of(panorama.picture(camera, 1.2, -math.pi / 2), 2) == pytest.approx(
        (100, 100), abs=0.8)


def test_seam_behind_does_not_show():
    """The same content turned half round must look the same."""
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 256, (64, 128, 3), dtype=np.uint8), (1024, 512),
                       interpolation=cv2.INTER_CUBIC)
    image[:, -4:] = image[:, :4][:, ::-1]
    ahead, behind = Panorama(np.roll(image, 512, axis=1)), Panorama(image)
    for tilt in (0.0, 0.4):
        for first, second in zip(ahead.levels(0.02, tilt, PATTERN),
                                 behind.levels(math.pi + 0.02, tilt, PATTERN)):
            assert np.abs(first.astype(int) - second).max() <= 1


def test_fine_stripes_are_averaged_not_aliased():
    """Stripes of one pixel are grey in the periphery, whose samples are wider than ten of them."""
    image = np.zeros((2048, 4096, 3), np.uint8)
    image[:, ::2] = 255
    view = Panorama(image).levels(0.3, 0.05, PATTERN)[2]
    assert HALF_TANGENTS[2] * 2 / WINDOWS[2] * 4096 / math.tau > 10
    assert np.sqrt(((view - 127.5) ** 2).mean()) <= 127.5 / 10     # one of ten out of balance


def test_the_eye_sees_what_a_camera_there_would_show_it(room):
    """Sampled directly, or from a VGA picture by the robot's own foveator: 2 grey levels RMS."""
    camera = CameraModel.from_hfov(640, 480, math.pi / 2)
    eye, panorama = Foveator(PATTERN, camera), Panorama(room)
    for pan, tilt in ((0.4, 0.1), (-2.5, -0.3), (math.pi, 0.2)):
        seen = eye(panorama.picture(camera, pan, tilt))
        for direct, level, valid in zip(panorama.levels(pan, tilt, PATTERN), seen.levels,
                                        seen.valid):
            difference = direct.astype(float)[valid] - level[valid]
            assert np.sqrt((difference ** 2).mean()) <= 2.0
            assert np.abs(difference.mean()) < 0.3


@pytest.mark.parametrize('width', [1024, 3840])
def test_a_brief_panorama_shows_what_a_camera_there_would_show(room, width):
    """A frame of a video is read without smooth copies, and as well: 2 grey levels RMS."""
    image = cv2.resize(room, (width, width // 2), interpolation=cv2.INTER_CUBIC)
    camera = CameraModel.from_hfov(1280, 960, math.pi / 2)
    eye, lasting = Foveator(PATTERN, camera), Panorama(image)
    brief = Panorama(image, brief=True)
    for pan, tilt in ((0.4, 0.1), (-2.5, -0.3), (math.pi, 0.2)):
        seen = eye(lasting.picture(camera, pan, tilt))
        for direct, level, valid in zip(brief.levels(pan, tilt, PATTERN), seen.levels, seen.valid):
            difference = direct.astype(float)[valid] - level[valid]
            assert np.sqrt((difference ** 2).mean()) <= 2.0
            assert np.abs(difference.mean()) < 0.3
    assert brief.nbytes - brief.image.nbytes < 2 * image.nbytes       # plain copies: 1 + 1/4 + ...


@pytest.mark.parametrize('width, level', [(1920, 1), (1920, 2), (3840, 0), (3840, 1), (3840, 2)])
def test_stripes_finer_than_samples_are_grey_in_brief_panoramas_too(width, level):
    """Full contrast is 127.5 RMS; at most one pixel of a sample's width is out of balance."""
    pixels = HALF_TANGENTS[level] * 2 / WINDOWS[level] * width / math.tau
    image = np.zeros((width // 2, width, 3), np.uint8)
    image[:, ::2] = 255
    for pan, tilt in ((0.3, 0.05), (3.1, -0.6)):
        view = Panorama(image, brief=True).levels(pan, tilt, PATTERN)[level]
        assert np.sqrt(((view - 127.5) ** 2).mean()) <= 1.1 * 127.5 / pixels


@pytest.fixture(scope='module')
def room():
    from gaze_robot_sim.scenes.rooms import make_room
    return make_room(np.random.default_rng(3)).image


# --- patches


@pytest.mark.parametrize('direction', [(1.0, 0.0, 0.0), (-1.0, 0.01, 0.2), (0.2, -0.9, -0.6)],
                         ids=str)
def test_patch_shows_its_direction_in_the_middle(smooth, direction):
    patch = smooth.patch(np.array(direction), math.radians(9), 31)
    assert patch.shape == (31, 31, 3)
    unit = np.array(direction) / np.linalg.norm(direction)
    assert np.abs(patch[15, 15] - colours(unit)).max() < 1.5


@pytest.mark.parametrize('roll_deg, where', [(0, (60, 40)), (90, (80, 60)), (180, (60, 80)),
                                             (-90, (40, 60))])
def test_positive_roll_turns_the_content_clockwise(roll_deg, where):
    """A spot 10 degrees above the middle; 40 degrees across 120 pixels."""
    up = direction_from_pan_tilt(math.pi / 2, math.atan(math.tan(math.radians(20)) / 3))
    patch = landmarks().patch(up, math.radians(40), 120, math.radians(roll_deg))
    assert centre_of(patch, 1) == pytest.approx(where, abs=1.5)


def test_patch_covers_the_angle_asked_for():
    panorama = landmarks()
    for width_deg in (16, 24):
        patch = panorama.patch(np.array([1.0, 0.0, 0.0]), math.radians(width_deg), 100)
        across = (patch[50, :, 1] < 50).sum()
        expected = 100 * math.tan(math.radians(4)) / math.tan(math.radians(width_deg / 2))
        assert across == pytest.approx(expected, abs=2.5)


# --- several cameras, several threads


def test_two_cameras_of_different_lenses_do_not_share_their_maps(smooth):
    wide, narrow = (CameraModel.from_hfov(80, 60, math.radians(fov)) for fov in (100, 30))
    first = smooth.picture(wide, 0.1, 0.0)
    second = smooth.picture(narrow, 0.1, 0.0)
    assert np.abs(first.astype(int) - second).max() > 20
    np.testing.assert_array_equal(smooth.picture(wide, 0.1, 0.0), first)


def test_threads_render_what_one_would(smooth):
    cameras = [CameraModel.from_hfov(40 + i, 30, math.radians(80)) for i in range(100)]
    alone = [smooth.picture(camera, 0.2, 0.1) for camera in cameras[:10]]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda camera: smooth.picture(camera, 0.2, 0.1), cameras))
    for first, second in zip(alone, together):
        np.testing.assert_array_equal(first, second)


# --- sizes of maps and copies


@pytest.mark.parametrize('pattern, eyes', [
    (FoveationPattern((20., 45., 90.), (15, 7, 4), (1, 1, 1)), 400),
    (FoveationPattern((20., 90.), (227, 226), (1, 1)), 2)], ids=['small', 'large'])
def test_windows_without_a_common_divisor_are_read_like_others(smooth, pattern, eyes):
    """OpenCV's maps have fewer than 32767 rows; eyes side by side see what each sees alone."""
    poses = np.random.default_rng(1).uniform(-1, 1, (eyes, 2))
    together = render_levels([smooth] * eyes, poses, pattern)
    for number in (0, eyes // 2, eyes - 1):
        alone = smooth.levels(*poses[number], pattern)
        for view, one in zip(together, alone):
            assert np.abs(view[number].astype(int) - one).max() <= 1


def test_samples_finer_than_the_panorama_read_one_copy_of_it():
    copies, _ = copies_for(np.array([0.2, 0.35, 0.5, 0.7, 1.0, 1.1]), 1024, 512, averaged=True)
    assert copies == (Copy(1.0, 0.0),)


def test_a_panorama_too_large_for_a_pattern_says_what_to_do():
    image = np.zeros((8192, 16384, 3), np.uint8)                # untouched: takes no memory
    pattern = FoveationPattern((1.4, 2.0, 2.8, 4.0), (32,) * 4, (1,) * 4)
    with pytest.raises(ConfigError, match='16384x8192 is too large.*make it smaller'):
        Panorama(image).levels(0.0, 0.0, pattern, samples=2)


@pytest.mark.parametrize('brief', [False, True])
def test_memory_is_counted_with_the_copies(smooth, brief):
    panorama = Panorama(smooth.image, brief)
    expected = panorama.nbytes
    panorama.levels(0.0, 0.0, PATTERN)
    one = panorama.nbytes
    assert 0.5 < expected / one < 2                             # foreseen before the first look
    panorama.patch(np.array([1.0, 0.0, 0.0]), 0.002, 8)
    panorama.picture(CameraModel.from_hfov(40, 30, 1.5), 0.0, 0.0)
    held = {id(atlas): atlas.nbytes for atlas in panorama._atlases.values()}
    assert panorama.nbytes == panorama.image.nbytes + sum(held.values()) > one


# --- what is no panorama


@pytest.mark.parametrize('image, reason', [
    (np.zeros((480, 640, 3), np.uint8), 'twice as wide as high, got 640x480.*camera:=file'),
    (np.zeros((100, 204, 3), np.uint8), 'twice as wide as high'),
    (np.zeros((0, 0, 3), np.uint8), 'got'), (np.zeros((64, 128), np.uint8), 'uint8 RGB'),
    (np.zeros((64, 128, 4), np.uint8), 'uint8 RGB'), (np.zeros((64, 128, 3)), 'float64')],
    ids=['4:3', '2.04:1', 'empty', 'grey', 'rgba', 'float'])
def test_other_pictures_are_refused(image, reason):
    with pytest.raises(WorldError, match=reason):
        Panorama(image)


@pytest.mark.parametrize('shape', [(500, 1000), (500, 1001), (501, 1000), (4, 8), (1, 2)], ids=str)
def test_panoramas_of_any_size_can_be_looked_at(shape):
    panorama = Panorama(np.full((*shape, 3), 60, np.uint8))
    assert (panorama.height, panorama.width) == shape
    for view in panorama.levels(2.0, 0.5, PATTERN):
        assert (view == 60).all()


def test_rotations_for_speed_are_those_of_the_geometry():
    turned = _rotations(np.array(poses()))
    expected = base_from_optical(*np.array(poses()).T) * np.array([-1, 1, 1])[:, None]
    np.testing.assert_allclose(turned, expected, atol=1e-6)


def test_a_single_tap_is_rougher_but_does_not_alias(smooth):
    """The quick way: right about smooth things, grey about what it cannot show."""
    for level, view in enumerate(smooth.levels(0.3, 0.1, PATTERN, samples=1)):
        error = view - colours(level_directions(level, 0.3, 0.1))
        assert np.sqrt((error ** 2).mean()) < 1.5
    noise = np.random.default_rng(0).integers(0, 256, (960, 1920, 3), dtype=np.uint8)
    quick, exact = (Panorama(noise).levels(0.3, 0.1, PATTERN, samples=n)[2] for n in (1, 4))
    assert quick.std() < 1.6 * exact.std() < 40
