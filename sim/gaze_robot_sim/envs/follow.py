"""Follow: look at the thing that somebody looks at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import math
from typing import Any

import numpy as np

from gaze_robot.errors import ConfigError
from gaze_robot.geometry import base_ray, direction_from_pan_tilt, pan_tilt_from_direction
from gaze_robot_sim.envs import cast
from gaze_robot_sim.envs.batch import EyeBatch
from gaze_robot_sim.envs.config import check_ranges, EyeConfig
from gaze_robot_sim.envs.single import GazeEnv
from gaze_robot_sim.envs.vector import GazeVectorEnv
from gaze_robot_sim.scenes.base import Scene
from gaze_robot_sim.scenes.figures import turned
from gaze_robot_sim.scenes.overlay import Sprite

GAZES_DEG = [(right, down) for right in (-75, -45, -15, 15, 45, 75) for down in (-30, -5, 20, 45)]
"""Where people of the cast can look, (right, down) as the viewer sees it."""

_RAYS = np.array([turned(math.radians(right), math.radians(down))[:, 2] * (1, 1, -1)
                  for right, down in GAZES_DEG])
"""The same as unit vectors: right, down, away from the viewer."""

_HEAD_TILT_DEG = (-12.0, 4.0)
_HEIGHT_DEG = (42.0, 58.0)
"""Of the figure: its head is 6 to 10 degrees high."""
_WIDTH_DEG = (5.0, 8.0)
_AWAY_RAD = (math.radians(15), math.radians(33))
"""Of things from the head, as the viewer sees it: who looks at one still sees the head."""
_APART_RAD = math.radians(14)
_GAZES_APART_RAD = math.radians(28)
"""Things are so far apart at least, for the viewer and for the figure."""
_START_DEG = 15.0
_PLACES = 20
"""Tries to find room for all things: one is nearly always enough."""


@dataclass(frozen=True)
class FollowConfig(EyeConfig):
    """One task of following somebody's gaze."""

    episode_s: float = 10.0
    """Seconds, of a moving world, until an episode is truncated."""

    things: tuple[int, int] = (3, 5)
    """How many things there are to look at, from and to; 2 to 6."""

    mind_s: tuple[float, float] = (1.0, 2.5)
    """After how long the figure looks at another one."""

    rewards: Mapping[str, float] = field(default_factory=lambda: {
        'near': 0.02, 'approach': 0.05, 'on_target': 0.05, 'centred': 0.05})
    """Scale of each term of `rewards.TERMS`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, things=(2, 6), mind_s=(0.01, 1e6))


class Company:
    """One episode: a figure, the things around it, and which of them it looks at when.

    The figure's head is at distance 1; a thing lies on the ray along which the figure looks when
    it looks there, between the figure and the viewer, so what the picture shows is the truth.
    """

    def __init__(self, rng: np.random.Generator, config: FollowConfig) -> None:
        """Draw everything but the times, which are drawn as they come.

        Raises:
            ConfigError: the limits of the viewer's head leave no room for two things.
        """
        self._rng, self._mind_s = rng, config.mind_s
        self._limits = cast.reach(config.limits, (-42.0, 42.0))
        self._tilt = cast.reach(config.limits, _HEAD_TILT_DEG)[1]
        self._person = int(rng.integers(cast.PEOPLE))
        self._height = math.radians(cast.draw(rng, _HEIGHT_DEG))
        self.head = 0.0, 0.0
        """Pan and tilt of the middle of its head."""
        placed = self._place(int(rng.integers(config.things[0], config.things[1] + 1)))
        self.gazes = [GAZES_DEG[number] for number, _ in placed]
        """Which way it looks at each thing."""
        self.things = [Sprite(cast.thing(int(rng.integers(cast.THINGS))), direction,
                              math.radians(cast.draw(rng, _WIDTH_DEG))) for _, direction in placed]
        self.choice = int(rng.integers(len(self.things)))
        """The thing that is looked at now."""
        self._changes_s = cast.draw(rng, self._mind_s)
        self.sprites: list[Sprite] = self._now()
        """The figure, and the things in front of it."""

    def live(self, t_s: float) -> bool:
        """Whether it looks at another thing since the last time."""
        before = self.choice
        while t_s >= self._changes_s:
            others = len(self.things) - 1
            self.choice = (self.choice + 1 + int(self._rng.integers(others))) % (others + 1)
            self._changes_s += cast.draw(self._rng, self._mind_s)
        if before == self.choice:
            return False
        self.sprites = self._now()
        return True

    def _now(self) -> list[Sprite]:
        picture = cast.person(self._person, *self.gazes[self.choice])
        return [cast.standing(picture, *self.head, self._height), *self.things]

    def _place(self, count: int) -> list[tuple[int, np.ndarray]]:
        """Find a head and (number of the gaze, direction) for each of `count` things or fewer."""
        rng, (pan, _) = self._rng, self._limits
        half = min(_AWAY_RAD[1], (pan[1] - pan[0]) / 2)
        best: list[tuple[int, np.ndarray]] = []
        for _ in range(_PLACES):
            head = (pan[0] + half + rng.random() * (pan[1] - pan[0] - 2 * half),
                    cast.draw(rng, self._tilt))
            found = self._around(head)[:count]
            if len(found) > len(best):
                best, self.head = found, head
            if len(best) == count:
                return best
        if len(best) < 2:
            raise ConfigError('the head cannot turn far enough to look at two things on either '
                              f'side of a figure: pan and tilt within {np.degrees(self._limits)} '
                              'degrees; give it wider limits')
        return best

    def _around(self, head: tuple[float, float]) -> list[tuple[int, np.ndarray]]:
        """Gazes of that head, and directions along them that are apart and can be looked at."""
        order = self._rng.permutation(len(GAZES_DEG))
        along = self._rng.uniform(0.3, 0.9, (len(order), 1))
        seen = base_ray(np.array([0.0, 0.0, 1.0]) + along * _RAYS[order], *head)
        seen /= np.linalg.norm(seen, axis=1, keepdims=True)
        inside = [(low <= angle) & (angle <= high) for angle, (low, high) in zip(
            pan_tilt_from_direction(seen), self._limits)]
        away = seen @ direction_from_pan_tilt(*head)
        fits = inside[0] & inside[1] & (away <= math.cos(_AWAY_RAD[0])) & (
            away >= math.cos(_AWAY_RAD[1]))
        chosen: list[int] = []
        for k in np.nonzero(fits)[0].tolist():
            if all(seen[k] @ seen[i] <= math.cos(_APART_RAD) and _RAYS[order[k]] @ _RAYS[order[i]]
                   <= math.cos(_GAZES_APART_RAD) for i in chosen):
                chosen.append(k)
        return [(int(order[k]), seen[k]) for k in chosen]


class FollowBatch(EyeBatch):
    """Eyes that follow the gaze of people, each of its own; see `FollowEnv`."""

    Config = FollowConfig
    config: FollowConfig

    def __init__(self, eyes: int, *given: Any, **options: Any) -> None:
        """See `EyeBatch`."""
        super().__init__(eyes, *given, **options)
        self.company: list[Company | None] = [None] * eyes
        self.onset = np.zeros(eyes, bool)
        """(B,) whether the figure changed its mind at this step."""

    def begin(self, eye: int, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        """Put a figure and things somewhere; the eye starts near the figure's head."""
        made = Company(np.random.default_rng(int(rng.integers(1 << 62))), self.config)
        self.company[eye], self.onset[eye] = made, False
        self.aim[eye] = made.things[made.choice].direction
        return cast.near(rng, self.config.limits, direction_from_pan_tilt(*made.head),
                         math.radians(_START_DEG))

    def advance(self) -> None:
        """Let people change their minds."""
        self.onset[:] = False
        for eye, (made, t_s) in enumerate(zip(self.company, self.elapsed_s.tolist())):
            if made is not None and made.live(t_s):
                self.aim[eye], self.onset[eye] = made.things[made.choice].direction, True

    def things(self, eye: int) -> Sequence[Sprite]:
        """The figure and the things around it."""
        made = self.company[eye]
        return made.sprites if made is not None else ()

    def facts(self) -> dict[str, np.ndarray]:
        """Which thing is looked at, and whether that is new."""
        return {'choice': np.array([made.choice if made else 0 for made in self.company]),
                'onset': self.onset}


class FollowEnv(GazeEnv):
    """Look where a person looks: at the one of several things to which head and eyes are turned.

    Nothing but the figure tells which thing is the right one; after a second or two it looks at
    another. Things and figure stay where they are.

    ## Observation
    | key            | shape       | dtype   | meaning                                            |
    |----------------|-------------|---------|----------------------------------------------------|
    | level_0 ...    | (w, w, 3)   | uint8   | the foveated view, sharpest level first; what the  |
    |                |             |         | camera does not show is grey (128)                 |
    | pan_tilt       | (2,)        | float32 | pose as the encoders say, rad, left and down > 0   |
    | speed          | (2,)        | float32 | of the camera, rad/s                               |

    ## Action      as `SearchEnv`.
    ## Reward      sum of scale * term, `envs.rewards.TERMS`; each in info['reward/<term>'].
    ## Info        error_rad to the thing that is looked at; choice: its number, from 0; onset: the
    ##             figure turned to it at this step.
    ## Start       a random pose at most 15 degrees from the figure's head.
    ## Ends        terminated: never. truncated: after `pause_steps`, in which nobody turns, and
    ##             `episode_s`.
    ## Options     of make(): `world`, `pattern`, and the fields of `FollowConfig`;
    ##             of reset(): 'scene' (number), 'pose' (pan, tilt).
    ## Ids         gaze_robot/Follow-v0
    ## History     v0: first version.
    """

    Batch = FollowBatch


class FollowVectorEnv(GazeVectorEnv):
    """Many `FollowEnv` in one process."""

    Batch = FollowBatch
