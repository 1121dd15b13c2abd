"""Whom a page shows: a robot now, or what was recorded of one."""

from typing import Protocol

from gaze_robot.viewer.board import Board, Robot


class Source(Protocol):
    """Someone who fills a board."""

    @property
    def key(self) -> str:
        """Of its pictures' addresses; letters and digits, no two of a process the same."""

    @property
    def title(self) -> str:
        """For people: the robot's name, or the recording's."""

    @property
    def live(self) -> bool:
        """Whether this is now; else times are a recording's."""

    @property
    def robot(self) -> Robot | None:
        """Who can be told what to do; None for a recording."""

    @property
    def board(self) -> Board:
        """What is known; another one after a recording was moved through."""

    def watched(self, browsers: int) -> None:
        """Say how many browsers look; with none, nothing needs to be gathered."""

    def close(self) -> None:
        """Let go of everything; may be called twice."""
