"""What a hand is shown: by an eye that turns, or by cameras that people would mount instead. All
of them give 48 tokens, to the same hand.

N tokens
"""

from collections.abc import Callable
from dataclasses import dataclass
import math

import numpy as np

from gaze_robot.foveation import FoveationPattern
from gaze_robot.geometry import pan_tilt_from_direction
from gaze_robot.policy.actions import MAX_STEP_RAD
from gaze_robot.policy.glances import token_places
from gaze_robot_sim.bcrl.batch import PATTERN
from gaze_robot_sim.physics.views import Painter
from gaze_robot_sim.physics.world import PhysicsWorld

PATCH = PATTERN.token_side
_WIDE_DEG = (35.0, 105.0)
_FINE = 4
"""Pixels along a side of each sample of a fixed camera."""
_LOST_RAD = 0.02
"""Standard deviation of an oracle's gaze about what matters: hands should bear it."""

Views = Callable[[Painter], list[np.ndarray]]
Frames = Callable[[PhysicsWorld], list[tuple[np.ndarray, np.ndarray]]]


@dataclass(frozen=True, eq=False)
class Condition:
    """One way to see the workspace."""

    name: str
    levels: tuple[tuple[int, int], ...]
    """(height, width) of each picture, samples."""

    places: np.ndarray
    """(N, 2) pan and tilt of each token's centre, from the gaze, or as the camera stands."""

    look: Views
    """The pictures, uint8 RGB."""

    turns: bool
    """Whether it is an eye."""

    frames: Frames
    """Of each picture: where it is seen from (3,) metres, and the frame (3, 3) of `places` when
    the gaze is 0, its rows forward, left and up, both of the world."""


def condition_of(name: str, pattern: FoveationPattern = PATTERN) -> Condition:
    """A condition by its name, one of CONDITIONS."""
    return CONDITIONS[name](name, pattern)


def _eye(name: str, pattern: FoveationPattern) -> Condition:
    return Condition(name, tuple((side, side) for side in pattern.window), token_places(pattern),
                     lambda painter: painter.levels(pattern), True,
                     lambda world: [(world.eye, np.eye(3))] * pattern.levels)


def _wide(name: str, _: FoveationPattern) -> Condition:
    """Everything within 105 degrees to each side, unfolded."""
    shape = (32, 96)
    down, right = (np.radians(half) * ((np.arange(count // PATCH) + 0.5) / (count // PATCH) * 2
                                       - 1) for half, count in zip(_WIDE_DEG, shape))
    tilt, pan = np.meshgrid(down, -right, indexing='ij')
    return Condition(name, (shape,), np.stack([pan, tilt], axis=-1).reshape(-1, 2),
                     lambda painter: [painter.unfolded(_WIDE_DEG, shape)], False,
                     lambda world: [(world.eye, np.eye(3))])


def _cameras(*cameras: tuple[str, float], shape: tuple[int, int]
             ) -> Callable[[str, FoveationPattern], Condition]:
    """Ordinary cameras, (name in the model, vertical field of view in degrees) each."""
    def make(name: str, _: FoveationPattern) -> Condition:
        def look(painter: Painter) -> list[np.ndarray]:
            return [painter.averaged(camera, shape, _FINE) for camera, _ in cameras]
        # The second one's frame is turned about: no token of one is beside one of the other.
        places = np.concatenate([_places(shape, fovy) + [math.pi * number, 0.0]
                                 for number, (_, fovy) in enumerate(cameras)])

        def frames(world: PhysicsWorld) -> list[tuple[np.ndarray, np.ndarray]]:
            return [_frame(world, camera, 1 - 2 * number)
                    for number, (camera, _) in enumerate(cameras)]
        return Condition(name, (shape,) * len(cameras), places, look, False, frames)
    return make


def _frame(world: PhysicsWorld, camera: str, ahead: int) -> tuple[np.ndarray, np.ndarray]:
    """Where a camera of the model is, and its frame; with `ahead` -1 turned about the vertical.

    MuJoCo's cameras look along -z of their own, with x to the right and y up.
    """
    number = world.model.camera(camera).id
    right, up, back = world.data.cam_xmat[number].reshape(3, 3).T
    return world.data.cam_xpos[number].copy(), np.stack([-ahead * back, -ahead * right, up])


def _places(shape: tuple[int, int], fovy_deg: float) -> np.ndarray:
    rows, columns = shape[0] // PATCH, shape[1] // PATCH
    reach = np.tan(np.radians(fovy_deg) / 2)
    down = ((np.arange(rows) + 0.5) / rows * 2 - 1) * reach
    right = ((np.arange(columns) + 0.5) / columns * 2 - 1) * reach * shape[1] / shape[0]
    z, y = np.meshgrid(-down, -right, indexing='ij')
    pan, tilt = pan_tilt_from_direction(np.stack([np.ones_like(y), y, z], axis=-1))
    return np.stack([pan, tilt], axis=-1).reshape(-1, 2)


_EXO, _WRIST = ('exo', 48.0), ('arm/wrist', 75.0)
CONDITIONS: dict[str, Callable[[str, FoveationPattern], Condition]] = {
    'learned': _eye, 'oracle': _eye, 'wide': _wide, 'exo': _cameras(_EXO, shape=(48, 64)),
    'wrist': _cameras(_WRIST, shape=(48, 64)),
    'exo_wrist': _cameras(_EXO, _WRIST, shape=(32, 48))}
"""'learned': the eye of `train bcrl`. 'oracle': an eye that knows where to look. 'wide': a fixed
camera in its place that sees the whole table. 'exo': one across the table. 'wrist': one on the
hand. 'exo_wrist': both, with half the tokens each."""


def oracle_gaze(world: PhysicsWorld, rng: np.random.Generator | None) -> np.ndarray:
    """(2,) where an eye that knows the truth looks next: towards what matters, 10 degrees of pan
    and of tilt at most; with a generator, not quite there.
    """
    aim = world.aim() + (0.0 if rng is None else rng.normal(0.0, _LOST_RAD, 2))
    turn = np.clip(aim - world.gaze, -MAX_STEP_RAD, MAX_STEP_RAD)
    return np.clip(world.gaze + turn, world.limits.min_position, world.limits.max_position)
