"""The eye: a small actor over tokens and the situation vector.

B batch   N tokens   D width   V vector   F features
"""

import torch
from torch import nn

from gaze_robot.policy.actions import MOVES


class EyeTrunk(nn.Module):
    """Observation to features; shared by the actor and, in training, the critic."""

    def __init__(self, tokens: int, width: int, vector: int, features: int = 128) -> None:
        super().__init__()
        self.squeeze = nn.Linear(width, 4)
        self.scene = nn.Linear(tokens * 4, 32)
        self.situation = nn.Linear(vector, 2 * features)
        self.mix = nn.Linear(2 * features + 32, features)
        self.features = features

    def forward(self, tokens: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
        """(B, N, D) tokens and (B, V) vector to (B, F)."""
        scene = torch.tanh(self.scene(torch.tanh(self.squeeze(tokens)).flatten(1)))
        situation = torch.relu(self.situation(vector))
        return torch.relu(self.mix(torch.cat([situation, scene], dim=1)))


class EyePolicy(nn.Module):
    """Trunk and actor, as the robot runs it."""

    def __init__(self, tokens: int, width: int, vector: int, discrete: bool = True) -> None:
        super().__init__()
        self.discrete = discrete
        self.trunk = EyeTrunk(tokens, width, vector)
        self.actor = nn.Linear(self.trunk.features, len(MOVES) if discrete else 2)

    @torch.inference_mode()
    def act(self, tokens: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
        """The most probable action: (B,) int64 indices, or (B, 2) in [-1, 1]."""
        out = self.actor(self.trunk(tokens, vector))
        return out.argmax(dim=1) if self.discrete else out.clamp(-1.0, 1.0)
