"""What eyes and cameras see of a workspace, drawn by MuJoCo.

One thread draws: the one that drew first. OpenGL knows no other way without a context for each.
"""

import functools
import importlib
import os
from typing import Any
import warnings

import cv2
import mujoco
import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.errors import MissingDependencyError
from gaze_robot.foveation import FILL, FoveationPattern
from gaze_robot.geometry import direction_from_pan_tilt, panorama_direction
from gaze_robot_sim.physics.build import FACE_DEG, FACES, LARGEST
from gaze_robot_sim.physics.parts import HEAD_GROUP
from gaze_robot_sim.physics.world import PhysicsWorld

PANORAMA_WIDTH = 1024
FACE = 256
"""Pixels across a face of the cube that panoramas come from: as fine as they are."""
_CAMERA = (90.0, 0.75)
"""Horizontal field of view of the eye's camera, degrees, and height over width: what lies outside
is grey, as it is for every other eye of the simulator."""
_LARGE_DEG, _FINE = 0.6, 64
"""Samples from this width on are means of more pixels; windows from this size on need none."""


class Painter:
    """Draws one world; keep it as long as the world lives, and close it."""

    def __init__(self, world: PhysicsWorld, largest: int = LARGEST) -> None:
        """Upload what the world looks like.

        Args:
            largest: pixels along a side of the largest picture; memory grows with its square.

        Raises:
            MissingDependencyError: there is no OpenGL here.
        """
        self.world = world
        self._gl = _context()
        self._scene = mujoco.MjvScene(world.model, maxgeom=400)
        size = world.model.vis.global_
        size.offwidth = size.offheight = largest
        self._drawing = mujoco.MjrContext(world.model,
                                          mujoco.mjtFontScale.mjFONTSCALE_50.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._drawing)
        self._options = mujoco.MjvOption()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED

    def close(self) -> None:
        """Free what the graphics driver holds; calling twice does no harm."""
        self._drawing.free()

    def picture(self, camera: str, width: int, height: int, fovy_deg: float = 0.0) -> np.ndarray:
        """(height, width, 3) uint8 RGB.

        Args:
            camera: a camera of the model, such as 'exo', 'arm/wrist' or 'head/eye'.
            fovy_deg: vertical field of view; 0: the camera's own.
        """
        model = self.world.model
        number = model.camera(camera).id
        own = float(model.cam_fovy[number])
        model.cam_fovy[number] = fovy_deg or own
        self._camera.fixedcamid = number
        self._options.geomgroup[HEAD_GROUP] = not camera.startswith(('head/', 'face'))
        mujoco.mjv_updateScene(model, self.world.data, self._options, None, self._camera,
                               mujoco.mjtCatBit.mjCAT_ALL.value, self._scene)
        model.cam_fovy[number] = own
        out = np.empty((height, width, 3), np.uint8)
        where = mujoco.MjrRect(0, 0, width, height)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._drawing)
        mujoco.mjr_render(where, self._scene, self._drawing)
        mujoco.mjr_readPixels(out, None, where, self._drawing)
        return out[::-1]

    def levels(self, pattern: FoveationPattern) -> list[np.ndarray]:
        """What the eye samples now: one (window, window, 3) uint8 RGB per level, sharpest first.

        A sample is the mean over 4 drawn pixels, over 16 where samples are large; in windows of 64
        and more, which are fine enough, it is one.
        """
        found = []
        for fov, window, inside in zip(pattern.fov_deg, pattern.window,
                                       pattern.inside_camera(*_CAMERA)):
            times = 1 if window >= _FINE else 2 if fov / window < _LARGE_DEG else 4
            drawn = self.picture('head/eye', times * window, times * window, fov)
            level = cv2.resize(drawn, (window, window), interpolation=cv2.INTER_AREA)
            level[~inside] = FILL
            found.append(level)
        return found

    def averaged(self, camera: str, shape: tuple[int, int], times: int) -> np.ndarray:
        """A camera's picture in samples (height, width), each the mean of times x times pixels."""
        fine = self.picture(camera, times * shape[1], times * shape[0])
        return cv2.resize(fine, shape[::-1], interpolation=cv2.INTER_AREA)

    def photograph(self, camera: CameraModel) -> np.ndarray:
        """What an ideal pinhole in place of the eye sees, (height, width, 3) uint8 RGB."""
        fovy = 2 * np.degrees(np.arctan(0.5 * camera.height / camera.fy))
        return np.ascontiguousarray(self.picture('head/eye', camera.width, camera.height,
                                                 float(fovy)))

    def panorama(self, width: int = PANORAMA_WIDTH) -> np.ndarray:
        """Everything around the eye's centre, (width / 2, width, 3) uint8 RGB."""
        side = FACE * min(width, PANORAMA_WIDTH) // PANORAMA_WIDTH
        return self._around(_panorama_map(width, side), range(6), side)

    def unfolded(self, half_deg: tuple[float, float], shape: tuple[int, int]) -> np.ndarray:
        """A wide fixed camera at the eye's centre: rows of equal tilt, columns of equal pan.

        Args:
            half_deg: how far down (and up) and right (and left) it sees, at most 45 and 135.
            shape: (height, width) in samples.
        """
        fine = self._around(_unfolded_map(half_deg, shape), (0, 1, 3), FACE // 2)
        return cv2.resize(fine, shape[::-1], interpolation=cv2.INTER_AREA)

    def _around(self, maps: tuple[np.ndarray, np.ndarray], faces: range | tuple[int, ...],
                side: int) -> np.ndarray:
        cube = np.zeros((6 * side, side, 3), np.uint8)
        for face in faces:
            cube[face * side:(face + 1) * side] = self.picture(f'face{face}', side, side)
        return cv2.remap(cube, *maps, cv2.INTER_LINEAR)


@functools.lru_cache(maxsize=1)
def _context() -> Any:
    """The process's OpenGL, current in the thread that asks first."""
    # Not mujoco.GLContext: that was chosen when MuJoCo was imported, perhaps by somebody else.
    kind = os.environ.get('MUJOCO_GL', 'glfw').lower()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('error')               # GLFW warns, and fails later
            context = importlib.import_module(f'mujoco.{kind}').GLContext(LARGEST, LARGEST)
            context.make_current()
    except (AttributeError, ImportError, RuntimeError, TypeError, OSError, Warning) as error:
        raise MissingDependencyError(
            f'MuJoCo cannot draw here ({" ".join(str(error).split())}). Get OpenGL with apt: '
            'libegl1 libegl-mesa0 libgl1-mesa-dri, or libosmesa6; MUJOCO_GL=egl or osmesa chooses',
            name='OpenGL') from error
    return context


def can_draw() -> str:
    """'' where MuJoCo draws here, else why not."""
    try:
        _context()
    except MissingDependencyError as error:
        return str(error)
    return ''


@functools.lru_cache(maxsize=4)
def _panorama_map(width: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(width // 2) + 0.5)
    return _cube_map(panorama_direction(np.stack([columns, rows], axis=-1), width, width // 2),
                     side)


@functools.lru_cache(maxsize=4)
def _unfolded_map(half_deg: tuple[float, float], shape: tuple[int, int]
                  ) -> tuple[np.ndarray, np.ndarray]:
    down, right = (np.radians(half) * ((np.arange(4 * count) + 0.5) / (4 * count) * 2 - 1)
                   for half, count in zip(half_deg, shape))
    tilt, pan = np.meshgrid(down, -right, indexing='ij')
    return _cube_map(direction_from_pan_tilt(pan, tilt), FACE // 2)


def _cube_map(direction: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Where in the stacked faces each direction (h, w, 3) is seen, as cv2.remap likes it."""
    right, up = (np.array(FACES, float)[:, part:part + 3] for part in (0, 3))
    ahead = direction @ np.cross(up, right).T                            # (h, w, 6)
    face = ahead.argmax(axis=-1)
    scale = np.tan(np.radians(FACE_DEG) / 2) * np.take_along_axis(
        ahead, face[..., None], axis=-1)[..., 0]
    along = np.einsum('hwc,hwc->hw', direction, right[face]) / scale
    over = np.einsum('hwc,hwc->hw', direction, up[face]) / scale
    u = (along + 1) / 2 * side - 0.5
    v = (1 - over) / 2 * side - 0.5 + face * side
    return cv2.convertMaps(u.astype(np.float32), v.astype(np.float32), cv2.CV_16SC2)
