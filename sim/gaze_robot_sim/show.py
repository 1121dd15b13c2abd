"""What `render_mode` asks for: pictures of a batch's eyes, as arrays or in a window."""

from collections.abc import Iterable, Mapping, Sequence
import os
from typing import Any
import warnings

import gymnasium
import numpy as np

from gaze_robot.errors import CommandError, ConfigError
from gaze_robot.optional import require
from gaze_robot_sim.dashboard import Dashboard
from gaze_robot_sim.envs.batch import EyeBatch


class Show:
    """Follows the episodes of a batch; without a render mode it does nothing."""

    def __init__(self, batch: EyeBatch, mode: str | None, known: Sequence[str]) -> None:
        """Begin to follow.

        Args:
            mode: 'rgb_array', 'human' or None.
            known: which of them the environment has.

        Raises:
            ConfigError: another mode.
            MissingDependencyError: 'human' without pygame.
        """
        if mode is not None and mode not in known:
            raise ConfigError(f'no such render mode: {mode!r}; known: None, {", ".join(known)}')
        self.mode = mode
        self._boards = [Dashboard(batch, eye) for eye in range(batch.eyes if mode else 0)]
        self._begun = False
        self._window = (Window(self._boards[0].title, batch.config.rate_hz)
                        if mode == 'human' else None)

    def began(self, eyes: Iterable[int]) -> None:
        """Some eyes began an episode and have looked."""
        self._begun = True
        for eye in eyes if self.mode else ():
            self._boards[eye].began()
        self._update()

    def stepped(self, parts: Mapping[str, np.ndarray]) -> None:
        """All eyes made a step and have looked; `parts` as `EyeBatch.step` returned them."""
        for board in self._boards:
            board.stepped(parts)
        self._update()

    def frames(self) -> tuple[np.ndarray, ...] | None:
        """A frame per eye, (720, 1280, 3) uint8 RGB each; None unless the mode is 'rgb_array'.

        Raises:
            CommandError: nothing is to be seen before the first reset.
        """
        if self.mode is None:
            gymnasium.logger.warn('nothing is drawn without a render mode: '
                                  "make(..., render_mode='rgb_array')")
        if self.mode != 'rgb_array':
            return None
        if not self._begun:
            raise CommandError('reset() comes before render()')
        return tuple(board.frame() for board in self._boards)

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window:
            self._window.close()

    def _update(self) -> None:
        if self._window and not self._window.closed:
            self._window.show(self._boards[0].frame())


class Window:
    """A window that shows frames at a steady rate until somebody closes it."""

    def __init__(self, title: str, fps: float) -> None:
        """Prepare; the window opens with the first frame.

        Raises:
            MissingDependencyError: pygame is not installed.
        """
        self.title, self.fps, self.closed = title, fps, False
        self._screen: Any = None
        _pygame()

    def show(self, frame: np.ndarray) -> None:
        """Show a frame, (height, width, 3) uint8 RGB, and wait until the next one is due.

        Raises:
            ConfigError: there is no screen.
        """
        pygame = _pygame()
        size = frame.shape[1::-1]
        if self._screen is None:
            try:
                pygame.display.init()
                self._screen = pygame.display.set_mode(size)
            except pygame.error as error:
                raise ConfigError(f'no window can be opened here ({error}); where there is no '
                                  "screen use render_mode='rgb_array'") from error
            pygame.display.set_caption(self.title)
            self._clock = pygame.time.Clock()
        self._screen.blit(pygame.image.frombuffer(frame.tobytes(), size, 'RGB'), (0, 0))
        pygame.display.flip()
        self._clock.tick(self.fps)
        if any(event.type == pygame.QUIT for event in pygame.event.get()):
            self.close()

    def close(self) -> None:
        """Close the window; it does not open again. Calling twice does no harm."""
        if self._screen is not None:
            _pygame().display.quit()
        self._screen, self.closed = None, True


def _pygame() -> Any:
    os.environ.setdefault('PYGAME_HIDE_SUPPORT_PROMPT', '1')
    with warnings.catch_warnings():
        # Where setuptools is installed, pygame 2.6 imports its deprecated pkg_resources.
        warnings.simplefilter('ignore')
        return require('pygame')
