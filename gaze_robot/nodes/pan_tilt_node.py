"""pan_tilt_node: commands -> limits -> driver -> joint states. The safety authority; no torch."""

from collections.abc import Callable, Sequence
from dataclasses import replace
import sys
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

from gaze_robot.config import PanTiltConfig
from gaze_robot.errors import CommandError, ConfigError, GazeRobotError
from gaze_robot.nodes import _messages, _qos
from gaze_robot.nodes._actions import head_actions
from gaze_robot.nodes._controller import driver_maker
from gaze_robot.nodes._eye_signs import others_named
from gaze_robot.nodes._head import Head, RefusedError
from gaze_robot.nodes._head_signs import head_counters, head_signs
from gaze_robot.nodes._lifecycle import ManagedNode, run, transition
from gaze_robot.nodes._params import declare_config
from gaze_robot.nodes._realtime import ask_for_realtime
from gaze_robot.nodes._tf import frame_publisher, FramePublisher
from gaze_robot.signs import KEY, LEVELS, summary, Window

LIVE = ('command_timeout',)
"""Parameters that take effect while the head is connected."""


class PanTiltNode(ManagedNode):
    """Moves one head.

    In: joint_trajectory. Out: joint_states, ~/stopped, /diagnostics, and /tf where tf2_msgs
    imports. Services: ~/runstop ~/torque_enable ~/stop ~/home ~/reset ~/set_zero. Actions where
    control_msgs imports: ~/point_head ~/follow_joint_trajectory; while a goal of theirs runs, it
    alone has the head.
    Inactive, it publishes joint states and diagnostics and refuses to move.

    A trajectory that would end more than 10 s from now (`_head.LONGEST_S`) is refused: whoever
    sent it may be gone by then. A single point due about as soon as the head can be there
    (`_head.PROMPT_S`) is gone to as fast as the limits allow.

    ~/torque_enable is a gate in software: on, it powers the motors; off, the head holds still and
    every command is refused, while the motors stay powered.

    Motion, ticks and time-outs run on a clock that neither pauses nor steps; the node's own clock,
    /clock with use_sim_time, only stamps messages and dates the stamps of commands.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__('pan_tilt', **options)
        self._config: PanTiltConfig | None = None
        self._head: Head | None = None
        self._frames: FramePublisher | None = None
        self._fault = ''
        self._window = Window()
        self._close_link = _nothing
        self._actions = head_actions(self, self._ahead_s, time.monotonic)

    @transition
    def on_configure(self) -> None:
        """Read the parameters, connect the head, start publishing where it is."""
        config = declare_config(self, PanTiltConfig, self._on_parameters)
        make_driver, self._close_link = driver_maker(self, config)
        head = Head(make_driver, config, time.monotonic)
        self._config, self._head = config, head
        # A controller's own broadcaster says where the joints are, and its robot's tf.
        ours = config.backend != 'trajectory'
        states = JointState, 'joint_states'
        self._states_pub = self.create_publisher(
            *states, **_qos.overridable(_qos.JOINT_STATES_OUT)) if ours else None
        self._stopped_pub = self.create_publisher(Bool, '~/stopped', _qos.LATCHED)
        self._diagnostics_pub = self.create_publisher(
            DiagnosticArray, '/diagnostics', _qos.DIAGNOSTICS)
        tf = config.publish_tf and ours
        self._frames = frame_publisher(
            self, config.frame_prefix, config.geometry) if tf else None
        self.create_subscription(JointTrajectory, 'joint_trajectory', self._on_trajectory,
                                 **_qos.overridable(_qos.COMMAND))
        self._create_services(head)
        if self._actions is not None:
            self._actions.attach(head, config, self._require_active)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / config.rate, self._tick, clock=steady)
        self.create_timer(1.0, self._publish_diagnostics, clock=steady)
        self._stopped_pub.publish(Bool(data=head.stopped))
        tf_off = 'off' if not tf else 'not published (no tf2_msgs)'
        self.get_logger().info(
            f'{config.backend} head, joints {list(config.joints)}, {config.rate:g} Hz, torque '
            f'{"on" if head.enabled else "off: call ~/torque_enable"}, '
            f'tf {"published" if self._frames else tf_off}, actions '
            f'{"served" if self._actions is not None else "not served (no control_msgs)"}')

    @transition
    def on_activate(self) -> None:
        """Begin to obey."""

    @transition
    def on_deactivate(self) -> None:
        """Hold still."""
        if self._actions is not None:
            self._actions.abort('the node was deactivated')
        if self._head is not None:
            self._head.stop()

    @transition
    def on_cleanup(self) -> None:
        """Let go of the head."""

    @transition
    def on_shutdown(self) -> None:
        """Let go of the head for good."""

    def close(self) -> None:
        """Stop the head and release its link."""
        if self._actions is not None:
            self._actions.close()
        if self._head is not None:
            self._head.close()
            self._head = None
        self._close_link()
        self._close_link = _nothing

    def destroy_node(self) -> None:
        """Close the action servers, too; rclpy leaves them."""
        if self._actions is not None:
            self._actions.destroy()
        super().destroy_node()

    def _create_services(self, head: Head) -> None:
        def run_stop(engage: bool) -> str:
            head.run_stop(engage)
            self._stopped_pub.publish(Bool(data=head.stopped))
            return 'stopped: commands are refused' if engage else 'released'

        def torque(on: bool) -> str:
            head.enable(on)
            return ('commands are obeyed' if on else 'commands are refused and the head holds '
                    'still; a gate in software, the motors stay powered')

        def home() -> None:
            self._require_active()
            head.home()

        self.create_service(SetBool, '~/runstop', _switch(run_stop))
        self.create_service(SetBool, '~/torque_enable', _switch(torque))
        for name, action in (('stop', head.stop), ('home', home), ('reset', head.reset),
                             ('set_zero', head.set_zero)):
            self.create_service(Trigger, f'~/{name}', _trigger(action))

    def _on_trajectory(self, message: JointTrajectory) -> None:
        if self._head is None or self._config is None:
            return
        try:
            self._require_active()
            if self._actions is not None and self._actions.busy:
                raise RefusedError('goal', 'an action goal has the head; it alone moves it until '
                                   'it ends or is cancelled')
            points = _messages.commands_from_trajectory(message, self._config.joints)
            stamp_s = _messages.seconds(message.header.stamp)
            self._head.accept(points, stamp_s - self._ahead_s() if stamp_s else None)
        except CommandError as error:
            self._head.count_refusal(error)
            self.get_logger().warning(f'command refused: {error}', throttle_duration_sec=5.0)

    def _require_active(self) -> None:
        if self.state != 'active':
            raise RefusedError('inactive', f'the node is {self.state}; activate it')

    def _tick(self) -> None:
        if self._head is None or self._config is None:
            return
        pose = self._head.tick()
        if self._actions is not None:
            self._actions.tick()
        if self._head.fault != self._fault:
            self._fault = self._head.fault
            if self._fault:
                self.get_logger().error(f'the head failed: {self._fault}; then call ~/reset')
        if self._fault:
            return
        pose = replace(pose, stamp_s=max(0.0, pose.stamp_s + self._ahead_s()))
        if self._states_pub is not None:
            self._states_pub.publish(_messages.joint_state_from_pose(pose, self._config.joints))
        if self._frames is not None:
            self._frames.publish(pose)

    def _ahead_s(self) -> float:
        """Seconds that the node's clock shows more than the steady one, now."""
        return self.now_s() - time.monotonic()

    def _on_parameters(self, config: PanTiltConfig) -> None:
        """Apply what may change while running; refuse the rest until the next configure."""
        if self._head is None:
            return
        fixed = [name for name in vars(config) if name not in LIVE
                 and getattr(config, name) != getattr(self._config, name)]
        if fixed:
            raise ConfigError(f'{", ".join(fixed)} cannot change while the head is connected; '
                              'deactivate and clean up the node first')
        self._head.command_timeout_s = config.command_timeout
        self._config = config

    def _publish_diagnostics(self) -> None:
        if self._head is None or self._config is None:
            return
        twins = others_named(self.get_name(), self.get_namespace(),
                             self.get_node_names_and_namespaces())
        risen = self._window.rises(time.monotonic(), head_counters(self._head))
        signs = head_signs(self._head, self.state, risen, twins)
        level, message = summary(signs, 'ok')
        values = {KEY: ', '.join(sign.code for sign in signs), **self._head.report()[1]}
        status = DiagnosticStatus(
            level=bytes([LEVELS.index(level)]), message=message,
            name=f'{self.get_fully_qualified_name()}: head', hardware_id=self._config.backend,
            values=[KeyValue(key=key, value=value) for key, value in values.items()])
        self._diagnostics_pub.publish(DiagnosticArray(
            header=_messages.header(self.get_clock().now().to_msg(), ''), status=[status]))


def _nothing() -> None:
    pass


def _switch(action: Callable[[bool], str]) -> Callable[..., SetBool.Response]:
    def serve(request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        try:
            response.success, response.message = True, action(request.data)
        except GazeRobotError as error:
            response.success, response.message = False, str(error)
        return response
    return serve


def _trigger(action: Callable[[], None]) -> Callable[..., Trigger.Response]:
    def serve(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            action()
            response.success, response.message = True, 'done'
        except GazeRobotError as error:
            response.success, response.message = False, str(error)
        return response
    return serve


def main(args: Sequence[str] | None = None) -> None:
    """Run the node until Ctrl-C, punctually where the system allows real-time threads."""
    ask_for_realtime()
    sys.exit(run(PanTiltNode, args))


if __name__ == '__main__':
    main()
