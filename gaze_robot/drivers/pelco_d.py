"""Pelco-D heads over RS-485 or RS-232: speeds out, positions back where the head tells them.

The protocol knows no acceleration, no acknowledgement and no time-out: **a head whose program dies
keeps turning**; set the head's own limit stops. The loop runs in `read` and `command`: call one of
them 20 times a second or more while the head moves.

Source: Pelco, 'D Protocol Manual', rev 5.2.
"""

from collections.abc import Callable, Sequence
import math

import numpy as np

from gaze_robot.drivers._linked import LinkedDriver, monotonic
from gaze_robot.drivers._rates import RateLoop
from gaze_robot.drivers._serial import SerialPort
from gaze_robot.drivers._speeds import capped
from gaze_robot.errors import ConfigError, DriverConnectionError, DriverProtocolError
from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState

RIGHT, LEFT, UP, DOWN = 0x02, 0x04, 0x08, 0x10
QUERIES = ((0x51, 0x59), (0x53, 0x5B))
"""Ask for, answer with: pan, tilt; hundredths of a degree."""
FASTEST = 63
REPEAT_S = 0.5


class PelcoDDriver(LinkedDriver):
    """A Pelco-D head, with positions asked for or, open loop, by dead reckoning.

    Open loop, the head is taken to look straight ahead when connected, and the estimate drifts as
    far as `full_speed` is wrong.
    """

    kind = 'Pelco-D'

    def __init__(self, port: str, ids: Sequence[int] = (1,), baud_rate: int = 0,
                 limits: PanTiltLimits | None = None,
                 clock: Callable[[], float] = monotonic,
                 full_speed: tuple[float, float] = (0.7, 0.35), position_query: bool = False,
                 timeout_s: float = 0.1) -> None:
        """Describe a head; nothing is opened yet.

        Args:
            port: serial device.
            ids: the first is the head's address, 1 to 255.
            baud_rate: as set at the head; 0: 9600.
            limits: of position, speed and acceleration.
            clock: seconds; moves the loop and dates the readings.
            full_speed: of pan and tilt at speed 63, rad/s: measure it.
            position_query: whether the head answers the queries 0x51 and 0x53.
            timeout_s: how long an answer may take.

        Raises:
            ConfigError: address out of range, or limits slower than the slowest speed.
        """
        super().__init__(capped(limits, full_speed, 1 / FASTEST), clock, port)
        if not ids or not 1 <= ids[0] <= 255:
            raise ConfigError(f'the address of a Pelco-D head, the first of ids, is 1 to 255, '
                              f'got {list(ids)}')
        self._address = int(ids[0])
        self._baud_rate = baud_rate or 9600
        self._full = np.array(full_speed)
        self._query, self._timeout_s = position_query, timeout_s
        quantum = self._full / FASTEST
        self._loop = RateLoop(self.limits, (float(quantum[0]), float(quantum[1])))
        # An exchange is 14 bytes of 10 bits: the line is kept free for commands half the time.
        self._query_every_s = max(0.05, 2 * 140 / self._baud_rate)
        self._queried_s, self._axis = -math.inf, 0
        self._told_s = -math.inf
        self._port: SerialPort | None = None

    def _open(self) -> None:
        self._port = SerialPort(self.port, self._baud_rate, self._timeout_s)
        self._halt()
        for axis in (0, 1) if self._query else ():
            self._loop.correct(axis, self._ask_position(axis))

    def _close(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            port.close()

    def _measure(self) -> PanTiltState:
        now_s = self._clock()
        if self._query and not 0.0 <= now_s - self._queried_s < self._query_every_s:
            axis = 1 - self._axis
            position = self._ask_position(axis)
            self._queried_s, self._axis = now_s, axis
            self._loop.pose(now_s)
            self._loop.correct(axis, position)
        self._drive(now_s)
        return self._loop.pose(now_s)

    def _send(self, goal: PanTiltCommand) -> None:
        now_s = self._clock()
        self._loop.aim(goal, now_s)
        self._drive(now_s)

    def _halt(self) -> None:
        self._write(0, 0, 0)
        self._loop.halt(self._clock())

    def _failed(self) -> None:
        self._halt()

    def _vitals(self) -> dict[str, float | str]:
        return {'position': 'asked for' if self._query else 'dead reckoning'}

    def _drive(self, now_s: float) -> None:
        """Tell the head its speed where it changes, and again now and then while it turns."""
        speed = self._loop.plan(now_s)
        again = speed.any() and not 0.0 <= now_s - self._told_s < REPEAT_S
        if again or not np.array_equal(speed, self._loop.told):
            self._told_s = now_s
            pan, tilt = (int(round(value)) for value in speed / self._full * FASTEST)
            self._write((LEFT if pan > 0 else RIGHT if pan else 0)
                        | (DOWN if tilt > 0 else UP if tilt else 0), abs(pan), abs(tilt))
        self._loop.tell(speed, now_s)

    def _ask_position(self, axis: int) -> float:
        """Measured angle, rad; pan counts clockwise from 0 to 360 degrees, tilt downwards."""
        ask, reply = QUERIES[axis]
        self._write(ask, 0, 0)
        packet = self._wire().read(7)
        if (packet[0] != 0xFF or packet[1] != self._address or packet[3] != reply
                or sum(packet[1:6]) % 256 != packet[6]):
            self._wire().wait_for_silence()
            raise DriverProtocolError(f'the answer of {self.label} was garbled: '
                                      f'{packet.hex(" ")}')
        angle = math.radians(0.01 * (256 * packet[4] + packet[5]))
        angle = math.remainder(angle, 2 * math.pi)
        return -angle if axis == 0 else angle

    def _write(self, command: int, first: int, second: int) -> None:
        body = bytes([self._address, 0, command, first, second])
        self._wire().write(b'\xff' + body + bytes([sum(body) % 256]))

    def _wire(self) -> SerialPort:
        if self._port is None:
            raise DriverConnectionError(f'{self.label} is not connected')
        return self._port
