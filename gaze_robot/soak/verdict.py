"""Whether a long run was a good one, from what was measured. No ROS, no processes."""

from collections.abc import Sequence
from dataclasses import dataclass
import statistics
from typing import Any

MEMORY_GROWTH = 0.02
"""Of a process's own memory between the begin and the end of what is judged.

Not of all resident memory: the shared segments of the middleware have a fixed size, 64 MiB a peer,
and count as resident page by page as they are used for the first time.
"""

_ENDS = 0.15
"""Share of the judged time whose median is its begin, or its end."""


@dataclass(frozen=True)
class Sample:
    """What one process uses at one moment."""

    name: str
    pid: int
    at_s: float
    """Since the start of the run."""

    resident_mib: float
    """All memory, shared segments of the middleware as far as they have been touched included."""

    own_mib: float
    """Memory that only this process has."""

    threads: int
    files: int
    """Open ones."""


@dataclass(frozen=True)
class Fault:
    """One fault and what came of it."""

    name: str
    at_s: float
    shown_s: float | None
    """From its begin until the diagnostics told; None: they never did."""

    healed_s: float | None
    """From its end until all was well; None: it did not heal in time."""

    sign: str
    """What told."""


def judge(samples: Sequence[Sample], faults: Sequence[Fault], beyond: Sequence[str],
          ended: Sequence[str], from_s: float) -> dict[str, Any]:
    """The verdict.

    Args:
        samples: of all processes, in order.
        faults: all there were.
        beyond: every time that the head left its limits.
        ended: processes that ended by themselves.
        from_s: memory, threads and files are judged from here on; before, processes warm up and
            are killed.

    Returns:
        {'passed', 'wrong': [texts], 'processes': {name: {...}}, 'shown_s', 'healed_s'}.
    """
    wrong = [*(f'the head left its limits: {text}' for text in beyond[:3]), *ended]
    wrong += [f'{fault.name} at {fault.at_s:.0f} s never showed in the diagnostics'
              for fault in faults if fault.shown_s is None]
    wrong += [f'{fault.name} at {fault.at_s:.0f} s did not heal'
              for fault in faults if fault.healed_s is None]
    processes = {}
    for name in sorted({sample.name for sample in samples}):
        grown = growth([sample for sample in samples if sample.name == name], from_s)
        processes[name] = grown
        wrong += [f'{name}: {text}' for text in grown.pop('wrong')]
    return {'passed': not wrong, 'wrong': wrong, 'processes': processes,
            'shown_s': _spread([fault.shown_s for fault in faults]),
            'healed_s': _spread([fault.healed_s for fault in faults])}


def growth(samples: Sequence[Sample], from_s: float) -> dict[str, Any]:
    """How much one process grew in its last life, from `from_s` on; 'wrong' holds complaints."""
    judged = [sample for sample in samples if sample.at_s >= from_s
              and sample.pid == samples[-1].pid]
    if len(judged) < 4:
        return {'wrong': [f'only {len(judged)} samples after {from_s:.0f} s']}
    ends = max(1, round(len(judged) * _ENDS))
    first, last = judged[:ends], judged[-ends:]
    found: dict[str, Any] = {'samples': len(judged), 'wrong': []}
    for what in ('resident_mib', 'own_mib', 'threads', 'files'):
        before, after = (statistics.median(getattr(sample, what) for sample in part)
                         for part in (first, last))
        found[what] = [round(before, 1), round(after, 1)]
        if what in ('threads', 'files') and after > before:
            found['wrong'].append(f'{what} grew from {before:g} to {after:g}')
        if what == 'own_mib':
            found['growth_percent'] = round(100 * (after / before - 1), 2)
            if after > before * (1 + MEMORY_GROWTH):
                found['wrong'].append(f'own memory grew from {before:.1f} to {after:.1f} MiB')
    return found


def _spread(values: Sequence[float | None]) -> dict[str, float | None]:
    known = sorted(value for value in values if value is not None)
    if not known:
        return {'median': None, 'max': None}
    return {'median': round(statistics.median(known), 2), 'max': round(known[-1], 2)}
