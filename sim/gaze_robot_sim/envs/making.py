"""From what users write, such as `make(..., world='rooms/', dynamics='off')`, to a batch."""

from collections.abc import Mapping
import dataclasses
import difflib
import os
from typing import Any, TypeVar

from gaze_robot.allocator import keep_large_blocks
from gaze_robot.errors import ConfigError
from gaze_robot.foveation import FoveationPattern
from gaze_robot_sim.cores import Threads
from gaze_robot_sim.envs.batch import EyeBatch
from gaze_robot_sim.envs.config import EyeConfig
from gaze_robot_sim.render import Mapper
from gaze_robot_sim.scenes import open_world
from gaze_robot_sim.scenes.base import World

Place = str | os.PathLike[str] | World
Worlds = Place | list[Place] | tuple[Place, ...]
"""'procedural', the path of a panorama, a folder of them or a 360-degree video; an open world; or
several of these, of which every episode draws one."""

Config = TypeVar('Config', bound=EyeConfig)


def make_batch(kind: type[EyeBatch], eyes: int, world: Worlds = 'procedural',
               pattern: FoveationPattern | None = None, config: EyeConfig | None = None,
               options: Mapping[str, Any] | None = None, mapper: Mapper | None = None,
               seed: int | None = None) -> EyeBatch:
    """Make eyes of some task.

    Args:
        config: all settings of the task at once, or
        options: those that differ from the task's defaults, by name.
        mapper: how to render independent groups of eyes; None: on threads, one per core.
        seed: eye i draws from seed + i; None: from chance.

    Raises:
        ConfigError: an unknown option, or a value out of range.
        WorldError: the world cannot be opened.
    """
    keep_large_blocks()                             # every step makes and drops large arrays
    settled = config_from(kind.Config, config, options or {})
    listed = list(world) if isinstance(world, (list, tuple)) else [world]
    for item in listed:
        if not isinstance(item, (str, os.PathLike)) and not hasattr(item, 'scene'):
            raise ConfigError(f"a world is 'procedural', a path, or an open world, got {item!r}")
    opened = [isinstance(item, (str, os.PathLike)) for item in listed]
    worlds: list[Any] = [open_world(os.fspath(item)) if isinstance(item, (str, os.PathLike))
                         else item for item in listed]
    batch = kind(eyes, worlds, pattern, settled, seed, mapper or Threads())
    batch.owned = [world for world, own in zip(worlds, opened) if own]
    return batch


def config_from(kind: type[Config], config: EyeConfig | None, options: Mapping[str, Any]
                ) -> EyeConfig:
    """A task's config: the given one or its defaults, with some fields changed.

    Raises:
        ConfigError: an unknown option (the text names the nearest and all known ones), or a value
            out of range.
    """
    known = [field.name for field in dataclasses.fields(kind)]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f'; did you mean {near[0]!r}?' if near else ''
            raise ConfigError(f'no such option: {name!r}{hint} Known: world, pattern, config, '
                              f'render_mode, {", ".join(known)}; for many eyes also num_envs and '
                              'threads')
    if config is not None and not isinstance(config, kind):
        raise ConfigError(f'config must be a {kind.__name__}, got {type(config).__name__}')
    try:
        return dataclasses.replace(config if config is not None else kind(), **options)
    except TypeError as error:
        raise ConfigError(f'an option has the wrong type: {error}') from error
