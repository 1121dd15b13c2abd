"""Several processes that train one hand and one eye: each watches demonstrations of its own, and
their gradients are averaged. `torchrun --nproc-per-node 2 -m gaze_robot.cli train bcrl` starts
them.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
import os

import torch
from torch import distributed, nn

from gaze_robot.errors import ConfigError


@dataclass(frozen=True)
class Crew:
    """One process among those that train together."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether it is the one that writes."""
        return self.rank == 0

    def average_gradients(self, parameters: Sequence[nn.Parameter], own: bool = True) -> int:
        """Make the gradients of all processes their mean; how many had some.

        Args:
            own: whether this process has some. One that has none any more calls this until nobody
                has, and makes the others' steps: so all of them make as many.
        """
        if self.size == 1:
            return int(own)
        rows = [parameter.grad if own and parameter.grad is not None else torch.zeros_like(
            parameter) for parameter in parameters]
        flat = torch.cat([*(row.flatten() for row in rows), rows[0].new_tensor([float(own)])])
        distributed.all_reduce(flat)
        count = round(float(flat[-1]))
        mean = flat[:-1] / max(1, count)
        for parameter, part in zip(parameters, mean.split([row.numel() for row in rows])):
            if parameter.grad is not None or not own:
                parameter.grad = part.view_as(parameter).clone()
        return count

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
    """'auto': the GPU of this process where there is one, else the processor.

    Raises:
        ConfigError: there is no such device.
    """
    if asked != 'auto':
        try:
            device = torch.device(asked)
            torch.zeros(1, device=device)
        except (AssertionError, RuntimeError) as error:
            raise ConfigError(f'there is no device {asked!r} here ({str(error).splitlines()[0]}); '
                              'take auto, cpu, cuda or cuda:1') from error
        return device
    if torch.cuda.is_available():
        return torch.device('cuda', int(os.environ.get('LOCAL_RANK', '0')))
    return torch.device('cpu')
