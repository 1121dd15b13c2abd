"""What every head must do, whatever its wire."""

from types import TracebackType
from typing import Protocol, runtime_checkable, TypeVar

from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState

Self = TypeVar('Self', bound='PanTiltDriver')


@runtime_checkable
class PanTiltDriver(Protocol):
    """A head that can be pointed. Angles follow `gaze_robot.geometry`; calls block < 20 ms."""

    limits: PanTiltLimits

    def connect(self) -> None:
        """Open the link. Raises DriverConnectionError; calling twice is an error."""

    def read(self) -> PanTiltState:
        """Measured position and speed, with the time they were measured.

        Raises:
            DriverConnectionError: not connected.
        """

    def command(self, goal: PanTiltCommand) -> PanTiltCommand:
        """Send a goal; returns what was sent after clipping to `limits`.

        Raises:
            DriverConnectionError: not connected.
            DriverError: the head refused.
        """

    def stop(self) -> None:
        """Hold still as fast as is safe. Never raises; works from any state."""

    def set_torque(self, on: bool) -> None:
        """Power the motors, or let them go limp.

        Connecting leaves them as they are, and `command` is refused with DriverError until they
        are powered. A head without such a switch is always ready and ignores this.

        Raises:
            DriverConnectionError: not connected.
            DriverError: the head refused.
        """

    def health(self) -> dict[str, float | str]:
        """What a person should see in the diagnostics: temperature, voltage, counts of bus errors.

        Never raises; may be empty.
        """

    def disconnect(self) -> None:
        """Stop, release the link. Idempotent; motors keep the power they have."""

    def __enter__(self: Self) -> Self:
        """Connect."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """Disconnect, also after an error."""
