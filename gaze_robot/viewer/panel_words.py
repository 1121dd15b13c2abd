"""How everything is, in sentences."""

from nicegui import ui

from gaze_robot.viewer.board import Board
from gaze_robot.viewer.source import Source
from gaze_robot.viewer.words import describe, Line, reason

REMARKS = 4


class WordsPanel:
    """Sentences of `words.describe`, and the last warnings of the robot's nodes."""

    def __init__(self, source: Source) -> None:
        self._live = source.live
        self._lines: list[Line] = []
        with ui.element('section').classes('gaze-panel').props('aria-label="How it is"'):
            ui.html('<h2>Why, and how it is</h2>', sanitize=False)
            self._why = ui.label('').classes('gaze-line')
            self._place = ui.column().classes('gap-1 w-full').props('role=log')

    def slow(self, board: Board) -> None:
        """Say it anew where something changed."""
        self._why.set_text(reason(board))
        lines = describe(board, live=self._live)
        lines += [Line('warn', f'{remark.node}: {remark.text}')
                  for remark in board.remarks()[-REMARKS:]]
        if lines == self._lines:
            return
        self._lines = lines
        self._place.clear()
        with self._place:
            for line in lines:
                ui.label(line.text).classes(f'gaze-line {line.level}')
