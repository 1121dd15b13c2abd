"""stable-baselines3's view of a batch of eyes: one call renders and encodes them all."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from gaze_robot_sim.envs.search import SearchBatch, spaces


class SearchVecEnv(VecEnv):
    """`SearchBatch` as a VecEnv; episodes restart by themselves, at staggered times at first."""

    def __init__(self, batch: SearchBatch, stagger: bool = True) -> None:
        observation, action = spaces(batch.perception.network, batch.config.discrete)
        self.render_mode = None
        super().__init__(batch.eyes, observation, action)
        self.batch = batch
        self._stagger = stagger
        self._actions = np.zeros(batch.eyes, int)
        self._returns = np.zeros(batch.eyes)
        self._parts: dict[str, np.ndarray] = {}

    def reset(self) -> dict[str, np.ndarray]:
        """Start every eye."""
        self.batch.start(range(self.num_envs))
        self._returns[:] = 0.0
        self._parts = {}
        if self._stagger:
            length = round(self.batch.config.episode_s * self.batch.config.rate_hz)
            self.batch.steps[:] = np.arange(self.num_envs) * length // self.num_envs
        return self.batch.look()

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions."""
        self._actions = actions

    def step_wait(self) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, list[dict]]:
        """Move, look, and restart the eyes whose time is over."""
        value, parts = self.batch.step(self._actions)
        self._returns += value
        for name, part in parts.items():
            self._parts[name] = self._parts.get(name, 0.0) + part
        error = self.batch.error_rad()
        observation = self.batch.look()
        done = self.batch.finished
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        ended = [int(eye) for eye in np.nonzero(done)[0]]
        for eye in ended:
            infos[eye] = {
                'terminal_observation': {k: v[eye].copy() for k, v in observation.items()},
                'TimeLimit.truncated': True, 'final_error_rad': float(error[eye]),
                'episode': {'r': float(self._returns[eye]), 'l': int(self.batch.steps[eye]),
                            **{name: float(part[eye]) for name, part in self._parts.items()}}}
            self._returns[eye] = 0.0
            for part in self._parts.values():
                part[eye] = 0.0
        if ended:
            self.batch.start(ended)
            fresh = self.batch.look(ended)
            for name, rows in fresh.items():
                observation[name][ended] = rows
        return observation, value.astype(np.float32), done, infos

    def close(self) -> None:
        """Nothing to release."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The same attribute for every eye asked for."""
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the whole batch."""
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any
                   ) -> list[Any]:
        """Call a method of the whole batch once."""
        return [getattr(self.batch, method_name)(*args, **kwargs)]

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """No wrappers here."""
        return [False for _ in self._get_indices(indices)]

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Restart the random streams."""
        if seed is not None:
            self.batch.reseed(seed)
        return [seed] * self.num_envs
