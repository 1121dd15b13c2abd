"""Which way a face looks, and how sure: angles as bins (L2CS-Net, Abdelrahman et al. 2022).

Each angle has a head of its own that spreads probability over bins. The mean of the bins is the
angle, and their spread the uncertainty, which a regression would not give.

B faces   S pixels across a face   K bins
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
import math
from typing import Protocol

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from gaze_robot.people.records import Box, Facing, Head

FACE = 48
"""Pixels across a face that the small network reads."""

_GROWN = 1.15
"""Side of the square that is cut out, over the longer side of a head's box."""
_CHANNELS = (24, 40, 64, 96)
_LEAST, _MOST = math.radians(1), math.radians(175)
"""Of an uncertainty."""


@dataclass(frozen=True)
class Bins:
    """One angle, cut into bins."""

    count: int
    width_rad: float
    first_rad: float
    """What the first bin stands for."""

    circular: bool = False
    """The last bin's neighbour is the first."""

    def centres(self, like: torch.Tensor) -> torch.Tensor:
        """(K,) what each stands for."""
        return self.first_rad + self.width_rad * torch.arange(
            self.count, dtype=like.dtype, device=like.device)

    def angle(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation, radians, (B,) each, of (B, K) logits; in float32."""
        share = logits.float().softmax(dim=-1)
        centres = self.centres(share)
        if not self.circular:
            mean = (share * centres).sum(dim=-1)
            return mean, ((share * (centres - mean[:, None]) ** 2).sum(dim=-1) + 1e-8).sqrt()
        x, y = (share * centres.cos()).sum(dim=-1), (share * centres.sin()).sum(dim=-1)
        length = (x ** 2 + y ** 2 + 1e-12).sqrt().clamp(max=1 - 1e-5)
        return torch.atan2(y, x), (-2 * length.log()).sqrt()    # Mardia 1972: circular deviation

    def index(self, angle_rad: torch.Tensor) -> torch.Tensor:
        """Number of the bin nearest to each angle, int64."""
        steps = ((angle_rad - self.first_rad) / self.width_rad).round().long()
        return steps % self.count if self.circular else steps.clamp(0, self.count - 1)


YAW = Bins(36, math.radians(10), math.radians(-175), circular=True)
PITCH = Bins(18, math.radians(10), math.radians(-85))
"""Of the small network."""


class FaceNet(nn.Module):
    """A small convolutional network: a face to features, and to bins of yaw and pitch."""

    def __init__(self, width: int) -> None:
        """Make the layers, at random; `width` is that of the features."""
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for after in _CHANNELS:
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1),
                       nn.GroupNorm(4, after), nn.GELU()]
            before = after
        self.trunk = nn.Sequential(*layers)
        side = FACE // 2 ** len(_CHANNELS)
        self.features = nn.Linear(before * side * side, width)
        self.yaw, self.pitch = nn.Linear(width, YAW.count), nn.Linear(width, PITCH.count)

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        """Features (B, W) of faces (B, FACE, FACE, 3) uint8 RGB."""
        x = faces.permute(0, 3, 1, 2).float() / 127.5 - 1
        return F.gelu(self.features(self.trunk(x).flatten(1)))

    def bins(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of yaw (B, YAW.count) and pitch (B, PITCH.count)."""
        return self.yaw(features), self.pitch(features)

    def direction(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Unit vectors (..., 3) right, down, away of features (..., W), and spreads (...,)."""
        yaw, pitch = (logits.flatten(0, -2) for logits in self.bins(features))
        (right, aside), (down, high) = YAW.angle(yaw), PITCH.angle(pitch)
        level = down.cos()
        way = torch.stack([right.sin() * level, down.sin(), -right.cos() * level], dim=-1)
        spread = torch.hypot(aside * level, high + 1e-3)
        return way.unflatten(0, features.shape[:-1]), spread.unflatten(0, features.shape[:-1])


def bins_loss(logits: torch.Tensor, angle_rad: torch.Tensor, bins: Bins) -> torch.Tensor:
    """Cross entropy of the bins, and how far their mean is off, as in the paper.

    Of a circular angle the chord takes the place of the difference.
    """
    mean, _ = bins.angle(logits)
    off = 2 * (1 - (mean - angle_rad).cos()) if bins.circular else (mean - angle_rad) ** 2
    return F.cross_entropy(logits, bins.index(angle_rad)) + 2.0 * off.mean()


def facings(yaw: torch.Tensor, pitch: torch.Tensor, yaw_bins: Bins = YAW, pitch_bins: Bins = PITCH
            ) -> list[Facing]:
    """Where faces look, of the logits of both angles, (B, K) each."""
    (right, aside), (down, high) = yaw_bins.angle(yaw), pitch_bins.angle(pitch)
    spread = torch.hypot(aside * down.cos(), high).clamp(_LEAST, _MOST)
    return [Facing(math.remainder(float(a), 2 * math.pi), float(b), float(c), eyes=True)
            for a, b, c in zip(right, down, spread)]


class FaceGaze(Protocol):
    """Says which way faces look."""

    def __call__(self, image: np.ndarray, heads: Sequence[Head]) -> list[Facing]:
        """One for each head of a picture, (h, w, 3) uint8 RGB."""


class SmallFaceGaze:
    """A face gaze by the small network; see `FaceNet`."""

    def __init__(self, network: FaceNet) -> None:
        """Take a network, trained."""
        self.network = network.eval().requires_grad_(False)

    def __call__(self, image: np.ndarray, heads: Sequence[Head]) -> list[Facing]:
        """See `FaceGaze`."""
        if not heads:
            return []
        faces = torch.from_numpy(cut_faces(image, [head.box for head in heads]))
        with torch.inference_mode():
            return facings(*self.network.bins(self.network(faces)))


class FacedFinder:
    """A head finder: see `HeadFinder`. Which way the heads of another one look."""

    def __init__(self, finder: Callable[[np.ndarray], list[Head]], gaze: FaceGaze) -> None:
        """Let `gaze` judge the heads that `finder` finds."""
        self._finder, self._gaze = finder, gaze

    def __call__(self, image: np.ndarray) -> list[Head]:
        """Heads of (h, w, 3) uint8 RGB."""
        heads = self._finder(image)
        return [replace(head, facing=facing)
                for head, facing in zip(heads, self._gaze(image, heads))]


def cut_faces(image: np.ndarray, boxes: Sequence[Box], side: int = FACE, grown: float = _GROWN
              ) -> np.ndarray:
    """Squares around heads, (P, side, side, 3) uint8.

    Args:
        image: (h, w, 3) uint8.
        boxes: heads, as shares of the picture; what is outside it repeats its edge.
        grown: side of the square over the longer side of the box.
    """
    out = np.empty((len(boxes), side, side, 3), np.uint8)
    height, width = image.shape[:2]
    for i, (left, top, right, bottom) in enumerate(boxes):
        half = max(grown * max((right - left) * width, (bottom - top) * height) / 2, 1.0)
        x, y = (left + right) / 2 * width, (top + bottom) / 2 * height
        x0, y0, x1, y1 = (math.floor(x - half), math.floor(y - half), math.ceil(x + half),
                          math.ceil(y + half))
        columns = slice(min(max(x0, 0), width - 1), max(min(x1, width), 1))
        rows = slice(min(max(y0, 0), height - 1), max(min(y1, height), 1))
        seen = image[rows, columns]
        above, below, before, after = (max(edge, 0) for edge in (
            rows.start - y0, y1 - rows.stop, columns.start - x0, x1 - columns.stop))
        if above or below or before or after:
            seen = np.pad(seen, ((above, below), (before, after), (0, 0)), mode='edge')
        shrinks = seen.shape[0] > side
        cv2.resize(seen, (side, side), out[i],
                   interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return out
