"""How heads move under `EyeDynamics`: many at once, each with its own draw."""

from collections.abc import Sequence
import math

import numpy as np

from gaze_robot.drivers.kinematic import approach
from gaze_robot.errors import CommandError, ConfigError
from gaze_robot.types import PanTiltLimits
from gaze_robot_sim.dynamics import EyeDynamics

MOST_EXPOSURES = 8
"""At most this many poses stand for one exposure."""


class Motion:
    """B heads: goals in, true and reported poses out.

    `start`, and `measured` where there is noise, draw from an eye's own generator, in a fixed
    order and only what has a range: an eye's stream does not depend on the others.
    """

    pose: np.ndarray
    """(B, 2) pan and tilt where the cameras truly look, behind the backlash, rad, base frame."""

    speed: np.ndarray
    """(B, 2) of the cameras, rad/s."""

    def __init__(self, dynamics: EyeDynamics, eyes: int, limits: PanTiltLimits, rate_hz: float
                 ) -> None:
        """Make heads at rest that look straight ahead; `start` each before its first step.

        Raises:
            ConfigError: no eyes, or no positive rate.
        """
        if eyes < 1 or not 0.0 < rate_hz < math.inf:
            raise ConfigError(f'motion needs at least one eye and a positive rate, got {eyes} '
                              f'eyes and {rate_hz} Hz')
        self.dynamics, self.limits, self.step_s = dynamics, limits, 1.0 / rate_hz
        self.pose, self.speed = np.zeros((eyes, 2)), np.zeros((eyes, 2))
        self._motor, self._motor_speed = self.pose, self.speed
        self._low, self._high = np.array(limits.min_position), np.array(limits.max_position)
        self._fastest = np.tile(np.array(limits.max_velocity), (eyes, 1))
        self._strength = np.tile(np.array(limits.max_acceleration), (eyes, 1))
        self._play, self._late_s = np.zeros((eyes, 1)), np.zeros((eyes, 1))
        self._late = np.zeros(eyes, int)
        self._noise, self.exposure_s = np.zeros(eyes), np.zeros(eyes)
        self._goals = np.zeros((math.ceil(dynamics.latency_s[1] * rate_hz) + 1, eyes, 2))
        self._steps, self._all = 0, np.arange(eyes)

    def start(self, eye: int, rng: np.random.Generator, pose: np.ndarray) -> None:
        """Draw an eye's parameters and put it at rest at `pose` (2,), in the middle of its play.

        Raises:
            CommandError: the pose is not two finite numbers.
        """
        pose = np.asarray(pose, dtype=float)
        if pose.shape != (2,) or not np.isfinite(pose).all():
            raise CommandError(f'a head starts at a finite (pan, tilt), got {pose}')
        draw, dynamics = self.dynamics.draw, self.dynamics
        if dynamics.max_velocity_rad_s is not None:
            self._fastest[eye] = draw('max_velocity_rad_s', rng)
        if dynamics.max_acceleration_rad_s2 is not None:
            self._strength[eye] = draw('max_acceleration_rad_s2', rng)
        late = round(draw('latency_s', rng) / self.step_s, 9)
        self._late[eye], self._late_s[eye] = int(late), late % 1.0 * self.step_s
        self._play[eye] = 0.5 * draw('backlash_rad', rng)
        self._noise[eye] = draw('encoder_noise_rad', rng)
        self.exposure_s[eye] = draw('exposure_s', rng)
        self._goals[:, eye] = pose
        self.pose[eye] = self._motor[eye] = pose
        self.speed[eye] = self._motor_speed[eye] = 0.0

    def step(self, goal: np.ndarray) -> None:
        """Live one step with these goals (B, 2), rad, clipped to the limits; new arrays each time.

        Raises:
            CommandError: the goals have another shape or are not finite.
        """
        goal = np.asarray(goal, dtype=float)
        if goal.shape != self.pose.shape or not np.isfinite(goal).all():
            raise CommandError(f'{len(self.pose)} eyes need as many finite goals (pan, tilt), '
                               f'got {goal}')
        goal = np.minimum(np.maximum(goal, self._low), self._high)
        if not self.dynamics.latency_s[1]:
            self._go(goal, self.step_s)
            return
        self._steps += 1
        slots = len(self._goals)
        self._goals[self._steps % slots] = goal
        newest = self._steps - self._late
        if self._late_s.any():
            self._go(self._goals[(newest - 1) % slots, self._all], self._late_s)
        self._go(self._goals[newest % slots, self._all], self.step_s - self._late_s)

    def _go(self, goal: np.ndarray, time_s: float | np.ndarray) -> None:
        """Head for one goal for some time, and take the camera along."""
        motor, speed = self._motor, self._motor_speed
        if self.dynamics.instant:
            self._motor, self._motor_speed = goal, np.zeros_like(goal)
        else:
            self._motor, self._motor_speed = approach(
                motor, speed, goal, self._fastest, self._strength, time_s)
        if not self.dynamics.backlash_rad[1]:
            self.pose, self.speed = self._motor, self._motor_speed
            return
        # A motor that had to turn back (at most once, as the goal stands) pushed until there.
        turn = motor + 0.5 * speed * np.abs(speed) / self._strength
        back = (turn - self._motor) * speed > 0
        self._push(np.where(back & (self._motor_speed * speed <= 0), turn, self._motor))
        low, high = self._push(self._motor)
        self.speed = np.where(self.pose == np.where(self._motor_speed > 0, low, high),
                              self._motor_speed, 0.0)

    def _push(self, motor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Move the camera only as far as the play demands; (lowest, highest) it may be at."""
        low, high = motor - self._play, motor + self._play
        self.pose = np.minimum(np.maximum(self.pose, low), high)
        return low, high

    def measured(self, eyes: Sequence[int] | np.ndarray, random: Sequence[np.random.Generator]
                 ) -> np.ndarray:
        """What the encoders of some eyes report: (len(eyes), 2) motor angles with noise, rad.

        Args:
            eyes: which.
            random: the generators of all eyes; `random[eye]` is used.
        """
        angles = self._motor[np.asarray(eyes, dtype=int)]
        if self.dynamics.encoder_noise_rad[1]:
            for row, eye in enumerate(eyes):
                if self._noise[eye]:
                    angles[row] += random[eye].normal(0.0, self._noise[eye], 2)
        return angles

    def exposures(self, eye: int, step_rad: float) -> np.ndarray:
        """Poses (K, 2) whose pictures make up this exposure, `exposure_poses`."""
        if not self.exposure_s[eye]:
            return self.pose[eye:eye + 1]
        return exposure_poses(self.pose[eye], self.speed[eye], self.exposure_s[eye], step_rad)


def exposure_poses(pose: np.ndarray, speed: np.ndarray, exposure_s: float, step_rad: float
                   ) -> np.ndarray:
    """Poses (K, 2), evenly spaced in time, whose mean picture is blurred as by the motion.

    K is 1 where the view shifts by less than half of `step_rad` (a sample of the sharpest level,
    or a pixel) while the shutter is open, else one pose per step up to `MOST_EXPOSURES`. The
    exposure's middle is the pose's moment, and the speed is taken to be constant.
    """
    swept = exposure_s * math.hypot(speed[0] * math.cos(pose[1]), speed[1])
    if swept < 0.5 * step_rad:
        return pose[None]
    count = min(max(math.ceil(swept / step_rad), 2), MOST_EXPOSURES)
    moments = exposure_s * ((np.arange(count) + 0.5) / count - 0.5)
    return pose + moments[:, None] * speed
