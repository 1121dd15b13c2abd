"""What a person can tell the robot, besides pointing into a picture."""

from collections.abc import Awaitable, Callable
import math

from nicegui import events, ui
import numpy as np

from gaze_robot.errors import GazeRobotError
from gaze_robot.geometry import direction_from_pan_tilt
from gaze_robot.viewer.board import Board, Robot
from gaze_robot.viewer.panel_eye import Picture, Pointing, tell
from gaze_robot.viewer.source import Source

SOURCES = {'search': 'what it was shown', 'people': 'people', 'salience': 'what stands out'}
MOST = 5.0
READ_S = 2.0
"""Between questions for the weights, until the robot has answered."""


class ControlsPanel:
    """Eye, head, exemplar, words, sources, recording."""

    def __init__(self, source: Source, robot: Robot) -> None:
        self._robot, self._pointing = robot, Pointing(source)
        self._followed: set[str] = set()
        self._board_recording = False
        with ui.element('section').classes('gaze-panel').props('aria-label="Tell it"'):
            ui.html('<h2>Tell it</h2>', sanitize=False)
            with ui.row().classes('items-center gap-2'):
                ui.button('Look', icon='visibility', on_click=lambda: tell(robot.enable(True)))
                ui.button('Rest', icon='visibility_off', color='grey-8',
                          on_click=lambda: tell(robot.enable(False)))
                ui.button('Home', icon='home', color='grey-8',
                          on_click=lambda: tell(robot.home()))
                self._power = ui.switch('Head obeys', on_change=self._powered)
            self._build_aim()
            self._build_search(source)
            self._build_sources()
            self._record = ui.button('Record', icon='fiber_manual_record', color='grey-8',
                                     on_click=self._press_record)

    def _build_aim(self) -> None:
        with ui.row().classes('items-end gap-2'):
            self._left = ui.number('Left, degrees', value=0, min=-180, max=180).classes('w-28')
            self._down = ui.number('Down, degrees', value=0, min=-90, max=90).classes('w-28')
            ui.button('Look there', icon='my_location', on_click=self._aim)

    def _build_search(self, source: Source) -> None:
        with ui.row().classes('items-center gap-2 w-full no-wrap'):
            self._exemplar = Picture(source, 'exemplar', _newest_exemplar,
                                     'what it looks for')
            self._exemplar.element.style('width: 72px; flex: none; cursor: default')
            with ui.column().classes('gap-0 grow'):
                ui.label('It looks for this').classes('gaze-hint')
                self._words = ui.input('In words', placeholder='needs a policy that reads').on(
                    'keydown.enter', self._prompt).classes('w-full')

    def _build_sources(self) -> None:
        ui.label('What it goes by').classes('gaze-hint')
        self._sliders = {}
        self._reader = ui.timer(READ_S, self.read_weights)  # until gaze_node has answered once
        for name, words in SOURCES.items():
            with ui.row().classes('items-center no-wrap gap-3 w-full'):
                ui.label(words).classes('text-sm').style('width: 130px; flex: none')
                self._sliders[name] = ui.slider(min=0.0, max=MOST, step=0.1, value=0.0).props(
                    f'label aria-label="{words}"').on('change', self._weigher(name))

    def _weigher(self, name: str
                 ) -> Callable[[events.GenericEventArguments], Awaitable[None]]:
        async def weigh(event: events.GenericEventArguments) -> None:
            await tell(self._robot.weigh(name, float(event.args)))
            await self.read_weights()
        return weigh

    async def read_weights(self) -> None:
        """Show the weights that the robot has."""
        try:
            weights = await self._robot.weights()
        except GazeRobotError:              # said by the sentences: gaze_node is not there
            return
        self._reader.deactivate()
        for name, slider in self._sliders.items():
            slider.set_value(weights.get(name, 0.0))

    async def _aim(self) -> None:
        pan, tilt = (math.radians(field.value or 0.0) for field in (self._left, self._down))
        await tell(self._pointing.look_along(
            direction_from_pan_tilt(np.array(pan), np.array(tilt))))

    async def _prompt(self) -> None:
        await tell(self._robot.prompt(str(self._words.value or '').strip()))

    async def _powered(self, event: events.ValueChangeEventArguments) -> None:
        if 'power' in self._followed:       # the board moved the switch, not a person
            self._followed.discard('power')
            return
        await tell(self._robot.power(bool(event.value)))

    async def _press_record(self) -> None:
        await tell(self._robot.record(not self._board_recording))

    def slow(self, board: Board) -> None:
        """Follow what others changed."""
        self._exemplar.update(board)
        status = board.statuses.get('pan_tilt')
        on = status is not None and status.values.get('torque') == 'on'
        if self._power.value != on:
            self._followed.add('power')
            self._power.set_value(on)
        self._board_recording = bool(board.recording)
        self._record.set_text('End recording' if board.recording else 'Record')
        self._record.props(f'color={"negative" if board.recording else "grey-8"}')
        note = board.note
        self._words.set_enabled(note is not None and note.takes_words)


def _newest_exemplar(board: Board) -> int | None:
    return None if board.exemplar is None else board.exemplar[0]
