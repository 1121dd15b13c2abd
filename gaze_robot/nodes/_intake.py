"""Which pictures are worth a look, through which lens they were taken, and what to say else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import math

import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.config import GazeConfig
from gaze_robot.errors import CameraModelError, CommandError
from gaze_robot.head_geometry import HeadGeometry
from gaze_robot.types import PanTiltState

STARVED_AFTER_S = 5.0
STARVED_AGAIN_S = 30.0
FLOATING = ('32FC1', '64FC1')


class Throttle:
    """Lets at most `rate_hz` events per second through.

    What comes late may catch up, three events at once at most: a camera at exactly this rate
    jitters, and all its pictures must pass.
    """

    def __init__(self, rate_hz: float) -> None:
        self._period_s = 1.0 / rate_hz
        self._due_s = -math.inf

    def allows(self, now_s: float) -> bool:
        """Whether the event at `now_s` may pass."""
        if self._due_s - 2 * self._period_s <= now_s < self._due_s:
            return False                    # further back, the clock was set back
        self._due_s = max(self._due_s + self._period_s, now_s - 2 * self._period_s)
        return True

    def reset(self) -> None:
        """Let the next event pass."""
        self._due_s = -math.inf


class Intake:
    """Refuses pictures that are too old, out of order, or faster than they can be used."""

    def __init__(self, max_age_s: float, rate_hz: float) -> None:
        self.max_age_s = max_age_s
        self._newest_s = -math.inf
        self._throttle = Throttle(rate_hz)

    def adapt(self, max_age_s: float, rate_hz: float) -> None:
        """Other limits from now on; what was the newest picture stays it."""
        self.max_age_s, self._throttle = max_age_s, Throttle(rate_hz)

    def refuse(self, stamp_s: float, now_s: float) -> str | None:
        """Why a picture taken at `stamp_s` is not used now, or None to use it.

        A camera whose clock went back (a restarted simulator or bag) is followed, not refused.
        """
        if stamp_s == self._newest_s:           # however old by now: a camera that froze
            return 'out of order'
        if now_s - stamp_s > self.max_age_s:
            return 'stale'
        if stamp_s - now_s > self.max_age_s:
            return 'from the future'
        if self._newest_s - self.max_age_s < stamp_s <= self._newest_s:
            return 'out of order'
        if stamp_s < self._newest_s:
            self._throttle.reset()
        self._newest_s = stamp_s
        return None if self._throttle.allows(stamp_s) else 'above processing_rate'


@dataclass(frozen=True)
class Lens:
    """A camera model for one picture and what the user should know about it."""

    camera: CameraModel
    remark: str = ''
    """Why this is not what camera_info says; '' when it is."""


def choose_lens(width: int, height: int, hfov_rad: float,
                from_info: Callable[[int, int], CameraModel] | None = None) -> Lens:
    """The lens of a width x height picture.

    Args:
        width, height: of the picture that arrived, pixels.
        hfov_rad: horizontal field of view to fall back on.
        from_info: makes the camera_info's model for that size, or raises CameraModelError; None
            when no camera_info has arrived.
    """
    why = 'no camera_info arrives'
    if from_info is not None:
        try:
            return Lens(from_info(width, height))
        except CameraModelError as error:
            why = str(error)
    return Lens(CameraModel.from_hfov(width, height, hfov_rad),
                f'{why}; using hfov_deg = {math.degrees(hfov_rad):.1f} instead')


def undecodable(encoding: str, known: bool, width: int, height: int, size: int) -> str:
    """The reason to count a picture under that could not be decoded.

    Args:
        encoding: its name; '' for a compressed picture.
        known: whether that encoding can be decoded at all.
        width, height: pixels the message claims.
        size: bytes it has.
    """
    if size == 0 or (encoding and (width == 0 or height == 0)):
        return 'empty'
    if not encoding:
        return 'damaged'
    if not known:
        return 'unknown encoding'
    if encoding in FLOATING and size >= width * height * 4:
        return 'not finite'
    return 'wrong size'


def direction_in_base(point: np.ndarray, frame_id: str, config: GazeConfig,
                      joints: PanTiltState | None) -> np.ndarray:
    """The direction, base frame, in which the camera must look to have a point ahead.

    Args:
        point: (3,) in `frame_id`; its distance, metres, counts where the head's axes and camera
            do not meet in one point.
        frame_id: the fixed frame ('' means it) or the camera's optical frame.
        config: names of the frames, geometry of the head.
        joints: when the message was stamped; needed for the optical frame only.

    Raises:
        CommandError: another frame, or no pose.
    """
    fixed = config.frame_prefix + config.fixed_frame
    optical = config.frame_prefix + 'camera_optical_frame'
    geometry = HeadGeometry() if config.eye == 'picture' else config.geometry
    if frame_id in ('', fixed):
        return geometry.direction_to(point)
    if frame_id != optical:
        raise CommandError(f'a point in frame {frame_id!r} cannot be used; transform it to '
                           f'{fixed!r} or {optical!r}')
    if joints is None:
        raise CommandError(f'a point in {optical!r} needs the pose of the head, and no '
                           'joint_states near its stamp arrive')
    turn, centre = geometry.optical(joints.pan_rad, joints.tilt_rad)
    return geometry.direction_to(centre + turn @ point)


class Starvation:
    """Decides when to tell a person that pictures do not arrive: after 5 s, then every 30 s."""

    def __init__(self, start_s: float) -> None:
        self._start_s = start_s
        self._told_s = -math.inf

    def due(self, last_frame_s: float | None, now_s: float) -> float | None:
        """Seconds of silence to tell about now, or None."""
        silent_s = now_s - max(self._start_s, last_frame_s or 0.0)
        if silent_s < STARVED_AFTER_S:
            self._told_s = -math.inf
            return None
        if now_s - self._told_s < STARVED_AGAIN_S:
            return None
        self._told_s = now_s
        return silent_s


def starved(topic: str, silent_s: float, offers: Sequence[tuple[str, str]], ours: str) -> str:
    """What to tell a person whose pictures do not arrive.

    Args:
        topic: fully resolved.
        silent_s: seconds without a picture.
        offers: (node, quality of service) of each publisher of that topic.
        ours: the quality of service of the subscription.
    """
    text = f'no picture for {silent_s:.0f} s; waiting for {topic} ({ours})'
    if not offers:
        return (f'{text}, which has 0 publishers: start a camera driver, or name its topic with '
                'image_topic:=...')
    publishers = '; '.join(f'{node} ({qos})' for node, qos in offers)
    return (f'{text}, which has {len(offers)} publisher{"s" * (len(offers) > 1)}: {publishers}. '
            'Is the camera running? Large pictures between processes need the Fast DDS profile '
            'shipped in config/')
