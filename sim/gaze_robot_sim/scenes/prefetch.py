"""A thread that reads the frames of a video that are asked for, and the next ones beforehand."""

from collections.abc import Callable
from concurrent.futures import Future
import os
import threading

import numpy as np

from gaze_robot.errors import WorldError
from gaze_robot_sim.scenes.frames import FrameReader, SKIP_AT_MOST

AHEAD = 4
"""Frames read beforehand, at most."""


class Prefetch:
    """Frames by number, from any thread; errors of reading come to whoever asks for the frame."""

    def __init__(self, reader: FrameReader, name: str, ahead: int = AHEAD,
                 known: Callable[[int], bool] = lambda index: False) -> None:
        """Start the thread.

        Args:
            reader: belongs to the thread from now on, until `close`.
            ahead: how many frames are read beforehand.
            known: frames that need not be, as somebody keeps them.
        """
        self.name, self.frames = name, reader.frames
        self._reader, self._ahead, self._known = reader, ahead, known
        self._changed = threading.Condition()
        self._asked: dict[int, Future[np.ndarray]] = {}
        self._ready: dict[int, np.ndarray | WorldError] = {}
        self._position, self._step = 0, 1
        self._closed = False
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._run, name=f'video {name}', daemon=True)
        self._thread.start()

    def show(self, index: int) -> None:
        """Say which frame is looked at now, so that those after it can be read."""
        with self._changed:
            self._check_open()
            if index == self._position:
                return
            step = (index - self._position) % self.frames
            self._step = step if step <= SKIP_AT_MOST else 1
            self._position = index
            soon = {index, *self._soon()}
            self._ready = {k: frame for k, frame in self._ready.items() if k in soon}
            self._changed.notify_all()

    def read(self, index: int) -> np.ndarray:
        """Frame `index`, 0 to frames - 1, as (height, width, 3) uint8 RGB.

        Raises:
            WorldError: it cannot be read, or this is closed.
        """
        with self._changed:
            self._check_open()
            frame = self._ready.pop(index, None)
            if isinstance(frame, WorldError):
                raise frame
            if frame is not None:
                return frame
            answer = self._asked.setdefault(index, Future())
            self._changed.notify_all()
        return answer.result()

    def close(self) -> None:
        """End the thread and close the file; calling twice does no harm."""
        if self._process != os.getpid():
            return                              # of a process that has forked: it has no thread
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:      # garbage is collected anywhere
            self._thread.join()

    def _check_open(self) -> None:
        if self._process != os.getpid():
            raise WorldError(f'{self.name} was opened before this process was forked; open the '
                             'world in the process that uses it')
        if self._closed:
            raise WorldError(f'{self.name} cannot be read; is the world still open?')

    def _soon(self) -> list[int]:
        """Frames that will be asked for if things go on as they did."""
        soon = ((self._position + k * self._step) % self.frames
                for k in range(1, self._ahead + 1))
        return [index for index in soon if not self._known(index)]

    def _run(self) -> None:
        try:
            while (index := self._next()) is not None:
                try:
                    frame: np.ndarray | WorldError = self._reader.read(index)
                except WorldError as error:
                    frame = error
                self._deliver(index, frame)
        finally:
            self._reader.close()
            with self._changed:
                self._closed = True
                for index in list(self._asked):
                    self._deliver(index, WorldError(
                        f'{self.name} cannot be read; is the world still open?'))
                self._ready.clear()

    def _next(self) -> int | None:
        """The frame to read next, waiting for one; None once closed."""
        with self._changed:
            while not self._closed:
                if self._asked:
                    return next(iter(self._asked))
                for index in self._soon():
                    # Seeking for what is only expected would hold up whoever asks meanwhile; but
                    # after its end a video starts again.
                    if index not in self._ready and (self._reader.reaches(index)
                                                     or index < self._position):
                        return index
                self._changed.wait()
            return None

    def _deliver(self, index: int, frame: np.ndarray | WorldError) -> None:
        with self._changed:
            answer = self._asked.pop(index, None)
            if answer is None:
                self._ready[index] = frame
            elif isinstance(frame, WorldError):
                answer.set_exception(frame)
            else:
                answer.set_result(frame)
