"""Orient: turn to the face of whoever appears."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import math
from typing import Any

import numpy as np

from gaze_robot.geometry import direction_from_pan_tilt
from gaze_robot_sim.envs import cast
from gaze_robot_sim.envs.batch import EyeBatch
from gaze_robot_sim.envs.config import check_numbers, check_ranges, EyeConfig
from gaze_robot_sim.envs.single import GazeEnv
from gaze_robot_sim.envs.vector import GazeVectorEnv
from gaze_robot_sim.scenes.base import Scene
from gaze_robot_sim.scenes.overlay import Sprite

_TILT_DEG = (-20.0, 12.0)
"""Between these are faces, and where the eye starts."""
_GAZES_DEG = (-30, 0, 30)


@dataclass(frozen=True)
class OrientConfig(EyeConfig):
    """One task of turning to people."""

    episode_s: float = 10.0
    """Seconds, of a moving world, until an episode is truncated."""

    wait_s: tuple[float, float] = (0.3, 1.5)
    """For how long nobody is there."""

    stay_s: tuple[float, float] = (1.5, 3.0)
    """For how long somebody stays."""

    succession: float = 0.3
    """Share of people at whose going the next one is there at once, elsewhere."""

    away_deg: tuple[float, float] = (10.0, 55.0)
    """How far to the left or right of where the eye then looks they appear. A camera of 90 degrees
    shows the first 45: who appears beyond has to be looked for."""

    height_deg: tuple[float, float] = (18.0, 45.0)
    """Of people, from head to feet."""

    rewards: Mapping[str, float] = field(default_factory=lambda: {
        'near': 0.02, 'approach': 0.05, 'on_target': 0.05, 'centred': 0.05})
    """Scale of each term of `rewards.TERMS`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, wait_s=(0.01, 1e6), stay_s=(0.01, 1e6), away_deg=(0, 180),
                          height_deg=(5, 90))
        check_numbers(self, succession=(0, 1))


class OrientBatch(EyeBatch):
    """Eyes to which people appear; see `OrientEnv`."""

    Config = OrientConfig
    config: OrientConfig

    def __init__(self, eyes: int, *given: Any, **options: Any) -> None:
        """See `EyeBatch`."""
        super().__init__(eyes, *given, **options)
        self.onset = np.zeros(eyes, bool)
        """(B,) whether somebody appeared at this step."""
        self._story: list[np.random.Generator | None] = [None] * eyes
        self._changes_s = np.zeros(eyes)
        self._visitor: list[tuple[Sprite, ...]] = [()] * eyes
        self._pan, self._tilt = cast.reach(self.config.limits, _TILT_DEG)

    def begin(self, eye: int, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        """Nobody is there yet; the eye looks anywhere near the horizon."""
        story = np.random.default_rng(int(rng.integers(1 << 62)))
        self._story[eye], self._visitor[eye] = story, ()
        self._changes_s[eye] = cast.draw(story, self.config.wait_s)
        pose = np.array([cast.draw(rng, self._pan), cast.draw(rng, self._tilt)])
        self.aim[eye], self.present[eye] = direction_from_pan_tilt(*pose), False
        self.onset[eye] = False
        return pose

    def advance(self) -> None:
        """Let people come and go."""
        self.onset[:] = False
        elapsed = self.elapsed_s
        for eye in np.nonzero(elapsed >= self._changes_s)[0].tolist():
            story = self._story[eye]
            while story is not None and elapsed[eye] >= self._changes_s[eye]:
                self._change(eye, story)

    def _change(self, eye: int, rng: np.random.Generator) -> None:
        if self._visitor[eye] and rng.random() >= self.config.succession:
            self._visitor[eye], self.present[eye] = (), False
            self.onset[eye] = False
            self._changes_s[eye] += cast.draw(rng, self.config.wait_s)
            return
        away = math.radians(cast.draw(rng, self.config.away_deg)) * (-1) ** int(rng.integers(2))
        pan = float(self.pose[eye, 0])
        low, high = self._pan
        pan = pan + away if low <= pan + away <= high else min(max(pan - away, low), high)
        tilt = cast.draw(rng, self._tilt)
        gaze = _GAZES_DEG[int(rng.integers(len(_GAZES_DEG)))]
        self._visitor[eye] = (cast.standing(
            cast.person(int(rng.integers(cast.PEOPLE)), gaze), pan, tilt,
            math.radians(cast.draw(rng, self.config.height_deg))),)
        self.aim[eye], self.present[eye] = direction_from_pan_tilt(pan, tilt), True
        self.onset[eye] = True
        self._changes_s[eye] += cast.draw(rng, self.config.stay_s)

    def things(self, eye: int) -> Sequence[Sprite]:
        """Who is there."""
        return self._visitor[eye]

    def facts(self) -> dict[str, np.ndarray]:
        """Whether somebody is there, and has just appeared."""
        return {'present': self.present, 'onset': self.onset}


class OrientEnv(GazeEnv):
    """Turn to the face of whoever appears, and keep looking at them until they are gone.

    People stand there suddenly, stay a while and are gone as suddenly; sometimes the next one is
    there at that moment, elsewhere. There is never more than one, besides those that belong to the
    world itself. Who appears beyond the edge of the camera's picture has to be looked for.

    ## Observation
    | key            | shape       | dtype   | meaning                                            |
    |----------------|-------------|---------|----------------------------------------------------|
    | level_0 ...    | (w, w, 3)   | uint8   | the foveated view, sharpest level first; what the  |
    |                |             |         | camera does not show is grey (128)                 |
    | pan_tilt       | (2,)        | float32 | pose as the encoders say, rad, left and down > 0   |
    | speed          | (2,)        | float32 | of the camera, rad/s                               |

    ## Action      as `SearchEnv`.
    ## Reward      sum of scale * term, `envs.rewards.TERMS`; each in info['reward/<term>'].
    ##             Nothing is won or lost while nobody is there.
    ## Info        error_rad to the middle of the head (of the last one, while nobody is there);
    ##             present: somebody is there; onset: they appeared at this step.
    ## Start       a random pose near the horizon; nobody is there for the first `wait_s`.
    ## Ends        terminated: never. truncated: after `pause_steps`, in which nobody comes, and
    ##             `episode_s`.
    ## Options     of make(): `world`, `pattern`, and the fields of `OrientConfig`;
    ##             of reset(): 'scene' (number), 'pose' (pan, tilt).
    ## Ids         gaze_robot/Orient-v0
    ## History     v0: first version.
    """

    Batch = OrientBatch


class OrientVectorEnv(GazeVectorEnv):
    """Many `OrientEnv` in one process."""

    Batch = OrientBatch
