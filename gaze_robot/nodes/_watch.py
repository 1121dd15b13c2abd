"""How gaze_node tells people how it goes: diagnostics each second, warnings once."""

from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import Header

from gaze_robot.config import GazeConfig
from gaze_robot.nodes import _messages, _qos
from gaze_robot.nodes._gaze_messages import diagnostics
from gaze_robot.nodes._intake import health, Starvation, starved
from gaze_robot.nodes._lifecycle import ManagedNode
from gaze_robot.nodes._stats import LoopStats


class Watch:
    """Reports a node's statistics and warns once about each thing."""

    def __init__(self, node: ManagedNode, stats: LoopStats) -> None:
        self._node, self._stats = node, stats
        self._said: set[str] = set()
        self._about: dict[str, str] = {}

    def open(self, config: GazeConfig, device: str, runtime: str) -> None:
        """Create the publisher; the node's next cleanup destroys it.

        Args:
            config: the node's.
            device: where the network runs.
            runtime: what computes it.
        """
        self._publisher = self._node.create_publisher(DiagnosticArray, '/diagnostics',
                                                      _qos.DIAGNOSTICS)
        self._about = {'model': config.model_path or 'shipped', 'device': device,
                       'runtime': runtime, 'eye': config.eye}
        self.begin()

    def begin(self) -> None:
        """Pictures are expected from now on."""
        self._starvation = Starvation(self._node.now_s())

    def second(self, enabled: bool, image_topic: str) -> None:
        """Publish diagnostics; say so if no pictures arrive."""
        now_s, last_s = self._node.now_s(), self._stats.last_frame_s
        level, summary = health(self._node.state, enabled, last_s, now_s)
        self._publisher.publish(diagnostics(
            f'{self._node.get_fully_qualified_name()}: eye', Header(stamp=_messages.stamp(now_s)),
            level, summary, {**self._about, **self._stats.key_values(now_s)}))
        silent_s = self._starvation.due(last_s, now_s)
        if silent_s is not None:
            offers = [(info.node_name, _qos.describe(info.qos_profile))
                      for info in self._node.get_publishers_info_by_topic(image_topic)]
            self._node.get_logger().warning(starved(image_topic, silent_s, offers,
                                                    _qos.describe(_qos.IMAGE_IN)))

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
