"""Who knows how: goes where the task says next, from wherever the arm is."""

import numpy as np

from gaze_robot.errors import WorldError
from gaze_robot_sim.physics.parts import GRIPPER
from gaze_robot_sim.physics.task import cylindrical, Goal, OPEN
from gaze_robot_sim.physics.world import PhysicsWorld

FASTEST = np.array([1.2, 0.3, 0.3])
"""Of the tip: azimuth, rad/s; radius and height, m/s."""
_WITHIN = (-2.0, 0.35, -0.02), (2.0, 0.62, 0.34)
"""Least and greatest azimuth, radius and height of commands: a pushed arm comes back from outside.
"""
_AHEAD_S = 0.085
"""How far ahead of the arm its commands are."""
_EAGER_HZ = 7.0
"""Below its fastest the tip closes in at this rate."""
NUDGE_RAD = 0.015
"""How much the expert is pushed while it demonstrates: standard deviation of each joint."""
_NUDGE_S, _KICK_S, _KICKS_HZ, _GRIP_KICKS_HZ = 0.25, 0.25, 0.3, 0.5
"""Time constant of slow noise; how long a kick lasts; how many there are, and of the gripper."""


class Expert:
    """Chooses what to do in a world; keeps nothing but what inverse kinematics starts from."""

    def __init__(self, world: PhysicsWorld) -> None:
        self.world = world

    def act(self) -> np.ndarray:
        """(J,) where the arm should be next.

        Raises:
            WorldError: the arm cannot reach where the task is.
        """
        world = self.world
        goal = world.task.goal(world)
        tip = np.array(cylindrical(world.tip))
        away = np.array([goal.azimuth, goal.radius, goal.z]) - tip
        pace = np.clip(away * _EAGER_HZ, -FASTEST, FASTEST)
        azimuth, radius, z = np.clip(tip + pace * _AHEAD_S, *_WITHIN).tolist()
        joints = dict(zip(world.joint_names, world.joints()))
        angles = world.reach.solve(Goal(azimuth, radius, z, goal.opening), joints)
        return world.command(angles, goal.opening)


def succeeds(world: PhysicsWorld) -> str:
    """The outcome when the expert lives through an episode."""
    expert = Expert(world)
    while not world.outcome:
        try:
            world.step(expert.act())
        except WorldError:
            world.outcome = 'unreachable'
    return world.outcome



class Nudges:
    """Pushes against what the expert does, so that what it does from elsewhere is seen too.

    Laskey et al., 'DART: noise injection for robust imitation learning', 2017. There is slow
    noise, each joint's a first-order process of `_NUDGE_S`, and now and then a kick, ten times as
    strong, for `_KICK_S`. A gripper that should be open is kicked to any opening: hands that had
    seen it half closed only where it closes stayed wherever it was so.
    """

    def __init__(self, rng: np.random.Generator, world: PhysicsWorld, strength: float) -> None:
        """Start from nothing.

        Args:
            strength: standard deviation of each joint but the gripper, radians; 0: no pushes.
        """
        self._rng, self._now = rng, np.zeros(len(world.joint_names))
        self._spread = np.array([0.0 if name == GRIPPER else strength
                                 for name in world.joint_names])
        self._rate_hz = world.config.rate_hz
        self._keep = float(np.exp(-1.0 / (_NUDGE_S * self._rate_hz)))
        self._kick, self._left = np.zeros(len(world.joint_names)), 0
        self._grip = world.joint_names.index(GRIPPER) if strength and (
            GRIPPER in world.joint_names) else None
        self._opening, self._grip_left = 0.0, 0

    def __call__(self, action: np.ndarray) -> np.ndarray:
        """(J,) what is done instead."""
        fresh = self._rng.normal(0.0, 1.0, len(action)) * self._spread
        self._now = self._keep * self._now + (1 - self._keep ** 2) ** 0.5 * fresh
        if self._left:
            self._left -= 1
        elif self._rng.random() < _KICKS_HZ / self._rate_hz:
            self._left = round(_KICK_S * self._rate_hz)
            self._kick = 10 * self._rng.normal(0.0, 1.0, len(action)) * self._spread
        done = action + self._now + self._kick * bool(self._left)
        if self._grip is not None:
            done[self._grip] = self._grips(action[self._grip])
        return done

    def _grips(self, opening: float) -> float:
        """How far the gripper is opened instead."""
        if opening < OPEN / 2:                          # what it holds must not fall
            self._grip_left = 0
        elif self._grip_left:
            self._grip_left -= 1
            return self._opening
        elif self._rng.random() < _GRIP_KICKS_HZ / self._rate_hz:
            self._grip_left = round(self._rng.uniform(0.5, 2.0) * _KICK_S * self._rate_hz)
            self._opening = self._rng.uniform(0.0, OPEN)
        return opening
