"""One thread for inference, fed by a mailbox that holds one item: the newest."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
import threading
from typing import Generic, TypeVar

Item = TypeVar('Item')
Result = TypeVar('Result')


class Worker(Generic[Item, Result]):
    """Runs `work(item)` in one thread, newest item first, never more than one waiting.

    Results and exceptions wait until the owner's own thread calls `collect`; `notify` runs in the
    worker thread when there is something to collect and must only wake that owner.
    """

    def __init__(self, work: Callable[[Item], Result], notify: Callable[[], None],
                 name: str = 'inference') -> None:
        self._work = work
        self._notify = notify
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._waiting: deque[Item] = deque()
        self._jobs: deque[Future[Result | None]] = deque()

    def post(self, item: Item) -> Item | None:
        """Leave an item in the mailbox; returns the item it pushed out, which nobody will see."""
        with self._lock:
            replaced = self._waiting.popleft() if self._waiting else None
            self._waiting.append(item)
            if replaced is None:
                self._start(self._next)
        return replaced

    def call(self, action: Callable[[], None]) -> None:
        """Run `action` in the worker thread, after what was posted before, before later items."""
        def run() -> None:
            action()
        with self._lock:
            self._start(run)

    def collect(self) -> Iterator[Result]:
        """Yield the finished results, oldest first; re-raises what `work` or a call raised."""
        while self._jobs and self._jobs[0].done():
            result = self._jobs.popleft().result()
            if result is not None:
                yield result

    def stop(self) -> int:
        """Finish the item under way and end the thread.

        Returns:
            How many items led to nothing: those still waiting and those not yet collected.
        """
        with self._lock:
            left = len(self._waiting)
            self._waiting.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)
        while self._jobs:
            job = self._jobs.popleft()
            left += not job.cancelled() and job.result() is not None
        return left

    def _start(self, job: Callable[[], Result | None]) -> None:
        future = self._pool.submit(job)
        self._jobs.append(future)
        future.add_done_callback(self._wake)

    def _wake(self, future: 'Future[Result | None]') -> None:
        if not future.cancelled():
            self._notify()

    def _next(self) -> Result | None:
        with self._lock:
            item = self._waiting.popleft() if self._waiting else None
        return None if item is None else self._work(item)
