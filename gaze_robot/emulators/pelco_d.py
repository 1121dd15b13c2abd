"""A Pelco-D head on a pseudo-terminal: turns at the speed it was last told, until told otherwise.

Written from Pelco's 'D Protocol Manual', rev 5.2.
"""

from collections.abc import Callable
import math
import time

from gaze_robot.emulators.motion import Axis
from gaze_robot.emulators.pty import PtyEmulator

STRENGTH = 50.0
"""How hard the emulated motors change speed, rad/s^2."""


def packet(address: int, command: int, first: int = 0, second: int = 0) -> bytes:
    """Seven bytes with their checksum."""
    total = address + command + first + second
    return bytes([0xFF, address, 0, command, first, second, total & 0xFF])


class PelcoDEmulator(PtyEmulator):
    """One head. Pan is positive to the left and tilt downwards, rad, as everywhere here."""

    protocol = 'pelco_d'

    def __init__(self, address: int = 1, clock: Callable[[], float] = time.monotonic,
                 full_speed: tuple[float, float] = (0.7, 0.35), answers: bool = True,
                 start: tuple[float, float] = (0.0, 0.0)) -> None:
        """Make a head at rest.

        Args:
            address: 1 to 255.
            clock: seconds.
            full_speed: of pan and tilt at speed 63, rad/s.
            answers: whether it tells its position.
            start: where it looks, rad.
        """
        super().__init__(clock)
        self.address, self.full_speed, self.answers = address, full_speed, answers
        self.pan = Axis(start[0], -math.pi, math.pi, full_speed[0], STRENGTH)
        self.tilt = Axis(start[1], -math.pi / 2, math.pi / 2, full_speed[1], STRENGTH)
        self.told: list[tuple[float, float, float]] = []
        """(seconds, pan, tilt) of every speed it was told, rad/s."""
        self.ignored = 0
        """Packets with a wrong checksum or address."""
        self._buffer = b''

    def power_cycle(self) -> None:
        """Switch it off and on: it stands still."""
        with self.lock:
            self.pan.freeze()
            self.tilt.freeze()

    def live(self, dt_s: float) -> None:
        """Turn."""
        self.pan.live(dt_s)
        self.tilt.live(dt_s)

    def receive(self, data: bytes) -> list[bytes]:
        """Obey every whole packet."""
        self._buffer += data
        answers = []
        while (start := self._buffer.find(b'\xff')) >= 0 and len(self._buffer) >= start + 7:
            whole, self._buffer = self._buffer[start:start + 7], self._buffer[start + 7:]
            if whole[1] != self.address or sum(whole[1:6]) & 0xFF != whole[6]:
                self.ignored += 1
            else:
                answers += self._obey(whole[3], whole[4], whole[5])
        return answers

    def _obey(self, command: int, first: int, second: int) -> list[bytes]:
        if command in (0x51, 0x53):
            angle = -self.pan.position if command == 0x51 else self.tilt.position
            hundredths = round(math.degrees(angle) * 100) % 36000
            answer = packet(self.address, command + 8, *divmod(hundredths, 256))
            return [answer] if self.answers else []
        if command & 1:                 # an extended command that this head does not know
            return []
        pan = (command >> 2 & 1) - (command >> 1 & 1)
        tilt = (command >> 4 & 1) - (command >> 3 & 1)
        self.pan.wanted = pan * min(first, 63) / 63 * self.full_speed[0]
        self.tilt.wanted = tilt * min(second, 63) / 63 * self.full_speed[1]
        self.told.append((self._lived_s, self.pan.wanted, self.tilt.wanted))
        return []
