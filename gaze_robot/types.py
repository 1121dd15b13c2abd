"""What crosses module boundaries: small frozen records that check themselves."""

from dataclasses import dataclass, field
import math

import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.errors import CommandError, ImageError


@dataclass(frozen=True, eq=False)
class Frame:
    """One camera picture."""

    image: np.ndarray
    """(height, width, 3) uint8, RGB."""

    stamp_s: float
    """Capture time, seconds, on the clock of the joint states."""

    camera: CameraModel
    """The lens at this picture's resolution."""

    def __post_init__(self) -> None:
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ImageError('a frame is (height, width, 3) uint8, got '
                             f'{self.image.shape} {self.image.dtype}')
        if self.image.size == 0:
            raise ImageError(f'the picture is empty: {self.image.shape}')
        if self.image.shape[:2] != (self.camera.height, self.camera.width):
            raise ImageError(f'the picture is {self.image.shape[1]}x{self.image.shape[0]} and its '
                             f'camera model {self.camera.width}x{self.camera.height}')


@dataclass(frozen=True)
class PanTiltState:
    """Measured head pose."""

    pan_rad: float
    tilt_rad: float
    pan_rad_s: float = 0.0
    tilt_rad_s: float = 0.0
    stamp_s: float = 0.0


@dataclass(frozen=True)
class PanTiltCommand:
    """Goal pose, base frame, with the speed the head should have when it passes there."""

    pan_rad: float
    tilt_rad: float
    pan_rad_s: float = 0.0
    tilt_rad_s: float = 0.0

    def __post_init__(self) -> None:
        values = (self.pan_rad, self.tilt_rad, self.pan_rad_s, self.tilt_rad_s)
        if not all(math.isfinite(value) for value in values):
            raise CommandError(f'a pan-tilt command must be finite, got {values}')


@dataclass(frozen=True)
class PanTiltLimits:
    """What a head can do; one number per axis, (pan, tilt)."""

    min_position: tuple[float, float] = (-3.14, -1.05)
    max_position: tuple[float, float] = (3.14, 1.05)
    max_velocity: tuple[float, float] = (3.14, 3.14)
    max_acceleration: tuple[float, float] = (30.0, 30.0)
    max_jerk: tuple[float, float] = (1500.0, 1500.0)
    """For heads that are given setpoints; others decide on their own how smoothly they start."""

    def __post_init__(self) -> None:
        rows = (self.min_position, self.max_position, self.max_velocity, self.max_acceleration,
                self.max_jerk)
        if not all(len(row) == 2 and all(math.isfinite(v) for v in row) for row in rows):
            raise CommandError(f'limits are finite pairs (pan, tilt), got {self}')
        if any(low >= high for low, high in zip(self.min_position, self.max_position)):
            raise CommandError(f'min_position must be below max_position, got {self}')
        if any(value <= 0 for row in rows[2:] for value in row):
            raise CommandError('max_velocity, max_acceleration and max_jerk must be positive, got '
                               f'{self}')

    def clip(self, command: PanTiltCommand) -> PanTiltCommand:
        """The nearest command inside the limits; at a limit, no speed that leads out of it."""
        goal, speed = [], []
        for axis, (position, velocity) in enumerate((
                (command.pan_rad, command.pan_rad_s), (command.tilt_rad, command.tilt_rad_s))):
            low, high = self.min_position[axis], self.max_position[axis]
            fastest = self.max_velocity[axis]
            goal.append(min(max(position, low), high))
            speed.append(min(max(velocity, -fastest if position > low else 0.0),
                             fastest if position < high else 0.0))
        return PanTiltCommand(*goal, *speed)


@dataclass(frozen=True, eq=False)
class FoveatedView:
    """What the eye samples from one picture at one fixation."""

    levels: tuple[np.ndarray, ...]
    """One (window, window, 3) uint8 RGB array per level, sharpest first."""

    valid: tuple[np.ndarray, ...]
    """One (window, window) bool array per level: False outside the picture."""


@dataclass(frozen=True, eq=False)
class Exemplar:
    """A picture of what to look for."""

    image: np.ndarray
    """(height, width, 3) uint8, RGB."""

    width_rad: float
    """Horizontal angle the thing covers when seen from the robot."""

    def __post_init__(self) -> None:
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ImageError('an exemplar is (height, width, 3) uint8, got '
                             f'{self.image.shape} {self.image.dtype}')
        if min(self.image.shape[:2]) < 4:
            raise ImageError(f'an exemplar of {self.image.shape[1]}x{self.image.shape[0]} pixels '
                             'shows nothing; give at least 4x4')
        if not 0 < self.width_rad < math.pi / 2:
            raise ImageError('an exemplar covers between 0 and 90 degrees, got '
                             f'{math.degrees(self.width_rad):.1f}')


@dataclass(frozen=True, eq=False)
class GazeTarget:
    """One candidate for where to look, judged from one frame."""

    direction: np.ndarray
    """(3,) unit vector, base frame."""

    confidence: float
    """Probability in [0, 1] that this is the target."""

    in_view: bool
    """Whether it was seen in this frame (False: remembered)."""

    source: str = 'search'

    id: int = 0
    """Of the person whose gaze it is, from 1; 0: nobody's."""

    head_box: tuple[float, float, float, float] | None = None
    """(x_min, y_min, x_max, y_max) of that person's head, shares of the picture."""

    in_frame: float | None = None
    """Probability of its being inside the picture, where that is judged."""

    object_box: tuple[float, float, float, float] | None = None
    """Of the thing that it is, where that is known; shares of the picture."""

    def __post_init__(self) -> None:
        if self.direction.shape != (3,) or not np.all(np.isfinite(self.direction)):
            raise ValueError(f'direction must be 3 finite numbers, got {self.direction}')
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f'confidence is a probability, got {self.confidence}')


@dataclass(frozen=True, eq=False)
class ActionChunk:
    """What a hand is to do next."""

    names: tuple[str, ...]
    """Joints."""

    positions: np.ndarray
    """(K, A) float64, absolute: where each joint should be; row k at (k + 1) * `period_s` after
    the stamp of the picture."""

    period_s: float

    def __post_init__(self) -> None:
        if self.positions.ndim != 2 or self.positions.shape[1] != len(self.names):
            raise ValueError(f'positions are (K, {len(self.names)}), got {self.positions.shape}')
        if not np.all(np.isfinite(self.positions)):
            raise CommandError('an action chunk must be finite')


@dataclass(frozen=True, eq=False)
class GazeResult:
    """Everything one frame led to."""

    stamp_s: float
    """The frame's stamp."""

    fixation: np.ndarray
    """(3,) unit ray to fixate next, optical frame of that frame's pose."""

    command: PanTiltCommand
    """The same as a head goal, base frame."""

    pose: PanTiltState
    """Head pose at the frame's stamp."""

    mode: str
    """idle, search, saccade, pursue or hold."""

    on_target: bool
    target: GazeTarget | None
    """The winning target; None when nothing is looked for or found."""

    view: FoveatedView
    heatmaps: tuple[np.ndarray, ...] = ()
    """One (cells, cells) float32 priority map per level, in search a probability; empty when idle.
    """

    candidates: tuple[GazeTarget, ...] = ()
    """Other places that sources besides search propose."""

    stages_ms: dict[str, float] = field(default_factory=dict)
    """Milliseconds per stage."""

    actions: ActionChunk | None = None
    """What the hand is to do, of policies that have one."""

    people: tuple[GazeTarget, ...] = ()
    """What each person looks at, where that is judged: the winner's too."""
