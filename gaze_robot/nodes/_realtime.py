"""Punctuality beside other work on the machine. No ROS."""

import os

PRIORITY = 10
"""Of the head loop, 1 to 99: above everything ordinary, below the system's own drivers."""


def ask_for_realtime(priority: int = PRIORITY) -> bool:
    """Let the calling thread, and threads it starts, run before ordinary ones.

    Linux allows it to root and to users with an rtprio limit (/etc/security/limits.d). The kernel
    keeps 5 % of the time for ordinary threads, so that a runaway loop can be stopped.

    Returns:
        Whether the system allowed it.
    """
    if not hasattr(os, 'sched_setscheduler'):           # not Linux
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except PermissionError:
        return False
    return True
