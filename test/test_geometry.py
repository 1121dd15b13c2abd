"""Every sign of gaze_robot.geometry, named after its sentence; values from a second route."""

import math

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from gaze_robot import geometry

angles = st.floats(-math.pi, math.pi)
tilts = st.floats(-1.5, 1.5)
vectors = st.tuples(*[st.floats(-1e3, 1e3)] * 3).filter(lambda v: math.hypot(*v) > 1e-3)


def axis_rotation(axis, angle):
    """Rodrigues' formula: a rotation about `axis`, sharing nothing with the code under test."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def test_zero_pan_and_tilt_look_along_base_x():
    np.testing.assert_allclose(geometry.direction_from_pan_tilt(0, 0), [1, 0, 0], atol=1e-15)


def test_positive_pan_looks_left():
    np.testing.assert_allclose(geometry.direction_from_pan_tilt(math.pi / 2, 0), [0, 1, 0],
                               atol=1e-15)


def test_positive_tilt_looks_down():
    np.testing.assert_allclose(geometry.direction_from_pan_tilt(0, math.pi / 2), [0, 0, -1],
                               atol=1e-15)


@given(angles, tilts)
def test_pan_turns_about_z_and_tilt_about_the_turned_y(pan, tilt):
    """base -> pan about +z -> tilt about +y, as a URDF chain of two joints."""
    chain = axis_rotation([0, 0, 1], pan) @ axis_rotation([0, 1, 0], tilt)
    np.testing.assert_allclose(geometry.direction_from_pan_tilt(pan, tilt), chain @ [1, 0, 0],
                               atol=1e-12)


@given(angles, tilts)
def test_optical_axes_ride_on_the_tilt_link(pan, tilt):
    """REP 103: optical x is the link's -y (right), y its -z (down), z its +x (forward)."""
    chain = axis_rotation([0, 0, 1], pan) @ axis_rotation([0, 1, 0], tilt)
    rotation = geometry.base_from_optical(pan, tilt)
    np.testing.assert_allclose(rotation, chain @ [[0, 0, 1], [-1, 0, 0], [0, -1, 0]], atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_thing_left_of_the_axis_appears_left_in_the_picture():
    ray = geometry.optical_ray(geometry.direction_from_pan_tilt(0.1, 0), 0.0, 0.0)
    assert ray[0] < 0
    assert ray[2] > 0


def test_thing_below_the_axis_appears_low_in_the_picture():
    assert geometry.optical_ray(geometry.direction_from_pan_tilt(0, 0.1), 0.0, 0.0)[1] > 0


def test_panning_left_moves_the_picture_right():
    thing = geometry.direction_from_pan_tilt(0, 0)
    assert geometry.optical_ray(thing, 0.1, 0.0)[0] > 0


@given(angles, tilts)
def test_axis_of_the_camera_points_where_the_head_does(pan, tilt):
    np.testing.assert_allclose(geometry.base_ray([0, 0, 1], pan, tilt),
                               geometry.direction_from_pan_tilt(pan, tilt), atol=1e-12)


@given(vectors, angles, tilts)
def test_optical_ray_undoes_base_ray(ray, pan, tilt):
    back = geometry.optical_ray(geometry.base_ray(ray, pan, tilt), pan, tilt)
    np.testing.assert_allclose(back, ray, rtol=1e-9, atol=1e-9)


@given(angles, tilts, st.floats(1e-3, 1e3))
def test_pan_and_tilt_come_back_from_a_direction_of_any_length(pan, tilt, length):
    direction = length * geometry.direction_from_pan_tilt(pan, tilt)
    pan_back, tilt_back = geometry.pan_tilt_from_direction(direction)
    assert math.cos(pan_back - pan) == pytest.approx(1, abs=1e-12)
    assert tilt_back == pytest.approx(tilt, abs=1e-9)


@given(st.floats(-100, 100))
def test_wrapped_angle_is_the_same_angle_in_half_open_range(angle):
    wrapped = geometry.wrap_angle(angle)
    assert -math.pi <= wrapped < math.pi
    assert math.sin(wrapped) == pytest.approx(math.sin(angle), abs=1e-9)
    assert math.cos(wrapped) == pytest.approx(math.cos(angle), abs=1e-9)


@pytest.mark.parametrize('angle', [1e-9, 1e-6, 1e-3, 0.5, 1.5, 3.0, math.pi - 1e-6])
def test_angle_between_is_right_from_nanoradians_to_half_a_turn(angle):
    """Vectors of known angle by construction: no arccos anywhere."""
    first = np.array([3.0, -4.0, 12.0])
    axis = np.cross(first, [0.3, 1.0, 0.2])
    second = 0.01 * axis_rotation(axis, angle) @ first
    assert geometry.angle_between(first, second) == pytest.approx(angle, rel=1e-7, abs=1e-15)


def test_angle_between_works_on_stacks():
    first = np.array([[1.0, 0, 0], [0, 1, 0]])
    np.testing.assert_allclose(geometry.angle_between(first, [1.0, 0, 0]), [0, math.pi / 2])


@pytest.mark.parametrize('bad, reason', [
    ([0.0, 0, 0], 'zero length'), ([math.nan, 0, 1], 'not finite'), ([math.inf, 0, 1], 'finite')])
def test_angle_to_no_direction_is_refused(bad, reason):
    with pytest.raises(ValueError, match=reason):
        geometry.angle_between([1.0, 0, 0], bad)


@pytest.mark.parametrize('pan_deg, tilt_deg, pixel', [
    (0, 0, (512, 256)), (90, 0, (256, 256)), (-90, 0, (768, 256)), (180, 0, (0, 256)),
    (0, 90, (512, 512)), (0, -45, (512, 128))])
def test_panorama_centre_is_ahead_left_half_is_left_bottom_is_down(pan_deg, tilt_deg, pixel):
    pan, tilt = math.radians(pan_deg), math.radians(tilt_deg)
    direction = [math.cos(tilt) * math.cos(pan), math.cos(tilt) * math.sin(pan), -math.sin(tilt)]
    np.testing.assert_allclose(geometry.panorama_pixel(direction, 1024, 512), pixel, atol=1e-9)


@given(st.floats(0.01, 1023.99), st.floats(0.01, 511.99))
def test_panorama_pixels_and_directions_are_inverse(u, v):
    direction = geometry.panorama_direction([u, v], 1024, 512)
    assert np.linalg.norm(direction) == pytest.approx(1)
    np.testing.assert_allclose(geometry.panorama_pixel(direction, 1024, 512), [u, v], atol=1e-6)


@pytest.mark.parametrize('shape', [(), (4,), (2, 3)], ids=str)
def test_shapes_are_kept(shape):
    pan, tilt = np.zeros(shape), np.full(shape, 0.2)
    assert geometry.direction_from_pan_tilt(pan, tilt).shape == (*shape, 3)
    assert geometry.base_from_optical(pan, tilt).shape == (*shape, 3, 3)
    assert geometry.base_ray(np.ones((*shape, 3)), pan, tilt).shape == (*shape, 3)
