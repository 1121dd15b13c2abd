"""gaze_node with a hand, on real rclpy and Fast DDS: what it is told, and what the hand gets."""

import math
import time

import numpy as np
import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip('rclpy', reason='needs rclpy')
torch = pytest.importorskip('torch', reason='gaze_node needs torch')

from geometry_msgs.msg import PointStamped  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from sensor_msgs.msg import Image, JointState  # noqa: E402
from std_msgs.msg import String  # noqa: E402
from std_srvs.srv import SetBool  # noqa: E402
from trajectory_msgs.msg import JointTrajectory  # noqa: E402

from gaze_robot.foveation import FoveationPattern  # noqa: E402
from gaze_robot.hand_eye import HandEye, save_hand_eye  # noqa: E402
from gaze_robot.nodes import _messages  # noqa: E402
from gaze_robot.nodes.gaze_node import GazeNode  # noqa: E402
from gaze_robot.policy.glances import vector_size  # noqa: E402
from gaze_robot.policy.hand import HandConfig, HandNetwork  # noqa: E402
from gaze_robot.policy.looking import LookingPolicy  # noqa: E402
from gaze_robot.types import ActionChunk  # noqa: E402

PATTERN = FoveationPattern((15.0, 40.0, 90.0), (32, 32, 32), 8)
ARM = ('shoulder', 'elbow')
CHUNK = 10
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    config = HandConfig(len(ARM), 2, len(ARM), chunk=CHUNK, width=32, hidden=32)
    eye = LookingPolicy(config.tokens, config.patch, vector_size(PATTERN, len(ARM), 2))
    folder = tmp_path_factory.mktemp('hand')
    save_hand_eye(folder, HandEye(HandNetwork(config).eval(), eye.eval(), PATTERN, ARM, ARM, 30.0,
                                  {'tasks': {'wave': [1.0, 0.0], 'point': [0.0, 1.0]}}))
    return str(folder)


@pytest.fixture
def robot(checkpoint):
    """gaze_node, and a robot with a camera, a head and an arm that does what it is told."""
    rclpy.init()
    executor = SingleThreadedExecutor()
    node = GazeNode(parameter_overrides=[Parameter('model.path', value=checkpoint)])
    node.autostart()
    assert node.state == 'active', node.failure
    arm = Arm(executor)
    executor.add_node(node)
    yield arm
    node.trigger_deactivate()
    node.close()
    for one in executor.get_nodes():
        one.destroy_node()
    rclpy.try_shutdown()


class Arm:
    def __init__(self, executor):
        self.node = rclpy.create_node('arm')
        executor.add_node(self.node)
        self.executor = executor
        self.actions, self.fixations, self.modes = [], [], []
        self.node.create_subscription(JointTrajectory, 'gaze/action', self.actions.append, 10)
        self.node.create_subscription(PointStamped, 'gaze/fixation', self.fixations.append, 10)
        self.node.create_subscription(
            String, 'gaze/mode', lambda message: self.modes.append(message.data), LATCHED)
        self.images = self.node.create_publisher(Image, 'image_raw', 10)
        self.states = self.node.create_publisher(JointState, 'joint_states', 10)
        self.prompts = self.node.create_publisher(String, 'gaze/prompt', LATCHED)
        self.where = np.array([0.5, -0.5])

    def run(self, until, seconds=20.0, arm=True):
        """Take pictures until something holds."""
        rng = np.random.default_rng(0)
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, 'it never came'
            stamp = self.node.get_clock().now().to_msg()
            head = JointState(name=['pan', 'tilt'], position=[0.1, 0.0])
            state = JointState(name=['elbow', 'shoulder'], position=self.where[::-1].tolist())
            for message in (head, state) if arm else (head,):
                message.header.stamp = stamp
                self.states.publish(message)
            self.spin(0.01)
            image = rng.integers(0, 256, (120, 160, 3), np.uint8)
            self.images.publish(_messages.ImageFiller()(
                image, _messages.header(stamp, 'camera_optical_frame')))
            self.spin(0.05)

    def spin(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.005)


def test_a_prompt_sets_eye_and_hand_to_work(robot):
    robot.run(lambda: 'idle' in robot.modes)
    assert not robot.actions
    robot.prompts.publish(String(data='wave'))
    robot.run(lambda: len(robot.actions) > 5)
    action = robot.actions[-1]
    assert tuple(action.joint_names) == ARM
    assert action.header.stamp.sec == action.header.stamp.nanosec == 0
    due = [_messages.seconds(point.time_from_start) for point in action.points]
    assert 2 <= len(due) <= CHUNK
    np.testing.assert_allclose(np.diff(due), 1 / 30, atol=1e-6)
    assert 0 < due[0] <= 1 / 30 + 1e-6
    positions = np.array([point.positions for point in action.points])
    assert np.isfinite(positions).all()
    assert np.abs(positions - robot.where).max() < 3         # relative to where the arm is
    assert robot.fixations
    assert robot.modes[-1] != 'idle'


def test_without_its_joints_the_hand_does_nothing_and_the_eye_says_why(robot, capfd):
    robot.prompts.publish(String(data='point'))
    fixed = len(robot.fixations)
    end = time.monotonic() + 3
    robot.run(lambda: time.monotonic() > end, arm=False)
    assert not robot.actions
    robot.run(lambda: len(robot.actions) > 2)
    assert len(robot.fixations) > fixed
    text = ''.join(capfd.readouterr())
    assert 'its joints must be in joint_states: shoulder, elbow' in text


def test_a_task_it_does_not_know_is_a_warning_that_names_them(robot, capfd):
    robot.prompts.publish(String(data='make coffee'))
    end = time.monotonic() + 2
    robot.run(lambda: time.monotonic() > end)
    assert not robot.actions
    text = ''.join(capfd.readouterr())
    assert "knows no task 'make coffee'" in text
    assert "'wave', 'point'" in text


def test_enabled_again_it_forgets_what_was_before(robot, monkeypatch):
    (node,) = (one for one in robot.executor.get_nodes() if isinstance(one, GazeNode))
    resets, pipeline = [], node._eye.pipeline
    monkeypatch.setattr(pipeline, 'reset', lambda: resets.append(True))
    for wanted, count in ((True, 0), (False, 0), (True, 1), (True, 1)):
        node._on_enable(SetBool.Request(data=wanted), SetBool.Response())
        robot.spin(0.5)
        assert len(resets) == count


def test_what_was_to_be_done_by_now_is_left_out():
    chunk = ActionChunk(ARM, np.arange(8.0).reshape(4, 2), 0.1)
    message = _messages.trajectory_from_chunk(chunk, 0.25)
    assert [list(point.positions) for point in message.points] == [[4.0, 5.0], [6.0, 7.0]]
    due = [_messages.seconds(point.time_from_start) for point in message.points]
    assert due == pytest.approx([0.05, 0.15], abs=1e-8)
    assert not _messages.trajectory_from_chunk(chunk, 0.5).points


def test_chunks_that_are_no_numbers_never_leave():
    with pytest.raises(Exception, match='finite'):
        ActionChunk(ARM, np.array([[0.0, math.nan]]), 0.1)
    with pytest.raises(ValueError, match='positions are'):
        ActionChunk(ARM, np.zeros((3, 3)), 0.1)
