"""`gaze-robot calibrate head`: through a pattern in front of a fixed board."""

from dataclasses import dataclass
import math
from pathlib import Path
import time
from typing import Any, Literal

import numpy as np

from gaze_robot.calibration.board import Board, Detection, explain_absence, find
from gaze_robot.calibration.drawing import head_picture
from gaze_robot.calibration.files import check_parameters, save_picture, update_parameters
from gaze_robot.calibration.head_fit import as_mount, fit_head, HeadFit, HeadView
from gaze_robot.camera import CameraModel
from gaze_robot.camera_file import at_size, load_calibration
from gaze_robot.config import PanTiltConfig
from gaze_robot.errors import CalibrationError, ConfigError
from gaze_robot.head_geometry import HeadGeometry
from gaze_robot.optional import require

_KEEP_IN_VIEW = 0.8
"""The board's centre stays within this share of the way from the picture's middle to its edge."""
_LEAST_REACH_RAD = math.radians(6.0)
_BLURRED_PX = 4.5
_LOST_POSES = 3
TORQUE_HINT = (
    'the head does not move: switch its torque on (ros2 service call /pan_tilt/torque_enable '
    'std_srvs/srv/SetBool "{data: true}"), see that nothing else sends it elsewhere, and look at '
    '/diagnostics')


@dataclass(frozen=True)
class CalibrateHeadConfig:
    """Which head, which board, and where the result goes."""

    board: str = 'charuco:9x6:28'
    """As it was printed, and fixed: KIND:COLUMNSxROWS:SQUARE_MM."""

    board_pan_deg: float | None = None
    """Where the robot has its board: degrees to the left of straight ahead, 0 for straight ahead.
    Without it the pan keeps its zero, which nothing else shows."""

    camera_info: str = ''
    """Calibration file of the camera; empty: what the topic says."""

    zero: Literal['calibrate', 'keep'] = 'calibrate'
    """Whether to find direction and offset of the joints, or leave them and have the camera's
    mount make up for it, as for joints of a ros2_control robot."""

    position: bool = True
    """Whether to find where axes and camera are, not only how they are turned."""

    out: str = 'calibration.yaml'
    """Parameter file, new or one to add to, for bringup --params-file."""

    picture: str = ''
    """Residual picture; empty: beside `out` as -head.png."""

    pan_deg: float = 60.0
    """Pan from one end of the pattern to the other at most."""

    tilt_deg: float = 45.0
    """The same for tilt."""

    side: int = 7
    """Poses along a side of the pattern."""

    pictures: int = 3
    """At each pose."""

    speed_deg: float = 40.0
    """Degrees per second between poses."""

    image_topic: str = 'image_raw'
    """Where pictures come from."""

    namespace: str = ''
    """Of the head and the camera."""

    seed: int = 0
    """Nothing here is random; taken for uniformity."""

    def __post_init__(self) -> None:
        if not (3 <= self.side <= 15 and 1 <= self.pictures <= 50):
            raise ConfigError(f'side is 3 to 15 and pictures 1 to 50, got {self.side} and '
                              f'{self.pictures}')
        if not all(1.0 <= value <= 340.0 for value in (self.pan_deg, self.tilt_deg,
                                                       self.speed_deg)):
            raise ConfigError('pan_deg, tilt_deg and speed_deg are 1 to 340')
        if self.board_pan_deg is not None and not -180 <= self.board_pan_deg <= 180:
            raise ConfigError(f'board_pan_deg is -180 to 180, got {self.board_pan_deg}')


def calibrate_head(config: CalibrateHeadConfig) -> dict[str, Any]:
    """Move through a pattern in front of a fixed board; find how the head is made; write it.

    Raises:
        CalibrationError: no board, no motion, or views that do not tell; the text says what to do.
    """
    board = Board.parse(config.board)
    check_parameters(config.out)
    calibrator: Any = require('gaze_robot.nodes._calibrator')
    with calibrator.Calibrator(config.namespace, config.image_topic) as eyes:
        head: PanTiltConfig = eyes.head()
        if config.zero == 'calibrate' and head.backend == 'trajectory':
            raise CalibrationError('joints of a ros2_control robot have their zeros in the robot; '
                                   'use --zero keep')
        eyes.joints()
        first = eyes.picture()
        camera = lens_of(eyes, config.camera_info, first.image)
        centre = _board_ahead(first.image, board, camera)
        views = _collect(eyes, config, board, head, camera, centre)
    azimuth = None if config.board_pan_deg is None else math.radians(config.board_pan_deg)
    found = fit_head(views, board, camera, azimuth, config.position)
    picture = config.picture or beside(config.out, 'head')
    save_picture(picture, head_picture(found, (camera.width, camera.height)))
    update_parameters(config.out, head_parameters(found, head, config.zero), (
        f'head: {time.strftime("%Y-%m-%d")} with {board.text}, {len(found.views)} views, '
        f'RMS {found.rms_px:.3f} px'))
    mount = found.geometry
    return {
        'out': config.out, 'picture': picture, 'views': len(found.views),
        'left_out': found.left_out,
        'rms_px': found.rms_px,
        'zero_deg': np.degrees(found.zero_rad).tolist(), 'direction': list(found.direction),
        'pan_zero': 'measured' if azimuth is not None else 'kept: give board_pan_deg',
        'tilt_axis_roll_deg': math.degrees(mount.tilt_axis_roll),
        'camera_rpy_deg': np.degrees(mount.camera_rpy).tolist(),
        'tilt_axis_forward_mm': 1000 * mount.tilt_axis_forward,
        'camera_xyz_mm': [1000 * value for value in mount.camera_xyz],
        'deviation': {name.replace(' ', '_') + ('_mm' if 'forward' in name or name[-1] in 'xyz'
                                                else '_deg'):
                      1000 * value if 'forward' in name or name[-1] in 'xyz'
                      else math.degrees(value) for name, value in found.deviation.items()}}


def head_parameters(found: HeadFit, head: PanTiltConfig, zero: str
                    ) -> dict[str, dict[str, Any]]:
    """What the nodes must be told: {node: {parameter: value}}.

    Args:
        found: relative to what joint states said.
        head: how they came about: the direction and offset so far.
        zero: 'calibrate' or 'keep', see `CalibrateHeadConfig`.
    """
    geometry = found.geometry if zero == 'calibrate' else as_mount(found)
    mount = _mount_parameters(geometry)
    if zero == 'keep':
        return {'pan_tilt': mount, 'gaze': dict(mount)}
    # true = found.direction * (said - found.zero), said = head.direction * (motor - head.offset)
    offset = [old + way * shift for old, way, shift in zip(head.offset, head.direction,
                                                           found.zero_rad)]
    direction = [old * new for old, new in zip(head.direction, found.direction)]
    return {'pan_tilt': {'direction': direction, 'offset': [round(value, 6) for value in offset],
                         **mount}, 'gaze': dict(mount)}


def _mount_parameters(geometry: HeadGeometry) -> dict[str, Any]:
    return {'tilt_axis.forward': round(geometry.tilt_axis_forward, 6),
            'tilt_axis.roll': round(geometry.tilt_axis_roll, 6),
            'camera_mount.rpy': [round(value, 6) for value in geometry.camera_rpy],
            'camera_mount.xyz': [round(value, 6) for value in geometry.camera_xyz]}


def lens_of(eyes: Any, camera_info: str, image: np.ndarray) -> CameraModel:
    """The lens of a file, else the topic's; refuses where neither tells."""
    height, width = image.shape[:2]
    if camera_info:
        return at_size(load_calibration(camera_info), width, height)
    camera: CameraModel = eyes.camera(width, height)
    return camera


def _board_ahead(image: np.ndarray, board: Board, camera: CameraModel) -> tuple[float, float]:
    """(right, down) of the board's middle from the picture's, as shares of half its size."""
    found = find(image, board)
    if found is None:
        why = explain_absence(image, board)
        raise CalibrationError(f'no {board.text} in view' + (f': {why}' if why else '; point the '
                               'head at it, near enough that squares are 15 pixels and more'))
    middle = found.pixels.mean(axis=0)
    return (float(middle[0] - camera.cx) / (camera.width / 2),
            float(middle[1] - camera.cy) / (camera.height / 2))


def pattern(start: tuple[float, float], config: CalibrateHeadConfig, head: PanTiltConfig,
            camera: CameraModel, centre: tuple[float, float]) -> list[tuple[float, float]]:
    """Poses (pan, tilt), radians, around a start, that keep the board in view whatever turns how.

    Raises:
        CalibrationError: the board is too far from the middle of the picture, or the head at its
            limits.
    """
    edges = camera.unproject(np.array([
        [camera.cx + _KEEP_IN_VIEW * camera.width / 2, camera.cy],
        [camera.cx, camera.cy + _KEEP_IN_VIEW * camera.height / 2],
        [camera.cx + abs(centre[0]) * camera.width / 2, camera.cy],
        [camera.cx, camera.cy + abs(centre[1]) * camera.height / 2]]))
    angles = np.arccos(np.clip(edges[:, 2], -1, 1))
    limits, rows = head.limits, []
    for axis, (span_deg, name) in enumerate(((config.pan_deg, 'pan'), (config.tilt_deg, 'tilt'))):
        reach = min(math.radians(span_deg) / 2, float(angles[axis] - angles[axis + 2]))
        low = max(start[axis] - reach, limits.min_position[axis])
        high = min(start[axis] + reach, limits.max_position[axis])
        if high - low < 2 * _LEAST_REACH_RAD:
            raise CalibrationError(
                f'the {name} could move by {math.degrees(max(high - low, 0)):.0f} degrees only '
                'with the board in view: point the head at the board so that it is in the middle '
                f'of the picture, away from limits.{name}')
        rows.append(np.linspace(low, high, config.side))
    poses = []
    for index, tilt in enumerate(rows[1]):
        poses += [(float(pan), float(tilt)) for pan in rows[0][::1 if index % 2 == 0 else -1]]
    return poses


def _collect(eyes: Any, config: CalibrateHeadConfig, board: Board, head: PanTiltConfig,
             camera: CameraModel, centre: tuple[float, float]) -> list[HeadView]:
    console = require('rich.console').Console(stderr=True, highlight=False, soft_wrap=True)
    now = eyes.joints()
    start = now.pan_rad, now.tilt_rad
    poses = pattern(start, config, head, camera, centre)
    speed = math.radians(config.speed_deg)
    views: list[HeadView] = []
    missed = 0
    try:
        for number, (pan, tilt) in enumerate(poses, 1):
            if not eyes.move(pan, tilt, speed):
                missed += 1
                if missed >= _LOST_POSES and missed > number // 2:
                    raise CalibrationError(TORQUE_HINT)
                continue
            view = _look(eyes, config, board)
            views += [view] if view is not None else []
            if number % config.side == 0:
                console.print(f'pose {number} of {len(poses)}: {len(views)} views')
    finally:
        eyes.move(*start, speed)
    return views


def _look(eyes: Any, config: CalibrateHeadConfig, board: Board) -> HeadView | None:
    """Some pictures at rest: corners seen in all of them, and joints, in the mean."""
    stamp_s = eyes.now_s()
    seen: list[Detection] = []
    joints: list[tuple[float, float]] = []
    for _ in range(config.pictures):
        sight = eyes.picture(stamp_s)
        stamp_s = sight.stamp_s
        found = find(sight.image, board)
        if sight.joints is not None and found is not None and found.edge_px <= _BLURRED_PX:
            seen.append(found)
            joints.append((sight.joints.pan_rad, sight.joints.tilt_rad))
    if not seen or np.ptp(joints, axis=0).max() > 0.005:
        return None
    ids = seen[0].ids
    for found in seen[1:]:
        ids = np.intersect1d(ids, found.ids)
    if len(ids) < 6:
        return None
    pixels = np.mean([found.pixels[[int(np.flatnonzero(found.ids == i)[0]) for i in ids]]
                      for found in seen], axis=0)
    pan, tilt = np.mean(joints, axis=0)
    return HeadView((float(pan), float(tilt)), ids, pixels)


def beside(path: str, what: str) -> str:
    """Name of the residual picture that goes with a parameter file."""
    place = Path(path)
    return str(place.with_name(f'{place.stem}-{what}.png'))
