"""L2CS-Net: which way a face looks, by a ResNet-50 with bins for either angle.

Abdelrahman et al., "L2CS-Net: Fine-Grained Gaze Estimation in Unconstrained Environments" (2022).
Names of modules are those of the published checkpoints, which are torchvision's ResNet's. Their
first angle turns to the left in the picture and their second up, whatever the heads are called.

B faces   K bins
"""

from collections.abc import Sequence
from dataclasses import replace
import math
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from gaze_robot.errors import CheckpointError, ImageError
from gaze_robot.people.face_gaze import Bins, facings
from gaze_robot.people.gazelle_model import load_tensors, read_tensors
from gaze_robot.people.records import Box, Facing, Head

SIDE = 448
BINS = {90: Bins(90, math.radians(4), math.radians(-180)),
        28: Bins(28, math.radians(3), math.radians(-42))}
"""Of the checkpoints trained on Gaze360 and on MPIIFaceGaze, by how many there are."""

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_DEPTHS, _WIDTHS, _WIDENED = (3, 4, 6, 3), (64, 128, 256, 512), 4
_FACE = (0.1, 0.2, 0.9, 1.0)
"""Where the face is in the box of a head with hair: left, top, right, bottom."""


class _Bottleneck(nn.Module):
    """A block of ResNet-50 (He et al. 2016), its stride in the middle as torchvision has it."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        after = width * _WIDENED
        self.conv1, self.bn1 = nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, after, 1, bias=False), nn.BatchNorm2d(after)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False),
                                            nn.BatchNorm2d(after))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        return F.relu(self.bn3(self.conv3(out)) + self.downsample(x))


class L2csNet(nn.Module):
    """Faces to logits of bins."""

    def __init__(self, bins: int) -> None:
        """Make the layers, at random; `bins` of each angle."""
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        before = 64
        for number, (depth, width) in enumerate(zip(_DEPTHS, _WIDTHS)):
            blocks = [_Bottleneck(before, width, 2 if number else 1)]
            before = width * _WIDENED
            blocks += [_Bottleneck(before, width, 1) for _ in range(depth - 1)]
            setattr(self, f'layer{number + 1}', nn.Sequential(*blocks))
        self.fc_yaw_gaze, self.fc_pitch_gaze = nn.Linear(before, bins), nn.Linear(before, bins)
        self.fc_finetune = nn.Linear(before + 3, 3)         # in the checkpoints, used by nothing

    def forward(self, faces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (B, K) of both angles, of (B, 3, H, W) normalised RGB."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(faces))))
        for number in range(len(_DEPTHS)):
            x = self.get_submodule(f'layer{number + 1}')(x)
        x = x.mean(dim=(2, 3))
        return self.fc_yaw_gaze(x), self.fc_pitch_gaze(x)


class L2csGaze:
    """A face gaze: which way heads' faces look, with uncertainty."""

    def __init__(self, network: L2csNet) -> None:
        """Take a network; its bins are those of one of the published trainings.

        Raises:
            CheckpointError: they are not.
        """
        count = network.fc_yaw_gaze.out_features
        if count not in BINS:
            raise CheckpointError(f'L2CS-Net has {" or ".join(map(str, sorted(BINS)))} bins, not '
                                  f'{count}: nobody says what those stand for')
        self.network, self._bins = network.eval().requires_grad_(False), BINS[count]

    def __call__(self, image: np.ndarray, heads: Sequence[Head]) -> list[Facing]:
        """One for each head of a picture (h, w, 3) uint8 RGB.

        Raises:
            ImageError: a head is outside the picture.
        """
        if not heads:
            return []
        with torch.inference_mode():
            first, second = self.network(prepared_faces(image, [head.box for head in heads]))
            found = facings(first, second, self._bins, self._bins)
        return [replace(one, yaw_rad=-one.yaw_rad, pitch_rad=-one.pitch_rad) for one in found]


def prepared_faces(image: np.ndarray, boxes: Sequence[Box]) -> torch.Tensor:
    """(P, 3, SIDE, SIDE) of the faces in heads' boxes, as the published training has them."""
    height, width = image.shape[:2]
    faces = np.empty((len(boxes), SIDE, SIDE, 3), np.float32)
    for i, (left, top, right, bottom) in enumerate(boxes):
        wide, high = (right - left) * width, (bottom - top) * height
        x0, x1 = (round(left * width + share * wide) for share in _FACE[::2])
        y0, y1 = (round(top * height + share * high) for share in _FACE[1::2])
        seen = image[max(y0, 0):max(y1, 0), max(x0, 0):max(x1, 0)]
        if not seen.size:
            raise ImageError(f'there is no face in the head {boxes[i]}: it is outside the picture')
        shrinks = min(seen.shape[:2]) > SIDE
        faces[i] = cv2.resize(seen, (SIDE, SIDE),
                              interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    scaled = (faces / 255 - np.array(_MEAN, np.float32)) / np.array(_DEVIATION, np.float32)
    return torch.from_numpy(scaled).permute(0, 3, 1, 2)


def load_l2cs(path: Path) -> L2csGaze:
    """Read a published checkpoint, such as L2CSNet_gaze360.pkl.

    Raises:
        CheckpointError: no such file, or it is damaged, holds anything but tensors, lacks some of
            the network's or has others, or has one of the wrong shape or that is not finite.
    """
    tensors = read_tensors(path)
    head = tensors.get('fc_yaw_gaze.weight')
    if head is None or head.ndim != 2:
        raise CheckpointError(f'{path} is no L2CS-Net: it has no fc_yaw_gaze.weight')
    network = L2csNet(len(head))
    load_tensors(network, tensors, f'{path} does not fit L2CS-Net with a ResNet-50')
    return L2csGaze(network)
