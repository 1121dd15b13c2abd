"""Whether a recording fits together, and what can be done where it does not.

T rows   F frames of the video
"""

from dataclasses import dataclass, replace
import math

import cv2
import numpy as np

from gaze_robot.errors import DemoError, WorldError
from gaze_robot_sim.demos.recording import Recording
from gaze_robot_sim.scenes.frames import FrameReader

RATE_TOLERANCE = 0.02
"""By which share two rates may differ: 29.97 and 30 are one."""


@dataclass(frozen=True)
class Repair:
    """What may be made up where a recording has gaps. `None` in its place: nothing."""

    gap_s: float = 0.5
    """The longest gap that is bridged, seconds; a longer one is a reason to refuse."""

    def __post_init__(self) -> None:
        if not 0 <= self.gap_s <= 60:
            raise DemoError(f'gaps up to 0 to 60 s can be bridged, got {self.gap_s}')


@dataclass(frozen=True)
class _Video:
    """What is really there of a recording's video."""

    frames: int
    rate_hz: float


def fitted(recording: Recording, repair: Repair | None = None) -> Recording:
    """A recording all of whose rows are finite and have a picture.

    Args:
        repair: None: refuse whatever does not fit. Else bridge short gaps by straight lines,
            resample rows at another rate, and drop rows without pictures and pictures without
            rows; every repair is noted.

    Returns:
        The same with `frames` and `rate_hz` filled in, and `notes` of what was repaired.

    Raises:
        DemoError: it does not fit, or no repair will do; the text names it and says why.
    """
    video, recording = _video(recording, repair)
    recording = _without_missing_rows(recording, repair)
    recording = _finite(recording, repair)
    recording = _at_rate(recording, video, repair)
    return _as_long(recording, video, repair)


def _refusal(recording: Recording, reason: str) -> DemoError:
    return DemoError(f'{recording.name}: {reason}; repair it, or try --repair')


# --- the video


def _video(recording: Recording, repair: Repair | None) -> tuple[_Video, Recording]:
    """What there is of the video; a broken one is read up to where it breaks off."""
    first = recording.first_frame
    needed = None if recording.frames is None else first + recording.frames
    try:
        reader = FrameReader(recording.video, needed)
    except WorldError as error:
        if repair is None:
            raise DemoError(f'{recording.name}: {error}') from error
        found, rate = _playable(recording)
        return _Video(found, rate), recording.noted(
            f'its video breaks off: {found} pictures are left')
    reader.close()
    return _Video(reader.frames - first, reader.rate), recording


def _playable(recording: Recording) -> tuple[int, float]:
    """(frames that can be read one after the other, rate) of a video that breaks off.

    Raises:
        DemoError: not one of them can be.
    """
    capture = cv2.VideoCapture(str(recording.video))
    rate, count = float(capture.get(cv2.CAP_PROP_FPS)), 0
    last = None if recording.frames is None else recording.first_frame + recording.frames
    while (last is None or count < last) and capture.isOpened() and capture.grab():
        count += 1
    capture.release()
    whole = count - recording.first_frame - 1      # the last one before a break may be torn
    if whole < 2 or not rate > 0:
        raise DemoError(f'{recording.name}: nothing can be read of {recording.video}: its index '
                        'or its start is missing, which cannot be repaired; copy it again')
    return whole, rate


# --- the rows


def _without_missing_rows(recording: Recording, repair: Repair | None) -> Recording:
    """Rows numbered one by one; missing ones are put in as NaN, for `_finite` to bridge."""
    steps = np.diff(recording.row)
    if (steps == 1).all():
        return recording
    after = int(recording.row[np.argmax(steps != 1)])
    if (steps < 1).any():
        raise DemoError(f'{recording.name}: its rows are out of order after number {after}; sort '
                        'them, or record it again')
    missing = int(steps.sum() - len(steps))
    if repair is None:
        raise _refusal(recording, f'frame {after + 1} is missing' + (
            f', and {missing - 1} more' if missing > 1 else ''))
    row = np.arange(recording.row[0], recording.row[-1] + 1)
    place = recording.row - row[0]
    filled = {'row': row, 'stamp_s': np.interp(row, recording.row, recording.stamp_s)}
    for name in ('joints', 'actions'):
        values = getattr(recording, name)
        filled[name] = np.full((len(row), values.shape[1]), np.nan)
        filled[name][place] = values
    return recording.noted(f'{missing} missing frames were put in by straight lines', **filled)


def _finite(recording: Recording, repair: Repair | None) -> Recording:
    """Joints and actions without gaps."""
    if not np.isfinite(recording.stamp_s).all() or (np.diff(recording.stamp_s) <= 0).any():
        raise DemoError(f'{recording.name}: its time stamps do not grow from row to row; nothing '
                        'says when its rows were recorded')
    for name, columns in (('joints', recording.joint_names), ('actions', recording.action_names)):
        values = getattr(recording, name)
        broken = ~np.isfinite(values)
        if not broken.any():
            continue
        at, column = map(int, np.argwhere(broken)[0])
        if repair is None:
            raise _refusal(recording, f'{name} {columns[column]!r} is not a finite number at row '
                           f'{at} ({int(broken.any(axis=1).sum())} rows in all)')
        recording = recording.noted(
            f'{int(broken.sum())} numbers of its {name} were not finite and bridged by straight '
            'lines', **{name: np.stack([_bridged(recording, repair, column, columns[k])
                                        for k, column in enumerate(values.T)], axis=1)})
    return recording


def _bridged(recording: Recording, repair: Repair, values: np.ndarray, name: str) -> np.ndarray:
    """Values (T,) with short gaps bridged; at either end the nearest value is kept."""
    good = np.isfinite(values)
    if good.all():
        return values
    stamp = recording.stamp_s
    if not good.any():
        raise DemoError(f'{recording.name}: {name!r} has no finite number at all; leave it out')
    # Gaps last from the good row before them to the good row after them.
    edges = np.concatenate([stamp[:1], stamp[good], stamp[-1:]])
    longest = float(np.diff(edges).max())
    if longest > repair.gap_s + 1e-9:
        raise DemoError(f'{recording.name}: {name!r} lacks {longest:.2f} s in a row, and at most '
                        f'{repair.gap_s:g} s are bridged; leave it out, or allow --gap-s')
    return np.interp(stamp, stamp[good], values[good])


# --- rows against frames


def _at_rate(recording: Recording, video: _Video, repair: Repair | None) -> Recording:
    """Rows at the rate of the video."""
    stamped = (len(recording.stamp_s) - 1) / float(recording.stamp_s[-1] - recording.stamp_s[0])
    stated = recording.rate_hz or stamped
    # Stamps of a short recording that was cut at whole frames are off by up to one of them.
    slack = RATE_TOLERANCE + 1 / len(recording.row)
    if abs(stated / stamped - 1) <= slack and abs(stated / video.rate_hz - 1) <= slack:
        # One rate for a whole data set, though its videos' clocks differ by a trace.
        return replace(recording, rate_hz=recording.rate_hz or video.rate_hz)
    if repair is None:
        raise _refusal(recording, f'rates do not match: stated {stated:.4g} rows per second, by '
                       f'the time stamps {stamped:.4g}, pictures {video.rate_hz:.4g}')
    if abs(len(recording.row) - video.frames) <= 1:
        return recording.noted(
            f'rates differed (stated {stated:.4g}, by the time stamps {stamped:.4g}, pictures '
            f'{video.rate_hz:.4g}); there is one row for each picture, so theirs was taken',
            rate_hz=video.rate_hz)
    return _resampled(recording, video, stamped)


def _resampled(recording: Recording, video: _Video, stamped: float) -> Recording:
    """Rows by straight lines at the times of the pictures, the first of which is the first's."""
    since = recording.stamp_s - recording.stamp_s[0]
    # The last row stands until the next one would have come.
    count = min(video.frames, math.ceil((since[-1] + 1 / stamped) * video.rate_hz - 1e-6))
    if count < 2:
        raise DemoError(f'{recording.name}: rows and pictures share less than two moments')
    times = np.arange(count) / video.rate_hz
    resampled = {name: np.stack([np.interp(times, since, column)
                                 for column in getattr(recording, name).T], axis=1)
                 for name in ('joints', 'actions')}
    return recording.noted(
        f'rows were resampled from {stamped:.4g} to {video.rate_hz:.4g} per second', **resampled,
        row=np.arange(count), stamp_s=times, rate_hz=video.rate_hz)


def _as_long(recording: Recording, video: _Video, repair: Repair | None) -> Recording:
    """As many rows as frames."""
    rows, frames = len(recording.row), video.frames
    if rows == frames:
        return replace(recording, frames=frames)
    more, what = ((rows - frames, 'rows without pictures') if rows > frames
                  else (frames - rows, 'pictures without rows'))
    if repair is None:
        raise _refusal(recording, f'{rows} rows and {frames} pictures: '
                       f'{"pictures" if rows > frames else "rows"} are missing')
    keep = slice(min(rows, frames))
    return recording.noted(
        f'{more} {what} at its end were left out', joints=recording.joints[keep],
        actions=recording.actions[keep], row=recording.row[keep],
        stamp_s=recording.stamp_s[keep], frames=min(rows, frames))
