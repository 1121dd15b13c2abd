"""A bag onto topics, at its own pace or another."""

from collections import Counter
from pathlib import Path
import struct
import time
from typing import Any

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from gaze_robot.bags.commands import ReplayConfig
from gaze_robot.bags.store import Bag, Entry, open_bag, Topic
from gaze_robot.errors import BagError
from gaze_robot.nodes import _messages
from gaze_robot.nodes._alone import Alone, running
from gaze_robot.nodes._bag_record import message_class

CLOCK_HZ = 100.0
SETTLE_S = 0.5
"""A listener that is found has not yet found us."""


class BagPlayer(Node):
    """Publishes messages as they were recorded, undecoded."""

    def __init__(self, bag: Bag, config: ReplayConfig) -> None:
        super().__init__('player', start_parameter_services=False, enable_rosout=False)
        self._bag, self._config = bag, config
        wanted = {self.resolve_topic_name(name) for name in config.topics}
        self.not_played: dict[str, str] = {}
        """Topic -> why it cannot be played."""
        self._publishers_of: dict[Topic, Publisher] = {}
        for topic in bag.topics:
            if (not wanted or topic.name in wanted) and topic.name != '/clock':
                self._open(topic)
        self._stamped = {topic: bag.begins_with_header(topic.kind)
                         for topic in self._publishers_of}
        self._clock = self.create_publisher(Clock, '/clock', 10) if config.clock else None
        self.counts: Counter[str] = Counter()

    def _open(self, topic: Topic) -> None:
        try:
            kind = message_class(topic.kind)
        except (ImportError, AttributeError):
            self.not_played[topic.name] = f'{topic.kind} is not installed'
            self.get_logger().warning(f'{topic.name} is not played: {topic.kind} is not installed')
            return
        self._publishers_of[topic] = self.create_publisher(kind, topic.name, QoSProfile(
            depth=topic.depth,
            reliability=ReliabilityPolicy.RELIABLE if topic.reliable
            else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if topic.latched
            else DurabilityPolicy.VOLATILE))

    def is_heard(self) -> bool:
        """Whether somebody listens to every topic that is played."""
        return all(publisher.get_subscription_count()
                   for publisher in self._publishers_of.values())

    def lap(self, run: Alone) -> None:
        """Play the bag once; a signal ends it early."""
        start_s, first_ns = time.monotonic(), None
        wall_ns = time.time_ns()
        for entry in self._bag.entries(lambda topic: topic in self._publishers_of):
            first_ns = entry.stamp_ns if first_ns is None else first_ns
            since_ns = int((entry.stamp_ns - first_ns) / self._config.speed)
            self._wait(run, start_s, since_ns, first_ns)
            if run.stop.is_set():
                return
            self._publish(entry, wall_ns + since_ns - entry.stamp_ns)

    def _wait(self, run: Alone, start_s: float, since_ns: int, first_ns: int) -> None:
        """Until it is time for the next message; /clock ticks meanwhile."""
        due_s = start_s + since_ns * 1e-9
        while True:
            now_s = time.monotonic()
            step_s = min(due_s, now_s + 1 / CLOCK_HZ) if self._clock is not None else due_s
            run.spin_some(step_s)
            if self._clock is not None:
                shown_s = min(step_s, due_s) - start_s
                self._clock.publish(Clock(clock=_messages.stamp(
                    first_ns * 1e-9 + shown_s * self._config.speed)))
            if step_s >= due_s or run.stop.is_set():
                return

    def _publish(self, entry: Entry, shift_ns: int) -> None:
        data = entry.data
        if self._config.restamp and self._stamped[entry.topic]:
            data = restamped(data, shift_ns)
        self._publishers_of[entry.topic].publish(data)
        self.counts[entry.topic.name] += 1


def restamped(data: bytes, shift_ns: int) -> bytes:
    """A message that begins with a std_msgs/Header, its stamp moved; a stamp of 0 stays 0.

    CDR: four bytes say the byte order, then come seconds (int32) and nanoseconds (uint32).
    """
    form = '<iI' if data[1] & 1 else '>iI'
    seconds, nanoseconds = struct.unpack_from(form, data, 4)
    if seconds == nanoseconds == 0:
        return data
    moved = divmod(seconds * 10 ** 9 + nanoseconds + shift_ns, 10 ** 9)
    return data[:4] + struct.pack(form, *moved) + data[12:]


def play(config: ReplayConfig) -> dict[str, Any]:
    """See `gaze_robot.bags.commands.replay`."""
    with open_bag(Path(config.bag)) as bag:
        if not bag.topics:
            raise BagError(f'{config.bag} holds no topics')
        with running(lambda: BagPlayer(bag, config)) as run:
            player: BagPlayer = run.node
            run.spin(config.wait, player.is_heard)
            run.spin(min(SETTLE_S, config.wait))
            laps = 0
            while not run.stop.is_set() and (config.loop or not laps):
                player.lap(run)
                laps += 1
            run.spin(0.2)
        return {'bag': config.bag, 'cut_off': bag.mended, 'laps': laps,
                'messages': sum(player.counts.values()),
                'topics': dict(sorted(player.counts.items())),
                'not_played': dict(sorted(player.not_played.items()))}
