"""From the attention of one pass to what each token contributed: three ways to tell.

B batch   R registers   N tokens   S = R + N   D width
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from gaze_robot.encoder.vit import FoveatedViT, Watch
from gaze_robot.errors import ConfigError

METHODS = ('relevance', 'rollout', 'attention')


@contextmanager
def watching(encoder: nn.Module) -> Iterator[Watch]:
    """Keep the attention of the passes inside; outside, none is computed.

    Raises:
        ConfigError: an encoder that does not show its attention.
    """
    if not isinstance(encoder, FoveatedViT):
        raise ConfigError(f'{type(encoder).__name__} does not show its attention; explanations '
                          'need the encoder of this package')
    watch = Watch()
    encoder.watch = watch
    try:
        yield watch
    finally:
        encoder.watch = None


def attention_received(watch: Watch) -> torch.Tensor:
    """Share of the last block's attention that each token receives from all, (B, N)."""
    count = _tokens(watch).shape[1]
    return _shares(_whole(watch, -1, watch.attention[-1].mean(dim=1))[:, -count:, -count:].mean(
        dim=1))


def rollout(watch: Watch) -> torch.Tensor:
    """Attention followed through all blocks, (B, N), mean over the tokens that heads read.

    Abnar & Zuidema 2020, "Quantifying attention flow in transformers", section 3: each block mixes
    its attention, mean of the heads, with the identity of the residual path in equal parts.
    """
    flow = _identity(watch)
    for block, attention in enumerate(watch.attention):
        mixing = _whole(watch, block, attention.mean(dim=1))
        flow = 0.5 * (flow + mixing @ flow)
    count = _tokens(watch).shape[1]
    return _shares(flow[:, -count:, -count:].mean(dim=1))


def relevance(watch: Watch, value: torch.Tensor) -> torch.Tensor:
    """Contribution of each token to an output, (B, N).

    Chefer, Gur & Wolf 2021, "Generic attention-model explainability", equations 5 and 6: per block
    R <- R + E_h[(dA * A)+] R, dA the gradient of the output. Two things are added, as heads here
    read every token and not the row of a class token, whose identity part drops out:

    - gains, E_h[(dA * A)+], are scaled to rows that sum to 1 in the mean, as those of attention
      do: else the identity outweighs whatever an output measured in small units attends to;
    - the rows of R are weighed by the same rule at the head: gates of 1 through which it reads
      what sets each token apart from their mean, in the place of A.

    Args:
        value: (B,) the output to explain, one per row, of the pass that was watched.

    Raises:
        ConfigError: it does not depend on the tokens.
    """
    tokens = _tokens(watch)
    slopes = (torch.autograd.grad(value.sum(), [*watch.attention, tokens], allow_unused=True)
              if value.requires_grad else [None])
    if slopes[-1] is None:
        raise ConfigError('this output does not depend on the tokens of the encoder, so there is '
                          'nothing to explain')
    flow = _identity(watch)
    for block, (attention, slope) in enumerate(zip(watch.attention, slopes)):
        if slope is not None:
            gain = (slope * attention).detach().clamp(min=0).mean(dim=1)
            gain = gain / gain.sum(dim=2).mean(dim=1).clamp(min=1e-30)[:, None, None]
            flow = flow + _whole(watch, block, gain) @ flow
    count = tokens.shape[1]
    apart = (tokens - tokens.mean(dim=1, keepdim=True)).detach()
    read = (slopes[-1] * apart).sum(dim=2).clamp(min=0)
    return _shares((read[:, None] @ flow[:, -count:, -count:])[:, 0])


def _tokens(watch: Watch) -> torch.Tensor:
    if watch.tokens is None:
        raise ConfigError('nothing was encoded while watching')
    return watch.tokens


def _whole(watch: Watch, block: int, attention: torch.Tensor) -> torch.Tensor:
    """(B, S, S) between all tokens, also where some of them were fused."""
    fusion = watch.fusion[block]
    return attention.detach() if fusion is None else fusion.spread(attention.detach())


def _identity(watch: Watch) -> torch.Tensor:
    first = watch.attention[0]
    return torch.eye(first.shape[-1], device=first.device).expand(first.shape[0], -1, -1)


def _shares(value: torch.Tensor) -> torch.Tensor:
    """Non-negative numbers as shares of their sum; equal ones where all are 0."""
    total = value.sum(dim=1, keepdim=True)
    return torch.where(total > 0, value / total.clamp(min=1e-30), 1 / value.shape[1])
