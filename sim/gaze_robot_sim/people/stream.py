"""Batches to learn from: made-up pictures without end, or the examples of a data set.

B pictures   P heads in each: the same number in all of a batch
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
import math

import cv2
import numpy as np
from torch.utils.data import get_worker_info, IterableDataset

from gaze_robot.allocator import keep_large_blocks
from gaze_robot.people.attention_read import prepared
from gaze_robot.people.face_gaze import cut_faces
from gaze_robot.people.records import Box
from gaze_robot_sim.people.cast import Cast, CastConfig, USUAL
from gaze_robot_sim.people.datasets import DataSet
from gaze_robot_sim.people.pictures import angle_of, make_scene, portrait
from gaze_robot_sim.people.scores import Example

FACES = 128
"""In a batch of faces alone."""

_KEPT = 80
"""Batches that are shown once more later, mirrored: to make a picture takes longer than to learn
from it."""

_PEOPLE, _ODDS = (1, 2, 3, 4), (0.15, 0.3, 0.3, 0.25)
_ROLL_RAD = 0.2
_SHIFT, _SCALE = 0.06, 0.08
"""How far boxes are from the truth, as detectors' are: of their size, and of its logarithm."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """One picture to learn from; what is not known is not a number."""

    image: np.ndarray
    """(h, w, 3) uint8 RGB."""

    boxes: Sequence[Box]
    angle: np.ndarray
    """(P, 2) yaw and pitch of each gaze, as in `people.records.Facing`, or NaN."""

    target: np.ndarray
    """(P, 2) shares of the picture, NaN where it is not in it."""

    inside: np.ndarray
    """(P,) 1 where the target is in the picture, else 0; NaN where nobody said."""

    things: np.ndarray | None = None
    """(M, 4) boxes of all that could be looked at, where they are known."""


class PeopleStream(IterableDataset):
    """Endless batches of made-up pictures."""

    def __init__(self, seed: int, batch: int, side: int, faces: int = 0,
                 config: CastConfig = USUAL) -> None:
        """Describe the stream: equal ones, with as many workers, give equal batches.

        Args:
            seed: of all that is made up.
            batch: pictures in each.
            side: of what the network reads.
            faces: batches of faces alone that come first, `FACES` in each.
            config: how much there is at a time.
        """
        self.seed, self.batch, self.side = seed, batch, side
        self.faces, self.config = faces, config

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        cv2.setNumThreads(1)
        keep_large_blocks()
        info = get_worker_info()
        rng = np.random.default_rng([self.seed, 29, info.id if info else 0])
        cast = Cast(rng, self.config)
        for _ in range(self.faces):
            yield faces_alone(rng, cast, FACES)
        shown: list[list[Lesson]] = []
        while True:
            people = int(rng.choice(_PEOPLE, p=_ODDS))
            fresh = [made_up(rng, cast, people) for _ in range(self.batch)]
            yield collated([shaken(rng, lesson) for lesson in fresh], self.side)
            shown.append(fresh)
            if len(shown) > _KEPT:
                again = shown.pop(int(rng.integers(len(shown))))
                yield collated([shaken(rng, turned_over(lesson)) for lesson in again], self.side)


class DataSetStream(IterableDataset):
    """Batches of a data set's pictures, again and again, shuffled and half of them mirrored."""

    def __init__(self, data: DataSet, seed: int, batch: int, side: int) -> None:
        """Describe the stream; pictures are read when they are due."""
        self.data, self.seed, self.batch, self.side = data, seed, batch, side

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        cv2.setNumThreads(1)
        rng = np.random.default_rng([self.seed, 43])
        waiting: dict[int, list[Lesson]] = {}
        while True:
            for index in rng.permutation(len(self.data.pictures)):
                lesson = lesson_of(rng, self.data.pictures[int(index)].example())
                if lesson is None:
                    continue
                group = waiting.setdefault(len(lesson.boxes), [])
                group.append(shaken(rng, turned_over(lesson) if rng.random() < 0.5 else lesson))
                if len(group) == self.batch:
                    yield collated(waiting.pop(len(lesson.boxes)), self.side)
            for group in waiting.values():                  # a small data set fills no batch
                yield collated(group, self.side)
            waiting = {}


def lesson_of(rng: np.random.Generator, example: Example | None) -> Lesson | None:
    """A data set's picture with at most four of its heads; None: nobody is in it."""
    if example is None:
        return None
    chosen = rng.permutation(len(example.heads))[:max(_PEOPLE)].tolist()
    target = np.array([example.places[p].mean(axis=0) if len(example.places[p]) else
                       (np.nan, np.nan) for p in chosen])
    return Lesson(example.image, [example.heads[p].box for p in chosen],
                  np.full((len(chosen), 2), np.nan), target, example.inside[chosen])


def made_up(rng: np.random.Generator, cast: Cast, people: int) -> Lesson:
    """A scene with so many people."""
    scene = make_scene(rng, cast, people)
    yaw, pitch = angle_of(scene.direction)
    target = np.where(scene.inside[:, None], scene.target, np.nan)
    return Lesson(scene.image, scene.heads, np.stack([yaw, pitch], axis=-1), target,
                  scene.inside.astype(float), np.array(scene.boxes))


def turned_over(lesson: Lesson) -> Lesson:
    """The same, left and right exchanged."""
    return Lesson(np.ascontiguousarray(lesson.image[:, ::-1]),
                  [(1 - right, top, 1 - left, bottom) for left, top, right, bottom in
                   lesson.boxes], lesson.angle * (-1, 1), lesson.target * (-1, 1) + (1, 0),
                  lesson.inside,
                  None if lesson.things is None else
                  (lesson.things * (-1, 1, -1, 1) + (1, 0, 1, 0))[:, [2, 1, 0, 3]])


def shaken(rng: np.random.Generator, lesson: Lesson) -> Lesson:
    """The same, heads found as inexactly as detectors do."""
    return replace(lesson, boxes=[moved(rng, box) for box in lesson.boxes])


def faces_alone(rng: np.random.Generator, cast: Cast, count: int) -> dict[str, np.ndarray]:
    """faces (B, FACE, FACE, 3) and angle (B, 2) of somebody each, before any room."""
    faces, angles = [], []
    for _ in range(count):
        image, box, direction = portrait(rng, cast)
        image, direction = rolled(image, direction, float(rng.normal(0, _ROLL_RAD)))
        faces.append(cut_faces(image, [moved(rng, box)])[0])
        angles.append(np.stack(angle_of(direction)))
        if rng.random() < 0.5:
            faces[-1], angles[-1] = faces[-1][:, ::-1], angles[-1] * (-1, 1)
    cast.renew(rng)
    return {'faces': np.stack(faces), 'angle': np.stack(angles).astype(np.float32)}


def rolled(image: np.ndarray, direction: np.ndarray, roll_rad: float
           ) -> tuple[np.ndarray, np.ndarray]:
    """A picture turned about its middle, clockwise, and the gaze (3,) of who is there."""
    side = image.shape[0]
    turn = cv2.getRotationMatrix2D((side / 2 - 0.5, side / 2 - 0.5), -math.degrees(roll_rad), 1.0)
    c, s = math.cos(roll_rad), math.sin(roll_rad)
    right, down, away = direction.tolist()
    return (cv2.warpAffine(image, turn, (side, side), flags=cv2.INTER_LINEAR,
                           borderMode=cv2.BORDER_REPLICATE),
            np.array([c * right - s * down, s * right + c * down, away]))


def moved(rng: np.random.Generator, box: Box) -> Box:
    """A box a little elsewhere and of another size."""
    left, top, right, bottom = box
    wide, high = right - left, bottom - top
    x = (left + right) / 2 + wide * rng.normal(0, _SHIFT)
    y = (top + bottom) / 2 + high * rng.normal(0, _SHIFT)
    half = math.exp(rng.normal(0, _SCALE)) / 2
    return float(x - half * wide), float(y - half * high), float(x + half * wide), float(
        y + half * high)


def collated(lessons: Sequence[Lesson], side: int) -> dict[str, np.ndarray]:
    """Lessons with equally many heads as the network wants them: see `AttentionReader`."""
    names = ('pictures', 'faces', 'boxes', 'aspect')
    most = max(0 if one.things is None else len(one.things) for one in lessons)
    things = np.full((len(lessons), most, 4), np.nan, np.float32)
    for row, one in zip(things, lessons):
        if one.things is not None:
            row[:len(one.things)] = one.things
    given = zip(*(prepared(one.image, one.boxes, side) for one in lessons))
    return {**{name: np.stack(parts) for name, parts in zip(names, given)},
            'things': things, 'angle': np.stack([one.angle for one in lessons]).astype(np.float32),
            'target': np.stack([one.target for one in lessons]).astype(np.float32),
            'inside': np.stack([one.inside for one in lessons]).astype(np.float32)}
