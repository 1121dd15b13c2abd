"""The safety authority over one head: no ROS, a clock handed in, a driver underneath.

Whatever arrives, the head leaves here with a finite goal inside its limits or does not move.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gaze_robot.config import PanTiltConfig
from gaze_robot.drivers.base import PanTiltDriver
from gaze_robot.errors import CommandError, DriverError
from gaze_robot.nodes._trajectory import goal_at, least_time_s, Point
from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState

CENTRE = PanTiltCommand(0.0, 0.0)

LONGEST_S = 10.0
"""No trajectory may end later than this from now: its sender may have died meanwhile."""

PROMPT_S = 0.3
"""A single goal due this soon after the least time for its move means: as fast as you can."""


@dataclass(frozen=True)
class Mount:
    """How the motors sit in the head: motor angle = offset + direction * joint angle."""

    direction: tuple[int, int] = (1, 1)
    offset: tuple[float, float] = (0.0, 0.0)

    def to_motor(self, goal: PanTiltCommand) -> PanTiltCommand:
        """A goal in joint angles as the driver takes it."""
        (pan, tilt), (pan_zero, tilt_zero) = self.direction, self.offset
        return PanTiltCommand(pan_zero + pan * goal.pan_rad, tilt_zero + tilt * goal.tilt_rad,
                              pan * goal.pan_rad_s, tilt * goal.tilt_rad_s)

    def to_joint(self, pose: PanTiltState) -> PanTiltState:
        """A driver's reading in joint angles."""
        (pan, tilt), (pan_zero, tilt_zero) = self.direction, self.offset
        return PanTiltState(pan * (pose.pan_rad - pan_zero), tilt * (pose.tilt_rad - tilt_zero),
                            pan * pose.pan_rad_s, tilt * pose.tilt_rad_s, pose.stamp_s)

    def limits(self, joint: PanTiltLimits) -> PanTiltLimits:
        """Joint limits as limits of the motors."""
        ends = np.array([joint.min_position, joint.max_position]) * self.direction + self.offset
        low, high = ends.min(axis=0), ends.max(axis=0)
        return replace(joint, min_position=(float(low[0]), float(low[1])),
                       max_position=(float(high[0]), float(high[1])))


class RefusedError(CommandError):
    """A sound command that the head must not follow now."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Head:
    """Takes trajectories and requests, moves the driver, and counts what it refused and why."""

    def __init__(self, make_driver: Callable[[PanTiltLimits], PanTiltDriver],
                 config: PanTiltConfig, clock: Callable[[], float]) -> None:
        """Build and connect the driver.

        Args:
            make_driver: the driver for limits in motor angles, not yet connected.
            config: limits, mount, timeouts.
            clock: seconds that never jump nor pause; the clock of `accept`'s stamps.

        Raises:
            DriverError: the link to the head cannot be opened.
        """
        self._clock = clock
        self.limits = config.limits
        self.command_timeout_s = config.command_timeout
        self._mount = Mount(config.direction, config.offset)
        self._zero = CENTRE
        self._driver = make_driver(self._mount.limits(config.limits))
        self.stopped = False
        """Run-stopped: refuses every command until released."""
        self.enabled = config.enabled_at_start
        """The torque switch, a gate for commands and no more: while off, all are refused."""
        self.fault = ''
        """Why the driver failed; '' while it works."""
        self.refused: Counter[str] = Counter()
        self.accepted = self.limit_hits = self.timeouts = self.driver_errors = 0
        self._points: list[Point] = []
        self._start_s = self._expires_s = 0.0
        self._last_command_s: float | None = None
        self.pose = PanTiltState(0.0, 0.0)
        """Where the head was when last read, joint angles."""
        self._driver.connect()
        self.pose = self._read()
        self._check_driver()

    def accept(self, points: Sequence[Point], stamp_s: float | None = None) -> None:
        """Follow a trajectory from now on; an empty one means hold.

        Args:
            points: in order of time; the head moves evenly from where it is to the first and on.
                A single point due about as soon as the head can be there is not paced but gone to
                as fast as the limits allow, and the time-out runs from now.
            stamp_s: when it starts; None: now.

        Raises:
            RefusedError: stale, too long, stopped, torque off, or at fault.
        """
        now_s = self._clock()
        self._check_ready()
        start_s = now_s if stamp_s is None else stamp_s
        end_s = start_s + (points[-1][0] if points else 0.0)
        if end_s < now_s - self.command_timeout_s:
            raise RefusedError('stale', f'the trajectory ended {now_s - end_s:.2f} s ago; give it '
                               'stamp 0 (now), or set the clocks of both machines alike')
        if start_s > now_s + 5.0:
            raise RefusedError('stale', f'the trajectory starts {start_s - now_s:.1f} s from now; '
                               'give it stamp 0 (now), or set the clocks of both machines alike')
        if end_s > now_s + LONGEST_S:
            raise RefusedError('too long', f'the trajectory ends {end_s - now_s:.1f} s from now; '
                               f'{LONGEST_S:g} s is the most, send the rest later')
        if points:
            self.pose = self._read()
            self._check_ready()
        self.accepted += 1
        self._last_command_s = now_s
        if not points:
            self._hold()
            return
        kept = [(at, self._clip(goal)) for at, goal in points]
        if len(kept) == 1 and start_s <= now_s and self._is_prompt(kept[0][1], end_s - now_s):
            kept, end_s = [(0.0, kept[0][1])], start_s
        if kept[0][0] > 0:
            kept.insert(0, (0.0, PanTiltCommand(self.pose.pan_rad, self.pose.tilt_rad)))
        self._points, self._start_s = kept, start_s
        self._expires_s = max(end_s, now_s) + self.command_timeout_s
        self._send(goal_at(self._points, now_s - start_s))

    def tick(self) -> PanTiltState:
        """Move on and read: call this at the rate of the joint states."""
        if self.fault:
            return self.pose
        now_s = self._clock()
        if self._points and now_s > self._expires_s:
            self.timeouts += 1
            self._hold()
        elif len(self._points) > 1:
            self._send(goal_at(self._points, now_s - self._start_s))
        self.pose = self._read()
        return self.pose

    def run_stop(self, engage: bool) -> None:
        """Stop and refuse every command until released."""
        self.stopped = engage
        self._hold()

    def enable(self, on: bool) -> None:
        """Obey commands, or hold still and refuse them; the motors' current is left as it is."""
        self.enabled = on
        self._hold()

    def stop(self) -> None:
        """Hold still now; the next command moves the head again."""
        self._hold()

    def home(self) -> None:
        """Look straight ahead.

        Raises:
            RefusedError: the head may not move.
            DriverError: it could not be told to.
        """
        self._check_ready()
        self._points, self._expires_s = [(0.0, CENTRE)], float('inf')
        self._send(CENTRE)
        self._check_driver()

    def reset(self) -> None:
        """Forget counters and a fault, open the link again, undo `set_zero`; a run-stop stays.

        Raises:
            DriverError: the link to the head cannot be opened, or the head not be read.
        """
        self._hold()
        self.refused.clear()
        self.accepted = self.limit_hits = self.timeouts = self.driver_errors = 0
        self._zero = CENTRE
        if self.fault:
            self._driver.disconnect()
            self._driver.connect()
            self.fault = ''
        self.pose = self._read()
        self._check_driver()

    def set_zero(self) -> None:
        """Call the present pose pan 0, tilt 0, until reset. Limits stay where they are.

        Raises:
            DriverError: the head cannot be read; its zero stays.
        """
        self._hold()
        pose = self._read()
        self._check_driver()
        self._zero = PanTiltCommand(self._zero.pan_rad + pose.pan_rad,
                                    self._zero.tilt_rad + pose.tilt_rad)
        self.pose = self._read()
        self._check_driver()

    def close(self) -> None:
        """Stop and release the link. Never raises."""
        self._points = []
        self._driver.stop()
        self._driver.disconnect()

    @property
    def command_age_s(self) -> float | None:
        """Seconds since the last accepted command; None before the first."""
        return None if self._last_command_s is None else self._clock() - self._last_command_s

    def report(self) -> tuple[str, dict[str, str]]:
        """(what a person should know now or 'ok', every counter as text)."""
        age_s = self.command_age_s
        values = {
            'command age s': 'none yet' if age_s is None else f'{age_s:.3f}',
            'commands accepted': str(self.accepted),
            'commands refused': str(sum(self.refused.values())),
            **{f'refused: {reason}': str(count) for reason, count in self.refused.items()},
            'limit hits': str(self.limit_hits), 'command timeouts': str(self.timeouts),
            'bus errors': str(self.driver_errors), 'torque': 'on' if self.enabled else 'off',
            'pan rad': f'{self.pose.pan_rad:.4f}', 'tilt rad': f'{self.pose.tilt_rad:.4f}'}
        if self.fault:
            return f'fault: {self.fault}', values
        if self.stopped:
            return 'run-stopped; release with ~/runstop', values
        return ('ok' if self.enabled else 'torque off; switch on with ~/torque_enable'), values

    def count_refusal(self, error: CommandError) -> None:
        """Count a command that did not reach the driver, by its reason."""
        self.refused[error.reason if isinstance(error, RefusedError) else 'invalid'] += 1

    def _check_ready(self) -> None:
        if self.fault:
            raise RefusedError('fault', f'the head is at fault ({self.fault}); see to it, then '
                               'call ~/reset')
        if self.stopped:
            raise RefusedError('stopped', 'the head is run-stopped; release it with ~/runstop')
        if not self.enabled:
            raise RefusedError('torque off', 'torque is off; switch it on with ~/torque_enable')

    def _check_driver(self) -> None:
        if self.fault:
            raise DriverError(self.fault)

    def _is_prompt(self, goal: PanTiltCommand, within_s: float) -> bool:
        """Whether a goal is due about as soon as this head, or a usual one, can be there."""
        return within_s <= PROMPT_S + max(least_time_s(self.pose, goal, limits)
                                          for limits in (self.limits, PanTiltLimits()))

    def _clip(self, goal: PanTiltCommand) -> PanTiltCommand:
        """Into the limits, which count from the mechanical zero, in soft-zeroed angles."""
        absolute = replace(goal, pan_rad=goal.pan_rad + self._zero.pan_rad,
                           tilt_rad=goal.tilt_rad + self._zero.tilt_rad)
        clipped = self.limits.clip(absolute)
        if (clipped.pan_rad, clipped.tilt_rad) != (absolute.pan_rad, absolute.tilt_rad):
            self.limit_hits += 1
        return replace(clipped, pan_rad=clipped.pan_rad - self._zero.pan_rad,
                       tilt_rad=clipped.tilt_rad - self._zero.tilt_rad)

    def _send(self, goal: PanTiltCommand) -> None:
        if self.fault:
            return
        zeroed = replace(goal, pan_rad=goal.pan_rad + self._zero.pan_rad,
                         tilt_rad=goal.tilt_rad + self._zero.tilt_rad)
        try:
            self._driver.command(self._mount.to_motor(self.limits.clip(zeroed)))
        except DriverError as error:
            self._fail(error)

    def _read(self) -> PanTiltState:
        try:
            pose = self._mount.to_joint(self._driver.read())
        except DriverError as error:
            self._fail(error)
            return self.pose
        return replace(pose, pan_rad=pose.pan_rad - self._zero.pan_rad,
                       tilt_rad=pose.tilt_rad - self._zero.tilt_rad)

    def _hold(self) -> None:
        self._points = []
        self._driver.stop()

    def _fail(self, error: DriverError) -> None:
        self.driver_errors += 1
        self.fault = str(error)
        self._points = []
        self._driver.stop()
