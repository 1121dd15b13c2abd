"""ONNX Runtime and OpenVINO: one ONNX graph in memory, on as many threads as they are given.

Neither spins while it waits: other processes of the robot share these cores.
"""

from collections.abc import Sequence
from functools import cache
import sys
from types import ModuleType
from typing import Any

import numpy as np

from gaze_robot.errors import CheckpointError
from gaze_robot.optional import require


class OnnxRuntime:
    """An ONNX graph in ONNX Runtime, on the CPU."""

    name = 'onnxruntime'

    def __init__(self, graph: Sequence[bytes], threads: int = 1, batch: int | None = None
                 ) -> None:
        """Load a graph; nothing in it is executed.

        Args:
            graph: an ONNX file; for OpenVINO, its own .xml and .bin as well.
            threads: cores it may use.
            batch: the only batch size that will come, which is quicker; None: any.

        Raises:
            MissingDependencyError: onnxruntime is not installed.
            CheckpointError: it cannot read the graph.
        """
        library: Any = require('onnxruntime')
        options = library.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        if batch is not None:
            options.add_free_dimension_override_by_name('batch', batch)
        try:
            self._session = library.InferenceSession(graph[0], options,
                                                     providers=['CPUExecutionProvider'])
        except Exception as error:                      # its errors share no base but this one
            raise _unreadable(self.name, error) from error
        self.inputs = [value.name for value in self._session.get_inputs()]
        self.outputs = [value.name for value in self._session.get_outputs()]
        self.declared = {value.name: (value.type, tuple(value.shape)) for value in (
            *self._session.get_inputs(), *self._session.get_outputs())}
        """Name of an input or output -> its type, as in 'tensor(float)', and its shape, in which
        a free dimension is a name or None."""

    def __call__(self, levels: Sequence[np.ndarray], exemplar: np.ndarray, evidence: np.ndarray,
                 valid: np.ndarray, size: np.ndarray) -> dict[str, np.ndarray]:
        """See `Runtime`."""
        return self.run((*levels, exemplar, evidence, valid, size))

    def run(self, arrays: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name; arrays in the order of `inputs`."""
        found = self._session.run(self.outputs, dict(zip(self.inputs, arrays)))
        return dict(zip(self.outputs, found))


class OpenVinoRuntime:
    """The same graph in OpenVINO, on the CPU, in float32 (its bfloat16 moves answers by 4e-3)."""

    name = 'openvino'

    def __init__(self, graph: Sequence[bytes], threads: int = 1, batch: int | None = None
                 ) -> None:
        """See `OnnxRuntime`."""
        core = openvino_core()
        try:
            model = core.read_model(*graph)
            if batch is not None:
                model.reshape({value.any_name: [batch, *list(value.partial_shape)[1:]]
                               for value in model.inputs})
            compiled = core.compile_model(model, 'CPU', {
                'INFERENCE_PRECISION_HINT': 'f32', 'INFERENCE_NUM_THREADS': threads,
                'PERFORMANCE_HINT': 'LATENCY', 'NUM_STREAMS': 1, 'ENABLE_CPU_PINNING': False})
        except RuntimeError as error:
            raise _unreadable(self.name, error) from error
        self._request = compiled.create_infer_request()
        self.inputs = [value.any_name for value in model.inputs]
        self.outputs = [value.any_name for value in model.outputs]

    def __call__(self, levels: Sequence[np.ndarray], exemplar: np.ndarray, evidence: np.ndarray,
                 valid: np.ndarray, size: np.ndarray) -> dict[str, np.ndarray]:
        """See `Runtime`."""
        return self.run((*levels, exemplar, evidence, valid, size))

    def run(self, arrays: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """See `OnnxRuntime.run`."""
        given = {index: np.ascontiguousarray(array) for index, array in enumerate(arrays)}
        found = self._request.infer(given, share_inputs=True)
        return {name: found[index] for index, name in enumerate(self.outputs)}


Session = OnnxRuntime | OpenVinoRuntime

SESSIONS: dict[str, type[OnnxRuntime] | type[OpenVinoRuntime]] = {
    runtime.name: runtime for runtime in (OnnxRuntime, OpenVinoRuntime)}
"""Module to import -> what runs a graph with it."""


def import_openvino() -> ModuleType:
    """Import OpenVINO without its telemetry, which would call its makers at every import."""
    if 'openvino' not in sys.modules and 'openvino_telemetry' not in sys.modules:
        sys.modules['openvino_telemetry'] = None        # type: ignore[assignment]
        try:
            return require('openvino')
        finally:
            del sys.modules['openvino_telemetry']
    return require('openvino')


@cache
def openvino_core() -> Any:
    """The only core of OpenVINO in this process, kept to its end.

    Whenever a core loads its CPU plugin, the thread's alternate signal stack moves to memory of
    the plugin's, and back when the core goes. Cores that go in the order in which they came, or
    in another thread, leave it in memory that is gone: the next signal with a handler, such as
    Ctrl-C, then ends the process with SIGSEGV (SI_KERNEL; seen with OpenVINO 2026.4.1).

    Raises:
        MissingDependencyError: openvino is not installed.
    """
    return import_openvino().Core()


def _unreadable(name: str, error: Exception) -> CheckpointError:
    return CheckpointError(f'{name} cannot read this graph; export again: '
                           f'{" ".join(str(error).split())[:300]}')
