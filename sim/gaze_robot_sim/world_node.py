"""world_node: the simulator as a camera, and the task giver who knows the answer."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
import math
import sys
from typing import Any

import cv2
from geometry_msgs.msg import PointStamped
import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Float64, Header

from gaze_robot.calibration.board import Board
from gaze_robot.camera import CameraModel
from gaze_robot.camera_file import at_size, load_calibration
from gaze_robot.config import WorldConfig
from gaze_robot.errors import ConfigError, WorldError
from gaze_robot.exemplars import at_camera_scale
from gaze_robot.nodes import _messages, _qos
from gaze_robot.nodes._lifecycle import run
from gaze_robot.nodes._params import declare_config, given_parameters
from gaze_robot.optional import require
from gaze_robot.shipped import WORKSPACE
from gaze_robot_sim.dynamics import EyeDynamics
from gaze_robot_sim.follow_game import FollowGame, Visit
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes import open_world
from gaze_robot_sim.scenes.base import World
from gaze_robot_sim.scenes.board import StandingBoard
from gaze_robot_sim.scenes.movers import OverlaidWorld
from gaze_robot_sim.search_game import Search, SearchGame
from gaze_robot_sim.virtual_camera import Rig, Shot, VirtualCamera

SHOWN_WIDTH = 2048
"""Of the panorama for people, pixels."""


class WorldNode(Node):
    """A world seen by the virtual pan-tilt camera; parameters are `WorldConfig`.

    In: joint_states. Out: image_raw, camera_info, gaze/exemplar (what to look for),
    ~/target (where it truly is, base frame), ~/gaze_error (radians between gaze and target),
    and while somebody listens ~/panorama/compressed, the surrounding when it changes.
    With `game` follow, a figure shows by its gaze alone what to look at.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__('world', **options)
        self.config = config = declare_config(self, WorldConfig)
        self.world = OverlaidWorld(open_world(config.world, config.seed), config.movers,
                                   config.seed)
        self.game = _game(self.world, config)
        self.panorama = self.game.scene.panorama(0.0)
        self.camera = VirtualCamera(_lens(config), EyeDynamics.named(config.dynamics),
                                    np.random.default_rng([config.seed, 1]), _rig(config))
        self.shot: Shot | None = None
        self.published = 0
        """Pictures so far."""
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix='task')
        self._choosing: Future[Search] | Future[Visit] | None = None
        self._first = True
        self._retry_s = -math.inf
        self._start_s = self._frame_s = self._now_s()
        self._open(config)

    def _open(self, config: WorldConfig) -> None:
        self._fill, self._fill_exemplar = _messages.ImageFiller(), _messages.ImageFiller()
        out = _qos.camera_out(config.reliability)
        self._image_pub = self.create_publisher(Image, 'image_raw', **_qos.overridable(out))
        self._info_pub = self.create_publisher(CameraInfo, 'camera_info',
                                               **_qos.overridable(out))
        self._exemplar_pub = self.create_publisher(Image, 'gaze/exemplar', _qos.LATCHED)
        self._target_pub = self.create_publisher(PointStamped, '~/target', _qos.COMMAND)
        self._error_pub = self.create_publisher(Float64, '~/gaze_error', _qos.COMMAND)
        self.create_subscription(JointState, 'joint_states', self._on_joints,
                                 **_qos.overridable(_qos.JOINT_STATES_IN))
        self._panorama_pub = self.create_publisher(CompressedImage, '~/panorama/compressed',
                                                   _qos.LATCHED)
        self._shown: Panorama | None = None
        self._timer = self.create_timer(1.0 / config.rate, self._on_frame)
        self.create_timer(1.0, self._show_panorama)
        self.get_logger().info(f'world {self.world.name}: {config.width}x{config.height} at '
                               f'{config.rate:g} Hz, {config.reliability}')

    def pause(self) -> None:
        """Take no more pictures."""
        self._timer.cancel()

    def close(self) -> None:
        """End the task thread and close the world's files."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.world.close()

    def _on_joints(self, message: JointState) -> None:
        pose = _messages.pose_from_joint_state(message, self.config.joints)
        if pose is not None:
            self.camera.poses.add(pose)
        elif self.camera.poses.latest is None:
            self.get_logger().warning(
                f'joint_states hold {list(message.name)} and not the joints {self.config.joints}: '
                'the camera stands still; set the parameter joints', once=True)

    def _on_frame(self) -> None:
        if self.camera.loses_picture():
            return
        now = self._now_s()
        if now < self._frame_s - 1.0:
            self._begin_again(now)
        self._frame_s = now
        self._refresh_panorama(now - self._start_s)
        self.shot = shot = self.camera.shoot(self.panorama, now,
                                             self.game.scene.sprites(now - self._start_s))
        header = Header(stamp=_messages.stamp(shot.pose.stamp_s),
                        frame_id=f'{self.config.frame_prefix}camera_optical_frame')
        self._info_pub.publish(_messages.info_from_camera(self.camera.camera, header))
        self._image_pub.publish(self._fill(shot.image, header))
        self.published += 1
        self._play(shot, now)

    def _begin_again(self, now: float) -> None:
        """The clock was set back: what moves, and the search, begin anew at the new time."""
        self._start_s, self._retry_s = now, -math.inf
        self.game.begin_again(now)

    def _refresh_panorama(self, t_s: float) -> None:
        try:
            self.panorama = self.game.scene.panorama(t_s)
        except WorldError as error:
            self.get_logger().error(f'showing the last good picture: {error}',
                                    throttle_duration_sec=10.0)

    def _show_panorama(self) -> None:
        if self._panorama_pub.get_subscription_count() and self._shown is not self.panorama:
            self._shown = self.panorama
            self._pool.submit(self._publish_panorama, self.panorama)

    def _publish_panorama(self, panorama: Panorama) -> None:
        size = (min(SHOWN_WIDTH, panorama.width), min(SHOWN_WIDTH, panorama.width) // 2)
        small = cv2.resize(panorama.image, size, interpolation=cv2.INTER_AREA)
        header = Header(stamp=_messages.stamp(self._now_s()),
                        frame_id=f'{self.config.frame_prefix}base_link')
        self._panorama_pub.publish(_messages.jpeg_message(small, header))

    def _play(self, shot: Shot, now: float) -> None:
        """Judge the gaze; when a search has ended, have the next one chosen in the background."""
        ended = self.game.watch(shot.gaze, now)
        if ended is not None:
            self.get_logger().info(f'{ended}: {self.game.log.report()}')
        if self.game.target is not None:
            header = Header(stamp=_messages.stamp(shot.pose.stamp_s),
                            frame_id=f'{self.config.frame_prefix}base_link')
            self._target_pub.publish(_messages.point_from_ray(self.game.target.direction, header))
            self._error_pub.publish(Float64(data=self.game.error_rad))
        elif self._choosing is None and now >= self._retry_s:
            choose: Any = self.game.choose
            self._choosing = self._pool.submit(choose, shot.gaze, now - self._start_s,
                                               not self._first)
            self._first = False
        elif self._choosing is not None and self._choosing.done():
            chosen, self._choosing = self._choosing, None
            self._begin(chosen, now)

    def _begin(self, chosen: 'Future[Search] | Future[Visit]', now: float) -> None:
        try:
            search: Any = chosen.result()
        except (WorldError, ConfigError) as error:
            self.get_logger().error(f'no task: {error}', throttle_duration_sec=10.0)
            self._retry_s = now + 2.0
            return
        self.game.begin(search, now)
        self._refresh_panorama(now - self._start_s)
        if search.target.exemplar is None:
            return
        picture = at_camera_scale(search.target.exemplar, self.camera.camera)
        header = Header(stamp=_messages.stamp(now), frame_id=search.target.name)
        self._exemplar_pub.publish(self._fill_exemplar(picture, header))

    def _now_s(self) -> float:
        return _messages.seconds(self.get_clock().now().to_msg())


def _game(world: World, config: WorldConfig) -> SearchGame | FollowGame:
    rng = np.random.default_rng(config.seed)
    if config.game == 'follow':
        return FollowGame(world, rng, config.limits)
    return SearchGame(world, rng, config.hold_s, config.search_timeout_s,
                      math.radians(config.max_start_deg), config.limits)


def _lens(config: WorldConfig) -> CameraModel:
    if config.camera_info:
        return at_size(load_calibration(config.camera_info), config.width, config.height)
    return CameraModel.from_hfov(config.width, config.height, math.radians(config.hfov_deg))


def _rig(config: WorldConfig) -> Rig:
    board = StandingBoard(Board.parse(config.board), config.board_xyz, config.board_rpy,
                          config.board_waved) if config.board else None
    return Rig(config.geometry, config.true_zero, config.true_direction, board)


def _make() -> Node:
    """The node that the parameter `world` asks for."""
    asking = Node('world')
    wanted = str(given_parameters(asking).get('world', ''))
    asking.destroy_node()
    if wanted.startswith(WORKSPACE):
        node: Node = require('gaze_robot_sim.workspace_node').WorkspaceNode()
        return node
    return WorldNode()


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is stopped."""
    return run(_make, args)


if __name__ == '__main__':
    sys.exit(main())
