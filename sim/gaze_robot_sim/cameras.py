"""Cameras a simulated eye may have."""

import numpy as np


def random_camera(rng: np.random.Generator) -> tuple[float, float]:
    """(hfov_deg, height / width) of a camera people might have; often the default one."""
    if rng.random() < 0.6:
        return 90.0, 0.75
    return rng.uniform(65, 105), float(rng.choice([0.75, 0.5625]))
