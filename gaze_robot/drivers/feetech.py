"""Two Feetech STS or SMS servos on one bus, by packets of our own over pyserial.

EEPROM is read and never written. A broadcast write is answered by nobody, so every goal is read
back. These servos have no bus watchdog: when this program dies, they finish the last move and
hold. Their gears have about 1 degree of play, which no register shows. SCS servos are refused:
they have no register for acceleration.
"""

from collections.abc import Callable, Sequence
import math

from gaze_robot.drivers._linked import LinkedDriver, monotonic
from gaze_robot.drivers._serial import SerialPort
from gaze_robot.drivers._servos import AXES, check_ids, Scale, stopping_point, within
from gaze_robot.errors import DriverConnectionError, DriverError, DriverProtocolError
from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState

# Instructions and registers: Feetech, 'STS/SMS series memory table' and 'SCS protocol manual'.
READ, WRITE, SYNC_READ, SYNC_WRITE, BROADCAST = 2, 3, 0x82, 0x83, 0xFE
ENDIANNESS, MIN_ANGLE, MAX_ANGLE, MODE = (2, 1), (9, 2), (11, 2), (33, 1)
TORQUE, ACCELERATION = 40, 41
BLOCK = 26
"""Bytes from TORQUE on that one reading takes: torque, goal, pose, voltage, temperature."""

STEP = 2 * math.pi / 4096
SCALE = Scale(position=STEP, centre=2048, velocity=STEP, acceleration=100 * STEP,
              most_velocity=32767, most_acceleration=254)
ERRORS = {0: 'input voltage', 1: 'angle sensor', 2: 'overheating', 3: 'too much current',
          5: 'overload'}


class FeetechDriver(LinkedDriver):
    """A pan and a tilt servo. Motor angle 0 is the middle of the servo's turn, 2048 ticks."""

    kind, has_torque, streams = 'Feetech', True, True

    def __init__(self, port: str, ids: Sequence[int] = (1, 2), baud_rate: int = 0,
                 limits: PanTiltLimits | None = None,
                 clock: Callable[[], float] = monotonic, timeout_s: float = 0.02) -> None:
        """Describe a head; nothing is opened yet.

        Args:
            port: serial device.
            ids: of the pan and the tilt servo.
            baud_rate: as set in the servos; 0: 1 Mbit/s.
            limits: in motor angles; narrowed by the servos' own angle limits.
            clock: seconds; dates the readings.
            timeout_s: how long an answer may take.

        Raises:
            ConfigError: ids out of range, limits too small for the servos' units.
        """
        super().__init__(limits, clock, port)
        self._wanted_limits = self.limits
        self.ids = check_ids(ids, 253)
        self._baud_rate = baud_rate or 1_000_000
        self._timeout_s = timeout_s
        self._profiles = SCALE.profiles(self.limits)
        self._port: SerialPort | None = None
        self._vital: dict[str, float | str] = {}

    def _open(self) -> None:
        self._port = SerialPort(self.port, self._baud_rate, self._timeout_s)
        for number in self.ids:
            if self._get(number, ENDIANNESS):
                raise DriverError(f'{self._servo(number)} is of the SCS series, whose '
                                  'acceleration cannot be limited; this driver takes STS and SMS')
            if self._get(number, MODE):
                raise DriverError(f'{self._servo(number)} is not in position mode; set its Mode '
                                  "(33) to 0 with the vendor's debugging tool")
        low = [self._get(number, MIN_ANGLE) for number in self.ids]
        high = [self._get(number, MAX_ANGLE) for number in self.ids]
        if high == [0, 0]:                      # the vendor's mark for several turns
            low, high = [-30719] * 2, [30719] * 2
        self.limits = within(self._wanted_limits, SCALE, low, high, None, self.label)
        self._profiles = SCALE.profiles(self.limits)
        self.torque = all(block[0] == 1 for block in self._blocks())
        if self.torque:
            self._hold()

    def _close(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            port.close()

    def _measure(self) -> PanTiltState:
        before_s = self._clock()
        blocks = self._blocks()
        now_s = 0.5 * (before_s + self._clock())
        for axis, block in zip(AXES, blocks):
            self._vital[f'{axis} voltage V'] = round(0.1 * block[22], 1)
            self._vital[f'{axis} temperature C'] = float(block[23])
        if self.torque and not all(block[0] for block in blocks):
            self.torque = False
            raise DriverError(f'a motor of {self.label} lost its torque; was its power off? '
                              'Switch torque on again')
        pan, tilt = (SCALE.angle(_signed(block, 16)) for block in blocks)
        pan_s, tilt_s = (SCALE.velocity * _signed(block, 18) for block in blocks)
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
            self._ask(number, WRITE, bytes([TORQUE, int(on)]))
            self._answer(number, 0)

    def _vitals(self) -> dict[str, float | str]:
        self._measure()
        return dict(self._vital)

    def _hold(self) -> None:
        pose = [SCALE.angle(_signed(block, 16)) for block in self._blocks()]
        self._write_goals((pose[0], pose[1]))

    def _write_goals(self, goals: tuple[float, float]) -> None:
        """Acceleration, goal and speed of both servos in one packet, then what they took.

        Raises:
            DriverProtocolError: they hold something else.
        """
        rows = []
        for axis, (velocity, acceleration) in enumerate(self._profiles):
            ticks = SCALE.ticks(goals[axis], self.limits.min_position[axis],
                                self.limits.max_position[axis])
            goal = abs(ticks) | (0x8000 if ticks < 0 else 0)
            rows.append(bytes([acceleration]) + goal.to_bytes(2, 'little') + bytes(2)
                        + velocity.to_bytes(2, 'little'))
        body = b''.join(bytes([number]) + row for number, row in zip(self.ids, rows))
        self._ask(BROADCAST, SYNC_WRITE, bytes([ACCELERATION, 7]) + body)
        for number, row, found in zip(self.ids, rows, self._sync_read(ACCELERATION, 7)):
            if found != row:
                raise DriverProtocolError(f'{self._servo(number)} did not take its goal: '
                                          f'{row.hex(" ")} was sent, {found.hex(" ")} came back')

    def _blocks(self) -> list[bytes]:
        return self._sync_read(TORQUE, BLOCK)

    def _sync_read(self, address: int, length: int) -> list[bytes]:
        self._ask(BROADCAST, SYNC_READ, bytes([address, length, *self.ids]))
        return [self._answer(number, length) for number in self.ids]

    def _get(self, number: int, register: tuple[int, int]) -> int:
        self._ask(number, READ, bytes(register))
        return int.from_bytes(self._answer(number, register[1]), 'little')

    def _ask(self, number: int, instruction: int, parameters: bytes) -> None:
        body = bytes([number, len(parameters) + 2, instruction]) + parameters
        self._wire().write(b'\xff\xff' + body + bytes([~sum(body) & 0xFF]))

    def _answer(self, number: int, length: int) -> bytes:
        """Parameters of an answer.

        Raises:
            DriverTimeoutError: none came.
            DriverProtocolError: it is garbled, or somebody else's.
            DriverError: the servo reports that something is wrong with it.
        """
        packet = self._wire().read(length + 6)
        body = packet[2:-1]
        if (packet[:2] != b'\xff\xff' or packet[2] != number or packet[3] != length + 2
                or ~sum(body) & 0xFF != packet[-1]):
            self._wire().wait_for_silence()
            raise DriverProtocolError(f'the answer of {self._servo(number)} was garbled: '
                                      f'{packet.hex(" ")}')
        names = [name for bit, name in ERRORS.items() if packet[4] >> bit & 1]
        if names:
            raise DriverError(f'{self._servo(number)} reports: {", ".join(names)}; see to the '
                              'cause, then switch its power off and on')
        return packet[5:-1]

    def _wire(self) -> SerialPort:
        if self._port is None:
            raise DriverConnectionError(f'{self.label} is not connected')
        return self._port

    def _servo(self, number: int) -> str:
        return f'the {AXES[self.ids.index(number)]} servo (id {number}) on {self.port}'


def _signed(block: bytes, at: int) -> int:
    """Two bytes, the highest bit the sign."""
    value = int.from_bytes(block[at:at + 2], 'little')
    return -(value & 0x7FFF) if value & 0x8000 else value
