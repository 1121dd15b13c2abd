"""`gaze-robot calibrate latency`: stepping a head and watching the picture."""

from dataclasses import dataclass
import math
import time
from typing import Any

import numpy as np

from gaze_robot.calibration.dead_time import dead_time, DeadTime, LEAST_STEPS, Step
from gaze_robot.calibration.drawing import latency_picture
from gaze_robot.calibration.files import check_parameters, save_picture, update_parameters
from gaze_robot.calibration.head_command import beside, lens_of, TORQUE_HINT
from gaze_robot.calibration.image_motion import ImageMotion, main_axis
from gaze_robot.camera import CameraModel
from gaze_robot.config import PanTiltConfig
from gaze_robot.control.profile import AxisLimits
from gaze_robot.errors import CalibrationError, ConfigError
from gaze_robot.optional import require


@dataclass(frozen=True)
class CalibrateLatencyConfig:
    """How the head is stepped, and where the result goes."""

    steps: int = 12
    """Steps to and fro."""

    step_deg: float = 8.0
    """Degrees of pan each."""

    camera_info: str = ''
    """Calibration file of the camera; empty: what the topic says, else hfov_deg."""

    hfov_deg: float = 70.0
    """Horizontal field of view where no calibration is at hand; good enough here."""

    out: str = 'calibration.yaml'
    """Parameter file, new or one to add to, for bringup --params-file."""

    picture: str = ''
    """Residual picture; empty: beside `out` as -latency.png."""

    image_topic: str = 'image_raw'
    """Where pictures come from."""

    namespace: str = ''
    """Of the head and the camera."""

    seed: int = 0
    """Of the pauses between steps, so that steps do not march with the camera."""

    def __post_init__(self) -> None:
        if not LEAST_STEPS <= self.steps <= 200:
            raise ConfigError(f'steps is {LEAST_STEPS} to 200, got {self.steps}')
        if not 1.0 <= self.step_deg <= 40.0:
            raise ConfigError(f'step_deg is 1 to 40, got {self.step_deg}')


_LOOP_PERIODS = 1.5
"""Of pan_tilt_node, from a command to its first setpoint's end: half of one, on average, until the
next tick takes it in, and one until the head should be there."""


def calibrate_latency(config: CalibrateLatencyConfig) -> dict[str, Any]:
    """Step the head, watch the picture, and write how late it follows.

    Raises:
        CalibrationError: nothing moves, nothing to see, or steps that disagree.
    """
    check_parameters(config.out)
    calibrator: Any = require('gaze_robot.nodes._calibrator')
    with calibrator.Calibrator(config.namespace, config.image_topic) as eyes:
        head: PanTiltConfig = eyes.head()
        eyes.joints()
        camera = _any_lens(eyes, config, eyes.picture().image)
        seen, felt = _step_to_and_fro(eyes, config, head, camera)
    limits = _pan_limits(head)
    found = dead_time(seen, limits)
    picture = config.picture or beside(config.out, 'latency')
    save_picture(picture, latency_picture(found, seen, limits))
    update_parameters(config.out, {'gaze': {'dead_time': round(found.seconds, 4)}}, (
        f'latency: {time.strftime("%Y-%m-%d")}, {found.used} steps, spread '
        f'{1000 * found.spread_s:.1f} ms'))
    by_joints = _felt(felt, limits)
    return {
        'out': config.out, 'picture': picture, 'dead_time_ms': 1000 * found.seconds,
        'of_the_loop_ms': 1000 * _LOOP_PERIODS / head.rate,
        'of_the_head_ms': 1000 * (found.seconds - _LOOP_PERIODS / head.rate),
        'spread_ms': 1000 * found.spread_s, 'steps': found.used, 'left_out': found.left_out,
        'slower_than_limits': found.stretch,
        'by_joint_states_ms': None if by_joints is None else 1000 * by_joints.seconds,
        'pictures_late_ms': None if by_joints is None
        else 1000 * (found.seconds - by_joints.seconds)}


def _any_lens(eyes: Any, config: CalibrateLatencyConfig, image: np.ndarray) -> CameraModel:
    try:
        return lens_of(eyes, config.camera_info, image)
    except CalibrationError:
        if config.camera_info:
            raise
        return CameraModel.from_hfov(image.shape[1], image.shape[0],
                                     math.radians(config.hfov_deg))


def _pan_limits(head: PanTiltConfig) -> AxisLimits:
    limits = head.limits
    return AxisLimits(limits.min_position[0], limits.max_position[0], limits.max_velocity[0],
                      limits.max_acceleration[0], limits.max_jerk[0])


def _step_to_and_fro(eyes: Any, config: CalibrateLatencyConfig, head: PanTiltConfig,
                     camera: CameraModel) -> tuple[list[Step], list[Step]]:
    """Steps as pictures show them, and as joint states do."""
    rng = np.random.default_rng(config.seed)
    now = eyes.joints()
    step, limits = math.radians(config.step_deg), head.limits
    middle = min(max(now.pan_rad, limits.min_position[0] + step),
                 limits.max_position[0] - step)
    ends = middle - step / 2, middle + step / 2
    seen: list[Step] = []
    felt: list[Step] = []
    try:
        for number in range(config.steps):
            start, goal = ends[number % 2], ends[1 - number % 2]
            if not eyes.move(start, now.tilt_rad, 0.5):
                raise CalibrationError(TORQUE_HINT)
            eyes.spin(float(rng.uniform(0.0, 0.1)))
            one = _one_step(eyes, goal, now.tilt_rad, goal - start, camera)
            seen.append(one[0])
            felt.append(one[1])
    finally:
        eyes.move(now.pan_rad, now.tilt_rad, 0.5)
    return seen, felt


def _one_step(eyes: Any, pan: float, tilt: float, way: float, camera: CameraModel
              ) -> tuple[Step, Step]:
    sent_s: list[float] = []
    last_s = [0.0]

    def command(elapsed_s: float) -> None:
        if elapsed_s < 0.3 or elapsed_s - last_s[0] < 0.08:
            return
        stamp_s = eyes.send(pan, tilt)          # again and again: a head holds without commands
        last_s[0] = elapsed_s
        sent_s.append(stamp_s)
    sights, states = eyes.watch(1.2, command)
    if not sent_s or not sights:
        raise CalibrationError('no pictures arrive while the head moves')
    motion = ImageMotion(sights[0].image, camera)
    turns = [(sight.stamp_s, turn) for sight in sights[1:]
             if (turn := motion.turned(sight.image)) is not None]
    vectors = np.array([turn for _, turn in turns]).reshape(-1, 3)
    if len(vectors) < 9:
        raise CalibrationError(
            f'{len(sights)} pictures came during a step and {len(vectors)} could be followed: is '
            'there something with texture to see, does the camera run at 15 Hz or more, is this '
            'machine busy?')
    axis = main_axis(vectors)
    if axis[1] > 0:                             # the pan turns about what is up, optical -y
        axis = -axis
    moved = vectors @ axis
    return (Step(sent_s[0], way, np.array([stamp_s for stamp_s, _ in turns]), moved),
            Step(sent_s[0], way, np.array([state.stamp_s for state in states]),
                 np.array([state.pan_rad for state in states])))


def _felt(steps: list[Step], limits: AxisLimits) -> DeadTime | None:
    """By joint states; None where they do not tell, as those of a head without encoders."""
    try:
        return dead_time(steps, limits)
    except CalibrationError:
        return None
