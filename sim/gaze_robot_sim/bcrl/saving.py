"""Checkpoints of a training in progress: everything that decides how it goes on.

A checkpoint is a folder `checkpoints/<steps>` of state.safetensors (networks, optimisers),
replay.safetensors and meta.json with their hashes. It appears whole or not at all; nothing in it
is executed when it is read.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import json
from pathlib import Path
import shutil
from typing import Any, TypeAlias
import warnings

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file
import torch

from gaze_robot.checkpoint import META, sha256, WEIGHTS
from gaze_robot.errors import CheckpointError

STATE, REPLAY = 'state.safetensors', 'replay.safetensors'
CONFIG, CHECKPOINTS = 'config.json', 'checkpoints'
_KEPT = 2
_OURS = (CHECKPOINTS, META, WEIGHTS, 'policy', 'curve.json', 'result.json')
"""What a run directory has in it; a new run would write over it."""
Checkpoint: TypeAlias = tuple[dict[str, torch.Tensor], dict[str, np.ndarray], dict[str, Any]]
"""Networks and optimisers, replay, facts."""


def begun(out: Path, resume: bool) -> bool:
    """Whether a run directory holds a run, which is to be gone on with.

    Raises:
        CheckpointError: it does, and is not; or it holds something else, or is a file.
    """
    there = (out / CONFIG).exists()
    if out.exists() and not out.is_dir():
        raise CheckpointError(f'{out} is a file; choose another --out')
    others = [name for name in _OURS if (out / name).exists()]
    if others and not there:
        raise CheckpointError(f'{out} is no run that can be gone on with: it holds '
                              f'{", ".join(others)} and no {CONFIG}; choose another --out')
    if there and not resume:
        raise CheckpointError(f'{out} holds a run already; pass --resume to go on with it, or '
                              'choose another --out')
    return there


def cut_off(out: Path, config: Any, may_differ: Sequence[str]) -> Checkpoint | None:
    """Where a run that was begun is to go on; None: it was killed before its first checkpoint.

    Args:
        config: the settings it is gone on with, a dataclass.
        may_differ: names of those that need not be what it was begun with.

    Raises:
        CheckpointError: others differ, or no checkpoint can be read.
    """
    try:
        before = json.loads((out / CONFIG).read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f'{out / CONFIG} cannot be read: {error}; choose another --out'
                              ) from error
    if not isinstance(before, dict):
        raise CheckpointError(f'{out / CONFIG} holds no settings; choose another --out')
    now = json.loads(json.dumps(dataclasses.asdict(config)))
    changed = [name for name, value in now.items()
               if name not in may_differ and before.get(name, value) != value]
    if changed:
        raise CheckpointError(f'{out} was begun with other {", ".join(changed)}; resume it with '
                              'the same, or choose another --out')
    found, refused = newest(out / CHECKPOINTS)
    for text in refused:
        warnings.warn(f'checkpoint passed over: {text}', stacklevel=2)
    if found is None and refused:
        raise CheckpointError(f'no checkpoint in {out / CHECKPOINTS} can be read; delete the run '
                              'directory to begin again')
    if found is None:
        warnings.warn(f'{out} was cut off before its first checkpoint: it begins anew',
                      stacklevel=2)
    return found


def claim(out: Path, config: Any) -> None:
    """Write down what a run is made with, a dataclass.

    Raises:
        CheckpointError: nothing can be written there.
    """
    part = out / (CONFIG + '.part')
    try:
        out.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(dataclasses.asdict(config), indent=2) + '\n')
    except OSError as error:
        raise CheckpointError(f'--out {out}: cannot write there ({error.strerror}); name a folder '
                              'of your own') from error
    part.replace(out / CONFIG)


def optimizer_tensors(prefix: str, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """An optimiser's memory, by name."""
    return {f'{prefix}{number}.{name}': torch.as_tensor(value)
            for number, entries in optimizer.state_dict()['state'].items()
            for name, value in entries.items()}


def restore_optimizer(prefix: str, optimizer: torch.optim.Optimizer,
                      tensors: Mapping[str, torch.Tensor]) -> None:
    """Put back what `optimizer_tensors` gave."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(prefix):
            number, entry = name[len(prefix):].split('.', 1)
            state.setdefault(int(number), {})[entry] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), 'state': state})


def write(folder: Path, steps: int, tensors: Mapping[str, torch.Tensor],
          replay: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    """Write a checkpoint beside the older ones, of which one is kept.

    One of as many steps, as there are many before PPO, is kept as `<steps>.old`.
    """
    place = folder / f'{steps:010d}'
    part = place.with_suffix('.part')
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    save_file({name: tensor.detach().cpu().contiguous().clone()      # PPO names some thrice
               for name, tensor in tensors.items()}, part / STATE)
    files = [STATE]
    if replay:
        save_arrays({name: np.ascontiguousarray(rows) for name, rows in replay.items()},
                    part / REPLAY)
        files.append(REPLAY)
    (part / META).write_text(json.dumps({
        **facts, 'steps': steps, 'sha256': {name: sha256(part / name) for name in files}}))
    if place.exists():                          # never a moment without one that can be read
        shutil.rmtree(place.with_suffix('.old'), ignore_errors=True)
        place.rename(place.with_suffix('.old'))
    part.rename(place)
    for old in _numbered(folder)[:-_KEPT]:
        shutil.rmtree(old)


def read(place: Path) -> Checkpoint:
    """Read one.

    Raises:
        CheckpointError: something is missing, altered or cut short.
    """
    try:
        facts = json.loads((place / META).read_text())
        if STATE not in facts['sha256']:
            raise CheckpointError(f'{META} names no {STATE}')
        for name, expected in facts['sha256'].items():
            if sha256(place / name) != expected:
                raise CheckpointError(f'{name} does not match its hash')
        tensors = load_file(place / STATE)
        replay = load_arrays(place / REPLAY) if REPLAY in facts['sha256'] else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise CheckpointError(f'{place.name}: {error}') from error
    except CheckpointError as error:
        raise CheckpointError(f'{place.name}: {error}') from error
    return tensors, replay, facts


def newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that can be read, and what is wrong with newer ones."""
    refused: list[str] = []
    for place in reversed(_numbered(folder)):
        try:
            return read(place), refused
        except CheckpointError as error:
            refused.append(str(error))
    return None, refused


def _numbered(folder: Path) -> list[Path]:
    """The oldest first."""
    return sorted((path for path in folder.glob('[0-9]*')
                   if path.stem.isdigit() and path.suffix in ('', '.old')),
                  key=lambda path: (int(path.stem), path.suffix == ''))
