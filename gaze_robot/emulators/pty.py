"""A device at the other end of a pseudo-terminal: opened by its path like a USB adapter."""

from collections.abc import Callable
import contextlib
import os
from pathlib import Path
import select
import tempfile
import threading
import time
from types import TracebackType
from typing import TypeVar

from gaze_robot.emulators.faults import Faults

Self = TypeVar('Self', bound='PtyEmulator')


class PtyEmulator:
    """A thread that reads requests, lets time pass and answers; Linux and macOS.

    `port` is the path to open. A subclass says what `receive` answers and how the device lives.
    """

    protocol = 'device'

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.faults = Faults()
        self.lock = threading.RLock()
        """Held while the device lives; take it to look inside."""
        self.requests = 0
        """Bytes received so far."""
        self._clock = clock
        self._lived_s = clock()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._thread: threading.Thread | None = None
        self._master = self._slave = -1
        self._stopping = threading.Event()

    @property
    def port(self) -> str:
        """What to give to a driver as its port; the same after unplugging and plugging in."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix='gaze_robot_')
        return str(Path(self._folder.name) / self.protocol)

    def plug(self) -> None:
        """Make the port appear and answer on it."""
        self._master, self._slave = os.openpty()
        self._make_raw()
        os.set_blocking(self._master, False)
        os.symlink(os.ttyname(self._slave), self.port)
        self._stopping.clear()
        self._thread = threading.Thread(target=self._serve, daemon=True,
                                        name=f'{self.protocol} emulator')
        self._thread.start()

    def unplug(self) -> None:
        """Take the adapter out: the port is gone, who has it open gets errors."""
        if self._thread is None:
            return
        self._stopping.set()
        self._thread.join()
        self._thread = None
        os.unlink(self.port)
        os.close(self._slave)
        os.close(self._master)

    def __enter__(self: Self) -> Self:
        """Plug in."""
        self.plug()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """Unplug and remove the port's folder."""
        self.unplug()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def receive(self, data: bytes) -> list[bytes]:
        """Take bytes as they came; returns the packets to answer with."""
        raise NotImplementedError

    def live(self, dt_s: float) -> None:
        """Let time pass in the device."""
        raise NotImplementedError

    def catch_up(self) -> None:
        """Live until now; call it with `lock` held before looking inside."""
        now_s = self._clock()
        self.live(max(now_s - self._lived_s, 0.0))
        self._lived_s = now_s

    def _make_raw(self) -> None:
        import termios  # not there on Windows, where the package must still import
        import tty
        tty.setraw(self._slave, termios.TCSANOW)

    def _serve(self) -> None:
        while not self._stopping.is_set():
            ready, _, _ = select.select([self._master], [], [], 0.02)
            with self.lock:
                self.catch_up()
            if not ready:
                continue
            data = os.read(self._master, 4096)
            with self.lock:
                self.catch_up()
                self.requests += len(data)
                answers = [self.faults.spoil(answer) for answer in self.receive(data)]
            with contextlib.suppress(BlockingIOError):      # nobody reads: a full line loses bytes
                for answer in filter(None, answers):
                    os.write(self._master, answer)
