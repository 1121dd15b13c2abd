"""Heads told a share of their full speed: limits they can keep."""

from collections.abc import Sequence
from dataclasses import replace
import math

from gaze_robot.drivers._servos import AXES
from gaze_robot.errors import ConfigError
from gaze_robot.types import PanTiltLimits


def capped(limits: PanTiltLimits | None, full_speed: Sequence[float], smallest: float
           ) -> PanTiltLimits:
    """Limits no faster than the head, and no slower than it can be told.

    Args:
        limits: wanted; None: the defaults.
        full_speed: (pan, tilt), rad/s.
        smallest: least share of the full speed that can be told.

    Raises:
        ConfigError: full_speed is not positive, or a limit is below the smallest speed.
    """
    wanted = PanTiltLimits() if limits is None else limits
    if len(full_speed) != 2 or not all(0 < value < math.inf for value in full_speed):
        raise ConfigError(f'full_speed is two positive speeds, rad/s, got {full_speed}')
    for axis, name in enumerate(AXES):
        if wanted.max_velocity[axis] < smallest * full_speed[axis]:
            raise ConfigError(
                f'this head cannot turn slower than {smallest * full_speed[axis]:.4f} rad/s; '
                f'raise limits.{name}.max_velocity to that')
    pan, tilt = (min(wanted.max_velocity[axis], float(full_speed[axis])) for axis in (0, 1))
    return replace(wanted, max_velocity=(pan, tilt))
