"""What a hand makes of a view before it decides: tokens, the shape of a thing, its exact place.

B batch   N tokens   P patch side   S parts of a token   C colours   D width
"""

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from gaze_robot.policy.hand import HandConfig

_JOINED = 64
"""Numbers that are made of all that is inspected."""
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
    """Whether what is attended to is what the task names, by the look of all of it.

    Attention compares tokens with the task one by one, and no token has the shape of a thing that
    is larger. Here convolutions see over the edges of tokens (Xiao et al., 'Early convolutions
    help transformers see better', 2021), and all that is near goes into one decision.
    """

    def __init__(self, config: 'HandConfig') -> None:
        super().__init__()
        self.grids, self.patch = config.grids, config.patch
        halvings = config.patch.bit_length() - 1
        sizes = [3, *(min(config.width, config.colours * 2 ** step)
                      for step in range(halvings - 1)), config.width]
        self.steps = nn.ModuleList(
            nn.Conv2d(before, after, 3 if step else 4, stride=2, padding=1)
            for step, (before, after) in enumerate(zip(sizes, sizes[1:])))
        self.join = nn.Linear(config.tokens * config.width, _JOINED)
        # Products with the task: whether a shape is the right one is learned sooner from them.
        self.decide = nn.Linear(_JOINED * config.task * (1 + len(config.phase)), 1)

    def forward(self, view: torch.Tensor, near: torch.Tensor, asked: torch.Tensor
                ) -> torch.Tensor:
        """Logits (B,), from patches (B, N, P * P * 3), which are near (B, N), and the task."""
        rows = []
        for level, (down, across) in zip(view.split([r * c for r, c in self.grids], dim=1),
                                         self.grids):
            tiles = level.reshape(-1, down, across, self.patch, self.patch, 3)
            seen = tiles.transpose(2, 3).reshape(-1, down * self.patch, across * self.patch, 3)
            seen = seen.permute(0, 3, 1, 2).float() / 127.5 - 1.0
            for step in self.steps:
                seen = torch.relu(step(seen))
            rows.append(seen.flatten(2))
        tokens = torch.cat(rows, dim=2).transpose(1, 2) * near[..., None]
        joined = torch.relu(self.join(tokens.flatten(1)))
        return self.decide((joined[:, :, None] * asked[:, None]).flatten(1))[:, 0]


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
