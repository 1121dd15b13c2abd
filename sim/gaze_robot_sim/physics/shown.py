"""What the expert did in an episode, alone or in turns with a hand, and what a condition saw.

T steps   V glances   J joints   K chunk   N tokens   P patch side
"""

from dataclasses import dataclass, replace
import math

import numpy as np

from gaze_robot.errors import WorldError
from gaze_robot.hand_eye import HandEye
from gaze_robot.policy.hand import cut
from gaze_robot_sim.bcrl.plays import Scale
from gaze_robot_sim.bcrl.sight import Sight
from gaze_robot_sim.physics.closed_loop import HandAtWork
from gaze_robot_sim.physics.conditions import Condition, condition_of, oracle_gaze, PATCH
from gaze_robot_sim.physics.demos import part_ends, part_goals
from gaze_robot_sim.physics.expert import Expert, NUDGE_RAD, Nudges
from gaze_robot_sim.physics.parts import GRIPPER
from gaze_robot_sim.physics.views import Painter
from gaze_robot_sim.physics.world import PhysicsConfig, PhysicsWorld, SHOWN

_TRIES = 20
"""Episodes in a row that may be over before they begin, before it is an error."""
_NEAR_M = 0.1
"""A hand that is further from a thing, level, does not push it."""
_HAND_S, _EXPERT_S = (0.5, 3.0), (0.5, 3.0)
"""How long hand and expert take turns for, when they do."""
_ALONE_S = 10.0
"""After this the expert alone goes on."""
PRACTICE = replace(SHOWN, scattered=0.2, time_limit_s=_ALONE_S + 10.0, dynamics='head')
"""What episodes are like in which they take turns."""
_PRACTICE_SEED = 2_000_003
"""Added to the seed: other tables than those of demonstrations."""
ROUNDS, AGAIN = 3, 0.5
"""Of practice: how often hands go back to it, and with which share of the greatest rate of
learning they begin to learn from it."""
_EVERY = 3
"""Steps from one glance to the next that is kept of practice."""
MOST = math.ceil(PRACTICE.time_limit_s * PRACTICE.rate_hz / _EVERY) + 1
"""Glances kept of an episode of practice."""


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
    """(T, J) float32, absolute: the expert's, whoever acted."""

    until: np.ndarray
    """(T,) the step up to which, exclusive, the expert's actions are what was done, and follow
    from what is seen now; at least the next."""

    goals: np.ndarray
    """(V, levels, 3) float32: unit vectors to where its hand was when that part of the task was
    done, as each picture is seen from (`Condition.frames`); NaN: nothing was left to do, or it is
    not known (`part_goals`, `_meddled`)."""

    task: np.ndarray
    joint_names: tuple[str, ...]
    rate_hz: float
    succeeded: bool

    def chunks(self, chunk: int) -> tuple[np.ndarray, np.ndarray]:
        """Relative actions (V, K, J), and which of them (V, K) count."""
        rows, last = self.kept[:, None] + np.arange(chunk), len(self.joints) - 1
        return (self.actions[np.minimum(rows, last)] - self.joints[self.kept, None],
                rows < self.until[self.kept, None])

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
         config: PhysicsConfig | None = None, every: int = 1, work: HandAtWork | None = None
         ) -> Shown:
    """Let the expert live through an episode, and see it as a condition does.

    Args:
        every: steps from one glance that is kept to the next.
        work: a hand of that condition, which moves its eye. The expert takes turns with it and
            finishes what is left, so that it shows what to do where that hand gets to (DAgger:
            Ross et al., 'A reduction of imitation learning and structured prediction to no-regret
            online learning', 2011). None: the expert does all.

    Raises:
        WorldError: the arm cannot do it.
    """
    world = PhysicsWorld(task, seed, index, config or SHOWN)
    rng = np.random.default_rng([seed, index, 1])
    expert, nudges = Expert(world), Nudges(rng, world, nudge)
    turns = None if work is None else _Turns(rng, world.config.rate_hz)
    if work is not None:
        work.begin(world)
    painter = Painter(world)
    done: list[tuple[np.ndarray, np.ndarray, bool]] = []
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    tips, stages, frames = [], [], []
    try:
        while not world.outcome:
            try:
                action = expert.act()
            except WorldError:                    # pushed to where its arm does not get away from
                world.outcome = 'unreachable'
                break
            own = turns is not None and turns.hand_acts(world.steps)
            look: np.ndarray | None
            if work is None:
                acted, look = nudges(action), oracle_gaze(world, rng)
                levels = condition.look(painter) if len(done) % every == 0 else []
                gaze = world.reported_gaze() if condition.turns else np.zeros(2)
            else:
                glance = work.glance(world, painter)
                levels, gaze, look = glance.levels, glance.gaze, glance.look
                acted = glance.action if own else nudges(action)
                if not own:
                    work.taken_over(acted)
            if len(done) % every == 0:
                seen.append((cut([level[None] for level in levels], PATCH)[0], gaze))
                frames.append(condition.frames(world))
            tips.append(world.tip)
            stages.append(world.task.stage(world))
            done.append((world.joints(), action, own))
            world.step(acted, look)
    finally:
        painter.close()
    if not done:
        raise WorldError(f'{task} {seed}.{index} was over before it began')
    view, gazes = map(np.stack, zip(*seen))
    kept, succeeded = np.arange(0, len(done), every), world.outcome == 'success'
    joints, actions, own_turn = map(np.stack, zip(*done))
    goals = part_goals(np.array(tips), np.array(stages), succeeded)
    if world.task.needs_gripper:                     # else nothing can be pushed elsewhere
        goals[_meddled(own_turn & (np.array(stages) == 0), np.array(tips), goals)] = np.nan
    directions = np.array([[frame @ (goals[at] - origin) for origin, frame in of]
                           for at, of in zip(kept, frames)])
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    return Shown(kept, view, gazes.astype(np.float32), joints.astype(np.float32),
                 actions.astype(np.float32), _known_until(own_turn, np.array(stages)),
                 directions.astype(np.float32), world.task.embedding, world.joint_names,
                 world.config.rate_hz, succeeded)


def _known_until(own: np.ndarray, stages: np.ndarray) -> np.ndarray:
    """(T,) see `Shown.until`, from whether the hand acted (T,), and the task's stages (T,)."""
    if not own.any():                                # all that the expert did, whatever it sees
        return np.full(len(own), len(own))
    last = own | np.append(own[1:], True)            # of what goes on as the expert would
    ends = np.flatnonzero(last) + 1
    own_end = ends[np.searchsorted(ends, np.arange(len(own)) + 1)]
    return np.minimum(own_end, part_ends(stages))


def _meddled(own: np.ndarray, tips: np.ndarray, goals: np.ndarray) -> np.ndarray:
    """(T,) bool: whether the hand comes near a step's goal, at turns of its own, before the part
    is done: then it may push what is there, which was elsewhere at that step.

    Args:
        own: (T,) bool: whether the hand acts, and does not hold anything.
        tips, goals: (T, 3) metres.
    """
    near = own & (np.linalg.norm((tips - goals)[:, :2], axis=1) < _NEAR_M)
    out, meddled = np.zeros(len(own), bool), False
    for step in reversed(range(len(own))):
        same = step + 1 < len(own) and (goals[step] == goals[step + 1]).all()
        meddled = bool(near[step]) or (meddled and same)
        out[step] = meddled
    return out


class _Turns:
    """Whose turn it is: the hand's, the expert's, and so on, until the expert finishes."""

    def __init__(self, rng: np.random.Generator, rate_hz: float) -> None:
        self._rng, self._rate_hz = rng, rate_hz
        self._alone = round(_ALONE_S * rate_hz)
        self._hand, self._until = bool(rng.random() < 0.5), 0

    def hand_acts(self, step: int) -> bool:
        """Whether the hand does, at a step."""
        if step >= self._alone:
            return False
        if step >= self._until:
            self._hand = not self._hand
            span = self._rng.uniform(*(_HAND_S if self._hand else _EXPERT_S))
            self._until = step + max(1, round(span * self._rate_hz))
        return self._hand


def practise(both: HandEye, condition: str, task: str, seed: int, index: int) -> Shown:
    """An episode in which a hand, and its eye where it has one, take turns with the expert; see
    `show`.

    Raises:
        WorldError: the arm cannot do one episode after the other.
    """
    which = condition_of(condition, both.pattern)
    for number in range(index * _TRIES, (index + 1) * _TRIES):
        try:
            return show(task, seed + _PRACTICE_SEED, number, which, NUDGE_RAD, PRACTICE, _EVERY,
                        HandAtWork(both, which))
        except WorldError as error:                  # nothing to be done from the first step on
            why = error
    raise WorldError(f'{_TRIES} times in a row the expert could not begin: {why}')
