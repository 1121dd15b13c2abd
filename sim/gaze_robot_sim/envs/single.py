"""gymnasium's view of one eye."""

from typing import Any, ClassVar

import gymnasium
import numpy as np

from gaze_robot.foveation import FoveationPattern
from gaze_robot_sim.envs.batch import EyeBatch
from gaze_robot_sim.envs.config import EyeConfig
from gaze_robot_sim.envs.making import make_batch, Worlds
from gaze_robot_sim.show import Show


class GazeEnv(gymnasium.Env):
    """A batch of one as a gymnasium environment; a task's own class holds its specification."""

    Batch: ClassVar[type[EyeBatch]]
    metadata: dict[str, Any] = {'render_modes': ['human', 'rgb_array'], 'render_fps': 30}

    def __init__(self, world: Worlds = 'procedural', pattern: FoveationPattern | None = None,
                 config: EyeConfig | None = None, render_mode: str | None = None, **options: Any
                 ) -> None:
        """Open a world and put an eye into it.

        Args:
            world: see `making.Worlds`.
            pattern: what the eye samples; None: the default.
            config: all settings of the task, or
            options: single ones by name.
            render_mode: 'rgb_array': `render()` returns frames, 'human': a window shows them.

        Raises:
            ConfigError, WorldError: the text says what is wrong and what is known.
        """
        self.render_mode = render_mode
        self.batch = make_batch(self.Batch, 1, world, pattern, config, options, map)
        self.metadata = {**self.metadata, 'render_fps': round(self.batch.config.rate_hz)}
        self._show = Show(self.batch, render_mode, self.metadata['render_modes'])
        self.observation_space = self.batch.observation_space
        self.action_space = self.batch.action_space
        self._observation: dict[str, np.ndarray] = {}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None
              ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Start an episode; a seed decides everything that follows.

        Args:
            options: 'scene' (number), 'pose' (pan, tilt) in radians.

        Raises:
            ConfigError: an unknown option.
        """
        fresh = self._np_random is None
        super().reset(seed=seed)
        if seed is None and fresh:
            seed = int(self.np_random.integers(1 << 31))
        self.batch.reseed([seed])
        self.batch.start([0], options)
        observation = self._look()
        self._show.began([0])
        return observation, {name: rows[0].item() for name, rows in self.batch.truth().items()}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict]:
        """Move, look.

        Raises:
            CommandError: an index out of range, or a number that is not finite.
        """
        value, parts = self.batch.step(np.asarray(action)[None])
        info = {name: part[0].item() for name, part in parts.items()}
        observation = self._look()
        self._show.stepped(parts)
        return observation, float(value[0]), False, bool(self.batch.finished[0]), info

    def render(self) -> np.ndarray | None:
        """One frame, (720, 1280, 3) uint8 RGB, in the mode 'rgb_array'; else None.

        In the mode 'human' a window shows every step by itself.

        Raises:
            CommandError: nothing is to be seen before the first `reset`.
        """
        frames = self._show.frames()
        return frames[0] if frames else None

    def close(self) -> None:
        """Close the world, and the window if there is one."""
        self._show.close()
        self.batch.close()

    def _look(self) -> dict[str, np.ndarray]:
        return {name: value[0] for name, value in self.batch.look().items()}
