"""Reward terms of the environments, by name; scales are configuration, every term is logged."""

from collections.abc import Mapping
from dataclasses import dataclass
import math

import numpy as np

from gaze_robot.errors import ConfigError

ON_TARGET_RAD = math.radians(5.0)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one step led to, for B eyes."""

    error_rad: np.ndarray
    """(B,) from the fovea's centre to the target."""

    before_rad: np.ndarray
    """(B,) from where it looked before the step to where the target is now: what a target does
    by itself is no approach."""

    speed_rad_s: np.ndarray
    """(B,) of the head."""

    present: np.ndarray
    """(B,) bool: whether there is a target now."""


TERMS = {
    'near': lambda s: s.present * (1.0 - s.error_rad / (math.pi / 2)),
    'approach': lambda s: s.present * (s.before_rad - s.error_rad) / math.radians(6.0),
    'on_target': lambda s: s.present * (s.error_rad < ON_TARGET_RAD).astype(float),
    'centred': lambda s: s.present * np.maximum(0.0, 1.0 - s.error_rad / ON_TARGET_RAD),
    'unsteady': lambda s: -(s.present * np.minimum(s.speed_rad_s, 1.0)
                            * (s.error_rad < ON_TARGET_RAD)),
    'effort': lambda s: -s.speed_rad_s ** 2,
}


def reward(outcome: Outcome, scales: Mapping[str, float]
           ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Weighted sum of the named terms, (B,), and each weighted term as 'reward/<name>'."""
    unknown = scales.keys() - TERMS.keys()
    if unknown:
        raise ConfigError(f'no such reward terms: {sorted(unknown)}; known: {sorted(TERMS)}')
    parts = {f'reward/{name}': scale * TERMS[name](outcome) for name, scale in scales.items()}
    return sum(parts.values(), np.zeros_like(outcome.error_rad)), parts
