"""What an episode's scene shows, as one file: a video, or a picture where nothing moves."""

from pathlib import Path
import tempfile

import cv2
import numpy as np

from gaze_robot.errors import DemoError
from gaze_robot.film import Video
from gaze_robot_sim.demos.episode import Episode
from gaze_robot_sim.scenes.base import Scene
from gaze_robot_sim.scenes.overlay import draw_on_panorama


class _Film(Video):
    """A video that is quick to write and to read; browsers do not play it."""

    # A frame of 1024 x 512, of a thing that moves through a made-up room, takes MPEG-4 2 ms and
    # 4 KB on one core (VP9: 190 ms, 5 KB; FFV1: 35 ms, 330 KB) and comes back 3 grey levels RMS
    # off (VP9: 2.8, FFV1: 0).
    CODECS = {'.mp4': ('mp4v',), '.mkv': ('FFV1',)}


def seen(scene: Scene, t_s: float) -> np.ndarray:
    """All that is to be seen around at a time, (H, 2 H, 3) uint8 RGB; not to be changed."""
    panorama, sprites = scene.panorama(t_s), scene.sprites(t_s)
    if not sprites:
        return panorama.image
    out = panorama.image.copy()
    draw_on_panorama(out, sprites)
    return out


def film(episode: Episode, folder: Path, lossless: bool = False) -> tuple[Path, int]:
    """Write what can be seen in an episode into a new file of a folder, step by step.

    Args:
        lossless: keep every pixel as it is; a picture is always kept like that.

    Returns:
        The file, and its frames: one for each step; 0: a picture, as nothing moves.

    Raises:
        DemoError: it cannot be written.
    """
    with tempfile.NamedTemporaryFile(dir=folder, prefix='.film-', delete=False,
                                     suffix='.mkv' if lossless else '.mp4') as file:
        path = Path(file.name)
    try:
        return _filmed(episode, path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _filmed(episode: Episode, path: Path) -> tuple[Path, int]:
    scene = episode.scene
    first = seen(scene, 0.0)
    video: _Film | None = None
    for step in range(1, episode.steps):
        frame = seen(scene, episode.time_of(step))
        if video is None and not np.array_equal(frame, first):
            # Nothing moved up to here: that is so many times the first picture.
            height, width = first.shape[:2]
            # Its own rate is for players only; neither they nor MPEG-4 know every one.
            fps = round(min(max(episode.rate_hz, 0.1), 120.0), 1)
            video = _Film(str(path), fps, (width, height))
            for _ in range(step):
                video.add(first)
        if video is not None:
            video.add(frame)
    if video is not None:
        video.close()
        return path, episode.steps
    picture = path.with_suffix('.png')
    path.replace(picture)
    if not cv2.imwrite(str(picture), cv2.cvtColor(first, cv2.COLOR_RGB2BGR)):
        raise DemoError(f'{picture} cannot be written; is the disk full?')
    return picture, 0
