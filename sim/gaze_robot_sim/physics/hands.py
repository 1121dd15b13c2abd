"""Hands that learn from the expert through the pictures of one condition, by imitation alone.

They are what the hand of BC-RL is compared with: the same network, losses and demonstrations'
maker, with a gaze that is scripted or cameras that do not turn.
"""

from dataclasses import dataclass
import functools
from pathlib import Path
from typing import Any, get_args, Literal

import numpy as np
import torch
from tqdm import tqdm

from gaze_robot.allocator import keep_large_blocks
from gaze_robot.errors import ConfigError, WorldError
from gaze_robot.hand_eye import HandEye, save_hand_eye
from gaze_robot.policy.actions import MAX_STEP_RAD
from gaze_robot.policy.hand import chunk_error, cut, HandConfig, HandNetwork
from gaze_robot_sim.bcrl.batch import PATTERN
from gaze_robot_sim.bcrl.distributed import pick_device
from gaze_robot_sim.bcrl.hand_learner import HandLearner, make_hand
from gaze_robot_sim.bcrl.plays import Scale
from gaze_robot_sim.bcrl.replay import Replay
from gaze_robot_sim.bcrl.sight import Sight
from gaze_robot_sim.physics.conditions import Condition, condition_of, PATCH
from gaze_robot_sim.physics.demos import part_goals
from gaze_robot_sim.physics.expert import Expert, NUDGE_RAD, Nudges
from gaze_robot_sim.physics.parts import GRIPPER
from gaze_robot_sim.physics.tasks import KINDS
from gaze_robot_sim.physics.views import Painter
from gaze_robot_sim.physics.workers import workers
from gaze_robot_sim.physics.world import LIMITS, PhysicsConfig, PhysicsWorld, SHOWN
from gaze_robot_sim.training.origin import origin

Scripted = Literal['oracle', 'wide', 'exo', 'wrist', 'exo_wrist']
_HELD_OUT = 20
"""Of so many episodes one is not learned from."""
_LOST_RAD = 0.02
"""Standard deviation of an oracle's gaze about what matters: hands should bear it."""


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
                min(self.seed, self.nudge, self.joint_noise, self.layers) < 0):
            raise ConfigError('episodes, every, updates, batch, chunk and jobs are at least 1; '
                              'seed, nudge, joint_noise and layers are not negative; got '
                              f'{self}')


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
        shown = run(functools.partial(_show, config), range(config.episodes), 'expert')
    first, held = shown[0], len(shown) // _HELD_OUT
    unseen, shown = shown[:held], shown[held:]
    names, scale = first.joint_names, scale_of(shown, config.chunk)
    hand = make_hand(HandConfig(
        len(names), len(first.task), len(names), config.chunk,
        tuple(number for number, name in enumerate(names) if name == GRIPPER),
        condition.levels, PATCH, layers=config.layers,
        shapes=config.shapes, fine=config.fine, angles=config.angles),
        scale, condition.places).to(device)
    figures = {'loss': _learn(config, hand, scale, shown),
               'loss_unseen': loss_on(hand, scale, unseen) if unseen else None,
               'glances': sum(len(one.kept) for one in shown),
               'success_of_expert': float(np.mean([one.succeeded for one in (*unseen, *shown)]))}
    path = Path(config.out) / config.condition
    save_hand_eye(path, HandEye(hand.cpu(), None, PATTERN, names, names, first.rate_hz, {
        **origin('train workspace', config), 'condition': config.condition,
        'workspace': config.task, **figures}))
    return {'out': str(path), **figures}


def _learn(config: TrainWorkspaceConfig, hand: HandNetwork, scale: Scale, shown: list['Shown']
           ) -> float:
    """Imitate; the last loss."""
    replay = Replay(sum(len(one.kept) for one in shown))
    for one in shown:
        replay.add(one.sight(scale, config.chunk), np.arange(len(one.kept)))
    learner = HandLearner(hand, config.learning_rate, config.batch, config.joint_noise)
    rng, loss, part = np.random.default_rng([config.seed, 7]), 0.0, 100
    for done in tqdm(range(0, config.updates, part), 'learning'):
        loss = learner.learn(replay, rng, min(part, config.updates - done),
                             1.0 - done / config.updates)
    return loss


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


@dataclass(frozen=True, eq=False)
class Shown:
    """What the expert did in one episode, T steps, and what a condition saw in V of them."""

    kept: np.ndarray
    """(V,) the numbers of those."""

    view: np.ndarray
    """(V, N, P * P * 3) uint8."""

    gaze: np.ndarray
    """(V, 2) float32, radians."""

    joints: np.ndarray
    """(T, J) float32."""

    actions: np.ndarray
    """(T, J) float32, absolute."""

    goals: np.ndarray
    """(V, levels, 3) float32: unit vectors to where its hand was when that part of the task was
    done, as each picture is seen from (`Condition.frames`); NaN: nothing was left to do."""

    task: np.ndarray
    joint_names: tuple[str, ...]
    rate_hz: float
    succeeded: bool

    def chunks(self, chunk: int) -> tuple[np.ndarray, np.ndarray]:
        """Relative actions (V, K, J), and which of them (V, K) were done."""
        rows, last = self.kept[:, None] + np.arange(chunk), len(self.joints) - 1
        return (self.actions[np.minimum(rows, last)] - self.joints[self.kept, None],
                rows <= last)

    def sight(self, scale: Scale, chunk: int) -> Sight:
        """As a replay takes it."""
        relative, real = self.chunks(chunk)
        return Sight(self.view, self.gaze, self.joints[self.kept],
                     np.tile(self.task, (len(self.kept), 1)),
                     (relative / scale.action_spread).astype(np.float32), real, self.goals)


def scale_of(shown: list[Shown], chunk: int) -> Scale:
    """What makes the arm's numbers comparable."""
    joints = np.concatenate([one.joints for one in shown])
    moves = np.concatenate([relative[real] for relative, real in (
        one.chunks(chunk) for one in shown)])
    together = [number for number, name in enumerate(shown[0].joint_names) if name != GRIPPER]
    return Scale.over(joints, moves, together)


def show(task: str, seed: int, index: int, condition: Condition, nudge: float,
         config: PhysicsConfig | None = None, every: int = 1) -> Shown:
    """Let the expert live through an episode, and see it as a condition does.

    Args:
        every: steps from one glance that is kept to the next.

    Raises:
        WorldError: the arm cannot do it.
    """
    world = PhysicsWorld(task, seed, index, config or SHOWN)
    rng = np.random.default_rng([seed, index, 1])
    expert, nudges = Expert(world), Nudges(rng, world, nudge)
    painter = Painter(world)
    done: list[tuple[np.ndarray, np.ndarray]] = []
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    tips, stages, frames = [], [], []
    try:
        while not world.outcome:
            try:
                action = expert.act()
            except WorldError:                    # pushed to where its arm does not get away from
                world.outcome = 'unreachable'
                break
            if len(done) % every == 0:
                levels = condition.look(painter)
                seen.append((cut([level[None] for level in levels], PATCH)[0],
                             world.reported_gaze() if condition.turns else np.zeros(2)))
                frames.append(condition.frames(world))
            tips.append(world.tip)
            stages.append(world.task.stage(world))
            done.append((world.joints(), action))
            world.step(nudges(action), oracle_gaze(world, rng))
    finally:
        painter.close()
    if not done:
        raise WorldError(f'{task} {seed}.{index} was over before it began')
    view, gaze = map(np.stack, zip(*seen))
    kept = np.arange(0, len(done), every)
    goals = part_goals(np.array(tips), np.array(stages))
    directions = np.array([[frame @ (goals[at] - origin) for origin, frame in of]
                           for at, of in zip(kept, frames)])
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    joints, actions = (np.stack(column).astype(np.float32) for column in zip(*done))
    return Shown(kept, view, gaze.astype(np.float32), joints, actions,
                 directions.astype(np.float32), world.task.embedding, world.joint_names,
                 world.config.rate_hz, world.outcome == 'success')


def oracle_gaze(world: PhysicsWorld, rng: np.random.Generator | None) -> np.ndarray:
    """(2,) where an eye that knows the truth looks next: towards what matters, 10 degrees of pan
    and of tilt at most; with a generator, not quite there.
    """
    aim = world.aim() + (0.0 if rng is None else rng.normal(0.0, _LOST_RAD, 2))
    turn = np.clip(aim - world.gaze, -MAX_STEP_RAD, MAX_STEP_RAD)
    return np.clip(world.gaze + turn, LIMITS.min_position, LIMITS.max_position)
