"""Between a head's angles and its driver: mount, soft zero, setpoints, faults. No ROS."""

from collections.abc import Callable
from dataclasses import replace
import math
from typing import TypeVar

from gaze_robot.control.setpoints import Setpoints
from gaze_robot.drivers.base import PanTiltDriver
from gaze_robot.errors import DriverError
from gaze_robot.nodes._mount import Mount
from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState

Angles = TypeVar('Angles', PanTiltCommand, PanTiltState)

CENTRE = PanTiltCommand(0.0, 0.0)

FOLLOWS_WITHIN_S = 0.25
"""A head further behind its setpoints than it moves in this time at its fastest is blocked."""


class Drive:
    """A driver in soft-zeroed joint angles, which fails once and then stays at fault.

    A driver with an attribute `streams` that is true is sent a setpoint at every tick, each within
    the limits of speed, acceleration and jerk from the last; any other the goals themselves.
    """

    def __init__(self, driver: PanTiltDriver, limits: PanTiltLimits, mount: Mount,
                 clock: Callable[[], float]) -> None:
        """Take a driver that is not connected.

        Args:
            driver: for limits in motor angles.
            limits: of the joints; they count from the mechanical zero.
            mount: between the two.
            clock: of the setpoints, seconds that never run backwards.
        """
        self.limits, self._driver, self._mount, self._clock = limits, driver, mount, clock
        self.fault = ''
        """Why the driver failed; '' while it works."""
        self.errors = self.stalls = 0
        """Failures of the driver; how often the head was blocked."""
        self.zero = CENTRE
        """What the joints read at the soft zero."""
        self.pose = PanTiltState(0.0, 0.0)
        """Where the head was when last read, soft-zeroed."""
        self._setpoints: Setpoints | None = None

    def connect(self) -> None:
        """Open the link. Raises DriverError if that is not possible."""
        self._driver.connect()

    def reopen(self) -> None:
        """Close and open the link, and forget the fault. Raises DriverError as `connect`."""
        self._driver.disconnect()
        self._driver.connect()
        self.fault = ''

    def close(self, limp: bool = False) -> None:
        """Stop, take the motors' power if they are to go limp, release the link. Never raises."""
        self.hold()
        if limp:
            self.power(False)
        self._driver.disconnect()

    def health(self) -> dict[str, str]:
        """What the driver has to say, as text."""
        return {name: str(value) for name, value in self._driver.health().items()}

    def power(self, on: bool) -> None:
        """Switch the motors' power; a failure is a fault."""
        if self.fault:
            return
        try:
            self._driver.set_torque(on)
        except DriverError as error:
            self._fail(error)

    def read(self) -> PanTiltState:
        """Where the head is; where it was when last read, if that is not possible any more."""
        try:
            pose = self._mount.to_joint(self._driver.read())
            if not all(math.isfinite(value) for value in (pose.pan_rad, pose.tilt_rad,
                                                          pose.pan_rad_s, pose.tilt_rad_s)):
                raise DriverError(f'the head says it is at {pose}, which is no place; check its '
                                  'encoders and cables')
            self.pose = replace(pose, pan_rad=pose.pan_rad - self.zero.pan_rad,
                                tilt_rad=pose.tilt_rad - self.zero.tilt_rad)
        except DriverError as error:
            self._fail(error)
        return self.pose

    def clip(self, goal: PanTiltCommand) -> tuple[PanTiltCommand, bool]:
        """(goal inside the limits, whether it was outside)."""
        absolute = self._absolute(goal)
        clipped = self.limits.clip(absolute)
        hit = (clipped.pan_rad, clipped.tilt_rad) != (absolute.pan_rad, absolute.tilt_rad)
        return replace(clipped, pan_rad=clipped.pan_rad - self.zero.pan_rad,
                       tilt_rad=clipped.tilt_rad - self.zero.tilt_rad), hit

    def aim(self, goal: PanTiltCommand) -> None:
        """Head for a goal: at once, or with the next `stream`."""
        goal = self.limits.clip(self._absolute(goal))
        if not getattr(self._driver, 'streams', False):
            self._command(goal)
            return
        now_s = self._clock()
        if self._setpoints is None:
            self._setpoints = Setpoints(self.limits, self._absolute(self.pose), now_s)
        self._setpoints.aim(goal, now_s)

    def stream(self) -> None:
        """Send the setpoint of this moment, if there is one, and let go if the head is blocked."""
        if self._setpoints is None:
            return
        wanted, pose = self._setpoints.at(self._clock()), self._absolute(self.pose)
        behind = (abs(wanted.pan_rad - pose.pan_rad), abs(wanted.tilt_rad - pose.tilt_rad))
        if any(lag > FOLLOWS_WITHIN_S * fastest
               for lag, fastest in zip(behind, self.limits.max_velocity)):
            self.stalls += 1
            self.hold()
        else:
            self._command(self.limits.clip(wanted))

    def hold(self) -> None:
        """Stop and forget the goal. Never raises."""
        self._setpoints = None
        self._driver.stop()

    def _absolute(self, angles: Angles) -> Angles:
        """Soft-zeroed angles as the limits count them."""
        return replace(angles, pan_rad=angles.pan_rad + self.zero.pan_rad,
                       tilt_rad=angles.tilt_rad + self.zero.tilt_rad)

    def _command(self, goal: PanTiltCommand) -> None:
        if self.fault:
            return
        try:
            self._driver.command(self._mount.to_motor(goal))
        except DriverError as error:
            self._fail(error)

    def _fail(self, error: DriverError) -> None:
        self.errors += 1
        self.fault = str(error)
        self.hold()
