"""What a hand learns from, whoever moves the eye or the camera.

B eyes   L levels   N tokens   P patch side   J joints   G task   K chunk   A actions
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Sight:
    """What the hand is given and what it should say, of B eyes at one moment."""

    view: np.ndarray
    """(B, N, P * P * 3) uint8 patches."""

    gaze: np.ndarray
    """(B, 2) float32, radians."""

    joints: np.ndarray
    """(B, J) float32."""

    task: np.ndarray
    """(B, G) float32."""

    chunk: np.ndarray
    """(B, K, A) float32 demonstrated relative actions, over their spread."""

    real: np.ndarray
    """(B, K) bool: which of them count."""

    goal: np.ndarray
    """(B, L, 3) float32 unit vectors to where the demonstrating hand is when this part of its task
    is done, base frame; for a camera that does not turn with the gaze, in the frame of its rays.
    NaN: not known, or nothing is left to do."""
