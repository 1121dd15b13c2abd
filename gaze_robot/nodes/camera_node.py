"""camera_node: a USB camera, stream, video, picture or folder as a standard ROS camera."""

from collections.abc import Sequence
import math
import sys
import threading
import time
import traceback
from typing import Any

import numpy as np
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from gaze_robot.camera import CameraModel
from gaze_robot.camera_file import at_size, load_calibration
from gaze_robot.config import CameraConfig
from gaze_robot.errors import CameraModelError, GazeRobotError
from gaze_robot.nodes import _messages, _qos
from gaze_robot.nodes._frames import OPTICAL
from gaze_robot.nodes._lifecycle import run
from gaze_robot.nodes._params import declare_config
from gaze_robot.nodes._sources import open_source


class CameraNode(Node):
    """Publishes image_raw, camera_info and, while somebody listens, image_raw/compressed.

    A source that gives no more pictures leaves the node idle, with one line that says why; what
    nobody foresaw ends it, so that whoever started it can start it again.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__('camera', **options)
        self._config = declare_config(self, CameraConfig)
        self._source = open_source(self._config, self.get_logger().warning)
        self._calibration = self._load_calibration()
        self._camera: CameraModel | None = None
        self.published = 0
        """Pictures so far."""
        qos = _qos.camera_out(self._config.reliability)
        self._image_pub = self.create_publisher(Image, 'image_raw', **_qos.overridable(qos))
        self._compressed_pub = self.create_publisher(
            CompressedImage, 'image_raw/compressed', **_qos.overridable(qos))
        self._info_pub = self.create_publisher(CameraInfo, 'camera_info', **_qos.overridable(qos))
        self._fill = _messages.ImageFiller()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name='camera', daemon=True)
        rate = f'{self._source.rate_hz:g} Hz' if self._source.rate_hz else 'its own rate'
        self.get_logger().info(f'camera {self._config.source!r} at {rate}')
        self._failure: Exception | None = None
        self._failed = self.create_guard_condition(self._end)
        self._thread.start()

    def pause(self) -> None:
        """Take no more pictures."""
        self._ending.set()
        self._thread.join(timeout=5.0)

    def close(self) -> None:
        """End the reading thread and let go of the source."""
        self.pause()
        self._source.close()

    def _end(self) -> None:
        """Let the node's own thread fail with what the reading thread failed with."""
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            due_s, count = time.monotonic(), 0
            while not self._ending.is_set():
                picture = self._source.read()
                if self._source.ended:
                    self.get_logger().info(f'{self._config.source!r} ended after {count} pictures')
                    return
                if picture is not None:
                    self._publish(picture)
                    count += 1
                due_s = self._wait(due_s)
        except GazeRobotError as error:
            self.get_logger().error(f'no more pictures: {error}')
        except Exception as error:  # noqa: BLE001  handed to the node's own thread
            if isinstance(error, rclpy_implementation.RCLError) and not self.context.ok():
                return                  # Ctrl-C came in the middle of a publish
            self.get_logger().fatal(f'the camera node ends: {error!r}\n{traceback.format_exc()}')
            self._failure = error
            self._failed.trigger()

    def _wait(self, due_s: float) -> float:
        """Sleep until the next picture is due and return that time; late by more than 1 s: now."""
        if not self._source.rate_hz:
            return due_s
        now_s = time.monotonic()
        due_s = max(due_s + 1.0 / self._source.rate_hz, now_s - 1.0)
        self._ending.wait(max(0.0, due_s - now_s))
        return due_s

    def _publish(self, picture: np.ndarray) -> None:
        header = _messages.header(self.get_clock().now().to_msg(),
                                  self._config.frame_prefix + OPTICAL)
        self._info_pub.publish(_messages.info_from_camera(self._lens(picture), header))
        self._image_pub.publish(self._fill(picture, header))
        self.published += 1
        if self._compressed_pub.get_subscription_count():
            self._compressed_pub.publish(_messages.jpeg_message(picture, header))

    def _load_calibration(self) -> CameraModel | None:
        if not self._config.camera_info:
            return None
        try:
            return load_calibration(self._config.camera_info)
        except CameraModelError as error:
            self.get_logger().error(f'{error}; using hfov_deg instead')
            return None

    def _lens(self, picture: np.ndarray) -> CameraModel:
        height, width = picture.shape[:2]
        if self._camera is not None and (self._camera.width, self._camera.height) == (
                width, height):
            return self._camera
        self._camera = CameraModel.from_hfov(width, height, math.radians(self._config.hfov_deg))
        if self._calibration is not None:
            try:
                self._camera = at_size(self._calibration, width, height)
            except CameraModelError as error:
                self.get_logger().error(f'{self._config.camera_info}: {error}; using hfov_deg '
                                        'instead')
        return self._camera


def main(args: Sequence[str] | None = None) -> None:
    """Run the node until Ctrl-C."""
    sys.exit(run(CameraNode, args))


if __name__ == '__main__':
    main()
