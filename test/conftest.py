"""What every test may ask for, and the tiers."""

import importlib.util
import os
from pathlib import Path
import re
import signal
import tempfile

import pytest

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # Started in the background of a shell script; processes that tests start would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get('GAZE_ROBOT_DATA') or ROOT.parent / 'shared' / 'data')

# Read by ROS when a process starts its first node: test runs on one machine do not hear each
# other, and nothing is written to the home folder. Fast DDS allows domains 0 to 232.
os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
os.environ.setdefault('ROS_DOMAIN_ID', str(20 + os.getpid() % 80))
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
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope='session')
def data_dir() -> Path:
    """Folder of real pictures and recordings; skips where there is none."""
    if not DATA.is_dir():
        pytest.skip(f'no real data at {DATA}: set GAZE_ROBOT_DATA to its folder')
    return DATA
