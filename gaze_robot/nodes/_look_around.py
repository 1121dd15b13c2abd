"""Looks at a running graph for some seconds: diagnostics, nodes, who cannot hear whom."""

import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import qos_check_compatible, QoSCompatibility

from gaze_robot.live import Mismatch, Snapshot, Status
from gaze_robot.nodes import _qos
from gaze_robot.nodes._alone import running
from gaze_robot.signs import LEVELS

_NAME = 'gaze_robot_doctor'


class Onlooker(Node):
    """Subscribes to /diagnostics and nothing else."""

    def __init__(self) -> None:
        super().__init__(_NAME, start_parameter_services=False, enable_rosout=False)
        self._came: dict[str, tuple[float, Any]] = {}
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics,
                                 _qos.DIAGNOSTICS)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self._came[status.name] = time.monotonic(), status

    def snapshot(self) -> Snapshot:
        """What is known by now."""
        now_s = time.monotonic()
        statuses = {name: Status(LEVELS[min(status.level[0], 3)], status.message,
                                 {each.key: each.value for each in status.values}, now_s - came_s)
                    for name, (came_s, status) in self._came.items()}
        nodes = [f'{namespace.rstrip("/")}/{name}'
                 for name, namespace in self.get_node_names_and_namespaces() if name != _NAME]
        return Snapshot(sorted(nodes), statuses, self._mismatches())

    def _mismatches(self) -> tuple[Mismatch, ...]:
        found = []
        for topic, _ in self.get_topic_names_and_types():
            for offer in self.get_publishers_info_by_topic(topic):
                for wish in self.get_subscriptions_info_by_topic(topic):
                    why = _obstacle(offer, wish)
                    if why and wish.node_name != _NAME:
                        found.append(Mismatch(topic, offer.node_name, wish.node_name, why))
        return tuple(found)


def _obstacle(offer: Any, wish: Any) -> str:
    """Why this subscription does not hear this publisher; '' when it does."""
    if offer.topic_type != wish.topic_type:
        return f'one sends {offer.topic_type}, the other wants {wish.topic_type}'
    compatible, _ = qos_check_compatible(offer.qos_profile, wish.qos_profile)
    if compatible != QoSCompatibility.ERROR:
        return ''
    return (f'{_qos.describe(offer.qos_profile)} is offered, '
            f'{_qos.describe(wish.qos_profile)} is asked for')


def look_around(seconds: float) -> Snapshot:
    """The graph after some seconds of looking."""
    with running(Onlooker) as run:
        run.spin(seconds)
        onlooker: Onlooker = run.node
        return onlooker.snapshot()
