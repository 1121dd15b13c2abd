"""One picture to one decision of a policy that has a hand: where to look, and what to do.

The counterpart of `pipeline` for checkpoints of `gaze-robot train bcrl`; nodes run either.
"""

import math
from typing import Any

import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.config import GazeConfig
from gaze_robot.control.controller import Controller, ControllerConfig, Settling
from gaze_robot.control.pointing import PointedTarget
from gaze_robot.errors import CheckpointError, CommandError, ConfigError
from gaze_robot.explain import Explanation
from gaze_robot.foveation import Foveator
from gaze_robot.geometry import angle_between, direction_from_pan_tilt, optical_ray
from gaze_robot.hand_eye import HandEye, Intent, load_hand_eye, Looking
from gaze_robot.policy.ensembling import TemporalEnsemble
from gaze_robot.policy.glances import AttentionReader
from gaze_robot.policy.tasks import embedding_of
from gaze_robot.stages import Clock
from gaze_robot.types import (
    ActionChunk,
    Exemplar,
    FoveatedView,
    Frame,
    GazeResult,
    GazeTarget,
    PanTiltLimits,
    PanTiltState,
)

_GAP_S = 2.0
"""After so long without a glance, and where the clock goes back by half of that, what was seen and
begun is of the past."""
_SHORT_RAD = math.radians(2.0)
"""A head that stops so much short of the end of its reach has looked there."""


class HandPipeline:
    """Foveate, ask hand and eye, control the head; for one robot."""

    runtime = runtime_name = 'torch'
    """What computes."""

    remarks: tuple[str, ...] = ()
    """Of runtimes that are installed and cannot be used: none are tried."""

    def __init__(self, both: HandEye, limits: PanTiltLimits | None = None,
                 config: GazeConfig | None = None) -> None:
        """Take weights for itself alone.

        Raises:
            CheckpointError: a hand without an eye, or whose actions nobody can place.
            ConfigError: a task that the checkpoint does not know, or a setting that does not go
                with a hand.
        """
        self.config = GazeConfig() if config is None else config
        self.limits = PanTiltLimits() if limits is None else limits
        if both.eye is None:
            raise CheckpointError('this checkpoint has a hand but no eye; train one with '
                                  '`gaze-robot train bcrl`')
        if both.action_names != both.joint_names:
            raise CheckpointError('the actions of this hand are relative to the last action, '
                                  'which a robot does not report; train on demonstrations whose '
                                  'actions are of the joints')
        if self.config.eye != 'head':
            raise ConfigError('a policy with a hand turns a head: set eye to head')
        if self.config.debug_explain != 'off':
            raise ConfigError('debug_explain explains searches; set it to off for a policy with a '
                              'hand, whose attention is drawn anyway')
        self.both, self.pattern = both, both.pattern
        self.joint_names = both.joint_names
        """Joints whose positions `step` needs, in that order."""
        self._reach = self._within(both.meta.get('looked_within_rad'))
        least, greatest = (bound[0] for bound in self._reach)
        self._looking = Looking(both, (float(least) + _SHORT_RAD, float(greatest) - _SHORT_RAD))
        self._reader = AttentionReader(both.pattern)
        self._foveator: Foveator | None = None
        self._moving = Controller(self.limits, ControllerConfig(
            deadband_rad=self.config.deadband, pursuit_gain=0.0, suppress_above_rad_s=0.0))
        self._following = Controller(self.limits, ControllerConfig(
            deadband_rad=self.config.deadband))
        self._settling = Settling(self._moving.config)
        self._ensemble = TemporalEnsemble(1 / both.rate_hz)
        self._pointed = PointedTarget()
        self.task: np.ndarray | None = None
        """(G,) embedding of what to do; None: nothing yet."""
        self.reset()
        if self.config.task:
            self.prompt(self.config.task)

    @classmethod
    def from_checkpoint(cls, path: str = '', limits: PanTiltLimits | None = None,
                        config: GazeConfig | None = None) -> 'HandPipeline':
        """Load weights; they are small and run on the CPU.

        Raises:
            CheckpointError: see `load_hand_eye`.
            ConfigError: see `__init__`.
        """
        return cls(load_hand_eye(path), limits, config)

    @property
    def device(self) -> str:
        """Where the networks run."""
        return 'cpu'

    def check_change(self, config: GazeConfig) -> None:
        """Nothing to object to: this eye has no sources."""

    def adapt(self, config: GazeConfig) -> None:
        """Go by other settings of `LIVE_GAZE` from now on."""
        self.config = config

    def warm_up(self) -> None:
        """Run once on grey, so that the first real picture is not the slow one."""
        camera = CameraModel.from_hfov(64, 48, math.pi / 2)
        frame = Frame(np.full((48, 64, 3), 128, np.uint8), 0.0, camera)
        asked, self.task = self.task, np.zeros(self.both.hand.config.task, np.float32)
        self.step(frame, PanTiltState(0.0, 0.0), np.zeros(len(self.joint_names)))
        self.task = asked
        self.reset()

    def reset(self) -> None:
        """Forget past glances; the task stays."""
        self._looking.reset()
        self._moving.reset()
        self._following.reset()
        self._settling.reset()
        self._ensemble.reset()
        self._last_s: float | None = None

    def prompt(self, text: str) -> None:
        """Do this from now on; '' is nothing. Past glances are forgotten.

        Raises:
            CommandError: it cannot be told that, see `embedding_of`, and does nothing now: who
                says something else does not want what was asked before.
        """
        text, self.task = text.strip(), None
        self.reset()
        if not text:
            return
        try:
            self.task = embedding_of(text, self.both.meta.get('tasks', {}))
        except CommandError as error:
            raise CommandError(f'{error}; it does nothing until it is told') from error

    def look_for(self, exemplar: Exemplar | None) -> None:
        """Refuse: this policy is told what to do in words.

        Raises:
            CommandError: always, but for None.
        """
        if exemplar is not None:
            raise CommandError('a policy with a hand is told what to do, not shown it: publish '
                               'one of its tasks on ~/prompt, or set the parameter task')

    def look_at(self, direction: np.ndarray | None, stamp_s: float | None = None) -> None:
        """Look along a base-frame direction; None gives the policy its turn again.

        Raises:
            CommandError: see `PointedTarget.point`.
        """
        if direction is None:
            self._pointed.clear()
        else:
            self._pointed.point(direction, stamp_s)
        self._following.reset()

    def explain(self, view: FoveatedView, method: str = 'relevance') -> Explanation | None:
        """Nothing: the attention of the hand is in every result's heatmaps."""
        return None

    def step(self, frame: Frame, pose: PanTiltState, joints: np.ndarray | None = None
             ) -> GazeResult:
        """Decide where to look next and what to do.

        Args:
            frame: the newest picture.
            pose: of the head at the frame's stamp.
            joints: (J,) positions of `joint_names` at that stamp, in the units of the hand.

        Raises:
            CommandError: joints that are missing or not finite.
        """
        clock = Clock()
        dt_s = self._tick(frame.stamp_s)
        view = self._foveator_for(frame.camera)(frame.image)
        clock.lap('foveate')
        intent, chunk = None, None
        if self.task is not None:
            if joints is None:
                raise CommandError('this policy has a hand: its joints must be in joint_states: '
                                   f'{", ".join(self.joint_names)}')
            intent = self._looking.step(view.levels, joints,
                                        np.array([pose.pan_rad, pose.tilt_rad]), self.task)
            chunk = self._chunk(frame.stamp_s, joints, intent)
        self._last_s = frame.stamp_s
        clock.lap('decide')
        direction, controller = self._decide(frame.stamp_s, pose, intent)
        command, mode = controller.step(direction, pose, dt_s)
        if intent is None and not self._pointed:
            mode = 'idle'
        gaze = direction_from_pan_tilt(pose.pan_rad, pose.tilt_rad)
        settled = self._settling.step(
            None if mode == 'idle' else float(angle_between(gaze, direction)), dt_s)
        clock.lap('control')
        return GazeResult(
            frame.stamp_s, optical_ray(direction, pose.pan_rad, pose.tilt_rad), command, pose,
            mode, settled, self._target(pose, direction, intent), view,
            () if intent is None else self._reader.maps(intent.attention), (), clock.stages_ms,
            chunk)

    def _chunk(self, stamp_s: float, joints: np.ndarray, intent: Intent) -> ActionChunk:
        absolute = np.asarray(joints, float) + intent.actions
        if intent.waits:
            self._ensemble.reset()                  # nothing that was begun goes on meanwhile
        elif self.config.action_ensemble:
            absolute = self._ensemble.add(stamp_s, absolute)
        return ActionChunk(self.both.action_names, absolute, 1 / self.both.rate_hz)

    def _decide(self, stamp_s: float, pose: PanTiltState, intent: Intent | None
                ) -> tuple[np.ndarray, Controller]:
        """Where to look next, base frame, and who moves the head there."""
        if self._pointed:
            return self._pointed.at(stamp_s), self._following
        turn = np.zeros(2) if intent is None else intent.move_rad
        pan, tilt = np.clip(np.array([pose.pan_rad, pose.tilt_rad]) + turn, *self._reach)
        return direction_from_pan_tilt(pan, tilt), self._moving

    def _within(self, trained: Any) -> tuple[np.ndarray, np.ndarray]:
        """Least and greatest (pan, tilt) that the eye may choose: where the head can look and the
        eye has learned to.

        Raises:
            CheckpointError: `trained` is given and is not [least, greatest].
        """
        least, greatest = (np.array(bound, float) for bound in (
            self.limits.min_position, self.limits.max_position))
        if trained is None:
            return least, greatest
        try:
            rows = np.asarray(trained, float)
        except (TypeError, ValueError):
            rows = np.empty(0)
        if rows.shape != (2, 2) or not np.isfinite(rows).all() or not (rows[0] < rows[1]).all():
            raise CheckpointError('looked_within_rad of the checkpoint is [[pan, tilt] at least, '
                                  f'[pan, tilt] at most], got {trained}')
        least, greatest = np.clip(rows, least, greatest)
        if not (least < greatest).all():
            raise CheckpointError(f'this eye has learned to look within {rows.tolist()} rad (pan '
                                  'and tilt), where this head cannot look; see its limits')
        return least, greatest

    def _target(self, pose: PanTiltState, direction: np.ndarray, intent: Intent | None
                ) -> GazeTarget | None:
        """The place named by somebody, or where most of the hand's attention is."""
        if self._pointed:
            return GazeTarget(direction, 1.0, True, 'look_at')
        if intent is None:
            return None
        where, share = self._reader.peak(intent.attention[None])
        return GazeTarget(direction_from_pan_tilt(pose.pan_rad + where[0, 0],
                                                  pose.tilt_rad + where[0, 1]),
                          float(min(share[0], 1.0)), True, 'hand')

    def _tick(self, stamp_s: float) -> float:
        """Seconds since the previous glance; after a gap, or a clock that jumps back, all begins
        anew: the arm may be elsewhere.
        """
        if self._last_s is not None and not (
                self._last_s - _GAP_S / 2 <= stamp_s <= self._last_s + _GAP_S):
            self.reset()
        return 0.0 if self._last_s is None else max(0.0, stamp_s - self._last_s)

    def _foveator_for(self, camera: CameraModel) -> Foveator:
        if self._foveator is None or self._foveator.camera != camera:
            self._foveator = Foveator(self.pattern, camera)
        return self._foveator
