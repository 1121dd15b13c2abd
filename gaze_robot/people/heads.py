"""Heads in one picture: OpenCV's own detectors, or YuNet where its file is given.

Nothing is learned of whom a head belongs to, and no part of a picture is kept.
"""

from collections.abc import Sequence
import functools
import math
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from gaze_robot.errors import CheckpointError, MissingDependencyError
from gaze_robot.optional import require
from gaze_robot.people.face_pose import facing_of_landmarks
from gaze_robot.people.records import Box, Facing, Head

_WIDTH = 640
"""Pictures are brought to this width: a face must be 24 of these pixels wide."""
_BODY_WIDTH, _BODY_PAD = 320, 40
"""The same for whole people, who must be about 90 of these pixels tall; the margin, in which the
edge is repeated, is what the detector wants to see around them."""
_SURE = {'frontal': 40.0, 'profile': 4.0, 'body': 1.5}
"""Score of each detector that counts as half sure."""
_LEAST = {'frontal': 0.0, 'profile': 1.0, 'body': 0.7}
"""Score below which what a detector finds is left out."""
_ASIDE_DEG, _TURNED_DEG = 65.0, 35.0


class HeadFinder(Protocol):
    """Finds heads in a picture."""

    def __call__(self, image: np.ndarray) -> list[Head]:
        """Heads in (h, w, 3) uint8 RGB, without ids, from left to right."""


class CascadeHeads:
    """OpenCV's cascades for frontal faces and for profiles, and its detector of whole people.

    What OpenCV ships is enough: no file to get. A face that both kinds of cascades see is taken
    to be turned 35 degrees, one seen by that for profiles alone 65, by that for frontal faces
    alone 0: the middles of what they were trained to find. Whole people (histograms of oriented
    gradients, Dalal and Triggs 2005) are found from behind as well; without a face, they look
    away.
    """

    def __init__(self, bodies: bool = True, width: int = _WIDTH, step: float = 1.1) -> None:
        """Load the cascades.

        Args:
            bodies: look for whole people, too.
            width: pictures are brought to it; half of it takes a fifth of the time, and a face
                must be twice as large.
            step: factor from one size to the next; 1.2 takes half of the time and finds less.

        Raises:
            MissingDependencyError: this OpenCV came without its cascades.
        """
        self._width, self._step = width, step
        self._frontal, self._profile = (_cascade(name) for name in (
            'haarcascade_frontalface_alt2', 'haarcascade_profileface'))
        self._bodies: cv2.HOGDescriptor | None = None
        if bodies:
            self._bodies = cv2.HOGDescriptor()
            self._bodies.setSVMDetector(np.asarray(cv2.HOGDescriptor.getDefaultPeopleDetector()))

    def __call__(self, image: np.ndarray) -> list[Head]:
        """See `HeadFinder`."""
        grey, step = _grey(image, self._width), self._step
        frontal = _detect(self._frontal, grey, 'frontal', step)
        left = _detect(self._profile, grey, 'profile', step)
        right = [((1 - box[2], box[1], 1 - box[0], box[3]), sure) for box, sure in
                 _detect(self._profile, np.ascontiguousarray(grey[:, ::-1]), 'profile', step)]
        faces = _faces(frontal, left, right)
        backs = [] if self._bodies is None else [
            Head(box, sure, facing=Facing(math.pi, 0.0, math.radians(50)))
            for box, sure in _people(self._bodies, image)
            if not any(_of_one(box, face.box) for face in faces)]
        return sorted(faces + _distinct(backs), key=lambda head: head.box[0])


class YuNetHeads:
    """OpenCV's FaceDetectorYN with the file of YuNet (Wu et al. 2023), which is not shipped.

    Its five landmarks say which way the face points.
    """

    def __init__(self, path: Path, threshold: float = 0.6, hfov_rad: float = math.radians(60)
                 ) -> None:
        """Load the network.

        Args:
            path: such as face_detection_yunet_2023mar.onnx of OpenCV's zoo.
            threshold: least score.
            hfov_rad: of the camera, for the faces' angles.

        Raises:
            CheckpointError: no such file, or OpenCV cannot read it as this network.
        """
        if not path.is_file():
            raise CheckpointError(f'there is no file {path}: name "cascade", or YuNet\'s file, '
                                  'face_detection_yunet_2023mar.onnx, of '
                                  'https://github.com/opencv/opencv_zoo')
        self._hfov_rad = hfov_rad
        try:
            self._net = cv2.FaceDetectorYN.create(str(path), '', (320, 320), threshold)
            self(np.zeros((64, 64, 3), np.uint8))
        except cv2.error as error:
            raise CheckpointError(f'{path} is not YuNet: {" ".join(str(error).split())[:200]}'
                                  ) from error

    def __call__(self, image: np.ndarray) -> list[Head]:
        """See `HeadFinder`."""
        height, width = image.shape[:2]
        scale = min(1.0, _WIDTH / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        self._net.setInputSize(size)
        _, rows = self._net.detect(np.ascontiguousarray(small[..., ::-1]))
        heads = []
        for row in rows if rows is not None else ():
            left, top, across, tall = row[:4] / (size[0], size[1], size[0], size[1])
            landmarks = row[4:14].reshape(5, 2) / scale
            box = _clipped(_around((left, top, left + across, top + tall)))
            if box is not None:
                heads.append(Head(box, float(min(max(row[14], 0.0), 1.0)),
                                  facing=facing_of_landmarks(landmarks, width, height,
                                                             self._hfov_rad)))
        return sorted(heads, key=lambda head: head.box[0])


def make_finder(name: str, hfov_rad: float = math.radians(60)) -> HeadFinder:
    """'cascade', 'figures' (the simulator's), or the path of a YuNet file.

    Raises:
        CheckpointError, MissingDependencyError: see `YuNetHeads`, `CascadeHeads` and
            `load_figures`.
    """
    if name == 'cascade':
        return CascadeHeads()
    if name == 'figures':
        finder: HeadFinder = require('gaze_robot.people.figure_weights').figure_finder()
        return finder
    return YuNetHeads(Path(name), hfov_rad=hfov_rad)


@functools.cache
def _cascade_folder() -> Path:
    """Where OpenCV's cascades lie: the wheel has them, distributions keep them in /usr/share."""
    folders = [Path(cv2.data.haarcascades)] if hasattr(cv2, 'data') else []
    folders += [Path('/usr/share/opencv4/haarcascades'), Path('/usr/share/opencv/haarcascades')]
    for folder in folders:
        if (folder / 'haarcascade_profileface.xml').is_file():
            return folder
    raise MissingDependencyError('this OpenCV has no cascades (looked in '
                                 f'{", ".join(map(str, folders))}): apt install opencv-data, or '
                                 'pip install opencv-python-headless')


def _cascade(name: str) -> cv2.CascadeClassifier:
    return cv2.CascadeClassifier(str(_cascade_folder() / f'{name}.xml'))


def _grey(image: np.ndarray, width: int) -> np.ndarray:
    scale = width / max(image.shape[:2])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1
                       else cv2.INTER_LINEAR)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)


def _detect(cascade: cv2.CascadeClassifier, grey: np.ndarray, kind: str, step: float
            ) -> list[tuple[Box, float]]:
    """Boxes of faces, and how sure in [0, 1]."""
    boxes, _, scores = cascade.detectMultiScale3(
        grey, scaleFactor=step, minNeighbors=5, minSize=(24, 24), outputRejectLevels=True)
    height, width = grey.shape
    return [((x / width, y / height, (x + w) / width, (y + h) / height), _sure(score, kind))
            for (x, y, w, h), score in zip(boxes, np.ravel(scores)) if score > _LEAST[kind]]


def _sure(score: float, kind: str) -> float:
    return float(score / (score + _SURE[kind]))


def _faces(frontal: Sequence[tuple[Box, float]], left: Sequence[tuple[Box, float]],
           right: Sequence[tuple[Box, float]]) -> list[Head]:
    """One head for what several cascades say of the same face, the surest first."""
    found = sorted([*((sure, box, 0.0) for box, sure in frontal),
                    *((sure, box, -1.0) for box, sure in left),
                    *((sure, box, 1.0) for box, sure in right)], reverse=True)
    heads: list[Head] = []
    while found:
        sure, box, _ = found[0]
        same = [row for row in found if _same(row[1], box)]
        found = [row for row in found if not _same(row[1], box)]
        whole = _clipped(_around(box))
        if whole is None:
            continue
        weight = sum(row[0] for row in same)
        side = sum(row[0] * row[2] for row in same) / weight
        front = any(row[2] == 0 for row in same)
        yaw = math.radians(_TURNED_DEG if front else _ASIDE_DEG) * (
            math.copysign(min(1.0, 2 * abs(side)), side) if front else math.copysign(1.0, side))
        spread = math.radians(20 if front and len(same) == 1 else 25)
        heads.append(Head(whole, 1 - math.prod(1 - row[0] for row in same),
                          facing=Facing(yaw, 0.0, spread)))
    return [head for head in heads if not any(
        head.confidence < other.confidence and _on_chest(head.box, other.box) for other in heads)]


def _people(detector: cv2.HOGDescriptor, image: np.ndarray) -> list[tuple[Box, float]]:
    """Where the heads of whole people should be."""
    grey = _grey(image, _BODY_WIDTH)
    height, width = grey.shape
    padded = cv2.copyMakeBorder(grey, *(_BODY_PAD,) * 4, cv2.BORDER_REPLICATE)
    if padded.shape[0] < 128 or padded.shape[1] < 64:
        return []
    boxes, scores = detector.detectMultiScale(padded, winStride=(4, 4), scale=1.08)
    found = []
    for (x, y, w, h), score in zip(boxes, np.ravel(scores)):
        # Its window is 64 x 128 around a person of 96: the head is an eighth of that.
        middle, top, side = x + w / 2 - _BODY_PAD, y + 0.11 * h - _BODY_PAD, 0.12 * h
        box = _clipped(((middle - side / 2) / width, top / height,
                        (middle + side / 2) / width, (top + 1.15 * side) / height))
        if box is not None and score > _LEAST['body']:
            found.append((box, _sure(score, 'body')))
    return sorted(found, key=lambda row: -row[1])


def _distinct(heads: Sequence[Head]) -> list[Head]:
    kept: list[Head] = []
    for head in heads:
        if not any(_same(head.box, other.box) for other in kept):
            kept.append(head)
    return kept


def _around(face: Box) -> Box:
    """The head around a face: the cascades' and YuNet's boxes leave out hair and chin."""
    wide, tall = face[2] - face[0], face[3] - face[1]
    return face[0] - 0.1 * wide, face[1] - 0.25 * tall, face[2] + 0.1 * wide, face[3] + 0.1 * tall


def _clipped(box: Box) -> Box | None:
    """The part inside the picture; None where there is none."""
    left, top, right, bottom = (float(min(max(edge, 0.0), 1.0)) for edge in box)
    return (left, top, right, bottom) if left < right and top < bottom else None


def _on_chest(part: Box, head: Box) -> bool:
    """Whether a part lies before the trunk of a head's owner: hands and cups pass for profiles."""
    x, y = (part[0] + part[2]) / 2, (part[1] + part[3]) / 2
    wide, tall = head[2] - head[0], head[3] - head[1]
    return abs(x - (head[0] + head[2]) / 2) < 1.5 * wide and 0 < y - head[3] < 4 * tall


def _of_one(part: Box, head: Box) -> bool:
    """Whether a part belongs to the person of a head: four heads wide, eight tall."""
    x, y = (part[0] + part[2]) / 2, (part[1] + part[3]) / 2
    wide, tall = head[2] - head[0], head[3] - head[1]
    return (abs(x - (head[0] + head[2]) / 2) < 2 * wide
            and head[1] - tall / 2 < y < head[1] + 8 * tall)


def _same(one: Box, other: Box) -> bool:
    """Whether two boxes are of one head: the middle of one lies well inside the other."""
    for first, second in ((one, other), (other, one)):
        x, y = (first[0] + first[2]) / 2, (first[1] + first[3]) / 2
        if second[0] < x < second[2] and second[1] < y < second[3]:
            return True
    return False
