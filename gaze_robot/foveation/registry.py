"""Front ends by name: what configurations, checkpoints and the command line choose from."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gaze_robot.errors import ConfigError
from gaze_robot.foveation.front_end import FrontEnd, PyramidFrontEnd
from gaze_robot.foveation.log_polar import LogPolarFrontEnd
from gaze_robot.foveation.pattern import FoveationPattern
from gaze_robot.foveation.rings import RingsFrontEnd
from gaze_robot.schema import from_mapping, parameter_names

FRONT_ENDS: dict[str, type[FrontEnd]] = {
    front_end.name: front_end for front_end in (PyramidFrontEnd, RingsFrontEnd, LogPolarFrontEnd)}


def make_front_end(name: str, pattern: FoveationPattern | None = None,
                   config: Mapping[str, Any] | None = None) -> FrontEnd:
    """Make a front end from what `FrontEnd.name`, `.pattern` and `.config` say of one.

    Args:
        name: a key of `FRONT_ENDS`.
        pattern: levels to cut; None is the default pattern. Rings make their own from `config`;
            one that is given must be that.
        config: fields of the front end's class; what is missing keeps its default.

    Raises:
        ConfigError: unknown name or field, impossible geometry, or a pattern that is not the
            rings' own.
    """
    if name not in FRONT_ENDS:
        raise ConfigError(f'there is no front end {name!r}; choose from '
                          f'{", ".join(sorted(FRONT_ENDS))}')
    kind, settings = FRONT_ENDS[name], dict(config or {})
    if 'pattern' in settings:
        raise ConfigError(f'the pattern of a {name} front end is given beside its config, not in '
                          'it')
    own = 'pattern' not in parameter_names(kind)
    if pattern is not None and not own:
        settings['pattern'] = pattern
    made = from_mapping(kind, settings)
    if own and pattern is not None and not _same(made.pattern, pattern):
        raise ConfigError(f'these {name} sample levels of {made.pattern.fov_deg} degrees and '
                          f'{made.pattern.window} samples, not {pattern.fov_deg} and '
                          f'{pattern.window}; leave the pattern out')
    return made


def _same(one: FoveationPattern, other: FoveationPattern) -> bool:
    """Whether two patterns are equal but for the last digits of their angles."""
    return (one.window, one.patch) == (other.window, other.patch) and np.allclose(
        one.fov_deg, other.fov_deg, rtol=1e-9, atol=0)
