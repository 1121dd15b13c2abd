"""Which tokens an output of perception, or of the policy that reads it, comes from.

B batch   N tokens
"""

from collections.abc import Callable

import numpy as np
import torch

from gaze_robot.errors import ConfigError
from gaze_robot.explain.attention import (
    attention_received,
    METHODS,
    relevance,
    rollout,
    watching,
)
from gaze_robot.foveation import FILL
from gaze_robot.perception import PerceptionNetwork
from gaze_robot.policy.network import EyePolicy
from gaze_robot.runtime.base import Inputs

Score = Callable[[dict[str, torch.Tensor]], torch.Tensor]
"""`PerceptionNetwork.forward`'s outputs to one number per row, (B,)."""

_ALMOST = 1 - 1e-6


def explain(network: PerceptionNetwork, inputs: Inputs, score: Score, method: str = 'relevance'
            ) -> np.ndarray:
    """Share of each token in a score.

    Runs the network once more, in torch, whatever runtime computes otherwise.

    Args:
        network: in eval mode.
        inputs: of `PerceptionNetwork.forward`, as arrays.
        score: which output to explain; attention alone does not ask.
        method: 'relevance', 'rollout' or 'attention'.

    Returns:
        (B, N) float64, at least 0, each row summing to 1.

    Raises:
        ConfigError: an unknown method, an encoder that does not show its attention, or a score
            that does not depend on its tokens.
    """
    if method not in METHODS:
        raise ConfigError(f'explanations are by {", ".join(METHODS)}; got {method}')
    levels, *rest = inputs
    device = network.encoder.embed.weight.device
    grad = torch.enable_grad() if method == 'relevance' else torch.no_grad()
    with torch.inference_mode(False), grad, watching(network.encoder) as watch:
        out = network([torch.from_numpy(level).to(device) for level in levels],
                      *(torch.from_numpy(array).to(device) for array in rest))
        found = (relevance(watch, score(out)) if method == 'relevance' else
                 rollout(watch) if method == 'rollout' else attention_received(watch))
    shares = found.detach().double().cpu().numpy()
    return shares / shares.sum(axis=1, keepdims=True)


def values(network: PerceptionNetwork, inputs: Inputs, score: Score, grey: bool = False
           ) -> np.ndarray:
    """The score itself, (B,), of these inputs, or of the same with views of one grey."""
    levels, *rest = inputs
    device = network.encoder.embed.weight.device
    with torch.inference_mode():
        return score(network(
            [torch.full_like(level, FILL) if grey else level
             for level in (torch.from_numpy(level).to(device) for level in levels)],
            *(torch.from_numpy(array).to(device) for array in rest))).cpu().numpy()


def best_place(head: str = 'search') -> Score:
    """Log-odds of a head's most probable cell.

    Raises (when called):
        ConfigError: these weights have no such head.
    """
    def score(out: dict[str, torch.Tensor]) -> torch.Tensor:
        if head not in out:
            raise ConfigError(f'these weights have no head "{head}"; they have '
                              f'{", ".join(name for name in out if name != "tokens")}')
        value = out[head]
        if head != 'search':
            return torch.logit(value.flatten(1).amax(dim=1) * _ALMOST)
        row = torch.arange(value.shape[0], device=value.device)
        best = value[..., :-1].flatten(1).argmax(dim=1)
        level, cell = best // (value.shape[2] - 1), best % (value.shape[2] - 1)
        others = value[row, level].scatter(1, cell[:, None], -torch.inf)
        return value[row, level, cell] - others.logsumexp(dim=1)
    return score


def chosen_action(eye: EyePolicy, vector: torch.Tensor) -> Score:
    """Log-probability of the action that a policy chooses; of a continuous one, its length.

    Args:
        vector: (B, V) of the observation.
    """
    def score(out: dict[str, torch.Tensor]) -> torch.Tensor:
        actions = eye.actor(eye.trunk(out['tokens'], vector))
        if eye.discrete:
            return actions.log_softmax(dim=1).amax(dim=1)
        return actions.norm(dim=1)
    return score

