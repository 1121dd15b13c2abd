"""What position servos with profiles share: units, and limits that survive rounding."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math

from gaze_robot.errors import ConfigError
from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState

AXES = ('pan', 'tilt')


@dataclass(frozen=True)
class Scale:
    """What one step of a servo's registers is."""

    position: float
    """rad."""
    centre: int
    """Ticks at motor angle 0."""
    velocity: float
    """rad/s."""
    acceleration: float
    """rad/s^2."""
    most_velocity: int = 32767
    most_acceleration: int = 32767

    def angle(self, ticks: int) -> float:
        """Motor angle, rad."""
        return (ticks - self.centre) * self.position

    def ticks(self, angle: float, low: float, high: float) -> int:
        """The nearest tick that lies inside [low, high] rad."""
        first = math.ceil(low / self.position - 1e-9)
        last = math.floor(high / self.position + 1e-9)
        return min(max(round(angle / self.position), first), last) + self.centre

    def profiles(self, limits: PanTiltLimits) -> list[tuple[int, int]]:
        """(velocity, acceleration) registers per axis: never more than the limits, never 0.

        0 means without limit to the servos.

        Raises:
            ConfigError: a limit is less than one step of its register.
        """
        rows = []
        for axis, name in enumerate(AXES):
            velocity = math.floor(limits.max_velocity[axis] / self.velocity + 1e-9)
            acceleration = math.floor(limits.max_acceleration[axis] / self.acceleration + 1e-9)
            if velocity < 1 or acceleration < 1:
                raise ConfigError(
                    f'these servos cannot go slower than {self.velocity:.4f} rad/s and '
                    f'{self.acceleration:.3f} rad/s^2; raise limits.{name}.max_velocity and '
                    f'limits.{name}.max_acceleration to that')
            rows.append((min(velocity, self.most_velocity),
                         min(acceleration, self.most_acceleration)))
        return rows


def signed(data: bytes) -> int:
    """Little-endian two's complement."""
    return int.from_bytes(data, 'little', signed=True)


def check_ids(ids: Sequence[int], most: int) -> tuple[int, int]:
    """The ids of the pan and the tilt servo.

    Raises:
        ConfigError: not two different numbers from 0 to `most`.
    """
    if len(ids) != 2 or ids[0] == ids[1] or not all(0 <= number <= most for number in ids):
        raise ConfigError(f'ids are two different numbers from 0 to {most}, of the pan and the '
                          f'tilt servo; got {list(ids)}')
    return int(ids[0]), int(ids[1])


def stopping_point(goal: PanTiltCommand | PanTiltState, limits: PanTiltLimits
                   ) -> tuple[float, float]:
    """Where a head that passes `goal` at its speed would come to rest, braking at the limit.

    Sent as the goal of a servo whose profiles end at rest, it makes the servo pass the goal at
    about that speed. Clipped to the limits; rad.
    """
    pan, tilt = (position + speed * abs(speed) / (2 * strength) for position, speed, strength in (
        (goal.pan_rad, goal.pan_rad_s, limits.max_acceleration[0]),
        (goal.tilt_rad, goal.tilt_rad_s, limits.max_acceleration[1])))
    clipped = limits.clip(PanTiltCommand(pan, tilt))
    return clipped.pan_rad, clipped.tilt_rad


def within(limits: PanTiltLimits, scale: Scale, low: Sequence[int], high: Sequence[int],
           fastest: Sequence[int] | None, label: str) -> PanTiltLimits:
    """Limits narrowed by what the servos themselves allow, in ticks and velocity steps.

    Raises:
        ConfigError: nothing is left between them.
    """
    lows = [max(limits.min_position[i], scale.angle(low[i])) for i in (0, 1)]
    highs = [min(limits.max_position[i], scale.angle(high[i])) for i in (0, 1)]
    if lows[0] >= highs[0] or lows[1] >= highs[1]:
        raise ConfigError(
            f'the limits {limits.min_position} to {limits.max_position} rad and those that '
            f'{label} has in its registers, {[scale.angle(tick) for tick in low]} to '
            f'{[scale.angle(tick) for tick in high]} rad, have nothing in common; see offset')
    speeds = [limits.max_velocity[i] if fastest is None else
              min(limits.max_velocity[i], scale.velocity * max(fastest[i], 1)) for i in (0, 1)]
    return replace(limits, min_position=(lows[0], lows[1]), max_position=(highs[0], highs[1]),
                   max_velocity=(speeds[0], speeds[1]))
