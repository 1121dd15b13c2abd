"""Track: keep looking at a moving thing that an exemplar shows, also while it is hidden."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import math
from typing import Any

import gymnasium
import numpy as np

from gaze_robot.geometry import angle_between
from gaze_robot_sim.envs import cast
from gaze_robot_sim.envs.batch import EyeBatch
from gaze_robot_sim.envs.config import check_numbers, check_ranges, EyeConfig
from gaze_robot_sim.envs.search import ExemplarView
from gaze_robot_sim.envs.single import GazeEnv
from gaze_robot_sim.envs.vector import GazeVectorEnv
from gaze_robot_sim.scenes.base import Scene
from gaze_robot_sim.scenes.movers import Mover, Path
from gaze_robot_sim.scenes.occlusion import hidden_share, opaque_points
from gaze_robot_sim.scenes.overlay import Sprite

_TILT_DEG = (-25.0, 25.0)
"""Between these the target and its likes move."""
_WIDTH_DEG = (5.0, 11.0)
_PASSES_RAD = math.radians(60)
"""What passes in front of the target comes from, and goes, so far away from it."""
_TRIES = 6
"""Places among which a board gets the one where the target passes fastest."""
_SWING_RAD = math.pi / 2
"""It moves as a slow swing to either side: nearly straight where it is there."""


@dataclass(frozen=True)
class TrackConfig(EyeConfig):
    """One tracking task."""

    episode_s: float = 10.0
    """Seconds, of a moving world, until an episode is truncated."""

    max_start_deg: float = 10.0
    """The target is at most this far from where the eye starts."""

    speed_deg_s: tuple[float, float] = (10.0, 40.0)
    """Range of the fastest that a target ever moves; half of that is usual."""

    roam_deg: float = 50.0
    """Target and distractors stay within so far of the middle of their region, in pan."""

    distractors: int = 3
    """How many others move in the same region, 0 to 8; the first three look like the target."""

    screens: int = 1
    """Boards that stand in the target's way and hide it when it passes behind them."""

    passes_s: tuple[float, float] = (0.0, 2.0)
    """From when something that passed in front of the target is gone until the next comes."""

    passers: bool = True
    """Whether people, boards and things pass in front of the target."""

    rewards: Mapping[str, float] = field(default_factory=lambda: {
        'near': 0.02, 'approach': 0.05, 'on_target': 0.05, 'centred': 0.05})
    """Scale of each term of `rewards.TERMS`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, speed_deg_s=(0, 1000), passes_s=(0, 1e6))
        check_numbers(self, max_start_deg=(0, 80), roam_deg=(0, 180), distractors=(0, 8),
                           screens=(0, 8))


class Chase:
    """One episode: the target, those that look like it, and what hides it."""

    def __init__(self, rng: np.random.Generator, config: TrackConfig) -> None:
        """Draw everything but the passers, who are drawn as they come."""
        self._rng, self._config = rng, config
        low_high, self._tilt = cast.reach(config.limits, _TILT_DEG)
        half = min(math.radians(config.roam_deg), (low_high[1] - low_high[0]) / 2)
        middle = low_high[0] + half + rng.random() * (low_high[1] - low_high[0] - 2 * half)
        self._pan = middle - half, middle + half
        pictures = cast.family(int(rng.integers(cast.FAMILIES)))
        order = rng.permutation(cast.ALIKE)
        width = math.radians(cast.draw(rng, _WIDTH_DEG))
        self.target = self._roaming(pictures[order[0]], width)
        self.points = opaque_points(self.target.picture)
        others = [self._roaming(pictures[order[1 + k]] if k < cast.ALIKE - 1 else
                                cast.thing(int(rng.integers(cast.THINGS))),
                                width * rng.uniform(0.85, 1.15))
                  for k in range(config.distractors)]
        self.farther = int(rng.integers(len(others) + 1))
        """How many of the distractors are behind the target."""
        self._movers = [*others[:self.farther], self.target, *others[self.farther:],
                        *self._screens(width)]
        self._passer: Mover | None = None
        self._gone_s = 1.0

    def sprites(self, t_s: float) -> list[Sprite]:
        """All at a time that does not go back, the farthest first: the target is [farther]."""
        if self._config.passers and t_s >= self._gone_s:
            self._passer = self._passing(t_s)
        movers = [*self._movers, self._passer] if self._passer else self._movers
        return [sprite for mover in movers if (sprite := mover.sprite(t_s)) is not None]

    def _roaming(self, picture: np.ndarray, width_rad: float) -> Mover:
        speed = math.radians(cast.draw(self._rng, self._config.speed_deg_s))
        return Mover(picture, width_rad, Path.random(self._rng, self._pan, self._tilt, speed))

    def _screens(self, width_rad: float) -> list[Mover]:
        """Boards where the target will pass quickly, though it does not start behind one."""
        rng, path = self._rng, self.target.path
        made: list[Mover] = []
        for _ in range(self._config.screens):
            width = width_rad * rng.uniform(1.2, 1.8)
            picture = cast.board(int(rng.integers(cast.BOARDS)))
            raised = rng.uniform(-0.3, 0.3) * width_rad
            times = rng.uniform(1.0, 8.0, _TRIES)
            ahead, there = (np.array([path.direction(float(t)) for t in times + later])
                            for later in (0.1, 0.0))
            # Half the diagonals of board (twice as high as wide) and target, and some room.
            clear = angle_between(there, path.direction(0.0)) > 1.3 * width + 0.8 * width_rad
            if clear.any():
                pan, tilt = path.angles(float(times[np.argmax(
                    np.where(clear, angle_between(there, ahead), -1.0))]))
                made.append(Mover(picture, width, Path.still(pan, tilt + raised)))
        return made

    def _passing(self, t_s: float) -> Mover:
        """The next that passes in front of the target, right across its middle."""
        rng = self._rng
        kind, number = int(rng.integers(4)), int(rng.integers(1 << 16))
        wide = self.target.width_rad
        if kind < 2:                            # the body is a third of a figure's picture
            picture = cast.person(number % cast.PEOPLE)
            width = min(wide * rng.uniform(3.0, 4.5), math.radians(30))
        else:
            picture = (cast.board(number % cast.BOARDS) if kind == 2
                       else cast.thing(number % cast.THINGS))
            width = wide * rng.uniform(1.3, 2.2)
        rate = math.radians(rng.uniform(25, 50)) / _SWING_RAD * (-1) ** int(rng.integers(2))
        there_s = math.asin(_PASSES_RAD / _SWING_RAD) / abs(rate)
        meets = t_s + cast.draw(rng, self._config.passes_s) + there_s
        self._gone_s = meets + there_s
        rise = 0.0 if kind < 2 else rng.uniform(-0.25, 0.25)
        path = Path(self.target.path.angles(meets), _SWING_RAD * np.array([[1.0], [rise]]),
                    np.full((2, 1), rate), np.full((2, 1), -rate * meets))
        return Mover(picture, width, path, present_s=(meets - there_s, self._gone_s))


class TrackBatch(EyeBatch):
    """Eyes that follow things, each its own; see `TrackEnv`."""

    Config = TrackConfig
    config: TrackConfig

    def __init__(self, eyes: int, *given: Any, **options: Any) -> None:
        """See `EyeBatch`."""
        super().__init__(eyes, *given, **options)
        self.chase: list[Chase | None] = [None] * eyes
        self.hidden = np.zeros(eyes)
        """(B,) share of each target that something in front covers now."""
        self.onset = np.zeros(eyes, bool)
        """(B,) whether the target came out from behind something at this step."""
        self._things: list[Sequence[Sprite]] = [()] * eyes
        self._shown = ExemplarView(eyes)

    @property
    def occluded(self) -> np.ndarray:
        """(B,) bool: at least half of the target is hidden."""
        return self.hidden >= 0.5

    def begin(self, eye: int, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        """Choose a target, its likes and their paths; the eye starts near the target."""
        made = Chase(np.random.default_rng(int(rng.integers(1 << 62))), self.config)
        self.chase[eye] = made
        self._shown.show(eye, cast.likeness(rng, made.target.picture, made.target.width_rad))
        self._live(eye, made, 0.0)
        return cast.near(rng, self.config.limits, self.aim[eye],
                         math.radians(self.config.max_start_deg))

    def advance(self) -> None:
        """Move everything."""
        before = self.occluded
        for eye, (chase, t_s) in enumerate(zip(self.chase, self.elapsed_s.tolist())):
            if chase is not None:
                self._live(eye, chase, t_s)
        self.onset = before & ~self.occluded

    def _live(self, eye: int, chase: Chase, t_s: float) -> None:
        things = chase.sprites(t_s)
        target = things[chase.farther]
        self._things[eye], self.aim[eye] = things, target.direction
        self.hidden[eye] = hidden_share(target, chase.points, things[chase.farther + 1:])
        self.onset[eye] = False

    def things(self, eye: int) -> Sequence[Sprite]:
        """Distractors, target, and what is in front of it."""
        return self._things[eye]

    def facts(self) -> dict[str, np.ndarray]:
        """How much of the target is hidden, and whether it has just come out."""
        return {'hidden': self.hidden, 'occluded': self.occluded, 'onset': self.onset}

    def extra_spaces(self) -> dict[str, gymnasium.Space]:
        """The exemplar."""
        return self._shown.spaces()

    def extras(self, eyes: np.ndarray) -> dict[str, np.ndarray]:
        """The exemplar."""
        return self._shown.observe(eyes)


class TrackEnv(GazeEnv):
    """Hold a moving target that an exemplar shows, among others that look like it.

    The target wanders about; things pass in front of it and it passes behind boards. What it does
    while hidden goes on, so it comes out where its motion leads. It is a thing or somebody's head;
    up to three distractors share most of its looks (clothes, or face; colours, or pattern).

    ## Observation
    | key            | shape       | dtype   | meaning                                            |
    |----------------|-------------|---------|----------------------------------------------------|
    | level_0 ...    | (w, w, 3)   | uint8   | the foveated view, sharpest level first; what the  |
    |                |             |         | camera does not show is grey (128)                 |
    | pan_tilt       | (2,)        | float32 | pose as the encoders say, rad, left and down > 0   |
    | speed          | (2,)        | float32 | of the camera, rad/s                               |
    | exemplar       | (e, e, 3)   | uint8   | the target on plain ground, turned, scaled and lit |
    |                |             |         | otherwise                                          |
    | exemplar_width | (1,)        | float32 | the angle it covers, rad                           |

    ## Action      as `SearchEnv`.
    ## Reward      sum of scale * term, `envs.rewards.TERMS`; each in info['reward/<term>']. The
    ##             target counts as present while it is hidden.
    ## Info        error_rad; hidden: share of the target that is covered, 0 to 1; occluded: half
    ##             or more of it; onset: it came out at this step.
    ## Start       a random pose at most `max_start_deg` from the target, which is not behind a
    ##             board.
    ## Ends        terminated: never. truncated: after `pause_steps`, in which nothing moves, and
    ##             `episode_s`.
    ## Options     of make(): `world`, `pattern`, and the fields of `TrackConfig`;
    ##             of reset(): 'scene' (number), 'pose' (pan, tilt).
    ## Ids         gaze_robot/Track-v0
    ## History     v0: first version.
    """

    Batch = TrackBatch


class TrackVectorEnv(GazeVectorEnv):
    """Many `TrackEnv` in one process."""

    Batch = TrackBatch
