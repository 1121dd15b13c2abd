"""The file of the networks for drawn figures; loaded strictly, nothing in it is executed."""

from collections.abc import Mapping
import functools
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from gaze_robot.errors import CheckpointError
from gaze_robot.people.figure_heads import FigureFinder
from gaze_robot.people.figure_net import FigureNet

SHIPPED = Path(__file__).parents[1] / 'weights' / 'figures'
"""The weights that are part of the package."""

_META, _WEIGHTS = 'meta.json', 'weights.safetensors'


def save_figures(folder: Path, network: FigureNet, meta: Mapping[str, Any]) -> None:
    """Write both files; half precision is enough and half the size."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.half().contiguous() if value.is_floating_point() else value
               for name, value in network.state_dict().items()}, folder / _WEIGHTS)
    (folder / _META).write_text(json.dumps({'kind': 'figures', **meta}, indent=2) + '\n')


def load_figures(folder: Path = SHIPPED) -> FigureNet:
    """Read them.

    Raises:
        CheckpointError: there are none, or they are damaged or of another network.
    """
    path = folder / _WEIGHTS
    if not path.is_file():
        raise CheckpointError(f'there is no {path}; train with `gaze-robot train figures`')
    network = FigureNet()
    own = network.state_dict()
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f'{path} cannot be read: {error}') from error
    wrong = sorted(set(own) ^ set(tensors)) or [
        name for name in own if own[name].shape != tensors[name].shape
        or not tensors[name].isfinite().all()]
    if wrong:
        raise CheckpointError(f'{path} is not of this network: {", ".join(wrong[:4])} missing, '
                              'unknown, of another shape or not finite')
    network.load_state_dict({name: value.to(own[name].dtype) for name, value in tensors.items()})
    return network.eval().requires_grad_(False)


@functools.lru_cache(maxsize=1)
def figure_finder() -> FigureFinder:
    """The one with the shipped weights, the same for heads and for gazes.

    Raises:
        CheckpointError: see `load_figures`.
    """
    return FigureFinder(load_figures())
