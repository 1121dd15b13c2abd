"""What happened in the last half minute: angles, error, time per stage."""

from collections.abc import Sequence
import math
from typing import Any

from nicegui import ui

from gaze_robot.viewer.board import Board, KEPT_S

COLOURS = {'pan': '#5aaaff', 'tilt': '#ffbe28', 'error': '#ff5a3c', 'truth': '#3ce65a'}
STAGES = ('wait', 'decode', 'foveate', 'perceive', 'decide', 'control')
POINTS = 150
"""Per line at most: what a plot of a phone's width can show."""

Rows = Sequence[tuple[float, ...]]


class PlotsPanel:
    """Three plots over the same seconds."""

    def __init__(self) -> None:
        with ui.element('section').classes('gaze-panel gaze-wide').props(
                'aria-label="The last half minute"'):
            ui.html('<h2>The last half minute</h2>', sanitize=False)
            with ui.element('div').classes('gaze-grid'):
                self._angles = _chart('degrees', [
                    _line('pan', 'pan'), _line('pan commanded', 'pan', dashed=True),
                    _line('tilt (down +)', 'tilt'),
                    _line('tilt commanded', 'tilt', dashed=True)])
                self._errors = _chart('degrees off target', [
                    _line('as the eye sees it', 'error'), _line('true (simulation)', 'truth')])
                self._stages = _chart('ms per stage', [
                    {**_line(stage, ''), 'stack': 'all', 'areaStyle': {},
                     'lineStyle': {'width': 0}} for stage in STAGES])

    def slow(self, board: Board) -> None:
        """Draw anew."""
        pose, command = board.history('pose'), board.history('command')
        stages = board.stages()
        now_s = max((rows[-1][0] for rows in (pose, command) if rows), default=0.0)
        _fill(self._angles, now_s, [
            (pose, 1, math.degrees), (command, 1, math.degrees),
            (pose, 2, math.degrees), (command, 2, math.degrees)])
        _fill(self._errors, now_s, [(board.history('error'), 1, float),
                                    (board.history('truth'), 1, float)])
        _fill(self._stages, now_s, [
            ([(stamp, spent.get(stage, 0.0)) for stamp, spent in stages], 1, float)
            for stage in STAGES])


def thinned(rows: Rows, most: int = POINTS) -> Rows:
    """Every n-th row, the last one kept, so that at most `most` stay."""
    step = max(1, math.ceil(len(rows) / most))
    return rows[(len(rows) - 1) % step::step] if rows else rows


def _fill(chart: ui.echart, now_s: float, lines: list[tuple[Rows, int, Any]]) -> None:
    for series, (rows, column, convert) in zip(chart.options['series'], lines):
        series['data'] = [[round(row[0] - now_s, 2), round(convert(row[column]), 2)]
                          for row in thinned(rows)]
    chart.update()


def _line(name: str, colour: str, dashed: bool = False) -> dict[str, Any]:
    style: dict[str, Any] = {'width': 1.5, 'type': 'dashed' if dashed else 'solid'}
    made: dict[str, Any] = {'name': name, 'type': 'line', 'showSymbol': False, 'data': [],
                            'lineStyle': style}
    if colour:
        made['color'] = COLOURS[colour]
    return made


def _chart(unit: str, series: list[dict[str, Any]]) -> ui.echart:
    return ui.echart({
        'animation': False, 'aria': {'enabled': True}, 'series': series,
        'title': {'text': unit, 'left': 0, 'top': 0,
                  'textStyle': {'fontSize': 12, 'color': '#cfd5de'}},
        'legend': {'top': 20, 'left': 0, 'textStyle': {'color': '#cfd5de', 'fontSize': 11},
                   'itemWidth': 14, 'itemHeight': 8},
        'grid': {'left': 44, 'right': 10, 'top': 62, 'bottom': 24},
        'xAxis': {'type': 'value', 'min': -KEPT_S, 'max': 0,
                  'axisLabel': {'formatter': '{value} s', 'color': '#b9c0cb'},
                  'splitLine': {'show': False}},
        'yAxis': {'type': 'value', 'axisLabel': {'color': '#b9c0cb'},
                  'splitLine': {'lineStyle': {'color': '#2c333d'}}},
    }).style('height: 230px; width: 100%')
