"""Eyes that watch the expert's demonstrations without a recording: each glance is drawn where an
eye looks, and nothing around it.

B eyes
"""

import math
from typing import Any

import numpy as np

from gaze_robot.errors import ConfigError
from gaze_robot_sim.bcrl.batch import WatchBatch
from gaze_robot_sim.bcrl.salient import DETAILED, detailed_gazes, salient_gazes
from gaze_robot_sim.physics.demos import PhysicsPlays, ShownScene

_REACH_RAD = (math.radians(100.0), math.radians(35.0))
"""How far to the sides, and up and down, something may stand out."""
_AROUND_WIDTH = 360
"""Pixels across the panorama that says what does."""
_SPARE = 8
"""Worlds that stay ready to be drawn besides those that are watched."""


class LiveBatch(WatchBatch):
    """B eyes, each in front of a workspace; the eye's dynamics are 'off'."""

    def __init__(self, eyes: int, source: PhysicsPlays, *args: Any, **options: Any) -> None:
        """Make eyes, as any `WatchBatch`.

        Raises:
            ConfigError: the eyes' dynamics are not 'off'.
        """
        super().__init__(eyes, source, *args, **options)
        if not self.motion.dynamics.instant or self.motion.exposure_s.any():
            raise ConfigError("live workspaces are watched with dynamics 'off'")
        source.painters.most = max(source.painters.most, eyes + _SPARE)

    def salient(self, eye: int, rng: np.random.Generator, count: int) -> np.ndarray:
        """Gazes (count, 2) at what has another colour than its surroundings. Of those at what is
        brighter or darker too, one in fifty hit what matters: tables end in front of walls. A
        share of them, `WatchConfig.details`, at fine detail.
        """
        scene = self.scene[eye]
        assert isinstance(scene, ShownScene)
        if self.config.details and rng.random() < self.config.details:
            return detailed_gazes(rng, scene.around(self.scene_time(eye), DETAILED), _REACH_RAD,
                                  count)
        return salient_gazes(rng, scene.around(self.scene_time(eye), _AROUND_WIDTH), _REACH_RAD,
                             count, coloured=True)

    def views(self, eyes: np.ndarray) -> list[np.ndarray]:
        """What some eyes see now: (len(eyes), height, width, 3) uint8 per level."""
        rows = []
        for eye in eyes.tolist():
            scene = self.scene[eye]
            assert isinstance(scene, ShownScene)
            rows.append(scene.levels(self.scene_time(eye), self.pose[eye], self.pattern))
        seen = [np.stack(level) for level in zip(*rows)]
        for view, new in zip(self.retina.views, seen):
            view[eyes] = new
        self.reported[eyes] = self.motion.measured(eyes, self.random)
        return seen
