"""What the network is told it got wrong.

B pictures   P people   C cells across a heatmap
"""

import torch
from torch.nn import functional as F

from gaze_robot.people.attention_read import AttentionReader
from gaze_robot.people.face_gaze import bins_loss, PITCH, YAW

SIGMA = 3 / 64
"""Of the spot that a heatmap is to show, as in the published data sets' scripts."""
_HEAT, _FACE, _INSIDE = 10.0, 0.4, 1.0


def goals(target: torch.Tensor, across: int) -> torch.Tensor:
    """Spots (N, C, C) of height 1 around places (N, 2)."""
    steps = (torch.arange(across, device=target.device) + 0.5) / across
    x = torch.exp(-(steps - target[:, :1]) ** 2 / (2 * SIGMA ** 2))
    y = torch.exp(-(steps - target[:, 1:]) ** 2 / (2 * SIGMA ** 2))
    return y[:, :, None] * x[:, None, :]


def face_loss(reader: AttentionReader, batch: dict[str, torch.Tensor]
              ) -> tuple[torch.Tensor, dict[str, float]]:
    """The same of faces alone, see `stream.faces_alone`."""
    yaw, pitch = reader.encoder.face.bins(reader.encoder.face(batch['faces']))
    loss = bins_loss(yaw, batch['angle'][:, 0], YAW) + bins_loss(pitch, batch['angle'][:, 1],
                                                                PITCH)
    return loss, {'face': float(loss.detach())}


def people_loss(reader: AttentionReader, batch: dict[str, torch.Tensor]
                ) -> tuple[torch.Tensor, dict[str, float]]:
    """Loss of a batch, see `stream.collated`; and its parts, by name."""
    cells, odds, features = reader(batch['pictures'], batch['faces'], batch['boxes'],
                                   batch['aspect'])
    zero = cells.sum() * 0
    here = batch['target'].isfinite().all(dim=-1)
    place = heat = inside = face = zero
    if here.any():
        seen, goal = cells[here], goals(batch['target'][here], cells.shape[-1])
        heat = F.binary_cross_entropy_with_logits(seen, goal)
        share = goal.flatten(1) / goal.flatten(1).sum(dim=1, keepdim=True).clamp(min=1e-6)
        place = -(seen.flatten(1).log_softmax(dim=1) * share).sum(dim=1).mean()
    said = batch['inside'].isfinite()
    if said.any():
        inside = F.binary_cross_entropy_with_logits(odds[said], batch['inside'][said])
    told = batch['angle'].isfinite().all(dim=-1)
    if told.any():
        yaw, pitch = reader.encoder.face.bins(features[told])
        angle = batch['angle'][told]
        face = bins_loss(yaw, angle[:, 0], YAW) + bins_loss(pitch, angle[:, 1], PITCH)
    loss = place + _HEAT * heat + _INSIDE * inside + _FACE * face
    parts = {'place': place, 'heat': heat, 'inside': inside, 'face': face}
    return loss, {name: float(value.detach()) for name, value in parts.items()}
