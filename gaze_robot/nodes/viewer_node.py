"""viewer_node: the page a person watches. Takes no part in control; lossy, and in no hurry."""

from collections.abc import Sequence
import os
import signal
import sys
import threading
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from gaze_robot.config import ViewerConfig
from gaze_robot.errors import GazeRobotError
from gaze_robot.nodes._lifecycle import make_executor, prepare_log_folder
from gaze_robot.nodes._params import declare_config
from gaze_robot.nodes._viewer_feed import Feed
from gaze_robot.nodes._viewer_robot import RosRobot
from gaze_robot.optional import require
from gaze_robot.viewer.board import Board

LINGER_S = 5.0
"""How long a page that was reloaded may take to come back before the topics are let go."""


class ViewerNode(Node):
    """Gathers what the page shows, while somebody looks; parameters are `ViewerConfig`.

    In: image_raw (or image_raw/compressed), gaze/glance, gaze/mosaic and what else the nodes tell;
    nothing while no browser is there. Out: gaze/look_at, gaze/exemplar, gaze/prompt.
    """

    key, live = 'now', True

    def __init__(self, **options: Any) -> None:
        super().__init__('viewer', **options)
        self.config = declare_config(self, ViewerConfig)
        self.title = self.get_namespace().strip('/')
        self.board = Board()
        self.robot = RosRobot(self, self.config, self.board)
        self._feed = Feed(self, self.config, self.board)
        self._browsers = 0
        self._alone_since_s: float | None = None
        self.create_timer(0.2, self._follow)

    def watched(self, browsers: int) -> None:
        """Say how many browsers look; any thread."""
        self._browsers = browsers

    def close(self) -> None:
        """Stop listening, and recording."""
        self._browsers = 0
        self.robot.close()

    def listen(self, wanted: bool) -> None:
        """Begin or stop to listen to the robot; in the executor's thread."""
        self._feed.set_open(wanted)

    def _follow(self) -> None:
        now_s = self.get_clock().now().nanoseconds * 1e-9
        if self._browsers > 0:
            self._alone_since_s = None
            self.listen(True)
        elif self._feed.open:
            self._alone_since_s = self._alone_since_s or now_s
            if now_s - self._alone_since_s > LINGER_S:
                self.listen(False)


def main(args: Sequence[str] | None = None) -> int:
    """Serve the page until Ctrl-C, SIGTERM or shutdown."""
    prepare_log_folder()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # The page's server takes the signals; ROS is shut down after it.
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    node: ViewerNode | None = None
    try:
        address = require('gaze_robot.viewer.address')
        server = require('gaze_robot.viewer.server')
        node = ViewerNode()
        os.nice(node.config.niceness)           # the robot comes first
        thread = threading.Thread(target=_spin, args=(node,), name='ros', daemon=True)
        thread.start()
        logger = node.get_logger()
        warning = address.exposure_warning(node.config)
        if warning:
            logger.warning(warning)
        server.serve(node, node.config, lambda at: logger.info(f'page: {at}'))
    except KeyboardInterrupt:
        pass
    except GazeRobotError as error:
        get_logger('gaze_robot').fatal(str(error))
        return 1
    finally:
        rclpy.try_shutdown()
        if node is not None:
            thread.join(2.0)
            node.destroy_node()
    return 0


def _spin(node: Node) -> None:
    executor = make_executor()
    executor.add_node(node)
    try:
        while rclpy.ok():
            executor.spin_once(timeout_sec=0.5)
    except ExternalShutdownException:
        pass


if __name__ == '__main__':
    sys.exit(main())
