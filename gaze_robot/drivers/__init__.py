"""Heads that can be pointed: one protocol, one file per head, one registry."""

from gaze_robot.drivers.base import PanTiltDriver as PanTiltDriver
from gaze_robot.drivers.registry import DRIVERS as DRIVERS
from gaze_robot.drivers.registry import make_driver as make_driver
