"""Pelco-D: real packets against an emulated head on a pseudo-terminal."""

import math
import time

import pytest

from gaze_robot.drivers.contract import DriverContract
from gaze_robot.drivers.pelco_d import PelcoDDriver
from gaze_robot.emulators.clock import ManualClock
from gaze_robot.emulators.pelco_d import packet, PelcoDEmulator
from gaze_robot.errors import (
    ConfigError,
    DriverConnectionError,
    DriverProtocolError,
    DriverTimeoutError,
)
from gaze_robot.types import PanTiltCommand, PanTiltLimits

pytest.importorskip('serial', reason='the extra hardware')

FULL = (1.4, 0.7)
LIMITS = PanTiltLimits((-1.0, -0.5), (1.0, 0.5), (1.2, 0.6), (8.0, 8.0))


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def wire(clock):
    with PelcoDEmulator(clock=clock, full_speed=FULL) as emulator:
        yield emulator


def driver_of(emulator, **options):
    return PelcoDDriver(emulator.port, **{
        'limits': LIMITS, 'clock': emulator._clock, 'full_speed': FULL, 'position_query': True,
        'timeout_s': 1.0, **options})


def pass_time(head, clock, seconds, step_s=0.02, emulator=None):
    """Time passes in steps; with an emulator, not before it has heard what was said."""
    pose = head.read()
    for _ in range(math.ceil(seconds / step_s)):
        if emulator is not None:
            heard(head, emulator)
        clock.wait(step_s)
        pose = head.read()
    return pose


def heard(head, emulator):
    """Wait until a head that answers nothing has heard all that its one driver said."""
    end_s = time.monotonic() + 10
    while emulator.requests < head._port.sent and time.monotonic() < end_s:
        time.sleep(0.0005)
    assert emulator.requests == head._port.sent


class TestPelcoDDriver(DriverContract):
    heard_by = None
    tolerance_rad = 0.01

    def make_driver(self):
        return driver_of(self.emulator)

    def wait(self, driver, seconds):
        pass_time(driver, self.emulator._clock, seconds, 0.01, self.heard_by)

    @pytest.fixture(autouse=True)
    def use(self, wire):
        self.emulator = wire


class TestOpenLoop(TestPelcoDDriver):
    def make_driver(self):
        self.emulator.answers = False
        driver = driver_of(self.emulator, position_query=False)
        first = driver._open

        def opened():
            self.emulator.requests = 0
            first()
        driver._open = opened
        self.heard_by = self.emulator
        return driver


def test_the_emulators_packets_are_those_of_the_manual():
    """'Pan left at half speed' and a query of the pan position, address 1, added up by hand."""
    assert packet(1, 0x04, 0x20) == bytes.fromhex('FF 01 00 04 20 00 25')
    assert packet(1, 0x51) == bytes.fromhex('FF 01 00 51 00 00 52')


def test_positive_pan_turns_left_and_positive_tilt_down(wire, clock):
    with driver_of(wire) as head:
        head.command(PanTiltCommand(0.5, 0.3))
        clock.wait(0.02)
        head.read()
        heard(head, wire)
        assert wire.told[-1][1] > 0
        assert wire.told[-1][2] > 0
    head = PelcoDEmulator(clock=clock)
    head.receive(packet(1, 0x04 | 0x10, 63, 63))
    assert head.told[-1][1:] == pytest.approx((0.7, 0.35))


def test_where_the_head_looks_is_asked_for_when_connecting(clock):
    with PelcoDEmulator(clock=clock, full_speed=FULL, start=(0.4, -0.2)) as emulator:
        with driver_of(emulator) as head:
            pose = head.read()
            assert (pose.pan_rad, pose.tilt_rad) == pytest.approx((0.4, -0.2), abs=2e-4)
            head.command(PanTiltCommand(-0.4, 0.2))
            pass_time(head, clock, 2.0, emulator=emulator)
        assert (emulator.pan.position, emulator.tilt.position) == pytest.approx(
            (-0.4, 0.2), abs=0.01)


def test_open_loop_arrives_as_well_as_the_full_speed_is_known(clock):
    with PelcoDEmulator(clock=clock, full_speed=FULL, answers=False) as emulator:
        with driver_of(emulator, position_query=False) as head:
            head.command(PanTiltCommand(0.8, 0.4))
            pose = pass_time(head, clock, 2.0, 0.01, emulator)
            assert head.health()['position'] == 'dead reckoning'
        assert pose.pan_rad == pytest.approx(0.8, abs=0.01)
        assert emulator.pan.position == pytest.approx(0.8, abs=0.03)


def test_a_head_that_turned_too_far_is_brought_back(wire, clock):
    with driver_of(wire) as head:
        head.command(PanTiltCommand(0.5, 0.0))
        pass_time(head, clock, 2.0, emulator=wire)
        with wire.lock:
            wire.pan.position = 0.7
        pass_time(head, clock, 2.0, emulator=wire)
        assert wire.pan.position == pytest.approx(0.5, abs=0.01)


def test_nothing_is_sent_twice(wire, clock):
    with driver_of(wire, position_query=False) as head:
        head.command(PanTiltCommand(0.5, 0.0))
        pass_time(head, clock, 3.0, 0.02, wire)
        settled = len(wire.told)
        for _ in range(50):
            head.command(PanTiltCommand(0.5, 0.0))
            clock.wait(0.02)
            head.read()
        heard(head, wire)
        assert settled < 75, 'of 150 readings'
        assert len(wire.told) == settled


@pytest.mark.parametrize('fault, kind', [
    ('drop_byte', (DriverProtocolError, DriverTimeoutError)),
    ('bad_checksum', DriverProtocolError), ('silent', DriverTimeoutError)])
def test_spoilt_answers_are_asked_for_again_and_then_an_error(wire, clock, fault, kind):
    with driver_of(wire) as head:
        head._port.timeout_s = 0.5
        setattr(wire.faults, fault, 1)
        clock.wait(0.1)
        assert head.read().pan_rad == pytest.approx(0.0)
        assert head.bus_errors <= 1
        head._port.timeout_s = 0.1
        setattr(wire.faults, fault, -1)
        with pytest.raises(kind):
            pass_time(head, clock, 0.5)
        setattr(wire.faults, fault, 0)
        head._port.timeout_s = 1.0
        assert head.read().pan_rad == pytest.approx(0.0)


def test_a_head_that_does_not_answer_queries_is_refused_when_they_are_wanted(wire):
    wire.answers = False
    with pytest.raises(DriverTimeoutError), driver_of(wire, timeout_s=0.1):
        pass


def test_a_power_cycle_under_motion_still_arrives(wire, clock):
    with driver_of(wire) as head:
        head.command(PanTiltCommand(0.8, 0.0))
        pass_time(head, clock, 0.3)
        wire.power_cycle()
        pose = pass_time(head, clock, 3.0)
        assert wire.pan.position == pytest.approx(0.8, abs=0.01)
        assert pose.pan_rad == pytest.approx(0.8, abs=0.01)


def test_unplugged_and_plugged_in_again(wire, clock):
    with driver_of(wire) as head:
        wire.unplug()
        with pytest.raises(DriverConnectionError, match='plugged in'):
            pass_time(head, clock, 0.5)
        with pytest.raises(DriverConnectionError, match='next attempt'):
            head.read()
        head.stop()
        wire.plug()
        clock.wait(1.0)
        head.command(PanTiltCommand(0.2, 0.0))
        assert pass_time(head, clock, 2.0).pan_rad == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize('options, says', [
    ({'ids': (0,)}, 'address'), ({'full_speed': (0.0, 1.0)}, 'full_speed'),
    ({'limits': PanTiltLimits(max_velocity=(0.01, 1.0))}, 'limits.pan.max_velocity')])
def test_settings_the_head_cannot_follow_are_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        PelcoDDriver('/dev/ttyUSB0', **{'full_speed': FULL, **options})


def test_a_port_in_use_is_refused_by_name(wire):
    with driver_of(wire), pytest.raises(DriverConnectionError, match='used by another program'):
        driver_of(wire).connect()


def test_a_program_that_does_not_call_finds_the_head_stopped_and_goes_on():
    """Real time."""
    with PelcoDEmulator(full_speed=FULL) as emulator, driver_of(emulator) as head:
        head.command(PanTiltCommand(0.9, 0.0))
        end_s = time.monotonic() + 20
        while emulator.told[-1][1:] != (0.0, 0.0) or len(emulator.told) < 3:
            assert time.monotonic() < end_s
            time.sleep(0.02)
        assert head.left_alone == 1
        assert emulator.pan.position < 0.9
        head.read()
        assert head.health()['left alone'] == 1
        while head.read().pan_rad < 0.8:
            assert time.monotonic() < end_s
            time.sleep(0.01)
