"""A hand at work: its mistakes have consequences."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gaze_robot.errors import CheckpointError
from gaze_robot.geometry import angle_between, direction_from_pan_tilt
from gaze_robot.hand_eye import HandEye, Looking
from gaze_robot_sim.physics.conditions import Condition, oracle_gaze
from gaze_robot_sim.physics.demos import held
from gaze_robot_sim.physics.views import Painter
from gaze_robot_sim.physics.world import PhysicsWorld

_ON_RAD = np.radians(10.0)
"""The eye looks at what is no further than this from its gaze."""
_LEAD_M = 0.2
"""While the hand is still this far from where the thing belongs, the eye should be there: gaze
leads the hand (Johansson et al., 'Eye-hand coordination in object manipulation', 2001)."""


@dataclass(eq=False)
class Episode:
    """What happened in one episode."""

    outcome: str = ''
    time_s: float = 0.0
    regrasps: int = 0
    collisions: int = 0
    on_aim: float | None = None
    """Share of the steps in which the eye looked at what matters; None: it is no eye."""

    gaze_error_deg: float | None = None
    """Median angle from the gaze to what matters; None: it is no eye."""

    switched: bool | None = None
    """Whether the eye looked at the thing in the second before the hand-over, and then at its
    place before the hand got near that; None: there was no hand-over, or it was near already."""

    switch_s: float | None = None
    """From the hand-over until the eye looked at the place; None: it never did."""


@dataclass(frozen=True, eq=False)
class Glance:
    """What a hand was given, and what it wants."""

    levels: list[np.ndarray]
    joints: np.ndarray
    """(J,) of the arm."""

    gaze: np.ndarray
    """(2,) radians, as the encoders say; 0 of cameras that do not turn."""

    action: np.ndarray
    """(J,) where the arm's joints should be next."""

    look: np.ndarray | None
    """(2,) radians: where the eye should look next; None: it rests."""


class HandAtWork:
    """Runs one hand, and its eye where it has one, in world after world."""

    def __init__(self, both: HandEye, condition: Condition) -> None:
        """Take a checkpoint.

        Raises:
            CheckpointError: it was trained for other pictures.
        """
        if both.hand.config.levels != condition.levels:
            raise CheckpointError(f'this hand sees pictures of {both.hand.config.levels} samples; '
                                  f'{condition.name} gives {condition.levels}')
        if condition.name == 'learned' and both.eye is None:
            raise CheckpointError('this checkpoint has a hand but no eye; train one with '
                                  '`gaze-robot train bcrl --demos`')
        self.both, self.condition = both, condition
        self._looking = Looking(both)

    def live(self, world: PhysicsWorld, painter: Painter,
             seen: Callable[[list[np.ndarray]], None] = lambda _: None) -> Episode:
        """Live through an episode from where it is.

        Args:
            seen: told of every glance.

        Raises:
            CheckpointError: the hand has other joints, or knows another kind of task.
        """
        self.begin(world)
        found, track = Episode(), _GazeTrack(world)
        while not world.outcome:
            glance = self.glance(world, painter)
            seen(glance.levels)
            outcome = world.step(glance.action, glance.look)
            if outcome != 'diverged':                   # then nothing is anywhere
                track.add()
        found.outcome, found.time_s, found.collisions = (
            world.outcome, world.time_s, world.collisions)
        found.regrasps = max(0, world.grasps - 1)
        if self.condition.turns and track.rows:
            track.judge(found)
        return found

    def begin(self, world: PhysicsWorld) -> None:
        """A new episode, of which nothing has been seen.

        Raises:
            CheckpointError: the hand has other joints, or knows another kind of task.
        """
        if self.both.joint_names != world.joint_names or (
                self.both.hand.config.task != len(world.task.embedding)):
            raise CheckpointError(f'this hand moves {", ".join(self.both.joint_names)}, the arm '
                                  f'has {", ".join(world.joint_names)}; or its tasks are others')
        self._looking.reset()

    def glance(self, world: PhysicsWorld, painter: Painter) -> Glance:
        """Look, and say what to do next."""
        levels, joints = self.condition.look(painter), world.joints()
        gaze = world.reported_gaze() if self.condition.turns else np.zeros(2)
        intent = self._looking.step(levels, joints, gaze, world.task.embedding)
        return Glance(levels, joints, gaze, joints + intent.actions[0],
                      self._turn(world, gaze, intent.move_rad))

    def taken_over(self, action: np.ndarray) -> None:
        """Somebody else moves the arm, there (J,): a hand that waits does so where it is then."""
        self._looking.taken_over(action)

    def _turn(self, world: PhysicsWorld, gaze: np.ndarray, move: np.ndarray) -> np.ndarray | None:
        if self.condition.name == 'learned':
            return gaze + move
        return oracle_gaze(world, None) if self.condition.turns else None


class _GazeTrack:
    """Where the eye looked, and where it should have."""

    def __init__(self, world: PhysicsWorld) -> None:
        self._world = world
        self.rows: list[tuple[float, float, float, int, float]] = []

    def add(self) -> None:
        """Take note of a step."""
        world, task = self._world, self._world.task
        gaze = direction_from_pan_tilt(*world.gaze)
        points = [task.aim(world), *((world.position('thing'), task.place(world))
                                     if task.needs_gripper else ())]
        errors = [float(angle_between(gaze, point - world.eye)) for point in points]
        first, second = errors[1:] if len(errors) > 1 else (errors[0], errors[0])
        away = np.linalg.norm((world.tip - points[-1])[:2])
        self.rows.append((errors[0], first, second, task.stage(world), float(away)))

    def judge(self, found: Episode) -> None:
        """Fill in the figures of the eye."""
        error, thing, place, stage, away = np.array(self.rows).T
        found.on_aim = float((error < _ON_RAD).mean())
        found.gaze_error_deg = float(np.degrees(np.median(error)))
        over = np.flatnonzero(held(stage))
        if self._world.task.needs_gripper and len(over):
            rate = self._world.config.rate_hz
            before = slice(max(0, over[0] - round(rate)), over[0] + 1)
            there = np.flatnonzero(place[over[0]:] < _ON_RAD)
            found.switch_s = float(there[0] / rate) if len(there) else None
            if away[over[0]] > _LEAD_M:
                found.switched = bool((thing[before] < _ON_RAD).any() and len(there) and (
                    away[over[0]:over[0] + there[0] + 1] > _LEAD_M).all())
