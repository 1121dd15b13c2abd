"""Which signs pan_tilt_node shows, from what its head has counted lately. No ROS."""

from collections.abc import Mapping

from gaze_robot.nodes._head import Head
from gaze_robot.signs import Sign


def head_counters(head: Head) -> dict[str, int]:
    """The counters that signs are made of."""
    return {'limits': head.limit_hits, 'timeouts': head.timeouts,
            **{f'refused: {reason}': count for reason, count in head.refused.items()}}


def head_signs(head: Head, state: str, risen: Mapping[str, int], twins: int = 0) -> list[Sign]:
    """Everything that is wrong now.

    Args:
        head: as it is.
        state: of the node's life cycle.
        risen: how much `head_counters` rose in the last seconds.
        twins: other nodes of the same name.
    """
    signs = []
    if twins:
        signs.append(Sign('same name twice', f'{twins} more node(s) have this name'))
    if head.fault:
        signs.append(Sign('fault', f'fault: {head.fault}'))
    if state != 'active':
        signs.append(Sign('inactive', f'{state}, commands are refused'))
    if head.stopped:
        signs.append(Sign('run-stopped', 'run-stopped; release with ~/runstop'))
    if not head.enabled:
        signs.append(Sign('torque off', 'torque off; switch on with ~/torque_enable'))
    if hits := risen.get('limits'):
        signs.append(Sign('limits', f'{hits} commands reached beyond the limits and were cut'))
    if risen.get('timeouts'):
        signs.append(Sign('commands stopped', 'commands stopped coming while the head moved'))
    refused = {name.removeprefix('refused: '): count for name, count in risen.items()
               if name.startswith('refused: ')}
    if refused:
        reasons = ', '.join(f'{reason} {count}' for reason, count in refused.items())
        signs.append(Sign('commands refused', f'commands refused: {reasons}'))
    return signs
