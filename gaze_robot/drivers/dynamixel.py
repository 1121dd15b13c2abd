"""Two Dynamixel servos (X series, MX 2.0) on one bus, protocol 2.0, by Robotis' own SDK.

Every goal carries its speed and acceleration limit in one packet for both servos, so that a servo
which lost its settings (power cycle) never moves without them. EEPROM is written only while
connecting, only where it differs, and only with the motors off: operating mode and return delay.
"""

from collections.abc import Callable, Sequence
import contextlib
import math
from typing import Any

from gaze_robot.drivers._dynamixel_table import (
    EXTENDED_POSITION_MODE,
    HARDWARE_ERRORS,
    POSITION_MODE,
    Register,
    SCALE,
    TIME_BASED_PROFILE,
)
from gaze_robot.drivers._linked import LinkedDriver, monotonic
from gaze_robot.drivers._serial import SerialPort
from gaze_robot.drivers._servos import AXES, check_ids, signed, stopping_point, within
from gaze_robot.errors import (
    ConfigError,
    DriverError,
    DriverProtocolError,
    DriverTimeoutError,
)
from gaze_robot.optional import require
from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState

WATCHDOG_UNIT_MS = 20
TRIPPED = 255
STATUS_EVERY_S = 0.25
"""How often torque and watchdog are looked at between readings."""


class DynamixelDriver(LinkedDriver):
    """A pan and a tilt servo. Motor angle 0 is the middle of the servo's turn, 2048 ticks."""

    kind, has_torque, streams = 'Dynamixel', True, True

    def __init__(self, port: str, ids: Sequence[int] = (1, 2), baud_rate: int = 0,
                 limits: PanTiltLimits | None = None,
                 clock: Callable[[], float] = monotonic, bus_watchdog_ms: int = 200,
                 extended_position: bool = False, timeout_s: float = 0.02) -> None:
        """Describe a head; nothing is opened yet.

        Args:
            port: serial device.
            ids: of the pan and the tilt servo.
            baud_rate: as set in the servos; 0: 1 Mbit/s.
            limits: in motor angles; narrowed by the servos' own position and speed limits.
            clock: seconds; dates the readings.
            bus_watchdog_ms: without a packet for this long a servo stops; 0: never. In steps of
                20 ms.
            extended_position: several turns instead of one.
            timeout_s: how long an answer may take.

        Raises:
            ConfigError: ids or watchdog out of range, limits too small for the servo's units.
        """
        super().__init__(limits, clock, port)
        self._wanted_limits = self.limits
        self.ids = check_ids(ids, 252)
        self._baud_rate = baud_rate or 1_000_000
        if not 0 <= bus_watchdog_ms <= 127 * WATCHDOG_UNIT_MS:
            raise ConfigError(f'bus_watchdog_ms is 0 to {127 * WATCHDOG_UNIT_MS}, got '
                              f'{bus_watchdog_ms}')
        self._watchdog = math.ceil(bus_watchdog_ms / WATCHDOG_UNIT_MS)
        self._mode = EXTENDED_POSITION_MODE if extended_position else POSITION_MODE
        self._timeout_s = timeout_s
        self._profiles = SCALE.profiles(self.limits)
        self.watchdog_stops = 0
        """How often a servo's watchdog stopped it because this program was silent."""
        self._status_at_s = 0.0
        self._port: SerialPort | None = None
        self._sdk: Any = None
        self._bus: Any = None
        self._groups: dict[tuple[int, int], Any] = {}

    # Link.

    def _open(self) -> None:
        self._sdk = require('dynamixel_sdk')
        self._bus = self._sdk.PacketHandler(2.0)
        self._port = SerialPort(self.port, self._baud_rate, self._timeout_s)
        self._groups = {}
        with contextlib.suppress(DriverTimeoutError, DriverProtocolError):
            self._prepare()
            return
        self._prepare()         # the first bytes of a port just opened may be garbled

    def _prepare(self) -> None:
        for number in self.ids:
            model = self._get(number, Register.MODEL)
            if not (1000 <= model < 1500 or model in (30, 311, 321)):
                raise DriverError(f'{self._servo(number)} is model {model}, whose registers this '
                                  'driver does not know; it takes the X series and MX (2.0)')
            self._refuse_error(number, self._get(number, Register.HARDWARE_ERROR))
            if self._get(number, Register.STATUS_LEVEL) != 2:
                raise DriverError(f'{self._servo(number)} does not answer to everything; set its '
                                  'Status Return Level (68) to 2 with Dynamixel Wizard')
            if self._get(number, Register.DRIVE_MODE) & TIME_BASED_PROFILE:
                raise DriverError(f'{self._servo(number)} has time-based profiles; clear bit 2 of '
                                  'its Drive Mode (10) with Dynamixel Wizard')
            for register, wanted in ((Register.OPERATING_MODE, self._mode),
                                     (Register.RETURN_DELAY, 0)):
                if self._get(number, register) != wanted:
                    self._put(number, Register.TORQUE, 0)
                    self._put(number, register, wanted)
        low = [self._get(number, Register.MIN_POSITION) for number in self.ids]
        high = [self._get(number, Register.MAX_POSITION) for number in self.ids]
        if self._mode == EXTENDED_POSITION_MODE:        # the servos ignore theirs then
            low, high = [-1_048_575 + SCALE.centre] * 2, [1_048_575] * 2
        fastest = [self._get(number, Register.VELOCITY_LIMIT) for number in self.ids]
        self.limits = within(self._wanted_limits, SCALE, low, high, fastest, self.label)
        self._profiles = SCALE.profiles(self.limits)
        self.torque = all(self._get(number, Register.TORQUE) for number in self.ids)
        for number in self.ids:
            if self._get(number, Register.BUS_WATCHDOG):
                self._put(number, Register.BUS_WATCHDOG, 0)
        self._hold()
        self._arm()

    def _arm(self) -> None:
        for number in self.ids if self._watchdog else ():
            self._put(number, Register.BUS_WATCHDOG, self._watchdog)

    def _part(self) -> None:
        for number in self.ids if self._watchdog else ():
            self._put(number, Register.BUS_WATCHDOG, 0)

    def _close(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            port.close()

    # What a LinkedDriver does.

    def _measure(self) -> PanTiltState:
        before_s = self._clock()
        rows = self._sync_read(Register.VELOCITY, 8)
        now_s = 0.5 * (before_s + self._clock())
        pan, tilt = (SCALE.angle(signed(row[4:8])) for row in rows)
        pan_s, tilt_s = (SCALE.velocity * signed(row[:4]) for row in rows)
        if not 0.0 <= now_s - self._status_at_s < STATUS_EVERY_S:
            self._check_status()
            self._status_at_s = now_s
        return PanTiltState(pan, tilt, pan_s, tilt_s, now_s)

    def _send(self, goal: PanTiltCommand) -> None:
        self._write_goals(stopping_point(goal, self.limits))

    def _halt(self) -> None:
        if self.torque:
            self._write_goals(stopping_point(self._measure(), self.limits))

    def _switch(self, on: bool) -> None:
        if on:
            self._hold()
        for number in self.ids:
            self._put(number, Register.TORQUE, int(on))

    def _vitals(self) -> dict[str, float | str]:
        values: dict[str, float | str] = {'watchdog stops': self.watchdog_stops}
        if self._port is not None and self._port.latency_ms is not None:
            values['USB latency ms'] = self._port.latency_ms
        for axis, row in zip(AXES, self._sync_read(Register.VOLTAGE, 3)):
            values[f'{axis} voltage V'] = round(0.1 * int.from_bytes(row[:2], 'little'), 1)
            values[f'{axis} temperature C'] = float(row[2])
        return values

    def _check_status(self) -> None:
        """Notice lost power and a watchdog that stopped a servo."""
        rows = self._sync_read(Register.TORQUE, 35)             # torque to bus watchdog, 64 to 98
        if self.torque and not all(row[0] for row in rows):
            self.torque = False
            raise DriverError(f'a motor of {self.label} lost its torque; was its power off? '
                              'Switch torque on again')
        if any(row[-1] == TRIPPED for row in rows):
            self.watchdog_stops += 1
            for number in self.ids:
                self._put(number, Register.BUS_WATCHDOG, 0)
            self._hold()
            self._arm()
        elif self._watchdog and any(row[-1] == 0 for row in rows):      # it was power-cycled
            self._arm()

    def _hold(self) -> None:
        """Make the place where the servos are their goal, with the profiles of the limits."""
        pose = [SCALE.angle(signed(row)) for row in self._sync_read(Register.POSITION, 4)]
        goals = self._write_goals((pose[0], pose[1]))
        found = [signed(row) for row in self._sync_read(Register.GOAL_POSITION, 4)]
        if found != goals:
            raise DriverProtocolError(f'{self.label} did not take the place where it is as its '
                                      f'goal: ticks {goals} were sent, {found} came back')

    def _write_goals(self, goals: tuple[float, float]) -> list[int]:
        """Profile and goal of both servos in one packet; nobody answers to it. Ticks sent."""
        group = self._group(Register.PROFILE_ACCELERATION, 12, 'GroupSyncWrite')
        group.clearParam()
        ticks = [SCALE.ticks(goals[axis], self.limits.min_position[axis],
                             self.limits.max_position[axis]) for axis in (0, 1)]
        for number, goal, (velocity, acceleration) in zip(self.ids, ticks, self._profiles):
            group.addParam(number, list(b''.join(
                value.to_bytes(4, 'little', signed=True)
                for value in (acceleration, velocity, goal))))
        self._check(group.txPacket(), self.ids[0])
        return ticks

    # Packets.

    def _group(self, register: Register, length: int, kind: str) -> Any:
        key = (register.value[0], length)
        if key not in self._groups:
            self._groups[key] = getattr(self._sdk, kind)(self._port, self._bus, *key)
            if kind == 'GroupSyncRead':
                for number in self.ids:
                    self._groups[key].addParam(number)
        return self._groups[key]

    def _sync_read(self, first: Register, length: int) -> list[bytes]:
        """`length` bytes from one register on, of both servos."""
        self._check(self._group(first, length, 'GroupSyncRead').txPacket(), self.ids[0])
        # Not the group's rxPacket: it drops the error byte, which tells of overheating.
        return [self._answer(number, length) for number in self.ids]

    def _get(self, number: int, register: Register) -> int:
        address, length = register.value
        self._check(self._bus.readTx(self._port, number, address, length), number)
        data = self._answer(number, length, alert=False)    # what is wrong is read on its own
        return signed(data) if length == 4 else int.from_bytes(data, 'little')

    def _put(self, number: int, register: Register, value: int) -> None:
        address, length = register.value
        self._check(self._bus.writeTxOnly(self._port, number, address, length,
                                          list(value.to_bytes(length, 'little'))), number)
        if self._port is not None:
            self._port.setPacketTimeout(11)
        self._answer(number, 0)

    def _answer(self, number: int, length: int, alert: bool = True) -> bytes:
        """Parameters of the answer to what was just asked; late answers to others are passed over.

        Not the SDK's readRx: it takes an answer of any length, and its checksum for data.
        """
        while True:
            packet, result = self._bus.rxPacket(self._port, False)
            self._check(result, number)
            if packet[4] == number and packet[5] + 256 * packet[6] == length + 4:
                break
        if packet[8] & 0x80 and alert:
            self._refuse_error(number, self._get(number, Register.HARDWARE_ERROR))
        if packet[8] & 0x7F:
            raise DriverError(f'{self._servo(number)} refused: '
                              f'{self._bus.getRxPacketError(packet[8] & 0x7F)}')
        return bytes(packet[9:9 + length])

    def _check(self, result: int, number: int) -> None:
        if result == self._sdk.COMM_RX_TIMEOUT:
            raise DriverTimeoutError(self._servo(number), self._timeout_s)
        if result != self._sdk.COMM_SUCCESS:
            raise DriverProtocolError(f'{self._servo(number)}: {self._bus.getTxRxResult(result)}')

    def _refuse_error(self, number: int, bits: int) -> None:
        names = [name for bit, name in HARDWARE_ERRORS.items() if bits >> bit & 1]
        if names:
            raise DriverError(f'{self._servo(number)} switched itself off: {", ".join(names)}; '
                              'see to the cause, then switch its power off and on')

    def _servo(self, number: int) -> str:
        return f'the {AXES[self.ids.index(number)]} servo (id {number}) on {self.port}'
