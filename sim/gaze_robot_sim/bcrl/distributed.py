"""Several processes that train one hand and one eye: each watches demonstrations of its own, and
their gradients are averaged. `torchrun --nproc-per-node 2 -m gaze_robot.cli train bcrl` starts
them.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import os

import torch
from torch import distributed, nn


@dataclass(frozen=True)
class Crew:
    """One process among those that train together."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether it is the one that writes."""
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Make the gradients of all processes their mean; nothing to do for one alone."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.size
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients])):
            gradient.copy_(part.view_as(gradient))

    def follow(self, tensors: Iterable[torch.Tensor]) -> None:
        """Take over the leader's values."""
        if self.size > 1:
            for tensor in tensors:
                distributed.broadcast(tensor, 0)

    def wait(self) -> None:
        """Until all have come here."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def crew(device: torch.device) -> Iterator[Crew]:
    """Join the processes that torchrun started, over nccl on GPUs and gloo elsewhere; alone
    without it.
    """
    if int(os.environ.get('WORLD_SIZE', '1')) < 2:
        yield Crew()
        return
    distributed.init_process_group('nccl' if device.type == 'cuda' else 'gloo')
    try:
        yield Crew(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def pick_device(asked: str) -> torch.device:
    """'auto': the GPU of this process where there is one, else the processor."""
    if asked != 'auto':
        return torch.device(asked)
    if torch.cuda.is_available():
        return torch.device('cuda', int(os.environ.get('LOCAL_RANK', '0')))
    return torch.device('cpu')
