"""The page: a header that never leaves, and panels below it; built anew for every browser."""

from collections.abc import Sequence
from pathlib import Path

from nicegui import app, ui

from gaze_robot.config import ViewerConfig
from gaze_robot.viewer.board import Board
from gaze_robot.viewer.header import Header
from gaze_robot.viewer.panel_controls import ControlsPanel
from gaze_robot.viewer.panel_eye import EyePanel
from gaze_robot.viewer.panel_plots import PlotsPanel
from gaze_robot.viewer.panel_scene import MapPanel, MosaicPanel, ScenePanel
from gaze_robot.viewer.panel_words import WordsPanel
from gaze_robot.viewer.source import Source

STATIC = Path(__file__).parent / 'static'
SLOW_S = 0.5


class Page:
    """Builds the page for each browser that comes, and counts them."""

    def __init__(self, source: Source, config: ViewerConfig) -> None:
        self._source, self._config = source, config
        self._browsers = 0

    async def build(self, scene: bool = True) -> None:
        """One browser's page; `/?scene=false` leaves out what a slow machine cannot draw."""
        ui.add_css((STATIC / 'viewer.css').read_text(encoding='utf-8'))
        ui.add_body_html(f'<script>{(STATIC / "viewer.js").read_text(encoding="utf-8")}</script>')
        client = ui.context.client
        await client.connected()
        self._came(1)
        client.on_delete(lambda: self._came(-1))
        source = self._source
        header = Header(source)
        with ui.element('main').classes('gaze-grid'):
            panels: list[object] = [header, EyePanel(source, app.storage.tab)]
            if scene:
                panels.append(ScenePanel(source, self._config))
            if source.robot is not None:
                panels.append(controls := ControlsPanel(source, source.robot))
                ui.timer(0.0, controls.read_weights, once=True)
            panels += [WordsPanel(source), MosaicPanel(), MapPanel(source), PlotsPanel()]
        self._follow(panels)

    def _came(self, step: int) -> None:
        self._browsers += step
        self._source.watched(self._browsers)

    def _follow(self, panels: Sequence[object]) -> None:
        """Keep the panels up to date while the browser is there."""
        def every(name: str, seconds: float) -> None:
            updates = [getattr(panel, name) for panel in panels if hasattr(panel, name)]

            def tick() -> None:
                board: Board = self._source.board
                for update in updates:
                    update(board)
            ui.timer(seconds, tick)
        every('fast', 1.0 / self._config.picture_rate)
        every('slow', SLOW_S)
