"""One picture that says what an eye is doing: for people, films and `render()`.

Left, the whole surrounding with what the eye sees of it now, where it looked before and the true
target; right, what it receives; below, what it is shown, its error and its reward, term by term.
"""

from collections.abc import Callable, Mapping
import math

import cv2
import numpy as np

from gaze_robot.draw import (
    foveated_picture,
    level_colour,
    PANEL,
    QUIET_COLOUR,
    stacked_bars,
    TARGET_COLOUR,
    TEXT_COLOUR,
    tile,
    timeline,
    write,
)
from gaze_robot.draw_panorama import draw_marker, draw_trail, draw_view
from gaze_robot.errors import ConfigError
from gaze_robot.geometry import direction_from_pan_tilt
from gaze_robot_sim.envs.batch import EyeBatch
from gaze_robot_sim.envs.rewards import ON_TARGET_RAD
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.overlay import draw_on_panorama

WIDTH = 1280
"""Pixels across a frame unless told; its height is 9/16 of it."""

TRAIL_COLOUR = (255, 240, 120)
WARN = (255, 190, 40)
TERM_COLOURS = ((90, 200, 250), (120, 220, 120), (250, 200, 80), (240, 130, 200), (235, 95, 80),
                (170, 150, 250), (200, 200, 200), (150, 110, 70))
_TRAIL_S, _SPAN = 1.5, 600
"""How long the trail is, seconds; most steps across a plot."""

Rect = tuple[int, int, int, int]
"""(left, top, width, height), pixels."""


class Dashboard:
    """Frames of one eye of a batch; tell it of every step, ask for a picture when you want one."""

    def __init__(self, batch: EyeBatch, eye: int = 0, title: str = '', width: int = WIDTH) -> None:
        """Watch an eye.

        Args:
            title: name of the task; default: the batch's own.
            width: of the frames, pixels.

        Raises:
            ConfigError: too small to be read, or too large.
        """
        if not 800 <= width <= 3840:
            raise ConfigError(f'frames are between 800 and 3840 pixels wide, got {width}')
        self.batch, self.eye = batch, eye
        self.title = title or type(batch).__name__.removesuffix('Batch')
        self._scale = width / WIDTH
        self.shape = (round(width * 9 / 16) // 2 * 2, width // 2 * 2, 3)
        """Of every frame: (height, width, 3), both even, as films want them."""
        self._small: tuple[Panorama | None, np.ndarray] = (None, np.zeros(0, np.uint8))
        self.began()

    def began(self) -> None:
        """An episode begins: forget the last one."""
        self._poses = [self.batch.pose[self.eye].copy()]
        self._errors: list[float] = []
        self._terms: dict[str, list[float]] = {}

    def stepped(self, parts: Mapping[str, np.ndarray]) -> None:
        """A step was made.

        Args:
            parts: what `EyeBatch.step` returned beside the reward, (B,) each.
        """
        self._poses.append(self.batch.pose[self.eye].copy())
        self._errors.append(math.degrees(parts['error_rad'][self.eye])
                            if self.batch.present[self.eye] else math.nan)
        for name, value in parts.items():
            if name.startswith('reward/'):
                self._terms.setdefault(name[7:], []).append(float(value[self.eye]))

    def frame(self) -> np.ndarray:
        """The picture as things are now, `shape` uint8 RGB, a new array."""
        out = np.full(self.shape, PANEL // 2, np.uint8)
        self._header(out)
        self._put(out, (12, 48, 856, 428), self._surrounding)
        self._put(out, (880, 48, 388, 388), self._view)
        self._levels(out)
        self._legend(out)
        left = 12
        if 'exemplar' in self.batch.extra_spaces():
            self._put(out, (12, 506, 202, 202), self._exemplar)
            self._text(out, 'what to look for', 12, 498)
            left = 226
        middle = (left + 868) // 2 - 40
        self._put(out, (left, 506, middle - 12 - left, 202), self._error_plot)
        self._text(out, 'error, degrees (grey: on target)', left, 498)
        self._reward(out, middle, 868)
        return out

    # --- helpers in units of a frame WIDTH wide

    def _px(self, value: float) -> int:
        return round(value * self._scale)

    def _text(self, out: np.ndarray, text: str, x: float, y: float, size: float = 0.5,
              colour: tuple[int, int, int] = TEXT_COLOUR) -> None:
        write(out, text, self._px(x), self._px(y), size * self._scale, colour)

    def _put(self, out: np.ndarray, place: Rect, draw: Callable[[int, int], np.ndarray]
             ) -> None:
        left, top, width, height = map(self._px, place)
        out[top:top + height, left:left + width] = draw(width, height)

    # --- parts

    def _header(self, out: np.ndarray) -> None:
        batch, eye = self.batch, self.eye
        scene = batch.scene[eye]
        self._text(out, f'{self.title}   {scene.name if scene else ""}'[:34], 12, 32, 0.62)
        self._text(out, f'{batch.elapsed_s[eye]:.2f} s   step {batch.steps[eye]} of '
                   f'{batch.config.length}', 410, 32, 0.55, QUIET_COLOUR)
        error = float(batch.error_rad()[eye])
        if batch.present[eye]:
            self._text(out, f'error {math.degrees(error):.1f} deg', 680, 32, 0.62,
                       TARGET_COLOUR if error < ON_TARGET_RAD else WARN)
        facts = batch.facts()
        flags = {'no target now': not batch.present[eye],
                 'target hidden': 'occluded' in facts and facts['occluded'][eye],
                 'world paused': batch.steps[eye] < batch.config.pause_steps}
        self._text(out, '   '.join(name for name, on in flags.items() if on).upper(), 880, 32,
                   0.55, WARN)

    def _surrounding(self, width: int, height: int) -> np.ndarray:
        batch, eye = self.batch, self.eye
        scene = batch.scene[eye]
        if scene is None:
            return np.zeros((height, width, 3), np.uint8)
        now = batch.scene_time(eye)
        panorama = scene.panorama(now)
        if self._small[0] is not panorama:
            self._small = (panorama, cv2.resize(panorama.image, (width, height),
                                                interpolation=cv2.INTER_AREA))
        out = self._small[1].copy()
        draw_on_panorama(out, [*scene.sprites(now), *batch.things(eye)])
        pan, tilt = batch.pose[eye].tolist()
        draw_view(out, pan, tilt, self._half_sizes())
        trail = self._poses[-round(_TRAIL_S * batch.config.rate_hz) - 1:]
        draw_trail(out, direction_from_pan_tilt(*np.transpose(trail)), TRAIL_COLOUR)
        if batch.present[eye]:
            draw_marker(out, batch.aim[eye], self._px(9))
        write(out, 'everything around; bright: what the eye sees now', self._px(8), self._px(20),
              0.5 * self._scale)
        return out

    def _half_sizes(self) -> list[tuple[float, float]]:
        """Tangents of half of each level as far as the camera shows it."""
        hfov_deg, aspect = self.batch.retina.camera[self.eye]
        edge = math.tan(math.radians(hfov_deg) / 2)
        pattern = self.batch.pattern
        return [(min(half, edge), min(half, edge * aspect))
                for half in map(pattern.half_tangent, range(pattern.levels))]

    def _view(self, width: int, height: int) -> np.ndarray:
        pattern = self.batch.pattern
        halves = [pattern.half_tangent(level) for level in range(pattern.levels)]
        out = foveated_picture([view[self.eye] for view in self.batch.retina.views], halves, width)
        write(out, 'what the eye sees', self._px(8), self._px(20), 0.5 * self._scale)
        return out

    def _levels(self, out: np.ndarray) -> None:
        views = self.batch.retina.views
        step = 396 // max(3, len(views))
        for level, view in enumerate(views):
            def draw(width: int, _: int, level: int = level, view: np.ndarray = view
                     ) -> np.ndarray:
                return tile(view[self.eye], width, level_colour(level))
            self._put(out, (880 + step * level, 444, step - 8, step - 8), draw)
            self._text(out, f'{self.batch.pattern.fov_deg[level]:.0f} deg', 886 + step * level,
                       444 + step - 15, 0.45)

    def _legend(self, out: np.ndarray) -> None:
        levels = self.batch.pattern.levels
        top = 444 + 396 // max(3, levels) + 26
        rows = [((TARGET_COLOUR,), 'where the target truly is'),
                ((TRAIL_COLOUR,), f'where the eye looked, last {_TRAIL_S} s'),
                (tuple(map(level_colour, range(min(3, levels)))),
                 'levels of the view: fine to coarse'),
                ((QUIET_COLOUR,), 'outside the camera')]
        for row, (colours, name) in enumerate(rows):
            y, wide = top + 28 * row, 36 / len(colours)
            for i, colour in enumerate(colours):
                cv2.rectangle(out, (self._px(882 + wide * i), self._px(y - 11)),
                              (self._px(882 + wide * (i + 1)) - 1, self._px(y)), colour, -1)
            self._text(out, name, 930, y, 0.5)

    def _exemplar(self, width: int, height: int) -> np.ndarray:
        picture = self.batch.extras(np.array([self.eye]))['exemplar'][0]
        return cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC)

    def _error_plot(self, width: int, height: int) -> np.ndarray:
        rate = self.batch.config.rate_hz
        shown = self._errors[-_SPAN:]
        first = len(self._errors) - len(shown)
        span = min(_SPAN, self.batch.config.length)
        times = (first + np.arange(1, len(shown) + 1)) / rate
        return timeline(list(times), shown, width, height, span / rate, 180.0, first / rate,
                        (5, 45, 90, 180))

    def _reward(self, out: np.ndarray, left: int, right: int) -> None:
        names = list(self._terms) or list(self.batch.config.rewards)
        colours = [TERM_COLOURS[i % len(TERM_COLOURS)] for i in range(len(names))]
        rows = (np.array(list(self._terms.values())).T if self._terms
                else np.zeros((0, len(names))))
        span = min(_SPAN, self.batch.config.length)
        self._text(out, f'reward per step, sum {rows.sum():+.2f}', left, 498)
        self._put(out, (left, 506, right - 150 - left, 202),
                  lambda width, height: stacked_bars(rows, colours, width, height, span))
        if len(rows):
            self._text(out, f'{np.maximum(rows[-span:], 0).sum(axis=1).max():+.2g}', left + 4, 520)
        for i, (name, colour) in enumerate(zip(names, colours)):
            y = 522 + i * min(34, 190 // max(1, len(names)))
            self._text(out, name, right - 140, y, 0.48, colour)
            if len(rows):
                self._text(out, f'{round(rows[-1, i], 3) + 0.0:+.3f}', right - 58, y, 0.48, colour)
