"""Residuals as pictures, for people."""

from collections.abc import Sequence
import math

import cv2
import numpy as np

from gaze_robot.calibration.dead_time import DeadTime, fit_step, predicted, Step
from gaze_robot.calibration.head_fit import HeadFit
from gaze_robot.calibration.lens_fit import LensFit
from gaze_robot.calibration.views import cells_hit
from gaze_robot.control.profile import AxisLimits
from gaze_robot.draw import write

_BACK, _CELL, _GRID = (24, 24, 28), (38, 58, 44), (70, 70, 76)
_ARROW, _DOT, _LINE = (255, 150, 60), (120, 190, 255), (255, 190, 40)
_WIDTH, _PLOT = 720, 360


def lens_picture(found: LensFit) -> np.ndarray:
    """Corner errors as arrows over the picture, covered cells green, and the figures."""
    camera = found.camera
    picture, scale = _sheet(camera.width, camera.height)
    hit = cells_hit(found.views, (camera.width, camera.height))
    for (row, column), count in np.ndenumerate(hit):
        corner = [round(column * camera.width / hit.shape[1] * scale),
                  round(row * camera.height / hit.shape[0] * scale)]
        far = [round((column + 1) * camera.width / hit.shape[1] * scale) - 1,
               round((row + 1) * camera.height / hit.shape[0] * scale) - 1]
        cv2.rectangle(picture, corner, far, _CELL if count else (50, 34, 34), -1)
    much = _arrows(picture, [view.found.pixels for view in found.views], found.residual_px, scale)
    lines = [f'{camera.model}: RMS {found.rms_px:.2f} px, arrows {much}x, {len(found.views)} views'
             + (f', {len(found.left_out)} left out' if found.left_out else ''),
             f'{100 * found.covered:.0f} % of the cells hold corners (green); boards differ by up '
             f'to {math.degrees(found.tilt_rad):.0f} degrees',
             f'fx {camera.fx:.1f} +- {found.deviation["fx"]:.1f}  fy {camera.fy:.1f} +- '
             f'{found.deviation["fy"]:.1f}  cx {camera.cx:.1f} +- {found.deviation["cx"]:.1f}  cy '
             f'{camera.cy:.1f} +- {found.deviation["cy"]:.1f} px']
    return _under(picture, lines)


def head_picture(found: HeadFit, size: tuple[int, int]) -> np.ndarray:
    """Corner errors as arrows, poses with the mean error of each, and the figures."""
    views = found.views
    picture, scale = _sheet(*size)
    much = _arrows(picture, [view.pixels for view in views], found.residual_px, scale)
    plot = np.full((picture.shape[0], _PLOT, 3), _BACK, np.uint8)
    poses = np.degrees([view.joints_rad for view in views])
    low, high = poses.min(axis=0) - 3, poses.max(axis=0) + 3
    for pose, rest in zip(poses, found.residual_px):
        # Left is positive pan, down positive tilt, as one sees it from behind the head.
        share = (pose - low) / (high - low)
        at = (round((1 - share[0]) * (_PLOT - 1)), round(share[1] * (plot.shape[0] - 40)) + 20)
        error = float(np.sqrt((rest ** 2).sum(axis=1).mean()))
        cv2.circle(plot, at, max(2, round(12 * error)), _DOT, 1, cv2.LINE_AA)
        cv2.circle(plot, at, 1, _ARROW, -1, cv2.LINE_AA)
    write(plot, 'pan and tilt of the views, circle: 1 px = 12', 8, 16)
    degree = {name: math.degrees(value) for name, value in found.deviation.items()}
    zero, mount = np.degrees(found.zero_rad), found.geometry
    roll, _, yaw = np.degrees(mount.camera_rpy)
    lines = [
        f'RMS {found.rms_px:.2f} px, arrows {much}x, {len(views)} views'
        + (f' ({found.left_out} left out)' if found.left_out else '')
        + f'; joints turn {list(found.direction)}',
        f'zero: pan {zero[0]:.3f} +- {degree["pan zero"]:.3f}, tilt {zero[1]:.3f} +- '
        f'{degree["tilt zero"]:.3f} degrees',
        f'tilt axis roll {math.degrees(mount.tilt_axis_roll):.3f} +- '
        f'{degree["tilt axis roll"]:.3f}, camera roll {roll:.3f} +- {degree["camera roll"]:.3f}, '
        f'yaw {yaw:.3f} +- {degree["camera yaw"]:.3f} degrees']
    if 'camera x' in found.deviation:
        where = [1000 * value for value in (mount.tilt_axis_forward, *mount.camera_xyz)]
        sure = [1000 * found.deviation[name] for name in (
            'tilt axis forward', 'camera x', 'camera y', 'camera z')]
        lines.append('tilt axis forward {:.1f} +- {:.1f}, camera x {:.1f} +- {:.1f}, y {:.1f} +- '
                     '{:.1f}, z {:.1f} +- {:.1f} mm'.format(
                         *(value for pair in zip(where, sure) for value in pair)))
    return _under(np.concatenate([picture, plot], axis=1), lines)


def latency_picture(found: DeadTime, steps: Sequence[Step], limits: AxisLimits) -> np.ndarray:
    """Every step's measurements over the time since its command, and the fitted motion."""
    width, height, before_s, after_s = 900, 420, 0.15, 0.75
    picture = np.full((height, width, 3), _BACK, np.uint8)

    def place(seconds: float, share: float) -> tuple[int, int]:
        return (round((seconds + before_s) / (before_s + after_s) * width),
                round(height - 40 - share * (height - 90)))
    for tenth in range(-1, 8):
        across = place(tenth / 10, 0.0)[0]
        cv2.line(picture, (across, 0), (across, height), _GRID, 1)
        write(picture, f'{100 * tenth} ms', across + 3, height - 8)
    at_s = np.linspace(-before_s, after_s, 300)
    for step in steps:
        fitted = fit_step(step, limits, found.stretch)
        if not fitted.moved_rad:
            continue
        since_s = step.time_s - step.commanded_s
        shape = predicted(step, fitted, limits, since_s)
        start = float(np.mean(step.angle_rad - shape * fitted.moved_rad))
        curve = [place(s, value) for s, value in zip(
            at_s, predicted(step, fitted, limits, at_s))]
        cv2.polylines(picture, [np.array(curve, np.int32)], False, (90, 80, 50), 1, cv2.LINE_AA)
        for seconds, angle in zip(since_s, step.angle_rad):
            cv2.circle(picture, place(seconds, (angle - start) / fitted.moved_rad), 2, _DOT, -1,
                       cv2.LINE_AA)
    across = place(found.seconds, 0.0)[0]
    cv2.line(picture, (across, 0), (across, height - 30), _LINE, 1)
    return _under(picture, [
        f'dead time {1000 * found.seconds:.1f} ms (line), spread {1000 * found.spread_s:.1f} ms '
        f'over {found.used} steps' + (f', {found.left_out} left out' if found.left_out else ''),
        'dots: share of the step seen in the picture; curves: what the limits of the head allow, '
        + (f'{found.stretch:.2f} times slower, ' if found.stretch > 1.01 else '') + 'delayed'])


def _sheet(width: int, height: int) -> tuple[np.ndarray, float]:
    scale = _WIDTH / width
    return np.full((round(height * scale), _WIDTH, 3), _BACK, np.uint8), scale


def _arrows(picture: np.ndarray, pixels: Sequence[np.ndarray], residuals: Sequence[np.ndarray],
            scale: float) -> int:
    """Draw errors so that usual ones are about 15 pixels long; returns how many times enlarged."""
    lengths = np.linalg.norm(np.concatenate(residuals), axis=1)
    wanted = 15 / max(float(np.median(lengths)) * scale, 1e-6)
    much = int(np.clip(round(wanted, -1) if wanted > 10 else round(wanted), 1, 500))
    for places, errors in zip(pixels, residuals):
        for place, error in zip(places, errors):
            start, end = place * scale, (place + much * error) * scale
            if np.isfinite(end).all() and np.abs(end).max() < 10000:
                cv2.line(picture, np.rint(start).astype(int).tolist(),
                         np.rint(end).astype(int).tolist(), _ARROW, 1, cv2.LINE_AA)
                cv2.circle(picture, np.rint(start).astype(int).tolist(), 1, _DOT, -1)
    return much


def _under(picture: np.ndarray, lines: Sequence[str]) -> np.ndarray:
    """The picture with lines of text below."""
    text = np.full((22 * len(lines) + 10, picture.shape[1], 3), _BACK, np.uint8)
    for number, line in enumerate(lines):
        write(text, line, 8, 20 + 22 * number, 0.45)
    return np.concatenate([picture, text])
