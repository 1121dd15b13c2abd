"""The camera's picture with everything the eye makes of it; pointing into it tells the robot."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from nicegui import events, ui
import numpy as np

from gaze_robot.errors import CommandError, GazeRobotError
from gaze_robot.geometry import base_ray, pan_tilt_from_direction, panorama_direction
from gaze_robot.viewer.board import Board, Robot, Shown
from gaze_robot.viewer.drawing import levelled
from gaze_robot.viewer.source import Source

LEGEND = (('#ff5a3c', 'fovea'), ('#ffbe28', 'ring 2'), ('#5aaaff', 'ring 3 and on'),
          ('#3ce65a', 'target'), ('#ff2800', 'how likely it is there'), ('#fa78dc', 'people'),
          ('#f5dc50', 'stands out'))
LOOK_M = 10.0
"""Where a clicked point is taken to be, metres away: what the head's own size does not matter to.
"""


async def tell(doing: Awaitable[str]) -> None:
    """Have a robot do something, and say what came of it."""
    try:
        answer = await doing
    except GazeRobotError as error:
        ui.notify(str(error), type='negative', multi_line=True)
    else:
        ui.notify(answer, type='positive')


def direction_at(shown: Shown, x: float, y: float) -> np.ndarray:
    """(3,) base-frame direction of a place in a picture, given in shares of it.

    Raises:
        CommandError: nobody told how the camera stood and through which lens it saw.
    """
    note = shown.note
    if note is None:
        raise CommandError('gaze_node told nothing of this picture, so nobody knows where it '
                           'points; is gaze_node running?')
    ray = note.camera.unproject(np.array([x * note.camera.width, y * note.camera.height]))
    return base_ray(ray, note.pan_rad, note.tilt_rad)


def cut_out(shown: Shown, left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """A part of a picture, given in shares of it: (h, w, 3) uint8 RGB.

    Raises:
        CommandError: it has fewer than 8 pixels on a side.
    """
    image = levelled(shown)
    height, width = image.shape[:2]
    x0, x1, y0, y1 = (round(share * size) for share, size in (
        (left, width), (right, width), (top, height), (bottom, height)))
    if min(x1 - x0, y1 - y0) < 8:
        raise CommandError('this is too small to be recognised: draw around all of the thing')
    return image[y0:y1, x0:x1].copy()


class Pointing:
    """What clicks and drags in pictures mean."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def _robot(self) -> Robot:
        if self._source.robot is None:
            raise CommandError('this is a recording: nobody is there to look')
        return self._source.robot

    async def look(self, event: events.GenericEventArguments) -> None:
        """Look at a place in the camera's picture."""
        place = event.args
        await tell(self._look_in_picture(place['x'], place['y'], int(place['number'])))

    async def exemplar(self, event: events.GenericEventArguments) -> None:
        """Search for what a rectangle of the camera's picture shows."""
        await tell(self._show(event.args))

    async def look_on_map(self, event: events.GenericEventArguments) -> None:
        """Look at a place of the panorama."""
        place = event.args
        await tell(self.look_along(panorama_direction([place['x'], place['y']], 1, 1)))

    async def look_along(self, direction: np.ndarray) -> str:
        """Look along a base-frame direction."""
        await self._robot.look_at(direction * LOOK_M)
        pan, tilt = np.degrees(pan_tilt_from_direction(direction))
        side = 'left' if pan > 0 else 'right'
        return (f'Looking {abs(pan):.0f} degrees {side}, {abs(tilt):.0f} '
                f'{"down" if tilt > 0 else "up"}')

    async def _look_in_picture(self, x: float, y: float, number: int) -> str:
        return await self.look_along(direction_at(self._recent(number), x, y))

    async def _show(self, place: dict[str, Any]) -> str:
        shown = self._recent(int(place['number']))
        picture = cut_out(shown, *(float(place[key]) for key in ('left', 'top', 'right',
                                                                 'bottom')))
        return await self._robot.show(picture)

    def _recent(self, number: int) -> Shown:
        shown = self._source.board.numbered(number)
        if shown is None:
            raise CommandError('that picture is gone already: click again')
        return shown


class Picture:
    """An image on the page that is replaced as often as the browser keeps up."""

    def __init__(self, source: Source, kind: str, number: Callable[[Board], int | None],
                 label: str) -> None:
        """Make it where the page is being built.

        Args:
            source: whose picture it is.
            kind: one of `gallery.KINDS`.
            number: of the newest picture of that kind; None while there is none.
            label: for who cannot see it.
        """
        self.kind, self._key, self._number = kind, source.key, number
        self.element = ui.interactive_image('', size=(4, 3), sanitize=False).classes(
            'gaze-picture').props(f'tabindex=0 role=img aria-label="{label}"')

    def on_pointing(self, look: Any, exemplar: Any = None) -> None:
        """Call these with what was pointed at."""
        self.element.on('look', look)
        if exemplar is not None:
            self.element.on('exemplar', exemplar)
        drags = 'true' if exemplar is not None else 'false'
        ui.run_javascript(f'gazePicture({self.element.id}, {drags})')

    def update(self, board: Board) -> None:
        """Show the newest."""
        number = self._number(board)
        if number is not None:
            source = f'/picture/{self._key}/{self.kind}/{number}.jpg'
            if self.element.source != source:
                self.element.props(remove='size')       # from now on, the picture's own
                self.element.set_source(source)


class EyePanel:
    """Picture, legend, and whether to draw into it."""

    def __init__(self, source: Source, kept: MutableMapping[str, Any]) -> None:
        """`kept` outlives a reload of the page."""
        self._kept = kept
        drawn = bool(kept.get('drawn', True))
        with ui.element('section').classes('gaze-panel').props('aria-label="What the eye sees"'):
            ui.html('<h2>What the eye sees</h2>', sanitize=False)
            self.picture = Picture(source, 'eye' if drawn else 'camera', _newest,
                                   'picture of the camera')
            if source.robot is not None:
                pointing = Pointing(source)
                self.picture.on_pointing(pointing.look, pointing.exemplar)
            with ui.row().classes('items-center gap-2 w-full'):
                self.drawn = ui.switch('Rings, heat, targets', value=drawn,
                                       on_change=self._switch).props('dense')
            ui.html('<div class="gaze-legend">' + ''.join(
                f'<span><i style="background:{colour}"></i>{name}</span>'
                for colour, name in LEGEND) + '</div>', sanitize=False)
            if source.robot is not None:
                ui.label('Click: look there. Drag a rectangle: search for what is in it. '
                         'Keyboard: arrow keys, Enter to look, E to search.').classes('gaze-hint')

    def _switch(self, event: events.ValueChangeEventArguments) -> None:
        self._kept['drawn'] = event.value
        self.picture.kind = 'eye' if event.value else 'camera'

    def fast(self, board: Board) -> None:
        """Show the newest picture."""
        self.picture.update(board)


def _newest(board: Board) -> int | None:
    return None if board.picture is None else board.picture.number
