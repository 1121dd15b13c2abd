"""What carries a trajectory driver's messages, when ROS ends under it."""

import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip('rclpy', reason='needs rclpy')

from gaze_robot.config import PanTiltConfig  # noqa: E402
from gaze_robot.drivers.trajectory import TrajectoryDriver  # noqa: E402
from gaze_robot.errors import DriverConnectionError  # noqa: E402
from gaze_robot.nodes._controller import ControllerLink  # noqa: E402
from gaze_robot.types import PanTiltLimits, PanTiltState  # noqa: E402


@pytest.fixture
def link():
    rclpy.init()
    node = rclpy.create_node('head')
    link = ControllerLink(node, PanTiltConfig(backend='trajectory'))
    link._state = PanTiltState(0.0, 0.0)
    yield link
    link.close()
    node.destroy_node()
    rclpy.try_shutdown()


def test_a_signal_that_comes_while_states_are_taken_is_no_traceback(link, monkeypatch):
    spin = link._executor.spin_once

    def interrupted(timeout_sec):
        rclpy.try_shutdown()
        spin(timeout_sec=timeout_sec)
    monkeypatch.setattr(link._executor, 'spin_once', interrupted)
    with pytest.raises(DriverConnectionError, match='shut down'):
        link.latest()


def test_a_signal_that_comes_before_a_trajectory_is_sent_is_no_traceback(link):
    rclpy.try_shutdown()
    with pytest.raises(DriverConnectionError, match='shut down'):
        link.send([(0.1, (0.0, 0.0), (0.0, 0.0))])
    with pytest.raises(DriverConnectionError, match='shut down'):
        link.latest()


def test_a_driver_stops_and_parts_without_a_word_when_ros_ends_under_it(link, monkeypatch):
    driver = TrajectoryDriver(link.send, link.latest, PanTiltLimits(), lambda: 0.0)
    driver.connect()
    monkeypatch.setattr(link._executor, 'spin_once', lambda timeout_sec: rclpy.try_shutdown())
    driver.stop()
    assert 'shut down' in driver.health()['link']
    driver.disconnect()
    assert driver.health()['link'] != 'up'


def test_another_failure_is_not_taken_for_the_end_of_ros(link, monkeypatch):
    def broken(timeout_sec):
        raise RuntimeError('something else')
    monkeypatch.setattr(link._executor, 'spin_once', broken)
    with pytest.raises(RuntimeError, match='something else'):
        link.latest()
