"""Joint states, parameters and clocks that go wrong."""

import math
import time

import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter

from gaze_robot.nodes import _messages
from gaze_robot.types import PanTiltCommand

pytestmark = pytest.mark.ros


@pytest.fixture(autouse=True)
def _well_before_and_after(request):
    yield
    if 'robot' not in request.fixturenames:
        return
    robot = request.getfixturevalue('robot')
    robot.witness.spoil = lambda message: message
    robot.witness.healthy()
    assert robot.witness.beyond == []
    assert robot.alive() == ['gaze', 'pan_tilt', 'camera']


def nan(message):
    message.position[0] = math.nan
    return message


def one_joint(message):
    message.name, message.position = message.name[:1], message.position[:1]
    message.velocity = message.velocity[:1]
    return message


@pytest.mark.fault('joint states: {kind}', 'nothing is aimed with a pose that is not known; told')
@pytest.mark.parametrize('kind, spoil, sign', [
    ('NaN', nan, 'bad joint states'), ('a joint missing', one_joint, 'wrong joints'),
    ('none', lambda message: None, 'no joint states')], ids=['nan', 'missing', 'none'])
def test_unusable_joint_states(robot, row, kind, spoil, sign):
    robot.witness.spoil = spoil
    told_s = robot.witness.shows(sign)
    robot.witness.spin(0.5)
    commands = robot.witness.commands
    robot.witness.spin(1.0)
    assert robot.witness.commands == commands
    row(f'told after {told_s:.1f} s; no command meanwhile')


@pytest.mark.fault('joint states: order changed, others between', 'joints are found by name')
def test_joint_order(robot, row):
    """The head is told to look at one place; a swapped reading would send it elsewhere."""
    def shuffled(message):
        pan, tilt = message.position
        speeds = message.velocity
        message.name, message.position = ['tilt', 'elbow', 'pan'], [tilt, 9.0, pan]
        message.velocity = [speeds[1], 0.0, speeds[0]]
        return message
    robot.witness.spoil = shuffled
    robot.look_at(0.8, 0.3)
    assert robot.witness.spin(10.0, lambda: robot.witness.last[1:] == pytest.approx(
        [0.8, 0.3], abs=0.02)), robot.witness.last
    row('the head still reaches pan 0.80, tilt 0.30')


@pytest.mark.fault('commands beyond the limits, NaN, wrong joints', 'the head stays inside; '
                   'counted and told')
def test_wild_commands(robot, row):
    """Somebody else's node commands the head, too."""
    robot.witness.wild = True
    wild = robot.witness.node.create_publisher(
        _messages.JointTrajectory, 'joint_trajectory', 1)
    for pan, tilt, joints in ((99.0, -99.0, ('pan', 'tilt')), (math.nan, 0.0, ('pan', 'tilt')),
                              (0.5, 0.5, ('left', 'right')), (math.inf, 0.0, ('pan', 'tilt'))):
        message = _messages.trajectory_from_command(PanTiltCommand(0.0, 0.0), joints)
        message.points[0].positions = [pan, tilt]
        for _ in range(20):
            wild.publish(message)
            robot.witness.spin(0.02)
    told_s = robot.witness.shows('commands refused', 'pan_tilt')
    assert {'limits', 'commands refused'} <= set(robot.witness.signs('pan_tilt'))
    robot.witness.node.destroy_publisher(wild)
    robot.witness.spin(0.3)
    robot.witness.wild = False
    values = robot.witness.values('pan_tilt')
    assert robot.witness.beyond == []
    row(f'told after {told_s:.1f} s: {values["limit hits"]} cut, {values["commands refused"]} '
        'refused; never beyond')


@pytest.mark.fault('parameter out of range while running', 'refused with the range as reason; '
                   'the node goes on as before')
def test_parameter_out_of_range(robot, row):
    for node, name, value in (('gaze', 'hfov_deg', 400.0), ('pan_tilt', 'command_timeout', 'soon'),
                              ('pan_tilt', 'command_timeout', -1.0)):
        answer = robot.witness.call(SetParameters, f'{node}/set_parameters', parameters=[
            Parameter(name, value=value).to_parameter_msg()]).results[0]
        assert not answer.successful
        assert answer.reason
    row(f'refused: {answer.reason}')


@pytest.mark.long
@pytest.mark.fault('CPU starved by busy processes', 'nothing is commanded on a picture older '
                   'than max_image_age; the head keeps its rate; well afterwards')
def test_starved(robot, row):
    with robot.busy(6):
        robot.witness.spin(2.0)
        states, commands, begin_s = robot.witness.states, robot.witness.commands, time.monotonic()
        robot.witness.spin(4.0)
        took_s = time.monotonic() - begin_s
        values = robot.witness.values('gaze')
        rates = ((robot.witness.states - states) / took_s,
                 (robot.witness.commands - commands) / took_s)
    oldest_ms = float(values.get('image age at command p95 [ms]', 0) or 0)
    assert oldest_ms <= 2050
    assert robot.witness.beyond == []
    row(f'6 busy processes: {rates[0]:.0f} joint states, {rates[1]:.0f} commands per second, '
        f'image age at command p95 {oldest_ms:.0f} ms')


@pytest.mark.long
@pytest.mark.fault('/clock jumps back, stops, goes on', 'diagnostics go on and tell; commands '
                   'flow again at once; timers survive')
def test_clock(make_robot, row):
    robot = make_robot()
    robot.witness.own_clock = True
    sim = 'use_sim_time:=true'
    robot.gaze('max_image_age:=2.0', sim)
    robot.head(sim)
    robot.camera(clock=[1000.0, 1.0], rate=50.0)
    robot.witness.healthy(120.0)
    robot.camera(clock=[500.0, 1.0])
    back_s = robot.witness.shows('clock went back')
    commands = robot.witness.commands
    robot.witness.spin(2.0)
    assert robot.witness.commands > commands + 10, 'no commands after the jump'
    robot.witness.healthy()
    robot.camera(on=False, clock=[510.0, 0.0])
    stands_s = robot.witness.shows('clock stands still')
    robot.camera(on=True, clock=[510.0, 1.0])
    well_s = robot.witness.healthy()
    assert robot.witness.beyond == []
    row(f'jump told after {back_s:.1f} s, commands went on; standing told after {stands_s:.1f} s; '
        f'well again after {well_s:.1f} s')
