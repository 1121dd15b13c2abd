"""Which pictures are worth a look, and through which lens they were taken."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from gaze_robot.camera import CameraModel
from gaze_robot.errors import CameraModelError

FLOATING = ('32FC1', '64FC1')


class Intake:
    """Refuses pictures that are too old, out of order, or faster than they can be used."""

    def __init__(self, max_age_s: float, rate_hz: float) -> None:
        self.max_age_s = max_age_s
        self._period_s = 1.0 / rate_hz if rate_hz > 0 else 0.0
        self._newest_s = float('-inf')
        self._due_s = float('-inf')

    def refuse(self, stamp_s: float, now_s: float) -> str | None:
        """Why a picture taken at `stamp_s` is not used now, or None to use it.

        A camera whose clock went back (a restarted simulator or bag) is followed, not refused.
        """
        if now_s - stamp_s > self.max_age_s:
            return 'stale'
        if stamp_s - now_s > self.max_age_s:
            return 'from the future'
        if self._newest_s - self.max_age_s < stamp_s <= self._newest_s:
            return 'out of order'
        if self._newest_s - stamp_s >= self.max_age_s:
            self._due_s = float('-inf')
        self._newest_s = stamp_s
        # A quarter period of slack: a camera at exactly this rate jitters and must not lose frames.
        if stamp_s < self._due_s - 0.25 * self._period_s:
            return 'above processing_rate'
        self._due_s = max(self._due_s + self._period_s, stamp_s)
        return None


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
