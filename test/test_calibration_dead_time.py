"""Dead times: of motions with a known delay, in numbers and in pictures."""

import math

import numpy as np
import pytest

from gaze_robot.calibration.dead_time import dead_time, fit_step, Step
from gaze_robot.calibration.drawing import latency_picture
from gaze_robot.calibration.image_motion import ImageMotion, main_axis
from gaze_robot.calibration.latency_command import CalibrateLatencyConfig
from gaze_robot.camera import CameraModel
from gaze_robot.control.profile import AxisLimits
from gaze_robot.control.setpoints import Setpoints
from gaze_robot.errors import CalibrationError, ConfigError
from gaze_robot.nodes._head import Head
from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState
from gaze_robot_sim.control_loop import _head_config, ServoHead, TICK_STEPS
from gaze_robot_sim.render import Panorama

LIMITS = PanTiltLimits()
AXIS = AxisLimits(-3.14, 3.14, 3.14, 30.0, 1500.0)
CAMERA = CameraModel.from_hfov(320, 240, math.radians(75))


def steps(delay_s, count=12, seed=0, noise=0.0005, sign=1.0, slower=1.0, jitter_s=0.004):
    """Pictures at 30 Hz of a head that follows setpoints so late; `Setpoints` is what moves it."""
    rng, made = np.random.default_rng(seed), []
    for number in range(count):
        way = 0.14 * (-1) ** number
        stamps = np.arange(-0.3, 0.9, 1 / 30) + rng.uniform(0, 1 / 30)
        late_s = delay_s + rng.uniform(-jitter_s, jitter_s)
        head = Setpoints(LIMITS, PanTiltState(0.0, 0.0), -1e-9)
        head.aim(PanTiltCommand(way, 0.0), 0.0)
        angle = np.array([head.at(max((t - late_s) / slower, 0.0)).pan_rad for t in stamps])
        made.append(Step(100.0, way, stamps + 100,
                         sign * angle + 0.3 + rng.normal(0, noise, len(stamps))))
    return made


@pytest.mark.parametrize('delay_s', [0.0, 0.03, 0.08, 0.2])
def test_the_delay_and_its_spread_are_found(delay_s):
    made = steps(delay_s)
    found = dead_time(made, AXIS)
    assert found.seconds == pytest.approx(delay_s, abs=0.003)
    assert found.spread_s == pytest.approx(0.008 / math.sqrt(12), abs=0.0015)
    assert (found.used, found.left_out, found.stretch) == (12, 0, 1.0)
    assert latency_picture(found, made, AXIS).shape[2] == 3


def test_a_camera_that_sees_it_the_other_way_round_and_a_slow_head():
    found = dead_time(steps(0.1, sign=-0.9, slower=1.8), AXIS)
    assert found.seconds == pytest.approx(0.1, abs=0.006)
    assert found.stretch == pytest.approx(1.8, rel=0.1)


def test_steps_with_something_in_the_way_do_not_count():
    made = steps(0.05)
    rng = np.random.default_rng(1)
    made[4] = Step(100.0, 0.14, made[4].time_s, rng.normal(0, 0.05, len(made[4].time_s)))
    found = dead_time(made, AXIS)
    assert found.left_out == 1
    assert found.seconds == pytest.approx(0.05, abs=0.004)


@pytest.mark.parametrize('made, says', [
    (lambda: steps(0.05, sign=0.0), 'were seen as motion'),
    (lambda: steps(0.05, count=4), '5 at least'),
    (lambda: steps(0.05, noise=0.1), 'look like a step|seen as motion'),
    (lambda: steps(0.15, jitter_s=0.12), 'scatter by')])
def test_poor_data_are_refused_with_the_reason(made, says):
    with pytest.raises(CalibrationError, match=says):
        dead_time(made(), AXIS)


def test_too_few_pictures_and_numbers_that_are_none():
    few = np.linspace(99.9, 100.1, 6)
    with pytest.raises(CalibrationError, match='15 Hz'):
        fit_step(Step(100.0, 0.1, few, np.zeros(6)), AXIS)
    with pytest.raises(CalibrationError, match='not finite'):
        Step(100.0, 0.1, few, np.full(6, math.nan))


def test_the_product_s_own_loop_with_a_servo_of_known_latency():
    """The head loop and a servo 20 ms late: 20 ms, half a tick to wait, one to follow."""
    now, made, rng = [0.0], [], np.random.default_rng(0)
    for number in range(10):
        now[0] = 0.0
        servo = ServoHead(LIMITS, lambda: now[0], number)
        head = Head(lambda limits, servo=servo: servo, _head_config(LIMITS), lambda: now[0])
        way, sent, rows = 0.14 * (-1) ** number, 300 + int(rng.integers(10)), []
        for step in range(1200):
            now[0] = step / 1000
            servo.live()
            if step >= sent and (step - sent) % 80 == 0:
                head.accept([(0.0, PanTiltCommand(way, 0.0))])
            if step % TICK_STEPS == 0:
                head.tick()
            if step % 33 == 0:
                rows.append((now[0], servo.gaze[0]))
        times, angles = np.array(rows).T
        made.append(Step(sent / 1000, way, times, angles))
    found = dead_time(made, AXIS)
    assert found.seconds == pytest.approx(servo.latency_s + 1.0 * TICK_STEPS / 1000, abs=0.005)


def test_pictures_tell_how_far_the_camera_turned():
    rng = np.random.default_rng(0)
    blobs = np.kron(rng.integers(0, 255, (64, 128, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    world = Panorama(blobs)
    angles = np.radians([0.0, 0.3, 1.5, 4.0, 6.5, 8.0])
    motion = ImageMotion(world.picture(CAMERA, 0.2, 0.1), CAMERA)
    turns = np.array([motion.turned(world.picture(CAMERA, 0.2 + angle, 0.1)) for angle in angles])
    axis = main_axis(turns)
    up = np.array([0.0, -math.cos(0.1), -math.sin(0.1)])       # the pan axis in the picture
    assert abs(axis @ up) > 0.999
    assert np.degrees(np.abs(turns @ axis * np.sign(axis @ up) - angles)).max() < 0.05


def test_a_blank_picture_says_what_is_needed():
    with pytest.raises(CalibrationError, match='something with texture'):
        ImageMotion(np.full((120, 160, 3), 90, np.uint8), CAMERA)


@pytest.mark.parametrize('wrong', [{'steps': 2}, {'step_deg': 0.1}, {'step_deg': math.nan}])
def test_options_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigError):
        CalibrateLatencyConfig(**wrong)
