"""What BC-RL trains on: demonstrations, an eye that watches them, and an untrained hand."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from gaze_robot.foveation import FoveationPattern
from gaze_robot.optional import require
from gaze_robot.policy.glances import token_places
from gaze_robot.policy.hand import HandConfig, HandNetwork
from gaze_robot.policy.tasks import Tasks
from gaze_robot.shipped import WORKSPACE
from gaze_robot_sim.bcrl import things
from gaze_robot_sim.bcrl.batch import PATTERN, WatchBatch, WatchConfig
from gaze_robot_sim.bcrl.hand_learner import make_hand
from gaze_robot_sim.bcrl.plays import PlaySource, Recorded, Scale
from gaze_robot_sim.bcrl.workspace import Workspace, WorkspaceConfig
from gaze_robot_sim.render import Mapper

EyeKind = Literal['foveated', 'uniform', 'wide']
"""Levels of 15, 40 and 90 degrees; one level of 90 degrees with as many tokens (49 for 48); a
camera that sees the whole workspace at once with 48 tokens, and does not turn."""

UNIFORM = FoveationPattern((90.0,), (56,), (8,))
_UNSEEN = 1_000_003
"""Added to the seed for demonstrations the training never shows."""
_MEASURED = 200
"""Demonstrations that the scale of joints and actions is taken from."""
_UNSEEN_LIVE, _MEASURED_LIVE = 128, 40
"""Of a task in physics, whose expert is watched without a recording: how many measure, and how
many the scale is taken from."""

_WIDE = (32, 96)
"""Samples of the wide camera, and what it covers, degrees: rows of equal tilt."""
_WIDE_DEG = (35.0, 105.0)


class WideBatch(WatchBatch):
    """Cameras that show the whole workspace, unfolded, and never turn."""

    def views(self, eyes: np.ndarray) -> list[np.ndarray]:
        """One picture (len(eyes), 32, 96, 3) uint8 of everything within the workspace."""
        rows = []
        for eye in eyes.tolist():
            scene = self.scene[eye]
            assert scene is not None
            image = scene.panorama(self.scene_time(eye)).image
            height, width = image.shape[:2]
            down, right = (round(deg / 360 * width) for deg in _WIDE_DEG)
            part = image[height // 2 - down:height // 2 + down, width // 2 - right:
                         width // 2 + right]
            rows.append(cv2.resize(part, _WIDE[::-1], interpolation=cv2.INTER_AREA))
        return [np.stack(rows)]

    def initial_pose(self, rng: np.random.Generator) -> np.ndarray:
        """Straight ahead, always."""
        return np.zeros(2)

    def scatter(self) -> None:
        """At any moment of each demonstration."""
        for eye, rng in enumerate(self.random):
            self.steps[eye] = rng.integers(self.config.pause_steps + int(self.last[eye]) + 1)
        self.settle()


def _wide_places() -> np.ndarray:
    """(48, 2) pan and tilt of the wide camera's tokens."""
    down, right = (np.radians(reach) * ((np.arange(count) + 0.5) / count * 2 - 1)
                   for reach, count in zip(_WIDE_DEG, (_WIDE[0] // 8, _WIDE[1] // 8)))
    tilt, pan = np.meshgrid(down, -right, indexing='ij')
    return np.stack([pan, tilt], axis=-1).reshape(-1, 2)


@dataclass(frozen=True, eq=False)
class Studio:
    """Demonstrations and how they are watched, the same for training and measuring."""

    source: PlaySource
    unseen: PlaySource
    """Others of the same kind; where there are recordings only, the same ones."""

    scale: Scale
    eye: EyeKind
    chunk: int

    @classmethod
    def open(cls, demos: str, eye: EyeKind, chunk: int, seed: int, measured: int = _MEASURED,
             look_alikes: float = WorkspaceConfig.look_alikes, plays: int = 0,
             angles: bool = False) -> 'Studio':
        """A made-up workspace ('' for `demos`), one in physics ('workspace:press' and so on), or
        the demonstrations of a folder.

        Args:
            plays: how many different ones, of a workspace in physics; 0: without end.
            angles: whether all joints but grippers are angles, of which each counts as much as
                any other.
            look_alikes: see `WorkspaceConfig`; of the source, while what measures has as many as
                ever.

        Raises:
            DemoError: the folder cannot be used.
            ConfigError: there is no such task.
            MissingDependencyError: there is no MuJoCo.
        """
        source: PlaySource
        unseen: PlaySource
        if demos.startswith(WORKSPACE):
            make = require('gaze_robot_sim.physics.demos').PhysicsPlays
            task, measured = demos.removeprefix(WORKSPACE), min(measured, _MEASURED_LIVE)
            source = make(task, seed, count=plays or None)
            unseen = make(task, seed + _UNSEEN, count=_UNSEEN_LIVE)
        elif demos:
            from gaze_robot_sim.demos.store import open_demos
            source = unseen = Recorded(open_demos(Path(demos)), demos)
        else:
            source = Workspace(seed, WorkspaceConfig(look_alikes=look_alikes))
            unseen = Workspace(seed + _UNSEEN)
        count = min(measured, source.count or measured)
        shown = [source.play(index) for index in range(count)]
        names = shown[0].episode.action_names
        together = [number for number, name in enumerate(names) if 'gripper' not in name]
        return cls(source, unseen, Scale.of(shown, chunk, together if angles else ()), eye, chunk)

    @property
    def pattern(self) -> FoveationPattern:
        """What the eye samples."""
        return UNIFORM if self.eye == 'uniform' else PATTERN

    @property
    def workspace(self) -> str:
        """Which workspace in physics it is; empty: none."""
        return (self.source.name.removeprefix(WORKSPACE)
                if self.source.name.startswith(WORKSPACE) else '')

    def tasks(self) -> Tasks:
        """What a hand can be told, for its checkpoint."""
        source = self.source
        if self.workspace:
            return require('gaze_robot_sim.physics.tasks').instructions(self.workspace)
        if source.count is None:
            return [f'{verb} {name}' for verb in ('pick', 'place on')
                    for name in (*things.COLOURS, *things.SHAPES)]
        return {one.instruction: one.task.tolist() for one in (
            source.play(index).episode for index in range(source.count))}

    def hand(self, **sizes: Any) -> HandNetwork:
        """An untrained hand for these demonstrations and this eye."""
        episode, pattern = self.source.play(0).episode, self.pattern
        wide = self.eye == 'wide'
        levels = (_WIDE,) if wide else tuple((side, side) for side in pattern.window)
        return make_hand(HandConfig(
            len(episode.joint_names), len(episode.task), len(episode.action_names), self.chunk,
            tuple(number for number, name in enumerate(episode.joint_names) if 'gripper' in name),
            levels, pattern.token_side, **sizes), self.scale,
            _wide_places() if wide else token_places(pattern))

    def batch(self, eyes: int, hand: HandNetwork, config: WatchConfig, seed: int,
              unseen: bool = False, mapper: Mapper = map, first: int = 0) -> WatchBatch:
        """Eyes in front of the demonstrations, at their rate."""
        config = replace(config, rate_hz=self.source.play(0).episode.rate_hz)
        kind = WideBatch if self.eye == 'wide' else WatchBatch
        if self.workspace and self.eye != 'wide':
            kind = require('gaze_robot_sim.physics.live').LiveBatch
        return kind(eyes, self.unseen if unseen else self.source, hand, self.scale, config,
                    self.pattern, seed, mapper, first)


