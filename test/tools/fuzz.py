"""Mutated messages and files against what reads them: no crash, no hang, no invalid output.

    python test/tools/fuzz.py --cases 100000             # random bytes and mutations, seeded
    python test/tools/fuzz.py --target image --atheris   # guided by coverage, where atheris is

A target takes bytes and decides what to make of them, so that one and the same serves random
numbers, hypothesis and atheris. It may end in a GazeRobotError and in nothing else.
"""

import argparse
import contextlib
import functools
import math
import os
from pathlib import Path
import struct
import sys
import tempfile
import time

import cv2
import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from gaze_robot.check_params import check_params, CheckParamsConfig
from gaze_robot.config import load_yaml, PanTiltConfig
from gaze_robot.control.joints import JointBuffer
from gaze_robot.control.poses import PoseBuffer
from gaze_robot.drivers.kinematic import KinematicDriver
from gaze_robot.errors import CommandError, GazeRobotError
from gaze_robot.nodes import _messages
from gaze_robot.nodes._encodings import ENCODINGS
from gaze_robot.nodes._head import Head

ROOT = Path(__file__).resolve().parents[2]
NAMES = ('pan', 'tilt', '', 'wrist', 'pan ', 'päñ')
SPECIAL = (0.0, -0.0, 1.0, math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, math.pi, 1e9)
SIZES = (0, 1, 2, 3, 4, 5, 8, 16, 31, 640, 7680, 65_535, 0x7fff_ffff, 0xffff_ffff)


class Source:
    """Choices made by bytes; when they run out, the first of everything."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        part = self.data[self.at:self.at + count]
        self.at += count
        return part.ljust(count, b'\0')

    def rest(self):
        part = self.data[self.at:]
        self.at = len(self.data)
        return part

    def below(self, count):
        return int.from_bytes(self.take(2), 'little') % count

    def one_of(self, values):
        return values[self.below(len(values))]

    def number(self):
        kind = self.below(3)
        if kind == 0:
            return self.one_of(SPECIAL)
        if kind == 1:
            return struct.unpack('<d', self.take(8))[0]
        return (self.below(2000) - 1000) / 100

    def numbers(self, most):
        return [self.number() for _ in range(self.below(most + 1))]


def image(data):
    """sensor_msgs/Image: any encoding, sizes that lie, any bytes."""
    source = Source(data)
    message = Image(
        encoding=source.one_of((*sorted(ENCODINGS), 'rgb8', 'nonsense', '')),
        width=source.one_of(SIZES), height=source.one_of(SIZES), step=source.one_of(SIZES),
        is_bigendian=source.below(2))
    message.data = source.rest()
    _check_picture(functools.partial(_messages.rgb_from_image, message), message)


@functools.cache
def _good_pictures():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (24, 32, 3), np.uint8)
    return [cv2.imencode(kind, picture, options)[1].tobytes() for kind, options in (
        ('.jpg', [cv2.IMWRITE_JPEG_QUALITY, 50]), ('.png', []),
        ('.jpg', [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]))]


def compressed(data):
    """sensor_msgs/CompressedImage: real JPEG and PNG with some bytes changed, or any bytes."""
    source = Source(data)
    kind = source.below(4)
    content = bytearray(source.rest() if kind == 3 else _good_pictures()[kind])
    for _ in range(0 if kind == 3 else source.below(8)):
        content[source.below(len(content))] = source.take(1)[0]
    if kind != 3 and source.below(4) == 0:
        del content[source.below(len(content)):]
    message = CompressedImage(format='jpeg')
    message.data = bytes(content)
    _check_picture(functools.partial(_messages.rgb_from_compressed_image, message), message)


def _check_picture(decode, message):
    if _messages.too_large(message):
        with contextlib.suppress(GazeRobotError):
            decode()
            raise AssertionError('too large, and decoded')
        return
    picture = decode()
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[2] == 3
    assert picture.size


def camera_info(data):
    """sensor_msgs/CameraInfo; a lens that is accepted must see."""
    source = Source(data)
    model, count = source.one_of((
        ('plumb_bob', 5), ('plumb_bob', 4), ('rational_polynomial', 8), ('equidistant', 4),
        ('rational_polynomial', 12), ('rational_polynomial', 14), ('fisheye', 4), ('', 0),
        ('x', 3)))
    info = CameraInfo(width=320, height=240, distortion_model=model,
                      d=[(source.below(400) - 200) / 200 for _ in range(count)])
    info.k = [300.0, 0.0, 160.0, 0.0, 300.0, 120.0, 0.0, 0.0, 1.0]
    if source.below(3) == 0:
        info.width, info.height = source.one_of(SIZES), source.one_of(SIZES)
    if source.below(3) == 0:
        info.binning_x, info.binning_y = source.below(5), source.below(5)
    if source.below(3) == 0:
        info.d = source.numbers(9)
    if source.below(3) == 0:
        info.k[source.below(9)] = source.number()
    if source.below(3) == 0:
        roi = info.roi
        roi.x_offset, roi.y_offset, roi.width, roi.height = (
            source.one_of(SIZES) for _ in range(4))
    lens = _messages.camera_from_info(info, *source.one_of((
        (320, 240), (160, 120), (640, 480), (320, 240), (1, 1), (320, 120))))
    with np.errstate(all='ignore'):             # a warning is no crash; what comes out is judged
        rays = lens.unproject(np.array([[0.5, 0.5], [lens.width / 2, lens.height / 2]]))
        pixels, visible = lens.project(np.array([[0.0, 0.0, 1.0], [0.1, -0.2, -1.0]]))
    assert np.isfinite(rays).all()
    np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1.0, atol=1e-6)
    assert np.isfinite(pixels[visible]).all()


def joint_states(data):
    """sensor_msgs/JointState, several in a row, into the buffers that are asked at a stamp."""
    source, poses, hand = Source(data), PoseBuffer(), JointBuffer(('wrist',))
    for _ in range(1 + source.below(6)):
        message = JointState(name=[source.one_of(NAMES) for _ in range(source.below(5))],
                             position=source.numbers(4), velocity=source.numbers(4))
        message.header.stamp.sec = source.one_of((0, 1, 2, -5, 2**31 - 1, -2**31))
        message.header.stamp.nanosec = source.one_of((0, 5, 999_999_999, 2**32 - 1))
        pose = _messages.pose_from_joint_state(message)
        if pose is not None:
            poses.add(pose)
        hand.add(_messages.seconds(message.header.stamp), message.name, message.position)
    if poses.latest is not None:
        found = poses.at(float(source.below(5)))
        assert all(math.isfinite(value) for value in vars(found).values())
    known = hand.at(float(source.below(5)), 10.0)
    assert known is None or np.isfinite(known).all()


class _Clock:
    def __init__(self):
        self.s = 100.0

    def __call__(self):
        return self.s


def trajectory(data):
    """trajectory_msgs/JointTrajectory, into a head that must stay inside its limits."""
    source, clock = Source(data), _Clock()
    head = Head(lambda limits: KinematicDriver(limits, clock=clock), PanTiltConfig(), clock)
    limits = head.limits
    for _ in range(1 + source.below(3)):
        message = JointTrajectory(joint_names=['pan', 'tilt'] if source.below(4) else [
            source.one_of(NAMES) for _ in range(source.below(4))])
        for _ in range(source.below(5)):
            point = JointTrajectoryPoint(
                positions=[source.number() for _ in range(2)] if source.below(8)
                else source.numbers(4),
                velocities=source.numbers(3) if source.below(4) == 0 else [])
            point.time_from_start.sec = source.one_of((0, 0, 1, 2, -1, 2**31 - 1))
            point.time_from_start.nanosec = source.one_of((0, 10, 500_000_000, 2**32 - 1))
            message.points.append(point)
        stamp_s = source.one_of((None, None, 99.0, 100.0, 101.0, 0.0, -1e9, 1e18))
        with contextlib.suppress(GazeRobotError):
            head.accept(_messages.commands_from_trajectory(message), stamp_s)
        for _ in range(8):
            clock.s += 0.02
            pose = head.tick()
            for axis, (angle, speed) in enumerate(((pose.pan_rad, pose.pan_rad_s),
                                                   (pose.tilt_rad, pose.tilt_rad_s))):
                low, high = limits.min_position[axis], limits.max_position[axis]
                assert low - 1e-9 <= angle <= high + 1e-9
                assert abs(speed) <= limits.max_velocity[axis] * (1 + 1e-9)
    assert not head.fault
    if not head.accepted:
        raise CommandError('none of them was accepted')


@functools.cache
def _yaml_bits():
    blocks = [[line for line in block.splitlines() if not line.lstrip().startswith('#')]
              for block in (ROOT / 'config' / 'gaze_robot.yaml').read_text().split('\n\n')]
    return [block for block in blocks if len(block) > 3], [
        '/**/gaze:', '  ros__parameters:', '&a', '*a', '!!python/name:os.system', '{', ']', ': ',
        '\t', '- ', '|', '"', '%', '? ', '<<: ', '.nan', '1e999', '0o9', '~', '2001-02-30', '\x00',
        '\u2028', '9' * 50]


@functools.cache
def _scratch():
    return Path(tempfile.mkdtemp()) / 'any.yaml'


def yaml_file(data):
    """Lines of a real parameter file, some cut and mixed with what YAML minds."""
    source, (blocks, bits) = Source(data), _yaml_bits()
    head, parameters, *lines = source.one_of(blocks)
    text = [head, parameters] if source.below(5) else []
    spoilt = source.below(3) * 4
    for _ in range(1 + source.below(8)):
        line = source.one_of(bits) if source.below(32) < spoilt else source.one_of(lines)
        if source.below(32) < spoilt:
            line = line[:source.below(len(line) + 1)] + source.one_of(bits) + line[
                source.below(len(line) + 1):]
        text.append(line)
    _scratch().write_text('\n'.join(text), encoding='utf-8')
    with contextlib.suppress(GazeRobotError):
        assert isinstance(load_yaml(_scratch()), dict)
    check_params(CheckParamsConfig(str(_scratch())))


TARGETS = {'image': image, 'compressed': compressed, 'camera_info': camera_info,
           'joint_states': joint_states, 'trajectory': trajectory, 'yaml_file': yaml_file}


def run(target, data):
    """One case; True if the target had nothing to object to."""
    try:
        TARGETS[target](data)
    except GazeRobotError as refused:
        words = str(refused)
    else:
        return True
    assert words
    return False


def cases(target, count, seed=0):
    """`count` seeded cases; returns how many were accepted. Fails with the bytes of a bad one."""
    rng = np.random.default_rng([seed, list(TARGETS).index(target)])
    accepted = 0
    for number in range(count):
        data = rng.bytes(int(rng.integers(0, 160)))
        try:
            accepted += run(target, data)
        except Exception as error:
            raise AssertionError(f'{target}, case {number}, {data.hex()}: {error!r}') from error
    return accepted


@contextlib.contextmanager
def quiet():
    """Without what libjpeg and libpng themselves print on damaged pictures."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', 1)[0])
    parser.add_argument('--target', choices=TARGETS)
    parser.add_argument('--cases', type=int, default=100_000)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--atheris', action='store_true')
    parser.add_argument('more', nargs='*', help='options of libFuzzer, such as -max_total_time=60')
    parsed, more = parser.parse_known_args()
    wanted = [parsed.target] if parsed.target else list(TARGETS)
    if parsed.atheris:
        import atheris
        atheris.instrument_all()
        atheris.Setup([sys.argv[0], *more], functools.partial(run, wanted[0]))
        atheris.Fuzz()
    for target in wanted:
        share, began_s = parsed.cases // len(wanted), time.monotonic()
        with quiet():
            accepted = cases(target, share, parsed.seed)
        print(f'{target}: {share} cases, {accepted} accepted, {share - accepted} refused in '
              f'words, {time.monotonic() - began_s:.0f} s')


if __name__ == '__main__':
    main()
