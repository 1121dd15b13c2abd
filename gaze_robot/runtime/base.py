"""The call that every runtime answers, and torch's answer to it.

B batch   L levels   M tokens of an exemplar   D width   C cells across a level
"""

from collections.abc import Sequence
from typing import Protocol, TYPE_CHECKING

import numpy as np
import torch

from gaze_robot.gaze_target.evidence import CELLS, EXEMPLAR_PX

if TYPE_CHECKING:
    from gaze_robot.perception import PerceptionNetwork

Inputs = tuple[Sequence[np.ndarray], np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""levels, exemplar, evidence, valid, size: see `PerceptionNetwork.forward`."""


class Runtime(Protocol):
    """Computes `PerceptionNetwork.forward`: arrays in, arrays out."""

    name: str

    def __call__(self, levels: Sequence[np.ndarray], exemplar: np.ndarray, evidence: np.ndarray,
                 valid: np.ndarray, size: np.ndarray) -> dict[str, np.ndarray]:
        """See `PerceptionNetwork.forward`; any batch size."""


class TorchRuntime:
    """The network itself, on whatever device it is."""

    name = 'torch'

    def __init__(self, network: 'PerceptionNetwork') -> None:
        self.network = network

    def __call__(self, levels: Sequence[np.ndarray], exemplar: np.ndarray, evidence: np.ndarray,
                 valid: np.ndarray, size: np.ndarray) -> dict[str, np.ndarray]:
        """See `Runtime`."""
        device = next(self.network.parameters()).device
        with torch.inference_mode():
            out = self.network([torch.from_numpy(level).to(device) for level in levels],
                               *(torch.from_numpy(array).to(device)
                                 for array in (exemplar, evidence, valid, size)))
        return {name: tensor.cpu().numpy() for name, tensor in out.items()}


def input_names(levels: int) -> list[str]:
    """Names of a graph's inputs, in the order of the call with its levels spread out."""
    return [*(f'level_{level}' for level in range(levels)), 'exemplar', 'evidence', 'valid',
            'size']


def sample_inputs(network: 'PerceptionNetwork', batch: int, seed: int = 0) -> Inputs:
    """Random arrays of the shapes and types that the network takes; a tenth of them invalid."""
    rng = np.random.default_rng(seed)
    pattern = network.pattern
    cells = (batch, pattern.levels, CELLS, CELLS)
    tokens = (EXEMPLAR_PX // network.front_end.token_side) ** 2
    return ([rng.integers(0, 256, (batch, side, side, 3), np.uint8) for side in pattern.window],
            rng.normal(size=(batch, tokens, network.encoder.config.width)).astype(np.float32),
            rng.uniform(-1, 1, cells).astype(np.float32), rng.random(cells) < 0.9,
            rng.normal(size=cells[:2]).astype(np.float32))
