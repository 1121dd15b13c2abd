"""What a real eye does not do ideally, as named parameters with ranges to draw from.

In the order in which they act on the way from a goal to an observation:

    goal -> latency_s -> max_velocity_rad_s, max_acceleration_rad_s2 -> backlash_rad  (`Motion`)
    scene -> exposure_s -> lighting -> gain -> sensor_noise -> drop_rate              (`Sensor`)
    motor angle -> encoder_noise_rad -> what the head reports                         (`Motion`)
"""

from dataclasses import dataclass, field, fields
import math
from numbers import Real
from typing import Any

import numpy as np

from gaze_robot.errors import ConfigError

Range = tuple[float, float]


def _range(low: float, high: float, least: float, most: float) -> Any:
    return field(default=(low, high), metadata={'min': least, 'max': most})


@dataclass(frozen=True)
class EyeDynamics:
    """Ranges (low, high), drawn from uniformly per episode and eye; equal ends draw nothing.

    Raises:
        ConfigError: a range is not a pair of numbers in order and inside what is allowed.
    """

    instant: bool = False
    """The head is where it is told to be at the end of each step, at rest."""

    max_velocity_rad_s: Range | None = field(default=None, metadata={'min': 1e-3, 'max': 50.0})
    """Fastest turn of either joint, rad/s; None: the head's limits."""

    max_acceleration_rad_s2: Range | None = field(
        default=None, metadata={'min': 1e-3, 'max': 1000.0})
    """Strongest acceleration of either joint, rad/s^2; None: the head's limits."""

    latency_s: Range = _range(0.0, 0.0, 0.0, 1.0)
    """From giving a goal until the motor heads for it, seconds; any fraction of a step."""

    backlash_rad: Range = _range(0.0, 0.0, 0.0, 0.2)
    """Free play between motor and camera from end to end, radians: the camera moves only when the
    motor pushes it, and stays where it was left."""

    encoder_noise_rad: Range = _range(0.0, 0.0, 0.0, 0.2)
    """Standard deviation of each reported motor angle, radians."""

    exposure_s: Range = _range(0.0, 0.0, 0.0, 0.1)
    """How long the shutter is open, seconds; the picture is the mean of what passes by."""

    lighting: Range = _range(0.0, 0.0, 0.0, 1.0)
    """How much the light in the scene changes with time, 0 (not) to 1: `scenes.lighting`."""

    gain: Range = _range(1.0, 1.0, 0.05, 10.0)
    """Brightness of the picture, times; what exceeds white stays white."""

    sensor_noise: Range = _range(0.0, 0.0, 0.0, 64.0)
    """Standard deviation of every pixel and channel, grey levels of 255."""

    drop_rate: Range = _range(0.0, 0.0, 0.0, 0.99)
    """Probability that a picture is lost: the one before is seen again."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name == 'instant' or value is None and item.default is None:
                continue
            least, most = item.metadata['min'], item.metadata['max']
            if isinstance(value, (list, np.ndarray)):
                value = tuple(value)
                object.__setattr__(self, item.name, value)
            if not (isinstance(value, tuple) and len(value) == 2 and all(
                    isinstance(end, Real) and math.isfinite(end) for end in value)
                    and least <= value[0] <= value[1] <= most):
                raise ConfigError(f'{item.name} must be a pair (low, high) with {least:g} <= low '
                                  f'<= high <= {most:g}, got {value!r}')
        if self.instant and (self.max_velocity_rad_s or self.max_acceleration_rad_s2):
            raise ConfigError('an instant head has no max_velocity_rad_s and no '
                              'max_acceleration_rad_s2; leave them None, or instant False')

    @staticmethod
    def named(name: str) -> 'EyeDynamics':
        """One of `PRESETS`. Raises ConfigError for any other name."""
        if name not in PRESETS:
            raise ConfigError(f'no dynamics {name!r}; known: {", ".join(PRESETS)}')
        return PRESETS[name]

    def draw(self, name: str, rng: np.random.Generator) -> float:
        """A value for this episode; the generator is touched only if its ends differ."""
        low, high = getattr(self, name)
        return float(low if low == high else rng.uniform(low, high))


PRESETS = {
    'off': EyeDynamics(instant=True),
    'head': EyeDynamics(),
    'typical': EyeDynamics(
        latency_s=(0.05, 0.05), backlash_rad=(0.0044, 0.0044),
        encoder_noise_rad=(0.00044, 0.00044), exposure_s=(0.02, 0.02), lighting=(0.2, 0.2),
        sensor_noise=(2.0, 2.0), drop_rate=(0.01, 0.01)),
    'random': EyeDynamics(
        max_velocity_rad_s=(2.0, 6.0), max_acceleration_rad_s2=(15.0, 60.0),
        latency_s=(0.0, 0.12), backlash_rad=(0.0, 0.0088), encoder_noise_rad=(0.0, 0.0015),
        exposure_s=(0.002, 0.033), lighting=(0.0, 0.5), gain=(0.75, 1.3),
        sensor_noise=(0.0, 5.0), drop_rate=(0.0, 0.05))}
"""'off': the ideal eye. 'head': only the head's own limits of speed and acceleration. 'typical':
a hobby pan-tilt head with a webcam. 'random': what such heads have between them, and more.

From emanual.robotis.com: backlash of 15 arcmin = 4.4 mrad (XH430-W350; 'random': up to twice that,
for brackets and wear); encoders of 4096 steps a turn, or of 0.29 degrees (XL-320), whose rounding
has a standard deviation of 0.44 or 1.5 mrad; turns at up to 30 (XH430-W350) or 61 rev/min (the
XL430-W250's default limit), 3.1 or 6.4 rad/s without load. Exposure: two half-waves of 50 Hz
light, or up to a whole frame at 30 Hz. The rest are estimates.
"""
