"""What the network is told it got wrong.

B pictures   P people   C cells across a heatmap
"""

import torch
from torch.nn import functional as F

from gaze_robot.people.attention_net import AttentionReader
from gaze_robot.people.face_gaze import bins_loss, PITCH, YAW

SIGMA = 3 / 64
"""Of the spot that a heatmap is to show, as in the published data sets' scripts."""
_HEAT, _FACE, _INSIDE, _THINGS = 10.0, 0.4, 1.0, 6.0


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
    cells, odds, features, stands_out = reader(batch['pictures'], batch['faces'], batch['boxes'],
                                               batch['aspect'])
    zero = (cells.sum() + stands_out.sum()) * 0
    here = batch['target'].isfinite().all(dim=-1)
    place = heat = inside = face = things = zero
    listed = batch['things'].isfinite().all(dim=-1)                     # (B, M)
    if listed.any():
        spots = goals(batch['things'].nan_to_num(-9.0).flatten(0, 1), stands_out.shape[-1])
        shown = listed.any(dim=1)
        things = F.binary_cross_entropy_with_logits(
            stands_out[shown], spots.unflatten(0, listed.shape).amax(dim=1)[shown])
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
    loss = place + _HEAT * heat + _INSIDE * inside + _FACE * face + _THINGS * things
    parts = {'place': place, 'heat': heat, 'inside': inside, 'face': face, 'things': things}
    return loss, {name: float(value.detach()) for name, value in parts.items()}
