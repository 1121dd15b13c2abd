"""How the motors sit in the head. No ROS."""

from dataclasses import dataclass, replace

import numpy as np

from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState


@dataclass(frozen=True)
class Mount:
    """How the motors sit in the head: motor angle = offset + direction * joint angle."""

    direction: tuple[int, int] = (1, 1)
    offset: tuple[float, float] = (0.0, 0.0)

    def to_motor(self, goal: PanTiltCommand) -> PanTiltCommand:
        """A goal in joint angles as the driver takes it."""
        (pan, tilt), (pan_zero, tilt_zero) = self.direction, self.offset
        return PanTiltCommand(pan_zero + pan * goal.pan_rad, tilt_zero + tilt * goal.tilt_rad,
                              pan * goal.pan_rad_s, tilt * goal.tilt_rad_s)

    def to_joint(self, pose: PanTiltState) -> PanTiltState:
        """A driver's reading in joint angles."""
        (pan, tilt), (pan_zero, tilt_zero) = self.direction, self.offset
        return PanTiltState(pan * (pose.pan_rad - pan_zero), tilt * (pose.tilt_rad - tilt_zero),
                            pan * pose.pan_rad_s, tilt * pose.tilt_rad_s, pose.stamp_s)

    def limits(self, joint: PanTiltLimits) -> PanTiltLimits:
        """Joint limits as limits of the motors."""
        ends = np.array([joint.min_position, joint.max_position]) * self.direction + self.offset
        low, high = ends.min(axis=0), ends.max(axis=0)
        return replace(joint, min_position=(float(low[0]), float(low[1])),
                       max_position=(float(high[0]), float(high[1])))
