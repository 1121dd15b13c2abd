"""The camera's bad days: what gaze_node promises about each, seen from another process."""

import time

from lifecycle_msgs.srv import ChangeState
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter

pytestmark = pytest.mark.ros


@pytest.fixture(autouse=True)
def _well_before_and_after(robot):
    """Every fault heals, and moves nothing beyond its limits."""
    yield
    robot.camera(on=True, rate=20.0, width=320, height=240, qos='best_effort', compressed=False,
                 info=True, stamp='now', order='fresh')
    robot.witness.healthy()
    assert robot.witness.beyond == []
    assert set(robot.alive()) >= {'gaze', 'pan_tilt', 'camera'}


def rise(witness, key, seconds):
    """How much a counter of gaze's diagnostics rises meanwhile."""
    before = int(witness.values('gaze').get(key, 0))
    witness.spin(seconds)
    return int(witness.values('gaze').get(key, 0)) - before


@pytest.mark.fault('camera: {qos}', 'pictures are looked at and commands flow, whatever the '
                   "camera's reliability")
@pytest.mark.parametrize('qos', ['best_effort', 'reliable'])
def test_quality_of_service(robot, row, qos):
    robot.camera(qos=qos)
    robot.witness.healthy()
    commands, begin_s = robot.witness.commands, time.monotonic()
    robot.witness.spin(2.0)
    rate = (robot.witness.commands - commands) / (time.monotonic() - begin_s)
    assert rate > 5
    row(f'{rate:.0f} commands per second of 20 pictures')


@pytest.mark.fault('camera: compressed only', 'with image_transport compressed its JPEGs are '
                   'looked at; without it the diagnostics say that no image arrives')
def test_compressed_only(robot, row):
    robot.camera(compressed=True)
    late_s = robot.witness.shows('no image')
    reconfigure(robot, 'compressed')
    well_s = robot.witness.healthy()
    robot.camera(compressed=False)
    robot.witness.shows('no image')
    reconfigure(robot, 'raw')
    row(f'no image told after {late_s:.1f} s; set to compressed, well after {well_s:.1f} s')


def reconfigure(robot, transport):
    """Down, set the parameter, up again: what an operator does."""
    call = robot.witness.call
    for label in ('deactivate', 'cleanup', None, 'configure', 'activate'):
        if label is None:
            answer = call(SetParameters, 'gaze/set_parameters', parameters=[Parameter(
                'image_transport', value=transport).to_parameter_msg()])
            assert answer.results[0].successful, answer.results[0].reason
        else:
            request = ChangeState.Request()
            request.transition.label = label
            assert call(ChangeState, 'gaze/change_state', transition=request.transition).success
    robot.exemplar()


@pytest.mark.fault('camera: freezes (sends nothing)', 'told within 6 s; the head holds still; '
                   'well again by itself')
def test_silence(robot, row):
    robot.camera(on=False)
    told_s = robot.witness.shows('no image', seconds=6.0)
    commands = robot.witness.commands
    robot.witness.spin(1.0)
    place = robot.witness.last[1:]
    robot.witness.spin(0.5)
    assert robot.witness.last[1:] == pytest.approx(place, abs=1e-4), 'the head still moves'
    assert robot.witness.commands == commands
    robot.camera(on=True)
    row(f'no image told after {told_s:.1f} s, head still, well again after '
        f'{robot.witness.healthy():.1f} s')


@pytest.mark.fault('camera: freezes (repeats one stamp)', 'no picture is looked at twice; told '
                   'as a frozen camera')
def test_frozen_stamp(robot, row):
    robot.camera(stamp='frozen')
    told_s = robot.witness.shows('frozen camera')
    assert rise(robot.witness, 'frames processed', 1.2) == 0
    row(f'told after {told_s:.1f} s; nothing looked at twice')


@pytest.mark.fault('camera: changes resolution', 'the next picture is looked at with a lens of '
                   'its size; nothing is lost')
def test_resolution(robot, row):
    dropped = []
    for width, height in ((640, 480), (160, 120), (1280, 720), (320, 240)):
        robot.camera(width=width, height=height)
        robot.witness.healthy()
        dropped.append(int(robot.witness.values('gaze').get('dropped: wrong size', 0)))
    assert dropped == [0] * 4
    assert 'uncalibrated camera' not in robot.witness.signs('gaze')
    row('320x240, 640x480, 160x120, 1280x720 and back: no picture refused for its size')


@pytest.mark.fault('camera: zero stamps', 'arrival is used instead; told')
def test_zero_stamps(robot, row):
    robot.camera(stamp='zero')
    told_s = robot.witness.shows('unstamped')
    commands = robot.witness.commands
    robot.witness.spin(1.5)
    assert robot.witness.commands > commands + 5
    row(f'told after {told_s:.1f} s; commands go on')


@pytest.mark.fault('camera: stamps in the {kind}', 'not looked at, counted, told; no command '
                   'comes of them')
@pytest.mark.parametrize('kind, offset, sign', [('future', 5.0, 'stamps from the future'),
                                                ('past', -5.0, 'stale stamps')])
def test_wrong_stamps(robot, row, kind, offset, sign):
    robot.camera(stamp=offset)
    told_s = robot.witness.shows(sign)
    commands = robot.witness.commands
    robot.witness.spin(1.0)
    assert robot.witness.commands == commands
    row(f'told after {told_s:.1f} s; no command')


@pytest.mark.fault('camera: {kind}', 'each moment is looked at once; what is late is counted')
@pytest.mark.parametrize('kind, order', [('pictures out of order', 'swapped'),
                                         ('duplicate pictures', 'twice')],
                         ids=['out_of_order', 'duplicates'])
def test_order(robot, row, kind, order):
    robot.witness.spin(10.0, lambda: 'images dropped' not in robot.witness.signs('gaze'))
    robot.camera(order=order)
    told_s = robot.witness.shows('images dropped')
    processed = rise(robot.witness, 'frames processed', 2.2)
    late = rise(robot.witness, 'dropped: out of order', 2.2)
    assert late > 5
    assert processed > 5
    row(f'half of them counted as out of order, told after {told_s:.1f} s; the others looked at')


@pytest.mark.long
@pytest.mark.fault('camera: flood of 1000 Hz', 'processing_rate holds, the rest is counted; the '
                   'node answers; memory and threads stay')
def test_flood(robot, row):
    robot.camera(rate=1000.0, width=64, height=48)
    robot.witness.spin(2.0)
    before = robot.usage('gaze')
    arrived = rise(robot.witness, 'frames in', 4.0) / 4.0
    start_s = time.monotonic()
    robot.witness.call(SetParameters, 'gaze/set_parameters', parameters=[])
    answered_s = time.monotonic() - start_s
    after = robot.usage('gaze')
    assert float(robot.witness.values('gaze')['processed [Hz]']) <= 31.5
    assert after[1:] == before[1:]
    assert after[0] < before[0] + 15
    row(f'{arrived:.0f} Hz arrived, {robot.witness.values("gaze")["processed [Hz]"]} looked at; '
        f'a service answered in {answered_s:.2f} s; memory {after[0] - before[0]:+.1f} MiB')


@pytest.mark.long
@pytest.mark.fault('camera: 4K frames', 'looked at, or counted as too slow; never a crash; well '
                   'afterwards')
def test_four_k(robot, row):
    robot.camera(width=3840, height=2160, rate=5.0)
    robot.witness.spin(1.0)
    arrived = rise(robot.witness, 'frames in', 4.0)
    processed = rise(robot.witness, 'frames processed', 4.0)
    assert arrived > 0
    assert processed > 0 or 'slow inference' in robot.witness.signs('gaze')
    row(f'{arrived / 4:.1f} of 5 per second arrived, {processed / 4:.1f} looked at, resident '
        f'{robot.usage("gaze")[0]:.0f} MiB')


@pytest.mark.long
@pytest.mark.fault('camera: absent at start, late, uncalibrated', 'its absence is told; once it '
                   'is there, hfov_deg is used instead of its camera_info, and that is told')
def test_no_camera_info(make_robot, row):
    robot = make_robot()
    robot.gaze('max_image_age:=2.0')
    robot.head()
    told_s = robot.witness.shows('no image', seconds=60.0)
    robot.camera(info=False)
    robot.witness.shows('uncalibrated camera')
    commands = robot.witness.commands
    robot.witness.spin(1.0)
    assert robot.witness.commands > commands
    robot.camera(info=True)
    robot.witness.healthy()
    row(f'told; without a camera at all "no image" was told after {told_s:.1f} s')
