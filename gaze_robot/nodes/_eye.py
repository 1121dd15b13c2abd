"""The eye in the worker thread: pictures to decisions, with everything ROS left outside."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
import math
import time
from typing import Any, Protocol

import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.config import GazeConfig
from gaze_robot.draw import Box, eye_picture
from gaze_robot.errors import CommandError, GazeRobotError, ImageError
from gaze_robot.exemplars import distinctive_patch, exemplar_from_picture, load_exemplar_picture
from gaze_robot.foveation import FoveationPattern, Foveator
from gaze_robot.geometry import direction_from_pan_tilt, optical_ray
from gaze_robot.head_geometry import rotation_about
from gaze_robot.levelling import turned_level
from gaze_robot.nodes._intake import choose_lens, Lens
from gaze_robot.types import Exemplar, FoveatedView, Frame, GazeResult, PanTiltState

INFO_PATIENCE_S = 1.0


class Reasons(Protocol):
    """What the eye needs of `gaze_robot.explain.Explanation`."""

    def beside(self, picture: np.ndarray) -> np.ndarray:
        """Draw them on the right of a debug picture."""


class Pipeline(Protocol):
    """What the eye needs of `GazePipeline` and `HandPipeline`."""

    pattern: FoveationPattern

    def look_for(self, exemplar: Exemplar | None) -> None:
        """Search for this; None stops searching."""

    def look_at(self, direction: np.ndarray | None, stamp_s: float | None = None) -> None:
        """Look along this base-frame direction; None gives the estimators their turn again."""

    def prompt(self, text: str) -> None:
        """Do what these words say."""

    def step(self, frame: Frame, pose: PanTiltState, joints: np.ndarray | None = None
             ) -> GazeResult:
        """One picture to one decision."""

    def reset(self) -> None:
        """Forget past glances."""

    def check_change(self, config: GazeConfig) -> None:
        """Raise ConfigError if `adapt` could not; any thread may ask."""

    def adapt(self, config: GazeConfig) -> None:
        """Go by other settings from now on."""

    def explain(self, view: FoveatedView, method: str) -> Reasons | None:
        """Where in a view the search's best place comes from; None while nothing is looked for."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture that waits for the eye, not yet decoded."""

    stamp_s: float
    pose: PanTiltState
    """The camera's own pan and tilt at `stamp_s`."""

    decode: Callable[[], np.ndarray]
    """Returns (h, w, 3) uint8 RGB or raises ImageError."""

    reason: str
    """What to count it under if it cannot be decoded."""

    lens: Callable[[int, int], CameraModel] | None
    """From camera_info, or None without one; see `choose_lens`."""

    header: Any
    """Goes through untouched."""

    draw: bool = False
    """Whether to make the debug picture."""

    roll_rad: float = 0.0
    """How the camera is turned about its axis then, clockwise as it sees it."""

    joints: np.ndarray | None = None
    """(J,) of the hand at `stamp_s`, if the policy has one and they are known."""

    posted_s: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True, eq=False)
class Glance:
    """One picture, looked at."""

    picture: Picture
    frame: Frame
    """Turned level, if the camera was not."""

    result: GazeResult
    boxes: tuple[Box, ...]
    """The levels' squares in camera pixels, sharpest first."""

    remarks: tuple[str, ...]
    """What the user should know of the lens or of the exemplar."""

    stages_ms: dict[str, float]
    debug: np.ndarray | None = None
    lens: str = ''
    """Why its lens is a guess; '' when it is not."""

    @property
    def confidence(self) -> float | None:
        """Of the winning target; None without one."""
        return None if self.result.target is None else self.result.target.confidence


@dataclass(frozen=True)
class Refusal:
    """One picture that could not be looked at."""

    reason: str
    text: str
    """What to tell the user, or '' for nothing."""


class Eye:
    """Owns the pipeline; every method runs in the worker thread."""

    def __init__(self, pipeline: Pipeline, config: GazeConfig, now_s: Callable[[], float]
                 ) -> None:
        """Take over a pipeline; `now_s` tells the time on the clock of the stamps."""
        self.pipeline = pipeline
        self.config = config
        self._now_s = now_s
        self._hfov_rad = math.radians(config.hfov_deg)
        self._wanted: Callable[[Frame], Exemplar] | None = None
        self._refused = ''
        self._foveator: Foveator | None = None
        self._first_s: float | None = None
        if config.exemplar == 'auto':
            self._wanted = self._distinctive
        elif config.exemplar:
            self.look_for_picture(load_exemplar_picture(config.exemplar))

    def adapt(self, config: GazeConfig) -> None:
        """Go by other settings of `LIVE_GAZE` from now on."""
        self.config = config
        self.pipeline.adapt(config)

    def look_for_picture(self, image: np.ndarray) -> None:
        """Search for what this (h, w, 3) uint8 RGB picture shows, from the next frame on."""
        self._wanted = lambda frame: exemplar_from_picture(image, frame.camera,
                                                           self.config.exemplar_width_deg)

    def prompt(self, text: str) -> None:
        """Do what these words say; the next glance has a remark if that cannot be."""
        try:
            self.pipeline.prompt(text)
        except CommandError as error:
            self._refused = f'~/prompt: {error}'

    def look(self, picture: Picture) -> Glance | Refusal:
        """Decode, step, and draw if asked; a picture that waited too long is refused."""
        if self._now_s() - picture.stamp_s > self.config.max_image_age:
            return Refusal('stale', '')
        start = time.perf_counter()
        try:
            image = picture.decode()
        except ImageError as error:
            return Refusal(picture.reason, str(error))
        try:
            lens = choose_lens(image.shape[1], image.shape[0], self._hfov_rad, picture.lens)
            return self._step(picture, image, lens, start)
        except GazeRobotError as error:
            return Refusal('refused by the eye', str(error))

    def _step(self, picture: Picture, image: np.ndarray, lens: Lens, start: float) -> Glance:
        image = turned_level(image, lens.camera, picture.roll_rad)
        frame = Frame(image, picture.stamp_s, lens.camera)
        lens_remark = self._lens_remark(picture, lens)
        remarks = (lens_remark, self._begin_search(frame), self._refused)
        self._refused = ''
        decoded = time.perf_counter()
        result = self.pipeline.step(frame, picture.pose, picture.joints)
        boxes = self._boxes(frame.camera, result)
        stages = {'wait': (start - picture.posted_s) * 1e3, 'decode': (decoded - start) * 1e3,
                  **result.stages_ms}
        debug = None
        if picture.draw:
            drawing = time.perf_counter()
            debug = self._draw(frame, result, boxes)
            stages['draw'] = (time.perf_counter() - drawing) * 1e3
        if picture.roll_rad:
            result = replace(result, fixation=rotation_about('z', -picture.roll_rad)
                             @ result.fixation)
        return Glance(picture, frame, result, boxes, tuple(filter(None, remarks)), stages, debug,
                      lens_remark)

    def _draw(self, frame: Frame, result: GazeResult, boxes: tuple[Box, ...]) -> np.ndarray:
        """The debug picture, with its reasons if they are asked for."""
        picture = draw_glance(frame, result, boxes, self.config)
        if self.config.debug_explain == 'off':
            return picture
        explanation = self.pipeline.explain(result.view, self.config.debug_explain)
        return picture if explanation is None else explanation.beside(picture)

    def _lens_remark(self, picture: Picture, lens: Lens) -> str:
        """What to say of the lens; a camera_info may come a little after the first picture."""
        if self._first_s is None:
            self._first_s = picture.stamp_s
        waiting = picture.lens is None and picture.stamp_s - self._first_s < INFO_PATIENCE_S
        return '' if waiting else lens.remark

    def _begin_search(self, frame: Frame) -> str:
        """Start looking for a new exemplar; returns what is wrong with it, or ''."""
        if self._wanted is None:
            return ''
        try:
            self.pipeline.look_for(self._wanted(frame))
        except (ImageError, CommandError) as error:
            if self._wanted != self._distinctive:       # the next frame may have something
                self._wanted = None
            return f'cannot look for this: {error}'
        self._wanted = None
        return ''

    def _boxes(self, camera: CameraModel, result: GazeResult) -> tuple[Box, ...]:
        if self._foveator is None or self._foveator.camera != camera:
            self._foveator = Foveator(self.pipeline.pattern, camera)
        centre = None
        if self.config.eye == 'picture':
            looking = direction_from_pan_tilt(result.pose.pan_rad, result.pose.tilt_rad)
            centre = target_pixel(camera, looking, PanTiltState(0.0, 0.0))
        return tuple(self._foveator.box_px(level, centre)
                     for level in range(self.pipeline.pattern.levels))

    @staticmethod
    def _distinctive(frame: Frame) -> Exemplar:
        patch, _ = distinctive_patch(frame.image)
        return exemplar_from_picture(patch, frame.camera)


def camera_pose(result: GazeResult, config: GazeConfig) -> PanTiltState:
    """Where the camera itself looks: the head's pose, or straight ahead for an electronic eye."""
    return result.pose if config.eye == 'head' else PanTiltState(0.0, 0.0, stamp_s=result.stamp_s)


def target_pixel(camera: CameraModel, direction: np.ndarray, pose: PanTiltState
                 ) -> tuple[float, float] | None:
    """(u, v) of a base-frame direction in the picture of a camera at `pose`; None if outside."""
    pixel, visible = camera.project(optical_ray(direction, pose.pan_rad, pose.tilt_rad))
    return (float(pixel[0]), float(pixel[1])) if visible else None


def draw_glance(frame: Frame, result: GazeResult, boxes: tuple[Box, ...], config: GazeConfig,
                width: int = 0) -> np.ndarray:
    """The debug picture of one glance, (h, w, 3) uint8 RGB."""
    target, text = None, result.mode
    if result.target is not None:
        target = target_pixel(frame.camera, result.target.direction, camera_pose(result, config))
        found_by = result.target.source
        text += f'  {found_by}' * (found_by != 'search')
        text += f'  confidence {result.target.confidence:.2f}'
    return eye_picture(frame.image, boxes, result.heatmaps, target,
                       text + ('  on target' if result.on_target else ''), width)
