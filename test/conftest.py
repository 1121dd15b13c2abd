"""What every test may ask for, and the tiers."""

from collections.abc import Callable
import importlib.util
import itertools
import os
from pathlib import Path
import re
import signal
import struct
import tempfile

import cv2
import numpy as np
import pytest

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # Started in the background of a shell script; processes that tests start would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get('GAZE_ROBOT_DATA') or ROOT.parent / 'shared' / 'data')

# Read by ROS when a process starts its first node: test runs on one machine do not hear each
# other, and nothing is written to the home folder. Domains above 101 have ports that Linux gives
# to anybody.
os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
_DOMAINS = itertools.count(os.getpid())


def _new_domain() -> int:
    return 2 + next(_DOMAINS) % 100


os.environ.setdefault('ROS_DOMAIN_ID', str(_new_domain()))
os.environ.setdefault('ROS_LOG_DIR', tempfile.mkdtemp(prefix='gaze_robot_ros_log_'))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the ros tier where there is no rclpy, unless it was asked for by name."""
    if importlib.util.find_spec('rclpy') is not None:
        return
    if re.search(r'(?<!not )\bros\b', config.option.markexpr or ''):
        raise pytest.UsageError('the ros tests were asked for and rclpy is not installed: '
                                "pip install -e '.[ros]', or source a ROS installation")
    for item in items:
        if 'ros' in item.keywords:
            item.add_marker(pytest.mark.skip(reason='rclpy is not installed'))


@pytest.fixture(scope='session')
def new_domain() -> Callable[[], int]:
    """Gives a ROS domain that no other test of this run has: dead nodes linger in a graph."""
    return _new_domain


@pytest.fixture(scope='session')
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope='session')
def data_dir() -> Path:
    """Folder of real pictures and recordings; skips where there is none."""
    if not DATA.is_dir():
        pytest.skip(f'no real data at {DATA}: set GAZE_ROBOT_DATA to its folder')
    return DATA


@pytest.fixture(scope='session')
def write_ramp() -> Callable[..., Path]:
    """Writes a video whose k-th frame has brightness 6 k, with its index at its end."""
    def write(path: Path, frames: int = 40, rate: float = 30.0,
              size: tuple[int, int] = (128, 64)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), rate, size)
        assert writer.isOpened()
        for k in range(frames):
            writer.write(np.full((size[1], size[0], 3), 6 * k, np.uint8))
        writer.release()
        return path
    return write


@pytest.fixture(scope='session')
def index_first() -> Callable[[bytes], bytes]:
    """Puts an MP4's index before its frames, so that one that is cut short still opens."""
    def boxes(data: bytes) -> list[tuple[bytes, bytes]]:
        found, at = [], 0
        while at < len(data):
            size, kind = struct.unpack('>I4s', data[at:at + 8])
            found.append((kind, data[at:at + size]))
            at += size
        return found

    def move(data: bytes) -> bytes:
        parts = dict(boxes(data))
        assert list(parts)[-1] == b'moov'
        index = bytearray(parts.pop(b'moov'))
        shift = len(index)
        at = index.find(b'stco') + 8                # version and flags come between
        count, = struct.unpack_from('>I', index, at)
        for place in range(at + 4, at + 4 + 4 * count, 4):
            struct.pack_into('>I', index, place, struct.unpack_from('>I', index, place)[0] + shift)
        return parts.pop(b'ftyp') + bytes(index) + b''.join(parts.values())
    return move
