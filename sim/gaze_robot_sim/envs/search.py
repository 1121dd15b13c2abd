"""Search: turn the eye until it looks at what an exemplar shows, and keep looking at it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
import math
from typing import Any

import gymnasium
import numpy as np

from gaze_robot.gaze_target.evidence import square
from gaze_robot.geometry import pan_tilt_from_direction
from gaze_robot.types import Exemplar
from gaze_robot_sim.envs.batch import EyeBatch
from gaze_robot_sim.envs.config import check_numbers, EyeConfig
from gaze_robot_sim.envs.single import GazeEnv
from gaze_robot_sim.envs.vector import GazeVectorEnv
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.base import Scene, SearchTarget

_START_TILT = 0.6
"""Episodes begin looking this far up or down at most, radians."""


@dataclass(frozen=True)
class SearchConfig(EyeConfig):
    """One search task."""

    max_start_deg: float = 90.0
    """The target is at most this far from where the eye starts."""

    across_stop: float = 0.0
    """Share of starts from which the target may lie beyond the head's pan stop."""

    rewards: Mapping[str, float] = field(default_factory=lambda: {
        'near': 0.02, 'approach': 0.05, 'on_target': 0.05, 'centred': 0.05, 'unsteady': 0.02})
    """Scale of each term of `rewards.TERMS`; discounted sums stay near 1, where PPO's clipped
    gradients are not spent on the critic."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(self, max_start_deg=(1, 180), across_stop=(0, 1))


class SearchBatch(EyeBatch):
    """Eyes that look for things, each with its own; see `SearchEnv`."""

    Config = SearchConfig
    config: SearchConfig

    def __init__(self, eyes: int, *given: Any, **options: Any) -> None:
        """See `EyeBatch`."""
        super().__init__(eyes, *given, **options)
        self.target: list[SearchTarget | None] = [None] * eyes
        self._shown = ExemplarView(eyes)

    def begin(self, eye: int, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        """Choose something to look for, and a start not too far from it."""
        target = scene.sample_target(rng, float(self._start_s[eye]))
        self.target[eye], self.aim[eye] = target, target.direction
        self._shown.show(eye, target.exemplar)
        return self._pose_near(rng, target.direction, rng.random() < self.config.across_stop)

    def _pose_near(self, rng: np.random.Generator, direction: np.ndarray, across_stop: bool
                   ) -> np.ndarray:
        """A random pose (2,) within the limits, at most max_start_deg from a direction.

        The head can turn there the short way, unless `across_stop`: what lies just beyond the pan
        stop is near to the eye and most of a turn away for the neck.
        """
        limits, farthest = self.config.limits, math.radians(self.config.max_start_deg)
        low, high = np.array(limits.min_position), np.array(limits.max_position)
        low[1], high[1] = max(low[1], -_START_TILT), min(high[1], _START_TILT)
        pan, tilt = pan_tilt_from_direction(direction)
        x, y, z = direction.tolist()
        for _ in range(1000):
            pose = rng.uniform(low, high)
            left, down = pose.tolist()
            along = math.cos(down) * (math.cos(left) * x + math.sin(left) * y) - math.sin(down) * z
            if along >= math.cos(farthest) and (across_stop or abs(left - pan) <= math.pi):
                return pose
        return np.clip([float(pan), float(tilt)], low, high)

    def extra_spaces(self) -> dict[str, gymnasium.Space]:
        """The exemplar."""
        return self._shown.spaces()

    def extras(self, eyes: np.ndarray) -> dict[str, np.ndarray]:
        """The exemplar."""
        return self._shown.observe(eyes)

    def scenes(self) -> list[tuple[Panorama, SearchTarget]]:
        """Every eye's panorama now, and its target."""
        return [(scene.panorama(self.scene_time(eye)), target) for eye, (scene, target)
                in enumerate(zip(self.scene, self.target)) if scene and target]


class ExemplarView:
    """Exemplars as observations: 'exemplar' and 'exemplar_width'."""

    def __init__(self, eyes: int) -> None:
        self._pictures: np.ndarray | None = None
        self._eyes = eyes
        self._width = np.zeros((eyes, 1), np.float32)

    def show(self, eye: int, exemplar: Exemplar) -> None:
        """Keep what an eye is shown."""
        picture = square(exemplar)
        if self._pictures is None:
            self._pictures = np.zeros((self._eyes, *picture.shape), np.uint8)
        self._pictures[eye], self._width[eye] = picture, exemplar.width_rad

    @staticmethod
    def spaces() -> dict[str, gymnasium.Space]:
        """Of one eye."""
        from gaze_robot.gaze_target.evidence import EXEMPLAR_PX
        box = gymnasium.spaces.Box
        return {'exemplar': box(0, 255, (EXEMPLAR_PX, EXEMPLAR_PX, 3), np.uint8),
                'exemplar_width': box(0.0, math.pi, (1,), np.float32)}

    def observe(self, eyes: np.ndarray) -> dict[str, np.ndarray]:
        """Of some eyes."""
        assert self._pictures is not None, 'show() comes before observe()'
        return {'exemplar': self._pictures[eyes], 'exemplar_width': self._width[eyes]}


class SearchEnv(GazeEnv):
    """Find what an exemplar shows, from anywhere in a room, and hold it.

    ## Observation
    | key            | shape       | dtype   | meaning                                            |
    |----------------|-------------|---------|----------------------------------------------------|
    | level_0 ...    | (w, w, 3)   | uint8   | the foveated view, sharpest level first; what the  |
    |                |             |         | camera does not show is grey (128)                 |
    | pan_tilt       | (2,)        | float32 | pose as the encoders say, rad, left and down > 0   |
    | speed          | (2,)        | float32 | of the camera, rad/s                               |
    | exemplar       | (e, e, 3)   | uint8   | what to look for, turned, scaled and lit otherwise |
    | exemplar_width | (1,)        | float32 | the angle it covers, rad                           |

    ## Action      Discrete(25): stay, 8 directions x 10, 3, 1 degrees; or Box(-1, 1, (2,)):
    ##             (pan left, tilt down) as fractions of 10 degrees. A goal relative to `pan_tilt`,
    ##             not a jump: the head moves there with its own speed and acceleration.
    ## Reward      sum of scale * term, `envs.rewards.TERMS`; each in info['reward/<term>'].
    ## Truth       info['error_rad']: to where the target was when the episode began; in a video
    ##             what was there may have moved on.
    ## Start       a random pose at most `max_start_deg` from a random target of the world.
    ## Ends        terminated: never. truncated: after `pause_steps` and `episode_s`.
    ## Options     of make(): `world`, `pattern`, and the fields of `SearchConfig`;
    ##             of reset(): 'scene' (number), 'pose' (pan, tilt).
    ## Ids         gaze_robot/Search-v0
    ## History     v0: first version.
    """

    Batch = SearchBatch


class SearchVectorEnv(GazeVectorEnv):
    """Many `SearchEnv` in one process."""

    Batch = SearchBatch
