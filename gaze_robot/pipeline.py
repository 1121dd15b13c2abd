"""One picture to one decision: what runs on the robot, and nothing else does."""

from collections.abc import Mapping
import math

import numpy as np
import torch

from gaze_robot.camera import CameraModel
from gaze_robot.checkpoint import load_policy, Policy
from gaze_robot.config import GazeConfig
from gaze_robot.control.controller import Controller, ControllerConfig, Settling
from gaze_robot.control.pointing import PointedTarget
from gaze_robot.control.pursuit import pursue
from gaze_robot.electronic_eye import moved, picture_limits
from gaze_robot.errors import CheckpointError, CommandError, ConfigError
from gaze_robot.explain import best_place, explain, Explanation, watching
from gaze_robot.foveation import Foveator
from gaze_robot.gaze_target import priority
from gaze_robot.geometry import direction_from_pan_tilt, optical_ray
from gaze_robot.people.source import make_people_source, PeopleSight, PeopleSource
from gaze_robot.perception import Perception, valid_cells
from gaze_robot.policy.actions import move
from gaze_robot.policy.observation import Observer, Peak
from gaze_robot.runtime import TorchRuntime
from gaze_robot.runtime.choose import Choice, choose
from gaze_robot.runtime.exported import read_export
from gaze_robot.stages import Clock
from gaze_robot.types import (
    Exemplar,
    FoveatedView,
    Frame,
    GazeResult,
    GazeTarget,
    PanTiltCommand,
    PanTiltLimits,
    PanTiltState,
)

_EYE = np.zeros(1, int)
_STRAIGHT = PanTiltState(0.0, 0.0)


class GazePipeline:
    """Foveate, encode, estimate, decide, for one eye.

    With `config.eye == 'picture'` the camera stands still and an electronic eye moves inside its
    picture: the pose given to `step` is then ignored, and `GazeResult.pose` is the eye's own.
    """

    def __init__(self, policy: Policy, limits: PanTiltLimits | None = None,
                 config: GazeConfig | None = None, runtime: Choice | None = None) -> None:
        """Take weights for itself alone, as it sets them up; `runtime` is torch if None."""
        if policy.eye is None:
            raise CheckpointError('this checkpoint has an encoder but no eye; finish '
                                  '`gaze-robot train search`, or choose another')
        self.config = GazeConfig() if config is None else config
        self.limits = PanTiltLimits() if limits is None else limits
        self.pattern = policy.perception.pattern
        self.policy, self._eye = policy, policy.eye
        self.runtime = Choice(TorchRuntime(policy.perception)) if runtime is None else runtime
        policy.perception.keep_tokens(self.config.model_keep)
        policy.perception.use_sources(priority.computed(self.config))
        self.people: PeopleSource | None = None
        if self.config.sources_people > 0 and self.config.people_model:
            self.people = make_people_source(self.config.people_model, self.config.people_heads)
        self._priority = priority.Priority(self.pattern, priority.source_weights(self.config))
        if self.config.debug_explain != 'off':
            with watching(policy.perception.encoder):      # refuses now what it cannot explain
                pass
        self._perception = Perception(policy.perception, runtime=self.runtime.runtime)
        self._foveator: Foveator | None = None
        self._eye_limits = self.limits
        self._searching = Controller(self.limits, ControllerConfig(
            deadband_rad=self.config.deadband, pursuit_gain=0.0, suppress_above_rad_s=0.0))
        self._following = Controller(self.limits, ControllerConfig(
            deadband_rad=self.config.deadband))
        self._settling = Settling(self._searching.config)
        self._exemplar: Exemplar | None = None
        self._pointed = PointedTarget()
        self._inside = _STRAIGHT
        self.reset()

    @classmethod
    def from_checkpoint(cls, path: str = '', limits: PanTiltLimits | None = None,
                        config: GazeConfig | None = None) -> 'GazePipeline':
        """Load weights ('' is what ships) onto `config.model_device`, for `config.model_runtime`.

        Raises:
            CheckpointError: see `load_policy` and `read_export`.
            ConfigError: cuda, a runtime or a source is asked for and not there.
        """
        config = GazeConfig() if config is None else config
        wanted = config.model_device
        if wanted == 'cuda' and not torch.cuda.is_available():
            raise ConfigError('model.device is cuda and torch sees no GPU; use auto or cpu')
        device = 'cuda' if wanted != 'cpu' and torch.cuda.is_available() else 'cpu'
        policy = load_policy(path, device)
        policy.perception.keep_tokens(config.model_keep)
        policy.perception.use_sources(priority.computed(config))
        return cls(policy, limits, config, choose(
            policy.perception, config.model_runtime, read_export(path, policy), batch=1))

    @property
    def device(self) -> str:
        """Where the network runs: 'cpu', 'cuda'."""
        return str(self._perception.device)

    @property
    def runtime_name(self) -> str:
        """What computes: 'torch', 'onnxruntime', 'openvino'."""
        return self.runtime.runtime.name

    @property
    def remarks(self) -> tuple[str, ...]:
        """Runtimes that are installed and cannot be used."""
        return self.runtime.remarks

    joint_names: tuple[str, ...] = ()
    """Joints of a hand whose positions `step` needs: none."""

    def prompt(self, text: str) -> None:
        """Refuse: these weights take pictures of what to look for.

        Raises:
            CommandError: always, but for ''.
        """
        if text.strip():
            raise CommandError('these weights have no text encoder: show a picture of the thing '
                               'on ~/exemplar instead')

    def check_change(self, config: GazeConfig) -> None:
        """Raise ConfigError if `adapt` could not: a source off since the start cannot be fed."""
        fed = {*self.policy.perception.sources, *(['people'] if self.people is not None else [])}
        missing = priority.source_weights(config).keys() - fed
        if missing:
            names = ' and '.join(f'sources.{name}' for name in sorted(missing))
            raise ConfigError(f'{names} cannot be turned on while the eye runs: deactivate and '
                              'clean up the node first, or start with it above 0')

    def adapt(self, config: GazeConfig) -> None:
        """Go by other settings of `LIVE_GAZE` from now on; those of `check_change` alone."""
        weights = priority.source_weights(config)
        if weights != priority.source_weights(self.config):
            self._priority = priority.Priority(self.pattern, weights)
        self.config = config

    def warm_up(self) -> None:
        """Run once on grey, so that the first real picture is not the slow one."""
        camera = CameraModel.from_hfov(64, 48, math.pi / 2)
        self._step(Frame(np.full((48, 64, 3), 128, np.uint8), 0.0, camera), _STRAIGHT)
        self.reset()

    def reset(self) -> None:
        """Forget past glances; the exemplar stays."""
        self._observer = Observer(1, self.pattern, self._eye_limits)
        self._searching.reset()
        self._following.reset()
        self._settling.reset()
        self._priority.reset()
        if self.people is not None:
            self.people.reset()
        self._started_s: float | None = None
        self._last_s: float | None = None
        self._sure_s: float | None = None                    # when the target was last recognised

    def look_for(self, exemplar: Exemplar | None) -> None:
        """Search for what this shows; None stops searching. Past glances are forgotten."""
        self._exemplar = exemplar
        self._perception.look_for({0: exemplar})
        self.reset()

    def look_at(self, direction: np.ndarray | None, stamp_s: float | None = None) -> None:
        """Look along a base-frame direction; None gives the estimators their turn again.

        Args:
            direction: (3,), of any length but zero.
            stamp_s: when the target was there; a target pointed out again and again is pursued.

        Raises:
            CommandError: see `PointedTarget.point`.
        """
        if direction is None:
            self._pointed.clear()
            self._following.reset()
        else:
            if not self._pointed:
                self._following.reset()
            self._pointed.point(direction, stamp_s)
        self._priority.reset()

    def step(self, frame: Frame, pose: PanTiltState, joints: np.ndarray | None = None
             ) -> GazeResult:
        """Decide where to look next.

        Args:
            frame: the newest picture.
            pose: of the head at the frame's stamp.
            joints: of a hand, which this eye has not.
        """
        with torch.inference_mode():
            return self._step(frame, pose)

    def explain(self, view: FoveatedView, method: str = 'relevance') -> Explanation | None:
        """Share of each token of a view in the best place for what is looked for.

        One more pass through the network, in torch; None while nothing is looked for.

        Raises:
            ConfigError: see `explain.explain`.
        """
        if not self._searches:
            return None
        inputs = self._perception.inputs([level[None] for level in view.levels],
                                         valid_cells(view.valid)[None], _EYE)
        network = self.policy.perception
        shares = explain(network, inputs, best_place('search'), method)[0]
        return Explanation(network.front_end, view.levels, shares)

    def _step(self, frame: Frame, pose: PanTiltState) -> GazeResult:
        clock = Clock()
        dt_s = self._tick(frame.stamp_s)
        foveator = self._foveator_for(frame.camera)
        fixation_px = None
        if self.config.eye == 'picture':
            pose = self._inside
            pixel, _ = frame.camera.project(
                optical_ray(direction_from_pan_tilt(pose.pan_rad, pose.tilt_rad), 0.0, 0.0))
            fixation_px = (float(pixel[0]), float(pixel[1]))
        view = foveator(frame.image, fixation_px)
        clock.lap('foveate')
        valid = valid_cells(view.valid)[None]
        percept = self._perception([level[None] for level in view.levels], valid, _EYE)
        clock.lap('perceive')
        where = np.array([[pose.pan_rad, pose.tilt_rad]])
        speed = np.array([[pose.pan_rad_s, pose.tilt_rad_s]])
        now = np.array([frame.stamp_s - (self._started_s or 0.0)])
        vector, peak = self._observer.observe(percept, valid, where, speed, now, _EYE)
        sight = self._watch_people(frame, pose, clock)
        maps = self._priority.maps(percept, None if sight is None else sight.company, pose)
        found = self._search_target(peak, pose) if self._searches else None
        fixation, heat = None, self._priority.combine(maps) if maps else percept.heat[0]
        if self._explores(maps, valid[0], pose, found, frame.stamp_s):
            fixation, heat = self._priority.step(maps, valid[0], pose, self._eye_limits,
                                                 frame.stamp_s)
        if maps and self._searches:
            heat = self._priority.with_search(heat, percept.heat[0], self.config.sources_search)
        target = self._target(found, fixation)
        if target is not None:
            self._sure_s = frame.stamp_s
        on_target = self._settling.step(error := priority.error_rad(target, pose), dt_s)
        others = self._priority.candidates(maps, valid[0], pose, self.config.confidence_threshold,
                                           target)
        direction, controller = self._decide(percept.tokens, vector, where, pose, fixation)
        clock.lap('decide')
        watching = None if controller is self._following else self._following
        direction, command, mode = pursue(watching, target, error, pose, dt_s) or (
            direction, *controller.step(direction, pose, dt_s))
        if self.config.eye == 'picture':
            self._inside = moved(pose, np.array([command.pan_rad, command.tilt_rad]), frame.camera,
                                 self._eye_limits, dt_s, frame.stamp_s)
        clock.lap('control')
        return self._result(frame, pose, command, mode, direction, target, on_target, view, heat,
                            others, sight, clock.stages_ms)

    def _decide(self, tokens: np.ndarray, vector: np.ndarray, where: np.ndarray,
                pose: PanTiltState, fixation: priority.Fixation | None
                ) -> tuple[np.ndarray, Controller]:
        """Where to look next, base frame, and who moves the head there."""
        if self._pointed:
            return self._pointed.at(self._last_s or 0.0), self._following
        if fixation is not None:
            return fixation.direction, self._searching
        if not self._searches:
            return direction_from_pan_tilt(pose.pan_rad, pose.tilt_rad), self._searching
        if self._lost:
            away = self.config.on_target_lost == 'home'
            return direction_from_pan_tilt(*(0.0, 0.0) if away else where[0]), self._searching
        device = self._perception.device
        action = self._eye.act(torch.from_numpy(tokens).to(device),
                               torch.from_numpy(vector).to(device)).cpu().numpy()
        pan, tilt = np.clip(where[0] + move(action, self._eye.discrete)[0],
                            self._eye_limits.min_position, self._eye_limits.max_position)
        return direction_from_pan_tilt(pan, tilt), self._searching

    @property
    def _searches(self) -> bool:
        """Something is looked for, and the search source is on."""
        return self._exemplar is not None and self.config.sources_search > 0

    def _explores(self, maps: Mapping[str, np.ndarray], valid: np.ndarray, pose: PanTiltState,
                  found: GazeTarget | None, now_s: float) -> bool:
        """Whether sources other than search have the eye."""
        if not self._priority.weights or self._pointed:
            return False
        if found is None:
            return True
        return self._priority.outbid(maps, valid, pose, self._eye_limits, (
            self.config.sources_search, found.confidence), now_s)

    def _watch_people(self, frame: Frame, pose: PanTiltState, clock: Clock) -> PeopleSight | None:
        """What people look at; None: not asked for."""
        if self.people is None:
            return None
        return self.people(frame, pose if self.config.eye == 'head' else _STRAIGHT, clock)

    @property
    def _lost(self) -> bool:
        """A target found before is gone for longer than `target_timeout`, not to be searched."""
        return (self.config.on_target_lost != 'search' and self._sure_s is not None
                and self._last_s is not None
                and self._last_s - self._sure_s > self.config.target_timeout)

    def _search_target(self, peak: Peak, pose: PanTiltState) -> GazeTarget:
        """The best place of the search, however unsure."""
        place = self._observer.memory.candidates(_EYE, 1)[0]
        return priority.search_target(peak.nearby[0], peak.offset_rad[0], (
            float(place.pan_rad[0]), float(place.tilt_rad[0]), float(place.score[0])), pose)

    def _target(self, found: GazeTarget | None, fixation: priority.Fixation | None
                ) -> GazeTarget | None:
        """What the winning source proposes; None where it is too unsure."""
        if self._pointed:
            return GazeTarget(self._pointed.at(self._last_s or 0.0), 1.0, True, 'look_at')
        target = found if fixation is None else self._priority.target(fixation)
        if target is None:
            return None
        sure = target.source == 'salience' or (              # which is no probability
            target.confidence >= self.config.confidence_threshold)
        return target if sure else None

    def _result(self, frame: Frame, pose: PanTiltState, command: PanTiltCommand, mode: str,
                direction: np.ndarray, target: GazeTarget | None, on_target: bool,
                view: FoveatedView, heat: np.ndarray, others: list[GazeTarget],
                sight: PeopleSight | None, stages_ms: dict[str, float]) -> GazeResult:
        if not self._pointed and not self._searches and not self._priority.weights:
            mode = 'idle'
        elif target is None:
            mode = 'search'
        camera_pose = pose if self.config.eye == 'head' else _STRAIGHT
        return GazeResult(
            frame.stamp_s, optical_ray(direction, camera_pose.pan_rad, camera_pose.tilt_rad),
            command, pose, mode, on_target, target, view,
            tuple(heat) if self._searches or self._priority.weights else (), tuple(others),
            stages_ms,
            people=() if sight is None else tuple(
                gazed.target for gazed in sight.company if gazed.target.id))

    def _tick(self, stamp_s: float) -> float:
        """Seconds since the previous frame; a clock that jumps back starts the search anew."""
        if self._last_s is not None and stamp_s < self._last_s - 1.0:
            self.reset()
        if self._started_s is None:
            self._started_s = stamp_s
        dt_s = 0.0 if self._last_s is None else max(0.0, stamp_s - self._last_s)
        self._last_s = stamp_s
        return dt_s

    def _foveator_for(self, camera: CameraModel) -> Foveator:
        if self._foveator is None or self._foveator.camera != camera:
            self._foveator = Foveator(self.pattern, camera)
            if self.config.eye == 'picture':
                self._eye_limits = picture_limits(camera, self.limits)
                self._observer.limits = self._eye_limits
                self._inside = _STRAIGHT
        return self._foveator
