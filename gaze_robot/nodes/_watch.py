"""How gaze_node tells people how it goes: diagnostics each second, warnings once."""

import time

from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import Header

from gaze_robot.config import GazeConfig
from gaze_robot.nodes import _messages, _qos
from gaze_robot.nodes._desk import Desk
from gaze_robot.nodes._eye_signs import (
    ClockWatch,
    eye_signs,
    EyeSeen,
    others_named,
    Since,
    worth_counting,
)
from gaze_robot.nodes._gaze_messages import diagnostics
from gaze_robot.nodes._intake import Starvation, starved
from gaze_robot.nodes._lifecycle import ManagedNode
from gaze_robot.nodes._stats import LoopStats
from gaze_robot.signs import KEY, summary, Window


class Watch:
    """Reports a node's statistics and warns once about each thing."""

    def __init__(self, node: ManagedNode, stats: LoopStats) -> None:
        self._node, self._stats = node, stats
        self._said: set[str] = set()
        self._about: dict[str, str] = {}
        self.late = 0
        """Pictures that turned stale while they were looked at."""
        self.lens = ''
        """Why the last picture's lens was a guess; '' when it was not."""
        self._clock = ClockWatch()

    def open(self, config: GazeConfig, desk: Desk, device: str, runtime: str) -> None:
        """Create the publisher; the node's next cleanup destroys it.

        Args:
            config: the node's.
            desk: where its messages arrive.
            device: where the network runs.
            runtime: what computes it.
        """
        self._config, self._desk = config, desk
        self._publisher = self._node.create_publisher(DiagnosticArray, '/diagnostics',
                                                      _qos.DIAGNOSTICS)
        self._about = {'model': config.model_path or 'shipped', 'device': device,
                       'runtime': runtime, 'eye': config.eye}
        self.begin()

    def begin(self) -> None:
        """Pictures are expected from now on."""
        steady_s = time.monotonic()
        self._starvation = Starvation(steady_s)
        self._window = Window()
        self._arrived = Since(steady_s, self._stats.frames_in.count)
        self._used = Since(steady_s, self._stats.processed.count)
        self._joints = Since(steady_s, self._desk.joints_heard)
        self._crowded_since_s: float | None = None

    def second(self, enabled: bool, image_topic: str) -> None:
        """Publish diagnostics; say so if no pictures arrive. Call it once a second."""
        now_s, steady_s = self._node.now_s(), time.monotonic()
        signs = eye_signs(seen := self._seen(enabled, image_topic, now_s, steady_s))
        level, text = summary(signs, 'looking')
        self._publisher.publish(diagnostics(
            f'{self._node.get_fully_qualified_name()}: eye', Header(stamp=_messages.stamp(now_s)),
            level, text, {KEY: ', '.join(sign.code for sign in signs), **self._about,
                          **self._stats.key_values(now_s),
                          'joint states': str(self._desk.joints_heard),
                          'joint states not usable': str(self._desk.joints_bad)}))
        silent_s = self._starvation.due(steady_s - seen.silent_s, steady_s)
        if silent_s is not None:
            offers = [(info.node_name, _qos.describe(info.qos_profile))
                      for info in self._node.get_publishers_info_by_topic(image_topic)]
            self._node.get_logger().warning(starved(image_topic, silent_s, offers,
                                                    _qos.describe(_qos.IMAGE_IN)))

    def _seen(self, enabled: bool, image_topic: str, now_s: float, steady_s: float) -> EyeSeen:
        stats, desk, node = self._stats, self._desk, self._node
        unstamped, desk.unstamped = desk.unstamped, False
        publishers = node.count_publishers(image_topic)
        if publishers < 2:
            self._crowded_since_s = None
        elif self._crowded_since_s is None:
            self._crowded_since_s = steady_s
        return EyeSeen(
            node.state, enabled, self._config.eye == 'head', image_topic,
            publishers,
            crowded_s=steady_s - (self._crowded_since_s or steady_s),
            silent_s=self._arrived.silent_s(stats.frames_in.count, steady_s),
            unused_s=self._used.silent_s(stats.processed.count, steady_s),
            joints_silent_s=self._joints.silent_s(desk.joints_heard, steady_s),
            joints=tuple(self._config.joints), other_joints=desk.other_joints,
            risen=self._window.rises(steady_s, {
                'in': stats.frames_in.count, 'processed': stats.processed.count,
                'late': self.late, 'bad joints': desk.joints_bad,
                **worth_counting(stats.dropped.as_dict())}),
            lens=self.lens, unstamped=unstamped, clock=self._clock.look(now_s, steady_s),
            twins=others_named(node.get_name(), node.get_namespace(),
                               node.get_node_names_and_namespaces()))

    def drop(self, reason: str, text: str = '') -> None:
        """Count a picture that is not used; with a text, say why the first time."""
        self._stats.dropped.add(reason)
        if text:
            self.say(f'picture not used, {reason}: {text}', key=reason)

    def say(self, text: str, key: str = '') -> None:
        """Warn once about each thing (`key`, or the text itself)."""
        if (key or text) not in self._said:
            self._said.add(key or text)
            self._node.get_logger().warning(text)
