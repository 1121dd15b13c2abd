"""Heads by name. To add one, write its file, inherit the contract, add a line here."""

import difflib
import importlib
import inspect
from typing import Any

from gaze_robot.drivers.base import PanTiltDriver
from gaze_robot.errors import ConfigError

DRIVERS = {
    'sim': ('gaze_robot.drivers.kinematic', 'KinematicDriver'),
    'dynamixel': ('gaze_robot.drivers.dynamixel', 'DynamixelDriver'),
    'feetech': ('gaze_robot.drivers.feetech', 'FeetechDriver'),
    'pelco_d': ('gaze_robot.drivers.pelco_d', 'PelcoDDriver'),
    'onvif': ('gaze_robot.drivers.onvif', 'OnvifDriver'),
}
"""Backend name -> (module, class); a module is imported when its backend is asked for."""


def make_driver(backend: str, **options: Any) -> PanTiltDriver:
    """Build the driver of a backend, not yet connected.

    Args:
        backend: a key of `DRIVERS`.
        options: arguments of the driver's constructor.

    Raises:
        ConfigError: unknown backend, or an option that the driver does not take.
    """
    if backend not in DRIVERS:
        nearest = difflib.get_close_matches(str(backend), DRIVERS, n=1)
        hint = f' did you mean {nearest[0]!r}?' if nearest else ''
        raise ConfigError(f'no driver for backend {backend!r};{hint} '
                          f'known: {", ".join(sorted(DRIVERS))}')
    module, name = DRIVERS[backend]
    driver = getattr(importlib.import_module(module), name)
    known = set(inspect.signature(driver).parameters)
    if options.keys() - known:
        raise ConfigError(f'the {backend!r} driver has no option '
                          f'{", ".join(sorted(options.keys() - known))}; '
                          f'it has {", ".join(sorted(known))}')
    made: PanTiltDriver = driver(**options)
    return made
