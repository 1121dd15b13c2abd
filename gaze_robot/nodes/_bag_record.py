"""Topics into a bag: finds them as they appear, takes their messages as they are, undecoded."""

import importlib
from pathlib import Path
import time
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from gaze_robot.bags.commands import RecordConfig
from gaze_robot.bags.store import BagWriter, Topic
from gaze_robot.errors import BagError
from gaze_robot.nodes._alone import running

DEPTH = 100
LOOK_AGAIN_S = 0.3
PATIENCE_S = 30.0
"""For the first message, when a duration is given."""


class BagRecorder(Node):
    """Subscribes to every wanted topic with the quality of service its publishers offer."""

    def __init__(self, config: RecordConfig, writer: BagWriter) -> None:
        super().__init__('recorder', start_parameter_services=False, enable_rosout=False)
        self._config, self._writer = config, writer
        self._wanted = {self.resolve_topic_name(name) for name in config.topics}
        self._taken: set[str] = set()
        self.failure: BagError | None = None
        self.not_recorded: dict[str, str] = {}
        """Topic -> why it cannot be recorded."""
        self.create_timer(LOOK_AGAIN_S, self.look_for_topics)
        self.look_for_topics()

    def done(self) -> bool:
        """Whether the disk is full, or the time is over: it counts from the first message."""
        first_ns, length_s = self._writer.first_ns, self._config.duration
        over = length_s and first_ns is not None and time.time_ns() - first_ns >= length_s * 1e9
        return self.failure is not None or bool(over)

    def look_for_topics(self) -> None:
        """Subscribe to what has appeared."""
        for name, kinds in self.get_topic_names_and_types():
            if name in self._taken or name in self.not_recorded or not self._wants(name):
                continue
            offers = self.get_publishers_info_by_topic(name)
            if offers:
                self._take(name, kinds, offers)

    def _wants(self, name: str) -> bool:
        return name in self._wanted if self._wanted else name not in self._config.exclude

    def _take(self, name: str, kinds: list[str], offers: list[Any]) -> None:
        why = self._refusal(kinds)
        if why:
            self.not_recorded[name] = why
            self.get_logger().warning(f'{name} is not recorded: {why}')
            return
        reliable = all(each.qos_profile.reliability == ReliabilityPolicy.RELIABLE
                       for each in offers)
        latched = all(each.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
                      for each in offers)
        topic = Topic(name, kinds[0], reliable, latched)
        qos = QoSProfile(
            depth=DEPTH,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE)
        self.create_subscription(message_class(kinds[0]), name,
                                 lambda data: self._write(topic, data), qos, raw=True)
        self._taken.add(name)

    def _refusal(self, kinds: list[str]) -> str:
        if len(kinds) != 1:
            return f'publishers disagree about its type: {", ".join(kinds)}'
        if not self._writer.knows(kinds[0]):
            return f'the definition of {kinds[0]} is not known here'
        try:
            message_class(kinds[0])
        except (ImportError, AttributeError):
            return f'{kinds[0]} is not installed'
        return ''

    def _write(self, topic: Topic, data: bytes) -> None:
        if self.failure is not None:
            return
        try:
            self._writer.write(topic, time.time_ns(), data)
        except BagError as error:
            self.failure = error


def message_class(kind: str) -> type:
    """The class of 'sensor_msgs/msg/Image'. Raises ImportError or AttributeError without it."""
    package, _, name = kind.partition('/msg/')
    found: type = getattr(importlib.import_module(f'{package}.msg'), name)
    return found


def record(config: RecordConfig) -> dict[str, Any]:
    """See `gaze_robot.bags.commands.record`."""
    with BagWriter(Path(config.out), config.storage, config.reserve_mib) as writer, \
            running(lambda: BagRecorder(config, writer)) as run:
        recorder: BagRecorder = run.node
        run.spin(config.duration + bool(config.duration) * PATIENCE_S, recorder.done)
    if recorder.failure is None and not writer.counts:
        raise BagError(f'{config.out} is empty: no message came on '
                       f'{", ".join(config.topics) or "any topic"}. Is the robot running, with '
                       'the same ROS_DOMAIN_ID?')
    if recorder.failure is not None:
        raise recorder.failure
    spent_s = 0.0 if writer.first_ns is None or writer.last_ns is None else (
        writer.last_ns - writer.first_ns) / 1e9
    return {'bag': config.out, 'duration_s': round(spent_s, 3),
            'messages': sum(writer.counts.values()), 'topics': dict(sorted(writer.counts.items())),
            'not_recorded': dict(sorted(recorder.not_recorded.items()))}
