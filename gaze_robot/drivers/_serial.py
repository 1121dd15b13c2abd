"""A serial port that one process owns: opened with a clear refusal, read with a deadline."""

import contextlib
import errno
from pathlib import Path
import termios
import time
from typing import Any

from gaze_robot.errors import ConfigError, DriverConnectionError, DriverTimeoutError
from gaze_robot.optional import require

POLL_S = 0.002
"""The longest one read of the port blocks."""


class SerialPort:
    """8 data bits, no parity, 1 stop bit.

    It also has the methods that the packet handlers of Robotis' dynamixel_sdk call on their own
    port class (clearPort, readPort, ...), which neither locks the port nor waits without burning a
    core.
    """

    def __init__(self, port: str, baud_rate: int, timeout_s: float) -> None:
        """Open a port for this process alone.

        Args:
            port: device, e.g. /dev/ttyUSB0.
            baud_rate: bits per second.
            timeout_s: how long an answer may take, beside the time its bytes need.

        Raises:
            ConfigError: no port named.
            DriverConnectionError: not there, not permitted, or used by another program.
            MissingDependencyError: no pyserial.
        """
        if not port:
            raise ConfigError('name the port of the head: parameter port, e.g. /dev/ttyUSB0')
        serial: Any = require('serial')
        try:
            self._serial = serial.Serial(port, baud_rate, timeout=POLL_S, write_timeout=1.0,
                                         exclusive=True)
        except (OSError, ValueError) as error:
            raise DriverConnectionError(_why_not(port, error)) from error
        self.name, self.timeout_s = port, timeout_s
        self.sent = 0
        """Bytes written since it was opened, but for those of dynamixel_sdk."""
        self._byte_s = 10.0 / baud_rate
        self._deadline_s = 0.0
        self.latency_ms = _shorten_latency(self._serial, port)
        """What the USB adapter waits before it passes bytes on; None where it is not known."""
        self.is_using = False

    def write(self, data: bytes) -> None:
        """Send bytes; what arrived unasked before is forgotten. Raises OSError when unplugged."""
        self.clearPort()
        self._serial.write(data)
        self.sent += len(data)

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes.

        Raises:
            DriverTimeoutError: they did not come in time.
            OSError: unplugged.
        """
        data = b''
        self.setPacketTimeout(count)
        while len(data) < count:
            data += bytes(self.readPort(count - len(data)))
            if len(data) < count and self.isPacketTimeout():
                raise DriverTimeoutError(self.name, self.timeout_s)
        return data

    def wait_for_silence(self) -> None:
        """After a garbled answer: let what else is on its way arrive, and forget it.

        Raises:
            OSError: unplugged.
        """
        self.setPacketTimeout(0)
        while not self.isPacketTimeout():
            if self.readPort(256):
                self.setPacketTimeout(0)

    def close(self) -> None:
        """Give the port back; it may be gone already."""
        with contextlib.suppress(OSError, termios.error):
            self._serial.close()

    # The names that dynamixel_sdk's packet handlers call.

    def clearPort(self) -> None:
        """Forget what arrived."""
        try:
            self._serial.reset_input_buffer()
        except termios.error as error:
            raise OSError(*error.args) from error

    def writePort(self, packet: list[int]) -> int:
        """Send a packet; returns the number of bytes sent."""
        return int(self._serial.write(bytes(packet)))

    def readPort(self, length: int) -> bytes:
        """Up to `length` bytes, waiting `POLL_S` at most."""
        return bytes(self._serial.read(length))

    def setPacketTimeout(self, packet_length: int) -> None:
        """Start to wait for so many bytes."""
        self._deadline_s = time.monotonic() + self.timeout_s + packet_length * self._byte_s

    def isPacketTimeout(self) -> bool:
        """Whether the bytes are overdue."""
        return time.monotonic() > self._deadline_s


def _why_not(port: str, error: Exception) -> str:
    number = getattr(error, 'errno', None)
    text = str(error)
    if number == errno.ENOENT or 'No such file' in text:
        return f'there is no port {port}; is the adapter plugged in? (ls -l /dev/serial/by-id)'
    if number in (errno.EACCES, errno.EPERM):
        return (f'no permission for the port {port}: sudo usermod -aG dialout $USER, then log in '
                'again')
    if 'exclusively lock' in text or number in (errno.EBUSY, errno.EAGAIN):
        return f'the port {port} is used by another program (sudo fuser -v {port} names it)'
    return f'cannot open the port {port}: {" ".join(text.split())}'


def _shorten_latency(serial: Any, port: str) -> float | None:
    """Ask an FTDI adapter to pass bytes on after 1 ms instead of 16; returns what holds, ms."""
    with contextlib.suppress(OSError, ValueError, AttributeError, NotImplementedError):
        serial.set_low_latency_mode(True)
    name = Path(port).resolve().name
    setting = Path('/sys/bus/usb-serial/devices') / name / 'latency_timer'
    with contextlib.suppress(OSError):
        setting.write_text('1')
    try:
        return float(setting.read_text())
    except (OSError, ValueError):
        return None
