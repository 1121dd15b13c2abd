"""What a running loop counts: rates, latencies, stage times and why frames were dropped."""

from collections import Counter, deque
import threading

import numpy as np


class Samples:
    """The last `size` measurements of one quantity."""

    def __init__(self, size: int = 20_000) -> None:
        # All of it now: a running node's memory stays what it is.
        self._values = np.full(size, np.nan, np.float32)
        self._count = 0

    def add(self, value: float) -> None:
        """Append one measurement."""
        self._values[self._count % len(self._values)] = value
        self._count += 1

    def percentiles(self, recent: int = 0) -> dict[str, float | None]:
        """{'p50': .., 'p95': ..} of all kept values or of the last `recent`; None without any."""
        kept = min(self._count, len(self._values))
        last = np.arange(self._count - min(kept, recent or kept), self._count)
        if not len(last):
            return {'p50': None, 'p95': None}
        values = self._values[last % len(self._values)]
        p50, p95 = np.percentile(values, (50, 95))
        return {'p50': round(float(p50), 3), 'p95': round(float(p95), 3)}


class Rate:
    """Events per second over the last `window_s`."""

    def __init__(self, window_s: float = 2.0) -> None:
        self.window_s = window_s
        self.count = 0
        self._stamps: deque[float] = deque()

    def tick(self, now_s: float) -> None:
        """Count one event."""
        self.count += 1
        if self._stamps and now_s < self._stamps[-1] - self.window_s:
            self._stamps.clear()            # the clock went back
        self._stamps.append(now_s)
        self._forget(now_s)

    def hz(self, now_s: float) -> float:
        """Events per second up to `now_s`."""
        self._forget(now_s)
        return len(self._stamps) / self.window_s

    def _forget(self, now_s: float) -> None:
        while self._stamps and self._stamps[0] <= now_s - self.window_s:
            self._stamps.popleft()


class Drops:
    """How many frames were not used, by reason; safe to count from any thread."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, reason: str, count: int = 1) -> int:
        """Count frames under a reason; returns that reason's total."""
        with self._lock:
            self._counts[reason] += count
            return self._counts[reason]

    def as_dict(self) -> dict[str, int]:
        """{reason: count}, most frequent first."""
        with self._lock:
            return {reason: count for reason, count in self._counts.most_common() if count}


class LoopStats:
    """Everything the gaze loop measures about itself. Times are seconds on one clock."""

    def __init__(self) -> None:
        self.frames_in = Rate()
        self.processed = Rate()
        self.commands = Rate()
        self.dropped = Drops()
        self.latency_ms = Samples()
        self.stages_ms: dict[str, Samples] = {}
        self.first_command_s: float | None = None
        self.last_command_s: float | None = None
        self.last_frame_s: float | None = None
        self.confidence: float | None = None

    def frame(self, now_s: float) -> None:
        """A picture arrived."""
        self.frames_in.tick(now_s)
        self.last_frame_s = now_s

    def glance(self, stages_ms: dict[str, float], confidence: float | None) -> None:
        """One processed frame: milliseconds of each stage, probability of its target."""
        self.confidence = confidence
        for name, value in stages_ms.items():
            self.stages_ms.setdefault(name, Samples()).add(value)

    def command(self, now_s: float, stamp_s: float) -> None:
        """A command left that was decided on the picture of `stamp_s`."""
        self.commands.tick(now_s)
        self.latency_ms.add((now_s - stamp_s) * 1e3)
        if self.first_command_s is None:
            self.first_command_s = now_s
        self.last_command_s = now_s

    @property
    def command_rate_hz(self) -> float:
        """Mean rate between the first and the last command; 0 with fewer than two."""
        if self.first_command_s is None or self.last_command_s is None:
            return 0.0
        span = self.last_command_s - self.first_command_s
        return (self.commands.count - 1) / span if span > 0 else 0.0

    def report(self) -> dict[str, object]:
        """The loop's half of the bringup report."""
        return {
            'frames_in': self.frames_in.count,
            'frames_processed': self.processed.count,
            'commands': self.commands.count,
            'command_rate_hz': round(self.command_rate_hz, 2),
            'latency_ms': self.latency_ms.percentiles(),
            'stages_ms': {name: samples.percentiles()
                          for name, samples in self.stages_ms.items()},
            'dropped': self.dropped.as_dict(),
        }

    def key_values(self, now_s: float, recent: int = 300) -> dict[str, str]:
        """The same as short texts for a diagnostics page, over the last `recent` frames."""
        age = None if self.last_frame_s is None else now_s - self.last_frame_s
        values = {
            'since last image [s]': _text(age),
            'in [Hz]': _text(self.frames_in.hz(now_s)),
            'processed [Hz]': _text(self.processed.hz(now_s)),
            'out [Hz]': _text(self.commands.hz(now_s)),
            'frames in': str(self.frames_in.count),
            'frames processed': str(self.processed.count),
            'commands': str(self.commands.count),
            'confidence': _text(self.confidence),
        }
        for name, samples in {'image age at command': self.latency_ms, **self.stages_ms}.items():
            for quantile, value in samples.percentiles(recent).items():
                values[f'{name} {quantile} [ms]'] = _text(value)
        for reason, count in self.dropped.as_dict().items():
            values[f'dropped: {reason}'] = str(count)
        return values


def _text(value: float | None) -> str:
    return 'none' if value is None else f'{value:.2f}'
