"""Where a seen target is and how fast it moves, from directions with the time they were seen."""

import math

import numpy as np

_STRANGE_RAD, _STRANGE_SIGMA = 0.12, 3.0
"""A sighting further than both from where the target was expected is of another target."""

_START_RAD_S = 0.5
"""How fast an unknown target is taken to move, standard deviation."""


class Tracker:
    """A Kalman filter for (pan, tilt) at constant velocity, both axes alike.

    The target's acceleration is white noise, constant between sightings: Bar-Shalom, Li and
    Kirubarajan, 'Estimation with Applications to Tracking and Navigation', 2001, section 6.3.2.
    Angles are of the base frame: the head's own motion is not in them if the pose at the picture's
    stamp was used.
    """

    def __init__(self, noise_rad: float, agility_rad_s2: float, forget_after_s: float) -> None:
        """Know nothing yet.

        Args:
            noise_rad: standard deviation of a sighting, per axis.
            agility_rad_s2: of the target's acceleration.
            forget_after_s: after so long without a sighting the target counts as another one.
        """
        self._variance, self._agility = max(noise_rad, 1e-6) ** 2, agility_rad_s2 ** 2
        self._forget_after_s = forget_after_s
        self.reset()

    def reset(self) -> None:
        """Forget the target."""
        self.position: np.ndarray | None = None
        """(2,) pan and tilt at the last sighting or prediction, rad; None: never seen."""
        self.speed = np.zeros(2)
        """(2,) rad/s."""
        self._covariance = np.zeros((2, 2))
        self._unseen_s = 0.0

    @property
    def speed_deviation(self) -> float:
        """Standard deviation of `speed`, rad/s."""
        return math.sqrt(self._covariance[1, 1])

    def predict(self, dt_s: float) -> None:
        """Live on without a sighting: the target goes on as it did."""
        self._unseen_s += dt_s
        if self._unseen_s > self._forget_after_s:
            self.reset()
        if self.position is None or dt_s <= 0:
            return
        step = np.array([[1.0, dt_s], [0.0, 1.0]])
        shake = np.array([0.5 * dt_s * dt_s, dt_s])
        self.position = self.position + dt_s * self.speed
        self._covariance = (step @ self._covariance @ step.T
                            + self._agility * np.outer(shake, shake))

    def see(self, position: np.ndarray, dt_s: float, blur_rad: float = 0.0) -> None:
        """One sighting.

        Args:
            position: (2,) pan and tilt, rad; of the same turn as the sightings before.
            dt_s: seconds since the last call of this or of `predict`. 0: the same moment, which
                tells nothing new.
            blur_rad: standard deviation that this sighting has beside the usual noise.
        """
        variance = self._variance + blur_rad ** 2
        if dt_s <= 0 and self.position is not None and self._near(position, variance):
            return
        self.predict(dt_s)
        if self.position is None or not self._near(position, variance):
            self.position, self.speed = np.array(position, dtype=float), np.zeros(2)
            self._covariance = np.diag([variance, _START_RAD_S ** 2])
        else:
            gain = self._covariance[:, 0] / (self._covariance[0, 0] + variance)
            surprise = position - self.position
            self.position = self.position + gain[0] * surprise
            self.speed = self.speed + gain[1] * surprise
            self._covariance = self._covariance - np.outer(gain, self._covariance[0])
        self._unseen_s = 0.0

    def _near(self, position: np.ndarray, variance: float) -> bool:
        assert self.position is not None
        deviation = math.sqrt(self._covariance[0, 0] + variance)
        return bool(np.abs(position - self.position).max()
                    < max(_STRANGE_RAD, _STRANGE_SIGMA * deviation))
