"""`gaze-robot demos play`: a film of one demonstration.

On top the instruction, then what could be seen, below what the joints did and were told to do.

T steps   N names
"""

from contextlib import closing
from dataclasses import dataclass
import math
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
from tqdm import tqdm
from tyro.conf import arg, Positional

from gaze_robot.draw import PANEL, QUIET_COLOUR, TEXT_COLOUR, write
from gaze_robot.errors import ConfigError
from gaze_robot.film import Video
from gaze_robot_sim.dashboard import TERM_COLOURS
from gaze_robot_sim.demos.episode import Episode
from gaze_robot_sim.demos.filming import seen
from gaze_robot_sim.demos.store import open_demos
from gaze_robot_sim.scenes.fixed_camera import FixedCameraScene
from gaze_robot_sim.watch import Gif, replacing

_HEADER, _PLOT, _NAMES = 40, 130, 8
"""Pixels of the header and of each plot in a film 960 wide; most names that fit into a plot."""


@dataclass(frozen=True)
class PlayConfig:
    """Options of `gaze-robot demos play`."""

    path: str
    """Folder of demonstrations."""

    episode: Annotated[Positional[str], arg(metavar='[EPISODE]')] = '0'
    """Which: its number or its name."""

    out: str = 'demo.mp4'
    """The film: .mp4 (VP9, plays in browsers), .webm (VP8: larger, six times as quick) or .gif."""

    size: int = 960
    """Pixels across."""

    every: int = 2
    """Steps for each picture of the film, which always lasts as long as the demonstration."""

    seed: int = 0
    """Nothing here is drawn; every command takes one."""

    def __post_init__(self) -> None:
        if not 320 <= self.size <= 3840 or self.every < 1:
            raise ConfigError('size is between 320 and 3840 and every at least 1, got '
                              f'{self.size} and {self.every}')
        if Path(self.out).suffix.lower() not in (*Video.CODECS, '.gif'):
            raise ConfigError(f'a film ends in {", ".join(Video.CODECS)} or .gif, got '
                              f'{self.out!r}')


def play(config: PlayConfig) -> dict[str, Any]:
    """Film a demonstration.

    Returns:
        episode, instruction, steps, seconds, frames, encoding, path.

    Raises:
        ConfigError, DemoError, WorldError: it cannot be read, or the film not be written.
    """
    demos = open_demos(config.path)
    episode = demos[demos.number(config.episode)]
    board = Board(episode, config.size)
    gif = Path(config.out).suffix.lower() == '.gif'
    fps = episode.rate_hz / config.every
    with replacing(config.out) as part:
        height, width = board.shape[:2]
        film = Gif(part, fps) if gif else Video(part, fps, (width, height))
        with closing(film):
            for step in tqdm(range(0, episode.steps, config.every), desc='filming', unit='frame'):
                film.add(board.frame(step))
    return {'episode': episode.name, 'instruction': episode.instruction, 'steps': episode.steps,
            'seconds': episode.duration_s, 'frames': film.frames, 'encoding': film.codec,
            'path': config.out}


class Board:
    """Frames of one demonstration."""

    def __init__(self, episode: Episode, width: int = 960) -> None:
        """Draw what stays the same.

        Args:
            width: of the frames, pixels.
        """
        self.episode, self._scale = episode, width / 960
        width = width // 2 * 2
        first = self._picture(0)
        self._tall = round(width * first.shape[0] / first.shape[1])
        plot = self._px(_PLOT)
        self._plots = [draw_traces(rows, names, what, width, plot, self._scale) for what, rows,
                       names in (('joints', episode.joints, episode.joint_names),
                                 ('actions', episode.actions, episode.action_names))]
        height = self._px(_HEADER) + self._tall + 2 * plot
        self.shape = (height + height % 2, width, 3)
        """Of every frame: (height, width, 3), both even, as films want them."""

    def frame(self, step: int) -> np.ndarray:
        """The picture at a step, `shape` uint8 RGB, a new array."""
        episode, top = self.episode, self._px(_HEADER)
        out = np.full(self.shape, PANEL // 2, np.uint8)
        height, width = self.shape[:2]
        write(out, episode.instruction[:70], self._px(12), self._px(26), 0.6 * self._scale)
        write(out, f'{episode.time_of(step):.2f} s', width - self._px(110), self._px(26),
              0.5 * self._scale, QUIET_COLOUR)
        out[top:top + self._tall] = cv2.resize(self._picture(step), (width, self._tall),
                                               interpolation=cv2.INTER_AREA)
        x = round(step / (episode.steps - 1) * (width - 1))
        for number, plot in enumerate(self._plots):
            start = top + self._tall + number * len(plot)
            out[start:start + len(plot)] = plot
            out[start:start + len(plot), max(0, x - 1):x + 1] = TEXT_COLOUR
        return out

    def _px(self, value: float) -> int:
        return round(value * self._scale)

    def _picture(self, step: int) -> np.ndarray:
        scene = self.episode.scene
        picture = seen(scene, self.episode.time_of(step))
        return picture[scene.covered] if isinstance(scene, FixedCameraScene) else picture


def draw_traces(rows: np.ndarray, names: tuple[str, ...], what: str, width: int, height: int,
                scale: float = 1.0) -> np.ndarray:
    """Columns of numbers over time, all to one scale.

    Args:
        rows: (T, N), finite.
        what: the plot's title.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    out = np.full((height, width, 3), PANEL, np.uint8)
    low, high = float(rows.min()), float(rows.max())
    margin = max(3, height // 12)
    x = np.linspace(0, width - 1, len(rows))
    shown = (high - rows) / max(high - low, 1e-9) * (height - 1 - 2 * margin) + margin
    for column in range(rows.shape[1]):
        points = np.stack([x, shown[:, column]], axis=1).round().astype(np.int32)
        cv2.polylines(out, [points], False, _colour(column), max(1, round(scale)), cv2.LINE_AA)
    size, left = 0.42 * scale, round(8 * scale)
    title = f'{what}, {low:.3g} to {high:.3g}'
    write(out, title, left, round(16 * scale), size)
    for column, name in enumerate(names if len(names) <= _NAMES else ()):
        write(out, name, left + round((230 + 90 * column) * scale), round(16 * scale), size,
              _colour(column))
    return out


def _colour(column: int) -> tuple[int, int, int]:
    """Of a trace; those after the first eight are darker, round by round."""
    shade = 0.75 ** (column // len(TERM_COLOURS))
    red, green, blue = TERM_COLOURS[column % len(TERM_COLOURS)]
    return math.ceil(red * shade), math.ceil(green * shade), math.ceil(blue * shade)
