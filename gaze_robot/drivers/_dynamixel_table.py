"""Registers of Dynamixel X-series servos and MX with firmware 2.0, and what their steps are."""

from enum import Enum
import math

from gaze_robot.drivers._servos import Scale


class Register(Enum):
    """(address, bytes) in the control table. Source: Robotis e-Manual, XL430-W250, 2.2 to 2.4."""

    MODEL = (0, 2)
    RETURN_DELAY = (9, 1)
    DRIVE_MODE = (10, 1)
    OPERATING_MODE = (11, 1)
    VELOCITY_LIMIT = (44, 4)
    MAX_POSITION = (48, 4)
    MIN_POSITION = (52, 4)
    TORQUE = (64, 1)
    STATUS_LEVEL = (68, 1)
    HARDWARE_ERROR = (70, 1)
    BUS_WATCHDOG = (98, 1)
    PROFILE_ACCELERATION = (108, 4)
    PROFILE_VELOCITY = (112, 4)
    GOAL_POSITION = (116, 4)
    VELOCITY = (128, 4)
    POSITION = (132, 4)
    VOLTAGE = (144, 2)
    TEMPERATURE = (146, 1)


POSITION_MODE, EXTENDED_POSITION_MODE = 3, 4
TIME_BASED_PROFILE = 4
"""Bit of the drive mode: profiles are milliseconds then, not speeds."""

SCALE = Scale(position=2 * math.pi / 4096, centre=2048,
              velocity=0.229 * 2 * math.pi / 60, acceleration=214.577 * 2 * math.pi / 3600)
HARDWARE_ERRORS = {0: 'input voltage', 2: 'overheating', 3: 'encoder', 4: 'electrical shock',
                   5: 'overload'}
