"""What every node's process gets before its node is made."""

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip('rclpy', reason='needs rclpy')

from gaze_robot.errors import ConfigError  # noqa: E402
from gaze_robot.nodes import _lifecycle  # noqa: E402


def test_every_nodes_process_keeps_large_blocks_before_it_makes_the_node(monkeypatch):
    order = []
    monkeypatch.setattr(_lifecycle, 'keep_large_blocks', lambda: order.append('kept'))

    def make_node():
        order.append('made')
        raise ConfigError('no')
    assert _lifecycle.run(make_node) == 1
    assert order == ['kept', 'made']
