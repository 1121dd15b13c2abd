"""What eyes saw before, to be asked about again: when a task comes to another phase, what it asks
for then may be among that, and an eye that remembers it need not search (Hollingworth and
Henderson, 'Accurate visual memory for previously attended objects in natural scenes', 2002).

B eyes   N tokens   P patch side   J joints   G task   K glances kept
"""

import math

import numpy as np
import torch

from gaze_robot.policy.glances import Glances
from gaze_robot.policy.hand import HandConfig, HandNetwork

_KEPT = 24
"""Glances of each eye: then the oldest goes. A head turns through 190 degrees in 20 or so."""
_APART_RAD = math.radians(6.0)
"""From gazes nearer to each other than this the newest glance is kept."""


class Recall:
    """Past glances of B eyes, from different gazes."""

    def __init__(self, eyes: int, config: HandConfig) -> None:
        """Keep nothing yet."""
        self._view = np.zeros((eyes, _KEPT, config.tokens, config.patch ** 2 * 3), np.uint8)
        self._gaze = np.zeros((eyes, _KEPT, 2), np.float32)
        self._stamp = np.zeros((eyes, _KEPT), int)
        """(B, K) number of each glance, from 1; 0: none."""
        self._count = np.zeros(eyes, int)

    def reset(self, eyes: np.ndarray) -> None:
        """Forget what some eyes saw."""
        self._stamp[eyes], self._count[eyes] = 0, 0

    def take(self, hand: HandNetwork, glances: Glances, eyes: np.ndarray, view: np.ndarray,
             gaze: np.ndarray, joints: np.ndarray, task: np.ndarray) -> None:
        """Keep a glance; first, where the task asks for something else than before it, ask the
        hand what past ones show of that, and let the search begin there.

        Args:
            glances: what these eyes remember besides; before they `observe` this one.
            eyes: (len(eyes),) whose.
            view, gaze, joints, task: (len(eyes), ...) as a hand takes them.
        """
        device = hand.rays.device
        mean, spread = hand.joint_mean.cpu().numpy(), hand.joint_spread.cpu().numpy()
        scaled = (joints - mean) / spread
        for row in np.flatnonzero(glances.asks_anew(eyes, scaled)):
            eye, kept = eyes[row], self._stamp[eyes[row]] > 0
            count, gazes = int(kept.sum()), self._gaze[eye, kept]
            if not count:
                continue
            with torch.no_grad():
                said = hand(*(torch.from_numpy(values).to(device) for values in (
                    self._view[eye, kept], np.tile(joints[row], (count, 1)), gazes,
                    np.tile(task[row], (count, 1)))))
            glances.recall(eye, said.attention.cpu().numpy(), gazes, gaze[row], scaled[row],
                           None if said.told is None else said.told.cpu().numpy())
        self._keep(eyes, view, gaze)

    def _keep(self, eyes: np.ndarray, view: np.ndarray, gaze: np.ndarray) -> None:
        """In place of one from nearly the same gaze, or of the oldest."""
        stamp, rows = self._stamp[eyes], np.arange(len(eyes))
        apart = np.linalg.norm(self._gaze[eyes] - gaze[:, None], axis=2)
        apart[stamp == 0] = np.inf
        nearest = apart.argmin(axis=1)
        slot = np.where(apart[rows, nearest] < _APART_RAD, nearest, stamp.argmin(axis=1))
        self._count[eyes] += 1
        self._stamp[eyes, slot] = self._count[eyes]
        self._view[eyes, slot], self._gaze[eyes, slot] = view, gaze
