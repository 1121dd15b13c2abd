"""How long the stages of one picture take."""

import time


class Clock:
    """Milliseconds per stage, from when it is made."""

    def __init__(self) -> None:
        self.stages_ms: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """A stage is over."""
        now = time.perf_counter()
        self.stages_ms[stage] = (now - self._last) * 1e3
        self._last = now
