"""The head's action servers, ~/point_head and ~/follow_joint_trajectory, where control_msgs is."""

from collections.abc import Callable, Sequence
import importlib
import math
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.node import Node
from rclpy.task import Future
from trajectory_msgs.msg import JointTrajectoryPoint

from gaze_robot.config import PanTiltConfig
from gaze_robot.errors import CommandError
from gaze_robot.nodes import _messages
from gaze_robot.nodes._aim import aim_of, place_in_base
from gaze_robot.nodes._goal_kinds import (
    code_of,
    GOAL_RAD,
    GOAL_TIME_S,
    PointGoal,
    Tolerance,
    TrajectoryGoal,
)
from gaze_robot.nodes._goals import Goal, Goals, INVALID_JOINTS, Verdict
from gaze_robot.nodes._head import Head, RefusedError
from gaze_robot.types import PanTiltCommand, PanTiltState

FEEDBACK_S = 0.1


class HeadActions:
    """Both servers of one head. They live as long as the node; goals run only while it is active.

    A goal that cannot be is refused if its action has no words for the reason (PointHead: the log
    says it), else accepted and aborted with an error code and the reason (FollowJointTrajectory).
    """

    def __init__(self, node: Node, messages: Any, ahead_s: Callable[[], float],
                 clock: Callable[[], float]) -> None:
        """Open the servers; nothing is obeyed before `attach`.

        Args:
            node: where they belong.
            messages: the module control_msgs.action.
            ahead_s: how much more the node's clock shows than the head's, seconds.
            clock: the head's.
        """
        self._node, self._ahead_s, self._clock = node, ahead_s, clock
        self._messages = messages
        self._head: Head | None = None
        self._goals: Goals | None = None
        self._running: dict[Goal, tuple[Any, Any]] = {}         # its handle and its future
        self._feedback_s = -math.inf
        servers = (
            (messages.PointHead, 'point_head', self._point, self._may_point),
            (messages.FollowJointTrajectory, 'follow_joint_trajectory', self._follow,
             lambda request: GoalResponse.ACCEPT))
        self._servers = [
            ActionServer(node, kind, f'~/{name}', run, goal_callback=may,
                         cancel_callback=lambda handle: CancelResponse.ACCEPT)
            for kind, name, run, may in servers]

    def attach(self, head: Head, config: PanTiltConfig, require_active: Callable[[], None]
               ) -> None:
        """Serve this head from now on; `require_active` raises CommandError while it must not."""
        self._head, self._config, self._require_active = head, config, require_active
        self._goals = Goals(head, self._clock)

    @property
    def busy(self) -> bool:
        """Whether a goal has the head."""
        return self._goals is not None and self._goals.active is not None

    def tick(self) -> None:
        """Judge, tell clients how it goes, end what has ended; after each tick of the head."""
        if self._goals is None:
            return
        for goal, (handle, _) in self._running.items():
            if handle.is_cancel_requested:
                self._goals.cancel(goal)
        self._goals.tick()
        now_s = self._clock()
        if now_s >= self._feedback_s + FEEDBACK_S:
            self._feedback_s = now_s
            for goal, (handle, _) in self._running.items():
                if goal.verdict is None:
                    handle.publish_feedback(self._feedback(goal))
        for goal in [goal for goal in self._running if goal.verdict is not None]:
            _, future = self._running.pop(goal)
            future.set_result(goal.verdict)

    def abort(self, why: str) -> None:
        """Abort what runs."""
        if self._goals is not None:
            self._goals.abort(why)
            self.tick()

    def close(self) -> None:
        """Abort what runs and let go of the head."""
        self.abort('the head was let go')
        self._goals = self._head = None

    def destroy(self) -> None:
        """Close the servers."""
        self._running.clear()
        for server in self._servers:
            server.destroy()

    # --- PointHead -------------------------------------------------------------------------------

    def _may_point(self, request: Any) -> GoalResponse:
        try:
            self._check()
            self._point_goal(request)
        except CommandError as error:
            self._node.get_logger().warning(f'~/point_head refused: {error}')
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _point_goal(self, request: Any) -> PointGoal:
        assert self._head is not None
        prefix, geometry = self._config.frame_prefix, self._config.geometry
        place = [request.target.point.x, request.target.point.y, request.target.point.z]
        axis = [request.pointing_axis.x, request.pointing_axis.y, request.pointing_axis.z]
        goal = PointGoal(
            aim_of(geometry, _own(request.pointing_frame, prefix), axis),
            place_in_base(geometry, _own(request.target.header.frame_id, prefix), place,
                          self._head.pose),
            _messages.seconds(request.min_duration), request.max_velocity)
        goal.check(self._head)
        return goal

    async def _point(self, handle: Any) -> Any:
        try:
            verdict = await self._run(self._point_goal(handle.request), handle)
        except CommandError as error:
            verdict = Verdict('aborted', str(error))
        self._finish(handle, verdict, '~/point_head')
        return self._messages.PointHead.Result()

    # --- FollowJointTrajectory -------------------------------------------------------------------

    async def _follow(self, handle: Any) -> Any:
        try:
            verdict = await self._run(self._trajectory_goal(handle.request), handle)
        except WrongJointsError as error:
            verdict = Verdict('aborted', str(error), INVALID_JOINTS)
        except CommandError as error:
            verdict = Verdict('aborted', str(error), code_of(error))
        self._finish(handle, verdict, '~/follow_joint_trajectory')
        return self._messages.FollowJointTrajectory.Result(
            error_code=verdict.code, error_string=verdict.text)

    def _trajectory_goal(self, request: Any) -> TrajectoryGoal:
        self._check()
        joints = self._config.joints
        if sorted(request.trajectory.joint_names) != sorted(joints):
            raise WrongJointsError(f'the trajectory is for joints '
                                   f'{list(request.trajectory.joint_names)}; this head has '
                                   f'{list(joints)}')
        if request.multi_dof_trajectory.joint_names or request.multi_dof_trajectory.points:
            raise CommandError('this head has no joints of several degrees of freedom; leave '
                               'multi_dof_trajectory empty')
        stamp_s = _messages.seconds(request.trajectory.header.stamp)
        late_s = _messages.seconds(request.goal_time_tolerance)
        return TrajectoryGoal(
            _messages.commands_from_trajectory(request.trajectory, joints), joints,
            stamp_s - self._ahead_s() if stamp_s else None,
            _tolerances(request.path_tolerance, joints, Tolerance()),
            _tolerances(request.goal_tolerance, joints, Tolerance(GOAL_RAD)),
            math.inf if late_s < 0 else late_s or GOAL_TIME_S)

    # --- both ------------------------------------------------------------------------------------

    def _check(self) -> None:
        if self._goals is None:
            raise RefusedError('inactive', 'the node is not configured; configure and activate it')
        self._require_active()

    async def _run(self, goal: Goal, handle: Any) -> Verdict:
        self._check()
        assert self._goals is not None
        self._goals.begin(goal)
        future: Any = Future(executor=self._node.executor)
        self._running[goal] = handle, future
        return await future

    def _finish(self, handle: Any, verdict: Verdict, name: str) -> None:
        if verdict.state == 'succeeded':
            handle.succeed()
        elif verdict.state == 'canceled':
            handle.canceled()
        else:
            self._node.get_logger().warning(f'{name} aborted: {verdict.text}')
            handle.abort()

    def _feedback(self, goal: Goal) -> Any:
        if isinstance(goal, PointGoal):
            return self._messages.PointHead.Feedback(pointing_angle_error=goal.error_rad)
        assert isinstance(goal, TrajectoryGoal)
        wanted, actual = goal.desired, goal.actual
        error = PanTiltCommand(
            wanted.pan_rad - actual.pan_rad, wanted.tilt_rad - actual.tilt_rad,
            wanted.pan_rad_s - actual.pan_rad_s, wanted.tilt_rad_s - actual.tilt_rad_s)
        feedback = self._messages.FollowJointTrajectory.Feedback(
            joint_names=list(self._config.joints), desired=_point(wanted), actual=_point(actual),
            error=_point(error))
        feedback.header.stamp = self._node.get_clock().now().to_msg()
        return feedback


class WrongJointsError(CommandError):
    """A trajectory for other joints than this head's."""


def head_actions(node: Node, ahead_s: Callable[[], float], clock: Callable[[], float]
                 ) -> HeadActions | None:
    """The servers, or None where control_msgs is not installed."""
    try:
        messages = importlib.import_module('control_msgs.action')
    except ModuleNotFoundError:
        return None
    return HeadActions(node, messages, ahead_s, clock)


def _own(frame_id: str, prefix: str) -> str:
    """A frame without this head's prefix; one of another robot stays as it is, unknown."""
    if not frame_id:
        return ''
    return frame_id.removeprefix(prefix) if frame_id.startswith(prefix) else f'/{frame_id}'


def _tolerances(given: Sequence[Any], joints: tuple[str, str], default: Tolerance
                ) -> dict[str, Tolerance]:
    """Per joint; a number of 0 means the default, a negative one no limit.

    Raises:
        WrongJointsError: a joint that the head does not have.
    """
    found = dict.fromkeys(joints, default)
    for each in given:
        if each.name not in found:
            raise WrongJointsError(f'a tolerance is for joint {each.name!r}; this head has '
                                   f'{list(joints)}')
        if math.isnan(each.position) or math.isnan(each.velocity):
            raise CommandError(f'the tolerance of {each.name} is not a number')
        found[each.name] = Tolerance(*(
            known if value == 0 else math.inf if value < 0 else value
            for value, known in ((each.position, default.position),
                                 (each.velocity, default.velocity))))
    return found


def _point(state: PanTiltCommand | PanTiltState) -> JointTrajectoryPoint:
    return JointTrajectoryPoint(positions=[float(state.pan_rad), float(state.tilt_rad)],
                                velocities=[float(state.pan_rad_s), float(state.tilt_rad_s)])
