"""ONVIF: real HTTP and SOAP against an emulated camera on loopback."""

import base64
import hashlib
import math

import pytest

from gaze_robot.drivers._soap import parse, SoapClient
from gaze_robot.drivers.contract import DriverContract
from gaze_robot.drivers.onvif import OnvifDriver
from gaze_robot.emulators.clock import ManualClock
from gaze_robot.emulators.onvif import OnvifEmulator
from gaze_robot.errors import (
    ConfigError,
    DriverConnectionError,
    DriverError,
    DriverProtocolError,
    DriverTimeoutError,
)
from gaze_robot.types import PanTiltCommand, PanTiltLimits

FULL = (1.4, 0.7)
LIMITS = PanTiltLimits((-1.0, -0.5), (1.0, 0.5), (1.2, 0.6), (8.0, 8.0))


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def camera(clock):
    with OnvifEmulator(clock=clock, full_speed=FULL) as emulator:
        yield emulator


def driver_of(emulator, **options):
    return OnvifDriver(emulator.port, **{
        'limits': LIMITS, 'clock': emulator._clock, 'full_speed': FULL, 'timeout_s': 10.0,
        **options})


def pass_time(head, clock, seconds, step_s=0.02):
    pose = head.read()
    for _ in range(math.ceil(seconds / step_s)):
        clock.wait(step_s)
        pose = head.read()
    return pose


class TestAbsoluteMove(DriverContract):
    tolerance_rad = 0.01

    def make_driver(self):
        return driver_of(self.camera)

    def wait(self, driver, seconds):
        pass_time(driver, self.camera._clock, seconds)

    @pytest.fixture(autouse=True)
    def use(self, camera):
        self.camera = camera


class TestRelativeMove(TestAbsoluteMove):
    def make_driver(self):
        self.camera.moves = ('Relative', 'Continuous')
        return driver_of(self.camera)


class TestContinuousMove(TestAbsoluteMove):
    def make_driver(self):
        self.camera.tells_position = False
        return driver_of(self.camera)


@pytest.mark.parametrize('moves, tells, mode', [
    (('Absolute', 'Relative', 'Continuous'), True, 'absolute'),
    (('Relative', 'Continuous'), True, 'relative'), (('Continuous',), True, 'continuous'),
    (('Absolute', 'Continuous'), False, 'continuous')])
def test_the_camera_says_how_it_is_moved_and_gets_there(camera, clock, moves, tells, mode):
    camera.moves, camera.tells_position = moves, tells
    with driver_of(camera) as head:
        assert head.mode == mode
        head.command(PanTiltCommand(0.6, -0.3))
        pass_time(head, clock, 3.0)
        assert {kind.lower() for kind, *_ in camera.told} == {mode}
    assert [axis.position for axis in camera.axes] == pytest.approx([0.6, -0.3], abs=0.02)


@pytest.mark.parametrize('moves, tells', [(('Absolute',), False), ((), True)])
def test_a_camera_that_can_do_neither_is_refused(camera, moves, tells):
    camera.moves, camera.tells_position = moves, tells
    with pytest.raises(DriverError, match='neither'), driver_of(camera):
        pass


def test_left_and_down_are_negative_on_the_wire(camera):
    with driver_of(camera) as head:
        head.command(PanTiltCommand(math.pi / 4, math.pi / 8))
        kind, x, y, fast_x, fast_y = camera.told[-1]
    assert (kind, x, y) == ('Absolute', pytest.approx(-0.25), pytest.approx(-0.25))
    assert (fast_x, fast_y) == pytest.approx((1.2 / 1.4, 0.6 / 0.7), abs=0.001)


def test_nothing_is_sent_twice(camera, clock):
    with driver_of(camera) as head:
        for _ in range(20):
            head.command(PanTiltCommand(0.5, 0.0))
            clock.wait(0.02)
            head.read()
        assert len(camera.told) == 1
        assert camera.calls.count('GetStatus') <= 8, 'at most ten times a second'


def test_a_continuous_move_ends_by_itself_when_nobody_speaks(camera, clock):
    camera.moves = ('Continuous',)
    with driver_of(camera) as head:
        head.command(PanTiltCommand(1.0, 0.0))
        pass_time(head, clock, 0.3)
        clock.wait(10.0)
        with camera.lock:
            camera.catch_up()
        assert camera.axes[0].velocity == 0.0
        assert camera.axes[0].position < 1.5, 'a second at 1.2 rad/s, and a little'


@pytest.mark.parametrize('ahead_s', [0.0, -86400.0, 5000.0])
def test_a_password_is_sent_as_a_digest_with_the_cameras_time(clock, ahead_s):
    with OnvifEmulator('eye', 'sécret', clock=clock, full_speed=FULL) as camera:
        camera.clock_ahead_s = ahead_s
        with driver_of(camera, user='eye', password='sécret') as head:
            assert head.read().pan_rad == pytest.approx(0.0)
        for user, password in (('eye', 'wrong'), ('nobody', 'sécret'), ('', '')):
            with pytest.raises(DriverConnectionError, match='GAZE_ROBOT_PASSWORD'):
                driver_of(camera, user=user, password=password).connect()


def test_the_digest_is_that_of_the_specification():
    client = SoapClient('http://127.0.0.1/x', 'user', 'userpassword', 1.0, lambda n: b'n' * n)
    header = client._header()
    created = header.split('Created')[1].split('>')[1].split('<')[0]
    expected = base64.b64encode(hashlib.sha1(
        b'n' * 16 + created.encode() + b'userpassword').digest()).decode()
    assert expected in header
    assert 'userpassword' not in header


def test_the_password_comes_from_the_environment(clock, monkeypatch):
    monkeypatch.setenv('GAZE_ROBOT_PASSWORD', 'abc')
    with (OnvifEmulator('eye', 'abc', clock=clock) as camera,
          driver_of(camera, user='eye') as head):
        assert head.read().tilt_rad == pytest.approx(0.0)


BOMB = (b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
        b'<x>&b;</x>')


@pytest.mark.parametrize('answer, says', [
    (BOMB, 'document type'), (b'not xml', 'not XML'), (b'<a/>', 'SOAP body'),
    (b'<a>' + b' ' * (1 << 20) + b'</a>', '1 MiB')])
def test_answers_that_are_not_soap_are_refused(camera, answer, says):
    with driver_of(camera) as head:
        camera.answer_with = answer
        with pytest.raises(DriverProtocolError, match=says):
            head.command(PanTiltCommand(0.1, 0.0))
        camera.answer_with = b''
        head.command(PanTiltCommand(0.1, 0.0))


def test_a_document_type_is_refused_before_anything_is_built():
    with pytest.raises(DriverProtocolError, match='document type'):
        parse(b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>')


@pytest.mark.parametrize('place', ['x="nan" y="0"', 'x="0"', 'x="left" y="0"'])
def test_a_position_that_is_no_number_is_an_error(camera, clock, place):
    with driver_of(camera) as head:
        camera.answer_with = (
            '<e><Body><R><PTZStatus><Position><PanTilt ' + place
            + '/></Position></PTZStatus></R></Body></e>').encode()
        clock.wait(1.0)
        with pytest.raises(DriverProtocolError, match='usable position'):
            head.read()


@pytest.mark.parametrize('fault, kind', [
    ('drop_byte', DriverProtocolError), ('bad_checksum', DriverProtocolError),
    ('silent', DriverConnectionError)])
def test_spoilt_answers_are_asked_for_again_or_an_error(camera, clock, fault, kind):
    with driver_of(camera) as head:
        setattr(camera.faults, fault, 1)
        clock.wait(1.0)
        assert head.read().pan_rad == pytest.approx(0.0)
        setattr(camera.faults, fault, -1)
        clock.wait(1.0)
        with pytest.raises(kind):
            head.read()
        setattr(camera.faults, fault, 0)
        clock.wait(1.0)
        assert head.read().pan_rad == pytest.approx(0.0)


def test_a_camera_that_never_answers_is_a_time_out(clock):
    import socket
    with socket.create_server(('127.0.0.1', 0)) as deaf:
        url = f'http://127.0.0.1:{deaf.getsockname()[1]}/onvif/device_service'
        with pytest.raises(DriverTimeoutError):
            OnvifDriver(url, clock=clock, timeout_s=0.1).connect()


def test_a_fault_of_the_camera_is_told_in_its_words(camera):
    with driver_of(camera) as head:
        camera.moves = ()
        with pytest.raises(DriverError, match='AbsoluteMove is not supported'):
            head.command(PanTiltCommand(0.2, 0.0))


def test_unplugged_and_plugged_in_again(camera, clock):
    with driver_of(camera) as head:
        camera.unplug()
        clock.wait(1.0)
        with pytest.raises(DriverConnectionError, match='powered and on the network'):
            head.read()
        with pytest.raises(DriverConnectionError, match='next attempt'):
            head.read()
        head.stop()
        camera.plug()
        clock.wait(1.0)
        head.command(PanTiltCommand(0.2, 0.0))
        assert pass_time(head, clock, 2.0).pan_rad == pytest.approx(0.2, abs=0.01)


def test_a_power_cycle_under_motion_is_survived(camera, clock):
    with driver_of(camera) as head:
        head.command(PanTiltCommand(0.8, 0.0))
        pass_time(head, clock, 0.2)
        camera.power_cycle()
        pass_time(head, clock, 0.5)
        head.command(PanTiltCommand(0.3, 0.0))
        assert pass_time(head, clock, 2.0).pan_rad == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize('options, says', [
    ({'port': '192.168.1.64'}, 'device service'), ({'full_range': (0.0, 1.0)}, 'full_range'),
    ({'full_speed': (1.0,)}, 'full_speed')])
def test_settings_that_make_no_sense_are_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        OnvifDriver(**{'port': 'http://127.0.0.1/', **options})
