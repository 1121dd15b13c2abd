"""The eye of BC-RL: a small actor over its view and the vector of `glances`.

B batch   N tokens   P patch side   V vector   F features, V of them the vector
"""

import torch
from torch import nn


class LookingTrunk(nn.Module):
    """View and vector to features; shared by the actor and, in training, the critic."""

    def __init__(self, tokens: int, patch: int, vector: int, features: int = 128) -> None:
        super().__init__()
        self.features = features + vector
        # One matrix for the patches of all levels, then one that knows where each was: quicker
        # here than convolutions, and than attention as a policy.
        self.squeeze = nn.Linear(patch ** 2 * 3, 12)
        self.scene = nn.Linear(tokens * 12, 64)
        self.situation = nn.Linear(vector, 2 * features)
        self.mix = nn.Linear(2 * features + 64, features)

    def forward(self, view: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
        """(B, N, P * P * 3) patches of `hand.cut` and (B, V) to (B, F): the vector as it is, too,
        from which a straight line leads to where the hand's attention is.
        """
        patches = torch.relu(self.squeeze(view.float() / 127.5 - 1.0))             # (B, N, 12)
        scene = torch.relu(self.scene(patches.flatten(1)))
        situation = torch.relu(self.situation(vector))
        mixed = torch.relu(self.mix(torch.cat([situation, scene], dim=1)))
        return torch.cat([mixed, vector], dim=1)


class LookingPolicy(nn.Module):
    """Trunk and actor, as the robot runs it."""

    def __init__(self, tokens: int, patch: int, vector: int) -> None:
        super().__init__()
        self.trunk = LookingTrunk(tokens, patch, vector)
        self.actor = nn.Linear(self.trunk.features, 2)

    @torch.inference_mode()
    def act(self, view: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
        """The most probable move: (B, 2) in [-1, 1], fractions of 10 degrees (pan, tilt)."""
        return self.actor(self.trunk(view, vector)).clamp(-1.0, 1.0)
