"""Nested 2-D rotary positions: all levels share one coordinate system, the visual angle."""

import math

import torch


def frequencies(head_width: int, shortest_rad: float = math.radians(2),
                longest_rad: float = math.radians(360)) -> torch.Tensor:
    """Angular frequencies, (head_width / 4,), geometric between the two wavelengths.

    A head's width holds pairs for x in its first half and pairs for y in the second.
    """
    count = head_width // 4
    steps = torch.linspace(0, 1, count)
    return 2 * math.pi / (shortest_rad * (longest_rad / shortest_rad) ** steps)


def rotation(position_rad: torch.Tensor, frequency: torch.Tensor
             ) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines for `rotate`.

    Args:
        position_rad: (..., N, 2) visual angles (right, down) from the fixation.
        frequency: (F,)

    Returns:
        cos, sin: (..., N, 2 F), x's angles first.
    """
    angle = position_rad[..., :, None] * frequency           # (..., N, 2, F)
    angle = angle.flatten(-2)
    return angle.cos(), angle.sin()


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn feature pairs by their position's angle (Su et al., RoFormer, 2021, eq. 34).

    Args:
        x: (B, heads, N, 4 F)
        cos, sin: (N, 2 F) or (B, 1, N, 2 F)
    """
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)
