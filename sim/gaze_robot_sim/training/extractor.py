"""Observations of an eye to one vector of features, for stable-baselines3's MultiInputPolicy.

Its own network for pictures needs at least 36 samples across and is slow on many small pictures;
this one takes any window, and is one matrix product per picture.
"""

import math

import gymnasium
import numpy as np
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
import torch
from torch import nn


class PatchExtractor(BaseFeaturesExtractor):
    """Cuts every picture into patches, embeds each, and mixes all of it with the vectors.

    Every picture has an embedding of its own: a patch of the fovea and one of the periphery that
    look alike are not the same thing. Use it as
    `PPO('MultiInputPolicy', env, policy_kwargs={'features_extractor_class': PatchExtractor})`.
    """

    def __init__(self, observation_space: gymnasium.spaces.Dict, features_dim: int = 256,
                 patch: int = 8, width: int = 16) -> None:
        """Make the layers.

        Args:
            observation_space: as stable-baselines3 gives it: pictures (3, h, w), floats in [0, 1]
                when they arrive; everything else is flattened.
            features_dim: length of the result.
            patch: side of a patch, samples; where it does not divide a picture, their greatest
                common divisor.
            width: features of a patch.
        """
        super().__init__(observation_space, features_dim)
        self._side: dict[str, int] = {}
        embed, length = {}, 0
        for name, space in observation_space.spaces.items():
            shape = space.shape or ()
            if is_image_space(space):
                side = math.gcd(patch, *shape[-2:])
                self._side[name] = side
                embed[name] = nn.Linear(shape[0] * side * side, width)
                length += shape[-2] * shape[-1] // side ** 2 * width
            else:
                length += int(np.prod(shape))
        self.embed = nn.ModuleDict(embed)
        self.mix = nn.Sequential(nn.Linear(length, features_dim), nn.ReLU())

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        """Features (batch, features_dim) of observations (batch, ...)."""
        parts = []
        for name, value in observations.items():
            if name in self._side:
                patches = nn.functional.pixel_unshuffle(value, self._side[name])
                value = torch.relu(self.embed[name](patches.flatten(2).transpose(1, 2)))
            parts.append(value.flatten(1).float())
        return self.mix(torch.cat(parts, dim=1))
