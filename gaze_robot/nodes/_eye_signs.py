"""Which signs gaze_node shows, from what it has seen lately. No ROS."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gaze_robot.signs import Sign

SILENT_AFTER_S = 2.0
LEASE_S = 25.0
"""The middleware takes 20 s to forget a process that was killed."""

_HARMLESS = ('above processing_rate', 'replaced', 'stopped', 'disabled', 'not active')
_SHARE = 0.1
"""Of the pictures: when fewer are dropped, nothing is said."""

_SLOW_SHARE = 0.2
"""Of the pictures: when more come too fast or turn stale while they are looked at, it is slow."""

_BY_REASON = {'stale': 'stale stamps', 'from the future': 'stamps from the future',
              'out of order': 'frozen camera', 'no pose': 'no pose'}


@dataclass(frozen=True)
class EyeSeen:
    """What gaze_node knows of itself and its surroundings; times are of a steady clock."""

    state: str
    """Of the life cycle."""

    enabled: bool
    turns: bool
    """Whether a head turns the camera, so that joint states are needed."""

    topic: str
    """Of the pictures, fully resolved."""

    publishers: int
    """Of that topic, those of killed processes among them."""

    crowded_s: float
    """How long there has been more than one."""

    silent_s: float
    """Since the last picture, or since they are expected."""

    unused_s: float
    """Since the last picture that was looked at, likewise."""

    joints_silent_s: float
    """Since the last joint state that held the joints, likewise."""

    joints: tuple[str, ...]
    """That joint states have to hold."""

    other_joints: tuple[str, ...] = ()
    """What the last joint state without them held."""

    risen: Mapping[str, int] = field(default_factory=dict)
    """Counters of the last seconds: 'in', 'processed', 'late', 'bad joints', 'dropped: REASON'."""

    lens: str = ''
    """Why the lens is a guess; '' when it is not."""

    unstamped: bool = False
    clock: str = ''
    """'stands still', 'went back' or ''."""

    twins: int = 0
    """Other nodes of the same name."""

    @property
    def dropped(self) -> dict[str, int]:
        """{reason: pictures} of the last seconds, harmless reasons left out, worst first."""
        found = {name.removeprefix('dropped: '): count for name, count in self.risen.items()
                 if name.startswith('dropped: ')}
        return {reason: count for reason, count in sorted(found.items(), key=lambda one: -one[1])
                if reason not in _HARMLESS}


def eye_signs(seen: EyeSeen) -> list[Sign]:
    """Everything that is wrong now."""
    signs = []
    if seen.twins:
        signs.append(Sign('same name twice', f'{seen.twins} more node(s) have this name'))
    if seen.clock:
        signs.append(Sign(f'clock {seen.clock}', f"the node's clock {seen.clock}"))
    if seen.state != 'active':
        return [*signs, Sign('inactive', f'{seen.state}, not looking')]
    if not seen.enabled:
        return [*signs, Sign('disabled', 'disabled by ~/enable')]
    return signs + _joint_signs(seen) + _picture_signs(seen)


def _joint_signs(seen: EyeSeen) -> list[Sign]:
    if not seen.turns:
        return []
    if bad := seen.risen.get('bad joints', 0):
        return [Sign('bad joint states', f'{bad} joint states were not finite')]
    if seen.joints_silent_s <= SILENT_AFTER_S:
        return []
    if seen.other_joints:
        return [Sign('wrong joints', f'joint states hold {", ".join(seen.other_joints)} and not '
                     f'{", ".join(seen.joints)}')]
    return [Sign('no joint states', f'no new joint states for {seen.joints_silent_s:.0f} s')]


def _picture_signs(seen: EyeSeen) -> list[Sign]:
    if seen.silent_s > SILENT_AFTER_S:
        count = f'{seen.publishers} publisher{"s" * (seen.publishers != 1)}'
        return [Sign('no image', f'no pictures arrive: none on {seen.topic} for '
                     f'{seen.silent_s:.0f} s, which has {count}')]
    signs = _dropped_signs(seen) + _slow_signs(seen)
    if seen.crowded_s > LEASE_S:
        signs.append(Sign('several publishers',
                          f'{seen.publishers} publishers send pictures on {seen.topic}'))
    if seen.lens:
        signs.append(Sign('uncalibrated camera', seen.lens))
    if seen.unstamped:
        signs.append(Sign('unstamped', 'the camera does not stamp its pictures'))
    return signs


def _dropped_signs(seen: EyeSeen) -> list[Sign]:
    """None at all, or too few, of the pictures that arrive can be used."""
    dropped, arrived = seen.dropped, seen.risen.get('in', 0)
    if not dropped:
        return []
    reasons = ', '.join(f'{reason} {count}' for reason, count in dropped.items())
    if seen.unused_s > SILENT_AFTER_S and not seen.risen.get('processed'):
        code = _BY_REASON.get(next(iter(dropped)), 'no usable image')
        return [Sign(code, f'none of {arrived} pictures could be used: {reasons}')]
    if sum(dropped.values()) <= _SHARE * arrived:
        return []
    return [Sign('images dropped', f'{sum(dropped.values())} of {arrived} pictures were not '
                 f'used: {reasons}')]


def _slow_signs(seen: EyeSeen) -> list[Sign]:
    arrived = seen.risen.get('in', 0)
    late = seen.risen.get('late', 0) + seen.risen.get('dropped: replaced', 0)
    if late <= _SLOW_SHARE * arrived:
        return []
    return [Sign('slow inference', f'{late} of {arrived} pictures came while the last was still '
                 'looked at, or turned stale meanwhile')]


@dataclass
class Since:
    """When a count last rose, on a steady clock."""

    start_s: float
    count: int = 0

    def silent_s(self, count: int, now_s: float) -> float:
        """Seconds since it rose, or since the start."""
        if count != self.count:
            self.count, self.start_s = count, now_s
        return now_s - self.start_s


@dataclass
class ClockWatch:
    """Tells a clock that stands still or went back from one that runs."""

    _last_s: float | None = None
    _moved_s: float = 0.0
    _back_s: float | None = None

    def look(self, clock_s: float, steady_s: float) -> str:
        """What is wrong with the clock now: 'stands still', 'went back' (for 3 s), or ''."""
        if self._last_s is None or clock_s != self._last_s:
            if self._last_s is not None and clock_s < self._last_s - 0.1:
                self._back_s = steady_s
            self._last_s, self._moved_s = clock_s, steady_s
        if steady_s - self._moved_s >= SILENT_AFTER_S:
            return 'stands still'
        recent = self._back_s is not None and steady_s - self._back_s <= 3.0
        return 'went back' if recent else ''


def worth_counting(reasons: Mapping[str, int]) -> dict[str, int]:
    """{'dropped: REASON': count} for `EyeSeen.risen`."""
    return {f'dropped: {reason}': count for reason, count in reasons.items()}


def others_named(name: str, namespace: str, everyone: Sequence[tuple[str, str]]) -> int:
    """How many nodes but the asker have this name and namespace."""
    return max(0, list(everyone).count((name, namespace)) - 1)
