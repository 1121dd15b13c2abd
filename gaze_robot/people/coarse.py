"""Where people look by geometry alone: no weights to get, and coarse.

A face that points some way looks into a cone around that way. The cone is thrown into the room:
directions around the face's, and distances from half a metre to five, all from the head's own
place, which its size in the picture gives. Where these points appear in the picture the target may
be; what is salient there, and other people's heads, are more likely looked at.
"""

from collections.abc import Sequence
import math

import cv2
import numpy as np
import torch

from gaze_robot.camera import CameraModel
from gaze_robot.errors import ImageError
from gaze_robot.gaze_target.evidence import CELLS
from gaze_robot.gaze_target.salience import cell_features, Salience
from gaze_robot.people.face_pose import sight_axes
from gaze_robot.people.records import Box, Facing, Gazes, Head

SIDE = 64
"""Cells across a heatmap."""

CEILING = 0.5
"""The highest confidence of this estimate, whatever it finds."""

_HEAD_M = 0.25
"""Height of a head with hair."""
_NEAREST_M, _FARTHEST_M = 0.5, 5.0
_EYES_RAD = math.radians(20)
"""Eyes turn in the head: so far, in two of three cases, gaze and face differ."""
_POINTS = 4096
_SMOOTH = 2.0
"""Cells of blur (standard deviation): what a place in the cone is worth for its neighbours."""
_BACKGROUND, _OTHERS, _THINGS = 0.35, 2.0, 2.0
"""What a cell without any salience counts, and what another's head and a thing count, of a most
salient 1."""
_FRAMED = 2.0
"""Odds that a target is in the picture, of people whose gaze the geometry leaves open: in
VideoAttentionTarget (Chong et al. 2020) 109,574 of 164,541 are."""
_AROUND = 0.12
"""Share of the picture's width: how far from the peak a target still counts as found there."""


class CoarseGaze:
    """A gaze model: see `GazeModel`. It needs heads with a facing; any other looks anywhere."""

    source = 'coarse'

    def __init__(self, hfov_rad: float = math.radians(60), seed: int = 0) -> None:
        """Draw the cone's points.

        Args:
            hfov_rad: of the camera; the width of cones hangs on it, their direction hardly.
            seed: of the points.
        """
        self._hfov_rad = hfov_rad
        self._lens: CameraModel | None = None
        rng = np.random.default_rng(seed)
        # Heavier than normal: a wrong detection is worse than an imprecise one (Student, 5).
        self._turns = rng.standard_t(5, (_POINTS, 2))
        self._far = np.exp(rng.uniform(math.log(_NEAREST_M), math.log(_FARTHEST_M), _POINTS))
        self._salience = Salience()

    def use_camera(self, camera: CameraModel) -> None:
        """Take this lens for pictures of its size from now on, in place of a field of view."""
        self._lens = camera

    def __call__(self, image: np.ndarray, heads: Sequence[Head | None],
                 things: Sequence[Box] = ()) -> Gazes:
        """See `GazeModel`; a heatmap's largest value is the chance that its peak is right.

        Args:
            image, heads: as there.
            things: boxes of what may be looked at, whoever found them.
        """
        people = given(heads)
        salient = self.salience(image) if people else np.zeros((SIDE, SIDE))
        worth = _BACKGROUND + salient + _THINGS * _mask(things)
        return self.weighed(image, people, worth, tuple(things))

    def weighed(self, image: np.ndarray, people: Sequence[Head], worth: np.ndarray,
                things: tuple[Box, ...] = (), ceiling: float = CEILING) -> Gazes:
        """Cones times what each place is worth, (SIDE, SIDE); another's head counts `_OTHERS`."""
        height, width = image.shape[:2]
        camera = self._lens if self._lens is not None and (
            self._lens.width, self._lens.height) == (width, height) else CameraModel.from_hfov(
                width, height, self._hfov_rad)
        heatmaps = np.zeros((len(people), SIDE, SIDE), np.float32)
        inside = np.zeros(len(people), np.float32)
        for i, head in enumerate(people):
            cone, share = self.cone(head, camera)
            inside[i] = _FRAMED * share / (_FRAMED * share + 1 - share)
            others = _mask([other.box for other in people if other is not head])
            heatmaps[i] = _scaled(_without(cone * (worth + _OTHERS * others), head.box))
        return Gazes(heatmaps, inside, ceiling, things)

    def cone(self, head: Head, camera: CameraModel) -> tuple[np.ndarray, float]:
        """Where in the picture the cone's points are.

        Returns:
            (SIDE, SIDE) of sum 1, or 0 where no point is in the picture; and the share that is.
        """
        facing = head.facing or Facing(0.0, 0.0, math.radians(170))
        points = self.points(head.box, facing, camera)
        pixel, seen = camera.project(points)
        place = pixel[seen] / (camera.width, camera.height)
        counts, _, _ = np.histogram2d(place[:, 1], place[:, 0], SIDE, ((0, 1), (0, 1)))
        cone = cv2.GaussianBlur(counts, (0, 0), _SMOOTH, borderType=cv2.BORDER_REFLECT)
        return cone / max(cone.sum(), 1e-12), float(seen.mean())

    def points(self, box: Box, facing: Facing, camera: CameraModel) -> np.ndarray:
        """Places in the room that the person may look at, (_POINTS, 3) metres, optical frame."""
        middle = np.array([(box[0] + box[2]) / 2 * camera.width,
                           (box[1] + box[3]) / 2 * camera.height])
        ray = camera.unproject(middle)
        head = ray / ray[2] * (camera.fy * _HEAD_M / ((box[3] - box[1]) * camera.height))
        spread = facing.spread_rad if facing.eyes else math.hypot(facing.spread_rad, _EYES_RAD)
        yaw = facing.yaw_rad + spread * self._turns[:, 0]
        pitch = np.clip(facing.pitch_rad + 0.7 * spread * self._turns[:, 1], -1.4, 1.4)
        level = np.cos(pitch)
        seen = np.stack([np.sin(yaw) * level, np.sin(pitch), -np.cos(yaw) * level], axis=1)
        return head + (seen @ sight_axes(head)) * self._far[:, None]

    def salience(self, image: np.ndarray) -> np.ndarray:
        """(SIDE, SIDE) in [0, 1], 1 at its peak if there is one; see `gaze_target.salience`."""
        level = cv2.resize(image, (8 * CELLS, 8 * CELLS), interpolation=cv2.INTER_AREA)
        with torch.inference_mode():
            features = cell_features([torch.from_numpy(level)[None]])
            found = self._salience(features, torch.ones(1, 1, CELLS, CELLS, dtype=torch.bool))
        salient = cv2.resize(found[0, 0].numpy(), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        return salient.astype(float) / max(float(salient.max()), 1e-6)


def given(heads: Sequence[Head | None]) -> list[Head]:
    """The heads, all of them there.

    Raises:
        ImageError: one is not.
    """
    if any(head is None for head in heads):
        raise ImageError('the coarse estimate starts from a head, and none was found or given')
    return [head for head in heads if head is not None]


def _mask(boxes: Sequence[Box]) -> np.ndarray:
    """(SIDE, SIDE), 1 in cells that a box touches."""
    mask = np.zeros((SIDE, SIDE))
    for box in boxes:
        mask[_cells(box)] = 1
    return mask


def _cells(box: Box) -> tuple[slice, slice]:
    """The cells that a box touches."""
    left, top = math.floor(box[0] * SIDE), math.floor(box[1] * SIDE)
    return (slice(max(top, 0), max(math.ceil(box[3] * SIDE), 0)),
            slice(max(left, 0), max(math.ceil(box[2] * SIDE), 0)))


def _without(heatmap: np.ndarray, box: Box) -> np.ndarray:
    heatmap[_cells(box)] = 0
    return heatmap


def _scaled(heatmap: np.ndarray) -> np.ndarray:
    """A map whose largest value is the share of it that lies around its peak."""
    total = heatmap.sum()
    if total <= 0:
        return heatmap
    row, column = np.unravel_index(int(heatmap.argmax()), heatmap.shape)
    down, right = np.indices(heatmap.shape)
    near = np.hypot(down - row, right - column) <= _AROUND * SIDE
    return heatmap / heatmap.max() * (heatmap[near].sum() / total)
