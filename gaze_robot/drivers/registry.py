"""Heads by name. To add one, write its file, inherit the contract, add a line here."""

import difflib
import importlib
import inspect
from typing import Any

from gaze_robot.config import PanTiltConfig
from gaze_robot.drivers.base import PanTiltDriver
from gaze_robot.errors import ConfigError

DRIVERS = {
    'sim': ('gaze_robot.drivers.kinematic', 'KinematicDriver'),
    'dynamixel': ('gaze_robot.drivers.dynamixel', 'DynamixelDriver'),
    'feetech': ('gaze_robot.drivers.feetech', 'FeetechDriver'),
    'pelco_d': ('gaze_robot.drivers.pelco_d', 'PelcoDDriver'),
    'onvif': ('gaze_robot.drivers.onvif', 'OnvifDriver'),
    'trajectory': ('gaze_robot.drivers.trajectory', 'TrajectoryDriver'),
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
    driver = _class_of(backend)
    known = set(inspect.signature(driver).parameters)
    if options.keys() - known:
        raise ConfigError(f'the {backend!r} driver has no option '
                          f'{", ".join(sorted(options.keys() - known))}; '
                          f'it has {", ".join(sorted(known))}')
    made: PanTiltDriver = driver(**options)
    return made


def make_configured(config: PanTiltConfig, **options: Any) -> PanTiltDriver:
    """Build the driver of a configuration's backend with what it says of that driver's wire.

    Args:
        config: which backend, and where it is.
        options: arguments of the driver's constructor that a configuration does not say.

    Raises:
        ConfigError: as `make_driver`, and where a setting does not fit the driver.
    """
    said: dict[str, Any] = {
        'port': config.port, 'baud_rate': config.baud_rate, 'ids': config.ids,
        'bus_watchdog_ms': config.bus_watchdog_ms, 'extended_position': config.extended_position,
        'position_query': config.position_query, 'full_speed': config.full_speed,
        'full_range': config.full_range, 'user': config.user, 'controller': config.controller}
    if config.answer_timeout:
        said['timeout_s'] = config.answer_timeout
    known: set[str] = set()
    if config.backend in DRIVERS:
        known = set(inspect.signature(_class_of(config.backend)).parameters)
    fitting = {key: said[key] for key in known & said.keys()}
    return make_driver(config.backend, **fitting, **options)


def _class_of(backend: str) -> Any:
    module, name = DRIVERS[backend]
    return getattr(importlib.import_module(module), name)
