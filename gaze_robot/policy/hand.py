"""The hand: a chunk of what it will do next, from the foveated tokens of what the eye sees now.

Queries made of the task pick tokens, or nothing (attention pooling); a decoder over the steps of
the chunk turns what they found, and where, and all that is in the fovea, into relative actions.
The idea of predicting a chunk of actions at once is ACT's (Zhao et al., 'Learning fine-grained
bimanual manipulation with low-cost hardware', 2023).

B batch   N tokens   P patch side   D width   H queries   J joints   G task   K chunk   A actions
"""

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from gaze_robot.errors import ConfigError
from gaze_robot.policy.hand_sight import closely, closely_size, Finer, Inspection, Tokens

GAZE_FEATURES = 4
"""Sine and cosine of pan and of tilt."""
_NOWHERE = 1e-6
"""Length of a direction that is none."""
_FORESEEING = 64
"""Width of what says where the task will end."""
_BESIDE_RAD = math.radians(1.5)
"""A token shows what is so far beside it, too: a hand's tip is not the middle of the thing."""


@dataclass(frozen=True)
class HandConfig:
    """Sizes of a hand.

    Raises:
        ConfigError: one of them is impossible.
    """

    joints: int
    task: int
    actions: int
    chunk: int = 30
    """Steps predicted at once."""

    phase: tuple[int, ...] = ()
    """Joints that tell how far the task is, such as grippers: what to look for hangs on the task
    and on these alone. On all joints, it would be learned by heart, episode by episode."""

    levels: tuple[tuple[int, int], ...] = ((32, 32), (32, 32), (32, 32))
    """(height, width) of each level of the view, samples."""

    patch: int = 8
    """Side of a token, samples."""

    colours: int = 24
    """Features of every 2 x 2 samples, found by the same weights everywhere: a colour, or the
    dots of a code, is learned once, and not for each of its places in a token."""

    width: int = 64
    queries: int = 4
    """Of the pooling. The first asks where the thing is, and the eye follows it; the others ask
    what there is to know about it, as what tells most need not be where it is seen best."""

    shapes: bool = False
    """Whether what is attended to is looked at again, as a whole: for things that only their
    shapes, or where their parts are, tell apart."""

    fine: bool = False
    """Whether where the thing is, is told by the colours within the tokens attended to, to a
    fraction of a token: for grippers, which have to meet it."""

    foresees: bool = False
    """Whether it says where this part of its task will end, seen or not, and how sure it is: for
    tasks in which that has to be found out elsewhere, such as on a sign."""

    layers: int = 0
    """Transformer blocks over the tokens before they are pooled."""

    hidden: int = 192

    angles: bool = False
    """Whether it is also told pan and tilt, as angles, of the gaze and of what it attends to, and
    the joints beside them: an arm whose joints are angles needs but the differences."""

    def __post_init__(self) -> None:
        object.__setattr__(self, 'phase', tuple(self.phase))
        object.__setattr__(self, 'levels', tuple(tuple(level) for level in self.levels))
        sizes = (self.joints, self.task, self.actions, self.chunk, self.patch, self.colours,
                 self.width, self.queries, self.hidden)
        if min(sizes) < 1 or self.layers < 0 or not self.levels:
            raise ConfigError(f'a hand has positive sizes, got {self}')
        if not all(0 <= joint < self.joints for joint in self.phase):
            raise ConfigError(f'phase numbers joints from 0 to {self.joints - 1}, got '
                              f'{self.phase}')
        if self.width % 4 or self.patch % 2:
            raise ConfigError('width must be a multiple of 4 and patch an even number, got '
                              f'{self.width} and {self.patch}')
        if self.shapes and self.patch % 4:
            raise ConfigError(f'shapes needs a patch of 4, 8, 12 ... samples, got {self.patch}')
        for height, width in self.levels:
            if height % self.patch or width % self.patch:
                raise ConfigError(f'a level of {height} x {width} samples cannot be cut into '
                                  f'patches of {self.patch}')
        if self.fine and min(min(grid) for grid in self.grids) < 2:
            raise ConfigError(f'fine needs two tokens across each level, got {self.grids}')

    @property
    def tokens_per_level(self) -> tuple[int, ...]:
        """How many tokens each level has, the sharpest first."""
        return tuple(height * width for height, width in self.grids)

    @property
    def grids(self) -> tuple[tuple[int, int], ...]:
        """(rows, columns) of tokens of each level."""
        return tuple((height // self.patch, width // self.patch) for height, width in self.levels)

    @property
    def tokens(self) -> int:
        """N, of all levels."""
        return sum(self.tokens_per_level)


def cut(levels: Sequence[np.ndarray], patch: int) -> np.ndarray:
    """Views as both networks take them.

    Args:
        levels: one (B, height, width, 3) uint8 per level, the sharpest first.
        patch: side of a token, samples.

    Returns:
        (B, N, P * P * 3) uint8: the patches of each level, rows first.
    """
    rows = []
    for level in levels:
        batch, height, width, _ = level.shape
        tiles = level.reshape(batch, height // patch, patch, width // patch, patch, 3)
        rows.append(tiles.transpose(0, 1, 3, 2, 4, 5).reshape(batch, -1, patch * patch * 3))
    return np.concatenate(rows, axis=1)


def _less(attention: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Attention (B, H, N + 1) of which only a share (B,) is left, and the rest goes to nothing."""
    kept = attention[..., :-1] * share[:, None, None]
    return torch.cat([kept, 1.0 - kept.sum(dim=2, keepdim=True)], dim=2)


class HandOutput(NamedTuple):
    """What a hand says."""

    chunk: torch.Tensor
    """(B, K, A) actions relative to the joints (or to the action now), over their spread."""

    attention: torch.Tensor
    """(B, N) how much of what was said comes from each token. What lacks to 1 went to 'nothing':
    the hand has not found what it looks for."""

    peak: torch.Tensor
    """(B,) the token that is attended to most."""

    ray: torch.Tensor
    """(B, 3) where that is, base frame; as long as there is attention."""

    verdict: torch.Tensor | None
    """(B,) logit: is it the thing, by its shape; None of a hand that does not see shapes."""

    told: torch.Tensor | None = None
    """(B,) bool: whether it is seen sharply enough for that."""

    foreseen: torch.Tensor | None = None
    """(B, 3) where this part of the task will end, base frame; the surer, the longer: the mean of
    the unit vectors to all the places that it may be (their mean resultant; Mardia and Jupp,
    'Directional statistics', 2000). None of a hand that does not foresee."""


class HandNetwork(nn.Module):
    """View, joints, gaze and task to a chunk of relative actions.

    Its buffers hold what makes a robot's numbers comparable.
    """

    joint_mean: torch.Tensor
    joint_spread: torch.Tensor
    action_spread: torch.Tensor
    rays: torch.Tensor
    """(N, 3) unit vectors to each token's centre in the frame of a camera that looks along +x:
    x forward, y left, z up."""

    def __init__(self, config: HandConfig) -> None:
        super().__init__()
        self.config = config
        width, hidden = config.width, config.hidden
        self.register_buffer('joint_mean', torch.zeros(config.joints))
        self.register_buffer('joint_spread', torch.ones(config.joints))
        self.register_buffer('action_spread', torch.ones(config.actions))
        self.register_buffer('rays', torch.zeros(config.tokens, 3))
        self.tokens = Tokens(config.patch, config.colours, width)
        self.position = nn.Parameter(torch.randn(config.tokens, width) * 0.3)
        self.mix = nn.Linear(width, width)
        self.nothing = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True,
                                       norm_first=True) for _ in range(config.layers))
        self.inspect = Inspection(config) if config.shapes else None
        self.finer = Finer(config) if config.fine else None
        angles = 2 * config.angles
        self.situation = nn.Sequential(
            nn.Linear(config.joints + GAZE_FEATURES + config.task + angles, hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.ReLU())
        # A short way of its own from the task to the queries: learned much sooner than through
        # `situation`.
        asked = config.task * (1 + len(config.phase))
        self.query = nn.Sequential(nn.Linear(asked, 128), nn.ReLU(),
                                   nn.Linear(128, config.queries * width))
        beside = (2 + config.joints + closely_size(config.joints)) * config.angles
        self.gather = nn.Linear((config.queries + 1) * width + 3 + hidden + beside, hidden)
        self.deepen = nn.Linear(hidden, hidden)
        self.moment = nn.Parameter(torch.randn(config.chunk, hidden) * 0.1)
        self.act = nn.Linear(hidden, config.actions)
        self.foresee = nn.Sequential(nn.Linear(hidden + 3, _FORESEEING), nn.ReLU(),
                                     nn.Linear(_FORESEEING, 3)) if config.foresees else None

    def forward(self, view: torch.Tensor, joints: torch.Tensor, gaze: torch.Tensor,
                task: torch.Tensor) -> HandOutput:
        """Predict.

        Args:
            view: (B, N, P * P * 3) uint8 patches, see `cut`.
            joints: (B, J) in the units of the robot.
            gaze: (B, 2) pan and tilt, radians, as the encoders say.
            task: (B, G) embedding.
        """
        config = self.config
        tokens, colours = self.tokens(view)                                         # (B, N, D)
        tokens = torch.relu(self.mix(torch.relu(tokens + self.position)))
        for block in self.blocks:
            tokens = block(tokens)
        fovea = 3 * tokens[:, :config.tokens_per_level[0]].mean(dim=1)              # (B, D)
        tokens = torch.cat([tokens, self.nothing.expand(len(tokens), 1, -1)], dim=1)
        posture = (joints - self.joint_mean) / self.joint_spread
        angles = [gaze] if config.angles else []
        now = self.situation(torch.cat([posture, gaze.sin(), gaze.cos(), task, *angles], dim=1))
        phase = (task[:, None] * posture[:, list(config.phase), None]).flatten(1)
        asked = torch.cat([task, phase], dim=1)
        query = self.query(2 * asked)
        query = query.unflatten(1, (config.queries, config.width))                  # (B, H, D)
        attention = (query @ tokens.transpose(1, 2) / math.sqrt(config.width)).softmax(dim=2)
        verdict, told, where = None, None, attention[:, 0, :-1]                     # (B, N)
        peak = where.argmax(dim=1)
        if self.inspect is None and self.finer is None:
            ray = where @ self.rays
        else:
            around = self._around()
            about = where * around[peak]            # not half way to another that is like it
            ray = about @ self.rays if self.finer is None else self.finer(
                colours, about, asked, self.rays, around)
        if self.inspect is not None:
            verdict, told = self.inspect(view, self.rays, ray.detach(), asked)
            # Learned for its own sake: the actions would teach it but slowly, and other things.
            share = verdict.detach().sigmoid()
            attention, ray = _less(attention, share), ray * share[:, None]
            where = attention[:, 0, :-1]
        # Where they are joins what they are: in the base frame, whatever the gaze.
        ray = turned(ray[:, None], gaze)[:, 0]                                      # (B, 3)
        found = torch.cat([(attention @ tokens).flatten(1), fovea, 3 * ray], dim=1)
        place = pan_tilt_of(ray)
        beside = [place, posture, closely(place, joints, posture)] if config.angles else []
        features = torch.relu(self.gather(torch.cat([found, now, *beside], dim=1)))
        # Learned apart, from what the rest has not learned from: of that it would be too sure.
        foreseen = None if self.foresee is None else self.foresee(
            torch.cat([features, ray], dim=1).detach())
        features = torch.relu(self.deepen(features))                                # (B, hidden)
        chunk = self.act(torch.relu(features[:, None] + self.moment))               # (B, K, A)
        return HandOutput(chunk, where, peak, ray, verdict, told, foreseen)

    def reach(self) -> torch.Tensor:
        """Angles (N,), radians, up to which a token shows what is there: half of its diagonal, and
        a little more.
        """
        rows = []
        for part in self.rays.split(list(self.config.tokens_per_level)):
            apart = (part @ part.T).fill_diagonal_(-1.0).amax(dim=1).clamp(-1.0, 1.0).acos()
            rows.append(apart / math.sqrt(2.0) + _BESIDE_RAD)
        return torch.cat(rows)

    def _around(self) -> torch.Tensor:
        """(N, N): 1 where two tokens may show the same thing."""
        with torch.autocast(self.rays.device.type, enabled=False):  # 8 bits are degrees off here
            reach, apart = self.reach(), (self.rays @ self.rays.T).clamp(-1.0, 1.0).acos()
            return (apart < reach + reach[:, None]).to(self.rays.dtype)

    @torch.inference_mode()
    def actions(self, view: torch.Tensor, joints: torch.Tensor, gaze: torch.Tensor,
                task: torch.Tensor) -> torch.Tensor:
        """(B, K, A) actions relative to the joints now, in the units of the robot."""
        return self(view, joints, gaze, task).chunk * self.action_spread


def turned(rays: torch.Tensor, gaze: torch.Tensor) -> torch.Tensor:
    """Directions (N, 3), or (B, N, 3), from gazes (B, 2), pan and tilt in radians, as directions
    (B, N, 3) in the base frame.

    First down by the tilt, about y, then left by the pan, about z (`gaze_robot.geometry`).
    """
    (x, y, z), (pan, tilt) = rays.unbind(-1), gaze.T[..., None]
    level, up = x * tilt.cos() + z * tilt.sin(), z * tilt.cos() - x * tilt.sin()
    return torch.stack([level * pan.cos() - y * pan.sin(), level * pan.sin() + y * pan.cos(),
                        up.expand_as(level)], dim=2)


def pan_tilt_of(ray: torch.Tensor) -> torch.Tensor:
    """Pan and tilt (B, 2), radians, of directions (B, 3) of any length, base frame; of no length:
    straight ahead, and gradients are finite.
    """
    x, y, z = ray.T
    x = torch.where(x * x + y * y < _NOWHERE ** 2, _NOWHERE, x)
    return torch.stack([torch.atan2(y, x), torch.atan2(-z, torch.hypot(x, y))], dim=1)


def chunk_error(predicted: torch.Tensor, wanted: torch.Tensor, real: torch.Tensor
                ) -> torch.Tensor:
    """Mean absolute difference of each prediction, over the actions that count.

    Args:
        predicted, wanted: (B, K, A), over their spread.
        real: (B, K) bool; a row without any counts as 0.

    Returns:
        (B,).
    """
    away = (predicted - wanted).abs().mean(dim=2) * real
    return away.sum(dim=1) / real.sum(dim=1).clamp(min=1)
