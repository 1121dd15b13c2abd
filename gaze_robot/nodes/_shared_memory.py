"""Whether Fast DDS's shared memory still leads to this process, and a new start when it does not.

A process listens on a port, a file in /dev/shm, and holds its lock. When a node was killed and
starts again at once, a peer may take the new port for the old, dead one, and delete it. Nobody can
make it anew then, as this process holds the lock: it finds everybody and never hears anything.
Seen in 6 of about 330 starts on a very busy machine.
"""

from collections.abc import Iterable
import os
from pathlib import Path
import re
import sys
import time

_LOCK = re.compile(r'/dev/shm/(fastrtps_port\d+)_el')
_MAPPED = re.compile(r'/dev/shm/(fastrtps_port\d+) \(deleted\)')
WATCH_S = 60.0
"""After the start; later, peers know the port."""

EVERY_S = 2.0
TRIES = 3
_COUNTER = 'GAZE_ROBOT_STARTED_AGAIN'


def deaf_ports(open_files: Iterable[str], mapped: Iterable[str]) -> list[str]:
    """Ports whose lock is held here and whose memory has been deleted.

    Args:
        open_files: what the file descriptors of a process lead to.
        mapped: lines of its /proc/PID/maps.
    """
    held = {found.group(1) for name in open_files if (found := _LOCK.match(name))}
    deleted = {found.group(1) for line in mapped if (found := _MAPPED.search(line))}
    return sorted(held & deleted)


class Ear:
    """Looks every 2 s of the first minute whether this process can hear."""

    def __init__(self) -> None:
        self._start_s = self._looked_s = time.monotonic()

    def is_deaf(self) -> bool:
        """Whether nothing can reach this process by shared memory any more."""
        now_s = time.monotonic()
        if now_s - self._looked_s < EVERY_S or now_s - self._start_s > WATCH_S:
            return False
        self._looked_s = now_s
        return _tried() < TRIES and bool(deaf_ports(_open_files(), _maps()))


def start_again() -> None:
    """Replace this process by a new one of the same command; does not return."""
    os.environ[_COUNTER] = str(_tried() + 1)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _tried() -> int:
    text = os.environ.get(_COUNTER, '')
    return int(text) if text.isdigit() else 0


def _open_files() -> list[str]:
    folder = Path('/proc/self/fd')
    names = []
    for entry in os.listdir(folder) if folder.is_dir() else ():
        try:
            names.append(os.readlink(folder / entry))
        except OSError:                                     # the listing's own, closed by now
            continue
    return names


def _maps() -> list[str]:
    maps = Path('/proc/self/maps')
    return maps.read_text().splitlines() if maps.is_file() else []
