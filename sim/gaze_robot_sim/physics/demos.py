"""Demonstrations by the expert, as anybody else would have recorded them: the arm's joints, and
pictures all around from where the eye is. Nothing says where to look.

T steps
"""

from collections.abc import Sequence
from dataclasses import dataclass
import weakref

import numpy as np

from gaze_robot.errors import ConfigError, WorldError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.geometry import direction_from_pan_tilt
from gaze_robot_sim.bcrl.plays import Play
from gaze_robot_sim.demos.episode import Episode
from gaze_robot_sim.physics.expert import Expert, NUDGE_RAD, Nudges
from gaze_robot_sim.physics.task import DONE
from gaze_robot_sim.physics.tasks import KINDS
from gaze_robot_sim.physics.views import FACE, Painter
from gaze_robot_sim.physics.world import PhysicsConfig, PhysicsWorld, SHOWN
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.base import SearchTarget
from gaze_robot_sim.scenes.overlay import Sprite

_TRIES = 20
"""Episodes in a row that the expert may spoil before it is an error."""
_LASTS = 5
"""Steps that a thing is held before it counts: a closing gripper may touch it for one or two."""
_KEPT = 8
"""Worlds that stay ready to be drawn."""


@dataclass(frozen=True, eq=False)
class Lived:
    """What is kept of an episode, T steps; the rest follows from the number of its world."""

    number: int
    states: np.ndarray
    """(T, ...) positions of everything that moves, MuJoCo's qpos."""

    opacity: np.ndarray
    """(T, ngeom) of each geom."""

    joints: np.ndarray
    """(T, J) float32."""

    actions: np.ndarray
    """(T, J) float32, absolute."""

    tips: np.ndarray
    """(T, 3) metres, between the fingertips."""

    aims: np.ndarray
    """(T, 2) pan and tilt to what mattered."""

    stages: np.ndarray
    """(T,) of the task."""


class ShownScene:
    """What there was to see all around while an episode lasted, drawn when it is asked for;
    implements the Scene protocol.
    """

    def __init__(self, name: str, world: PhysicsWorld, lived: Lived, painters: 'Painters'
                 ) -> None:
        """Remember an episode, and the world it was in."""
        self.name, self.duration_s = name, len(lived.states) / world.config.rate_hz
        self.world, self._lived, self._painters = world, lived, painters
        self._last: tuple[int, Panorama] | None = None

    def panorama(self, t_s: float = 0.0) -> Panorama:
        """Everything around at a time; see the protocol."""
        step = self._step(t_s)
        if self._last is None or self._last[0] != step:
            self._last = step, Panorama(self._at(step, None).panorama(), brief=True)
        return self._last[1]

    def levels(self, t_s: float, gaze: np.ndarray, pattern: FoveationPattern
               ) -> list[np.ndarray]:
        """What an eye that looks along `gaze` (2,) samples at a time; see `Painter.levels`."""
        return self._at(self._step(t_s), gaze).levels(pattern)

    def around(self, t_s: float, width: int) -> np.ndarray:
        """The panorama's picture alone, so many pixels across."""
        return self._at(self._step(t_s), None).panorama(width)

    def _step(self, t_s: float) -> int:
        if not (np.isfinite(t_s) and t_s >= 0):
            raise WorldError(f'a time in an episode is 0 s or later, got {t_s}')
        return min(int(round(t_s * self.world.config.rate_hz, 6)), len(self._lived.states) - 1)

    def _at(self, step: int, gaze: np.ndarray | None) -> 'Painter':
        """A painter of that step."""
        self.world.show(self._lived.states[step], self._lived.opacity[step], gaze)
        return self._painters.of(self.world)

    def sample_target(self, rng: np.random.Generator, t_s: float = 0.0) -> SearchTarget:
        """Nothing; see the protocol."""
        raise WorldError(f'{self.name} is there to watch; nothing in it is to be searched for')

    def sprites(self, t_s: float = 0.0) -> Sequence[Sprite]:
        """Nothing in front of the panorama."""
        return ()


class Painters:
    """Painters of the worlds that were drawn last."""

    def __init__(self, most: int = _KEPT) -> None:
        """Keep at most so many."""
        self.most = most
        self._kept: dict[int, Painter] = {}

    def of(self, world: PhysicsWorld) -> Painter:
        """A world's painter."""
        number = id(world)
        painter = self._kept.pop(number, None) or Painter(world, FACE)
        self._kept[number] = painter
        while len(self._kept) > self.most:
            self._kept.pop(next(iter(self._kept))).close()
        return painter

    def close(self) -> None:
        """Free all."""
        for painter in self._kept.values():
            painter.close()
        self._kept.clear()


class PhysicsPlays:
    """The expert's demonstrations of one task; number k depends on (seed, k) only.

    Implements `DemoSource` (to record) and `PlaySource` (to train on directly).
    """

    def __init__(self, task: str, seed: int = 0, config: PhysicsConfig | None = None,
                 nudge: float = NUDGE_RAD, count: int | None = None) -> None:
        """Choose the demonstrations; each is made when it is asked for.

        Args:
            count: how many there are, each lived through once; None: without end, and each is
                lived through again when it is asked for again.

        Raises:
            ConfigError: there is no such task, the seed is negative, or the count not above 0.
        """
        if task not in KINDS:
            raise ConfigError(f'there is no task {task!r}; known: {", ".join(KINDS)}')
        if seed < 0 or (count is not None and count < 1):
            raise ConfigError(f'a seed is 0 or more and a count at least 1, got {seed} and '
                              f'{count}')
        self.task, self.seed, self.nudge, self.count = task, seed, nudge, count
        self.config = config or SHOWN
        self.name = f'workspace:{task}'
        self.painters = Painters()
        self._kept: dict[int, Lived] = {}
        self._made: weakref.WeakValueDictionary[int, Play] = weakref.WeakValueDictionary()

    def play(self, index: int) -> Play:
        """A demonstration by its number, with the truth about where to look.

        Raises:
            WorldError: the expert fails time after time: the arm cannot do the task.
        """
        play = self._made.get(index)
        if play is None:
            play = self._made[index] = self._demonstrate(index)
        return play

    def episode(self, index: int) -> Episode:
        """The demonstration alone."""
        return self.play(index).episode

    def close(self) -> None:
        """Free what the graphics driver holds."""
        self.painters.close()

    def _demonstrate(self, index: int) -> Play:
        if index in self._kept:
            lived = self._kept[index]
            return self._as_play(index, self._world(lived.number), lived)
        why = ''
        for attempt in range(_TRIES):
            try:
                world = self._world(index * _TRIES + attempt)
                lived = self._watched(world, index, attempt)
            except WorldError as error:
                why = f': {error}'
                continue
            if world.outcome == 'success' and len(lived.states) > 1:    # pressed as it began: none
                if self.count is not None:
                    self._kept[index] = lived
                return self._as_play(index, world, lived)
            why = f' ({world.outcome})'
        raise WorldError(f'the expert failed {_TRIES} times in a row to show {self.task}{why}')

    def _world(self, number: int) -> PhysicsWorld:
        return PhysicsWorld(self.task, self.seed, number, self.config)

    def _watched(self, world: PhysicsWorld, index: int, attempt: int) -> Lived:
        expert, rows = Expert(world), []
        # Pushed otherwise in each attempt: there are pushes that no expert gets over.
        pushes = np.random.default_rng([self.seed, index, 1, attempt])
        nudges = Nudges(pushes, world, self.nudge)
        while not world.outcome:
            action = expert.act()
            rows.append((world.data.qpos.copy(), world.model.geom_rgba[:, 3].copy(),
                         world.joints(), action, world.tip, world.aim(),
                         world.task.stage(world)))
            world.step(nudges(action))
        states, opacity, joints, actions, tips, aims, stages = map(np.array, zip(*rows))
        return Lived(world.index, states, opacity, joints.astype(np.float32),
                     actions.astype(np.float32), tips, aims, stages)

    def _as_play(self, index: int, world: PhysicsWorld, lived: Lived) -> Play:
        episode = Episode(
            f'{self.name} {self.seed}.{index}',
            ShownScene(f'{self.name} {index}', world, lived, self.painters),
            world.task.embedding, world.task.instruction, world.joint_names, lived.joints,
            lived.actions, world.joint_names, world.config.rate_hz,
            (f'the scripted expert of {self.name}, pushed by {self.nudge:g} rad',))
        goals = part_goals(lived.tips, lived.stages) - world.eye
        return Play(episode, part_ends(lived.stages),
                    goals / np.linalg.norm(goals, axis=1, keepdims=True),
                    direction_from_pan_tilt(*lived.aims.T))


def part_ends(stages: np.ndarray) -> np.ndarray:
    """(T,) the step up to which, exclusive, each step's part of the task goes on: to the next one
    in which the thing has been taken, or lost.

    Args:
        stages: (T,) of the task, see `Task.stage`; a change counts if it lasts, and a touch does
            not.
    """
    ends = np.full(len(stages), len(stages))
    for change in reversed(np.flatnonzero(np.diff(held(stages))) + 1):
        ends[:change] = change                       # what comes after it cannot be known before
    return ends


def part_goals(tips: np.ndarray, stages: np.ndarray, finished: bool = True) -> np.ndarray:
    """(T, 3) metres: where the hand acts when each step's part of the task is done, half way from
    its tip down to the table: within 4 degrees of the middle of what it grasps or presses, and of
    what it lets go into or onto. NaN: the task is done, or this part of it never is.

    Args:
        tips: (T, 3) metres, the table at z = 0.
        stages: (T,) of the task, see `Task.stage`.
        finished: whether the last step is the end of a part.
    """
    done = np.flatnonzero(stages == DONE)
    steps = int(done[0]) if len(done) else len(stages)
    goals, ends = np.full(tips.shape, np.nan), part_ends(stages[:steps])
    # What was taken and lost again still belongs where it was put in the end.
    ends = np.where(held(stages[:steps]), steps, ends)
    goals[:steps] = tips[ends - 1] * [1.0, 1.0, 0.5]
    if not (finished or len(done)):                  # a touch at the very end is none yet
        goals[:steps][ends > steps - _LASTS] = np.nan
    return goals


def held(stages: np.ndarray) -> np.ndarray:
    """(T,) bool: whether the thing is in the hand or where it belongs, but for changes that do not
    last.
    """
    there, now = stages > 0, False
    out = np.zeros(len(stages), bool)
    for step in range(len(stages)):
        if (there[step:step + _LASTS] != now).all():
            now = not now
        out[step] = now
    return out


def source(name: str, _: str, seed: int, __: float) -> PhysicsPlays:
    """For `demos record --source workspace:TASK`; the length follows from the task."""
    return PhysicsPlays(name.partition(':')[2], seed)
