"""What a hand makes of a view before it decides: tokens, the shape of a thing, its exact place.

B batch   N tokens   P patch side   S parts of a token   C colours   D width
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from gaze_robot.policy.hand import HandConfig

_JOINED = 64
"""Numbers that are made of all that is inspected."""
_CELL = 4
"""Samples across and down that convolutions make one of."""
_INSIDE, _ABOUT = 0.75, 2.0
"""Cells from the nearest one in which a place is in view, and about a place."""
_AS_SHARP = 1.5
"""Levels whose cells are this much larger than the smallest at most are as sharp."""
_WORTH_A_LOOK = 8.0
"""Logit where nothing can be told."""
_LITTLE = 1e-6
"""Attention below this counts as this."""


_SCALES = (0.03, 0.15, 0.6)
"""Radians at which differences of angles are resolved: an arm has to meet a thing to a hundredth
of its reach, which a layer of a network hardly tells from the plain angles."""
_WAVES = (2.0, 5.0, 12.0, 30.0)
"""Frequencies, 1/radian, or over the spread of a joint."""


def closely_size(joints: int) -> int:
    """Numbers that `closely` makes of so many joints."""
    return 2 * joints * len(_SCALES) + 2 * (2 + joints) * len(_WAVES)


def closely(place: torch.Tensor, joints: torch.Tensor, posture: torch.Tensor) -> torch.Tensor:
    """Angles, resolved finely: how far joints are from where a thing is, near differences best,
    and sines and cosines (Tancik et al., 'Fourier features let networks learn high frequency
    functions in low dimensional domains', 2020).

    Args:
        place: (B, 2) pan and tilt, radians. No gradient goes there: it would be many times that of
            the plain angles.
        joints, posture: (B, J) as they are, and over their spread.
    """
    place = place.detach()
    away = (place[:, :, None] - joints[:, None]).flatten(1)
    angles = torch.cat([place, posture], dim=1)
    waves = [wave(angles * rate) for rate in _WAVES for wave in (torch.sin, torch.cos)]
    return torch.cat([*(torch.tanh(away / scale) for scale in _SCALES), *waves], dim=1)


class Tokens(nn.Module):
    """A layer for all 2 x 2 samples, the parts of tokens, and one that joins those of a token."""

    def __init__(self, patch: int, colours: int, width: int) -> None:
        super().__init__()
        self.across = patch // 2
        self.local = nn.Linear(2 * 2 * 3, colours)
        self.embed = nn.Linear(self.across ** 2 * colours, width)

    def forward(self, view: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Patches (B, N, P * P * 3) uint8 to tokens (B, N, D), and to the colours (B, N, S, C) of
        their parts, rows first.
        """
        batch, count, _ = view.shape
        # Rearranged while it is bytes, which is a quarter of the work.
        blocks = view.reshape(batch, count, self.across, 2, self.across, 6).transpose(3, 4)
        seen = torch.relu(self.local(blocks.reshape(-1, 12).float() / 127.5 - 1.0))
        seen = seen.view(batch, count, self.across ** 2, -1)
        return self.embed(seen.flatten(2)), seen


class Inspection(nn.Module):
    """Whether what is attended to is what the task names, by its look, wherever in view it is.

    Attention compares tokens with the task one by one, and no token has the shape of a thing that
    is larger. Here convolutions see over the edges of tokens (Xiao et al., 'Early convolutions
    help transformers see better', 2021), and the most of each of their features about the attended
    place decides. Only where it is seen sharply: in the corner of an eye shapes cannot be told.

    In training half of what it sees is mirrored: a thing's mirror image is as much that thing, and
    without them it told unseen look-alikes in 91 of 100 pairs, with them in all.
    """

    def __init__(self, config: 'HandConfig') -> None:
        super().__init__()
        self.grids, self.patch = config.grids, config.patch
        some, more = config.colours, 2 * config.colours
        self.steps = nn.ModuleList((
            nn.Conv2d(3, some, 4, stride=2, padding=1), nn.Conv2d(some, some, 3, padding=1),
            nn.Conv2d(some, more, 3, stride=2, padding=1), nn.Conv2d(more, more, 3, padding=1)))
        self.join = nn.Linear(more, _JOINED)
        # Products with the task: whether a shape is the right one is learned sooner from them.
        self.decide = nn.Linear(_JOINED * config.task * (1 + len(config.phase)), 1)

    def forward(self, view: torch.Tensor, rays: torch.Tensor, place: torch.Tensor,
                asked: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Judge.

        Args:
            view: (B, N, P * P * 3) patches.
            rays: (N, 3) of the tokens.
            place: (B, 3) where what is attended to is, in their frame, of any length.
            asked: (B, ...) the task.

        Returns:
            Logits (B,), and whether they are told (B,) bool; those that are not are high: worth a
            closer look.
        """
        counts = [down * across for down, across in self.grids]
        found = rays.new_full((len(view),), _WORTH_A_LOOK)
        told = torch.zeros_like(found, dtype=torch.bool)
        mirrored = torch.rand_like(found) < 0.5 if self.training else None
        cells, apart = self._cells(rays.split(counts))
        levels = zip(view.split(counts, dim=1), self.grids, cells, apart)
        for level, (down, across), of_level, wide in levels:
            if wide > _AS_SHARP * min(apart):
                continue
            within, about = _about(of_level, wide, nn.functional.normalize(place, dim=1))
            tiles = level.reshape(-1, down, across, self.patch, self.patch, 3)
            seen = tiles.transpose(2, 3).reshape(-1, down * self.patch, across * self.patch, 3)
            seen = seen.permute(0, 3, 1, 2).float() / 127.5 - 1.0
            if mirrored is not None:
                seen = torch.where(mirrored[:, None, None, None], seen.flip(3), seen)
                rows = about.view(len(view), -1, across * self.patch // _CELL)
                about = torch.where(mirrored[:, None], rows.flip(2).flatten(1), about)
            for step in self.steps:
                seen = torch.relu(step(seen))
            most = (seen.flatten(2) * about[:, None]).amax(dim=2)
            joined = torch.relu(self.join(most))
            said = self.decide((joined[:, :, None] * asked[:, None]).flatten(1))[:, 0]
            found = torch.where(within & ~told, said.float(), found)
            told = told | within
        return found, told

    def _cells(self, rays: Sequence[torch.Tensor]) -> tuple[list[torch.Tensor], list[float]]:
        """Of each level: unit vectors to its cells, of 4 samples square, and how far from each
        other those are, radians.
        """
        with torch.autocast(rays[0].device.type, enabled=False):    # 8 bits are degrees off here
            cells = [_parts_of(level, grid, self.patch // _CELL).float()
                     for level, grid in zip(rays, self.grids)]
            return cells, [float(_angle((level @ level.T).fill_diagonal_(-1.0).amax(dim=1)).mean())
                           for level in cells]


def _about(cells: torch.Tensor, apart: float, place: torch.Tensor
           ) -> tuple[torch.Tensor, torch.Tensor]:
    """Whether a level's cells show a place (B,), and which of them are about it (B, cells); see
    `Inspection.forward`.
    """
    with torch.autocast(cells.device.type, enabled=False):
        off = _angle(place.float() @ cells.T) / apart
        return off.amin(dim=1) < _INSIDE, off < _ABOUT


def _angle(cosine: torch.Tensor) -> torch.Tensor:
    return cosine.clamp(-1.0, 1.0).acos()


def _parts_of(rays: torch.Tensor, grid: tuple[int, int], parts: int) -> torch.Tensor:
    """Unit vectors (rows * columns, 3) to parts of tokens, `parts` across and down of each, rows
    of the picture first, from those of a level's tokens.
    """
    out = rays.view(*grid, 3)
    for axis, count in enumerate(grid):
        if parts > 1 and count > 1:
            at = (torch.arange(count * parts, device=rays.device) + 0.5) / parts - 0.5
            first = at.floor().clamp(0, count - 2).long()
            share = (at - first).view(-1, *(1,) * (2 - axis))
            out = out.index_select(axis, first) * (1.0 - share) + (
                out.index_select(axis, first + 1) * share)
        elif parts > 1:
            out = out.repeat_interleave(parts, dim=axis)
    return nn.functional.normalize(out.reshape(-1, 3), dim=1)


class Finer(nn.Module):
    """Where, within what is attended to, the thing is: the mean place of what has its colours (a
    soft argmax; Levine et al., 'End-to-end training of deep visuomotor policies', 2016), on
    whichever level shows that best. Attention likes tokens that hold a thing whole, and those are
    10 degrees wide, which at arm's length is far more than a gripper may miss by.
    """

    def __init__(self, config: 'HandConfig') -> None:
        super().__init__()
        self.grids, across = config.grids, config.patch // 2
        self.query = nn.Sequential(
            nn.Linear(config.task * (1 + len(config.phase)), 128), nn.ReLU(),
            nn.Linear(128, config.colours + len(config.grids)))
        steps = (torch.arange(across) + 0.5) / across - 0.5
        down, right = torch.meshgrid(steps, steps, indexing='ij')
        self.register_buffer('parts', torch.stack([down, right], dim=2).view(-1, 2),
                             persistent=False)
        """(S, 2) places of a token's parts, tokens from its middle: down and right."""
        self.register_buffer('level', torch.repeat_interleave(torch.tensor(
            config.tokens_per_level)), persistent=False)
        """(N,) of each token."""

    def forward(self, colours: torch.Tensor, attention: torch.Tensor, asked: torch.Tensor,
                rays: torch.Tensor, around: torch.Tensor) -> torch.Tensor:
        """The mean ray (B, 3), as long as there is attention.

        Args:
            colours: (B, N, S, C).
            attention: (B, N).
            asked: (B, ...) the task.
            rays: (N, 3) of the tokens.
            around: (N, N) 1 where two tokens may show the same thing.
        """
        colour, level = self.query(2 * asked).split([colours.shape[3], len(self.grids)], dim=1)
        alike = (colours @ colour[:, None, :, None])[..., 0] + level[:, self.level, None]
        with torch.autocast(alike.device.type, enabled=False):      # 8 bits are not enough here
            attention = attention.float()
            shown = (attention @ around).clamp(min=_LITTLE)                         # (B, N)
            alike = alike.float() + shown.log()[..., None]
            share = alike.flatten(1).softmax(dim=1).view_as(alike)
            of_token, within = share.sum(dim=2), share @ self.parts                 # (B, N, 2)
            down, right = self._steps(rays)
            ray = of_token @ rays + within[..., 0] @ down + within[..., 1] @ right
            return ray * attention.sum(dim=1, keepdim=True)

    def _steps(self, rays: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, 3) each: from a token's ray to that of the token below, and to the right."""
        down, right = [], []
        for part, grid in zip(rays.split([r * c for r, c in self.grids]), self.grids):
            below, beside = torch.gradient(part.view(*grid, 3), dim=(0, 1))
            down.append(below.reshape(-1, 3))
            right.append(beside.reshape(-1, 3))
        return torch.cat(down), torch.cat(right)
