"""The published data sets of where people look, as they unpack, and nothing rewritten.

    GazeFollow             train|test_annotations_release.txt beside the folders they name
    VideoAttentionTarget   annotations/train|test/SHOW/CLIP/*.txt, images/SHOW/CLIP
    ChildPlay              annotations/train|val|test/*.csv, images/CLIP
    GOO-Real               {oneshot,val,test}realhumans(New).pickle beside finalrealdatasetImgs*

What counts, and how odd labels are read, follows the scripts with which results are published:
those of Gaze-LLE for the first two, Tafasca et al. 2023 for ChildPlay, Tomas et al. 2021 for GOO.
"""

from collections.abc import Callable, Iterator, Sequence
import csv
from dataclasses import dataclass
import math
from pathlib import Path
import re

import numpy as np

from gaze_robot.errors import DemoError
from gaze_robot.people.records import Box, Head
from gaze_robot.people.watch import read_picture
from gaze_robot_sim.people.pickles import read_pickle
from gaze_robot_sim.people.scores import Example

SPLITS = ('train', 'val', 'test')
_SMOOTHED = 11
"""Pictures over which VideoAttentionTarget's head boxes are averaged."""
_GOO_SIZE = (640.0, 480.0)
"""The pixels in which GOO's labels count, whatever the picture's own size."""
_UNJUDGED = ('gaze_shift', 'inside_occluded', 'inside_uncertain', 'eyes_closed', 'not_annotated')
"""ChildPlay's classes that its measures leave out."""


@dataclass(frozen=True)
class Person:
    """One head, and where its owner looks."""

    box: Box
    """Corners, in `unit`."""

    places: tuple[tuple[float, float], ...]
    """One for each annotator, in `unit`; none: out of the picture."""

    inside: float
    """1, 0 or NaN."""

    unit: tuple[float, float] = (1.0, 1.0)
    """(width, height) by which the box's numbers are shares of the picture; 0: its own pixels."""

    places_unit: tuple[float, float] = (1.0, 1.0)
    eye: tuple[float, float] | None = None
    gazed: int | None = None
    """Number of the thing looked at, where things are labelled."""


@dataclass(frozen=True)
class Picture:
    """One labelled picture."""

    path: Path
    people: tuple[Person, ...]
    things: tuple[Box, ...] = ()
    """Shares of the picture."""

    def example(self) -> Example | None:
        """Read it; None if no head in it has a size.

        Raises:
            ImageError: it is not there, or not a picture.
        """
        image = read_picture(self.path)
        size = float(image.shape[1]), float(image.shape[0])
        heads: list[Head] = []
        places, inside, eyes, gazed = [], [], [], []
        for person in self.people:
            box = _shares(person.box, person.unit, size)
            if box is None:
                continue
            heads.append(Head(box, id=len(heads) + 1))
            wide, high = (own or side for own, side in zip(person.places_unit, size))
            places.append(np.array([(x / wide, y / high) for x, y in person.places],
                                   float).reshape(-1, 2))
            inside.append(person.inside)
            eyes.append(person.eye)
            gazed.append(person.gazed)
        if not heads:
            return None
        return Example(image, heads, places, np.array(inside), self.things, eyes, gazed)


@dataclass(frozen=True)
class DataSet:
    """What a folder holds."""

    name: str
    """gazefollow, videoattentiontarget, childplay or goo."""

    pictures: tuple[Picture, ...]

    def examples(self, every: int = 1) -> Iterator[Example]:
        """Every n-th picture, read one by one."""
        for picture in self.pictures[::every]:
            example = picture.example()
            if example is not None:
                yield example


def open_data_set(root: str | Path, split: str) -> DataSet:
    """Find out which one a folder holds and read its labels; no picture is read.

    Raises:
        DemoError: it is none of them, has no such split, or its labels cannot be read.
    """
    folder = Path(root)
    if split not in SPLITS:
        raise DemoError(f'there is no split {split!r}; take {", ".join(SPLITS)}')
    readers: dict[str, tuple[Sequence[Path], Callable]] = {
        'gazefollow': (sorted(folder.glob(f'{split}_annotations_release.txt')), _gazefollow),
        'videoattentiontarget': (sorted(folder.glob(f'annotations/{split}/*/*/*.txt')), _vat),
        'childplay': (sorted(folder.glob(f'annotations/{split}/*.csv')), _childplay),
        'goo': (sorted(folder.glob(_GOO_FILES[split])), _goo)}
    for name, (files, read) in readers.items():
        if not files:
            continue
        try:
            pictures = tuple(read(folder, files))
        except (ValueError, IndexError, KeyError, TypeError, OSError,
                UnicodeDecodeError) as error:
            raise DemoError(f'{folder}: labels of {name} that cannot be read '
                            f'({" ".join(str(error).split())[:200]}); unpack it again') from error
        if pictures:
            return DataSet(name, pictures)
    raise DemoError(f'{folder} holds no {split} labels of GazeFollow, VideoAttentionTarget, '
                    'ChildPlay or GOO-Real where they unpack; see gaze_robot_sim.people.datasets')


_GOO_FILES = {'train': '*oneshotrealhumans*.pickle', 'val': '*valrealhumans*.pickle',
              'test': '*testrealhumans*.pickle'}


def _gazefollow(folder: Path, files: Sequence[Path]) -> Iterator[Picture]:
    """Ten annotators of the test split are told apart by nothing: same picture, same eye."""
    test = files[0].name.startswith('test')
    found: dict[str, dict[str, list[list[str]]]] = {}
    for row in _rows(files[0]):
        inside = 1 if test else int(float(row[14]))
        if inside == -1:                                    # labelled as not to be used
            continue
        key = row[6] if test else f'{len(found.get(row[0], {}))}'
        found.setdefault(row[0], {}).setdefault(key, []).append(row)
    for path, people in found.items():
        yield Picture(folder / path, tuple(_gazefollow_person(rows, test)
                                           for rows in people.values()))


def _gazefollow_person(rows: list[list[str]], test: bool) -> Person:
    places = tuple((float(row[8]), float(row[9])) for row in rows)
    inside = 1.0 if test else float(int(float(rows[0][14])))
    return Person(_corners(rows[0][10:14]), places if inside else (), inside, (0.0, 0.0))


def _vat(folder: Path, files: Sequence[Path]) -> Iterator[Picture]:
    """One file per person and clip: picture, corners of the head, place; negative: elsewhere."""
    clips: dict[Path, list[Path]] = {}
    for file in files:
        clips.setdefault(file.parent, []).append(file)
    for clip, tracks in clips.items():
        frames: dict[str, list[Person]] = {}
        for track in tracks:
            rows = list(_rows(track))
            boxes = _smoothed(np.array([[float(value) for value in row[1:5]] for row in rows]))
            for row, box in zip(rows, boxes):
                x, y = float(row[5]), float(row[6])
                inside = x >= 0 or y >= 0                   # one negative number is rounding
                places = ((max(x, 0.0), max(y, 0.0)),) if inside else ()
                frames.setdefault(row[0], []).append(Person(
                    _corners(box.tolist()), places, float(inside), (0.0, 0.0), (0.0, 0.0)))
        images = folder / 'images' / clip.parent.name / clip.name
        for name in sorted(frames):
            yield Picture(images / name, tuple(frames[name]))


def _smoothed(boxes: np.ndarray) -> np.ndarray:
    """Moving means over `_SMOOTHED` rows, the first and the last repeated beyond the ends."""
    padded = np.pad(boxes, ((_SMOOTHED // 2, _SMOOTHED // 2), (0, 0)), mode='edge')
    total = np.cumsum(np.pad(padded, ((1, 0), (0, 0))), axis=0)
    return (total[_SMOOTHED:] - total[:-_SMOOTHED]) / _SMOOTHED


def _childplay(folder: Path, files: Sequence[Path]) -> Iterator[Picture]:
    for file in files:
        frames: dict[Path, list[Person]] = {}
        with file.open(encoding='utf-8', newline='') as text:
            for row in csv.DictReader(text):
                kind = row['gaze_class']
                x, y = float(row['gaze_x']), float(row['gaze_y'])
                inside = kind == 'inside_visible'
                if kind in _UNJUDGED or (inside and x == -1.0):
                    continue
                left, top = float(row['bbox_x']), float(row['bbox_y'])
                box = (left, top, left + float(row['bbox_width']),
                       top + float(row['bbox_height']))
                frames.setdefault(_childplay_picture(folder, row), []).append(Person(
                    box, ((x, y),) if inside else (), float(inside), (0.0, 0.0), (0.0, 0.0)))
        for path, people in frames.items():
            yield Picture(path, tuple(people))


def _childplay_picture(folder: Path, row: dict[str, str]) -> Path:
    """Pictures are numbered as in the whole video: CLIP is VIDEO_FIRST-LAST."""
    clip = row['clip']
    match = re.fullmatch(r'(.+)_(\d+)-\d+', clip.replace('-downsample', ''))
    if match is None:
        raise ValueError(f'the clip {clip!r} is not named VIDEO_FIRST-LAST')
    number = int(match[2]) + int(float(row['frame'])) - 1
    return folder / 'images' / clip / f'{match[1]}_{number}.jpg'


def _goo(folder: Path, files: Sequence[Path]) -> Iterator[Picture]:
    """The last box is the head."""
    for file in files:
        images = _goo_images(folder, sparse='Sparsed' in file.name)
        for row in read_pickle(file):
            boxes = [tuple(float(value) for value in box) for box in row['ann']['bboxes']]
            wide, high = _GOO_SIZE
            eye = float(row['hx']) / wide, float(row['hy']) / high
            person = Person(_corners(boxes[-1]), ((float(row['gaze_cx']) / wide,
                                                   float(row['gaze_cy']) / high),), 1.0,
                            _GOO_SIZE, eye=eye, gazed=int(row['gazeIdx']))
            things = tuple((left / wide, top / high, right / wide, bottom / high)
                           for left, top, right, bottom in boxes[:-1])
            yield Picture(images / str(row['filename']).replace('\\', '/'), (person,), things)


def _goo_images(folder: Path, sparse: bool) -> Path:
    found = [path for path in sorted(folder.glob('finalrealdatasetImgs*'))
             if path.is_dir() and path.name.endswith('Sparsed') == sparse]
    return found[0] if found else folder


def _rows(file: Path) -> Iterator[list[str]]:
    with file.open(encoding='utf-8', newline='') as text:
        yield from (row for row in csv.reader(text) if row)


def _corners(values: Sequence[float] | Sequence[str]) -> Box:
    """Two corners in whichever order."""
    x0, y0, x1, y1 = map(float, values)
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _shares(box: Box, unit: tuple[float, float], size: tuple[float, float]) -> Box | None:
    """As shares of the picture, without what is outside; None: nothing is left."""
    wide, high = (own or side for own, side in zip(unit, size))
    left, top, right, bottom = (min(max(value / side, 0.0), 1.0) for value, side in zip(
        box, (wide, high, wide, high)))
    if not all(map(math.isfinite, (left, top, right, bottom))) or left >= right or top >= bottom:
        return None
    return left, top, right, bottom
