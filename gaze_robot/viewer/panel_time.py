"""Going through a recording: a time slider, play, and films of it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import tempfile
import time

from nicegui import app, events, ui

from gaze_robot.errors import GazeRobotError
from gaze_robot.viewer.board import Board
from gaze_robot.viewer.export import export, KINDS
from gaze_robot.viewer.replay import open_recording, Recording

LONGEST_FILM_S = 60.0
"""Of a film made from the page, from the chosen time on."""


class TimeBar:
    """Chooses the time of one recording."""

    def __init__(self, recording: Recording, path: str, pool: ThreadPoolExecutor) -> None:
        """Make it where the page is being built.

        Args:
            path: of the recording, to read it a second time for a film.
            pool: whose one thread reads the recording.
        """
        self._recording, self._path, self._pool = recording, path, pool
        self._playing_since: tuple[float, float] | None = None
        self._busy = False
        with ui.row().classes('gaze-panel gaze-wide items-center gap-3'):
            self._play = ui.button('Play', icon='play_arrow', on_click=self._press)
            self._slider = ui.slider(
                min=0.0, max=max(0.1, recording.duration_s), step=0.05,
                value=recording.first_s).props('aria-label="time"').style('flex: 1 1 160px')
            self._slider.on('update:model-value', self._slid, throttle=0.1)
            self._label = ui.label('')
            self._kind = ui.select([kind[1:] for kind in KINDS], value='gif').props(
                'dense aria-label="kind of film"')
            self._film = ui.button('Film', icon='movie', color='grey-8', on_click=self._save)
        self._tell(recording.first_s)

    async def _press(self) -> None:
        if self._playing_since is None:
            at_s = float(self._slider.value)
            start_s = 0.0 if at_s >= self._recording.duration_s - 0.1 else at_s
            self._playing_since = time.monotonic(), start_s
            self._play.set_text('Pause')
        else:
            self._stop()

    def _stop(self) -> None:
        self._playing_since = None
        self._play.set_text('Play')

    async def _slid(self, event: events.GenericEventArguments) -> None:
        if self._playing_since is not None:
            self._playing_since = time.monotonic(), float(event.args)
        await self._seek(float(event.args))

    async def fast(self, board: Board) -> None:
        """Go on, while it plays."""
        if self._playing_since is None:
            return
        began, start_s = self._playing_since
        at_s = start_s + time.monotonic() - began
        if at_s >= self._recording.duration_s:
            at_s = self._recording.duration_s
            self._stop()
        self._slider.set_value(at_s)
        await self._seek(at_s)

    async def _seek(self, at_s: float) -> None:
        if self._busy:                  # a slower machine shows fewer moments
            return
        self._busy = True
        try:
            await asyncio.get_running_loop().run_in_executor(
                self._pool, self._recording.seek, at_s)
        finally:
            self._busy = False
        self._tell(at_s)

    def _tell(self, at_s: float) -> None:
        self._label.set_text(f'{at_s:.1f} of {self._recording.duration_s:.1f} s')

    async def _save(self) -> None:
        start_s = float(self._slider.value)
        end_s = min(start_s + LONGEST_FILM_S, self._recording.duration_s)
        self._film.disable()
        ui.notify('Making the film')
        try:
            name = await asyncio.to_thread(_film, self._path, str(self._kind.value), start_s,
                                           end_s)
        except GazeRobotError as error:
            ui.notify(str(error), type='negative', multi_line=True)
        else:
            ui.download(name)
        finally:
            self._film.enable()


def _film(path: str, kind: str, start_s: float, end_s: float) -> str:
    """Write a film into a temporary folder; returns its path."""
    folder = Path(tempfile.mkdtemp(prefix='gaze_robot_film_'))
    app.on_shutdown(lambda: _forget(folder))
    recording = open_recording(path)
    try:
        return export(recording, str(folder / f'{Path(path).stem}.{kind}'), start_s, end_s)
    finally:
        recording.close()


def _forget(folder: Path) -> None:
    for each in folder.iterdir():
        each.unlink()
    folder.rmdir()


class RecordingsPanel:
    """Recordings that lie in the viewer's folders, and the one that was chosen."""

    def __init__(self, found: Callable[[], dict[str, str]],
                 build: Callable[[Recording], list[object]]) -> None:
        """Make it where the page is being built.

        Args:
            found: {what to call a recording: its path}.
            build: builds the panels of a recording.
        """
        self._found, self._build = found, build
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix='recording')
        self._recording: Recording | None = None
        self._panels: list[object] = []
        with ui.row().classes('items-center gap-3 w-full'):
            self._choice = ui.select([], label='Recording', on_change=self._chosen).classes('w-80')
            ui.button('Look again', icon='refresh', color='grey-8', on_click=self.refresh)
        self._place = ui.element('div').classes('gaze-grid')
        self.refresh()

    def refresh(self) -> None:
        """Look for recordings anew."""
        found = self._found()
        self._choice.set_options(list(found))
        if not found:
            self._choice.props('hint="none yet: press Record, or gaze-robot record"')

    async def _chosen(self, event: events.ValueChangeEventArguments) -> None:
        path = self._found().get(str(event.value))
        if path is None:
            return
        try:
            opened = await asyncio.get_running_loop().run_in_executor(
                self._pool, open_recording, path)
        except GazeRobotError as error:
            ui.notify(str(error), type='negative', multi_line=True)
            return
        self.close()
        self._recording = opened
        self._place.clear()
        with self._place:
            self._panels = [TimeBar(opened, path, self._pool), *self._build(opened)]

    async def update(self, name: str) -> None:
        """Update the panels' `fast` or `slow`."""
        if self._recording is not None:
            await update(self._panels, name, self._recording.board)

    def close(self) -> None:
        """Let go of the recording."""
        if self._recording is not None:
            self._pool.submit(self._recording.close)
        self._recording = None


async def update(panels: list[object], name: str, board: Board) -> None:
    """Call `name`, 'fast' or 'slow', of all panels that have it."""
    for panel in panels:
        if hasattr(panel, name):
            done = getattr(panel, name)(board)
            if asyncio.iscoroutine(done):
                await done
