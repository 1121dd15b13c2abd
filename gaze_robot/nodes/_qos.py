"""The quality-of-service profiles of every topic, by what they are for."""

import copy
from typing import Any

from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    qos_profile_sensor_data,
    QoSProfile,
    ReliabilityPolicy,
)
from rclpy.qos_overriding_options import QoSOverridingOptions


def _profile(depth: int, reliability: ReliabilityPolicy,
             durability: DurabilityPolicy = DurabilityPolicy.VOLATILE) -> QoSProfile:
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability,
                      durability=durability)


IMAGE = _profile(1, ReliabilityPolicy.BEST_EFFORT)
"""Pictures in, and pictures for people out: newest only; matches reliable publishers too."""

IMAGE_IN = qos_profile_sensor_data
"""The eye's pictures: best effort, depth 5. At depth 1 what arrives during a stall vanishes in the
middleware; like this it is received, replaced in the eye's mailbox, and counted."""

JOINT_STATES_IN = _profile(10, ReliabilityPolicy.BEST_EFFORT)
"""Joint states as a reader: matches reliable and best-effort publishers."""

JOINT_STATES_OUT = _profile(10, ReliabilityPolicy.RELIABLE)
"""Joint states as a writer: reliable, so that every reader matches."""

COMMAND = _profile(1, ReliabilityPolicy.RELIABLE)
"""Commands, targets, markers."""

LATCHED = _profile(1, ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL)
"""States that a late reader wants at once: mode, on_target, stopped, exemplar."""

DIAGNOSTICS = _profile(10, ReliabilityPolicy.RELIABLE)
TF = _profile(100, ReliabilityPolicy.RELIABLE)

CAMERA_RELIABLE = _profile(5, ReliabilityPolicy.RELIABLE)
CAMERA_BEST_EFFORT = qos_profile_sensor_data


def camera_out(reliability: str) -> QoSProfile:
    """What a camera publishes pictures with: 'reliable' or 'best_effort'."""
    return CAMERA_RELIABLE if reliability == 'reliable' else CAMERA_BEST_EFFORT


def overridable(profile: QoSProfile) -> dict[str, Any]:
    """Options of a publisher or subscription that `qos_overrides` parameters may change.

    A copy: rclpy writes the overrides into the profile it is given.
    """
    return {'qos_profile': copy.copy(profile),
            'qos_overriding_options': QoSOverridingOptions.with_default_policies()}


def describe(profile: QoSProfile) -> str:
    """One phrase for people, for example 'best effort, volatile'."""
    return (f'{profile.reliability.name.lower().replace("_", " ")}, '
            f'{profile.durability.name.lower().replace("_", " ")}')
