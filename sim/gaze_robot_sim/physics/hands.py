"""Hands that learn from the expert through the pictures of one condition, by imitation alone.

They are what the hand of BC-RL is compared with: the same network, losses and demonstrations'
maker, with a gaze that is scripted or cameras that do not turn.
"""

from dataclasses import dataclass
import functools
import math
from pathlib import Path
import time
from typing import Any, get_args, Literal

import torch

from gaze_robot.allocator import keep_large_blocks
from gaze_robot.errors import ConfigError
from gaze_robot.hand_eye import HandEye
from gaze_robot.policy.hand import HandConfig
from gaze_robot_sim.bcrl import saving
from gaze_robot_sim.bcrl.batch import PATTERN
from gaze_robot_sim.bcrl.distributed import pick_device
from gaze_robot_sim.bcrl.hand_learner import make_hand
from gaze_robot_sim.bcrl.plays import Scale
from gaze_robot_sim.physics.conditions import condition_of, PATCH
from gaze_robot_sim.physics.expert import NUDGE_RAD
from gaze_robot_sim.physics.parts import GRIPPER
from gaze_robot_sim.physics.pupil import Pupil
from gaze_robot_sim.physics.shown import scale_of, show, Shown
from gaze_robot_sim.physics.tasks import KINDS
from gaze_robot_sim.workers import workers

Scripted = Literal['oracle', 'wide', 'exo', 'wrist', 'exo_wrist']
_HELD_OUT = 20
"""Of so many episodes one is not learned from."""
_NOT_OF_THE_MODEL = ('out', 'resume', 'device', 'keep_every', 'jobs')
"""Settings that may differ when a run goes on."""


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
    """Folder of the task's hands; this one's run directory is OUT/CONDITION."""

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

    resume: bool = False
    """Go on from the run directory's last good checkpoint."""

    keep_every: int = 1000
    """Updates between checkpoints, at which it is measured on demonstrations held out."""

    device: str = 'auto'
    """Where it learns: auto, cpu, cuda ..."""

    def __post_init__(self) -> None:
        if self.task not in KINDS:
            raise ConfigError(f'there is no task {self.task!r}; known: {", ".join(KINDS)}')
        if self.condition not in get_args(Scripted):
            raise ConfigError(f'condition is one of {", ".join(get_args(Scripted))}, got '
                              f'{self.condition!r}')
        if self.seed >= 1 << 32 or not (
                0 < self.learning_rate < math.inf and self.joint_noise < math.inf
                and self.nudge < math.inf):
            raise ConfigError('seed is less than 2**32, learning_rate above 0, joint_noise and '
                              f'nudge are finite; got {self}')
        if min(self.episodes, self.every, self.updates, self.batch, self.chunk, self.jobs,
               self.keep_every) < 1 or (
                min(self.seed, self.nudge, self.joint_noise, self.layers, self.practice,
                    self.practice_updates) < 0):
            raise ConfigError('episodes, every, updates, batch, chunk, jobs and keep_every are '
                              'at least 1; seed, nudge, joint_noise, layers, practice and '
                              f'practice_updates are not negative; got {self}')


def train_workspace(config: TrainWorkspaceConfig) -> dict[str, Any]:
    """Collect what the expert does, learn, and leave a run directory; returns what its result.json
    holds.

    Raises:
        CheckpointError: the run directory is not empty and `resume` is not set, or nothing in it
            can be resumed from.
        ConfigError, WorldError, MissingDependencyError: see what they say.
    """
    begun_s = time.monotonic()
    keep_large_blocks()
    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    device = pick_device(config.device)
    out, condition = Path(config.out) / config.condition, condition_of(config.condition)
    before = saving.cut_off(out, config, _NOT_OF_THE_MODEL) if (
        saving.begun(out, config.resume)) else None
    saving.claim(out, config)
    held = config.episodes // _HELD_OUT
    with workers(config.jobs) as run:
        # Resumed, only what is measured on is watched again: the replay holds the others.
        shown = list(run(functools.partial(_show, config), range(
            max(1, held) if before else config.episodes), 'expert'))
        first, unseen, shown = shown[0], shown[:held], shown[held:]
        if before:
            scale = Scale(*(before[0][f'hand.{name}'].numpy() for name in (
                'joint_mean', 'joint_spread', 'action_spread')))
        else:
            scale = scale_of(shown, config.chunk)
        names = first.joint_names
        hand = make_hand(HandConfig(
            len(names), len(first.task), len(names), config.chunk,
            tuple(number for number, name in enumerate(names) if name == GRIPPER),
            condition.levels, PATCH, layers=config.layers,
            shapes=config.shapes, fine=config.fine, angles=config.angles),
            scale, condition.places).to(device)
        pupil = Pupil(config, HandEye(hand, None, PATTERN, names, names, first.rate_hz, {}), scale,
                      unseen, out, begun_s)
        if before:
            pupil.restore(*before)
        else:
            pupil.begin(shown)
        pupil.study(run)
    return pupil.finish()


def _show(config: TrainWorkspaceConfig, index: int) -> 'Shown':
    return show(config.task, config.seed, index, condition_of(config.condition), config.nudge,
                every=config.every)
