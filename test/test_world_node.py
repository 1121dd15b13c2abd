"""world_node on real rclpy: pictures, ground truth and tasks as other nodes see them."""

from collections import defaultdict
import math
import time

import cv2
import numpy as np
import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip('rclpy', reason='needs rclpy')

from geometry_msgs.msg import PointStamped  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import DurabilityPolicy, qos_profile_sensor_data, QoSProfile  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image, JointState  # noqa: E402
from std_msgs.msg import Float64  # noqa: E402

from gaze_robot.camera import CameraModel  # noqa: E402
from gaze_robot.errors import ConfigError, WorldError  # noqa: E402
from gaze_robot.exemplars import exemplar_from_picture  # noqa: E402
from gaze_robot.geometry import angle_between, pan_tilt_from_direction  # noqa: E402
from gaze_robot.nodes import _messages  # noqa: E402
from gaze_robot.types import PanTiltState  # noqa: E402
from gaze_robot_sim.world_node import WorldNode  # noqa: E402

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
TOPICS = {'image_raw': (Image, qos_profile_sensor_data),
          'camera_info': (CameraInfo, qos_profile_sensor_data),
          'world/target': (PointStamped, 10), 'world/gaze_error': (Float64, 10)}


@pytest.fixture(scope='module')
def ros():
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture(scope='module')
def panorama_file(tmp_path_factory):
    """Blobs of every colour: much to look for, nothing twice."""
    image = np.random.default_rng(3).integers(0, 256, (256, 512, 3), np.uint8)
    image = cv2.normalize(cv2.GaussianBlur(image, (0, 0), 1.5), None, 0, 255, cv2.NORM_MINMAX)
    path = tmp_path_factory.mktemp('world') / 'blobs.png'
    cv2.imwrite(str(path), image)
    return str(path)


class Stage:
    """The world, and somebody with a head who looks at it."""

    def __init__(self, panorama_file, **parameters):
        self.executor = SingleThreadedExecutor()
        self.world = WorldNode(parameter_overrides=[
            Parameter(name, value=value) for name, value in {
                'world': panorama_file, 'width': 160, 'height': 120, **parameters}.items()])
        self.robot = rclpy.create_node('robot')
        self.executor.add_node(self.world)
        self.executor.add_node(self.robot)
        self.heard = defaultdict(list)
        for topic, (kind, qos) in TOPICS.items():
            self.robot.create_subscription(kind, topic, self.heard[topic].append, qos)
        self.joints = self.robot.create_publisher(JointState, 'joint_states', 10)
        self.pose = PanTiltState(0.0, 0.0)

    def spin(self, seconds, until=lambda: False):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            now = self.robot.get_clock().now().nanoseconds * 1e-9
            self.joints.publish(_messages.joint_state_from_pose(
                PanTiltState(self.pose.pan_rad, self.pose.tilt_rad, stamp_s=now)))
            for _ in range(5):
                self.executor.spin_once(timeout_sec=0.002)

    def look(self, direction):
        pan, tilt = pan_tilt_from_direction(direction)
        self.pose = PanTiltState(float(pan), float(tilt))

    def close(self):
        self.world.close()
        self.world.destroy_node()
        self.robot.destroy_node()


@pytest.fixture
def stage(ros, panorama_file, request):
    stage = Stage(panorama_file, **getattr(request, 'param', {}))
    yield stage
    stage.close()


@pytest.mark.parametrize('stage', [{'reliability': 'reliable'}, {'reliability': 'best_effort'}],
                         indirect=True, ids=['reliable', 'best_effort'])
def test_it_is_a_camera(stage):
    stage.spin(5, until=lambda: len(stage.heard['image_raw']) > 10)
    images, infos = stage.heard['image_raw'], stage.heard['camera_info']
    assert {(image.width, image.height, image.encoding) for image in images} == {
        (160, 120, 'rgb8')}
    assert {image.header.frame_id for image in images} == {'camera_optical_frame'}
    stamps = [_messages.seconds(image.header.stamp) for image in images]
    assert np.all(np.diff(stamps) > 0)
    assert {_messages.seconds(info.header.stamp) for info in infos} & set(stamps)
    camera = _messages.camera_from_info(infos[-1], 160, 120)
    assert math.degrees(camera.hfov_rad) == pytest.approx(90)


def test_the_picture_is_what_the_turned_camera_sees(stage):
    camera = CameraModel.from_hfov(160, 120, math.pi / 2)
    stage.pose = PanTiltState(1.0, -0.2)
    stage.spin(1.0)
    seen = _messages.rgb_from_image(stage.heard['image_raw'][-1])
    np.testing.assert_array_equal(seen, stage.world.panorama.picture(camera, 1.0, -0.2))


@pytest.mark.parametrize('stage', [{'dynamics': 'typical'}], indirect=True)
def test_a_webcam_is_noisy_where_an_ideal_camera_is_not(stage):
    stage.spin(5, until=lambda: len(stage.heard['image_raw']) > 3)
    seen = _messages.rgb_from_image(stage.heard['image_raw'][-1]).astype(float)
    clean = stage.world.panorama.picture(stage.world.camera.camera, 0.0, 0.0)
    for colour in range(3):                                 # each has its own gain: the light
        before, after = clean[..., colour].astype(float), seen[..., colour]
        middle = (before > 20) & (before < 200)
        light = (before * after)[middle].sum() / (before ** 2)[middle].sum()
        assert (after - light * before)[middle].std() == pytest.approx(2.0, rel=0.1)


def test_a_search_is_given_judged_and_followed_by_the_next(stage):
    stage.world.game._hold_s = 0.2
    stage.spin(5, until=lambda: stage.heard['world/gaze_error'])
    message = stage.heard['world/target'][-1]
    assert message.header.frame_id == 'base_link'
    direction = np.array([message.point.x, message.point.y, message.point.z])
    error = angle_between(direction, stage.world.shot.gaze)
    assert stage.heard['world/gaze_error'][-1].data == pytest.approx(float(error), abs=1e-6)
    stage.look(direction)
    stage.spin(3, until=lambda: stage.world.game.log.searches > 0)
    assert stage.world.game.log.report()['found_within_5deg'] == 1
    seen = len(stage.heard['world/target'])
    stage.spin(5, until=lambda: len(stage.heard['world/target']) > seen)
    other = stage.heard['world/target'][-1]
    assert (other.point.x, other.point.y) != (message.point.x, message.point.y)


def test_a_late_node_gets_the_exemplar_at_the_cameras_own_scale(stage):
    stage.spin(5, until=lambda: stage.heard['world/target'])
    target, heard = stage.world.game.target, []
    stage.robot.create_subscription(Image, 'gaze/exemplar', heard.append, LATCHED)
    stage.spin(3, until=lambda: heard)
    exemplar = exemplar_from_picture(_messages.rgb_from_image(heard[-1]),
                                     stage.world.camera.camera)
    assert exemplar.width_rad == pytest.approx(target.width_rad, abs=1 / 80)    # one pixel


@pytest.mark.parametrize('stage', [{'movers': 2}], indirect=True)
def test_movers_are_where_their_paths_say(stage):
    """Followed by the head, a mover stays in the middle while what is behind it changes."""
    mover, places = stage.world.game.scene.movers[-1], []
    camera = CameraModel.from_hfov(160, 120, math.pi / 2)

    def follow():
        now = stage.robot.get_clock().now().nanoseconds * 1e-9
        stage.look(mover.path.direction(now - stage.world._start_s))
        shot = stage.world.shot
        if shot is not None:
            behind = stage.world.panorama.picture(camera, shot.pose.pan_rad, shot.pose.tilt_rad)
            middle = (slice(50, 70), slice(70, 90))
            places.append((shot.pose.pan_rad,
                           np.abs(behind[middle].astype(int) - shot.image[middle]).max()))
        return False

    stage.spin(2.0, until=follow)
    pans, changes = np.array(places[len(places) // 4:]).T
    assert (changes > 25).mean() > 0.9
    assert np.ptp(pans) > 0.01


@pytest.mark.parametrize('stage', [{'search_timeout_s': 0.3}], indirect=True)
def test_a_search_times_out(stage):
    stage.spin(6, until=lambda: stage.world.game.log.timeouts)
    assert stage.world.game.log.report()['searches'] >= 1


def test_each_search_is_in_the_next_picture_and_a_bad_one_is_passed_over(ros, panorama_file,
                                                                         tmp_path, capfd):
    good = cv2.imread(panorama_file)
    cv2.imwrite(str(tmp_path / 'a.png'), good)
    (tmp_path / 'b.png').write_bytes(b'no picture')
    cv2.imwrite(str(tmp_path / 'c.png'), good[:, ::-1])
    stage = Stage(str(tmp_path), search_timeout_s=0.2)
    try:
        assert stage.world.game.scene.name == 'a.png'
        stage.spin(8, until=lambda: stage.world.game.scene.name == 'c.png')
        np.testing.assert_array_equal(stage.world.panorama.image, good[:, ::-1, ::-1])
        assert 'b.png' in capfd.readouterr().err
    finally:
        stage.close()


@pytest.mark.parametrize('stage', [{'joints': ['neck_yaw', 'neck_pitch']}], indirect=True)
def test_only_the_joints_of_the_head_turn_the_camera(stage, capfd):
    stage.pose = PanTiltState(1.0, -0.2)
    stage.spin(0.5)
    assert stage.world.shot.pose.pan_rad == 0.0
    assert capfd.readouterr().err.count('neck_yaw') == 1
    message = JointState(name=['neck_yaw', 'neck_pitch'], position=[0.4, 0.1])
    message.header.stamp = stage.robot.get_clock().now().to_msg()
    stage.joints.publish(message)
    stage.spin(0.5, until=lambda: stage.world.shot.pose.pan_rad == 0.4)
    assert stage.world.shot.pose.pan_rad == 0.4


@pytest.mark.parametrize('stage', [{'limits.pan.max_position': 0.5}], indirect=True)
def test_targets_lie_within_the_limits_of_the_head(stage):
    assert stage.world.game._limits.max_position[0] == 0.5


def test_a_missing_world_and_a_misspelt_parameter_say_what_to_do(ros, tmp_path):
    with pytest.raises(WorldError, match=r'nowhere\.jpg'):
        WorldNode(parameter_overrides=[Parameter('world', value=str(tmp_path / 'nowhere.jpg'))])
    with pytest.raises(ConfigError, match='hold_s'):
        WorldNode(parameter_overrides=[Parameter('holds_s', value=1.0)])


@pytest.mark.long
@pytest.mark.parametrize('stage', [{'use_sim_time': True, 'search_timeout_s': 1.0}],
                         indirect=True)
def test_a_clock_set_back_starts_the_world_anew(stage):
    """Pictures and searches follow the new time at once, not when the old one comes again."""
    clock = stage.robot.create_publisher(Clock, '/clock', 1)

    def run(begin_s, length_s):
        for step in range(int(length_s * 50)):
            clock.publish(Clock(clock=_messages.stamp(begin_s + step / 50)))
            stage.spin(0.02)
    run(1000.0, 4.0)
    ended = stage.world.game.log.searches
    assert ended > 0
    stage.heard['image_raw'].clear()
    run(10.0, 4.0)
    stamps = [_messages.seconds(image.header.stamp) for image in stage.heard['image_raw']]
    assert len(stamps) > 20
    assert 9.9 < stamps[-1] < 14.1
    assert stage.world.game.log.searches > ended
