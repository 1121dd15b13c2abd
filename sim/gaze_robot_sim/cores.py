"""How many threads are worth starting, and those that a batch of eyes uses."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
import os
from typing import Any

from gaze_robot.errors import ConfigError


def available_cores() -> int:
    """Processors this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Threads:
    """`map` over threads that start when first needed; a pickled copy starts its own."""

    def __init__(self, count: int = 0) -> None:
        """Choose how many; 0: one per core, 1: plain `map`."""
        if not isinstance(count, int) or count < 0:
            raise ConfigError(f'threads must be a whole number of 0 or more, got {count!r}')
        self.count = count or available_cores()
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0

    def __call__(self, work: Callable, items: Iterable) -> Iterable[Any]:
        """Like `map`, in the order of the items."""
        if self.count == 1:
            return map(work, items)
        if self._pool is None or self._process != os.getpid():      # a fork has no threads
            self._process = os.getpid()
            self._pool = ThreadPoolExecutor(self.count, thread_name_prefix='eyes')
        return self._pool.map(work, items)

    def close(self) -> None:
        """End the threads; calling twice does no harm."""
        if self._pool is not None and self._process == os.getpid():
            self._pool.shutdown()
        self._pool = None

    def __getstate__(self) -> dict[str, Any]:
        return {'count': self.count, '_pool': None, '_process': 0}
