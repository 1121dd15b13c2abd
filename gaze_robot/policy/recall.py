"""What eyes saw before, to be asked about again: when a task comes to another phase, what it asks
for then may be among that, and an eye that remembers it need not search (Hollingworth and
Henderson, 'Accurate visual memory for previously attended objects in natural scenes', 2002). Nor
need the hand wait for the eye: while that is on its way, it acts on what it remembers.

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
        self._holds = np.zeros(eyes, bool)
        """(B,) whether the hand acts on a past glance, until the eye sees well what that shows."""
        self._held_view = np.zeros_like(self._view[:, 0])
        self._held_gaze, self._held_place = np.zeros((2, eyes, 2), np.float32)

    def reset(self, eyes: np.ndarray) -> None:
        """Forget what some eyes saw."""
        self._stamp[eyes], self._count[eyes], self._holds[eyes] = 0, 0, False

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
            best, place = glances.recall(
                eye, said.attention.cpu().numpy(), gazes, gaze[row], scaled[row],
                None if said.told is None else said.told.cpu().numpy())
            self._holds[eye], self._held_place[eye] = True, place
            self._held_view[eye] = self._view[eye, kept][best]
            self._held_gaze[eye] = gazes[best]
        self._keep(eyes, view, gaze)

    def act(self, hand: HandNetwork, glances: Glances, eyes: np.ndarray, gaze: np.ndarray,
            joints: np.ndarray, task: np.ndarray, chunk: torch.Tensor) -> torch.Tensor:
        """What hands do: what they say of the past glance that shows what their eyes are on the
        way to, or else of this one.

        Args:
            glances: of these eyes; after they have observed this glance.
            eyes: (len(eyes),) whose.
            gaze, joints, task: (len(eyes), ...) as a hand takes them.
            chunk: (len(eyes), K, A) what it says of this glance.
        """
        place = self._held_place[eyes]
        nearer = (np.linalg.norm(gaze - place, axis=1)
                  < np.linalg.norm(self._held_gaze[eyes] - place, axis=1))
        self._holds[eyes] &= glances.search.comes(eyes, gaze, place) & ~nearer
        rows = np.flatnonzero(self._holds[eyes])
        if not len(rows):
            return chunk
        held, chunk, device = eyes[rows], chunk.clone(), hand.rays.device
        with torch.no_grad():
            chunk[rows] = hand(*(torch.from_numpy(values).to(device) for values in (
                self._held_view[held], joints[rows], self._held_gaze[held], task[rows]))).chunk
        return chunk

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
