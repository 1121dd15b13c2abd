"""Worlds to look around in: made-up rooms, photographs, 360-degree videos."""

from pathlib import Path

from gaze_robot.errors import WorldError
from gaze_robot_sim.scenes.base import Scene, SearchTarget, World
from gaze_robot_sim.scenes.panoramas import PanoramaWorld, PICTURE_SUFFIXES
from gaze_robot_sim.scenes.procedural import ProceduralWorld
from gaze_robot_sim.scenes.video360 import VIDEO_SUFFIXES, VideoWorld

__all__ = ['open_world', 'Scene', 'SearchTarget', 'World']


def open_world(spec: str, seed: int = 0) -> World:
    """Open a world.

    Args:
        spec: 'procedural', or the path of an equirectangular picture, of a folder of such
            pictures, or of a 360-degree video.
        seed: of the procedural rooms; files do not depend on it.

    Raises:
        WorldError: there is no such thing, or it cannot be used; the text says why.
    """
    if spec == 'procedural':
        return ProceduralWorld(seed)
    path = Path(spec).expanduser()
    kinds = "'procedural', an equirectangular picture, a folder of them, or a 360-degree video"
    if not spec or not path.exists():
        raise WorldError(f'there is no world {spec!r}; give {kinds}')
    if path.is_dir():
        return PanoramaWorld.from_folder(path)
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return PanoramaWorld([path], path.name)
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return VideoWorld(path)
    raise WorldError(f'{path} is neither a picture ({", ".join(PICTURE_SUFFIXES)}) nor a video '
                     f'({", ".join(VIDEO_SUFFIXES)}); give {kinds}')
