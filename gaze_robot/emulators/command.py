"""`gaze-robot emulate ...`: a head on a wire, for trying drivers without hardware."""

from dataclasses import dataclass
import math
import time
from typing import Any, Literal

from gaze_robot.emulators.dynamixel import DynamixelEmulator
from gaze_robot.emulators.feetech import FeetechEmulator
from gaze_robot.emulators.onvif import OnvifEmulator
from gaze_robot.emulators.pelco_d import PelcoDEmulator
from gaze_robot.emulators.pty import PtyEmulator
from gaze_robot.errors import ConfigError

Head = Literal['dynamixel', 'feetech', 'pelco_d', 'onvif']


@dataclass(frozen=True)
class EmulateConfig:
    """Which head, and for how long."""

    head: Head
    """What to be."""

    duration: float = 0.0
    """Seconds; 0 goes on until Ctrl-C."""

    dead_time: float = 0.0
    """With dynamixel: seconds from a goal until the motors begin to follow it."""

    seed: int = 0
    """Nothing here is random; taken for uniformity."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.duration < math.inf:
            raise ConfigError(f'duration is 0 or more seconds, got {self.duration}')
        if not 0.0 <= self.dead_time <= 1.0 or (self.dead_time and self.head != 'dynamixel'):
            raise ConfigError('dead_time is 0 to 1 second, and of an emulated dynamixel only, '
                              f'got {self.dead_time} for {self.head}')


def emulate(config: EmulateConfig) -> dict[str, Any]:
    """Answer on a wire until the time is over.

    Returns:
        head, port, and bytes or calls received.
    """
    from rich.console import Console
    made: PtyEmulator | OnvifEmulator
    kinds: dict[str, type[PtyEmulator] | type[OnvifEmulator]] = {
        'feetech': FeetechEmulator, 'pelco_d': PelcoDEmulator, 'onvif': OnvifEmulator}
    made = DynamixelEmulator(dead_time_s=config.dead_time) if config.head == 'dynamixel' \
        else kinds[config.head]()
    extra = ' -p position_query:=true' if config.head == 'pelco_d' else ''
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with made:
        started_s = time.monotonic()
        try:
            console.print(
                f'An emulated {config.head} head is at\n  {made.port}\n'
                'Move it from another terminal:\n'
                f'  pan_tilt_node --ros-args -p backend:={config.head} -p port:={made.port}'
                f'{extra} -p enable_at_start:=true\nEnd it with Ctrl-C.')
            while not config.duration or time.monotonic() - started_s < config.duration:
                time.sleep(0.05)
        except KeyboardInterrupt:
            pass                    # the wanted end
        with made.lock:
            made.catch_up()
            heard = made.requests if isinstance(made, PtyEmulator) else len(made.calls)
        return {'head': config.head, 'port': made.port,
                'bytes_received' if isinstance(made, PtyEmulator) else 'calls': heard,
                'duration_s': round(time.monotonic() - started_s, 2)}
