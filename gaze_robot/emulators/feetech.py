"""Feetech STS servos on a pseudo-terminal: packets, profiles, errors.

Written from Feetech's protocol manual and the memory table of STS3215.
"""

from collections.abc import Callable, Sequence
import time

from gaze_robot.emulators.motion import Axis
from gaze_robot.emulators.pty import PtyEmulator
from gaze_robot.emulators.servo import Servo

PING, READ, WRITE, SYNC_READ, SYNC_WRITE, BROADCAST = 1, 2, 3, 0x82, 0x83, 254
SIZE, EEPROM_END, LOCK = 71, 40, 55
TORQUE, ACCELERATION, GOAL, SPEED, POSITION, STATUS = 40, 41, 42, 46, 56, 65
OVERHEATING = 4
EEPROM = {0: (1, 3), 3: (2, 777), 9: (2, 0), 11: (2, 4095), 13: (1, 70), 14: (1, 140),
          15: (1, 40), 16: (2, 1000)}
MEMORY = {48: (2, 1000), LOCK: (1, 1), 62: (1, 120), 63: (1, 30)}


def packet(number: int, code: int, parameters: bytes) -> bytes:
    """A packet with its checksum; `code` is an instruction or a status."""
    body = bytes([number, len(parameters) + 2, code]) + parameters
    return b'\xff\xff' + body + bytes([0xFF - sum(body) % 256])


class FeetechEmulator(PtyEmulator):
    """Two servos, or more, by their ids. See `Faults`, `overheat`, `power_cycle`, `unplug`."""

    protocol = 'feetech'

    def __init__(self, ids: Sequence[int] = (1, 2), clock: Callable[[], float] = time.monotonic,
                 start: Sequence[int] = (2048, 2048)) -> None:
        """Make servos at rest, motors off; `start` is where each stands, ticks."""
        super().__init__(clock)
        self.servos = {number: self._new(number, at) for number, at in zip(ids, start)}
        self.goals: list[tuple[int, int, int, int]] = []
        """(id, acceleration, speed, goal position) of every goal taken."""
        self.writes: list[tuple[int, int, int]] = []
        """(id, address, length) of every write taken."""
        self.lost_writes = 0
        """So many broadcast writes to come are not heard."""
        self._buffer = b''

    def overheat(self, number: int) -> None:
        """Let a servo switch itself off and say so until the power is cycled."""
        with self.lock:
            servo = self.servos[number]
            servo.put(63, 1, 75)
            servo.put(STATUS, 1, OVERHEATING)
            servo.put(TORQUE, 1, 0)
            servo.axis.freeze()

    def power_cycle(self) -> None:
        """Switch the power of all servos off and on."""
        with self.lock:
            for servo in self.servos.values():
                servo.table[EEPROM_END:] = bytes(SIZE - EEPROM_END)
                servo.axis.freeze()
                self._start(servo)

    def live(self, dt_s: float) -> None:
        """Follow the goals."""
        for servo in self.servos.values():
            servo.axis.live(dt_s)
            servo.put(POSITION, 2, _sign_bit(servo.axis.position))
            servo.put(58, 2, _sign_bit(servo.axis.velocity))
            servo.put(66, 1, int(servo.axis.velocity != 0))

    def receive(self, data: bytes) -> list[bytes]:
        """Answer every whole packet."""
        self._buffer += data
        answers: list[bytes] = []
        while True:
            start = self._buffer.find(b'\xff\xff')
            if start < 0 or len(self._buffer) < start + 6:
                return answers
            end = start + 4 + self._buffer[start + 3]
            if len(self._buffer) < end:
                return answers
            whole, self._buffer = self._buffer[start:end], self._buffer[end:]
            if 0xFF - sum(whole[2:-1]) % 256 == whole[-1]:      # else: not heard
                answers += self._obey(whole[2], whole[4], whole[5:-1])

    def _obey(self, number: int, instruction: int, rest: bytes) -> list[bytes]:
        if instruction == SYNC_READ:
            return [self._read(self.servos[each], rest[0], rest[1])
                    for each in rest[2:] if each in self.servos]
        if instruction == SYNC_WRITE:
            if self.lost_writes:
                self.lost_writes -= 1
                return []
            for at in range(2, len(rest), rest[1] + 1):
                if rest[at] in self.servos:
                    self._write(self.servos[rest[at]], rest[0], rest[at + 1:at + 1 + rest[1]])
            return []
        if number not in self.servos:
            return []
        servo = self.servos[number]
        if instruction == READ:
            return [self._read(servo, rest[0], rest[1])]
        if instruction == WRITE:
            self._write(servo, rest[0], rest[1:])
        return [packet(number, servo.get(STATUS, 1), b'')]

    def _read(self, servo: Servo, address: int, length: int) -> bytes:
        return packet(servo.number, servo.get(STATUS, 1),
                      bytes(servo.table[address:address + length]))

    def _write(self, servo: Servo, address: int, data: bytes) -> None:
        end = address + len(data)
        if address + len(data) > POSITION or (address < EEPROM_END and servo.get(LOCK, 1)):
            return
        if servo.get(STATUS, 1) and address <= TORQUE < end:
            return
        servo.table[address:end] = data
        self.writes.append((servo.number, address, len(data)))
        if address <= GOAL and end >= SPEED + 2:
            self.goals.append((servo.number, servo.get(ACCELERATION, 1), servo.get(SPEED, 2),
                               _number(servo.get(GOAL, 2))))
        if not servo.get(TORQUE, 1):
            servo.axis.freeze()
            return
        # 0 is 'without limit': an unloaded STS3215.
        servo.axis.speed = servo.get(SPEED, 2) or 3400
        servo.axis.strength = 100 * (servo.get(ACCELERATION, 1) or 1000)
        servo.axis.goal = min(max(float(_number(servo.get(GOAL, 2))), servo.get(9, 2)),
                              servo.get(11, 2) or 30719.0)

    def _new(self, number: int, position: int) -> Servo:
        servo = Servo(number, SIZE, position, Axis(position, -30719, 30719, 1.0, 1.0))
        for address, (length, value) in EEPROM.items():
            servo.put(address, length, value)
        servo.put(5, 1, number)
        self._start(servo)
        return servo

    def _start(self, servo: Servo) -> None:
        for address, (length, value) in MEMORY.items():
            servo.put(address, length, value)
        servo.put(POSITION, 2, _sign_bit(servo.axis.position))
        servo.put(GOAL, 2, _sign_bit(servo.axis.position))


def _sign_bit(value: float) -> int:
    return round(abs(value)) | (0x8000 if value < -0.5 else 0)


def _number(value: int) -> int:
    return -(value & 0x7FFF) if value & 0x8000 else value
