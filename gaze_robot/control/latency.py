"""A command computed from an old picture, brought to the moment at which it takes effect."""

import math

from gaze_robot.errors import CommandError
from gaze_robot.types import PanTiltCommand, PanTiltLimits

LONGEST_LEAD_S = 0.5
"""No speed is trusted for longer than this."""


def ahead(command: PanTiltCommand, lead_s: float, limits: PanTiltLimits) -> PanTiltCommand:
    """The same goal after it has moved on at its own speed.

    Args:
        command: where the target was at the picture's stamp, and its speed.
        lead_s: from that stamp until the head follows: the picture's age now and the head's dead
            time. Beyond `LONGEST_LEAD_S` the goal stands still; negative counts as none.
        limits: what the result is clipped to.

    Raises:
        CommandError: lead_s is not a number.
    """
    if math.isnan(lead_s):
        raise CommandError('lead_s is not a number; the stamps of pictures and commands must be '
                           'on one clock')
    lead_s = min(max(lead_s, 0.0), LONGEST_LEAD_S)
    return limits.clip(PanTiltCommand(
        command.pan_rad + lead_s * command.pan_rad_s,
        command.tilt_rad + lead_s * command.tilt_rad_s, command.pan_rad_s, command.tilt_rad_s))
