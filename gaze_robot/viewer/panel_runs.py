"""Training runs: learning curves, and an episode before and after."""

from collections.abc import Callable
from typing import Any

from nicegui import events, ui

from gaze_robot.viewer.runs import Run


class RunsPanel:
    """Runs that lie in the viewer's folder, and the one that was chosen."""

    def __init__(self, find: Callable[[], list[Run]]) -> None:
        """Make it where the page is being built."""
        self._find = find
        with ui.row().classes('items-center gap-3 w-full'):
            self._choice = ui.select([], label='Run', on_change=self._chosen).classes('w-80')
            ui.button('Look again', icon='refresh', color='grey-8', on_click=self.refresh)
        self._place = ui.element('div').classes('gaze-grid')
        self.refresh()

    def refresh(self) -> None:
        """Look for runs anew."""
        names = [run.name for run in self._find()]
        self._choice.set_options(names)
        if not names:
            self._choice.props('hint="none yet: gaze-robot train search --out runs/search"')

    def _chosen(self, event: events.ValueChangeEventArguments) -> None:
        run = next((run for run in self._find() if run.name == event.value), None)
        self._place.clear()
        if run is not None:
            with self._place:
                self._show(run)

    def _show(self, run: Run) -> None:
        with ui.element('section').classes('gaze-panel gaze-wide'):
            ui.label(f'{run.name}: {run.state}').classes('text-sm')
            ui.label(f'In detail: tensorboard --logdir {run.path}').classes('gaze-hint')
        for name in run.measures:
            with ui.element('section').classes('gaze-panel').props(f'aria-label="{name}"'):
                ui.label(name.replace('_', ' ')).classes('text-sm')
                _curve(run, name)
        for film in run.films:
            with ui.element('section').classes('gaze-panel').props(f'aria-label="{film}"'):
                ui.label(film.partition('.')[0].capitalize()).classes('text-sm')
                url = f'/run/{run.name}/{film}'
                if film.endswith('.gif'):
                    ui.image(url).props(f'alt="episode: {film}"')
                else:
                    ui.video(url).props('loop').classes('w-full')


def _curve(run: Run, name: str) -> None:
    rows: list[list[Any]] = [[row['steps'], row[name]] for row in run.curve
                             if row.get(name) is not None]
    ui.echart({
        'animation': False, 'aria': {'enabled': True},
        'grid': {'left': 56, 'right': 12, 'top': 12, 'bottom': 40},
        'tooltip': {'trigger': 'axis'},
        'xAxis': {'type': 'value', 'name': 'steps', 'nameLocation': 'middle', 'nameGap': 24,
                  'splitNumber': 4, 'splitLine': {'show': False},
                  'axisLabel': {'color': '#b9c0cb'}},
        'yAxis': {'type': 'value', 'scale': True, 'axisLabel': {'color': '#b9c0cb'},
                  'splitLine': {'lineStyle': {'color': '#2c333d'}}},
        'series': [{'type': 'line', 'data': rows, 'color': '#5aaaff'}],
    }).style('height: 220px; width: 100%')
