"""The same work many times, in several processes: each draws with an OpenGL of its own."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
import multiprocessing
from typing import Any

import cv2
import torch
from tqdm import tqdm

Run = Callable[[Callable[[Any], Any], Sequence[Any], str], Iterable[Any]]
"""(work, items, what to call it) to the results, in order, each as soon as it is there; shows how
far it is."""


@contextmanager
def workers(jobs: int, quiet: bool = False) -> Iterator[Run]:
    """Processes that work can be given to; one job: this process."""
    if jobs == 1:
        yield lambda work, items, what: map(work, tqdm(items, what, disable=quiet))
        return
    # Started anew, not copied: OpenGL does not survive that.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context('spawn'), _alone) as pool:
        yield lambda work, items, what: tqdm(pool.map(work, items, chunksize=_share(items, jobs)),
                                             what, len(items), disable=quiet)


def _share(items: Sequence[Any], jobs: int) -> int:
    """How many a process is given at a time."""
    return max(1, min(4, len(items) // (4 * jobs)))


def _alone() -> None:
    """One thread in each process: there are as many of them as cores."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
