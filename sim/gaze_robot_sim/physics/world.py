"""One episode: a table with things, an arm and an eye, in MuJoCo.

J joints of the arm, the gripper last
"""

from dataclasses import dataclass, field, replace

import mujoco
import numpy as np

from gaze_robot.errors import CommandError, ConfigError, WorldError
from gaze_robot.geometry import pan_tilt_from_direction
from gaze_robot.types import PanTiltLimits
from gaze_robot_sim.dynamics import EyeDynamics
from gaze_robot_sim.motion import Motion
from gaze_robot_sim.physics.build import build, SUBSTEPS
from gaze_robot_sim.physics.parts import ArmConfig, GRIPPER, HeadConfig
from gaze_robot_sim.physics.reach import Reach, reach_of
from gaze_robot_sim.physics.task import cylindrical, Goal, HOVER, OPEN, Task
from gaze_robot_sim.physics.tasks import task_of

LIMITS = PanTiltLimits((-1.92, -0.61), (1.92, 0.61))
"""Of the eye, as in `bcrl.batch`; those of its head's joints, where these are narrower."""
_ASTRAY_RAD = (0.25, 0.9)
"""Standard deviation of where a scattered hand begins, about where it has to go: near it, or
anywhere. Hands that had been low near it only stayed down wherever they got low."""
_ROOM = 5
"""Marks the stream of random numbers that rooms are drawn from."""
_ENDLESS = 2000 * np.pi
_ODD = tuple(int(getattr(mujoco.mjtWarning, f'mjWARN_{name}'))
             for name in ('BADQPOS', 'BADQVEL', 'BADQACC', 'BADCTRL'))

mujoco.set_mju_user_warning(lambda _: None)         # counted below, instead of a file of text


@dataclass(frozen=True)
class PhysicsConfig:
    """How a workspace is.

    Raises:
        ConfigError: a value out of range.
    """

    rate_hz: float = 30.0
    """Steps of hand and eye per second."""

    time_limit_s: float = 0.0
    """After this long an episode has failed; 0: the task's own."""

    dynamics: str = 'off'
    """Of the eye: 'off', 'head', 'typical' or 'random', see `EyeDynamics`."""

    scattered: float = 0.0
    """Share of the episodes in which the hand begins low, as it would after a mistake: for
    demonstrations of what to do then."""

    rooms: int = 0
    """So many rooms (walls, table, light), each with many episodes; 0: one for each episode. Where
    every room is seen with one layout, hands learn by heart what to do in which."""

    arm: ArmConfig = field(default_factory=ArmConfig)
    head: HeadConfig = field(default_factory=HeadConfig)

    def __post_init__(self) -> None:
        if not (5 <= self.rate_hz <= 200 and 0 <= self.time_limit_s <= 600
                and 0 <= self.scattered <= 1 and self.rooms >= 0):
            raise ConfigError('rate_hz is 5 to 200, time_limit_s 0 to 600, scattered 0 to 1 and '
                              f'rooms not negative, got {self.rate_hz}, {self.time_limit_s}, '
                              f'{self.scattered} and {self.rooms}')
        if not (isinstance(self.arm, ArmConfig) and isinstance(self.head, HeadConfig)):
            raise ConfigError(f'arm is an ArmConfig and head a HeadConfig, got {self.arm!r} and '
                              f'{self.head!r}')
        EyeDynamics.named(self.dynamics)


SHOWN = PhysicsConfig(scattered=0.5, rooms=100)
"""How demonstrations differ from what is measured: many begin where things have gone wrong."""


class PhysicsWorld:
    """A workspace from (task, seed, index) alone; implements `tasks.State`."""

    def __init__(self, task: str, seed: int, index: int, config: PhysicsConfig | None = None
                 ) -> None:
        """Build it, and let the things settle.

        Raises:
            ConfigError: there is no such task, or a number is negative.
            WorldError: an arm or head cannot be used, or the arm cannot do the task.
        """
        self.config = config or PhysicsConfig()
        if min(seed, index) < 0:
            raise ConfigError(f'seed and index are not negative, got {seed} and {index}')
        self.seed, self.index = seed, index
        rng = np.random.default_rng([seed, index])
        self.task: Task = task_of(task, rng)
        self.model, self.eye = build(self.task, self.config.arm, self.config.head,
                                     self.config.rate_hz, rng, self._room() or rng)
        """`eye` is (3,), its optical centre while the head looks straight ahead, metres."""
        self.reach: Reach = reach_of(self.config.arm)
        self.data = mujoco.MjData(self.model)
        self._find_parts()
        self.outcome = ''
        """'' as long as it goes on; 'success', or what went wrong."""
        self.steps = self.collisions = self.grasps = 0
        self._touching: set[tuple[int, int]] = set()
        self._held = False
        self._begin(rng)

    # --- making it

    def _room(self) -> np.random.Generator | None:
        """What the room is drawn from, if it is one of several."""
        if not self.config.rooms:
            return None
        chosen = np.random.default_rng([self.seed, self.index, _ROOM]).integers(self.config.rooms)
        return np.random.default_rng([self.seed, int(chosen), _ROOM])

    def _find_parts(self) -> None:
        model, tip = self.model, f'arm/{self.config.arm.tip}'
        self._tip = model.site(tip).id
        self.actuators = np.array([number for number in range(model.nu)
                                   if model.actuator(number).name.startswith('arm/')])
        self.joint_names = tuple(model.actuator(number).name.removeprefix('arm/')
                                 for number in self.actuators)
        self._low, self._high = model.actuator_ctrlrange[self.actuators].T
        free = model.actuator_ctrllimited[self.actuators] == 0
        self._low, self._high = np.where(free, -np.inf, self._low), np.where(
            free, np.inf, self._high)
        self._pan_tilt = np.array([model.joint(f'head/{name}').qposadr[0] for name in (
            self.config.head.pan, self.config.head.tilt)])
        self.limits = self._limits_of_head()
        self._pan_tilt_v = np.array([model.joint(f'head/{name}').dofadr[0] for name in (
            self.config.head.pan, self.config.head.tilt)])
        self._of_arm = np.array([model.body(model.geom_bodyid[geom]).name.startswith('arm/')
                                 for geom in range(model.ngeom)])
        self._sponge = {geom for geom in range(model.ngeom)
                        if model.geom(geom).name == 'arm/sponge'}
        self._may_touch = {model.geom(name).id for name in self.task.touchable} | {
            geom for geom in range(model.ngeom)
            if model.body(model.geom_bodyid[geom]).name in self.task.touchable}
        self._bodies = {model.body(number).name: number for number in range(model.nbody)}
        self._gripper = (self.joint_names.index(GRIPPER) if GRIPPER in self.joint_names else None)

    def _limits_of_head(self) -> PanTiltLimits:
        low, high = np.array(LIMITS.min_position), np.array(LIMITS.max_position)
        for axis, name in enumerate((self.config.head.pan, self.config.head.tilt)):
            joint = self.model.joint(f'head/{name}')
            if self.model.jnt_limited[joint.id]:
                low[axis] = max(low[axis], joint.range[0])
                high[axis] = min(high[axis], joint.range[1])
        if not (low < high).all():
            raise WorldError(f'{self.config.head.path}: pan and tilt turn from {low.tolist()} to '
                             f'{high.tolist()} rad; a head turns to both sides of 0')
        (left, down), (right, up) = low.tolist(), high.tolist()
        return replace(LIMITS, min_position=(left, down), max_position=(right, up))

    def _begin(self, rng: np.random.Generator) -> None:
        data, opening = self.data, OPEN if self.task.needs_gripper else 0.0
        start = Goal(rng.uniform(-1.2, 1.2), rng.uniform(0.44, 0.54), HOVER
                     + rng.uniform(0.03, 0.1), opening)
        if self.config.scattered and rng.random() < self.config.scattered:
            mujoco.mj_forward(self.model, data)
            towards = cylindrical(self.task.aim(self))[0] + rng.normal(
                0.0, rng.choice(_ASTRAY_RAD))
            opening *= rng.uniform(0.0, 1.0)
            start = Goal(min(max(towards, -1.9), 1.9), start.radius, rng.uniform(
                self.task.lowest, HOVER), opening)
        angles = self.reach.solve(start, None)
        for name, angle in angles.items():
            data.joint(f'arm/{name}').qpos[0] = angle
        self.data.ctrl[self.actuators] = self.command(angles, opening)
        if self._gripper is not None:
            for name in ('finger_left', 'finger_right'):
                if f'arm/{name}' in {self.model.joint(n).name for n in range(self.model.njnt)}:
                    data.joint(f'arm/{name}').qpos[0] = opening / 2
        dynamics = EyeDynamics.named(self.config.dynamics)
        self.motion = Motion(dynamics, 1, self.limits, self.config.rate_hz)
        self.random = rng
        pose = rng.uniform([-1.6, 0.0], [1.6, 0.5])
        self.motion.start(0, rng, np.clip(pose, self.limits.min_position,
                                          self.limits.max_position))
        for _ in range(2 * SUBSTEPS):
            self._substep()
        if self._diverged():
            raise WorldError('the physics of this workspace diverges at rest; look at masses, '
                             'inertias and gains of the arm')
        self._refresh()
        self._contacts()
        self.collisions = self.grasps = 0

    # --- living

    @property
    def time_s(self) -> float:
        """Since the episode began."""
        return self.steps / self.config.rate_hz

    @property
    def time_limit_s(self) -> float:
        """When it will have failed."""
        return self.config.time_limit_s or self.task.time_limit_s

    def command(self, angles: dict[str, float], opening: float) -> np.ndarray:
        """(J,) joint angles by name, and the gripper's opening, as `step` takes them."""
        return np.array([opening if name == GRIPPER else angles[name]
                         for name in self.joint_names])

    def step(self, action: np.ndarray, gaze: np.ndarray | None = None) -> str:
        """Live a step; the outcome.

        Args:
            action: (J,) where the arm's joints should be, radians; the gripper's opening, metres.
            gaze: (2,) pan and tilt that the eye should look along, radians; None: it rests.

        Raises:
            CommandError: numbers that are not finite, or of another count.
        """
        if self.outcome:
            return self.outcome
        action = np.asarray(action, float)
        if action.shape != self.actuators.shape or not np.isfinite(action).all():
            raise CommandError(f'this arm takes {len(self.actuators)} finite numbers '
                               f'({", ".join(self.joint_names)}), got {action}')
        goal = np.clip(action, self._low, self._high)
        before = self.data.ctrl[self.actuators].copy()
        self.motion.step(self.motion.pose if gaze is None else np.asarray(gaze, float)[None])
        for part in range(1, SUBSTEPS + 1):
            self.data.ctrl[self.actuators] = before + (goal - before) * (part / SUBSTEPS)
            self._substep()
        self.steps += 1
        if self._diverged():
            self.outcome = 'diverged'
            return self.outcome
        self._refresh()
        self._contacts()
        self.task.advance(self)
        self.outcome = self.task.judge(self)
        if not self.outcome and self.time_s >= self.time_limit_s:
            self.outcome = 'timeout'
        return self.outcome

    def _substep(self) -> None:
        self.data.qpos[self._pan_tilt] = self.motion.pose[0]
        self.data.qvel[self._pan_tilt_v] = 0.0
        mujoco.mj_step(self.model, self.data)

    def _diverged(self) -> bool:
        data = self.data
        return (any(data.warning[kind].number for kind in _ODD)
                or not np.isfinite(data.qpos).all() or bool(abs(data.qvel).max() > 1e4))

    def _refresh(self) -> None:
        self.data.qpos[self._pan_tilt] = self.motion.pose[0]
        mujoco.mj_forward(self.model, self.data)

    def _contacts(self) -> None:
        """Who touches whom, and how often that was news."""
        pairs = self.data.contact.geom[:self.data.ncon]
        arm = self._of_arm[pairs]
        pairs, arm = pairs[arm.any(axis=1)], arm[arm.any(axis=1)]
        ours, theirs = np.where(arm[:, 0], pairs.T, pairs.T[::-1])
        touching = {(int(a), int(b)) for a, b in zip(ours, theirs)}
        new = {pair for pair in touching - self._touching
               if pair[1] not in self._may_touch and pair[0] not in self._sponge}
        self.collisions += len({self.model.geom_bodyid[theirs] for _, theirs in new})
        self._touching = touching
        held = self.task.needs_gripper and self.holds('thing')
        self.grasps += held and not self._held
        self._held = held

    def show(self, state: np.ndarray, opacity: np.ndarray, gaze: np.ndarray | None) -> None:
        """Look as it did at another time, for painters alone.

        Args:
            state: of everything that moves, MuJoCo's qpos.
            opacity: (ngeom,) of each geom.
            gaze: (2,) pan and tilt of the eye; None: as in the state.
        """
        self.data.qpos[:], self.model.geom_rgba[:, 3] = state, opacity
        if gaze is not None:
            self.data.qpos[self._pan_tilt] = gaze
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)

    # --- what there is to know

    def joints(self) -> np.ndarray:
        """(J,) where the arm is, in the order of `joint_names`."""
        return self.data.actuator_length[self.actuators].copy()

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """(J,) least and greatest commands; 1000 times around where a joint has no limits."""
        return np.maximum(self._low, -_ENDLESS), np.minimum(self._high, _ENDLESS)

    @property
    def tip(self) -> np.ndarray:
        """(3,) between the fingertips."""
        return self.data.site_xpos[self._tip].copy()

    @property
    def opening(self) -> float:
        """Of the gripper, metres; 0 without one."""
        return 0.0 if self._gripper is None else float(
            self.data.actuator_length[self.actuators[self._gripper]])

    @property
    def gaze(self) -> np.ndarray:
        """(2,) pan and tilt of the eye, radians."""
        return self.motion.pose[0]

    def reported_gaze(self) -> np.ndarray:
        """(2,) the same as its encoders say."""
        return self.motion.measured([0], [self.random])[0]

    def position(self, body: str) -> np.ndarray:
        """(3,) of a body; see `State`."""
        return self.data.xpos[self._bodies[body]].copy()

    def speed(self, body: str) -> float:
        """Of a loose body, m/s; see `State`."""
        return float(np.linalg.norm(self.data.cvel[self._bodies[body]][3:]))

    def holds(self, body: str) -> bool:
        """Whether two parts of the arm touch it; see `State`."""
        number = self._bodies[body]
        parts_ = {int(self.model.geom_bodyid[ours]) for ours, theirs in self._touching
                  if self.model.geom_bodyid[theirs] == number}
        return len(parts_) > 1

    def aim(self) -> np.ndarray:
        """(2,) pan and tilt to what matters now."""
        pan, tilt = pan_tilt_from_direction(self.task.aim(self) - self.eye)
        return np.array([float(pan), float(tilt)])
