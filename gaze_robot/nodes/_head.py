"""The safety authority over one head: no ROS, a clock handed in, a driver underneath.

Whatever arrives, the head leaves here with a finite goal inside its limits or does not move.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from gaze_robot.config import PanTiltConfig
from gaze_robot.drivers.base import PanTiltDriver
from gaze_robot.errors import CommandError, DriverError
from gaze_robot.nodes._drive import CENTRE, Drive
from gaze_robot.nodes._mount import Mount
from gaze_robot.nodes._trajectory import brought_forward, goal_at, least_time_s, Point
from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState

LONGEST_S = 10.0
"""No trajectory may end later than this from now: its sender may have died meanwhile."""

PROMPT_S = 0.3
"""A single goal due this soon after the least time for its move means: as fast as you can."""

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
        self._limp_at_end = config.torque_off_on_shutdown
        mount = Mount(config.direction, config.offset)
        self._drive = Drive(make_driver(mount.limits(config.limits)), config.limits, mount, clock)
        self.stopped = False
        """Run-stopped: refuses every command until released."""
        self.enabled = config.enabled_at_start
        """The torque switch, a gate for commands and no more: while off, all are refused."""
        self.refused: Counter[str] = Counter()
        self.accepted = self.limit_hits = self.timeouts = 0
        self.commands = 0
        """Grows with everything that is asked of the head, also to hold still."""
        self._points: list[Point] = []
        self._start_s = self._expires_s = 0.0
        self._last_command_s: float | None = None
        self._drive.connect()
        self._drive.read()
        self._power()
        self._check_driver()

    @property
    def pose(self) -> PanTiltState:
        """Where the head was when last read, joint angles."""
        return self._drive.pose

    @property
    def fault(self) -> str:
        """Why the driver failed; '' while it works."""
        return self._drive.fault

    @property
    def ready(self) -> bool:
        """Whether commands are obeyed: no fault, no run-stop, torque on."""
        return self.enabled and not self.stopped and not self.fault

    def clip(self, goal: PanTiltCommand) -> PanTiltCommand:
        """The nearest goal inside the limits."""
        return self._drive.clip(goal)[0]

    def accept(self, points: Sequence[Point], stamp_s: float | None = None,
               longest_s: float = LONGEST_S) -> None:
        """Follow a trajectory from now on; an empty one means hold.

        Args:
            points: in order of time; the head moves evenly from where it is to the first and on.
                A single point due about as soon as the head can be there is not paced but gone to
                as fast as the limits allow, and the time-out runs from now. If it has a speed, it
                is a place that moves, and is there when it is due.
            stamp_s: when it starts; None: now.
            longest_s: refuse what ends later than this from now.

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
        if end_s > now_s + longest_s:
            raise RefusedError('too long', f'the trajectory ends {end_s - now_s:.1f} s from now; '
                               f'{longest_s:g} s is the most, send the rest later')
        if points:
            self._drive.read()
            self._check_ready()
        self.accepted += 1
        self.commands += 1
        self._last_command_s = now_s
        if not points:
            self._hold()
            return
        kept = [(at, self._clip(goal)) for at, goal in points]
        if len(kept) == 1 and start_s <= now_s and self._is_prompt(kept[0][1], end_s - now_s):
            due_in_s = max(end_s - now_s, 0.0)
            kept = [(0.0, self._drive.clip(brought_forward(points[0][1], due_in_s))[0])]
            end_s = start_s
        if kept[0][0] > 0:
            kept.insert(0, (0.0, PanTiltCommand(self.pose.pan_rad, self.pose.tilt_rad)))
        self._points, self._start_s = kept, start_s
        self._expires_s = max(end_s, now_s) + self.command_timeout_s
        self._drive.aim(goal_at(self._points, now_s - start_s))

    def tick(self) -> PanTiltState:
        """Move on and read: call this at the rate of the joint states."""
        if self.fault:
            return self.pose
        now_s = self._clock()
        if self._points and now_s > self._expires_s:
            self.timeouts += 1
            self._points = []
            self._drive.hold()
        elif len(self._points) > 1:
            self._drive.aim(goal_at(self._points, now_s - self._start_s))
        self._drive.stream()
        return self._drive.read()

    def run_stop(self, engage: bool) -> None:
        """Stop and refuse every command until released."""
        self.stopped = engage
        self._hold()

    def enable(self, on: bool) -> None:
        """Power the motors and obey commands; or hold still and refuse them, under power.

        Raises:
            DriverError: the motors could not be powered; commands stay refused.
        """
        self._hold()
        self.enabled = on
        self._power()
        self._check_driver()

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
        self.commands += 1
        self._points, self._expires_s = [(0.0, CENTRE)], float('inf')
        self._drive.aim(CENTRE)
        self._check_driver()

    def reset(self) -> None:
        """Forget counters and a fault, open the link again, undo `set_zero`; a run-stop stays.

        Raises:
            DriverError: the link to the head cannot be opened, or the head not be read.
        """
        self._hold()
        self.refused.clear()
        self.accepted = self.limit_hits = self.timeouts = 0
        self._drive.errors = self._drive.stalls = 0
        self._drive.zero = CENTRE
        if self.fault:
            self._drive.reopen()
        self._drive.read()
        self._power()
        self._check_driver()

    def set_zero(self) -> None:
        """Call the present pose pan 0, tilt 0, until reset. Limits stay where they are.

        Raises:
            DriverError: the head cannot be read; its zero stays.
        """
        self._hold()
        pose = self._drive.read()
        self._check_driver()
        self._drive.zero = PanTiltCommand(self._drive.zero.pan_rad + pose.pan_rad,
                                          self._drive.zero.tilt_rad + pose.tilt_rad)
        self._drive.read()
        self._check_driver()

    def close(self) -> None:
        """Stop and release the link. Never raises."""
        self._points = []
        self._drive.close(self._limp_at_end)

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
            'blocked': str(self._drive.stalls),
            'bus errors': str(self._drive.errors), 'torque': 'on' if self.enabled else 'off',
            'pan rad': f'{self.pose.pan_rad:.4f}', 'tilt rad': f'{self.pose.tilt_rad:.4f}',
            **self._drive.health()}
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

    def _power(self) -> None:
        """Power the motors once the head may move; whoever switches it off leaves them powered."""
        if self.enabled:
            self._drive.power(True)

    def _clip(self, goal: PanTiltCommand) -> PanTiltCommand:
        goal, hit = self._drive.clip(goal)
        self.limit_hits += hit
        return goal

    def _hold(self) -> None:
        self.commands += 1
        self._points = []
        self._drive.hold()
