"""The robot in its surrounding: a scene in three dimensions, and a flat map."""

import math

from nicegui import events, ui
from nicegui.elements.scene.objects import Texture
import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.config import ViewerConfig
from gaze_robot.geometry import direction_from_pan_tilt
from gaze_robot.head_geometry import rotation_about, rotation_from_rpy
from gaze_robot.viewer.board import Board
from gaze_robot.viewer.panel_eye import Picture, Pointing, tell
from gaze_robot.viewer.source import Source

RADIUS_M = 3.0
"""Of the sphere that the surrounding is painted on; nobody knows how far away things are."""

WALL = 'wall'
"""Name of what a double-click means: rays hit lines, the grid's too, and dots from up to a metre
away besides. It is not seen, which rays do not mind."""

FRUSTUM_M = 0.8
ROWS, COLUMNS = 24, 48
FPS = 10
_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Optical frame (x right, y down, z forward) in camera_link (x forward, y left, z up), REP 103."""


class ScenePanel:
    """Frames of the head, view frustum, gaze ray, target, trail, and in simulation the room."""

    def __init__(self, source: Source, config: ViewerConfig) -> None:
        self._source, self._geometry = source, config.geometry
        self._room = 0
        self._sphere: Texture | None = None
        self._lens: CameraModel | None = None
        with ui.element('section').classes('gaze-panel').props('aria-label="Where it looks"'):
            ui.html('<h2>Where it looks in the room</h2>', sanitize=False)
            with ui.scene(560, 420, grid=False, background_color='#14171c', fps=FPS,
                          on_click=self._clicked, click_events=['dblclick']).classes(
                              'w-full') as self._scene:
                self._build()
            self._scene.move_camera(-1.7, 0.9, 0.9, 0.6, 0.0, -0.1, duration=0)
            hint = 'Drag to turn, wheel to come nearer.'
            if source.robot is not None:
                hint += ' Double-click on the room: look there.'
            ui.label(hint).classes('gaze-hint')

    def _build(self) -> None:
        scene, geometry = self._scene, self._geometry
        self._grid = scene.sphere(RADIUS_M, 24, 12, wireframe=True).material('#2c333d')
        scene.sphere(RADIUS_M, COLUMNS, ROWS).material(side='both').with_name(WALL).visible(False)
        scene.axes_helper(0.3)
        scene.cylinder(0.1, 0.14, 0.25, 24).rotate(math.pi / 2, 0, 0).move(0, 0, -0.2).material(
            '#5b6573')
        with scene.group() as self._pan:
            scene.axes_helper(0.22)
            scene.box(0.12, 0.16, 0.06).material('#7d8896')
            with scene.group().move(geometry.tilt_axis_forward, 0, 0) as self._tilt:
                scene.axes_helper(0.18)
                with scene.group().move(*geometry.camera_xyz).rotate_R(
                        (rotation_from_rpy(*geometry.camera_rpy) @ _OPTICAL).tolist()):
                    scene.box(0.09, 0.07, 0.1).material('#c3cad4')
                    self._optics = scene.group()
                    scene.line([0, 0, 0], [0, 0, RADIUS_M]).material('#ff5a3c')
        self._target = scene.sphere(0.09).material('#3ce65a').visible(False)
        self._truth = scene.sphere(0.06, wireframe=True).material('#ffffff').visible(False)
        self._trail = scene.point_cloud([[0, 0, 0]], [[1.0, 0.75, 0.16]], 0.05)

    async def _clicked(self, event: events.SceneClickEventArguments) -> None:
        hits = [hit for hit in event.hits if hit.object_name == WALL]
        if self._source.robot is None or not hits:
            return
        hit = hits[-1]                          # the far wall, not what stands before it
        direction = np.array([hit.x, hit.y, hit.z])
        await tell(Pointing(self._source).look_along(direction / np.linalg.norm(direction)))

    def fast(self, board: Board) -> None:
        """Turn the head."""
        poses = board.history('pose')
        if poses:
            _, pan, tilt = poses[-1]
            roll = rotation_about('x', self._geometry.tilt_axis_roll)
            self._pan.rotate_R(rotation_about('z', pan).tolist())
            self._tilt.rotate_R((roll @ rotation_about('y', tilt)).tolist())

    def slow(self, board: Board) -> None:
        """Move what moves seldom: room, lens, target, trail."""
        note = board.note
        if note is not None and note.camera != self._lens:
            self._lens = note.camera
            self._draw_frustum(note.camera)
        if board.panorama is not None and board.panorama[0] != self._room:
            self._room = board.panorama[0]
            self._paint(board.panorama[0])
        self._place(self._target, None if note is None or note.target is None
                    else note.target.direction)
        self._place(self._truth, board.truth)
        trail = board.trail()
        if trail:
            self._trail.set_points([[0.98 * RADIUS_M * value for value in place]
                                    for place in trail], [[1.0, 0.75, 0.16]] * len(trail))

    def _place(self, thing: ui.scene.sphere,
               direction: tuple[float, float, float] | None) -> None:
        thing.visible(direction is not None)
        if direction is not None:
            thing.move(*(0.95 * RADIUS_M * value for value in direction))

    def _paint(self, number: int) -> None:
        """Put the surrounding onto the sphere."""
        url = f'/picture/{self._source.key}/panorama/{number}.jpg'
        if self._sphere is None:
            self._grid.visible(False)
            with self._scene:
                self._sphere = self._scene.texture(url, sphere_grid())
        else:
            self._sphere.set_url(url)

    def _draw_frustum(self, camera: CameraModel) -> None:
        corners = FRUSTUM_M * camera.unproject(np.array([
            [0, 0], [camera.width, 0], [camera.width, camera.height], [0, camera.height]], float))
        self._scene.delete_objects(lambda thing: thing.name == 'frustum')
        with self._scene, self._optics:
            for corner, following in zip(corners, np.roll(corners, -1, axis=0)):
                for start, end in ((np.zeros(3), corner), (corner, following)):
                    self._scene.line(start.tolist(), end.tolist()).material(
                        '#66a3ff').with_name('frustum')


def sphere_grid(rows: int = ROWS, columns: int = COLUMNS) -> list[list[list[float] | None]]:
    """Where the corners of an equirectangular picture's tiles lie on the sphere, base frame.

    Returns:
        (rows + 1) rows from the picture's top, each of (columns + 1) points from its left.
    """
    return [[(RADIUS_M * direction_from_pan_tilt(
        np.array(math.pi - 2 * math.pi * column / columns),
        np.array(math.pi * row / rows - math.pi / 2))).tolist()
        for column in range(columns + 1)] for row in range(rows + 1)]


class MapPanel:
    """The surrounding as one flat picture; a click looks there."""

    def __init__(self, source: Source) -> None:
        self._count = 0
        with ui.element('section').classes('gaze-panel').props('aria-label="Map"'):
            ui.html('<h2>All around, flat</h2>', sanitize=False)
            self._picture = Picture(source, 'map', lambda board: self._count,
                                    'map of the surrounding')
            self._picture.element.style('aspect-ratio: 2')
            if source.robot is not None:
                self._picture.on_pointing(Pointing(source).look_on_map)
            ui.label('Ring: gaze. Dots: where it has looked. Cross: what is to be found, which '
                     'only a simulator knows.').classes('gaze-hint')

    def slow(self, board: Board) -> None:
        """Show it anew."""
        self._count += 1
        self._picture.update(board)


class MosaicPanel:
    """What the network receives."""

    def __init__(self, source: Source) -> None:
        """Make it where the page is being built."""
        with ui.element('section').classes('gaze-panel').props('aria-label="Mosaic"'):
            ui.html('<h2>What the network receives</h2>', sanitize=False)
            self._picture = Picture(source, 'mosaic', _newest, 'the foveated view')
            ui.label('Above as an eye has it, sharp in the middle; below its levels, sharpest '
                     'first.').classes('gaze-hint')

    def fast(self, board: Board) -> None:
        """Show the newest."""
        self._picture.update(board)


def _newest(board: Board) -> int | None:
    return None if board.mosaic is None else board.mosaic[0]
