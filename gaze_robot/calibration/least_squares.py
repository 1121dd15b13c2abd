"""Nonlinear least squares for a few dozen parameters, robust, with what the data leave open.

Levenberg-Marquardt with Marquardt's scaling ('An algorithm for least-squares estimation of
nonlinear parameters', 1963), a numeric Jacobian, and Huber's weights (1964) by repeated weighting.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gaze_robot.errors import CalibrationError

Residuals = Callable[[np.ndarray], np.ndarray]

_HUBER = 2.0
"""Residuals beyond this many robust standard deviations count less."""


@dataclass(frozen=True, eq=False)
class Fit:
    """Where the sum of squares is least."""

    values: np.ndarray
    """(P,)"""

    residuals: np.ndarray
    """(N,) there."""

    jacobian: np.ndarray
    """(N, P) there."""

    weights: np.ndarray
    """(N,) of the residuals, 0 to 1."""

    @property
    def cost(self) -> float:
        """Mean weighted square."""
        return float(np.average(self.residuals ** 2, weights=self.weights))

    def covariance(self, group: np.ndarray) -> np.ndarray:
        """(P, P), from how much the groups of residuals disagree.

        Residuals of one group may err together (a head that stands a little beside where it says
        moves all corners of that view): White's estimator, clustered (Liang and Zeger 1986), but
        never below what independent residuals give.

        Args:
            group: (N,) which group each residual is of.

        Raises:
            CalibrationError: some parameters cannot be told at all from these data.
        """
        weighted = self.jacobian * self.weights[:, None]
        scale = np.sqrt((weighted * self.jacobian).sum(axis=0))
        if not np.all(np.isfinite(scale)) or scale.min() <= 0:
            raise CalibrationError('a parameter does not matter to these measurements')
        normal = weighted.T @ self.jacobian / np.outer(scale, scale)
        if np.linalg.cond(normal) > 1e14:
            raise CalibrationError('these measurements cannot tell the parameters apart')
        inverse = np.linalg.inv(normal) / np.outer(scale, scale)
        groups = np.unique(group)
        sums = np.stack([weighted[group == g].T @ self.residuals[group == g] for g in groups])
        free = max(len(groups) - 1, 1)
        clustered = inverse @ (sums.T @ sums) @ inverse * len(groups) / free
        alone = inverse * (self.cost * len(self.residuals)
                           / max(len(self.residuals) - len(self.values), 1))
        ratio = np.sqrt(np.maximum(np.diag(alone) / np.maximum(np.diag(clustered), 1e-300), 1.0))
        return np.asarray(clustered * np.outer(ratio, ratio))


def fit(residuals: Residuals, start: np.ndarray, rounds: int = 30, robust: bool = True) -> Fit:
    """Find the least squares from a start.

    Args:
        residuals: (P,) -> (N,), all of one unit.
        start: (P,)
        rounds: steps at most.
        robust: whether to weigh outliers down; a residual's weight follows from the fit so far.
    """
    values = np.array(start, dtype=float)
    now = residuals(values)
    damping, weights = 1e-3, np.ones(len(now))
    for _ in range(rounds):
        weights = _weights(now) if robust else weights
        slope = _jacobian(residuals, values)
        weighted = slope * weights[:, None]
        normal, pull = weighted.T @ slope, weighted.T @ now
        moved = False
        for _ in range(8):
            scale = damping * np.maximum(np.diag(normal), 1e-12)
            step = -np.linalg.solve(normal + np.diag(scale), pull)
            tried = residuals(values + step)
            if (weights * tried ** 2).sum() < (weights * now ** 2).sum():
                moved, damping = True, max(damping / 5, 1e-12)
                break
            damping *= 5
        if not moved:
            break
        gain = 1 - (weights * tried ** 2).sum() / max((weights * now ** 2).sum(), 1e-300)
        values, now = values + step, tried
        if gain < 1e-10:
            break
    return Fit(values, now, _jacobian(residuals, values), weights)


def _weights(residuals: np.ndarray) -> np.ndarray:
    sigma = 1.4826 * float(np.median(np.abs(residuals)))
    return np.minimum(1.0, _HUBER * sigma / np.maximum(np.abs(residuals), 1e-300))


def _jacobian(residuals: Residuals, values: np.ndarray) -> np.ndarray:
    columns = []
    for index in range(len(values)):
        step = np.zeros(len(values))
        step[index] = 1e-6 * max(1.0, abs(values[index]))
        columns.append((residuals(values + step) - residuals(values - step)) / (2 * step[index]))
    return np.stack(columns, axis=1)
