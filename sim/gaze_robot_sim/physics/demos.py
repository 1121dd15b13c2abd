"""Demonstrations by the expert, as anybody else would have recorded them: the arm's joints, and
pictures all around from where the eye is. Nothing says where to look.

T steps
"""

from collections.abc import Sequence
import weakref

import mujoco
import numpy as np

from gaze_robot.errors import ConfigError, WorldError
from gaze_robot.geometry import direction_from_pan_tilt
from gaze_robot_sim.bcrl.plays import Play
from gaze_robot_sim.demos.episode import Episode
from gaze_robot_sim.physics.expert import Expert, NUDGE_RAD, Nudges
from gaze_robot_sim.physics.tasks import KINDS
from gaze_robot_sim.physics.views import Painter
from gaze_robot_sim.physics.world import PhysicsConfig, PhysicsWorld, SHOWN
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.base import SearchTarget
from gaze_robot_sim.scenes.overlay import Sprite

_TRIES = 20
"""Episodes in a row that the expert may spoil before it is an error."""
_KEPT = 8
"""Worlds that stay ready to be drawn."""


class ShownScene:
    """What there was to see all around while an episode lasted, drawn when it is asked for;
    implements the Scene protocol.
    """

    def __init__(self, name: str, world: PhysicsWorld, states: Sequence[np.ndarray],
                 colours: Sequence[np.ndarray], painters: 'Painters') -> None:
        """Remember an episode.

        Args:
            states: T positions of everything that moves, MuJoCo's qpos.
            colours: T times (ngeom,) how opaque each geom was.
        """
        self.name, self.duration_s = name, len(states) / world.config.rate_hz
        self._world, self._states, self._colours = world, states, colours
        self._painters = painters
        self._last: tuple[int, Panorama] | None = None

    def panorama(self, t_s: float = 0.0) -> Panorama:
        """Everything around at a time; see the protocol."""
        if not (np.isfinite(t_s) and t_s >= 0):
            raise WorldError(f'a time in an episode is 0 s or later, got {t_s}')
        rate = self._world.config.rate_hz
        step = int(round(t_s * rate, 6)) % len(self._states)
        if self._last is None or self._last[0] != step:
            model, data = self._world.model, self._world.data
            data.qpos[:] = self._states[step]
            model.geom_rgba[:, 3] = self._colours[step]
            mujoco.mj_forward(model, data)
            self._last = step, Panorama(self._painters.of(self._world).panorama(), brief=True)
        return self._last[1]

    def sample_target(self, rng: np.random.Generator, t_s: float = 0.0) -> SearchTarget:
        """Nothing; see the protocol."""
        raise WorldError(f'{self.name} is there to watch; nothing in it is to be searched for')

    def sprites(self, t_s: float = 0.0) -> Sequence[Sprite]:
        """Nothing in front of the panorama."""
        return ()


class Painters:
    """Painters of the worlds that were drawn last."""

    def __init__(self) -> None:
        self._kept: dict[int, Painter] = {}

    def of(self, world: PhysicsWorld) -> Painter:
        """A world's painter."""
        number = id(world)
        painter = self._kept.pop(number, None) or Painter(world)
        self._kept[number] = painter
        while len(self._kept) > _KEPT:
            self._kept.pop(next(iter(self._kept))).close()
        return painter

    def close(self) -> None:
        """Free all."""
        for painter in self._kept.values():
            painter.close()
        self._kept.clear()


class PhysicsPlays:
    """The expert's demonstrations of one task, without end; number k depends on (seed, k) only.

    Implements `DemoSource` (to record) and `PlaySource` (to train on directly).
    """

    count: int | None = None

    def __init__(self, task: str, seed: int = 0, config: PhysicsConfig | None = None,
                 nudge: float = NUDGE_RAD) -> None:
        """Choose the demonstrations; each is made when it is asked for.

        Raises:
            ConfigError: there is no such task, or the seed is negative.
        """
        if task not in KINDS:
            raise ConfigError(f'there is no task {task!r}; known: {", ".join(KINDS)}')
        if seed < 0:
            raise ConfigError(f'a seed is 0 or more, got {seed}')
        self.task, self.seed, self.nudge = task, seed, nudge
        self.config = config or SHOWN
        self.name = f'workspace:{task}'
        self._painters = Painters()
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
        self._painters.close()

    def _demonstrate(self, index: int) -> Play:
        why = ''
        for attempt in range(_TRIES):
            try:
                world = PhysicsWorld(self.task, self.seed, index * _TRIES + attempt, self.config)
                play = self._watched(world, index)
            except WorldError as error:
                why = f': {error}'
                continue
            if world.outcome == 'success':
                return play
            why = f' ({world.outcome})'
        raise WorldError(f'the expert failed {_TRIES} times in a row to show {self.task}{why}')

    def _watched(self, world: PhysicsWorld, index: int) -> Play:
        expert, rows, states, colours = Expert(world), [], [], []
        nudges = Nudges(np.random.default_rng([self.seed, index, 1]), world, self.nudge)
        aims, stages = [], []
        while not world.outcome:
            action = expert.act()
            rows.append((world.joints(), action))
            states.append(world.data.qpos.copy())
            colours.append(world.model.geom_rgba[:, 3].copy())
            aims.append(world.aim())
            stages.append(world.task.stage(world))
            world.step(nudges(action))
        joints, actions = (np.stack(column).astype(np.float32) for column in zip(*rows))
        scene = ShownScene(f'{self.name} {index}', world, states, colours, self._painters)
        episode = Episode(
            f'{self.name} {self.seed}.{index}', scene, world.task.embedding,
            world.task.instruction, world.joint_names, joints, actions, world.joint_names,
            world.config.rate_hz, (f'the scripted expert of {self.name}, pushed by '
                                   f'{self.nudge:g} rad',))
        stage, steps = np.array(stages), len(stages)
        change = np.flatnonzero(np.diff(stage))
        ends = np.full(steps, steps)
        if len(change):                              # what comes after it cannot be known before
            ends[:change[0] + 1] = change[0] + 1
        return Play(episode, ends, direction_from_pan_tilt(*np.array(aims).T))


def source(name: str, _: str, seed: int, __: float) -> PhysicsPlays:
    """For `demos record --source workspace:TASK`; the length follows from the task."""
    return PhysicsPlays(name.partition(':')[2], seed)
