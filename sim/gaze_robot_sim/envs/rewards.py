"""Reward terms of the environments, by name; scales are configuration, every term is logged."""

from collections.abc import Mapping
import math

import numpy as np

from gaze_robot.errors import ConfigError

ON_TARGET_RAD = math.radians(5.0)

TERMS = {
    # error: (B,) radians from the fovea's centre to the target; speed: (B,) radians per second
    'near': lambda error, speed: 1.0 - error / (math.pi / 2),
    'on_target': lambda error, speed: (error < ON_TARGET_RAD).astype(float),
    'centred': lambda error, speed: np.maximum(0.0, 1.0 - error / ON_TARGET_RAD),
    'unsteady': lambda error, speed: -np.minimum(speed, 1.0) * (error < ON_TARGET_RAD),
}


def reward(error_rad: np.ndarray, speed_rad_s: np.ndarray, scales: Mapping[str, float]
           ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Weighted sum of the named terms, (B,), and each weighted term as 'reward/<name>'."""
    unknown = scales.keys() - TERMS.keys()
    if unknown:
        raise ConfigError(f'no such reward terms: {sorted(unknown)}; known: {sorted(TERMS)}')
    parts = {f'reward/{name}': scale * TERMS[name](error_rad, speed_rad_s)
             for name, scale in scales.items()}
    return sum(parts.values(), np.zeros_like(error_rad)), parts
