"""Settings that every task has."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gaze_robot.errors import ConfigError
from gaze_robot.types import PanTiltLimits
from gaze_robot_sim.dynamics import EyeDynamics
from gaze_robot_sim.envs.rewards import TERMS


@dataclass(frozen=True)
class EyeConfig:
    """What all tasks have in common.

    Raises:
        ConfigError: a value is out of range; the text says which and what is allowed.
    """

    rate_hz: float = 30.0
    """Pictures, and actions, per second."""

    episode_s: float = 3.0
    """Seconds, of a moving world, until an episode is truncated."""

    pause_steps: int = 0
    """Time-pausing: for so many steps at the start of an episode the eye acts and the world
    waits. They come on top of `episode_s`."""

    discrete: bool = True
    """EyeRobot's 25 moves, or a continuous move of up to 10 degrees per axis."""

    limits: PanTiltLimits = PanTiltLimits()
    """Of the head."""

    dynamics: EyeDynamics | str = 'head'
    """How imperfect head and camera are: an `EyeDynamics` or the name of one of its presets."""

    hfov_deg: float = 90.0
    """Of the camera whose pictures the eye samples: what lies outside is not seen."""

    aspect: float = 0.75
    """Height over width of its pictures."""

    random_cameras: bool = False
    """Another camera for every episode, in place of hfov_deg and aspect."""

    samples: int = 0
    """Taps along a side of each rendered sample; 0: as many as needed, more: finer, slower."""

    scenes: int = 16
    """Rooms in play at a time, in a world without end."""

    scene_uses: int = 4
    """Episodes of an eye after which one of those rooms gives way to a new one; 0: never."""

    rewards: Mapping[str, float] = field(default_factory=lambda: {'on_target': 1.0})
    """Scale of each term of `rewards.TERMS`; a task has scales of its own."""

    def __post_init__(self) -> None:
        if isinstance(self.dynamics, str):
            object.__setattr__(self, 'dynamics', EyeDynamics.named(self.dynamics))
        for name, low, high in (('rate_hz', 1, 1000), ('episode_s', 0.01, 1e6),
                                ('pause_steps', 0, 1e6), ('hfov_deg', 1, 175),
                                ('aspect', 0.1, 10), ('samples', 0, 8), ('scenes', 1, 1e6),
                                ('scene_uses', 0, 1e9)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f'{name} must lie between {low:g} and {high:g}, got {value}')
        unknown = self.rewards.keys() - TERMS.keys()
        if unknown:
            raise ConfigError(f'no such reward terms: {sorted(unknown)}; known: {sorted(TERMS)}')

    @property
    def length(self) -> int:
        """Steps of an episode."""
        return self.pause_steps + max(1, round(self.episode_s * self.rate_hz))
