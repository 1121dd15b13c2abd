"""Inverse kinematics of an arm, by mink."""

import functools
import math

import mink
import mujoco
import numpy as np

from gaze_robot.errors import WorldError
from gaze_robot_sim.physics.furniture import place
from gaze_robot_sim.physics.model_file import attach, compiled
from gaze_robot_sim.physics.parts import ArmConfig, GRIPPER, load_arm
from gaze_robot_sim.physics.task import Goal

_ROUNDS, _CLOSE_M, _FAR_M = 60, 5e-4, 0.01
_PACE_S = 0.05


class Reach:
    """Finds joint angles for a hand that points straight down at a place."""

    def __init__(self, config: ArmConfig) -> None:
        """Compile the arm alone.

        Raises:
            WorldError: it cannot be used.
        """
        spec = mujoco.MjSpec()
        spec.compiler.degree = False
        attach(spec, load_arm(config), 'arm/', config.xyz)
        self._model = compiled(spec, config.path or 'our arm')
        moved = {self._model.actuator(number).name for number in range(self._model.nu)}
        self._names = [name.removeprefix('arm/') for name in (
            self._model.joint(number).name for number in range(self._model.njnt))
            if name in moved - {f'arm/{GRIPPER}'}]
        self._at = np.array([self._model.joint(f'arm/{name}').qposadr[0] for name in self._names])
        self._arm = mink.Configuration(self._model)
        low, high = self._model.jnt_range.T
        self._rest = np.where(self._model.jnt_limited, np.clip(0.0, low, high), 0.0)
        for name, angle in (('shoulder', 0.0), ('elbow', 1.3), ('wrist_pitch', 0.27)):
            if f'arm/{name}' in {self._model.joint(n).name for n in range(self._model.njnt)}:
                self._rest[self._model.joint(f'arm/{name}').qposadr[0]] = angle
        self._tip = mink.FrameTask(f'arm/{config.tip}', 'site', position_cost=1.0,
                                   orientation_cost=0.3, lm_damping=1e-4)
        self._posture = mink.PostureTask(self._model, cost=1e-4)
        self._posture.set_target(self._rest)
        self._limits = [mink.ConfigurationLimit(self._model)]

    def solve(self, goal: Goal, near: dict[str, float] | None) -> dict[str, float]:
        """Joint angles, radians, by name.

        Args:
            near: where to start from; None: from a usual posture that faces the place.

        Raises:
            WorldError: the place is out of reach, by more than a centimetre.
        """
        angles = self._rest.copy()
        if near is None:
            angles[self._at[0]] = goal.azimuth
        else:
            angles[self._at] = [near[name] for name in self._names]
        self._arm.update(angles)
        self._tip.set_target(_pose(goal))
        for _ in range(_ROUNDS):
            speed = mink.solve_ik(self._arm, [self._tip, self._posture], _PACE_S, 'daqp',
                                  damping=1e-4, limits=self._limits)
            self._arm.integrate_inplace(speed, _PACE_S)
            error = float(np.linalg.norm(self._tip.compute_error(self._arm)[:3]))
            if error < _CLOSE_M:
                break
        if not error < _FAR_M:
            x, y, z = place(goal.azimuth, goal.radius, goal.z)
            raise WorldError(f'the hand cannot reach ({x:.2f}, {y:.2f}, {z:.2f}) m: it stays '
                             f'{100 * error:.0f} cm away; move the arm (arm.xyz), or take one '
                             'that is longer')
        return dict(zip(self._names, self._arm.q[self._at].tolist()))


@functools.lru_cache(maxsize=4)
def reach_of(config: ArmConfig) -> Reach:
    """The same for the same arm, which takes a while to make."""
    return Reach(config)


def _pose(goal: Goal) -> mink.SE3:
    """The tip's: x down, z away from the middle."""
    cos, sin = math.cos(goal.azimuth), math.sin(goal.azimuth)
    turn = np.array([[0.0, -sin, cos], [0.0, cos, sin], [-1.0, 0.0, 0.0]])
    return mink.SE3.from_rotation_and_translation(
        mink.SO3.from_matrix(turn), np.array(place(goal.azimuth, goal.radius, goal.z)))
