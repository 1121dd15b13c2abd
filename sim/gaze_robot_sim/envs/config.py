"""Settings that every task has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
import math
import numbers
from typing import Any

import numpy as np

from gaze_robot.errors import ConfigError
from gaze_robot.types import PanTiltLimits
from gaze_robot_sim.dynamics import EyeDynamics
from gaze_robot_sim.envs.rewards import TERMS

_KINDS = {'dynamics': 'an EyeDynamics or the name of a preset', 'limits': 'a PanTiltLimits',
          'rewards': 'a mapping from terms to scales', 'discrete': 'True or False',
          'random_cameras': 'True or False'}


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

    samples: int = 2
    """Taps along a side of each rendered sample; 0: as many as it takes to be exact, at a third of
    the speed; 1: quick and rough (`Panorama.levels`)."""

    scenes: int = 8
    """Rooms in play at a time, in a world without end."""

    scene_uses: int = 4
    """Episodes of an eye after which one of those rooms gives way to a new one; 0: never."""

    rewards: Mapping[str, float] = field(default_factory=lambda: {'on_target': 1.0})
    """Scale of each term of `rewards.TERMS`; a task has scales of its own."""

    def __post_init__(self) -> None:
        if isinstance(self.dynamics, str):
            object.__setattr__(self, 'dynamics', EyeDynamics.named(self.dynamics))
        for name, kind in (('dynamics', EyeDynamics), ('limits', PanTiltLimits),
                           ('rewards', Mapping), ('discrete', (bool, np.bool_)),
                           ('random_cameras', (bool, np.bool_))):
            if not isinstance(getattr(self, name), kind):
                raise ConfigError(f'{name} must be {_KINDS[name]}, got {getattr(self, name)!r}')
        check_numbers(self, rate_hz=(1, 1000), episode_s=(0.01, 1e6), pause_steps=(0, 1e6),
                      hfov_deg=(1, 175), aspect=(0.1, 10), samples=(0, 8), scenes=(1, 1e6),
                      scene_uses=(0, 1e9))
        unknown = self.rewards.keys() - TERMS.keys()
        if unknown:
            raise ConfigError(f'no such reward terms: {sorted(unknown)}; known: {sorted(TERMS)}')
        for name, scale in self.rewards.items():
            if not (_is_number(scale) and math.isfinite(scale)):
                raise ConfigError(f'the scale of reward term {name!r} must be a finite number, '
                                  f'got {scale!r}')

    @property
    def length(self) -> int:
        """Steps of an episode."""
        return self.pause_steps + max(1, round(self.episode_s * self.rate_hz))


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))


def check_numbers(config: Any, **allowed: tuple[float, float]) -> None:
    """Refuse numbers outside what is allowed. Raises ConfigError: which, and what is allowed."""
    for name, (least, most) in allowed.items():
        value = getattr(config, name)
        whole = isinstance(getattr(type(config), name), int)       # as its default is
        right = _is_number(value) and (isinstance(value, numbers.Integral) or not whole)
        if not (right and least <= value <= most):
            raise ConfigError(f'{name} must {"be a whole number" if whole else "lie"} between '
                              f'{least:g} and {most:g}, got {value!r}')


def check_ranges(config: Any, **allowed: tuple[float, float]) -> None:
    """Refuse pairs (low, high) that are out of order or outside what is allowed.

    Raises:
        ConfigError: which, and what is allowed.
    """
    for name, (least, most) in allowed.items():
        value, default = getattr(config, name), getattr(type(config), name)
        kind: Any = numbers.Integral if isinstance(default[0], int) else numbers.Real
        if not (isinstance(value, (tuple, list, np.ndarray)) and len(value) == 2 and all(
                _is_number(end) and isinstance(end, kind) for end in value)
                and least <= value[0] <= value[1] <= most):
            raise ConfigError(f'{name} must be a pair (low, high) with {least:g} <= low <= high '
                              f'<= {most:g}, got {value!r}')


def check_options(options: Mapping[str, Any], limits: PanTiltLimits) -> dict[str, Any]:
    """The options of a reset. Raises ConfigError: unknown, no scene, or no pose of this head."""
    unknown = options.keys() - {'scene', 'pose'}
    if unknown:
        raise ConfigError(f'no such options: {sorted(unknown)}; known: pose, scene')
    scene, pose = options.get('scene', 0), options.get('pose', limits.min_position)
    if not isinstance(scene, numbers.Integral) or scene < 0:
        raise ConfigError(f'scene must be a whole number of 0 or more, got {scene!r}')
    try:
        angles = np.asarray(pose, float)
    except (TypeError, ValueError):
        angles = np.zeros(0)
    if angles.shape != (2,) or not ((angles >= limits.min_position)
                                    & (angles <= limits.max_position)).all():
        raise ConfigError(f'pose must be (pan, tilt) in radians between {limits.min_position} and '
                          f'{limits.max_position}, got {pose!r}')
    return dict(options)
