"""What every node shares: starting, transitions that explain themselves, stopping."""

from collections.abc import Callable, Sequence
import functools
import os
import pathlib
import signal
import tempfile
import threading
import traceback
from typing import Any

from lifecycle_msgs.srv import ChangeState
import rclpy
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.logging import get_logger
from rclpy.node import Node

from gaze_robot.allocator import keep_large_blocks
from gaze_robot.errors import GazeRobotError
from gaze_robot.nodes._params import declare_autostart, idle_overrides
from gaze_robot.nodes._shared_memory import Ear, start_again

_Transition = Callable[[Any, LifecycleState], TransitionCallbackReturn]


def transition(function: Callable[[Any], None]) -> _Transition:
    """Make a plain method of a ManagedNode an on_... callback that says why it failed.

    GazeRobotError is FAILURE (back to the state before, retry allowed), anything else ERROR. rclpy
    itself would turn either into ERROR without a word. What a failed or undone configuration
    created (publishers, timers, ...) is destroyed.
    """
    verb = function.__name__.removeprefix('on_')

    @functools.wraps(function)
    def wrapped(self: 'ManagedNode', state: LifecycleState) -> TransitionCallbackReturn:
        if verb == 'configure':
            self.remember_entities()
        try:
            function(self)
            result = TransitionCallbackReturn.SUCCESS
        except GazeRobotError as error:
            self.get_logger().error(f'cannot {verb}: {error}')
            self.failure = str(error)
            result = TransitionCallbackReturn.FAILURE
        except Exception as error:  # noqa: BLE001  rclpy would drop the reason
            if self.context.ok():       # else: a signal came in the middle of it
                self.get_logger().error(f'cannot {verb}: {error!r}\n{traceback.format_exc()}')
            result = TransitionCallbackReturn.ERROR
        succeeded = result == TransitionCallbackReturn.SUCCESS
        if (verb == 'configure' and not succeeded) or verb in ('cleanup', 'shutdown'):
            self.close()
            self.destroy_new_entities()
        return result
    return wrapped


class ManagedNode(LifecycleNode):
    """A lifecycle node that can start itself and survives impossible transition requests."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.failure = ''
        """Why the last transition that failed did so."""
        self._autostart = declare_autostart(self)
        self._change_state = self._service_change_state.callback
        self._service_change_state.callback = self._on_change_state_request
        self._kept_entities: set[int] = set()
        self.remember_entities()

    def autostart(self) -> None:
        """Configure and activate, unless parameter `autostart` is false or configuring failed."""
        if self._autostart and self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    @property
    def state(self) -> str:
        """'unconfigured', 'inactive', 'active' or 'finalized'."""
        return str(self._state_machine.current_state[1])

    def now_s(self) -> float:
        """Seconds of the node's clock, which follows /clock when use_sim_time is set."""
        return float(self.get_clock().now().nanoseconds * 1e-9)

    def close(self) -> None:
        """Let go of devices and threads; may be called twice, and when ROS is gone."""

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After an unexpected error: release everything and go back to unconfigured."""
        self.close()
        self.destroy_new_entities()
        return TransitionCallbackReturn.SUCCESS

    def remember_entities(self) -> None:
        """What exists now stays when the configuration is undone."""
        self._kept_entities = {id(entity) for entity, _ in self._list_entities()}

    def destroy_new_entities(self) -> None:
        """Destroy the publishers, subscriptions, services and timers made by configuring."""
        for entity, destroy in self._list_entities():
            if id(entity) not in self._kept_entities:
                destroy(entity)

    def _list_entities(self) -> list[tuple[Any, Callable[[Any], Any]]]:
        return [*((each, self.destroy_timer) for each in self.timers),
                *((each, self.destroy_subscription) for each in self.subscriptions),
                *((each, self.destroy_service) for each in self.services),
                *((each, self.destroy_publisher) for each in self.publishers)]

    def _on_change_state_request(self, request: ChangeState.Request,
                                 response: ChangeState.Response) -> ChangeState.Response:
        try:
            return self._change_state(request, response)
        except rclpy_implementation.RCLError:
            # rclpy lets this end the process; a manager's double click must not.
            wanted = request.transition.label or f'number {request.transition.id}'
            self.get_logger().warning(f'transition {wanted} is not possible while {self.state}')
            response.success = False
            return response


def run(make_node: Callable[[], Node], args: Sequence[str] | None = None) -> int:
    """Run one node until Ctrl-C, SIGTERM or shutdown.

    Returns:
        Exit code: 0 after a wanted end, 1 when the node cannot start (the log says why).
    """
    keep_large_blocks()
    prepare_log_folder()
    node: Node | None = None
    deaf = False
    interrupted = threading.Event()
    try:
        _interrupt_once(interrupted)
        rclpy.init(args=args)
        # Before the node: rclpy cannot make one after a signal has shut it down, and says so with
        # a traceback nobody can catch.
        executor = make_executor()
        node = make_node()
        if isinstance(node, ManagedNode):
            node.autostart()
        executor.add_node(node)
        _tell_idle_overrides(node)
        # Not spin(): a signal between rclpy's own check and its wait leaves a node that has no
        # timers waiting for ever (2 of 25 times here).
        ear = Ear()
        while rclpy.ok() and not deaf:
            executor.spin_once(timeout_sec=0.5)
            deaf = args is None and ear.is_deaf()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError:        # RCLError, or a message that could not be converted
        # else: the signal came in the middle of a publish or of a take; rclpy may not know yet
        if rclpy.ok() and not interrupted.is_set():
            raise
    except GazeRobotError as error:
        get_logger('gaze_robot').fatal(str(error))
        return 1
    finally:
        if node is not None:
            close = getattr(node, 'close', None)
            if close is not None:
                close()
            node.destroy_node()
        rclpy.try_shutdown()
        # Python puts the deadly default back while it ends; a late Ctrl-C would then be a crash.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_DFL if deaf else signal.SIG_IGN)
    if deaf:
        get_logger('gaze_robot').warning('a peer has deleted the port of this process in shared '
                                         'memory, so it hears nothing; starting again')
        start_again()
    return 0


def _tell_idle_overrides(node: Node) -> None:
    if getattr(node, 'state', 'active') != 'active':
        return                      # its topics are not there yet
    for name in idle_overrides(node):
        node.get_logger().warning(
            f'{name} changes nothing: no such topic, direction or policy here; write the full '
            'name of the topic, such as qos_overrides./image_raw.subscription.reliability')


def _interrupt_once(came: threading.Event) -> None:
    """Let only the first Ctrl-C raise, and set `came`: a terminal and `ros2 launch` may both send
    one. rclpy calls the handler it finds after its own, so this goes before rclpy.init.
    """
    def handle(number: int, frame: Any) -> None:
        if not came.is_set():
            came.set()
            raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, handle)


def make_executor() -> Executor:
    """The executor every process here uses: one thread.

    Not EventsExecutor: the one in rclpy 7.1.6 kept a core busy and grew until it was killed, with
    nothing but a 100 Hz timer to serve.
    """
    return SingleThreadedExecutor()


def prepare_log_folder() -> None:
    """Give rcl a folder for logs where there is no home directory (containers, services)."""
    if 'HOME' not in os.environ and 'ROS_LOG_DIR' not in os.environ:
        os.environ['ROS_LOG_DIR'] = str(pathlib.Path(tempfile.gettempdir()) / 'ros_log')
