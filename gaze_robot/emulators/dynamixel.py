"""Dynamixel X-series servos on a pseudo-terminal: protocol 2.0, profiles, bus watchdog, errors.

Written from Robotis' e-Manual (protocol 2.0; control table of XL430-W250), not from the SDK.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
import time

from gaze_robot.emulators.motion import Axis
from gaze_robot.emulators.pty import PtyEmulator
from gaze_robot.emulators.servo import Servo

HEADER, BROADCAST = b'\xff\xff\xfd\x00', 254
PING, READ, WRITE, REBOOT, STATUS, SYNC_READ, SYNC_WRITE = 1, 2, 3, 8, 0x55, 0x82, 0x83
FAILED, INSTRUCTION, BAD_CRC, RANGE, LENGTH, LIMIT, ACCESS, ALERT = 1, 2, 3, 4, 5, 6, 7, 0x80
OVERHEATING = 4

SIZE = 147
EEPROM_END, FIRST_GOAL, READ_ONLY = 64, 100, (120, SIZE)
TORQUE, HARDWARE_ERROR, WATCHDOG, GOAL, TRIPPED = 64, 70, 98, 116, 255
EEPROM = {0: (2, 1060), 6: (1, 45), 9: (1, 250), 11: (1, 3), 31: (1, 72), 32: (2, 140),
          34: (2, 60), 44: (4, 1023), 48: (4, 4095), 52: (4, 0), 63: (1, 52)}
MEMORY = {68: (1, 2), 144: (2, 120), 146: (1, 31)}
TICKS_S, TICKS_S2 = 0.229 * 4096 / 60, 214.577 * 4096 / 3600
"""One step of profile velocity and acceleration, in ticks per second (squared)."""


def _crc_of_byte(byte: int) -> int:
    crc = byte << 8
    for _ in range(8):
        crc = (crc << 1 ^ 0x8005 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


_CRC = [_crc_of_byte(byte) for byte in range(256)]


def crc16(data: bytes) -> int:
    """CRC-16 with polynomial 0x8005, start 0, not reflected (e-Manual, 'CRC calculation')."""
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ _CRC[crc >> 8 ^ byte]
    return crc


def packet(number: int, instruction: int, parameters: bytes) -> bytes:
    """A packet with its stuffing and checksum."""
    body = bytes([instruction]) + parameters
    body = body.replace(b'\xff\xff\xfd', b'\xff\xff\xfd\xfd')
    whole = HEADER + bytes([number]) + (len(body) + 2).to_bytes(2, 'little') + body
    return whole + crc16(whole).to_bytes(2, 'little')


class DynamixelEmulator(PtyEmulator):
    """Two servos, or more, by their ids. See `Faults`, `overheat`, `power_cycle`, `unplug`."""

    protocol = 'dynamixel'

    def __init__(self, ids: Sequence[int] = (1, 2), clock: Callable[[], float] = time.monotonic,
                 start: Sequence[int] = (2048, 2048), dead_time_s: float = 0.0) -> None:
        """Make servos at rest, motors off.

        Args:
            ids: of the servos.
            clock: seconds.
            start: where each stands, ticks.
            dead_time_s: from taking a goal until the motor begins to follow it.
        """
        super().__init__(clock)
        self.servos = {number: self._new(number, at) for number, at in zip(ids, start)}
        self.goals: list[tuple[int, int, int, int]] = []
        """(id, profile acceleration, profile velocity, goal position) of every goal taken."""
        self.writes: list[tuple[int, int, int]] = []
        """(id, address, length) of every write taken."""
        self._buffer = b''
        self._silent_s = 0.0
        self._dead_time_s, self._age_s = dead_time_s, 0.0
        self._waiting: deque[tuple[float, Servo, float, float, float]] = deque()

    def overheat(self, number: int) -> None:
        """Let a servo switch itself off, as it does when hot; only a power cycle helps."""
        with self.lock:
            servo = self.servos[number]
            servo.put(146, 1, 80)
            servo.put(HARDWARE_ERROR, 1, OVERHEATING)
            servo.put(TORQUE, 1, 0)
            servo.axis.freeze()

    def power_cycle(self) -> None:
        """Switch the power of all servos off and on: what is not EEPROM is as delivered."""
        with self.lock:
            for servo in self.servos.values():
                servo.table[EEPROM_END:] = bytes(SIZE - EEPROM_END)
                servo.axis.freeze()
                self._start(servo)

    def live(self, dt_s: float) -> None:
        """Follow the goals; stop where the bus was silent for too long."""
        end_s = self._age_s + dt_s
        while self._waiting and self._waiting[0][0] <= end_s:
            due_s, servo, *motion = self._waiting.popleft()
            self._live(max(due_s - self._age_s, 0.0))
            if servo.get(TORQUE, 1) and servo.get(WATCHDOG, 1) != TRIPPED:
                servo.axis.speed, servo.axis.strength, servo.axis.goal = motion
        self._live(max(end_s - self._age_s, 0.0))

    def _live(self, dt_s: float) -> None:
        self._age_s += dt_s
        for servo in self.servos.values():
            watchdog_s = 0.02 * servo.get(WATCHDOG, 1)
            if servo.get(TORQUE, 1) and 0 < watchdog_s < 0.02 * TRIPPED:
                left_s = watchdog_s - self._silent_s
                if dt_s >= left_s:
                    servo.axis.live(max(left_s, 0.0))
                    servo.axis.freeze()
                    servo.put(WATCHDOG, 1, TRIPPED)
            servo.axis.live(dt_s)
            servo.put(128, 4, round(servo.axis.velocity / TICKS_S))
            servo.put(132, 4, round(servo.axis.position))
            servo.put(122, 1, int(abs(servo.axis.velocity) > 0))
        self._silent_s += dt_s

    def receive(self, data: bytes) -> list[bytes]:
        """Answer every whole packet."""
        self._buffer += data
        answers: list[bytes] = []
        for whole in self._packets():
            number, body = whole[4], whole[7:-2].replace(b'\xff\xff\xfd\xfd', b'\xff\xff\xfd')
            if crc16(whole[:-2]) != int.from_bytes(whole[-2:], 'little'):
                if number in self.servos:
                    answers.append(self._status(self.servos[number], BAD_CRC))
                continue
            self._silent_s = 0.0
            answers += self._obey(number, body[0], body[1:])
        return answers

    def _packets(self) -> Iterator[bytes]:
        while True:
            start = self._buffer.find(HEADER)
            self._buffer = self._buffer[start:] if start >= 0 else self._buffer[-3:]
            length = 7 + int.from_bytes(self._buffer[5:7], 'little')
            if start < 0 or len(self._buffer) < 10 or len(self._buffer) < length:
                return
            whole, self._buffer = self._buffer[:length], self._buffer[length:]
            yield whole

    def _obey(self, number: int, instruction: int, rest: bytes) -> list[bytes]:
        address, length = int.from_bytes(rest[:2], 'little'), int.from_bytes(rest[2:4], 'little')
        if instruction == SYNC_READ:
            return [self._read(self.servos[each], address, length)
                    for each in rest[4:] if each in self.servos]
        if instruction == SYNC_WRITE:
            for at in range(4, len(rest) - length, length + 1):
                if rest[at] in self.servos:
                    self._write(self.servos[rest[at]], address, rest[at + 1:at + 1 + length])
            return []
        answers = []
        for servo in self.servos.values():
            if number not in (servo.number, BROADCAST):
                continue
            if instruction == PING:
                answers.append(self._status(servo, 0, bytes(servo.table[:2] + servo.table[6:7])))
            elif instruction == READ:
                answers.append(self._read(servo, address, length))
            elif instruction == WRITE:
                answers.append(self._status(servo, self._write(servo, address, rest[2:])))
            elif instruction == REBOOT:
                answers.append(self._status(servo, 0))
                servo.table[EEPROM_END:] = bytes(SIZE - EEPROM_END)
                servo.axis.freeze()
                self._start(servo)
            else:
                answers.append(self._status(servo, INSTRUCTION))
        return answers if number != BROADCAST or instruction == PING else []

    def _read(self, servo: Servo, address: int, length: int) -> bytes:
        if address + length > SIZE:
            return self._status(servo, ACCESS)
        return self._status(servo, 0, bytes(servo.table[address:address + length]))

    def _write(self, servo: Servo, address: int, data: bytes) -> int:
        """Write as a servo does, and return the error it answers."""
        end = address + len(data)
        if not data or end > SIZE or end > READ_ONLY[0]:
            return ACCESS
        if address < EEPROM_END and servo.get(TORQUE, 1):
            return ACCESS
        if end > FIRST_GOAL and servo.get(WATCHDOG, 1) == TRIPPED:
            return RANGE
        if address <= TORQUE < end and data[TORQUE - address] and servo.get(HARDWARE_ERROR, 1):
            return FAILED
        wanted = servo.table[:address] + data + servo.table[end:]
        goal = int.from_bytes(wanted[GOAL:GOAL + 4], 'little', signed=True)
        if wanted[11] == 3 and end > GOAL and not servo.get(52, 4) <= goal <= servo.get(48, 4):
            return LIMIT
        if int.from_bytes(wanted[112:116], 'little') > servo.get(44, 4):
            return LIMIT
        servo.table[address:end] = data
        self.writes.append((servo.number, address, len(data)))
        if end > GOAL:
            self.goals.append((servo.number, servo.get(108, 4), servo.get(112, 4),
                               servo.get(GOAL, 4, signed=True)))
        self._follow(servo)
        return 0

    def _follow(self, servo: Servo) -> None:
        """Make the joint do what the registers say."""
        if not servo.get(TORQUE, 1):
            servo.axis.freeze()
            return
        # 0 is 'without limit': as fast and as hard as an unloaded XL430.
        speed = (servo.get(112, 4) or 266) * TICKS_S
        strength = (servo.get(108, 4) or 2000) * TICKS_S2
        goal = float(servo.get(GOAL, 4, signed=True))
        if servo.get(WATCHDOG, 1) == TRIPPED:
            return
        if self._dead_time_s:
            self._waiting.append((self._age_s + self._dead_time_s, servo, speed, strength, goal))
        else:
            servo.axis.speed, servo.axis.strength, servo.axis.goal = speed, strength, goal

    def _status(self, servo: Servo, error: int, data: bytes = b'') -> bytes:
        alert = ALERT if servo.get(HARDWARE_ERROR, 1) else 0
        return packet(servo.number, STATUS, bytes([error | alert]) + data)

    def _new(self, number: int, position: int) -> Servo:
        servo = Servo(number, SIZE, position, Axis(position, -1e7, 1e7, 1.0, 1.0))
        for address, (length, value) in EEPROM.items():
            servo.put(address, length, value)
        servo.put(7, 1, number)
        self._start(servo)
        return servo

    def _start(self, servo: Servo) -> None:
        for address, (length, value) in MEMORY.items():
            servo.put(address, length, value)
        servo.put(132, 4, round(servo.axis.position))
        servo.put(GOAL, 4, round(servo.axis.position))
