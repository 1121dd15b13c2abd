"""What is always visible: what the robot is doing, whether it is well, and the stop."""

import time

from nicegui import ui

from gaze_robot.viewer.board import Board
from gaze_robot.viewer.panel_eye import tell
from gaze_robot.viewer.source import Source
from gaze_robot.viewer.words import describe, ERROR, mode_words, OK

LEVELS = ('ok', 'warn', 'error')


class Chip:
    """A word on a coloured ground."""

    def __init__(self, label: str) -> None:
        """`label` says to a screen reader what the word is about."""
        self._element = ui.label('').classes('gaze-chip').props(
            f'role=status aria-label="{label}"')

    def show(self, text: str, level: str = '') -> None:
        """Change the word and its colour."""
        self._element.set_text(text)
        self._element.classes(add=level, remove=' '.join(
            other for other in LEVELS if other != level))


class Header:
    """The bar at the top."""

    def __init__(self, source: Source) -> None:
        self._source = source
        with ui.header().classes('items-center gap-2 q-pa-sm').style('background: #0d0f13'):
            ui.label('gaze_robot').classes('text-lg font-bold gaze-title')
            ui.label(source.title).classes('gaze-hint gaze-title')
            self._mode, self._target = Chip('mode'), Chip('on target')
            self._health = Chip('health')
            ui.space()
            if source.robot is not None:
                self._stop = ui.button('Stop', icon='pan_tool', color='negative',
                                       on_click=self._press).classes('gaze-stop')
                self._stop.props('accesskey=s')

    async def _press(self) -> None:
        robot = self._source.robot
        if robot is not None:
            await tell(robot.run_stop(not self._source.board.stopped))

    def fast(self, board: Board) -> None:
        """Tell mode, target and health."""
        source = self._source
        gone = source.live and 'gaze' in board.missing(time.monotonic())
        self._mode.show('no eye' if gone else mode_words(board.mode), 'error' if gone else '')
        sure = bool(board.on_target) and not gone
        self._target.show('on target' if sure else 'not on target', 'ok' if sure else '')
        worst = next(iter(describe(board, live=source.live)), None)
        if worst is None or worst.level == OK:
            self._health.show('all well', 'ok')
        else:
            self._health.show(worst.text if worst.level == ERROR else 'see below', worst.level)
        if source.robot is not None:
            self._stop.set_text('Release' if board.stopped else 'Stop')
