"""Feetech: packets over pyserial against emulated servos on a pseudo-terminal."""

import math

import pytest

from gaze_robot.drivers.contract import DriverContract
from gaze_robot.drivers.feetech import FeetechDriver
from gaze_robot.emulators.clock import ManualClock
from gaze_robot.emulators.feetech import FeetechEmulator, packet
from gaze_robot.errors import (
    ConfigError,
    DriverConnectionError,
    DriverError,
    DriverProtocolError,
    DriverTimeoutError,
)
from gaze_robot.types import PanTiltCommand, PanTiltLimits

pytest.importorskip('serial', reason='the extra hardware')

LIMITS = PanTiltLimits((-1.0, -0.5), (1.0, 0.5), (2.0, 1.5), (20.0, 15.0))
TICK = 2 * math.pi / 4096


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def servos(clock):
    with FeetechEmulator(clock=clock) as emulator:
        yield emulator


def driver_of(emulator, **options):
    return FeetechDriver(emulator.port, **{
        'limits': LIMITS, 'clock': emulator._clock, 'timeout_s': 1.0, **options})


@pytest.fixture
def head(servos):
    with driver_of(servos) as driver:
        driver.set_torque(True)
        yield driver


class TestFeetechDriver(DriverContract):
    tolerance_rad = 1.01 * TICK

    def make_driver(self):
        return driver_of(self.emulator)

    def wait(self, driver, seconds):
        self.emulator._clock.wait(seconds)

    @pytest.fixture(autouse=True)
    def wire(self, servos):
        self.emulator = servos


def test_the_emulators_packets_are_those_of_the_manual():
    """Its examples: ping of servo 1; write 2048 at speed 1000 as the goal of servo 1."""
    assert packet(1, 1, b'') == bytes.fromhex('FF FF 01 02 01 FB')
    assert packet(1, 3, bytes.fromhex('2A 00 08 00 00 E8 03')) == bytes.fromhex(
        'FF FF 01 09 03 2A 00 08 00 00 E8 03 D5')


def test_goals_and_limits_on_the_wire(head, servos, clock):
    head.command(PanTiltCommand(math.pi / 4, -math.pi / 8))
    # 20 rad/s^2 and 2 rad/s in steps of 100 ticks/s^2 and 1 tick/s, rounded down.
    assert servos.goals[-2:] == [(1, 130, 1303, 2560), (2, 97, 977, 1792)]
    clock.wait(2.0)
    assert head.read().pan_rad == pytest.approx(math.pi / 4)


def test_a_broadcast_write_that_is_not_heard_is_sent_again(head, servos, clock):
    servos.lost_writes = 1
    head.command(PanTiltCommand(0.5, 0.0))
    assert head.bus_errors == 1
    clock.wait(2.0)
    assert head.read().pan_rad == pytest.approx(0.5, abs=TICK)
    servos.lost_writes = 99
    with pytest.raises(DriverProtocolError, match='did not take its goal'):
        head.command(PanTiltCommand(-0.5, 0.0))


def test_eeprom_is_never_written(servos, clock):
    for _ in range(2):
        with driver_of(servos) as head:
            head.set_torque(True)
            head.command(PanTiltCommand(0.3, 0.1))
            clock.wait(0.5)
            head.read()
            head.set_torque(False)
    assert min(address for _, address, _ in servos.writes) >= 40
    assert 55 not in {address + i for _, address, n in servos.writes for i in range(n)}


@pytest.mark.parametrize('address, says', [(2, 'SCS series'), (33, 'position mode')])
def test_servos_that_do_not_fit_are_refused(servos, address, says):
    servos.servos[2].put(address, 1, 1)
    with pytest.raises(DriverError, match=f'tilt servo.*{says}'), driver_of(servos):
        pass


def test_limits_in_the_servos_registers_narrow_ours(servos):
    servos.servos[1].put(9, 2, 2048 - 512)
    with driver_of(servos) as head:
        assert head.limits.min_position[0] == pytest.approx(-math.pi / 4)
    servos.servos[1].put(9, 2, 4000)
    with pytest.raises(ConfigError, match='nothing in common'), driver_of(servos):
        pass


def test_nothing_is_powered_and_no_old_goal_followed(servos, clock):
    servos.servos[1].put(42, 2, 3000)
    with driver_of(servos) as head:
        with pytest.raises(DriverError, match='switch torque on'):
            head.command(PanTiltCommand(0.5, 0.0))
        assert servos.servos[1].get(40, 1) == 0
        head.set_torque(True)
        clock.wait(1.0)
        assert head.read().pan_rad == 0.0


@pytest.mark.parametrize('fault', ['drop_byte', 'bad_checksum', 'silent'])
def test_one_spoilt_answer_is_asked_for_again(head, servos, fault):
    head._port.timeout_s = 0.5
    setattr(servos.faults, fault, 1)
    assert head.read().pan_rad == 0.0
    assert head.bus_errors == 1


@pytest.mark.parametrize('fault, kind', [
    ('drop_byte', (DriverProtocolError, DriverTimeoutError)),
    ('bad_checksum', DriverProtocolError), ('silent', DriverTimeoutError)])
def test_an_answer_that_stays_away_is_an_error_and_its_return_recovers(head, servos, fault, kind):
    head._port.timeout_s = 0.1
    setattr(servos.faults, fault, -1)
    with pytest.raises(kind):
        head.read()
    setattr(servos.faults, fault, 0)
    head._port.timeout_s = 1.0
    assert head.read().pan_rad == 0.0


def test_overheating_is_named_and_needs_a_power_cycle(head, servos, clock):
    servos.overheat(1)
    with pytest.raises(DriverError, match=r'pan servo \(id 1\).*overheating'):
        head.read()
    head.disconnect()
    with pytest.raises(DriverError, match='overheating'):
        head.connect()
    servos.power_cycle()
    head.connect()
    head.set_torque(True)
    head.command(PanTiltCommand(0.1, 0.0))
    clock.wait(1.0)
    assert head.read().pan_rad == pytest.approx(0.1, abs=TICK)


def test_a_power_cycle_is_noticed(head, servos, clock):
    head.command(PanTiltCommand(1.0, 0.0))
    clock.wait(0.1)
    head.read()
    servos.power_cycle()
    with pytest.raises(DriverError, match='lost its torque'):
        head.read()
    with pytest.raises(DriverError, match='switch torque on'):
        head.command(PanTiltCommand(-1.0, 0.0))
    head.set_torque(True)
    head.command(PanTiltCommand(-1.0, 0.0))
    clock.wait(3.0)
    assert head.read().pan_rad == pytest.approx(-1.0, abs=TICK)


def test_unplugged_and_plugged_in_again(head, servos, clock):
    servos.unplug()
    with pytest.raises(DriverConnectionError, match='plugged in'):
        head.command(PanTiltCommand(0.1, 0.0))
    with pytest.raises(DriverConnectionError, match='next attempt'):
        head.read()
    servos.plug()
    clock.wait(1.0)
    head.command(PanTiltCommand(0.1, 0.0))
    clock.wait(1.0)
    assert head.read().pan_rad == pytest.approx(0.1, abs=TICK)


def test_health_shows_temperature_and_voltage(head, servos):
    servos.servos[2].put(63, 1, 55)
    values = head.health()
    assert (values['tilt temperature C'], values['pan voltage V']) == (55.0, 12.0)
