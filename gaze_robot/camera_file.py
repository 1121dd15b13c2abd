"""Calibration files as ROS's camera_calibration writes and reads them. No ROS."""

import pathlib
from typing import Any

import yaml

from gaze_robot import plain_yaml
from gaze_robot.camera import CameraModel
from gaze_robot.errors import CameraModelError, ConfigError

_EXPECTED = ('image_width, image_height, camera_matrix.data (9 numbers), distortion_model, '
             'distortion_coefficients.data')


def load_calibration(path: str) -> CameraModel:
    """The lens that a calibration YAML describes.

    Raises:
        CameraModelError: no such file, not YAML, a key missing, or values no camera has.
    """
    place = pathlib.Path(path.removeprefix('file://')).expanduser()
    try:
        document: Any = plain_yaml.load(plain_yaml.read_text(place))
    except ConfigError as error:
        raise CameraModelError(f'cannot read the calibration {place}: {error}') from error
    try:
        width, height = int(document['image_width']), int(document['image_height'])
        matrix = tuple(float(value) for value in document['camera_matrix']['data'])
        coefficients = tuple(float(v) for v in document['distortion_coefficients']['data'])
        lens = str(document['distortion_model'])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CameraModelError(f'{place} is not a camera calibration ({error!r}); expected '
                               f'{_EXPECTED}') from error
    try:
        return CameraModel.from_camera_info(width, height, matrix, lens, coefficients)
    except CameraModelError as error:
        raise CameraModelError(f'{place}: {error}') from error


def save_calibration(camera: CameraModel, path: str, name: str = 'camera', note: str = '') -> None:
    """Write what `load_calibration`, and ROS's camera_calibration_parsers, read.

    Args:
        camera: the lens.
        path: of the file; an older one is overwritten.
        name: of the camera.
        note: goes in as a comment.

    Raises:
        CameraModelError: it cannot be written.
    """
    cx, cy = camera.cx - 0.5, camera.cy - 0.5               # ROS counts pixel centres from 0
    rows = {
        'camera_matrix': (3, 3, [camera.fx, 0.0, cx, 0.0, camera.fy, cy, 0.0, 0.0, 1.0]),
        'distortion_coefficients': (1, len(camera.distortion), list(camera.distortion)),
        'rectification_matrix': (3, 3, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]),
        'projection_matrix': (3, 4, [camera.fx, 0.0, cx, 0.0, 0.0, camera.fy, cy, 0.0,
                                     0.0, 0.0, 1.0, 0.0])}
    lines = [f'# {line}' for line in note.splitlines()]
    lines += [f'image_width: {camera.width}', f'image_height: {camera.height}',
              f'camera_name: {yaml.safe_dump(name).splitlines()[0]}']
    for key, (height, width, data) in rows.items():
        if key == 'distortion_coefficients':
            lines.append(f'distortion_model: {camera.model}')
        numbers = ', '.join(f'{value:.9g}' for value in data)
        lines += [f'{key}:', f'  rows: {height}', f'  cols: {width}', f'  data: [{numbers}]']
    try:
        pathlib.Path(path).expanduser().write_text('\n'.join([*lines, '']), encoding='utf-8')
    except OSError as error:
        raise CameraModelError(f'cannot write {path}: {error.strerror}') from error


def at_size(camera: CameraModel, width: int, height: int) -> CameraModel:
    """The lens for pictures of another size but the same shape.

    Raises:
        CameraModelError: another shape; part of the picture was cut away and nobody knows which.
    """
    if abs(camera.width * height - camera.height * width) > max(width, height):
        raise CameraModelError(
            f'it describes {camera.width}x{camera.height} pictures but they are {width}x{height}, '
            'another shape; calibrate the camera at this resolution')
    return camera if (camera.width, camera.height) == (width, height) \
        else camera.scaled(width, height)
