"""How well the places of a picture fit the way a face looks, in the picture and in space.

What lies along a gaze in the picture may be nearer or farther than the gaze goes. How large things
appear tells how far they are, as those that people look at are not so different in size: from it
places in space are made, and the angle between a gaze and the line to each.

B pictures   P heads in each   K places
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

_FOCAL = 0.8
"""Of a camera that nobody told of, over the picture's width: 64 degrees across."""
_DEPTHS = (0.0, -0.2, 0.2)
"""Depths are not sure: beside the likeliest, these are tried too (of its logarithm)."""
_FACTS, _HIDDEN = 7 + 2 * len(_DEPTHS), 24


def in_space(places: torch.Tensor, size: torch.Tensor, aspect: torch.Tensor) -> torch.Tensor:
    """Where things are, the camera at the origin: (B, K, 3) right, down, away, in their sizes.

    Args:
        places: (B, K, 2) in the picture, from its middle, over its mean side.
        size: (B, K) of what is there, in the same unit.
        aspect: (B,) width over height of the picture.
    """
    away = (_FOCAL * aspect.sqrt())[:, None, None].expand(-1, places.shape[1], 1)
    return torch.cat([places, away], dim=-1) / size[..., None]


def lines_of_sight(direction: torch.Tensor, heads: torch.Tensor, places: torch.Tensor
                   ) -> tuple[torch.Tensor, torch.Tensor]:
    """Angles between gazes and the lines to places, and how long these are.

    Args:
        direction: (B, P, 3) unit vectors of gaze: right, down, away, as seen along the line from
            the camera to the head (see `face_pose.sight_axes`).
        heads: (B, P, 3) where they are in space.
        places: (B, K, 3).

    Returns:
        cosines (B, P, K); lengths (B, P, K).
    """
    away = F.normalize(heads, dim=-1)
    x, _, z = away.unbind(dim=-1)
    right = F.normalize(torch.stack([z, torch.zeros_like(z), -x], dim=-1), dim=-1)
    axes = torch.stack([right, torch.linalg.cross(away, right), away], dim=-1)      # (B, P, 3, 3)
    gaze = (axes * direction[..., None, :]).sum(dim=-1)
    ahead = _dot(gaze, places) - (gaze * heads).sum(dim=-1, keepdim=True)
    square = (places.square().sum(dim=-1)[:, None] + heads.square().sum(dim=-1, keepdim=True)
              - 2 * _dot(heads, places))
    length = (square.clamp(min=0) + 1e-4).sqrt()
    return ahead / length, length


def _dot(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """(B, P, K) of (B, P, 3) and (B, K, 3); no product of matrices, whose floats may be short."""
    parts = [one[..., axis, None] * other[:, None, :, axis] for axis in range(3)]
    return parts[0] + parts[1] + parts[2]


def in_sight(direction: torch.Tensor, heads: tuple[torch.Tensor, torch.Tensor],
             cells: tuple[torch.Tensor, torch.Tensor], aspect: torch.Tensor
             ) -> tuple[torch.Tensor, torch.Tensor]:
    """The same of places and sizes in the picture; see `in_space` for these.

    Returns:
        cosines (B, P, K, D), at each of `_DEPTHS`; lengths (B, P, K) at the first.
    """
    places, size = cells
    tried = torch.cat([size * math.exp(-farther) for farther in _DEPTHS], dim=1)
    cosine, length = lines_of_sight(
        direction, in_space(*heads, aspect),
        in_space(places.repeat(1, len(_DEPTHS), 1), tried, aspect))
    return (cosine.unflatten(-1, (len(_DEPTHS), -1)).transpose(-2, -1),
            length[..., :size.shape[1]])


class Towards(nn.Module):
    """Judges places by the way a face looks."""

    def __init__(self, answers: int) -> None:
        """Make the layers, at random; so many answers about each pair of a head and a place."""
        super().__init__()
        self.judge = nn.Sequential(nn.Linear(_FACTS, _HIDDEN), nn.GELU(),
                                   nn.Linear(_HIDDEN, answers))

    def forward(self, direction: torch.Tensor, spread: torch.Tensor, offset: torch.Tensor,
                size: torch.Tensor, cosine: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
        """Judge every pair of a head and a place.

        Args:
            direction: (B, P, 3) of gaze: right, down, away.
            spread: (B, P) how sure that is, radians.
            offset: (B, P, K, 2) from head to place in the picture.
            size: (B, P) of the head, in the same unit.
            cosine, length: (B, P, K, D) and (B, P, K), see `in_sight`.

        Returns:
            (B, P, K, answers).
        """
        flat_length = offset.norm(dim=-1)
        across = (direction[..., None, :2].square().sum(dim=-1) + 1e-8).sqrt().expand_as(length)
        along = (offset * direction[..., None, :2]).sum(dim=-1) / (flat_length * across + 1e-3)
        far = (flat_length / size[..., None].clamp(min=1e-3) + 0.1).log()
        flat = torch.stack([along, along * across, across,
                            direction[..., 2:].expand_as(length), far,
                            spread[..., None].expand_as(length), length.log()], dim=-1)
        off = (2 - 2 * cosine).clamp(min=1e-6).sqrt()                # about the angle, if small
        return self.judge(torch.cat([flat, off, off / (spread[..., None, None] + 0.1)], dim=-1))
