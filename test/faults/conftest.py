"""`make faults` runs these tests and writes docs/faults.md from what they saw."""

from collections.abc import Callable, Iterator
import importlib.util
import os
from pathlib import Path
import sys
from typing import Any

import pytest

from gaze_robot.signs import MEANINGS

HERE = Path(__file__).parent
ROWS: dict[str, dict[str, str]] = {}

if importlib.util.find_spec('rclpy') is None or importlib.util.find_spec('torch') is None:
    collect_ignore_glob = ['test_*.py']
sys.path.insert(0, str(HERE))                   # for fault_robot


@pytest.fixture(scope='session')
def checkpoint(tmp_path_factory) -> str:
    """A folder of untrained weights: they turn the head at random."""
    from gaze_robot.checkpoint import make_policy, save_policy
    from gaze_robot.encoder import EncoderConfig
    from gaze_robot.foveation import FoveationPattern
    folder = tmp_path_factory.mktemp('checkpoint')
    save_policy(folder, make_policy(FoveationPattern(), EncoderConfig()))
    return str(folder)


@pytest.fixture(scope='module')
def robot(checkpoint, new_domain) -> Iterator[Any]:
    """gaze_node, pan_tilt_node and a camera, well: for tests that leave them so."""
    from fault_robot import Robot
    robot = Robot(checkpoint, new_domain())
    try:
        robot.gaze('max_image_age:=2.0', 'on_target_lost:=search')
        robot.head()
        robot.camera()
        robot.witness.healthy(120.0)
        yield robot
    finally:
        robot.close()


@pytest.fixture
def make_robot(checkpoint, new_domain) -> Iterator[Callable[[], Any]]:
    """Robots of a test's own, without any process yet."""
    from fault_robot import Robot
    made: list[Any] = []

    def make() -> Any:
        made.append(Robot(checkpoint, new_domain()))
        return made[-1]
    yield make
    for robot in made:
        robot.close()


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Says what was seen of a fault; the test's marker `fault` says what is promised."""
    marker = request.node.get_closest_marker('fault')
    fault, promise = marker.args
    variant = getattr(request.node, 'callspec', None)
    if variant is not None:
        fault = fault.format(**variant.params)
    entry = ROWS[fault] = {'promised': promise, 'seen': 'the test failed'}

    def seen(text: str) -> None:
        entry['seen'] = text
    return seen


def pytest_terminal_summary(terminalreporter) -> None:
    """One line for each fault; with FAULT_TABLE set, the same as a page."""
    if not ROWS:
        return
    terminalreporter.section('faults')
    for fault, entry in ROWS.items():
        terminalreporter.write_line(f'{fault:<44} {entry["seen"]}')
    if path := os.environ.get('FAULT_TABLE'):
        lines = (f'| {fault} | {entry["promised"]} | {entry["seen"]} |'
                 for fault, entry in ROWS.items())
        page = (HERE / 'page.md').read_text(encoding='utf-8')
        signs = (f'| `{sign}` | {level} | {fix} |' for sign, (level, fix) in MEANINGS.items())
        Path(path).write_text(page.replace('ROWS', '\n'.join(lines)).replace(
            'SIGNS', '\n'.join(signs)), encoding='utf-8')
