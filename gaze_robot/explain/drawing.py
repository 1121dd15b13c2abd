"""Explanations as pictures: what the encoder receives, and how much of the answer is from where.

N tokens   P patch side
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from gaze_robot.draw import PANEL, QUIET_COLOUR, write
from gaze_robot.foveation import FrontEnd

_DIM = 0.7
_GAP = 12


@dataclass(frozen=True, eq=False)
class Explanation:
    """How much each token of one view has to do with an output."""

    front_end: FrontEnd
    levels: Sequence[np.ndarray]
    """(window, window, 3) uint8 RGB per level of the view."""

    shares: np.ndarray
    """(N,) at least 0, summing to 1."""

    def mosaic(self, side: int) -> np.ndarray:
        """What the encoder receives, (side, side, 3) uint8 RGB; black where there is no token."""
        patches = self.front_end.patches([level[None] for level in self.levels])[0]
        return np.clip(np.rint(self.front_end.mosaic(patches, side)), 0, 255).astype(np.uint8)

    def picture(self, side: int) -> np.ndarray:
        """The same, darker and grey, with the shares glowing over it."""
        grey = cv2.cvtColor(self.mosaic(side), cv2.COLOR_RGB2GRAY)[..., None]
        value = np.nan_to_num(self.front_end.paint(self.shares, side)) / max(
            1e-12, float(self.shares.max()))
        glow = heat_colours(value)
        opacity = (0.1 + 0.6 * value)[..., None]
        return (grey * _DIM * (1 - opacity) + glow * opacity).astype(np.uint8)

    def beside(self, picture: np.ndarray) -> np.ndarray:
        """A debug picture with both in a column on its right, (h, w + h // 2, 3) uint8 RGB."""
        height, width = picture.shape[:2]
        side = height // 2
        out = np.full((height, width + side, 3), PANEL, np.uint8)
        out[:, :width] = picture
        out[:side, width:] = self.mosaic(side)
        out[side:2 * side, width:] = self.picture(side)
        return out

    def top(self, count: int = 5) -> list[dict[str, float]]:
        """The tokens with the largest shares: what they cover and where, degrees."""
        front_end, rows = self.front_end, []
        for token in np.argsort(-self.shares, kind='stable')[:count]:
            right, down = np.degrees(front_end.position_rad[token])
            sample = float(np.degrees(front_end.sample_rad[token]))
            rows.append({'token': int(token), 'share': float(self.shares[token]),
                         'right_deg': float(right), 'down_deg': float(down),
                         'width_deg': sample * front_end.token_side})
        return rows


def heat_colours(value: np.ndarray) -> np.ndarray:
    """(h, w) in [0, 1] to (h, w, 3) uint8 RGB: black, violet, orange, yellow."""
    index = np.clip(np.rint(value * 255), 0, 255).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(index, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)


def figure(explanation: Explanation, heat: np.ndarray, title: str, notes: Sequence[str],
           side: int = 384) -> np.ndarray:
    """The picture of `gaze-robot explain`: mosaic, shares and a third panel side by side.

    Args:
        heat: (h, w, 3) uint8 RGB, the third panel: what the head says.
        title: one line above.
        notes: lines below.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    third = cv2.resize(heat, (round(heat.shape[1] * side / heat.shape[0]), side),
                       interpolation=cv2.INTER_AREA)
    panels = [explanation.mosaic(side), explanation.picture(side), third]
    names = ['what the encoder receives', 'share of each token', 'what the head says']
    width = sum(panel.shape[1] for panel in panels) + _GAP * (len(panels) + 1)
    top, line = 64, 20
    out = np.full((top + side + _GAP + 40 + line * len(notes), width, 3), PANEL, np.uint8)
    write(out, title, _GAP, 26, 0.6)
    left = _GAP
    for panel, name in zip(panels, names):
        out[top:top + side, left:left + panel.shape[1]] = panel
        write(out, name, left, top - 10, colour=QUIET_COLOUR)
        left += panel.shape[1] + _GAP
    _scale(out, 2 * _GAP + side, top + side + 8, side, float(explanation.shares.max()))
    for row, note in enumerate(notes):
        write(out, note, _GAP, top + side + 52 + line * row, colour=QUIET_COLOUR)
    return out


def _scale(out: np.ndarray, left: int, top: int, width: int, most: float) -> None:
    """The colours' meaning: from 0 to the largest share."""
    bar = heat_colours(np.linspace(0, 1, width - 110)[None].repeat(10, axis=0))
    out[top:top + 10, left + 30:left + 30 + bar.shape[1]] = bar
    write(out, '0 %', left, top + 10, colour=QUIET_COLOUR)
    write(out, f'{most:.1%}', left + 40 + bar.shape[1], top + 10, colour=QUIET_COLOUR)
