"""Goals of actions on one head: who has it, and how each ends. No ROS.

While a goal has the head, plain commands are refused. A newer goal takes it over and aborts the
older one; so does whatever else stops the head (run-stop, torque off, a fault, ~/stop, ~/home).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gaze_robot.errors import CommandError
from gaze_robot.nodes._head import Head

SUCCESSFUL, INVALID_GOAL, INVALID_JOINTS = 0, -1, -2
OLD_HEADER_TIMESTAMP, PATH_TOLERANCE_VIOLATED, GOAL_TOLERANCE_VIOLATED = -3, -4, -5
"""Error codes of control_msgs/FollowJointTrajectory."""

@dataclass(frozen=True)
class Verdict:
    """How a goal ended."""

    state: str
    """'succeeded', 'aborted' or 'canceled'."""

    text: str = ''
    code: int = SUCCESSFUL


class Goal(Protocol):
    """What `Goals` asks of a goal."""

    verdict: Verdict | None
    """None while it runs."""

    def start(self, head: Head, now_s: float) -> None:
        """Set the head going. Raises CommandError if that cannot be; the head is as before."""

    def step(self, head: Head, now_s: float) -> Verdict | None:
        """See how it goes, and go on; the verdict, once there is one."""


class Goals:
    """Who has the head: at most one goal at a time."""

    def __init__(self, head: Head, clock: Callable[[], float]) -> None:
        """`clock` is the head's own."""
        self._head, self._clock = head, clock
        self.active: Goal | None = None
        self._commands = 0

    def begin(self, goal: Goal) -> None:
        """Give the head to a goal; the one that had it is aborted.

        Raises:
            CommandError: this one cannot be; the one that has the head keeps it.
        """
        self.tick()
        goal.start(self._head, self._clock())
        self._end(Verdict('aborted', 'a newer goal took the head', INVALID_GOAL))
        self.active, self._commands = goal, self._head.commands

    def tick(self) -> None:
        """Judge the goal under way: call this after each tick of the head."""
        if self.active is None:
            return
        if self._head.commands != self._commands or not self._head.ready:
            self._end(Verdict('aborted', self._why(), INVALID_GOAL))
            return
        try:
            verdict = self.active.step(self._head, self._clock())
        except CommandError as error:
            verdict = Verdict('aborted', str(error), INVALID_GOAL)
        if verdict is not None:
            self._end(verdict)
            if verdict.state != 'succeeded':
                self._head.stop()
        self._commands = self._head.commands

    def cancel(self, goal: Goal) -> None:
        """Stop the head, if this goal has it."""
        if self.active is goal:
            self._end(Verdict('canceled', 'canceled', INVALID_GOAL))
            self._head.stop()

    def abort(self, why: str) -> None:
        """End the goal under way; the head is somebody else's affair."""
        self._end(Verdict('aborted', why, INVALID_GOAL))

    def _end(self, verdict: Verdict) -> None:
        if self.active is not None:
            self.active.verdict = verdict
            self.active = None

    def _why(self) -> str:
        if self._head.fault:
            return f'the head is at fault: {self._head.fault}'
        if self._head.stopped:
            return 'the head was run-stopped'
        return 'torque was switched off' if not self._head.enabled else \
            'somebody stopped the head or sent it elsewhere'
