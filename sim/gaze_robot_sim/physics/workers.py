"""The same work many times, in several processes: each draws with an OpenGL of its own."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
import multiprocessing
from typing import Any

from tqdm import tqdm

Run = Callable[[Callable[[Any], Any], Sequence[Any], str], list[Any]]
"""(work, items, what to call it) to the results, in order; shows how far it is."""


@contextmanager
def workers(jobs: int) -> Iterator[Run]:
    """Processes that work can be given to; one job: this process."""
    if jobs == 1:
        yield lambda work, items, what: [work(item) for item in tqdm(items, what)]
        return
    # Started anew, not copied: OpenGL does not survive that.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context('spawn')) as pool:
        yield lambda work, items, what: list(tqdm(pool.map(work, items, chunksize=4), what,
                                                  len(items)))
