"""What people look at as a source of the priority map.

A person's target is one direction; on the map it is a bell around it, so that coarse cells do not
miss it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

from gaze_robot.types import GazeTarget

SPREAD_RAD = math.radians(4.0)
"""Standard deviation of a target's bell."""

FOLLOWED_S, STARED_S = 4.0, 2.0
"""How long the eye rests on the thing that a person goes on looking at, and on a place that is
none."""


@dataclass(frozen=True, eq=False)
class Gazed:
    """What one person looks at, and how much that matters."""

    target: GazeTarget
    """Base frame, with the person's id."""

    claim: float
    """In [0, 1]: its confidence, less for who is far away or has looked there for long."""

    since_s: float = -math.inf
    """When they turned to it."""


Company = Sequence[Gazed]
"""All people of a picture."""


def company_map(company: Company, rays: np.ndarray) -> np.ndarray:
    """How much people look along directions (..., 3), in [0, 1]: that one of them at least does.

    Several who look at the same thing count for more than one (noisy or).
    """
    missed = np.ones(rays.shape[:-1])
    for gazed in company:
        # 1 - cos of an angle is half its square, for angles that matter here.
        missed *= 1 - gazed.claim * np.exp((rays @ gazed.target.direction - 1) / SPREAD_RAD ** 2)
    return 1 - missed


def claimant(company: Company, number: int) -> Gazed | None:
    """What the person of this id looks at; None: gone."""
    return next((gazed for gazed in company if gazed.target.id == number), None)


def nearest(company: Company, direction: np.ndarray, within_rad: float) -> Gazed | None:
    """The target next to a direction; None: none within that angle."""
    best = max(company, key=lambda gazed: float(gazed.target.direction @ direction), default=None)
    if best is None or best.target.direction @ direction < math.cos(within_rad):
        return None
    return best
