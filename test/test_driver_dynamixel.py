"""Dynamixel: the vendor's library against emulated servos on a pseudo-terminal."""

import math
import os
import signal
import subprocess
import sys
import time

import pytest

from gaze_robot.config import PanTiltConfig
from gaze_robot.drivers.contract import DriverContract
from gaze_robot.drivers.dynamixel import DynamixelDriver
from gaze_robot.drivers.registry import make_configured
from gaze_robot.emulators.clock import ManualClock
from gaze_robot.emulators.dynamixel import crc16, DynamixelEmulator
from gaze_robot.errors import (
    ConfigError,
    DriverConnectionError,
    DriverError,
    DriverProtocolError,
    DriverTimeoutError,
)
from gaze_robot.nodes._head import Head
from gaze_robot.types import PanTiltCommand, PanTiltLimits

dynamixel_sdk = pytest.importorskip('dynamixel_sdk', reason='the extra hardware')

LIMITS = PanTiltLimits((-1.0, -0.5), (1.0, 0.5), (2.0, 1.5), (20.0, 15.0))
TICK = 2 * math.pi / 4096


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def servos(clock):
    with DynamixelEmulator(clock=clock) as emulator:
        yield emulator


def driver_of(emulator, **options):
    return DynamixelDriver(emulator.port, **{
        'limits': LIMITS, 'clock': emulator._clock, 'timeout_s': 1.0, **options})


@pytest.fixture
def head(servos):
    with driver_of(servos) as driver:
        driver.set_torque(True)
        yield driver


def pass_time(head, clock, seconds):
    """The head lives in steps that its watchdog does not mind; the last pose."""
    pose = head.read()
    for _ in range(math.ceil(seconds / 0.02)):
        clock.wait(0.02)
        pose = head.read()
    return pose


class TestDynamixelDriver(DriverContract):
    tolerance_rad = 1.01 * TICK

    def make_driver(self):
        return driver_of(self.emulator)

    def wait(self, driver, seconds):
        pass_time(driver, self.emulator._clock, seconds)

    @pytest.fixture(autouse=True)
    def wire(self, servos):
        self.emulator = servos


def test_the_emulators_checksum_is_the_vendors():
    data = bytes(range(256)) + b'\xff\xff\xfd'
    vendor = dynamixel_sdk.PacketHandler(2.0).updateCRC(0, list(data), len(data))
    assert crc16(data) == vendor
    # A worked example of the e-Manual: ping of id 1.
    assert crc16(bytes.fromhex('FF FF FD 00 01 03 00 01')) == 0x4E19


def test_angles_are_those_of_the_manual(head, servos, clock):
    head.command(PanTiltCommand(math.pi / 4, -math.pi / 8))
    pass_time(head, clock, 1.0)
    assert [servos.servos[n].get(116, 4) for n in (1, 2)] == [2048 + 512, 2048 - 256]
    assert [servos.servos[n].get(132, 4) for n in (1, 2)] == [2560, 1792]


def test_a_moving_head_reports_its_speed(head, clock):
    head.command(PanTiltCommand(-1.0, 0.0))
    pose = pass_time(head, clock, 0.3)
    assert pose.pan_rad_s == pytest.approx(-2.0, rel=0.03)
    assert pose.stamp_s == clock()


def test_readings_whose_bytes_look_like_a_header_are_read_right(servos, clock):
    """Speed -1 and position 0x..FD make FF FF FD, which the protocol stuffs."""
    with driver_of(servos, limits=PanTiltLimits()) as head:
        servo = servos.servos[1]
        with servos.lock:
            servo.axis.position = servo.axis.lowest = 0x07FD
            servo.axis.goal, servo.axis.wanted, servo.axis.velocity = None, -20.0, -20.0
        pose = head.read()
        assert pose.pan_rad == pytest.approx((0x07FD - 2048) * TICK)
        assert pose.pan_rad_s < 0


def test_connecting_writes_what_must_be_kept_once_and_nothing_later(servos, clock):
    with driver_of(servos) as head:
        kept = {address for _, address, _ in servos.writes if address < 64}
        assert kept == {9}, 'the return delay, as delivered 250; the mode is right already'
        head.set_torque(True)
        head.command(PanTiltCommand(0.3, 0.1))
        pass_time(head, clock, 0.5)
    servos.writes.clear()
    with driver_of(servos) as head:
        head.set_torque(True)
        head.command(PanTiltCommand(0.0, 0.0))
        pass_time(head, clock, 0.5)
    assert min(address for _, address, _ in servos.writes) >= 64


def test_nothing_is_powered_and_no_command_taken_before_it_is_asked_for(servos, clock):
    with driver_of(servos) as head:
        with pytest.raises(DriverError, match='switch torque on'):
            head.command(PanTiltCommand(0.5, 0.0))
        pass_time(head, clock, 0.5)
        assert [servos.servos[n].get(64, 1) for n in (1, 2)] == [0, 0]
        head.set_torque(True)
        assert [servos.servos[n].get(64, 1) for n in (1, 2)] == [1, 1]
        head.set_torque(False)
        assert [servos.servos[n].get(64, 1) for n in (1, 2)] == [0, 0]


def test_an_old_goal_is_forgotten_when_the_power_comes_on(servos, clock):
    with servos.lock:
        for servo in servos.servos.values():
            servo.put(116, 4, 3000)
    with driver_of(servos) as head:
        head.set_torque(True)
        pose = pass_time(head, clock, 0.5)
    assert (pose.pan_rad, pose.tilt_rad) == (0.0, 0.0)


def test_limits_in_the_servos_registers_narrow_ours(servos):
    servos.servos[1].put(48, 4, 2048 + 512)
    servos.servos[2].put(44, 4, 30)
    with driver_of(servos) as head:
        assert head.limits.max_position[0] == pytest.approx(math.pi / 4)
        assert head.limits.max_velocity == pytest.approx((2.0, 30 * 0.229 * 2 * math.pi / 60))
    servos.servos[1].put(48, 4, 100)
    with pytest.raises(ConfigError, match='nothing in common'), driver_of(servos):
        pass


@pytest.mark.parametrize('register, value, says', [
    ((0, 2), 350, 'model 350'), ((68, 1), 1, 'Status Return Level'),
    ((10, 1), 4, 'Drive Mode'), ((70, 1), 32, 'overload')])
def test_servos_that_do_not_fit_are_refused(servos, register, value, says):
    servos.servos[2].put(*register, value)
    with pytest.raises(DriverError, match=says), driver_of(servos):
        pass


def test_extended_position_only_if_asked(servos, clock):
    wide = PanTiltLimits((-10.0, -0.5), (10.0, 0.5))
    with driver_of(servos, limits=wide, extended_position=True) as head:
        assert servos.servos[1].get(11, 1) == 4
        head.set_torque(True)
        head.command(PanTiltCommand(7.0, 0.0))
        assert pass_time(head, clock, 4.0).pan_rad == pytest.approx(7.0, abs=TICK)
    with driver_of(servos, limits=wide) as head:
        assert servos.servos[1].get(11, 1) == 3
        assert head.limits.max_position[0] == pytest.approx(math.pi, abs=2 * TICK)


def test_a_goal_with_speed_is_passed_at_about_that_speed(head, clock):
    head.command(PanTiltCommand(0.3, 0.0, 0.8, 0.0))
    poses = [head.read()]
    while poses[-1].pan_rad < 0.3:
        clock.wait(0.005)
        poses.append(head.read())
    assert poses[-1].pan_rad_s == pytest.approx(0.8, abs=0.1)
    assert pass_time(head, clock, 1.0).pan_rad == pytest.approx(0.3 + 0.8 ** 2 / 40, abs=2 * TICK)


def test_a_port_in_use_is_refused_by_name(servos):
    with driver_of(servos), pytest.raises(DriverConnectionError,
                                          match=f'{servos.port} is used by another program'):
        driver_of(servos).connect()


def test_a_port_that_is_not_there_is_refused_by_name():
    with pytest.raises(DriverConnectionError, match='no port /dev/nothing'):
        DynamixelDriver('/dev/nothing').connect()
    with pytest.raises(ConfigError, match='parameter port'):
        DynamixelDriver('').connect()


def test_a_port_we_may_not_open_names_the_group(tmp_path, monkeypatch):
    import serial

    def refuse(*args, **options):
        raise serial.SerialException(13, 'Permission denied')
    monkeypatch.setattr(serial, 'Serial', refuse)
    with pytest.raises(DriverConnectionError, match='dialout'):
        DynamixelDriver('/dev/ttyUSB0').connect()


@pytest.mark.parametrize('options, says', [
    ({'ids': (1, 1)}, 'two different'), ({'ids': (1, 253)}, '0 to 252'),
    ({'bus_watchdog_ms': 5000}, 'bus_watchdog_ms'),
    ({'limits': PanTiltLimits(max_velocity=(0.001, 1.0))}, 'limits.pan.max_velocity')])
def test_settings_the_servos_cannot_follow_are_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        DynamixelDriver('/dev/ttyUSB0', **options)


@pytest.mark.parametrize('fault', ['drop_byte', 'bad_checksum', 'silent'])
def test_one_spoilt_answer_is_asked_for_again(servos, clock, fault):
    with driver_of(servos) as head:
        head.set_torque(True)
        head._port.timeout_s = 0.5
        setattr(servos.faults, fault, 1)
        assert head.read().pan_rad == 0.0
        assert head.bus_errors == 1
        setattr(servos.faults, fault, 1)
        head.set_torque(True)
        assert head.command(PanTiltCommand(0.2, 0.0)).pan_rad == 0.2
        assert pass_time(head, clock, 1.0).pan_rad == pytest.approx(0.2, abs=TICK)


@pytest.mark.parametrize('fault, kind', [
    ('drop_byte', (DriverProtocolError, DriverTimeoutError)),
    ('bad_checksum', DriverProtocolError), ('silent', DriverTimeoutError)])
def test_an_answer_that_stays_away_is_an_error_and_its_return_recovers(servos, fault, kind):
    with driver_of(servos) as head:
        head._port.timeout_s = 0.1
        setattr(servos.faults, fault, -1)
        with pytest.raises(kind, match='pan servo'):
            head.read()
        assert 'pan servo' in head.health()['not readable']
        setattr(servos.faults, fault, 0)
        head._port.timeout_s = 1.0
        assert head.read().pan_rad == 0.0


def test_overheating_is_named_and_needs_a_power_cycle(head, servos, clock):
    head.command(PanTiltCommand(1.0, 0.0))
    pass_time(head, clock, 0.1)
    servos.overheat(1)
    with pytest.raises(DriverError, match=r'pan servo \(id 1\).*overheating'):
        head.read()
    with pytest.raises(DriverError, match='overheating'):
        head.set_torque(True)
    head.disconnect()
    with pytest.raises(DriverError, match='overheating'):
        head.connect()
    servos.power_cycle()
    head.connect()
    head.set_torque(True)
    before = head.read().pan_rad
    head.command(PanTiltCommand(before + 0.1, 0.0))
    assert pass_time(head, clock, 0.5).pan_rad == pytest.approx(before + 0.1, abs=TICK)


def test_a_power_cycle_is_noticed_and_nothing_moves_until_power_is_asked_for(head, servos, clock):
    head.command(PanTiltCommand(1.0, 0.0))
    pass_time(head, clock, 0.1)
    servos.power_cycle()
    at = servos.servos[1].axis.position
    with pytest.raises(DriverError, match='lost its torque'):
        pass_time(head, clock, 1.0)
    with pytest.raises(DriverError, match='switch torque on'):
        head.command(PanTiltCommand(-1.0, 0.0))
    pass_time(head, clock, 1.0)
    assert servos.servos[1].axis.position == at
    servos.servos[1].axis.fastest = 0.0
    head.set_torque(True)
    head.command(PanTiltCommand(-1.0, 0.0))
    assert pass_time(head, clock, 2.0).pan_rad == pytest.approx(-1.0, abs=TICK)
    assert servos.servos[1].axis.fastest * TICK <= LIMITS.max_velocity[0]
    assert servos.servos[1].get(98, 1) == 10, 'the watchdog is armed again'


def test_unplugged_is_an_error_then_rarer_attempts_then_it_works_again(head, servos, clock):
    servos.unplug()
    with pytest.raises(DriverConnectionError, match='plugged in'):
        head.read()
    head.stop()
    with pytest.raises(DriverConnectionError, match='next attempt in 0.1 s'):
        head.read()
    pauses = []
    for _ in range(8):
        start_s = clock()
        while True:
            clock.wait(0.05)
            with pytest.raises(DriverConnectionError) as refused:
                head.read()
            if 'next attempt' not in str(refused.value):
                break
        pauses.append(clock() - start_s)
    assert pauses == sorted(pauses)
    assert pauses[-1] == pytest.approx(5.0, abs=0.1)
    servos.plug()
    clock.wait(6.0)
    assert head.read().pan_rad == pytest.approx(0.0)
    assert head.reopened == 1
    head.command(PanTiltCommand(0.1, 0.0))
    assert pass_time(head, clock, 1.0).pan_rad == pytest.approx(0.1, abs=TICK)


def test_silence_longer_than_the_watchdog_stops_it_and_talking_goes_on(head, servos, clock):
    head.command(PanTiltCommand(1.0, 0.0))
    head.read()
    clock.wait(5.0)
    pose = head.read()
    assert 0.2 < pose.pan_rad < 0.45, 'it moved for 0.2 s at 2 rad/s, less the start'
    assert pose.pan_rad_s == 0.0
    assert pass_time(head, clock, 1.0).pan_rad == pose.pan_rad
    assert head.health()['watchdog stops'] == 1
    head.command(PanTiltCommand(0.0, 0.0))
    assert pass_time(head, clock, 1.0).pan_rad == pytest.approx(0.0, abs=TICK)


def test_health_shows_temperature_voltage_and_link(head, servos):
    servos.servos[2].put(146, 1, 55)
    values = head.health()
    assert (values['tilt temperature C'], values['pan voltage V']) == (55.0, 12.0)
    assert (values['link'], values['motors']) == ('up', 'powered')


def test_the_watchdog_stops_the_servo_of_a_killed_process():
    """Real time: another process drives, is killed with signal 9, and the motor stops itself."""
    code = ('import sys, time\n'
            'from gaze_robot.drivers.dynamixel import DynamixelDriver\n'
            'from gaze_robot.types import PanTiltCommand, PanTiltLimits\n'
            'limits = PanTiltLimits(max_velocity=(0.2, 0.2))\n'
            'with DynamixelDriver(sys.argv[1], limits=limits, bus_watchdog_ms=500,\n'
            '                     timeout_s=1.0) as head:\n'
            '    head.set_torque(True)\n'
            '    while True:\n'
            '        head.command(PanTiltCommand(3.0, 0.0))\n'
            '        head.read()\n'
            '        time.sleep(0.01)\n')
    with DynamixelEmulator() as servos:
        pan = servos.servos[1]
        process = subprocess.Popen([sys.executable, '-c', code, servos.port])
        try:
            end_s = time.monotonic() + 30
            while pan.axis.velocity <= 0 and time.monotonic() < end_s:
                time.sleep(0.01)
            assert pan.axis.velocity > 0
            os.kill(process.pid, signal.SIGKILL)
        finally:
            process.kill()
            process.wait()
        time.sleep(1.5)
        with servos.lock:
            servos.catch_up()
            stopped = pan.axis.position
        assert pan.get(98, 1) == 255
        time.sleep(0.3)
        with servos.lock:
            servos.catch_up()
        assert (pan.axis.position, pan.axis.velocity) == (stopped, 0.0)
        assert pan.axis.position < 2048 + 3.0 / TICK


@pytest.mark.parametrize('limp', [False, True])
def test_motors_go_limp_at_the_end_if_that_is_wished(servos, clock, limp):
    config = PanTiltConfig(backend='dynamixel', port=servos.port, enable_at_start=True,
                           answer_timeout=1.0, torque_off_on_shutdown=limp)
    head = Head(lambda limits: make_configured(config, limits=limits, clock=clock), config, clock)
    assert [servos.servos[n].get(64, 1) for n in (1, 2)] == [1, 1]
    assert head.report()[1]['pan temperature C'] == '31.0'
    head.close()
    assert [servos.servos[n].get(64, 1) for n in (1, 2)] == [int(not limp)] * 2
    assert [servos.servos[n].get(98, 1) for n in (1, 2)] == [0, 0], 'no watchdog trips afterwards'
