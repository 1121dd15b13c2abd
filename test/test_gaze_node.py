"""gaze_node on real rclpy and Fast DDS, with untrained weights: what goes in, what comes out."""

from collections import defaultdict
import math
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip('rclpy', reason='needs rclpy')
pytest.importorskip('torch', reason='gaze_node needs torch')

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from geometry_msgs.msg import PointStamped  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.lifecycle import TransitionCallbackReturn  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import DurabilityPolicy, qos_profile_sensor_data, QoSProfile  # noqa: E402
from sensor_msgs.msg import (  # noqa: E402
    CameraInfo,
    CompressedImage,
    Image,
    JointState,
    PointCloud2,
)
from std_msgs.msg import Bool, String  # noqa: E402
from std_srvs.srv import SetBool, Trigger  # noqa: E402
from trajectory_msgs.msg import JointTrajectory  # noqa: E402
from visualization_msgs.msg import MarkerArray  # noqa: E402

from gaze_robot.camera import CameraModel  # noqa: E402
from gaze_robot.nodes import _messages  # noqa: E402
from gaze_robot.nodes.gaze_node import GazeNode  # noqa: E402
from gaze_robot.types import PanTiltState  # noqa: E402

WIDTH, HEIGHT = 320, 240
CAMERA = CameraModel.from_hfov(WIDTH, HEIGHT, math.pi / 2)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
OUTPUTS = {
    '/gaze/fixation': (PointStamped, 10), '/joint_trajectory': (JointTrajectory, 10),
    '/gaze/target': (PointStamped, 10), '/gaze/gaze_targets': (PointCloud2, 10),
    '/gaze/markers': (MarkerArray, 10), '/gaze/mode': (String, LATCHED),
    '/gaze/on_target': (Bool, LATCHED), '/gaze/salience': (Image, qos_profile_sensor_data),
    '/gaze/fovea/image_raw': (Image, qos_profile_sensor_data),
    '/gaze/fovea/camera_info': (CameraInfo, qos_profile_sensor_data),
    '/gaze/debug_image': (Image, qos_profile_sensor_data),
    '/gaze/debug_image/compressed': (CompressedImage, qos_profile_sensor_data),
    '/diagnostics': (DiagnosticArray, 10)}


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """A folder of untrained weights: enough to see that everything is connected."""
    from gaze_robot.checkpoint import make_policy, save_policy
    from gaze_robot.encoder import EncoderConfig
    from gaze_robot.foveation import FoveationPattern
    folder = tmp_path_factory.mktemp('checkpoint')
    save_policy(folder, make_policy(FoveationPattern(), EncoderConfig()))
    return str(folder)


@pytest.fixture(scope='module')
def ros():
    rclpy.init()
    yield
    rclpy.try_shutdown()


class Robot:
    """Somebody else's camera and head, and a listener on every topic of gaze_node."""

    def __init__(self, executor, camera_qos=10, listen=tuple(OUTPUTS)):
        self.node = rclpy.create_node('robot')
        self.executor = executor
        self.executor.add_node(self.node)
        self.heard = defaultdict(list)
        self.stamps = set()
        for topic in listen:
            kind, qos = OUTPUTS[topic]
            self.node.create_subscription(kind, topic, self.heard[topic].append, qos)
        self.images = self.node.create_publisher(Image, 'image_raw', camera_qos)
        self.infos = self.node.create_publisher(CameraInfo, 'camera_info', camera_qos)
        self.joints = self.node.create_publisher(JointState, 'joint_states', 10)
        self.exemplars = self.node.create_publisher(Image, 'gaze/exemplar', LATCHED)
        self.look_ats = self.node.create_publisher(PointStamped, 'gaze/look_at', 10)
        self.rng = np.random.default_rng(0)
        self.pan = 0.0

    def now(self):
        return self.node.get_clock().now().nanoseconds * 1e-9

    def header(self, frame_id='camera_optical_frame'):
        return _messages.header(_messages.stamp(self.now()), frame_id)

    def joint(self):
        self.joints.publish(_messages.joint_state_from_pose(
            PanTiltState(self.pan, 0.0, stamp_s=self.now())))

    def picture(self, image=None, info=True):
        """One head pose, camera_info and picture, all of now."""
        self.joint()
        self.spin(0.01)
        header = self.header()
        if info:
            self.infos.publish(_messages.info_from_camera(CAMERA, header))
        if image is None:
            image = self.rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        message = _messages.ImageFiller()(image, header)
        self.stamps.add((header.stamp.sec, header.stamp.nanosec))
        self.images.publish(message)

    def spin(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.executor.spin_once(timeout_sec=0.005)

    def run(self, seconds, rate=15, until=lambda: False):
        """Take pictures at a rate for some time; returns early once `until` holds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            self.picture()
            self.spin(1 / rate)

    def call(self, kind, name, request):
        client = self.node.create_client(kind, name)
        assert client.wait_for_service(5)
        future = client.call_async(request)
        self.executor.spin_until_future_complete(future, 5)
        return future.result()


@pytest.fixture
def executor(ros):
    executor = SingleThreadedExecutor()
    yield executor
    for node in executor.get_nodes():
        executor.remove_node(node)
        if isinstance(node, GazeNode):
            node.close()
        node.destroy_node()


@pytest.fixture
def make_gaze(executor, checkpoint):
    def make(start=True, **parameters):
        node = GazeNode(parameter_overrides=[
            Parameter(name, value=value)
            for name, value in {'model.path': checkpoint, **parameters}.items()])
        executor.add_node(node)
        if start:
            node.autostart()
            assert node.state == 'active'
        return node
    return make


def dropped(node):
    return node.stats.dropped.as_dict()


def norm(point):
    return math.sqrt(point.x ** 2 + point.y ** 2 + point.z ** 2)


@pytest.mark.parametrize('camera_qos', [10, qos_profile_sensor_data],
                         ids=['reliable', 'best_effort'])
def test_every_output_reaches_another_process(executor, checkpoint, camera_qos, root):
    """Types, quality of service and stamps as another node of another process sees them."""
    gaze = subprocess.Popen([
        sys.executable, '-m', 'gaze_robot.nodes.gaze_node', '--ros-args',
        '-p', f'model.path:={checkpoint}', '-p', 'processing_rate:=20'], cwd=root)
    try:
        robot = Robot(executor, camera_qos)
        exemplar = robot.rng.integers(0, 256, (24, 24, 3), np.uint8)
        robot.exemplars.publish(_messages.ImageFiller()(exemplar, robot.header('')))
        robot.run(120, until=lambda: len(robot.heard['/gaze/fixation']) > 8
                  and robot.heard['/diagnostics'] and robot.heard['/gaze/salience'])
        point = _messages.point_from_ray(np.array([0.6, 0.8, 0.0]), robot.header('base_link'))
        robot.look_ats.publish(point)
        robot.run(5, until=lambda: robot.heard['/gaze/target']
                  and robot.heard['/gaze/debug_image/compressed'])
    finally:
        gaze.terminate()
        gaze.wait(10)
    assert {topic for topic in OUTPUTS if not robot.heard[topic]} == set()
    check_rays(robot)
    check_pictures(robot)
    trajectory = robot.heard['/joint_trajectory'][-1]
    assert (trajectory.header.stamp.sec, trajectory.header.stamp.nanosec) == (0, 0)
    assert trajectory.joint_names == ['pan', 'tilt']
    assert [len(point.velocities) for point in trajectory.points] == [2]
    status = robot.heard['/diagnostics'][-1].status[0]
    values = {each.key: each.value for each in status.values}
    assert status.name == '/gaze: eye'
    assert values['device'] in ('cpu', 'cuda')
    assert {'image age at command p95 [ms]', 'perceive p50 [ms]', 'in [Hz]'} <= values.keys()


def check_rays(robot):
    for message in robot.heard['/gaze/fixation']:
        assert (message.header.stamp.sec, message.header.stamp.nanosec) in robot.stamps
        assert message.header.frame_id == 'camera_optical_frame'
        assert norm(message.point) == pytest.approx(1)
    target = robot.heard['/gaze/target'][-1]
    assert (target.header.stamp.sec, target.header.stamp.nanosec) in robot.stamps
    assert target.header.frame_id == 'base_link'
    assert (target.point.x, target.point.y, target.point.z) == pytest.approx((0.6, 0.8, 0.0))
    cloud = robot.heard['/gaze/gaze_targets'][-1]
    assert [field.name for field in cloud.fields] == [
        'x', 'y', 'z', 'source', 'id', 'confidence', 'in_frame',
        'head_xmin', 'head_ymin', 'head_xmax', 'head_ymax']
    assert len(cloud.data) == cloud.width * cloud.point_step == cloud.row_step


def check_pictures(robot):
    debug = robot.heard['/gaze/debug_image'][-1]
    assert (debug.width, debug.height, debug.encoding) == (WIDTH, HEIGHT, 'rgb8')
    jpeg = np.frombuffer(robot.heard['/gaze/debug_image/compressed'][-1].data, np.uint8)
    assert cv2.imdecode(jpeg, cv2.IMREAD_COLOR).shape == (HEIGHT, WIDTH, 3)
    fovea, info = (robot.heard[f'/gaze/fovea/{topic}'][-1] for topic in ('image_raw',
                                                                         'camera_info'))
    assert (info.width, info.height) == (WIDTH, HEIGHT)
    assert (fovea.width, fovea.height) == (info.roi.width, info.roi.height)
    assert info.roi.x_offset == round(WIDTH / 2 - info.roi.width / 2)
    heat = robot.heard['/gaze/salience'][-1]
    assert heat.encoding == '32FC1'
    values = np.frombuffer(heat.data, np.float32)
    assert np.isfinite(values).all()
    assert values.max() > 0


def test_bad_pictures_are_counted_by_reason_and_the_node_goes_on(executor, make_gaze):
    gaze, robot = make_gaze(processing_rate=200.0), Robot(executor, listen=())
    robot.run(2, until=lambda: gaze.stats.processed.count > 0)
    robot.spin(0.3)
    good = gaze.stats.processed.count
    bad = {
        'empty': Image(encoding='rgb8'),
        'unknown encoding': Image(encoding='h265', width=4, height=4, step=4, data=bytes(16)),
        'wrong size': Image(encoding='rgb8', width=64, height=64, step=192, data=bytes(100)),
        'not finite': Image(encoding='32FC1', width=8, height=8, step=32,
                            data=np.full(64, np.nan, np.float32).tobytes()),
        'stale': Image(encoding='rgb8', width=8, height=8, step=24, data=bytes(192)),
    }
    for reason, message in bad.items():
        robot.joint()
        robot.spin(0.02)
        message.header = robot.header()
        if reason == 'stale':
            message.header.stamp.sec -= 10
        robot.images.publish(message)
        robot.spin(0.1)
    assert dropped(gaze).items() >= dict.fromkeys(bad, 1).items()
    for image in (np.zeros((HEIGHT, WIDTH, 3), np.uint8),                       # black
                  np.zeros((120, 160, 3), np.uint8),                            # another size
                  np.linspace(0, 5, 160 * 120, dtype=np.float32).reshape(120, 160)):   # depth
        robot.picture(image)
        robot.spin(0.2)
    assert gaze.stats.processed.count == good + 3


def test_a_glance_that_took_too_long_commands_nothing(executor, make_gaze, capfd):
    gaze, robot = make_gaze(), Robot(executor, listen=('/joint_trajectory', '/gaze/fixation'))
    look = gaze._eye.pipeline.step

    def slow(*seen):
        time.sleep(0.3)                                     # max_image_age is 0.25 s
        return look(*seen)
    gaze._eye.pipeline.step = slow
    robot.run(5, until=lambda: dropped(gaze).get('stale', 0) > 1)
    assert dropped(gaze)['stale'] > 1
    assert gaze.stats.processed.count == 0
    assert not robot.heard['/joint_trajectory']
    assert not robot.heard['/gaze/fixation']
    assert 'max_image_age' in capfd.readouterr().err


def test_the_start_says_which_optional_messages_are_there(make_gaze, capfd):
    make_gaze()
    said = capfd.readouterr().err
    for name in ('vision_msgs', 'control_msgs', 'tf2_msgs', 'cv_bridge'):
        assert name in said


def test_without_joint_states_nothing_is_aimed(executor, make_gaze):
    gaze, robot = make_gaze(), Robot(executor, listen=())
    robot.joint = lambda: None
    robot.run(0.5)
    assert gaze.stats.commands.count == 0
    assert dropped(gaze)['no pose'] == gaze.stats.frames_in.count > 0


def test_an_electronic_eye_needs_no_head(executor, make_gaze):
    gaze = make_gaze(eye='picture', exemplar='auto')
    robot = Robot(executor, listen=('/gaze/fixation', '/joint_trajectory'))
    robot.joint = lambda: None
    robot.run(5, until=lambda: len(robot.heard['/gaze/fixation']) > 5)
    assert len(robot.heard['/gaze/fixation']) > 5
    assert robot.heard['/joint_trajectory'] == []
    assert gaze.stats.commands.count == gaze.stats.processed.count


def test_compressed_pictures(executor, make_gaze):
    gaze, robot = make_gaze(image_transport='compressed'), Robot(executor, listen=())
    camera = robot.node.create_publisher(CompressedImage, 'image_raw/compressed', 10)
    for fmt in ('.jpg', '.png', 'damaged'):
        image = robot.rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        data = b'\xff\xd8\xff cut off' if fmt == 'damaged' else \
            cv2.imencode(fmt, image)[1].tobytes()
        for _ in range(20):
            robot.joint()
            robot.spin(0.02)
            camera.publish(CompressedImage(header=robot.header(), format=fmt, data=data))
            robot.spin(0.05)
            if fmt == 'damaged' or gaze.stats.processed.count >= (1 if fmt == '.jpg' else 22):
                break
    assert gaze.stats.processed.count >= 2
    assert dropped(gaze)['damaged'] == 1


def test_every_frame_is_accounted_for(executor, make_gaze):
    gaze, robot = make_gaze(), Robot(executor, listen=())
    robot.run(10, rate=60, until=lambda: gaze.stats.frames_in.count > 20)
    gaze.trigger_deactivate()
    assert gaze.stats.frames_in.count > 20
    assert gaze.stats.processed.count + sum(dropped(gaze).values()) == gaze.stats.frames_in.count


def test_enable_and_reset(executor, make_gaze):
    gaze, robot = make_gaze(), Robot(executor, listen=('/gaze/mode',))
    robot.run(3, until=lambda: gaze.stats.commands.count > 0)
    assert robot.call(SetBool, 'gaze/enable', SetBool.Request(data=False)).success
    before = gaze.stats.commands.count
    robot.run(0.5)
    assert gaze.stats.commands.count == before
    assert dropped(gaze)['disabled'] > 0
    assert robot.heard['/gaze/mode'][-1].data == 'stopped'
    assert robot.call(SetBool, 'gaze/enable', SetBool.Request(data=True)).success
    assert robot.call(Trigger, 'gaze/reset', Trigger.Request()).success
    robot.run(3, until=lambda: gaze.stats.commands.count > before)
    assert gaze.stats.commands.count > before


def test_look_at_turns_the_head_there_and_times_out(executor, make_gaze):
    gaze = make_gaze(target_timeout=0.5)
    robot = Robot(executor, listen=('/joint_trajectory', '/gaze/target', '/gaze/mode'))
    robot.run(3, until=lambda: gaze.stats.commands.count > 0)
    ray = np.array([math.cos(0.7), math.sin(0.7), 0.0])              # 40 degrees to the left
    robot.look_ats.publish(_messages.point_from_ray(ray, robot.header('base_link')))
    robot.run(3, until=lambda: robot.heard['/gaze/target'])
    robot.run(0.2)
    goal = robot.heard['/joint_trajectory'][-1].points[0].positions
    assert list(goal) == pytest.approx([0.7, 0.0], abs=0.01)
    robot.run(1.0)
    assert robot.heard['/gaze/mode'][-1].data == 'idle'


def test_a_wrong_model_fails_configure_and_leaves_the_node_alive(executor, make_gaze, tmp_path):
    gaze = make_gaze(start=False, **{'model.path': str(tmp_path / 'nothing')})
    assert gaze.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert gaze.state == 'unconfigured'
    assert gaze.get_parameter('model.path').value == str(tmp_path / 'nothing')


def test_the_limits_of_the_head_are_kept(make_gaze):
    gaze = make_gaze(**{'limits.pan.max_position': 0.5})
    assert gaze._eye.pipeline.limits.max_position[0] == 0.5


def test_configuring_again_after_a_repaired_parameter(executor, make_gaze, checkpoint):
    gaze = make_gaze(start=False, **{'model.path': '/nothing'})
    assert gaze.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert gaze.set_parameters([Parameter('model.path', value=checkpoint)])[0].successful
    gaze.autostart()
    assert gaze.state == 'active'
    refused = gaze.set_parameters([Parameter('hfov_deg', value=60.0)])[0]
    assert not refused.successful
    assert 'configure' in refused.reason


def test_a_misspelt_parameter_is_named_with_its_nearest_match(executor, make_gaze, capfd):
    gaze = make_gaze(start=False, max_image_aeg=0.5)
    assert gaze.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert 'max_image_age' in capfd.readouterr().err


def test_a_second_life_after_cleanup(executor, make_gaze):
    gaze, robot = make_gaze(), Robot(executor, listen=())
    publishers = len(list(gaze.publishers))
    robot.run(3, until=lambda: gaze.stats.commands.count > 0)
    for step in (gaze.trigger_deactivate, gaze.trigger_cleanup, gaze.trigger_configure,
                 gaze.trigger_activate):
        assert step() == TransitionCallbackReturn.SUCCESS
    assert len(list(gaze.publishers)) == publishers
    before = gaze.stats.commands.count
    robot.run(3, until=lambda: gaze.stats.commands.count > before)
    assert gaze.stats.commands.count > before


def test_pictures_before_activate_are_counted_not_processed(executor, make_gaze):
    gaze, robot = make_gaze(start=False), Robot(executor, listen=())
    assert gaze.trigger_configure() == TransitionCallbackReturn.SUCCESS
    robot.run(0.4)
    assert dropped(gaze)['not active'] == gaze.stats.frames_in.count > 0
