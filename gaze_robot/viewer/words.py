"""What a board means, in sentences: for people, not for robots."""

from dataclasses import dataclass
import time

import numpy as np

from gaze_robot.geometry import pan_tilt_from_direction
from gaze_robot.viewer.board import Board, Status

OK, WARN, ERROR = 'ok', 'warn', 'error'
SLOW_MS = 100.0
"""A command older than this when it leaves chases what has moved on."""

MODES = {
    'idle': 'nothing to look for', 'search': 'searching', 'saccade': 'jumping to something',
    'pursue': 'following something', 'hold': 'holding something', 'stopped': 'resting'}
REASONS = {
    'search': 'this looks like what it was shown', 'look_at': 'somebody told it to look there',
    'people': 'a person is there, or looks there', 'salience': 'this stands out'}
TELL_NOTHING = '-'


@dataclass(frozen=True)
class Line:
    """One sentence and how serious it is: ok, warn or error."""

    level: str
    text: str


def mode_words(mode: str | None) -> str:
    """What a mode means."""
    return 'unknown' if mode is None else f'{mode}: {MODES.get(mode, mode)}'


def reason(board: Board) -> str:
    """Why it moves as it does, from the last glance."""
    note = board.note
    if note is None:
        return 'It tells nothing of what it does.'
    doing = MODES.get(note.mode, note.mode).replace('something', 'it')
    if note.target is None:
        return f'It is {doing}.' if note.mode != 'idle' else 'It has nothing to look for.'
    pan, tilt = np.degrees(pan_tilt_from_direction(np.array(note.target.direction)))
    where = (f'{abs(pan):.0f} degrees {"left" if pan > 0 else "right"}, '
             f'{abs(tilt):.0f} {"down" if tilt > 0 else "up"}')
    why = REASONS.get(note.target.source, note.target.source)
    seen = '' if note.target.in_view else ', which it remembers'
    return f'It is {doing}: {why}, {where}{seen}; {note.target.confidence:.0%} sure.'


def describe(board: Board, now_s: float | None = None, live: bool = True) -> list[Line]:
    """How healthy everything is, the worst first.

    Args:
        now_s: on the monotonic clock; None: now.
        live: False for a recording, of whose nodes nobody expects to be heard.
    """
    now_s = time.monotonic() if now_s is None else now_s
    missing = board.missing(now_s) if live else []
    lines = [*_eye(board, 'gaze' in missing), *_head(board, 'pan_tilt' in missing)]
    if 'camera' in missing and 'gaze' not in missing:
        lines.append(Line(ERROR, 'No pictures arrive: is the camera running?'))
    order = {ERROR: 0, WARN: 1, OK: 2}
    return sorted(lines, key=lambda line: order[line.level])


def _eye(board: Board, gone: bool) -> list[Line]:
    if gone:
        return [Line(ERROR, 'gaze_node is not heard of: it has ended, or was not started.')]
    status = board.statuses.get('gaze')
    if status is None:
        return [Line(OK, 'The eye looks.')]
    lines = [Line(_level(status), f'The eye: {status.message}.')]
    values = status.values
    if 'image age at command p95 [ms]' in values:
        late = _number(values['image age at command p95 [ms]'])
        level = WARN if late is not None and late > SLOW_MS else OK
        lines.append(Line(level, (
            f'{_rounded(values, "in [Hz]")} pictures and {_rounded(values, "out [Hz]")} commands '
            f'per second; a picture is '
            f'{_rounded(values, "image age at command p50 [ms]")} ms old when its command leaves, '
            f'{_rounded(values, "image age at command p95 [ms]")} ms at the 95th percentile.')))
    dropped = {key.removeprefix('dropped: '): value for key, value in values.items()
               if key.startswith('dropped: ') and value != '0'}
    if dropped:
        lines.append(Line(OK, 'Pictures not used: ' + ', '.join(
            f'{count} {reason}' for reason, count in dropped.items()) + '.'))
    model = ', '.join(values[key] for key in ('model', 'device', 'runtime') if values.get(key))
    if model:
        lines.append(Line(OK, f'The model: {model}.'))
    return lines


def _head(board: Board, gone: bool) -> list[Line]:
    status = board.statuses.get('pan_tilt')
    if gone:
        turned = bool(board.history('pose')) or status is not None
        return [Line(ERROR, 'pan_tilt_node is not heard of any more: it has ended.')
                ] if turned else []
    if board.stopped:
        return [Line(ERROR, 'The head is run-stopped: it refuses every command.')]
    if status is None:
        return []
    lines = [Line(_level(status), f'The head: {status.message}.')]
    refused, errors = (status.values.get(key, '0') for key in ('commands refused', 'bus errors'))
    if refused != '0':
        lines.append(Line(OK, f'{refused} commands refused so far.'))
    if errors != '0':
        lines.append(Line(WARN, f'{errors} errors on the bus to the head.'))
    return lines


def _level(status: Status) -> str:
    return {'ok': OK, 'error': ERROR}.get(status.level, WARN)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _rounded(values: dict[str, str], key: str) -> str:
    number = _number(values.get(key, ''))
    return TELL_NOTHING if number is None else f'{number:.0f}'
