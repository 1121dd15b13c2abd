"""stable-baselines3's view of a batch of eyes: one call renders them all."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from gaze_robot_sim.envs.batch import EyeBatch


class GazeVecEnv(VecEnv):
    """An `EyeBatch` of any task as a VecEnv; episodes restart by themselves."""

    def __init__(self, batch: EyeBatch, stagger: bool = False) -> None:
        """Take a batch.

        Args:
            stagger: whether the first episodes are cut so that eyes end at different times, which
                spreads the cost of new rooms and mixes what a rollout holds.
        """
        self.render_mode = None
        super().__init__(batch.eyes, batch.observation_space, batch.action_space)
        self.batch = batch
        self._stagger = stagger
        self._actions = np.zeros(batch.eyes, int)
        self._returns = np.zeros(batch.eyes)
        self._sums: dict[str, np.ndarray] = {}

    def reset(self) -> dict[str, np.ndarray]:
        """Start every eye, from the seeds of `seed` where there are any."""
        if any(seed is not None for seed in self._seeds):
            self.batch.reseed(self._seeds)
        for eye, options in enumerate(self._options):
            self.batch.start([eye], options)
        self._reset_seeds()
        self._reset_options()
        self._returns[:] = 0.0
        self._sums = {}
        if self._stagger:
            length = self.batch.config.length
            self.batch.steps[:] = np.arange(self.num_envs) * length // self.num_envs
        observation = self.batch.look()
        truth = self.batch.truth()
        self.reset_infos = [dict(zip(truth, row)) for row in
                            zip(*(rows.tolist() for rows in truth.values()))]
        return observation

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions."""
        self._actions = actions

    def step_wait(self) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, list[dict]]:
        """Move, look, and restart the eyes whose time is over."""
        value, parts = self.batch.step(self._actions)
        self._returns += value
        for name, part in parts.items():
            self._sums[name] = self._sums.get(name, 0.0) + part
        observation = self.batch.look()
        done = self.batch.finished
        names = list(parts)
        infos: list[dict[str, Any]] = [dict(zip(names, row)) for row in
                                       zip(*(part.tolist() for part in parts.values()))]
        ended = np.nonzero(done)[0]
        for eye in ended.tolist():
            infos[eye] |= {
                'terminal_observation': {k: v[eye].copy() for k, v in observation.items()},
                'TimeLimit.truncated': True,
                'episode': {'r': float(self._returns[eye]), 'l': int(self.batch.steps[eye]),
                            **{name: float(sums[eye]) for name, sums in self._sums.items()
                               if name.startswith('reward/')}}}
            self._returns[eye] = 0.0
            for sums in self._sums.values():
                sums[eye] = 0.0
        if len(ended):
            self.batch.start(ended)
            for name, rows in self.batch.look(ended).items():
                observation[name][ended] = rows
        return observation, value.astype(np.float32), done, infos

    def close(self) -> None:
        """Close the worlds."""
        self.batch.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The same attribute for every eye asked for."""
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the whole batch."""
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any
                   ) -> list[Any]:
        """Call a method of the whole batch once; its result for every eye asked for."""
        result = getattr(self.batch, method_name)(*args, **kwargs)
        return [result for _ in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """No wrappers here."""
        return [False for _ in self._get_indices(indices)]

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seeds of the next reset: eye i gets seed + i."""
        self._seeds = [None if seed is None else seed + i for i in range(self.num_envs)]
        return self._seeds
