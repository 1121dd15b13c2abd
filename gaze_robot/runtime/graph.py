"""The network as an ONNX graph in memory, and how far a runtime's answers are from torch's.

ONNX Runtime and OpenVINO both read it. Writing it takes a quarter of a second for the default
network, so nothing is cached: it is made anew from the weights wherever it is needed.
"""

from collections.abc import Sequence
import io
from typing import Any, TYPE_CHECKING
import warnings

import numpy as np
import torch
from torch import nn

from gaze_robot.errors import CheckpointError
from gaze_robot.optional import require
from gaze_robot.runtime.base import input_names, Runtime, sample_inputs, TorchRuntime
from gaze_robot.runtime.sessions import Session

if TYPE_CHECKING:
    from gaze_robot.perception import PerceptionNetwork

OPSET = 20
TOLERANCE = 1e-4
"""Largest difference from torch that float32 may make, relative where values exceed 1."""
INT8_TOLERANCE = 0.2
"""Largest difference from torch that 8-bit integers may make: root mean square over an output, as
a share of its standard deviation. The shipped weights make 0.04; those of another network 1.4."""

_TRACED, _CHECKED = 2, (1, 3)
"""Batch sizes: what a trace took for a constant shows at the others."""


class _Flat(nn.Module):
    """The forward pass with every input and output a tensor of its own, as graphs have them."""

    def __init__(self, network: 'PerceptionNetwork') -> None:
        super().__init__()
        self.network = network

    def forward(self, *flat: torch.Tensor) -> tuple[torch.Tensor, ...]:
        levels = self.network.pattern.levels
        return tuple(self.network(flat[:levels], *flat[levels:]).values())


def output_names(network: 'PerceptionNetwork') -> list[str]:
    """What the network answers, in order."""
    return list(TorchRuntime(network)(*sample_inputs(network, 1)))


def to_onnx(network: 'PerceptionNetwork') -> bytes:
    """Write the network, on the CPU and in eval mode, as ONNX with a free batch dimension.

    By torch's tracing exporter: the newer one gives the same answers, takes 17 s instead of 0.2
    where nothing is cached, and needs onnxscript.

    Raises:
        MissingDependencyError: onnx is not installed.
        CheckpointError: torch cannot write this network.
    """
    levels, *rest = sample_inputs(network, _TRACED)
    return trace(_Flat(network), (*levels, *rest), input_names(len(levels)),
                 output_names(network))


def trace(module: nn.Module, arrays: Sequence[np.ndarray], inputs: list[str],
          outputs: list[str]) -> bytes:
    """Write any module of tensors in, tensors out as ONNX; the first axis of each stays free.

    Args:
        arrays: an example of every input.
        inputs, outputs: their names.

    Raises:
        MissingDependencyError, CheckpointError: see `to_onnx`.
    """
    require('onnx')
    flat = tuple(torch.from_numpy(array) for array in arrays)
    file: Any = io.BytesIO()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter('ignore')          # that it traces, and that it is the older one
            torch.onnx.export(
                module.eval(), flat, file, dynamo=False, opset_version=OPSET,
                input_names=inputs, output_names=outputs,
                dynamic_axes={name: {0: 'batch'} for name in inputs + outputs})
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        raise CheckpointError('this network cannot be exported; run it with model.runtime torch: '
                              f'{str(error).strip().splitlines()[0]}') from error
    return file.getvalue()


def difference(network: 'PerceptionNetwork', runtime: Runtime, seed: int = 0,
               batches: tuple[int, ...] = _CHECKED) -> dict[str, float]:
    """Largest difference of a runtime's outputs from torch's on random input, per output.

    Relative to torch's value where that exceeds 1; infinite where shapes differ.
    """
    worst: dict[str, float] = {}
    reference = TorchRuntime(network)
    for batch in batches:
        inputs = sample_inputs(network, batch, seed + batch)
        theirs = runtime(*inputs)
        for name, value in reference(*inputs).items():
            found = theirs.get(name)
            off = np.inf if found is None or found.shape != value.shape else float(
                (np.abs(found - value) / np.maximum(np.abs(value), 1.0)).max())
            worst[name] = max(worst.get(name, 0.0), off if np.isfinite(off) else np.inf)
    return worst


def check(network: 'PerceptionNetwork', runtime: Session, batches: tuple[int, ...] = _CHECKED,
          tolerance: float = TOLERANCE) -> dict[str, float]:
    """`difference`, refused where it exceeds `tolerance`.

    Raises:
        CheckpointError: the runtime does not compute this network.
    """
    inputs, outputs = input_names(network.pattern.levels), output_names(network)
    if runtime.inputs != inputs or not set(outputs) <= set(runtime.outputs):
        raise CheckpointError(
            f'the graph takes {runtime.inputs} and gives {runtime.outputs}, these weights take '
            f'{inputs} and give {outputs}; export again with `gaze-robot export`')
    found = difference(network, runtime, batches=batches)
    worst = max(found, key=found.__getitem__)
    if not found[worst] <= tolerance or not np.isfinite(found[worst]):
        raise CheckpointError(
            f'{runtime.name} answers otherwise than torch: {worst} differs by {found[worst]:.2g}, '
            f'allowed is {tolerance:g}; export again, or use model.runtime torch')
    return found


def check_int8(network: 'PerceptionNetwork', runtime: Session,
               batches: tuple[int, ...] = _CHECKED) -> None:
    """`check` for a graph of 8-bit integers, which is off everywhere but only by a little.

    Raises:
        CheckpointError: the runtime does not compute this network.
    """
    check(network, runtime, batches, tolerance=np.inf)
    inputs = sample_inputs(network, batches[-1])
    theirs = runtime(*inputs)
    for name, value in TorchRuntime(network)(*inputs).items():
        ours, other = (np.exp(one) if name == 'search' else one for one in (value, theirs[name]))
        off = float(np.sqrt(np.square(ours - other).mean()) / max(float(ours.std()), 1e-6))
        if not off <= INT8_TOLERANCE:
            raise CheckpointError(
                f'{runtime.name} answers otherwise than torch, by more than 8-bit integers '
                f'explain: {name} differs by {off:.2g} of its spread, allowed is '
                f'{INT8_TOLERANCE:g}; export again, or use model.runtime torch')
