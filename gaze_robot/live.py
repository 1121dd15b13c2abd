"""`gaze-robot doctor --live`: what is wrong with a running robot, and what to do. No ROS."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import os

from gaze_robot.doctor import BAD, LESS, OK, Row
from gaze_robot.optional import require
from gaze_robot.signs import KEY, MEANINGS

STALE_AFTER_S = 3.0
_STATES = {'ok': OK, 'warn': LESS, 'error': BAD, 'stale': BAD}


@dataclass(frozen=True)
class Status:
    """The newest diagnostics of one part of one node."""

    level: str
    """One of `gaze_robot.signs.LEVELS`."""

    message: str
    values: Mapping[str, str]
    age_s: float
    """Seconds since it came."""

    @property
    def signs(self) -> list[str]:
        """What is wrong, by name; empty for nodes of other packages."""
        return [sign for sign in self.values.get(KEY, '').split(', ') if sign]


@dataclass(frozen=True)
class Mismatch:
    """A publisher and a subscriber of one topic that cannot hear each other."""

    topic: str
    publisher: str
    subscriber: str
    why: str


@dataclass(frozen=True)
class Snapshot:
    """A running ROS graph, looked at for some seconds."""

    nodes: Sequence[str]
    """Full names, '/ns/gaze'; each as often as there are such nodes."""

    statuses: Mapping[str, Status] = field(default_factory=dict)
    """By their names, '/ns/gaze: eye'."""

    mismatches: Sequence[Mismatch] = ()


def check_live(seconds: float = 5.0) -> list[Row]:
    """Look at the running graph for some seconds and judge it.

    Raises:
        MissingDependencyError: no rclpy.
    """
    require('rclpy')
    snapshot: Snapshot = require('gaze_robot.nodes._look_around').look_around(seconds)
    return judge(snapshot)


def judge(seen: Snapshot) -> list[Row]:
    """One row for each thing to know about a running graph."""
    ours = {name: status for name, status in seen.statuses.items() if KEY in status.values}
    rows = [_row(name, status) for name, status in sorted(ours.items())]
    if not any(name.endswith(': eye') for name in ours):
        rows.append(_absent('gaze', seen))
    if not any(name.endswith(': head') for name in ours) and any(
            status.values.get('eye') != 'picture' for status in ours.values()):
        rows.append(_absent('pan_tilt', seen, LESS))
    for twin in sorted({name for name in seen.nodes if seen.nodes.count(name) > 1}):
        rows.append(Row(twin, LESS, f'{seen.nodes.count(twin)} nodes have this name',
                        MEANINGS['same name twice'][1]))
    rows += [Row(each.topic, BAD, f'{each.publisher} is not heard by {each.subscriber}: '
                 f'{each.why}',
                 'give both the same quality of service (reliability, durability) and type')
             for each in seen.mismatches]
    return rows


def _row(name: str, status: Status) -> Row:
    if status.age_s > STALE_AFTER_S:
        return Row(name, BAD, f'no diagnostics for {status.age_s:.0f} s: the node has ended, '
                   'hangs, or gets no time to run', 'see its log; start it again (use_respawn '
                   'does that)')
    fixes = [MEANINGS[sign][1] for sign in status.signs if sign in MEANINGS]
    return Row(name, _STATES.get(status.level, BAD), status.message, '; '.join(fixes))


def _absent(node: str, seen: Snapshot, state: str = BAD) -> Row:
    named = [name for name in seen.nodes if name.rsplit('/', 1)[-1] == node]
    if named:
        return Row(node, state, f'{named[0]} is there and publishes no diagnostics: it is not '
                   'configured', 'see its log for the reason; then: ros2 lifecycle set '
                   f'{named[0]} configure')
    count = len(set(seen.nodes))
    where = f'ROS_DOMAIN_ID {os.environ.get("ROS_DOMAIN_ID", "0")}'
    reach = os.environ.get('ROS_AUTOMATIC_DISCOVERY_RANGE')
    return Row(node, state, f'no such node among the {count} that are seen ({where}'
               f'{", discovery " + reach if reach else ""})',
               'start it (ros2 launch gaze_robot bringup.launch.py, or gaze-robot bringup), with '
               'the same ROS_DOMAIN_ID and ROS_AUTOMATIC_DISCOVERY_RANGE as here')
