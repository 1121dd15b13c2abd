"""A camera driver whose bad days are told to it: one line of JSON on stdin changes its settings.

    {"rate": 30, "width": 320, "height": 240, "qos": "reliable", "stamp": "now", "order": "fresh"}

Run by the fault tests as a process of its own.
"""

import contextlib
import itertools
import json
import queue
import sys
import threading
import time

import cv2
import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from gaze_robot.camera import CameraModel
from gaze_robot.nodes import _messages, _qos

DEFAULTS = {'on': True, 'rate': 20.0, 'width': 320, 'height': 240, 'qos': 'best_effort',
            'compressed': False, 'info': True, 'clock': None,
            'stamp': 'now',         # 'now', 'zero', 'frozen', or seconds to add
            'order': 'fresh'}       # 'fresh', 'swapped' (every other two), 'twice' (each)


class Camera(Node):
    def __init__(self):
        super().__init__('fault_camera')
        self.lines = queue.SimpleQueue()
        self.sent, self.count = 0, 0
        self.held = None
        self.clock = self.create_publisher(Clock, '/clock', 1)
        self.set = dict(DEFAULTS)
        self.pubs = ()
        self.timer = None
        self.apply({})

    def apply(self, changes):
        self.set |= changes
        for old in self.pubs:
            self.destroy_publisher(old)
        if self.timer is not None:
            self.destroy_timer(self.timer)
        qos = _qos.camera_out(self.set['qos'])
        kind, topic = (CompressedImage, 'image_raw/compressed') if self.set['compressed'] \
            else (Image, 'image_raw')
        self.pubs = (self.create_publisher(kind, topic, qos),
                     self.create_publisher(CameraInfo, 'camera_info', qos))
        size = self.set['height'], self.set['width'], 3
        rng = np.random.default_rng(0)
        self.pictures = itertools.cycle([rng.integers(0, 256, size, np.uint8) for _ in range(3)])
        self.lens = CameraModel.from_hfov(size[1], size[0], 1.5)
        self.fill = _messages.ImageFiller()
        self.frozen = self.get_clock().now().to_msg()
        clock = rclpy.clock.Clock(clock_type=rclpy.clock.ClockType.STEADY_TIME)
        self.timer = self.create_timer(1 / self.set['rate'], self.shoot, clock=clock)

    def shoot(self):
        while not self.lines.empty():
            line = self.lines.get()
            if line is None:
                raise ExternalShutdownException
            self.apply(line)
            sys.stdout.write('applied\n')
            sys.stdout.flush()
        if self.set['clock'] is not None:       # [start, speed]: a /clock of our own
            start, speed = self.set['clock']
            self.set['clock'] = [start + speed / self.set['rate'], speed]
            self.clock.publish(Clock(clock=_messages.stamp(start)))
        if not self.set['on']:
            return
        stamps = self.stamps()
        for stamp in stamps:
            self.publish(next(self.pictures), stamp)

    def stamps(self):
        wanted = self.set['stamp']
        now_s = self.set['clock'][0] if self.set['clock'] is not None else time.time()
        if wanted == 'zero':
            stamp = _messages.stamp(0.0)
        elif wanted == 'frozen':
            stamp = self.frozen
        else:
            stamp = _messages.stamp(now_s + (0.0 if wanted == 'now' else wanted))
        if self.set['order'] == 'twice':
            return [stamp, stamp]
        if self.set['order'] == 'swapped':
            held, self.held = self.held, stamp if self.held is None else None
            return [] if held is None else [stamp, held]
        return [stamp]

    def publish(self, picture, stamp):
        header = _messages.header(stamp, 'camera_optical_frame')
        if self.set['compressed']:
            message = CompressedImage(header=header, format='jpeg')
            message.data = cv2.imencode('.jpg', picture)[1].tobytes()
        else:
            message = self.fill(picture, header)
        if self.set['info']:
            self.pubs[1].publish(_messages.info_from_camera(self.lens, header))
        self.pubs[0].publish(message)


def listen(camera):
    for line in sys.stdin:
        camera.lines.put(json.loads(line))
    camera.lines.put(None)


def main():
    rclpy.init()
    camera = Camera()
    threading.Thread(target=listen, args=(camera,), daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(camera)
    camera.destroy_node()
    rclpy.try_shutdown()


main()
