"""The page: a header that never leaves, and panels below it; built anew for every browser."""

from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nicegui import app, ui

from gaze_robot.config import ViewerConfig
from gaze_robot.viewer.header import Header
from gaze_robot.viewer.panel_controls import ControlsPanel
from gaze_robot.viewer.panel_eye import EyePanel
from gaze_robot.viewer.panel_plots import PlotsPanel
from gaze_robot.viewer.panel_runs import RunsPanel
from gaze_robot.viewer.panel_scene import MapPanel, MosaicPanel, ScenePanel
from gaze_robot.viewer.panel_time import RecordingsPanel, TimeBar, update
from gaze_robot.viewer.panel_words import WordsPanel
from gaze_robot.viewer.replay import BagRecording, FilmRecording, Recording
from gaze_robot.viewer.runs import find_runs
from gaze_robot.viewer.source import Source

STATIC = Path(__file__).parent / 'static'
SLOW_S = 1.0
NOW, RECORDINGS, TRAINING = 'Now', 'Recordings', 'Training'


class Page:
    """Builds the page for each browser that comes, and counts them."""

    def __init__(self, source: Source, config: ViewerConfig,
                 sources: MutableMapping[str, Source], path: str = '') -> None:
        """Take whom to show.

        Args:
            source: the robot, or the recording at `path`.
            sources: by key, whose pictures can be asked for; recordings are added.
        """
        self.source, self.config, self.sources, self.path = source, config, sources, path
        self.pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix='recording')
        self._browsers = 0

    async def build(self, scene: bool = True) -> None:
        """One browser's page; `/?scene=false` leaves out what a slow machine cannot draw."""
        ui.add_css((STATIC / 'viewer.css').read_text(encoding='utf-8'))
        ui.add_body_html(f'<script>{(STATIC / "viewer.js").read_text(encoding="utf-8")}</script>')
        client = ui.context.client
        await client.connected()
        if not client.has_socket_connection:            # curl, or a browser that left at once
            return
        browser = Browser(self, scene)
        self._came(1)

        def left() -> None:
            browser.close()
            self._came(-1)
        client.on_delete(left)

    def _came(self, step: int) -> None:
        self._browsers += step
        self.source.watched(self._browsers)

    def recordings(self) -> dict[str, str]:
        """{what to call a recording: its path}: bags, and films of training runs."""
        folder = Path(self.config.recordings)
        bags = {path.parent for path in folder.glob('*/metadata.yaml')} if folder.is_dir() else ()
        found = {path.name: str(path) for path in sorted(bags, reverse=True)}
        for run in find_runs(self.config.runs):
            found |= {f'{run.name}/{film}': str(run.path / film) for film in run.films}
        return found


class Browser:
    """One browser's page: header, tabs, and what each of them shows."""

    def __init__(self, page: Page, scene: bool) -> None:
        """Build it where the page is being built."""
        self._page, self._scene = page, scene
        source = page.source
        self._header = Header(source)
        self._opened = ''
        names = [NOW, RECORDINGS, TRAINING] if source.live else [source.title, TRAINING]
        kept = app.storage.tab.get('tab')
        with ui.tabs().props('dense') as tabs:
            made = {name: ui.tab(name) for name in names}
        self._tab = kept if kept in names else names[0]
        tabs.set_value(made[self._tab])
        self._recordings: RecordingsPanel | None = None
        self._places = {name: ui.element('main').classes('w-full') for name in names}
        with self._places[names[0]], ui.element('div').classes('gaze-grid'):
            self._panels = self._first()
        if RECORDINGS in names:
            with self._places[RECORDINGS]:
                self._recordings = RecordingsPanel(page.recordings, self._open)
        with self._places[TRAINING]:
            RunsPanel(lambda: find_runs(page.config.runs))
        self._turn(self._tab)
        tabs.on_value_change(lambda event: self._turn(str(event.value)))
        ui.timer(1.0 / page.config.picture_rate, lambda: self._update('fast'))
        ui.timer(SLOW_S, lambda: self._update('slow'))

    def close(self) -> None:
        """The browser is gone."""
        if self._recordings is not None:
            self._recordings.close()
        self._page.sources.pop(self._opened, None)

    def _first(self) -> list[object]:
        page, source = self._page, self._page.source
        bar: list[object] = []
        if isinstance(source, BagRecording | FilmRecording):
            bar = [TimeBar(source, page.path, page.pool)]
        return [*bar, *self._of(source)]

    def _of(self, source: Source) -> list[object]:
        """Build all panels of a source."""
        panels: list[object] = [EyePanel(source, app.storage.tab)]
        if self._scene:
            panels.append(ScenePanel(source, self._page.config))
        if source.robot is not None:
            panels.append(ControlsPanel(source, source.robot))
        return [*panels, WordsPanel(source), MosaicPanel(source), MapPanel(source), PlotsPanel()]

    def _open(self, recording: Recording) -> list[object]:
        self._page.sources.pop(self._opened, None)
        self._opened = recording.key
        self._page.sources[recording.key] = recording
        return self._of(recording)

    def _turn(self, tab: str) -> None:
        """Show the tab that was chosen."""
        self._tab = app.storage.tab['tab'] = tab
        for name, place in self._places.items():
            place.set_visibility(name == tab)
        if tab == RECORDINGS and self._recordings is not None:
            self._recordings.refresh()

    async def _update(self, name: str) -> None:
        if name == 'fast':
            self._header.fast(self._page.source.board)
        if self._tab == RECORDINGS and self._recordings is not None:
            await self._recordings.update(name)
        elif self._tab != TRAINING:
            await update(self._panels, name, self._page.source.board)
