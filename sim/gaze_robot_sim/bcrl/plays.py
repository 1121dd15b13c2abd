"""Demonstrations as the training loop takes them: episodes, and what a simulator knows besides.

T steps   A actions   K length of a chunk
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gaze_robot.errors import DemoError
from gaze_robot_sim.demos.episode import Episode


@dataclass(frozen=True, eq=False)
class Play:
    """One demonstration to learn from.

    Raises:
        DemoError: a row for a step is missing, or an end is none.
    """

    episode: Episode

    ends: np.ndarray
    """(T,) the step up to which, exclusive, the hand can know what comes: T, or where the task
    hands over to another thing, or back as the thing was lost. No chunk is judged beyond it."""

    goal: np.ndarray | None = None
    """(T, 3) unit vectors to where the demonstrating hand is when this part of its task is done,
    base frame: what its joints say. NaN: nothing is left to do. None: its kinematics are not
    known."""

    aim: np.ndarray | None = None
    """(T, 3) unit vectors to what matters, base frame: the truth, for scores and scripted gazes
    only. None: nobody knows, as in recordings."""

    def __post_init__(self) -> None:
        steps = self.episode.steps
        if self.ends.shape != (steps,) or not ((self.ends > np.arange(steps))
                                               & (self.ends <= steps)).all():
            raise DemoError(f'{self.episode.name}: ends has a later step, {steps} at most, for '
                            'each step')
        for name, rows in (('goal', self.goal), ('aim', self.aim)):
            if rows is not None and rows.shape != (steps, 3):
                raise DemoError(f'{self.episode.name}: {name} is ({steps}, 3), got {rows.shape}')

    @property
    def hand_over(self) -> int | None:
        """The first step at which something else matters than at the start."""
        return int(self.ends[0]) if self.ends[0] < self.episode.steps else None


class PlaySource(Protocol):
    """A numbered collection of plays."""

    name: str
    count: int | None
    """How many; None: without end."""

    def play(self, index: int) -> Play:
        """A play by its number, 0 or more, below `count`; equal numbers give equal ones."""


class Recorded:
    """Recorded demonstrations as a source of plays."""

    count: int | None

    def __init__(self, episodes: Sequence[Episode], name: str = 'recorded') -> None:
        """Take episodes, all of one robot.

        Raises:
            DemoError: there are none, or two differ in their joints, actions or rate.
        """
        if not len(episodes):
            raise DemoError(f'{name} holds no demonstrations')
        self.name, self.count, self._episodes = name, len(episodes), episodes
        first = episodes[0]
        for episode in (episodes[index] for index in range(1, len(episodes))):
            for what in ('joint_names', 'action_names', 'rate_hz'):
                if getattr(episode, what) != getattr(first, what):
                    raise DemoError(f'{episode.name} has another {what} than {first.name}: train '
                                    'on one robot at a time')
            if episode.task.shape != first.task.shape:
                raise DemoError(f'{episode.name} has a task of {len(episode.task)} numbers, '
                                f'{first.name} of {len(first.task)}')

    def play(self, index: int) -> Play:
        """A recording, whose whole future the hand is to know."""
        episode = self._episodes[index]
        return Play(episode, np.full(episode.steps, episode.steps))


_STILL = 5e-4
"""Radians or metres: what spreads less does not move. Over its own spread, the shaking of a
gripper that stays closed would count as much as all that an arm does."""


@dataclass(frozen=True, eq=False)
class Scale:
    """What makes numbers of a robot comparable; taken from demonstrations, kept with a hand."""

    joint_mean: np.ndarray
    """(J,) float32."""

    joint_spread: np.ndarray
    """(J,) float32, above 0."""

    action_spread: np.ndarray
    """(A,) float32, above 0: of relative actions over all of a chunk."""

    @classmethod
    def of(cls, plays: Sequence[Play], chunk: int, together: Sequence[int] = ()) -> 'Scale':
        """From some demonstrations; `together` as in `over`."""
        joints = np.concatenate([play.episode.joints for play in plays])
        moves = []
        for play in plays:
            for step in range(0, play.episode.steps, max(1, chunk // 4)):
                relative, real = play.episode.chunk(step, chunk)
                real &= step + np.arange(chunk) < play.ends[step]
                moves.append(relative[real])
        return cls.over(joints, np.concatenate(moves), together)

    @classmethod
    def over(cls, joints: np.ndarray, moves: np.ndarray, together: Sequence[int] = ()) -> 'Scale':
        """From joints (rows, J), relative actions (rows, A); what does not move has spread 1.

        Args:
            together: actions in one unit, which all get their mean spread. Each over its own, a
                shiver of the last joint counts as much as the turn of the whole arm, and of what
                an error costs little hangs on what the hand has to see.
        """
        joint_spread, action_spread = (
            np.where(spread > _STILL, spread, 1.0) for spread in (
                values.astype(float).std(axis=0) for values in (joints, moves)))
        columns = list(together)
        if columns:
            action_spread[columns] = action_spread[columns].mean()
        return cls(*(values.astype(np.float32) for values in (
            joints.astype(float).mean(axis=0), joint_spread, action_spread)))
