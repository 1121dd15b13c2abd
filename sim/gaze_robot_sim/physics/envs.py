"""The workspaces as gymnasium environments: `gaze_workspace/Press-v0` and so on.

What the hand and the eye are given is what policies see elsewhere in the package: the levels of
the foveated view, the arm's joints, the gaze, and the task as numbers.
"""

from typing import Any

import gymnasium
import numpy as np

from gaze_robot.errors import CommandError, ConfigError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.policy.actions import move
from gaze_robot_sim.bcrl.batch import PATTERN
from gaze_robot_sim.physics.expert import Expert
from gaze_robot_sim.physics.task import TASK_NUMBERS
from gaze_robot_sim.physics.tasks import KINDS
from gaze_robot_sim.physics.views import Painter
from gaze_robot_sim.physics.world import PhysicsConfig, PhysicsWorld

_FRAME = (640, 480)


class WorkspaceEnv(gymnasium.Env):
    """One arm and one eye at a table.

    Actions: 'hand' (J,) in [-1, 1], where the arm's joints should be and how far open its gripper,
    from one end of their range to the other; 'eye' (2,) in [-1, 1], fractions of 10 degrees to
    turn left and down.
    Observations: 'level_0' to 'level_2', 'joints' (J,), 'pan_tilt' (2,), 'task' (TASK_NUMBERS,).
    The reward is 1 in the step that succeeds and 0 in all others; `info` has 'outcome', 'aim' (the
    true direction of what matters, pan and tilt), 'collisions', 'grasps' and 'instruction'.
    `terminated`: it succeeded or cannot any more; `truncated`: time is up.
    """

    metadata: dict[str, Any] = {'render_modes': ['rgb_array'], 'render_fps': 30}

    def __init__(self, task: str = 'press', pattern: FoveationPattern = PATTERN,
                 config: PhysicsConfig | None = None, render_mode: str | None = None,
                 **options: Any) -> None:
        """Make an environment; its first world appears at the first `reset`.

        Args:
            config: all settings, or
            options: single ones by name, fields of `PhysicsConfig`.

        Raises:
            ConfigError: an unknown task, option or render mode.
            WorldError: the arm or the head cannot be used.
        """
        if task not in KINDS:
            raise ConfigError(f'there is no task {task!r}; known: {", ".join(KINDS)}')
        if render_mode not in (None, 'rgb_array'):
            raise ConfigError(f'no such render mode: {render_mode!r}; known: None, rgb_array')
        try:
            self.config = config or PhysicsConfig(**options)
        except TypeError as error:
            raise ConfigError(f'no such option: {error}') from error
        self.task, self.pattern, self.render_mode = task, pattern, render_mode
        self.metadata = {**self.metadata, 'render_fps': round(self.config.rate_hz)}
        self._world: PhysicsWorld | None = None
        self._painter: Painter | None = None
        self._seen: dict[str, np.ndarray] = {}
        self._aim = np.zeros(2)
        low, high = PhysicsWorld(task, 0, 0, self.config).bounds
        self._middle, self._half = (low + high) / 2, (high - low) / 2
        box = gymnasium.spaces.Box
        self.action_space = gymnasium.spaces.Dict({
            'hand': box(-1.0, 1.0, low.shape, np.float32),
            'eye': box(-1.0, 1.0, (2,), np.float32)})
        levels = {f'level_{number}': box(0, 255, (side, side, 3), np.uint8)
                  for number, side in enumerate(pattern.window)}
        self.observation_space = gymnasium.spaces.Dict({
            **levels, 'joints': box(-10.0, 10.0, low.shape, np.float32),
            'pan_tilt': box(-10.0, 10.0, (2,), np.float32),
            'task': box(0.0, 1.0, (TASK_NUMBERS,), np.float32)})

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None
              ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Begin an episode in a new world; a seed decides everything that follows."""
        super().reset(seed=seed)
        self._free()
        number = int(self.np_random.integers(1 << 31))
        self._world = PhysicsWorld(self.task, number, 0, self.config)
        self._painter = Painter(self._world)
        return self._look(), self._info()

    def step(self, action: dict[str, np.ndarray]
             ) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Move hand and eye, and look.

        Raises:
            CommandError: numbers that are not finite, or a step before the first `reset`.
        """
        world, hand = self._begun(), np.asarray(action['hand'], float)
        if hand.shape != self._half.shape:
            raise CommandError(f'the hand has {len(self._half)} numbers '
                               f'({", ".join(world.joint_names)}), got {hand.shape}')
        outcome = world.step(self._middle + self._half * hand,
                             world.reported_gaze() + move(action['eye'], False))
        return (self._look(), float(outcome == 'success'), outcome not in ('', 'timeout'),
                outcome == 'timeout', self._info())

    def expert(self) -> dict[str, np.ndarray]:
        """What the scripted expert would do now, its eye turned towards what matters.

        Raises:
            WorldError: the arm cannot reach where the task is.
        """
        world = self._begun()
        turn = (world.aim() - world.gaze) / np.radians(10.0)
        hand = (Expert(world).act() - self._middle) / self._half
        return {'hand': np.clip(hand, -1.0, 1.0).astype(np.float32),
                'eye': np.clip(turn, -1.0, 1.0).astype(np.float32)}

    def render(self) -> np.ndarray | None:
        """What a camera across the table sees, (480, 640, 3) uint8 RGB; None without a mode."""
        if self.render_mode is None:
            return None
        self._begun()
        assert self._painter is not None
        return np.ascontiguousarray(self._painter.picture('exo', *_FRAME))

    def close(self) -> None:
        """Free what the graphics driver holds; `reset` begins anew."""
        self._free()
        self._world = None

    def _begun(self) -> PhysicsWorld:
        if self._world is None:
            raise CommandError('call reset before anything else')
        return self._world

    def _look(self) -> dict[str, np.ndarray]:
        world = self._begun()
        assert self._painter is not None
        if world.outcome == 'diverged':                 # nothing is anywhere: as it was last seen
            return self._seen
        levels = {f'level_{number}': level for number, level in enumerate(
            self._painter.levels(self.pattern))}
        self._seen = {**levels, 'joints': world.joints().astype(np.float32),
                'pan_tilt': world.reported_gaze().astype(np.float32),
                'task': world.task.embedding}
        return self._seen

    def _info(self) -> dict[str, Any]:
        world = self._begun()
        if world.outcome != 'diverged':
            self._aim = world.aim()
        return {'outcome': world.outcome, 'aim': self._aim, 'collisions': world.collisions,
                'grasps': world.grasps, 'instruction': world.task.instruction}

    def _free(self) -> None:
        if self._painter is not None:
            self._painter.close()
            self._painter = None
