"""Which runtime computes: the one asked for, or the fastest that is installed."""

from dataclasses import dataclass, field
import time
from typing import Any, TYPE_CHECKING

import numpy as np

from gaze_robot.errors import CheckpointError, ConfigError
from gaze_robot.optional import available
from gaze_robot.runtime.base import Runtime, sample_inputs, TorchRuntime
from gaze_robot.runtime.exported import Exported
from gaze_robot.runtime.graph import check, check_int8, to_onnx
from gaze_robot.runtime.sessions import SESSIONS

if TYPE_CHECKING:
    from gaze_robot.perception import PerceptionNetwork

NAMES = ('auto', 'torch', *SESSIONS)
EXTRA = "pip install -e '.[runtimes]'"

_CALLS, _WARM_UP = 15, 5
_FASTEST: dict[Any, str] = {}
"""What this process has found before, by everything that the times depend on."""


@dataclass(frozen=True, eq=False)
class Choice:
    """A runtime, and why it is this one."""

    runtime: Runtime

    times_ms: dict[str, float] = field(default_factory=dict)
    """Median milliseconds of one view with each that was compared; empty where none was."""

    remarks: tuple[str, ...] = ()
    """What should be told: runtimes that are installed and cannot be used."""

    def __str__(self) -> str:
        beside = ', '.join(f'{name} {value:.1f}' for name, value in sorted(
            self.times_ms.items(), key=lambda item: item[1]))
        return self.runtime.name + (f' (ms a view: {beside})' if beside else '')


def choose(network: 'PerceptionNetwork', wanted: str = 'auto', exported: Exported | None = None,
           threads: int = 1, batch: int | None = None) -> Choice:
    """Make the runtime of a network.

    `auto` is torch on a GPU. On a CPU, torch and every installed runtime that agrees with it see
    the same random view a few times, and the fastest stays: which that is differs between machines
    and between networks. With an exported file, what reads it runs it, unless torch is asked for.

    Args:
        network: on its device, in eval mode.
        wanted: one of `NAMES`.
        exported: the export that came with these weights, if any.
        threads: cores that a runtime other than torch may use.
        batch: the only number of views that a call will have, which is quicker; None: any.

    Raises:
        ConfigError: a runtime that is not known, not installed, or not for a GPU.
        CheckpointError: the runtime asked for cannot compute this network, or nothing installed
            reads the exported file.
    """
    on_cpu = next(network.parameters()).device.type == 'cpu'
    _check_wanted(wanted, on_cpu)
    if wanted == 'torch' or not on_cpu:
        return Choice(TorchRuntime(network))
    free = wanted == 'auto' and exported is None              # torch is as good as any
    names = exported.readers(wanted) if exported else tuple(SESSIONS) if free else (wanted,)
    names = tuple(name for name in names if available(name))
    if exported is not None and network.budget is not None:
        raise ConfigError(f'{exported.path} is an export with all tokens: set model.keep to 1, or '
                          'model.runtime to torch')
    if exported is not None and not names:
        raise ConfigError(f'{exported.path} is an export, and no runtime that reads it is '
                          f'installed: {EXTRA}; or set model.runtime to torch')
    key = (network.encoder.config, network.pattern, network.front_end.name, network.budget,
           network.sources, threads, batch, names)
    if free and key in _FASTEST:
        names = (_FASTEST[key],)
    candidates: dict[str, Runtime] = {'torch': TorchRuntime(network)} if free else {}
    remarks = _add_sessions(candidates, network, names, exported, threads, batch)
    if not candidates or (wanted in SESSIONS and remarks):
        raise CheckpointError('; '.join(remarks))
    if free and key in _FASTEST:
        return Choice(candidates.get(_FASTEST[key], candidates['torch']), {}, remarks)
    times = _times(candidates, network, batch or 1) if len(candidates) > 1 else {}
    fastest = min(times, key=times.__getitem__) if times else next(iter(candidates))
    if free:
        _FASTEST[key] = fastest
    return Choice(candidates[fastest], times, remarks)


def _check_wanted(wanted: str, on_cpu: bool) -> None:
    if wanted not in NAMES:
        raise ConfigError(f'model.runtime is one of {", ".join(NAMES)}, got {wanted}')
    if wanted in SESSIONS and not available(wanted):
        raise ConfigError(f'model.runtime is {wanted}, which is not installed: {EXTRA}; or use '
                          'auto')
    if wanted in SESSIONS and not on_cpu:
        raise ConfigError(f'model.runtime {wanted} runs on the CPU: set model.device to cpu, or '
                          'model.runtime to torch')


def _add_sessions(candidates: dict[str, Runtime], network: 'PerceptionNetwork',
                  names: tuple[str, ...], exported: Exported | None, threads: int,
                  batch: int | None) -> tuple[str, ...]:
    """Add what runs the graph and agrees with torch; returns why others do not."""
    wanted = [name for name in names if name in SESSIONS]
    remarks: list[str] = []
    graph = exported.graph if exported else ()
    for name in wanted:
        try:
            graph = graph or (to_onnx(network),)
            session = SESSIONS[name](graph, threads, batch)
            compare = check_int8 if exported and exported.int8 else check
            compare(network, session, (batch,) if batch else (1, 3))
        except (CheckpointError, ImportError, OSError, RuntimeError) as error:   # or broken
            remarks.append(f'{name}: {" ".join(str(error).split())}')
            if not graph:                                     # nor will the next one get one
                break
        else:
            candidates[name] = session
    return tuple(remarks)


def _times(candidates: dict[str, Runtime], network: 'PerceptionNetwork', batch: int
           ) -> dict[str, float]:
    """Median milliseconds of a call; all take turns."""
    inputs = sample_inputs(network, batch)
    spent: dict[str, list[float]] = {name: [] for name in candidates}
    for call in range(_WARM_UP + _CALLS):
        for name, runtime in candidates.items():
            start_s = time.perf_counter()
            runtime(*inputs)
            if call >= _WARM_UP:
                spent[name].append(1e3 * (time.perf_counter() - start_s))
    return {name: float(np.median(times)) for name, times in spent.items()}
