"""One node of a command, run until its time is over, Ctrl-C or SIGTERM."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import signal
import threading
import time

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from gaze_robot.nodes._lifecycle import make_executor, prepare_log_folder


class Alone:
    """A node in an executor of its own."""

    def __init__(self, node: Node, stop: threading.Event) -> None:
        self.node = node
        self.stop = stop
        """Set by Ctrl-C and SIGTERM."""
        self._executor = make_executor()
        self._executor.add_node(node)

    def spin(self, duration_s: float, done: Callable[[], bool] = lambda: False) -> float:
        """Run until `done`, a signal, or the time is over (0: never); returns seconds run."""
        start_s = time.monotonic()
        spent_s = 0.0
        while not self.stop.is_set() and not done() and (not duration_s or spent_s < duration_s):
            self._executor.spin_once(timeout_sec=0.05)
            spent_s = time.monotonic() - start_s
        return spent_s

    def spin_some(self, until_s: float) -> None:
        """Run until this moment of time.monotonic, at least once; a signal ends it."""
        self._executor.spin_once(timeout_sec=0.0)
        while not self.stop.is_set() and (left_s := until_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(left_s, 0.05))


@contextmanager
def running(make_node: Callable[[], Node]) -> Iterator[Alone]:
    """ROS with one node in it; all of it is gone afterwards."""
    prepare_log_folder()
    stop = threading.Event()
    before = _on_signals(stop)
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = None
    try:
        node = make_node()
        yield Alone(node, stop)
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
        for number, handler in before.items():
            signal.signal(number, handler)


def _on_signals(stop: threading.Event) -> dict:
    """Let the first signal set the event and the second do what it always did."""
    if threading.current_thread() is not threading.main_thread():
        return {}                                           # where no signal arrives
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, before[signal.Signals(number)])
    for number in before:
        signal.signal(number, handle)
    return before
