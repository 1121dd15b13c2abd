"""Which token speaks for which cell of the heatmaps, for any front end."""

import numpy as np

from gaze_robot.foveation.front_end import FrontEnd
from gaze_robot.gaze_target.evidence import CELLS

_COARSER = 2.0
"""What a factor of e between a token's samples and a level's counts, in widths of the token."""


def cell_places(front_end: FrontEnd, cells: int = CELLS) -> np.ndarray:
    """Tangent-plane coordinates (right, down) of the cells' centres, (levels, cells, cells, 2)."""
    steps = (np.arange(cells) + 0.5) / cells * 2 - 1
    grid = np.stack(np.meshgrid(steps, steps), axis=-1)
    pattern = front_end.pattern
    return np.stack([grid * pattern.half_tangent(level) for level in range(pattern.levels)])


def token_distance(front_end: FrontEnd) -> tuple[np.ndarray, np.ndarray]:
    """How far every cell lies from every token, and how much coarser or finer that token is.

    Returns:
        away (levels, cells, cells, N, 2): right and down from the token's centre, in widths of the
        token on the tangent plane; ratio (levels, N): log of the token's sample size over the
        level's.
    """
    pattern = front_end.pattern
    tangent = np.tan(front_end.position_rad)                                     # (N, 2)
    width = front_end.token_side * front_end.sample_rad
    away = (cell_places(front_end)[..., None, :] - tangent) / width[:, None]
    sample = np.array([2 * pattern.half_tangent(level) / pattern.tokens_across[level]
                       for level in range(pattern.levels)])
    return away, np.log(width / sample[:, None])


def nearest_tokens(front_end: FrontEnd) -> tuple[np.ndarray, np.ndarray]:
    """The token that speaks for each cell: one as coarse as the level that covers the cell.

    Where levels overlap, as in the pyramid, that is the level's own token, not a sharper one's.

    Returns:
        token (levels, cells, cells) int; place (levels, cells, cells, 2) of the cell in it, in
        widths of the token from its centre.
    """
    away, ratio = token_distance(front_end)
    cost = np.abs(away).max(axis=-1) + _COARSER * np.abs(ratio)[:, None, None]
    token = cost.argmin(axis=-1)
    place = np.take_along_axis(away, token[..., None, None], axis=-2)[..., 0, :]
    return token, place
