"""Hands that learn from the expert through the pictures of one condition, by imitation alone.

They are what the hand of BC-RL is compared with: the same network, losses and demonstrations'
maker, with a gaze that is scripted or cameras that do not turn.
"""

from collections.abc import Iterable, Sequence
import copy
from dataclasses import dataclass, replace
import functools
from pathlib import Path
from typing import Any, get_args, Literal

import numpy as np
import torch
from tqdm import tqdm

from gaze_robot.allocator import keep_large_blocks
from gaze_robot.errors import ConfigError
from gaze_robot.hand_eye import HandEye, save_hand_eye
from gaze_robot.policy.hand import chunk_error, HandConfig, HandNetwork
from gaze_robot_sim.bcrl.batch import PATTERN
from gaze_robot_sim.bcrl.distributed import pick_device
from gaze_robot_sim.bcrl.hand_learner import HandLearner, make_hand
from gaze_robot_sim.bcrl.plays import Scale
from gaze_robot_sim.bcrl.replay import Replay
from gaze_robot_sim.physics.conditions import condition_of, PATCH
from gaze_robot_sim.physics.expert import NUDGE_RAD
from gaze_robot_sim.physics.parts import GRIPPER
from gaze_robot_sim.physics.shown import AGAIN, MOST, practise, ROUNDS, scale_of, show, Shown
from gaze_robot_sim.physics.tasks import KINDS
from gaze_robot_sim.training.origin import origin
from gaze_robot_sim.workers import Run, workers

Scripted = Literal['oracle', 'wide', 'exo', 'wrist', 'exo_wrist']
_HELD_OUT = 20
"""Of so many episodes one is not learned from."""


@dataclass(frozen=True)
class TrainWorkspaceConfig:
    """Train a hand that sees a workspace through one condition, for `eval workspace`."""

    task: str = 'press'
    """press, bucket, wipe, shelf or read."""

    condition: Scripted = 'oracle'
    """An eye that knows where to look (`oracle`), a fixed wide camera in its place (`wide`), one
    across the table (`exo`), one on the hand (`wrist`), or the last two (`exo_wrist`). The eye
    that learns is trained by `train bcrl --demos`."""

    out: str = 'runs/workspace'
    """Folder of the task's hands; this one goes into OUT/CONDITION."""

    seed: int = 0
    """Seed of episodes, weights and nudges."""

    episodes: int = 1500
    """Of the expert; from 250 of pressing, a hand learned by heart where buttons were."""

    every: int = 3
    """Steps of an episode from one kept glance to the next: neighbours tell little news."""

    nudge: float = NUDGE_RAD
    """How much the expert is pushed while it shows what to do, radians."""

    updates: int = 10_000
    """Of the hand."""

    practice: int = 0
    """Episodes, after those updates, in which hand and expert take turns: what to do where the
    hand gets to of itself, demonstrations hardly show. In three rounds, of which each is learned
    from before the next."""

    practice_updates: int = 3000
    """Of the hand in all of these."""

    batch: int = 256
    """Glances in each."""

    chunk: int = 30
    """Steps ahead that the hand predicts."""

    learning_rate: float = 2e-3
    """Falls to a twentieth."""

    joint_noise: float = 0.02
    """On the joints that the hand learns from, over their spread."""

    shapes: bool = True
    """Let the hand see shapes, as that of the eye that learns does (`HandConfig.shapes`)."""

    fine: bool = True
    """Let it tell where things are to a fraction of a token, too (`HandConfig.fine`)."""

    layers: int = 0
    """Transformer blocks over the hand's tokens, before they are pooled."""

    angles: bool = True
    """Tell the hand directions as angles too, as the arm's joints are."""

    jobs: int = 1
    """Processes in which the expert works."""

    device: str = 'auto'
    """Where it learns: auto, cpu, cuda ..."""

    def __post_init__(self) -> None:
        if self.task not in KINDS:
            raise ConfigError(f'there is no task {self.task!r}; known: {", ".join(KINDS)}')
        if self.condition not in get_args(Scripted):
            raise ConfigError(f'condition is one of {", ".join(get_args(Scripted))}, got '
                              f'{self.condition!r}')
        if min(self.episodes, self.every, self.updates, self.batch, self.chunk, self.jobs) < 1 or (
                min(self.seed, self.nudge, self.joint_noise, self.layers, self.practice,
                    self.practice_updates) < 0):
            raise ConfigError('episodes, every, updates, batch, chunk and jobs are at least 1; '
                              'seed, nudge, joint_noise, layers, practice and practice_updates '
                              f'are not negative; got {self}')


def train_workspace(config: TrainWorkspaceConfig) -> dict[str, Any]:
    """Collect what the expert does, learn, and write a checkpoint.

    Raises:
        ConfigError, WorldError, MissingDependencyError: see what they say.
    """
    keep_large_blocks()
    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    device = pick_device(config.device)
    condition = condition_of(config.condition)
    with workers(config.jobs) as run:
        shown = list(run(functools.partial(_show, config), range(config.episodes), 'expert'))
    first, held = shown[0], len(shown) // _HELD_OUT
    unseen, shown = shown[:held], shown[held:]
    names, scale = first.joint_names, scale_of(shown, config.chunk)
    hand = make_hand(HandConfig(
        len(names), len(first.task), len(names), config.chunk,
        tuple(number for number, name in enumerate(names) if name == GRIPPER),
        condition.levels, PATCH, layers=config.layers,
        shapes=config.shapes, fine=config.fine, angles=config.angles),
        scale, condition.places).to(device)
    pupil = _Pupil(config, hand, scale, shown)
    pupil.learn(config.updates)
    both = HandEye(hand, None, PATTERN, names, names, first.rate_hz, {})
    if config.practice:
        with workers(config.jobs) as run:
            pupil.practise(both, run)
    figures = {'loss': pupil.loss,
               'loss_unseen': loss_on(hand, scale, unseen) if unseen else None,
               'glances': pupil.replay.size,
               'success_of_expert': float(np.mean([one.succeeded for one in (*unseen, *shown)]))}
    path = Path(config.out) / config.condition
    save_hand_eye(path, replace(both, hand=hand.cpu(), meta={
        **origin('train workspace', config), 'condition': config.condition,
        'workspace': config.task, **figures}))
    return {'out': str(path), **figures}


class _Pupil:
    """A hand that learns from what it was shown."""

    def __init__(self, config: TrainWorkspaceConfig, hand: HandNetwork, scale: Scale,
                 shown: Sequence[Shown]) -> None:
        self.config, self.hand, self.scale = config, hand, scale
        self.replay = Replay(sum(len(one.kept) for one in shown) + MOST * config.practice)
        self.take(shown)
        self.learner = HandLearner(hand, config.learning_rate, config.batch, config.joint_noise)
        self.rng, self.loss = np.random.default_rng([config.seed, 7]), 0.0

    def take(self, shown: Iterable[Shown]) -> None:
        for one in shown:
            self.replay.add(one.sight(self.scale, self.config.chunk), np.arange(len(one.kept)))

    def learn(self, updates: int, begin: float = 1.0, end: float = 0.0) -> None:
        """Imitate; the rate of learning falls from a share of its greatest to another."""
        part = 100
        for done in tqdm(range(0, updates, part), 'learning'):
            self.loss = self.learner.learn(self.replay, self.rng, min(part, updates - done),
                                           begin + (end - begin) * done / updates)

    def practise(self, both: HandEye, run: Run) -> None:
        """Take turns with the expert, learn what it did, and again."""
        config = self.config
        for number, episodes in enumerate(np.array_split(np.arange(config.practice), ROUNDS)):
            if len(episodes):
                at_work = replace(both, hand=copy.deepcopy(self.hand).cpu())
                self.take(run(functools.partial(practise, at_work, config.condition, config.task,
                                                config.seed), episodes.tolist(), 'practice'))
                self.learn(config.practice_updates // ROUNDS,
                           *(AGAIN * (1 - step / ROUNDS) for step in (number, number + 1)))


@torch.no_grad()
def loss_on(hand: HandNetwork, scale: Scale, shown: list['Shown']) -> float:
    """Of episodes that a hand has not learned from, the mean over their glances."""
    errors = []
    for one in shown:
        sight = one.sight(scale, hand.config.chunk)
        given = [torch.from_numpy(values).to(hand.rays.device) for values in (
            sight.view, sight.joints, sight.gaze, sight.task, sight.chunk, sight.real)]
        errors.append(chunk_error(hand(*given[:4]).chunk, *given[4:]))
    return float(torch.cat(errors).mean())


def _show(config: TrainWorkspaceConfig, index: int) -> 'Shown':
    return show(config.task, config.seed, index, condition_of(config.condition), config.nudge,
                every=config.every)
