"""What every head behind a wire shares: a link that may break, retries, reopening, refusals."""

from collections.abc import Callable
import contextlib
import time
from types import TracebackType
from typing import TypeVar

from gaze_robot.errors import (
    DriverConnectionError,
    DriverError,
    DriverProtocolError,
    DriverTimeoutError,
)
from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState

Result = TypeVar('Result')
Self = TypeVar('Self', bound='LinkedDriver')

ATTEMPTS = 3
"""An exchange that was garbled or not answered is tried so often."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
"""Between attempts to open a broken link again; doubles from the first to the longest."""


class LinkedDriver:
    """Base of the drivers of real heads; a subclass knows one wire and defines the `_` methods.

    A broken link (`DriverConnectionError`, `OSError`) is closed at once; the next calls try to
    open it again, ever more rarely, and are refused meanwhile. A garbled or missing answer is
    asked for again.
    """

    kind = 'head'
    """Name in messages."""

    streams = False
    """Whether it is sent setpoints at every tick of the head loop, or goals."""

    has_torque = False
    """Whether the motors' power can be switched."""

    def __init__(self, limits: PanTiltLimits | None, clock: Callable[[], float],
                 port: str) -> None:
        self.limits = PanTiltLimits() if limits is None else limits
        self.port = port
        self.bus_errors = self.reopened = 0
        """Answers that were missing or garbled; how often a broken link was opened again."""
        self.torque = False
        """Whether the motors are powered, as last switched or seen."""
        self._clock = clock
        self._connected = self._linked = False
        self._retry_at_s, self._pause_s = 0.0, FIRST_PAUSE_S
        self._broken = ''

    @property
    def label(self) -> str:
        """The head as messages name it."""
        return f'the {self.kind} head on {self.port}'

    def connect(self) -> None:
        """Open the link and read where the head is; moves nothing and powers nothing.

        Raises:
            DriverConnectionError: already connected, or the port cannot be opened.
            DriverError: the head does not answer, or is not what it should be.
            MissingDependencyError: a library of this head is not installed.
        """
        if self._connected:
            raise DriverConnectionError(f'{self.label} is already connected')
        self._open_link()
        self._connected = True

    def read(self) -> PanTiltState:
        """Measured position and speed; see `PanTiltDriver`."""
        self._require_link()
        return self._exchange(self._measure)

    def command(self, goal: PanTiltCommand) -> PanTiltCommand:
        """Send a goal; returns it clipped to the limits. See `PanTiltDriver`."""
        self._require_link()
        sent = self.limits.clip(goal)
        if self.has_torque and not self.torque:
            raise DriverError(f'the motors of {self.label} are not powered; switch torque on '
                              'first')
        self._exchange(lambda: self._send(sent))
        return sent

    def stop(self) -> None:
        """Hold still as fast as the limits allow. Never raises."""
        if self._connected and self._linked:
            with contextlib.suppress(DriverError):      # counted and kept by _exchange
                self._exchange(self._halt)

    def set_torque(self, on: bool) -> None:
        """Power the motors or let them go limp; see `PanTiltDriver`."""
        self._require_link()
        if self.has_torque:
            self._exchange(lambda: self._switch(on))
            self.torque = on

    def health(self) -> dict[str, float | str]:
        """Counters, and what the head itself reports. Never raises."""
        values: dict[str, float | str] = {
            'link': 'up' if self._linked else self._broken or 'closed',
            'bus errors, retried': self.bus_errors, 'link reopened': self.reopened}
        if self.has_torque:
            values['motors'] = 'powered' if self.torque else 'not powered'
        if self._linked:
            try:
                values |= self._exchange(self._vitals)
            except DriverError as error:
                values['not readable'] = str(error)
        return values

    def disconnect(self) -> None:
        """Stop, release the link. Idempotent."""
        if self._connected:
            self.stop()
            if self._linked:
                with contextlib.suppress(DriverError):
                    self._exchange(self._part)
            self._connected = False
            self._release()

    def __enter__(self: Self) -> Self:
        """Connect."""
        self.connect()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """Disconnect."""
        self.disconnect()

    # What a subclass defines. All may raise DriverError or OSError.

    def _open(self) -> None:
        """Open the port, check what is there, bring the head to rest where it is."""
        raise NotImplementedError

    def _close(self) -> None:
        """Release the port, which may be gone already. Must not raise DriverError."""
        raise NotImplementedError

    def _measure(self) -> PanTiltState:
        """One reading."""
        raise NotImplementedError

    def _send(self, goal: PanTiltCommand) -> None:
        """Send a goal inside the limits."""
        raise NotImplementedError

    def _halt(self) -> None:
        """Bring the head to rest."""
        raise NotImplementedError

    def _failed(self) -> None:
        """Do what is safe when answers stay away: a head that turns until told otherwise stops."""

    def _part(self) -> None:
        """Say goodbye in order, while the link still works."""

    def _switch(self, on: bool) -> None:
        """Switch the motors' power; only where `has_torque`."""

    def _vitals(self) -> dict[str, float | str]:
        """What the head reports about itself."""
        return {}

    # The link.

    def _open_link(self) -> None:
        try:
            self._open()
        except DriverError as error:
            self._drop(error)
            raise
        except OSError as error:
            self._drop(error)
            raise DriverConnectionError(f'{self.label}: {error}') from error
        except BaseException:
            self._release()
            raise
        self._linked, self._broken, self._pause_s = True, '', FIRST_PAUSE_S

    def _require_link(self) -> None:
        if not self._connected:
            raise DriverConnectionError(f'{self.label} is not connected; call connect() first')
        if self._linked:
            return
        wait_s = self._retry_at_s - self._clock()
        if 0.0 < wait_s <= LONGEST_PAUSE_S:
            raise DriverConnectionError(f'{self._broken}; next attempt in {wait_s:.1f} s')
        self._open_link()
        self.reopened += 1

    def _exchange(self, action: Callable[[], Result]) -> Result:
        """Do something over the wire, again where it was garbled; drop a link that broke."""
        failure: DriverError
        for _ in range(ATTEMPTS):
            try:
                return action()
            except (DriverTimeoutError, DriverProtocolError) as error:
                self.bus_errors += 1
                failure = error
            except DriverConnectionError as error:
                self._drop(error)
                raise
            except OSError as error:
                self._drop(error)
                raise DriverConnectionError(self._broken) from error
        with contextlib.suppress(OSError):              # what broke is told below
            self._failed()
        raise failure

    def _drop(self, error: Exception) -> None:
        self._broken = (str(error) if isinstance(error, DriverError) else
                        f'the link to {self.label} broke ({error}); is it plugged in?')
        self._release()
        self._retry_at_s = self._clock() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _release(self) -> None:
        self._linked = False
        with contextlib.suppress(OSError):              # a port that is gone is closed
            self._close()


monotonic = time.monotonic
"""The clock drivers take when none is given."""
