"""The board in the world is where it is said to be, for any lens and any head."""

import math

import numpy as np
import pytest

from gaze_robot.calibration.board import Board, find
from gaze_robot.camera import CameraModel
from gaze_robot.geometry import base_from_optical
from gaze_robot.head_geometry import HeadGeometry, rotation_about
from gaze_robot.types import PanTiltState
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.board import StandingBoard
from gaze_robot_sim.virtual_camera import Rig, VirtualCamera

BOARD = Board.parse('charuco:9x6:40')
HEAD = HeadGeometry(0.03, 0.01, (0.05, 0.0, 0.02), (0.04, 0.01, 0.05))
GREY = Panorama(np.full((64, 128, 3), 120, np.uint8))
LENSES = [CameraModel.from_hfov(640, 480, math.radians(70)),
          CameraModel(640, 480, 420, 421, 325, 236, 'plumb_bob', (-0.3, 0.1, 0.001, -0.001, 0.0)),
          CameraModel(640, 480, 230, 231, 325, 236, 'equidistant', (0.05, -0.01, 0.003, 0.0))]


@pytest.mark.parametrize('camera', LENSES, ids=['ideal', 'plumb_bob', 'fisheye'])
def test_corners_are_where_the_geometry_puts_them(camera):
    standing = StandingBoard(BOARD, (0.45, 0.05, -0.02), (0.1, 0.15, -0.2))
    rig = Rig(HEAD, (0.05, -0.03), (1, -1), standing)
    taker = VirtualCamera(camera, rig=rig)
    turn, origin = standing.pose(0.0)
    for stamp_s, (pan, tilt) in enumerate([(0.0, 0.0), (0.2, -0.1)], 1):
        taker.poses.add(PanTiltState(0.05 + pan, -0.03 - tilt, stamp_s=float(stamp_s)))
        found = find(taker.shoot(GREY, float(stamp_s)).image, BOARD)
        optical, centre = HEAD.optical(pan, tilt)
        seen = (origin + BOARD.corners[found.ids] @ turn.T - centre) @ optical
        error = found.pixels - camera.project(seen)[0]
        assert len(found.ids) > 20
        assert np.abs(error.mean(axis=0)).max() < 0.06
        assert np.sqrt((error ** 2).mean()) < 0.15


def test_a_board_faces_the_base_and_its_back_is_not_drawn():
    camera = LENSES[0]
    standing = StandingBoard(BOARD, (0.5, 0.0, 0.0))
    turn, origin = standing.pose(0.0)
    np.testing.assert_allclose(origin + turn @ BOARD.centre, (0.5, 0.0, 0.0), atol=1e-12)
    np.testing.assert_allclose(turn[:, 2], (1, 0, 0), atol=1e-12)       # into it, away from us
    blank = np.full((480, 640, 3), 120, np.uint8)
    picture = blank.copy()
    standing.draw(picture, camera, base_from_optical(math.pi, 0.0), np.array([1.0, 0.0, 0.0]))
    np.testing.assert_array_equal(picture, blank)
    standing.draw(picture, camera, base_from_optical(0.0, 0.0), np.zeros(3))
    assert find(picture, BOARD) is not None


def test_a_waved_board_moves_and_turns_and_is_seen_again_and_again():
    standing = StandingBoard(BOARD, (0.6, 0.0, 0.0), waved=True)
    normals, seen = [], 0
    for seconds in np.arange(0.0, 20.0, 1.0):
        picture = np.full((480, 640, 3), 120, np.uint8)
        standing.draw(picture, LENSES[0], base_from_optical(0.0, 0.0), np.zeros(3), float(seconds))
        seen += find(picture, BOARD) is not None
        normals.append(standing.pose(float(seconds))[0][:, 2])
    assert seen >= 12
    assert np.degrees(np.arccos(np.clip(np.stack(normals) @ normals[0], -1, 1))).max() > 20


def test_a_rolled_camera_sees_the_world_rolled():
    rng = np.random.default_rng(0)
    world = Panorama(np.kron(rng.integers(0, 255, (32, 64, 3)), np.ones((8, 8, 1))
                             ).astype(np.uint8))
    camera, roll = CameraModel.from_hfov(200, 200, 1.0), 0.3
    level, rolled = world.picture(camera, 0.2, 0.1), world.picture(camera, 0.2, 0.1, roll)
    pixels = np.array([[60.5, 80.5], [120.5, 70.5], [100.5, 140.5]])
    rays = camera.unproject(pixels) @ rotation_about('z', roll).T
    there, _ = camera.project(rays)
    at = np.rint(there - 0.5).astype(int)
    for (u, v), (x, y) in zip(pixels.astype(int), at):
        near = level[y - 1:y + 2, x - 1:x + 2].reshape(-1, 3).astype(int)
        assert np.abs(near - rolled[v, u].astype(int)).max(axis=1).min() < 25
