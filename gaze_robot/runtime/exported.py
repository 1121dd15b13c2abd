"""An exported folder: a checkpoint with its network's graph beside it, for runtimes to read.

A checkpoint's meta.json and weights.safetensors, the graph (perception.onnx, or perception.xml and
.bin), and export.json, which says what the graph was made from. Nothing is executed when it is
read.
"""

from dataclasses import dataclass
import hashlib
import json
from pathlib import Path
from typing import Any, TYPE_CHECKING

from gaze_robot import __version__
from gaze_robot.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from gaze_robot.checkpoint import Policy
    from gaze_robot.perception import PerceptionNetwork

FORMAT = 1
EXPORT = 'export.json'
FILES = {'onnx': ('perception.onnx',), 'openvino': ('perception.xml', 'perception.bin')}
READERS = {'onnx': ('onnxruntime', 'openvino'), 'openvino': ('openvino',)}
"""Which runtimes read which format."""

_AGAIN = 'export again with `gaze-robot export`'


@dataclass(frozen=True, eq=False)
class Exported:
    """A graph that was written earlier, checked to belong to the weights beside it."""

    graph: tuple[bytes, ...]
    """The files of its format, in the order of `FILES`."""

    meta: dict[str, Any]
    """export.json."""

    path: Path

    @property
    def int8(self) -> bool:
        """Whether its products are computed on 8-bit integers."""
        return self.meta['int8'] is True

    def readers(self, wanted: str) -> tuple[str, ...]:
        """Runtimes that may run it, of those wanted ('auto': any).

        Raises:
            ConfigError: the runtime asked for does not read this format.
        """
        able = READERS[self.meta['kind']]
        if wanted != 'auto' and wanted not in able:
            raise ConfigError(f'{self.path} holds an export for {" and ".join(able)}, not for '
                              f'{wanted}: set model.runtime to auto, or {_AGAIN}')
        return able if wanted == 'auto' else (wanted,)


def sha256(data: bytes) -> str:
    """Hex digest."""
    return hashlib.sha256(data).hexdigest()


def describe(network: 'PerceptionNetwork', kind: str, graph: tuple[bytes, ...], int8: bool,
             weights_sha256: str, **more: Any) -> dict[str, Any]:
    """What export.json says of a graph."""
    return {'format': FORMAT, 'gaze_robot_version': __version__, 'kind': kind, 'int8': int8,
            'weights_sha256': weights_sha256, 'front_end': network.front_end.name,
            'files': {name: sha256(data) for name, data in zip(FILES[kind], graph)}, **more}


def write_export(path: Path, graph: tuple[bytes, ...], meta: dict[str, Any]) -> None:
    """Put a graph into a checkpoint folder; export.json, which makes it count, comes last."""
    (path / EXPORT).unlink(missing_ok=True)
    for names in FILES.values():
        for name in names:
            (path / name).unlink(missing_ok=True)
    texts = json.dumps(meta, indent=2) + '\n'
    for name, data in [*zip(FILES[meta['kind']], graph), (EXPORT, texts.encode())]:
        part = path / f'{name}.part'
        part.write_bytes(data)
        part.replace(path / name)


def read_export(path: str | Path, policy: 'Policy') -> Exported | None:
    """The export in a checkpoint folder; None where there is none.

    Args:
        path: what `load_policy` was given.
        policy: what it returned.

    Raises:
        CheckpointError: written by another version or from other weights, damaged, or incomplete.
    """
    if not path:
        return None
    path = Path(path)
    if (path / 'policy' / EXPORT).is_file():
        path = path / 'policy'
    if not (path / EXPORT).is_file():
        return None
    try:
        meta = json.loads((path / EXPORT).read_text(encoding='utf-8'))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f'{path / EXPORT} is not JSON ({error}); {_AGAIN}') from error
    if not isinstance(meta, dict) or meta.get('format') != FORMAT or (
            meta.get('gaze_robot_version') != __version__):
        found = meta if isinstance(meta, dict) else {}
        raise CheckpointError(
            f'{path} was exported by gaze_robot {found.get("gaze_robot_version", "unknown")} '
            f'(format {found.get("format")}); this is {__version__} (format {FORMAT}): {_AGAIN}')
    if not isinstance(meta.get('kind'), str) or meta['kind'] not in FILES or not isinstance(
            meta.get('files'), dict) or not isinstance(meta.get('int8'), bool):
        raise CheckpointError(f'{path / EXPORT} does not name a known kind of graph, its '
                              f'files and whether it is int8; {_AGAIN}')
    if meta.get('weights_sha256') != policy.meta.get('weights_sha256'):
        raise CheckpointError(f'{path} was exported from other weights than lie beside it; '
                              f'{_AGAIN}')
    graph = []
    for name in FILES[meta['kind']]:
        if not (path / name).is_file():
            raise CheckpointError(f'no {name} in {path}, though {EXPORT} speaks of it; {_AGAIN}')
        graph.append((path / name).read_bytes())
        if sha256(graph[-1]) != meta['files'].get(name):
            raise CheckpointError(f'{path / name} does not match {EXPORT}: a damaged or partial '
                                  f'copy; {_AGAIN}')
    return Exported(tuple(graph), meta, path)
