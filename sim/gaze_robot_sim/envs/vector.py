"""gymnasium's view of many eyes: a batch is rendered at once, in one process."""

from collections.abc import Sequence
from typing import Any, ClassVar

from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
import numpy as np

from gaze_robot.foveation import FoveationPattern
from gaze_robot_sim.cores import Threads
from gaze_robot_sim.envs.batch import EyeBatch
from gaze_robot_sim.envs.config import EyeConfig
from gaze_robot_sim.envs.making import make_batch, Worlds
from gaze_robot_sim.show import Show


class GazeVectorEnv(VectorEnv):
    """Eyes that restart within the step that ends their episode (SAME_STEP).

    With equal seeds each eye lives through exactly what a single environment would.
    """

    Batch: ClassVar[type[EyeBatch]]
    metadata: dict[str, Any] = {'autoreset_mode': AutoresetMode.SAME_STEP,
                                'render_modes': ['rgb_array'], 'render_fps': 30}

    def __init__(self, num_envs: int = 1, world: Worlds = 'procedural',
                 pattern: FoveationPattern | None = None, config: EyeConfig | None = None,
                 threads: int = 0, render_mode: str | None = None, **options: Any) -> None:
        """Put eyes into a world; see `GazeEnv`.

        Args:
            threads: that render; 0: one per core. The results do not depend on it.
        """
        self._threads = Threads(threads)
        self.batch = make_batch(self.Batch, num_envs, world, pattern, config, options,
                                self._threads)
        self.num_envs, self.render_mode = num_envs, render_mode
        self.metadata = {**self.metadata, 'render_fps': round(self.batch.config.rate_hz)}
        self._show = Show(self.batch, render_mode, self.metadata['render_modes'])
        self.single_observation_space = self.batch.observation_space
        self.single_action_space = self.batch.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._all = np.ones(num_envs, bool)

    def reset(self, *, seed: int | Sequence[int | None] | None = None,
              options: dict[str, Any] | None = None
              ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Start every eye; eye i gets seed + i, or seed[i]."""
        fresh = self._np_random is None
        super().reset(seed=seed if isinstance(seed, int) else None)
        chance = int(self.np_random.integers(1 << 31)) if fresh else 0
        if seed is None and fresh:
            seed = chance
        elif fresh and not isinstance(seed, (int, np.integer)) and seed is not None:
            seed = [chance + eye if one is None else one for eye, one in enumerate(seed)]
        if seed is not None:
            self.batch.reseed(seed)
        self.batch.start(range(self.num_envs), options)
        observation = self.batch.look()
        self._show.began(range(self.num_envs))
        infos: dict[str, Any] = {}
        for name, rows in self.batch.truth().items():
            infos[name], infos[f'_{name}'] = rows, self._all
        return observation, infos

    def step(self, actions: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray,
                                                 np.ndarray, dict[str, Any]]:
        """Move, look, and restart the eyes whose time is over."""
        value, parts = self.batch.step(np.asarray(actions))
        observation = self.batch.look()
        self._show.stepped(parts)
        done = self.batch.finished
        infos: dict[str, Any] = {}
        for name, part in parts.items():
            infos[name], infos[f'_{name}'] = part, self._all
        if done.any():
            self._restart(done, observation, infos)
        return observation, value, np.zeros(self.num_envs, bool), done, infos

    def _restart(self, done: np.ndarray, observation: dict[str, np.ndarray],
                 infos: dict[str, Any]) -> None:
        ended = np.nonzero(done)[0]
        last = np.full(self.num_envs, None, object)
        for eye in ended:
            last[eye] = {name: rows[eye].copy() for name, rows in observation.items()}
        final = {name: np.where(done, rows, False if rows.dtype == bool else 0)
                 for name, rows in infos.items()}
        infos.update(final_obs=last, _final_obs=done, final_info=final, _final_info=done)
        self.batch.start(ended)
        for name, rows in self.batch.look(ended).items():
            observation[name][ended] = rows
        self._show.began(ended)
        # What the new episodes say of themselves; their first step has no reward terms yet.
        infos.update(self.batch.truth())
        for name in list(infos):
            if name.startswith('_reward/'):
                infos[name] = ~done
                infos[name[1:]] = np.where(done, 0.0, infos[name[1:]])

    def render(self) -> tuple[np.ndarray, ...] | None:
        """A frame of every eye as it is now, each (720, 1280, 3) uint8 RGB, or None.

        None without `render_mode='rgb_array'`. An eye whose episode ended shows its next one.

        Raises:
            CommandError: nothing is to be seen before the first `reset`.
        """
        return self._show.frames()

    def close_extras(self, **kwargs: Any) -> None:
        """Close worlds and threads."""
        self._threads.close()
        self.batch.close()
