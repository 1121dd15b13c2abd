"""Who knows how: goes where the task says next, from wherever the arm is."""

import numpy as np

from gaze_robot.errors import WorldError
from gaze_robot_sim.physics.parts import GRIPPER
from gaze_robot_sim.physics.tasks import cylindrical, Goal
from gaze_robot_sim.physics.world import PhysicsWorld

FASTEST = np.array([1.2, 0.3, 0.3])
"""Of the tip: azimuth, rad/s; radius and height, m/s."""
_NUDGE_S = 0.25
_AHEAD_S = 0.085
"""How far ahead of the arm its commands are."""
_EAGER_HZ = 7.0
"""Below its fastest the tip closes in at this rate."""


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
        azimuth, radius, z = (tip + pace * _AHEAD_S).tolist()
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

    Laskey et al., 'DART: noise injection for robust imitation learning', 2017. Slow noise: each
    joint's is a first-order process of `_NUDGE_S`.
    """

    def __init__(self, rng: np.random.Generator, world: PhysicsWorld, strength: float) -> None:
        """Start from nothing.

        Args:
            strength: standard deviation of each joint, radians; the gripper gets none.
        """
        self._rng, self._now = rng, np.zeros(len(world.joint_names))
        self._spread = np.array([0.0 if name == GRIPPER else strength
                                 for name in world.joint_names])
        self._keep = float(np.exp(-1.0 / (_NUDGE_S * world.config.rate_hz)))

    def __call__(self, action: np.ndarray) -> np.ndarray:
        """(J,) what is done instead."""
        fresh = self._rng.normal(0.0, 1.0, len(action)) * self._spread
        self._now = self._keep * self._now + (1 - self._keep ** 2) ** 0.5 * fresh
        return action + self._now
