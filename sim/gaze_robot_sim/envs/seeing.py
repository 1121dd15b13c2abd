"""Searching eyes that see through the robot's perception: what the search policy is trained on.

The environment of users gives pictures; the policy reads tokens and what the estimator says of
them (`gaze_robot.policy.observation`). This is the same batch with that in between.

B eyes   N tokens   D width   V length of the vector
"""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

from gaze_robot.gaze_target.evidence import CELLS
from gaze_robot.perception import Perception, PerceptionNetwork, valid_cells
from gaze_robot.policy.observation import Observer, Peak, vector_size
from gaze_robot_sim.envs.batch import Eyes
from gaze_robot_sim.envs.search import SearchBatch, SearchConfig
from gaze_robot_sim.render import Mapper
from gaze_robot_sim.scenes.base import World


class SeeingBatch(SearchBatch):
    """`SearchBatch` whose observations are tokens (N, D) and vector (V,), float32."""

    def __init__(self, eyes: int, worlds: Sequence[World], network: PerceptionNetwork,
                 config: SearchConfig | None = None, seed: int = 0, mapper: Mapper = map) -> None:
        """See `EyeBatch`; the pattern is the network's."""
        super().__init__(eyes, worlds, network.pattern, config, seed, mapper)
        self.perception = Perception(network, eyes, mapper)
        self.observer = Observer(eyes, self.pattern, self.config.limits)
        levels = self.pattern.levels
        self._valid = np.zeros((eyes, levels, CELLS, CELLS), bool)
        self.peak = Peak(np.zeros((eyes, levels)), np.zeros((eyes, levels, 2)),
                         np.zeros((eyes, levels)))
        """Of every eye's last glance."""

    @property
    def observation_space(self) -> gymnasium.spaces.Dict:
        """Of one eye."""
        network = self.perception.network
        shape = (network.front_end.tokens, network.encoder.config.width)
        box = gymnasium.spaces.Box
        return gymnasium.spaces.Dict({
            'tokens': box(-np.inf, np.inf, shape, np.float32),
            'vector': box(-np.inf, np.inf, (vector_size(self.pattern),), np.float32)})

    def start(self, eyes: Eyes, options: Mapping[str, Any] | None = None) -> None:
        """Begin episodes, and forget what was seen in the last ones."""
        super().start(eyes, options)
        shown = {}
        for eye in map(int, eyes):
            target = self.target[eye]
            shown[eye] = target.exemplar if target is not None else None
            self._valid[eye] = valid_cells(self.pattern.inside_camera(*self.retina.camera[eye]))
        self.perception.look_for(shown)
        self.observer.reset(list(shown))

    def observe(self, eyes: np.ndarray) -> dict[str, np.ndarray]:
        """Encode the last glance of some eyes."""
        views = self.retina.views
        percept = self.perception([view[eyes] for view in views], self._valid[eyes], eyes)
        vector, peak = self.observer.observe(
            percept, self._valid[eyes], self.reported[eyes], self.speed[eyes],
            self.steps[eyes] / self.config.rate_hz, eyes)
        self.peak.probability[eyes] = peak.probability
        self.peak.offset_rad[eyes] = peak.offset_rad
        self.peak.nearby[eyes] = peak.nearby
        return {'tokens': percept.tokens, 'vector': vector}
