"""People source: where heads are, cell by cell, from the tokens of the one pass.

It is trained on drawn figures only (`gaze-robot train heads`) and is coarse: good enough to say
where a closer look may be worth it, no face detector, and no estimate of where somebody looks.

B batch   N tokens   D width   L levels   C cells across a level
"""

import torch
from torch import nn

from gaze_robot.foveation.front_end import FrontEnd
from gaze_robot.gaze_target.cells import nearest_tokens
from gaze_robot.gaze_target.evidence import CELLS
from gaze_robot.gaze_target.salience import FEATURES, in_grey_levels

_SPOKEN, _HIDDEN = 12, 16
_SPREAD = 40.0
"""Grey levels that count as one in the network."""


class PeopleHead(nn.Module):
    """Judges every cell of every level: is a head here?

    What the token over a cell says, and what the cell and its neighbours look like, through two
    convolutions of 3 x 3.
    """

    def __init__(self, width: int, front_end: FrontEnd) -> None:
        super().__init__()
        self.levels = front_end.pattern.levels
        token, place = nearest_tokens(front_end)
        self.token: torch.Tensor
        self.place: torch.Tensor
        self.register_buffer('token', torch.from_numpy(token).flatten(), persistent=False)
        self.register_buffer('place', torch.from_numpy(place).float().permute(0, 3, 1, 2),
                             persistent=False)                              # (L, 2, C, C)
        self.spoken = nn.Linear(width, _SPOKEN)
        self.judge = nn.Sequential(
            nn.Conv2d(_SPOKEN + FEATURES + 3, _HIDDEN, 3, padding=1), nn.GELU(),
            nn.Conv2d(_HIDDEN, _HIDDEN, 3, padding=1), nn.GELU(), nn.Conv2d(_HIDDEN, 1, 1))

    def forward(self, tokens: torch.Tensor, features: torch.Tensor, valid: torch.Tensor
                ) -> torch.Tensor:
        """Judge.

        Args:
            tokens: (B, N, D) of the view.
            features: (B, L, FEATURES, C, C) of `cell_features`.
            valid: (B, L, C, C) bool, False outside the picture.

        Returns:
            (B, L, C, C) logits of a head being there; very low outside the picture.
        """
        shape = (-1, self.levels, _SPOKEN, CELLS, CELLS)
        spoken = self.spoken(tokens).transpose(1, 2)[:, :, self.token]      # (B, K, L * C * C)
        spoken = spoken.view(-1, _SPOKEN, self.levels, CELLS, CELLS).transpose(1, 2)
        place = self.place.expand(tokens.shape[0], *self.place.shape)
        planes = torch.cat([spoken.reshape(shape), in_grey_levels(features) / _SPREAD,
                            place, valid[:, :, None].float()], dim=2)
        logits = self.judge(planes.flatten(0, 1)).view(valid.shape)
        return logits.masked_fill(~valid, -30.0)
