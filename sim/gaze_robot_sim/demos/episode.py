"""One demonstration, and who makes them.

T steps   J joints   A actions   D numbers of the task's embedding
"""

from dataclasses import dataclass
import math
from typing import Protocol

import numpy as np

from gaze_robot.errors import DemoError
from gaze_robot_sim.scenes.base import Scene

_SLACK_STEPS = 0.5
"""By how much of a step a scene may end before the last step: clocks of cameras are rounded."""


@dataclass(frozen=True, eq=False)
class Episode:
    """One demonstration of one task: what there was to see all around, and what the hand did.

    Step k happens at `k / rate_hz` seconds of the scene's time.
    """

    name: str
    """For people and messages; no two of a collection share it."""

    scene: Scene
    """What can be seen all around at each time; grey where no camera looked."""

    task: np.ndarray
    """(D,) float32 embedding of the task."""

    instruction: str
    """The task in words, for people."""

    joint_names: tuple[str, ...]
    joints: np.ndarray
    """(T, J) float32: where the hand was, one row per step, in the units of its robot."""

    actions: np.ndarray
    """(T, A) float32: where the hand was told to be, absolute, one row per step."""

    action_names: tuple[str, ...]

    rate_hz: float
    """Steps per second."""

    notes: tuple[str, ...] = ()
    """Where it comes from and what was repaired, a sentence each."""

    def __post_init__(self) -> None:
        if not self.name or not self.instruction:
            raise DemoError(f'a demonstration has a name and an instruction, got {self.name!r} '
                            f'and {self.instruction!r}')
        if not (math.isfinite(self.rate_hz) and 0 < self.rate_hz <= 1000):
            raise DemoError(f'{self.name}: a rate is above 0 and at most 1000 steps per second, '
                            f'got {self.rate_hz}')
        if self.task.ndim != 1 or not self.task.size:
            raise DemoError(f'{self.name}: the task is (D,) numbers, got shape {self.task.shape}')
        self._check_rows('joints', self.joints, self.joint_names)
        self._check_rows('actions', self.actions, self.action_names)
        for what in ('task', 'joints', 'actions'):
            self._check_numbers(what, getattr(self, what))
        if len(self.joints) != len(self.actions) or len(self.joints) < 2:
            raise DemoError(f'{self.name}: joints and actions have one row for each of at least 2 '
                            f'steps, got {len(self.joints)} and {len(self.actions)}')
        lacking = self.steps - 1 - self.scene.duration_s * self.rate_hz
        if self.scene.duration_s and lacking > _SLACK_STEPS:
            raise DemoError(
                f'{self.name}: {self.steps} steps at {self.rate_hz:g} per second take '
                f'{self.duration_s:.2f} s, what was seen only {self.scene.duration_s:.2f} s: a '
                'rate is wrong, or pictures are missing')

    def _check_rows(self, what: str, rows: np.ndarray, names: tuple[str, ...]) -> None:
        if rows.ndim != 2 or not names or rows.shape[1] != len(names):
            raise DemoError(f'{self.name}: {what} are (steps, {len(names)}), a column for each of '
                            f'its names, got shape {rows.shape}')
        if len(set(names)) != len(names):
            raise DemoError(f'{self.name}: two {what} have the same name, of {", ".join(names)}')

    def _check_numbers(self, what: str, values: np.ndarray) -> None:
        if values.dtype != np.float32:
            raise DemoError(f'{self.name}: {what} are float32, got {values.dtype}')
        wrong = np.argwhere(~np.isfinite(values))
        if len(wrong):
            where = what if what == 'task' else f'{what} at step {wrong[0][0]}'
            raise DemoError(f'{self.name}: {where}: {len(wrong)} numbers are not finite; import '
                            'it again with --repair, or leave it out')

    @property
    def steps(self) -> int:
        """T."""
        return len(self.joints)

    @property
    def duration_s(self) -> float:
        """How long all steps take, seconds."""
        return self.steps / self.rate_hz

    def time_of(self, step: int) -> float:
        """When a step happens, seconds of the scene's time.

        Raises:
            DemoError: there is no such step.
        """
        if not 0 <= step < self.steps:
            raise DemoError(f'{self.name} has steps 0 to {self.steps - 1}, not {step}')
        return step / self.rate_hz

    def reference(self, step: int) -> np.ndarray:
        """What relative actions start from, (A,) float32: the joints, if actions are about the
        same ones, else the action at that step.

        Raises:
            DemoError: there is no such step.
        """
        self.time_of(step)
        rows = self.joints if self.joint_names == self.action_names else self.actions
        return rows[step]

    def chunk(self, step: int, length: int) -> tuple[np.ndarray, np.ndarray]:
        """What the hand does from a step on.

        Returns:
            (length, A) float32: actions less `reference(step)`, the last one repeated after the
            end; and (length,) bool: whether it is one of the demonstration's own.

        Raises:
            DemoError: there is no such step, or length is below 1.
        """
        if length < 1:
            raise DemoError(f'a chunk has at least 1 action, got {length}')
        rows = step + np.arange(length)
        relative = self.actions[np.minimum(rows, self.steps - 1)] - self.reference(step)
        return relative, rows < self.steps


class DemoSource(Protocol):
    """Anything that can demonstrate a task: a simulator with an oracle for a hand."""

    name: str
    """For people."""

    def episode(self, index: int) -> Episode:
        """A demonstration by its number, 0 or more; equal numbers give equal ones.

        Its scene stays usable until the source is closed.

        Raises:
            WorldError: the world it plays in cannot be used.
        """

    def close(self) -> None:
        """Release files and threads; calling twice does no harm."""
