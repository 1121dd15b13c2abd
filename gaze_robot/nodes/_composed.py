"""Several nodes, one process, one executor: what `gaze-robot bringup` runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
import importlib
import os
import signal
import threading
import time
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from gaze_robot.errors import ConfigError
from gaze_robot.nodes._lifecycle import make_executor, ManagedNode, prepare_log_folder


@dataclass(frozen=True)
class Part:
    """One node of a composed run."""

    module: str
    node: str
    """Class in `module`."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    remap: Mapping[str, str] = field(default_factory=dict)
    """{topic: its new name}."""


class Composed:
    """The nodes of a run, started in order and stopped in reverse; a context manager."""

    def __init__(self, parts: list[Part]) -> None:
        self._parts = parts
        self.nodes: list[Any] = []

    def __enter__(self) -> 'Composed':
        # Everything is in this process; other machines of the network are not to join in.
        os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        prepare_log_folder()
        # Ctrl-C stays Python's: it ends the run, and the run then writes its report.
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        try:
            self._executor = make_executor()
            for part in self._parts:
                self._start(part)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in reversed(self.nodes):
            if isinstance(node, ManagedNode) and node.state == 'active':
                node.trigger_deactivate()
            close = getattr(node, 'close', None)
            if close is not None:
                close()
        for node in self.nodes:
            node.destroy_node()
        rclpy.try_shutdown()

    def _start(self, part: Part) -> None:
        kind = getattr(importlib.import_module(part.module), part.node)
        rules = [word for old, new in part.remap.items() for word in ('-r', f'{old}:={new}')]
        node = kind(
            parameter_overrides=[Parameter(name, value=_plain(value))
                                 for name, value in part.parameters.items() if value is not None],
            cli_args=['--ros-args', *rules] if rules else [])
        self.nodes.append(node)
        if isinstance(node, ManagedNode):
            node.autostart()
            if node.state != 'active':
                raise ConfigError(f'{node.get_name()} could not start: '
                                  f'{node.failure or "the log above says why"}')
        self._executor.add_node(node)

    def spin(self, duration_s: float, tick: Callable[[float], None],
             every_s: float = 0.5) -> float:
        """Run the nodes until the time is over or Ctrl-C.

        Args:
            duration_s: 0 means until Ctrl-C.
            tick: called with the elapsed seconds, every `every_s`.

        Returns:
            Seconds run.
        """
        start = time.monotonic()
        due_s, elapsed_s = 0.0, 0.0
        with _interrupted() as stop:
            while not stop.is_set() and (not duration_s or elapsed_s < duration_s):
                self._executor.spin_once(timeout_sec=0.05)
                elapsed_s = time.monotonic() - start
                if elapsed_s >= due_s:
                    due_s = elapsed_s + every_s
                    tick(elapsed_s)
        return elapsed_s

    def drain(self, settle_s: float = 0.3) -> None:
        """Stop what takes pictures and let the last ones arrive and be looked at."""
        for node in self.nodes:
            pause = getattr(node, 'pause', None)
            if pause is not None:
                pause()
        until_s = time.monotonic() + settle_s
        while time.monotonic() < until_s:
            self._executor.spin_once(timeout_sec=0.02)

    def crowded(self, topics: Sequence[str]) -> list[str]:
        """Those of these topics that more than one node publishes: another robot is near."""
        asker: Node = self.nodes[0]
        names = [asker.resolve_topic_name(topic) for topic in topics]
        return [name for name in names if len(asker.get_publishers_info_by_topic(name)) > 1]


@contextmanager
def _interrupted() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets; a second one raises KeyboardInterrupt as ever.

    Raised in the middle of rclpy, the first would come out as anything: seen is a RuntimeError of
    a message that could not be converted.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop                                          # where no signal arrives
        return

    def on_interrupt(*_: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)
    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
