"""The page's Record button: `gaze-robot record` as a process of its own."""

import asyncio
from pathlib import Path
import signal
import sys
import time

from rclpy.node import Node

from gaze_robot.config import ViewerConfig
from gaze_robot.errors import CommandError
from gaze_robot.viewer.board import Board
from gaze_robot.viewer.telling import TOPICS

ALSO = ('camera_info', 'gaze/target', 'gaze/fixation', 'gaze/gaze_targets', 'joint_trajectory')
"""Recorded beside what the page itself shows: what a replay of the eye needs."""

SHOWS_ITSELF_S = 1.0
"""A recorder that cannot record has said so and ended by then."""

ENDS_S = 15.0


class RecordButton:
    """Starts and stops one recording at a time."""

    def __init__(self, node: Node, config: ViewerConfig, board: Board) -> None:
        self._node, self._config, self._board = node, config, board
        self._process: asyncio.subprocess.Process | None = None

    async def press(self, start: bool) -> str:
        """Start a recording, or end the one that runs.

        Raises:
            CommandError: it cannot be started, or none runs.
        """
        return await (self._start() if start else self._stop())

    async def _start(self) -> str:
        if self._process is not None and self._process.returncode is None:
            raise CommandError(f'{self._board.recording} is still being recorded')
        folder = Path(self._config.recordings) / time.strftime('%Y-%m-%d_%H-%M-%S')
        image = 'image_raw' + '/compressed' * (self._config.image_transport == 'compressed')
        topics = [self._node.resolve_topic_name(name) for name in (image, *TOPICS, *ALSO)]
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, '-m', 'gaze_robot.cli', 'record', str(folder), '--topics', *topics,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE)
        try:
            await asyncio.wait_for(self._process.wait(), SHOWS_ITSELF_S)
        except asyncio.TimeoutError:
            self._board.recording = folder.name
            return f'Recording to {folder}'
        raise CommandError(f'cannot record: {await self._last_words()}')

    async def _stop(self) -> str:
        process, self._process = self._process, None
        name, self._board.recording = self._board.recording, ''
        if process is None:
            raise CommandError('nothing is being recorded')
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        try:
            _, errors = await asyncio.wait_for(process.communicate(), ENDS_S)
        except asyncio.TimeoutError as error:
            process.kill()
            raise CommandError(f'the recorder of {name} did not end and was killed') from error
        if process.returncode:
            raise CommandError(f'{name}: {_last_line(errors)}')
        return f'Recorded {name}; look at it under Recordings'

    async def _last_words(self) -> str:
        assert self._process is not None
        _, errors = await self._process.communicate()
        self._process = None
        return _last_line(errors)

    def close(self) -> None:
        """End what is being recorded; the recorder finishes its file by itself."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)


def _last_line(errors: bytes) -> str:
    lines = errors.decode(errors='replace').strip().splitlines()
    return lines[-1].removeprefix('gaze-robot: ') if lines else 'it said nothing'
