"""What the network is told it got wrong.

B pictures   P people   C cells across a heatmap
"""

import torch
from torch.nn import functional as F

from gaze_robot.people.attention_net import AttentionReader
from gaze_robot.people.face_gaze import bins_loss, PITCH, YAW

SIGMA = 3 / 64
"""Of the spot that a heatmap is to show, as in the published data sets' scripts."""
_HEAT, _FACE, _INSIDE, _THINGS, _SIZES = 10.0, 0.4, 1.0, 6.0, 3.0


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
    cells, odds, features, seen_things = reader(batch['pictures'], batch['faces'], batch['boxes'],
                                                batch['aspect'])
    zero = (cells.sum() + seen_things.sum()) * 0
    here = batch['target'].isfinite().all(dim=-1)
    place = heat = inside = face = things = sizes = zero
    shown = batch['things'].isfinite().all(dim=-1).any(dim=1)
    if shown.any():
        things, sizes = _things_loss(seen_things[shown], batch['things'][shown],
                                     batch['aspect'][shown])
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
    loss = (place + _HEAT * heat + _INSIDE * inside + _FACE * face + _THINGS * things
            + _SIZES * sizes)
    parts = {'place': place, 'heat': heat, 'inside': inside, 'face': face, 'things': things,
             'sizes': sizes}
    return loss, {name: float(value.detach()) for name, value in parts.items()}


def _things_loss(seen: torch.Tensor, boxes: torch.Tensor, aspect: torch.Tensor
                 ) -> tuple[torch.Tensor, torch.Tensor]:
    """Of where things are, and of how large they are there.

    Args:
        seen: (B, 2, C, C), see `AttentionReader`.
        boxes: (B, M, 4) shares of the picture, or NaN.
        aspect: (B,) width over height of the picture.
    """
    corners = boxes.nan_to_num(-9.0).unflatten(-1, (2, 2))
    spots = goals(corners.mean(dim=-2).flatten(0, 1), seen.shape[-1]).unflatten(
        0, boxes.shape[:2])
    there, which = spots.max(dim=1)                                     # (B, C, C)
    stretch = torch.stack([aspect.sqrt(), aspect.rsqrt()], dim=-1)[:, None]
    size = ((corners[..., 1, :] - corners[..., 0, :]) * stretch).amax(dim=-1).clamp(min=1e-3).log()
    off = (seen[:, 1] - size.gather(1, which.flatten(1)).view_as(there)).abs() * there
    return (F.binary_cross_entropy_with_logits(seen[:, 0], there),
            off.sum() / there.sum().clamp(min=1e-6))
