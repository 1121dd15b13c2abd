"""Following a gaze through the real nodes: world, eye and head as processes of their own."""

import subprocess
import sys
import time

import numpy as np
import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip('rclpy', reason='needs rclpy')
pytest.importorskip('norfair', reason="pip install -e '.[people]'")

from geometry_msgs.msg import PointStamped  # noqa: E402
from sensor_msgs.msg import PointCloud2  # noqa: E402
from std_msgs.msg import Float64  # noqa: E402

from gaze_robot.nodes._gaze_messages import SOURCES, TARGET_FIELDS  # noqa: E402

NODES = {
    'gaze_robot.nodes.gaze_node': (
        'autostart:=true', 'sources.people:=1.0', 'people.model:=figures',
        'people.heads:=figures', 'max_image_age:=2.0', 'confidence_threshold:=0.1'),
    'gaze_robot.nodes.pan_tilt_node': ('autostart:=true', 'enable_at_start:=true'),
    'gaze_robot_sim.world_node': ('game:=follow', 'rate:=8.0', 'seed:=4', 'reliability:=reliable',
                                  'dynamics:=off')}
LOOKS, LONGEST_S = 5, 90.0
TOO_LATE_S = 0.25
"""With pictures older than this an eye cannot be said to follow."""


@pytest.fixture
def robot():
    started = [subprocess.Popen(
        [sys.executable, '-m', module, '--ros-args', *(
            word for parameter in parameters for word in ('-p', parameter))],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for module, parameters in NODES.items()]
    yield started
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def somebody():
    rclpy.init()
    node = rclpy.create_node('somebody')
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


def test_the_eye_looks_where_the_figure_looks(robot, somebody):
    """Most of the figure's first looks are followed, each within the time that it lasts."""
    looks, errors, rows, ages = [], [], [], []

    def on_rows(message):
        rows.append(message)
        now = somebody.get_clock().now().nanoseconds
        ages.append(1e-9 * now - message.header.stamp.sec - 1e-9 * message.header.stamp.nanosec)

    def on_target(message):
        if not rows:                       # on a busy machine the eye starts long after the world
            return
        place = np.array([message.point.x, message.point.y, message.point.z])
        if not looks or np.linalg.norm(looks[-1][0] - place) > 0.05:
            looks.append((place, []))

    def on_error(message):
        if looks:
            looks[-1][1].append(message.data)
        errors.append(message.data)

    somebody.create_subscription(PointStamped, '/world/target', on_target, 10)
    somebody.create_subscription(Float64, '/world/gaze_error', on_error, 10)
    somebody.create_subscription(PointCloud2, '/gaze/gaze_targets', on_rows, 1)
    end_s = time.monotonic() + LONGEST_S
    while len(looks) <= LOOKS and time.monotonic() < end_s:
        assert all(process.poll() is None for process in robot), 'a node has ended'
        rclpy.spin_once(somebody, timeout_sec=0.05)
    assert len(looks) > LOOKS, f'{len(looks)} looks, {len(errors)} errors'
    ages = np.array(ages)
    if np.median(ages) > TOO_LATE_S:
        pytest.skip(f'this machine is too busy: pictures are {np.median(ages):.1f} s old when the '
                    'eye has judged them')
    followed = [min(seen, default=np.pi) < np.radians(5) for _, seen in looks[1:LOOKS]]
    assert sum(followed) >= len(followed) / 2, [np.degrees(min(seen, default=np.pi)).round(1)
                                                for _, seen in looks]
    people = [row for message in rows for row in rows_of(message) if row['id'] > 0
              and row['source'] == SOURCES['people']]
    assert people, 'somebody is in ~/gaze_targets'
    assert all(row['head_xmin'] < row['head_xmax'] for row in people)


def rows_of(message):
    kinds = np.dtype([(name, '<f4' if kind == 7 else '<u4') for name, kind in TARGET_FIELDS])
    return np.frombuffer(bytes(message.data), kinds)
