"""`gaze-robot export`: a checkpoint with its perception as a graph, and how far that graph is off.

In float32 a graph that differs from torch is not kept. With int8 it must differ; by how much the
places it points to move is measured on simulated views.
"""

from contextlib import closing
from dataclasses import dataclass
import importlib.metadata
import json
import logging
import math
from pathlib import Path
import tempfile
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from gaze_robot.checkpoint import load_policy, META, save_policy
from gaze_robot.errors import ConfigError
from gaze_robot.foveation import FoveationPattern
from gaze_robot.gaze_target.evidence import CELLS
from gaze_robot.geometry import pan_tilt_from_direction
from gaze_robot.optional import available, require
from gaze_robot.perception import Perception, PerceptionNetwork
from gaze_robot.policy.observation import peaks
from gaze_robot.runtime.base import Runtime, TorchRuntime
from gaze_robot.runtime.exported import describe, READERS, write_export
from gaze_robot.runtime.graph import check, check_int8, to_onnx
from gaze_robot.runtime.sessions import import_openvino, openvino_core, SESSIONS
from gaze_robot_sim.scenes.procedural import ProceduralWorld

_UNSEEN = 1 << 41
"""Added to the seed of rooms; those of training and evaluation are smaller."""
_ROOMS = 20
_AWAY_RAD = math.radians(25)
"""Views are turned away from the target by up to this much per axis."""
_SURE = 0.5
"""Peaks of at least this probability count as places that torch points to."""


@dataclass(frozen=True)
class ExportConfig:
    """Write a checkpoint's perception as a graph for ONNX Runtime or OpenVINO."""

    out: Path = Path('runs/exported')
    """Folder to write: a checkpoint that brings its graph; --policy and model.path take it."""

    policy: str = ''
    """Checkpoint folder; empty: the one shipped."""

    format: Literal['onnx', 'openvino'] = 'onnx'
    """onnx: ONNX Runtime and OpenVINO read it; openvino: OpenVINO's own."""

    int8: bool = False
    """Compute products of matrices on 8-bit integers: smaller, and with other answers."""

    views: int = 200
    """With int8: simulated views on which its answers are compared with torch's."""

    seed: int = 0
    """Of those views."""

    def __post_init__(self) -> None:
        if self.views < 1 or self.seed < 0:
            raise ConfigError(f'views is at least 1 and seed not negative, got {self.views}, '
                              f'{self.seed}')
        if self.int8 and self.format != 'onnx':
            raise ConfigError('int8 is for --format onnx; OpenVINO reads that too')


def export(config: ExportConfig) -> dict[str, Any]:
    """Write the folder; nothing of the graph is left there if it fails its check.

    Raises:
        CheckpointError: the checkpoint cannot be read, or the graph answers otherwise.
        ConfigError: the folder is that of a training run, or cannot be written.
        MissingDependencyError: no library to write or to check with.
    """
    if (config.out / 'policy' / META).is_file():
        raise ConfigError(f'--out {config.out} is the folder of a training run, whose own policy '
                          'would be read instead of the export; name another')
    policy = load_policy(config.policy)
    network = policy.perception
    network.use_sources(network.offers)                       # an export can feed them all
    plain = (to_onnx(network),)
    checker = next((name for name in READERS['onnx'] if available(name)), 'onnxruntime')
    parity = {checker: check(network, SESSIONS[checker](plain))}
    graph: tuple[bytes, ...] = plain
    if config.format == 'openvino':
        graph = _openvino(plain[0])
        parity = {'openvino': check(network, SESSIONS['openvino'](graph))}
    result: dict[str, Any] = {'parity': {name: max(found.values())
                                         for name, found in parity.items()}}
    if config.int8:
        graph = (quantize(plain[0]),)
        session = SESSIONS[checker](graph)
        check_int8(network, session)
        result['int8'] = moved(network, session, config.views, config.seed)
    try:
        save_policy(config.out, policy)
        written = json.loads((config.out / META).read_text(encoding='utf-8'))
        meta = describe(network, config.format, graph, config.int8, written['weights_sha256'],
                        measured=result, versions=_versions())
        write_export(config.out, graph, meta)
    except OSError as error:
        raise ConfigError(f'--out {config.out}: cannot write there ({error.strerror}); name a '
                          'folder you own') from error
    return {'out': str(config.out), 'format': config.format,
            'read_by': list(READERS[config.format]), 'kib': sum(map(len, graph)) / 1024,
            'kib_float32': len(plain[0]) / 1024, **result}


def quantize(graph: bytes) -> bytes:
    """ONNX in, the same with matrix products on 8-bit integers (scales found at run time) out.

    Raises:
        MissingDependencyError: onnx or onnxruntime is not installed.
    """
    onnx: Any = require('onnx')
    quantization: Any = require('onnxruntime.quantization')
    model = onnx.load_from_string(graph)
    del model.graph.value_info[:]             # shapes noted by the exporter make quantize fail
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'int8.onnx'
        logging.disable(logging.WARNING)              # advice about graphs that are not ours
        try:
            quantization.quantize_dynamic(
                model, path, op_types_to_quantize=['MatMul', 'Gemm'],
                weight_type=quantization.QuantType.QInt8, per_channel=True)
        finally:
            logging.disable(logging.NOTSET)
        return path.read_bytes()


def _openvino(graph: bytes) -> tuple[bytes, ...]:
    """OpenVINO's .xml and .bin of an ONNX graph, weights left in float32."""
    library: Any = import_openvino()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'model.xml'
        library.save_model(openvino_core().read_model(graph), path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix('.bin').read_bytes()


def moved(network: PerceptionNetwork, runtime: Runtime, views: int, seed: int,
          reference: Runtime | None = None) -> dict[str, float | None]:
    """How far a runtime's search peaks lie from torch's, on views of rooms near their targets.

    Args:
        reference: what to compare with; torch if None.

    Returns:
        of the peaks that torch is sure of the share in another cell, and the degrees they moved,
        None where there are none; the largest change of any peak's probability; the share of
        views whose surest level changes.
    """
    rng = np.random.default_rng(seed)
    ours, theirs = (Perception(network, runtime=one)
                    for one in (reference or TorchRuntime(network), runtime))
    cells, degrees, change, level = [], [], [], []
    with closing(ProceduralWorld(_UNSEEN + seed, _ROOMS)) as world:
        for view in tqdm(range(views), desc='views', unit='view'):
            scene = world.scene(view % _ROOMS)
            target = scene.sample_target(rng)
            pan, tilt = (float(angle) for angle in pan_tilt_from_direction(target.direction))
            away = rng.uniform(-_AWAY_RAD, _AWAY_RAD, 2)
            levels = [one[None] for one in scene.panorama().levels(
                pan + away[0], tilt + away[1], network.pattern)]
            heat = []
            for perception in (ours, theirs):
                perception.look_for({0: target.exemplar})
                heat.append(perception(levels, _visible(network.pattern), np.zeros(1, int)))
            a, b = (peaks(percept, network.pattern) for percept in heat)
            best = [percept.heat[0].reshape(network.pattern.levels, -1).argmax(axis=1)
                    for percept in heat]
            sure = a.probability[0] >= _SURE
            cells.append((best[0] != best[1])[sure])
            off = np.linalg.norm(a.offset_rad - b.offset_rad, axis=2)[0]
            degrees.append(np.degrees(off)[sure])
            change.append(np.abs(a.probability - b.probability).max())
            level.append(a.nearby.argmax() != b.nearby.argmax())
    far, elsewhere = np.concatenate(degrees), np.concatenate(cells)
    return {'views': views, 'sure_peaks': len(far),
            'share_of_peaks_in_another_cell': float(elsewhere.mean()) if len(far) else None,
            'moved_deg_median': float(np.median(far)) if len(far) else None,
            'moved_deg_p95': float(np.percentile(far, 95)) if len(far) else None,
            'largest_change_of_probability': float(np.max(change)),
            'share_of_views_with_another_surest_level': float(np.mean(level))}


def _visible(pattern: FoveationPattern) -> np.ndarray:
    return np.ones((1, pattern.levels, CELLS, CELLS), bool)


def _versions() -> dict[str, str]:
    found = {}
    for name in ('torch', 'onnx', *SESSIONS):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = 'not installed'
    return found
