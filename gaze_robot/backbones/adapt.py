"""What a pretrained vision transformer needs to read tokens of unequal size.

B batch   N tokens   D width   P side of our patches   p side of the model's   G side of its
position grid
"""

import torch
from torch.nn import functional as F

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's channels, grey levels 0 to 1: what DINOv2 and DINOv3 were trained with."""


def patch_embedding(kernel: torch.Tensor, bias: torch.Tensor, side: int
                    ) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn a model's patch convolution into a linear layer over our patches.

    Resizing a patch and normalising its colours are linear, so both go into the weights, once:
    the picture's patch is resized (bicubic, antialiased) from P to p samples, the identity where
    they agree. The pseudo-inverse of FlexiViT (Beyer et al. 2023), exact for patches that were
    enlarged from p samples, is farther off for patches that were averaged from a sharper picture,
    as ours are: on pictures with the spectrum of natural ones and smooth filters, from 14 samples
    to 16, 5.7 % of the response against 4.0 % (relative to averaging to 14 directly).

    Args:
        kernel: (D, 3, p, p) of the convolution.
        bias: (D,) of the convolution.
        side: P.

    Returns:
        weight (D, P * P * 3) and bias (D,) for patches in [-1, 1], flattened rows first,
        channels last.
    """
    width, channels, own, _ = kernel.shape
    each = torch.eye(side ** 2, dtype=torch.float64).reshape(side ** 2, 1, side, side)
    resize = F.interpolate(each, size=(own, own), mode='bicubic', antialias=True)
    resize = resize.reshape(side ** 2, own ** 2)                         # (P * P, p * p)
    kernel, bias = kernel.detach().double().cpu(), bias.detach().double().cpu()
    weight = kernel.reshape(width, channels, own ** 2) @ resize.T        # (D, 3, P * P)
    mean, std = (torch.tensor(values, dtype=torch.float64) for values in (MEAN, STD))
    bias = bias + (weight.sum(dim=-1) * ((0.5 - mean) / std)).sum(dim=-1)
    weight = weight * (0.5 / std)[:, None]
    return weight.transpose(1, 2).reshape(width, -1).float(), bias.float()


def sample_grid(grid: torch.Tensor, place: torch.Tensor, extent: torch.Tensor, antialias: bool
                ) -> torch.Tensor:
    """Read a learned grid of position embeddings at tokens' own places.

    For tokens on a regular grid this is what resizing the whole grid gives (bicubic; Keys 1981
    with a = -0.75, or -0.5 and widened over coarse tokens when antialiased), so that the
    pretrained model's own rule is kept on a uniform picture.

    Args:
        grid: (G, G, D), rows first.
        place: (..., N, 2) centre (right, down); the picture spans [-1, 1], beyond is its edge.
        extent: (..., N) side of each token in the same coordinate.
        antialias: average over a token that covers more than one cell of the grid.

    Returns:
        (..., N, D).
    """
    size = len(grid)
    cell = ((place + 1) * (size / 2) - 0.5).clamp(-0.5, size - 0.5)      # (..., N, 2)
    cells = (extent * (size / 2)).clamp(min=1.0)[..., None]
    weigh = _antialiased if antialias else _interpolated
    across, down = (weigh(cell[..., axis:axis + 1], cells, size) for axis in (0, 1))
    weight = down[..., :, None] * across[..., None, :]                   # (..., N, G, G)
    return (weight.flatten(-2) @ grid.to(weight.dtype).flatten(0, 1)).to(grid.dtype)


def _interpolated(cell: torch.Tensor, cells: torch.Tensor, size: int) -> torch.Tensor:
    """Weights of `size` grid lines, (..., size); what lies beyond the edge counts for the edge."""
    line = torch.arange(-2, size + 2, dtype=cell.dtype, device=cell.device)
    weight = _keys(cell - line, -0.75)
    first = weight[..., :3].sum(dim=-1, keepdim=True)
    last = weight[..., -3:].sum(dim=-1, keepdim=True)
    return torch.cat([first, weight[..., 3:-3], last], dim=-1)


def _antialiased(cell: torch.Tensor, cells: torch.Tensor, size: int) -> torch.Tensor:
    """The same, with a kernel as wide as the token; what lies beyond the edge does not count."""
    line = torch.arange(size, dtype=cell.dtype, device=cell.device)
    weight = _keys((cell - line) / cells, -0.5)
    return weight / weight.sum(dim=-1, keepdim=True)


def _keys(distance: torch.Tensor, a: float) -> torch.Tensor:
    """Cubic convolution kernel (Keys 1981, eq. 4)."""
    t = distance.abs()
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((t - 5) * t + 8) * t * a - 4 * a
    return torch.where(t <= 1, near, torch.where(t < 2, far, torch.zeros_like(t)))


def rotary(frequency: torch.Tensor, place: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """DINOv3's rotary positions at tokens' own places.

    Args:
        frequency: (F,) turns per unit of coordinate, a quarter of a head's channels.
        place: (..., N, 2) centre (right, down); the picture spans [-1, 1].

    Returns:
        cosine and sine, (..., N, 4 F): rows' angles first, then columns', both twice.
    """
    angle = 2 * torch.pi * place.flip(-1)[..., None] * frequency         # (..., N, 2, F)
    angle = angle.flatten(-2)
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos(), angle.sin()
