"""How late messages are when another process has them; `gaze-robot bench latency` starts these.

    python -m gaze_robot.nodes._latency_probe image_raw 20
    python -m gaze_robot.nodes._latency_probe gaze/fixation 20

A subscriber and nothing else: what it sees of a camera's pictures is the floor under everything
that is done with them. The last line of its output is JSON: milliseconds from stamp to callback.
"""

from collections.abc import Sequence
import json
import sys
import time
from typing import Any

from geometry_msgs.msg import PointStamped
from rclpy.node import Node
from sensor_msgs.msg import Image

from gaze_robot.nodes import _messages, _qos
from gaze_robot.nodes._alone import running

KINDS: dict[str, tuple[type, Any]] = {'image_raw': (Image, _qos.IMAGE_IN),
                                      'gaze/fixation': (PointStamped, _qos.COMMAND)}
WARM_UP = 30
"""First messages, left out."""

PATIENCE_S = 120.0


class LatencyProbe(Node):
    """Listens to one topic of `KINDS`."""

    def __init__(self, topic: str) -> None:
        super().__init__('probe_' + topic.replace('/', '_'), start_parameter_services=False,
                         enable_rosout=False)
        kind, qos = KINDS[topic]
        self.late_ms: list[float] = []
        self.create_subscription(kind, topic, self._on_message, qos)

    def _on_message(self, message: Image | PointStamped) -> None:
        self.late_ms.append(1e3 * (time.time() - _messages.seconds(message.header.stamp)))


def main(args: Sequence[str] | None = None) -> int:
    """Measure for some seconds after the first messages, and print the result."""
    topic, seconds = (sys.argv[1:] if args is None else list(args))[:2]
    with running(lambda: LatencyProbe(topic)) as run:
        probe: Any = run.node
        run.spin(PATIENCE_S, lambda: len(probe.late_ms) >= WARM_UP)
        before = len(probe.late_ms)
        run.spin(float(seconds))
        sys.stdout.write(json.dumps(probe.late_ms[before:]) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
