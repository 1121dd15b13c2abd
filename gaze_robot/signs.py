"""What can be wrong with a running robot: its name, how bad it is, what to do. No ROS.

Nodes publish the names of the signs they see in /diagnostics; `gaze-robot doctor --live` explains
them.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEVELS = ('ok', 'warn', 'error', 'stale')
"""From good to bad, as in diagnostic_msgs/DiagnosticStatus."""

KEY = 'signs'
"""Key of a diagnostics status under which a node names its signs, separated by `, `."""

MEANINGS: dict[str, tuple[str, str]] = {
    'inactive': ('stale', 'activate the node: ros2 lifecycle set NODE activate, or '
                 'autostart:=true'),
    'disabled': ('warn', 'call ~/enable with data: true'),
    'no image': ('error', 'start the camera driver, or name its topic with image_topic:=...; '
                 'large pictures need the Fast DDS profile of config/'),
    'no usable image': ('error', 'see the reason beside it'),
    'images dropped': ('warn', 'see the reasons beside it'),
    'stale stamps': ('error', 'set the clocks of camera and robot alike (chrony), or raise '
                     'max_image_age'),
    'stamps from the future': ('error', 'set the clocks of camera and robot alike (chrony)'),
    'frozen camera': ('error', 'restart the camera driver: it repeats one stamp'),
    'unstamped': ('warn', 'let the camera driver stamp its pictures; their arrival is used'),
    'no pose': ('error', 'joint states must be stamped by the same clock as the pictures'),
    'uncalibrated camera': ('warn', 'calibrate it (gaze-robot calibrate camera) or set hfov_deg'),
    'no joint states': ('error', 'start pan_tilt_node or the joint_state_broadcaster, or set eye: '
                        'picture for a camera that never turns'),
    'wrong joints': ('error', 'set the parameter joints to names that joint_states hold'),
    'bad joint states': ('warn', 'look at the encoders and cables: positions are not finite'),
    'slow inference': ('warn', 'use a GPU or smaller pictures, lower processing_rate, or end what '
                       'else keeps the machine busy'),
    'clock stands still': ('error', 'start what publishes /clock, or set use_sim_time: false'),
    'clock went back': ('warn', 'nothing, if a simulation or a recording began again'),
    'same name twice': ('warn', 'give one of the nodes another name or namespace'),
    'several publishers': ('warn', 'stop all but one, or give each robot a namespace'),
    'fault': ('error', 'see to the head, then call ~/reset'),
    'run-stopped': ('warn', 'release it: call ~/runstop with data: false'),
    'torque off': ('warn', 'call ~/torque_enable with data: true'),
    'limits': ('warn', 'commands reach beyond the limits and are cut: set the same limits in gaze '
               'and pan_tilt'),
    'commands refused': ('warn', 'see the reasons beside it'),
    'commands stopped': ('warn', 'the head holds still: is gaze_node alive and seeing pictures?'),
}
"""Name -> (level, what to do)."""


@dataclass(frozen=True)
class Sign:
    """One thing that is wrong now."""

    code: str
    """A key of `MEANINGS`."""

    text: str
    """What was seen, in words."""

    def __post_init__(self) -> None:
        if self.code not in MEANINGS:
            raise ValueError(f'there is no sign {self.code!r}; add it to MEANINGS')

    @property
    def level(self) -> str:
        """One of `LEVELS`."""
        return MEANINGS[self.code][0]


def summary(signs: Sequence[Sign], good: str) -> tuple[str, str]:
    """(worst level, all texts) of the signs of one node; ('ok', good) without any."""
    if not signs:
        return 'ok', good
    ordered = sorted(signs, key=lambda sign: -LEVELS.index(sign.level))
    return ordered[0].level, '; '.join(sign.text for sign in ordered)


class Window:
    """How much counters have risen lately."""

    def __init__(self, length_s: float = 3.0) -> None:
        self._length_s = length_s
        self._past: deque[tuple[float, dict[str, int]]] = deque()

    def rises(self, now_s: float, counters: Mapping[str, int]) -> dict[str, int]:
        """{name: rise} since about `length_s` ago, of those that rose.

        Args:
            now_s: on a clock that never goes back.
            counters: present values; what is missing is 0, and one that fell was reset.
        """
        self._past.append((now_s, dict(counters)))
        while len(self._past) > 1 and self._past[1][0] <= now_s - self._length_s:
            self._past.popleft()
        before = self._past[0][1]
        risen = {name: count - before.get(name, 0) for name, count in counters.items()}
        return {name: count for name, count in risen.items() if count > 0}

    @property
    def span_s(self) -> float:
        """Seconds between the two ends of the last `rises`."""
        return self._past[-1][0] - self._past[0][0] if self._past else 0.0
