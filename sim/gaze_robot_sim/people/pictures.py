"""A story as a picture: an empty room, and in it people and things, far ones first.

P people   M things
"""

from collections.abc import Sequence
from dataclasses import dataclass
import math
from pathlib import Path

import cv2
import numpy as np

from gaze_robot.errors import ConfigError
from gaze_robot.people.records import Box, Head
from gaze_robot_sim.people.cast import Cast
from gaze_robot_sim.people.stories import head_px, Lens, NOTHING, Story, tell
from gaze_robot_sim.scenes.figures import BUST_CENTRE, BUST_HEAD_HIGH, HEAD_CENTRE, HEAD_HIGH

HEAD_WIDE, HEAD_TALL = 0.86, 1.08
"""Sides of a head's box over the height of the head without hair."""
_HAZE_M, _MOST_HAZE = 9.0, 0.35
"""Far things lose contrast: so fast, and so much at most."""
_WINDOW = 0.66
"""Least share of a room's view that is the ground of a picture."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One picture and the truth about it; places are shares of the picture."""

    image: np.ndarray
    """(h, w, 3) uint8 RGB."""

    heads: list[Box]
    direction: np.ndarray
    """(P, 3) unit vectors of gaze: right, down, away, as the camera sees them."""

    target: np.ndarray
    """(P, 2) middle of what each looks at; of no meaning where `inside` is False."""

    inside: np.ndarray
    """(P,) bool: it is in the picture."""

    looks_at: np.ndarray
    """(P,) number in `boxes` of what each looks at, -1: nothing there."""

    boxes: list[Box]
    """M things, then P heads: all that can be looked at."""

    mutual: np.ndarray
    joint: np.ndarray
    """(P, P) bool: who look at each other; who look at the same."""

    def records(self) -> list[Head]:
        """Heads as a detector gives them, but exact."""
        return [Head(box, id=number + 1) for number, box in enumerate(self.heads)]


def make_scene(rng: np.random.Generator, cast: Cast, people: int = 0, least: int = 1) -> Scene:
    """Make up a story and paint it; see `stories.tell`."""
    cast.renew(rng)
    return paint(rng, cast, tell(rng, people, least))


def paint(rng: np.random.Generator, cast: Cast, story: Story) -> Scene:
    """Paint a story with this cast; half of all pictures are mirrored."""
    lens, figures = story.lens, [cast.wholes if whole else cast.busts for whole in story.whole]
    numbers = [some.looking(rng, way) for some, way in zip(figures, story.direction)]
    image = _ground(rng, cast, lens)
    haze = np.array(cv2.mean(image)[:3], np.float32)
    for index in np.argsort(-np.concatenate([story.things, story.heads])[:, 2]).tolist():
        person = index - len(story.things)
        if person < 0:
            _paint_thing(rng, image, cast, story, index, haze)
        else:
            picture = figures[person].pictures[numbers[person]]
            _paint_person(rng, image, cast, story, person, picture, haze)
    image = _exposed(rng, image)
    size = np.array([lens.width, lens.height])
    heads = [_head_box(lens, head) for head in story.heads]
    things = [_square(lens.project(place) / size, lens.focal * side / place[2] / size)
              for place, side in zip(story.things, story.sides_m)]
    direction = np.stack([some.gaze[number] for some, number in zip(figures, numbers)])
    inside = story.looks_at != NOTHING
    places = lens.project(np.concatenate([story.things, story.heads])) / size
    target = np.where(inside[:, None], places[story.looks_at], 0.5)
    scene = Scene(image, heads, direction, target, inside, story.looks_at, things + heads,
                  story.mutual, story.joint)
    return mirrored(scene) if rng.random() < 0.5 else scene


def portrait(rng: np.random.Generator, cast: Cast) -> tuple[np.ndarray, Box, np.ndarray]:
    """A square picture of one head before some room; its box; its gaze (3,) as in `Scene`."""
    figures = cast.wholes if rng.random() < 0.35 else cast.busts
    number = int(rng.integers(len(figures.pictures)))
    picture = figures.pictures[number]
    share, centre = (HEAD_HIGH, HEAD_CENTRE) if figures.whole else (BUST_HEAD_HIGH, BUST_CENTRE)
    head = math.exp(rng.uniform(math.log(22), math.log(90)))
    side = round(1.6 * head)
    image = _ground(rng, cast, Lens(side, side, 1.0))
    haze = np.array(cv2.mean(image)[:3], np.float32)
    high = round(head / HEAD_TALL / share)
    wide = round(high * picture.shape[1] / picture.shape[0])
    _paste(image, _sized(picture, wide, high), side / 2 - centre[0] * wide,
           side / 2 - centre[1] * high, float(rng.uniform(0, _MOST_HAZE)), haze)
    half = np.array([HEAD_WIDE, HEAD_TALL]) * head / HEAD_TALL / side
    return _exposed(rng, image), _square(np.array([0.5, 0.5]), half), figures.gaze[number]


def mirrored(scene: Scene) -> Scene:
    """The same, left and right exchanged."""
    def turn(box: Box) -> Box:
        return 1 - box[2], box[1], 1 - box[0], box[3]
    return Scene(np.ascontiguousarray(scene.image[:, ::-1]), [turn(box) for box in scene.heads],
                 scene.direction * (-1, 1, 1), scene.target * (-1, 1) + (1, 0), scene.inside,
                 scene.looks_at, [turn(box) for box in scene.boxes], scene.mutual, scene.joint)


def _ground(rng: np.random.Generator, cast: Cast, lens: Lens) -> np.ndarray:
    """(h, w, 3): a part of a room's view."""
    view = cast.views[int(rng.integers(len(cast.views)))]
    side = view.shape[0]
    scale = rng.uniform(_WINDOW, 1.0) * side / max(lens.width, lens.height)
    wide, high = max(2, int(lens.width * scale)), max(2, int(lens.height * scale))
    left, top = (int(rng.integers(side - one + 1)) for one in (wide, high))
    return cv2.resize(view[top:top + high, left:left + wide], (lens.width, lens.height),
                      interpolation=cv2.INTER_LINEAR)


def _paint_thing(rng: np.random.Generator, image: np.ndarray, cast: Cast, story: Story, index: int,
                 haze: np.ndarray) -> None:
    place, lens = story.things[index], story.lens
    side = max(4, round(lens.focal * float(story.sides_m[index]) / place[2]))
    picture = cast.things[int(rng.integers(len(cast.things)))]
    if rng.random() < 0.5:
        pivot = picture.shape[1] / 2, picture.shape[0] / 2
        turn = cv2.getRotationMatrix2D(pivot, float(rng.normal(0, 15)), 0.95)
        picture = cv2.warpAffine(picture, turn, picture.shape[1::-1], flags=cv2.INTER_LINEAR)
    middle = lens.project(place)
    _paste(image, _sized(picture, side, side), middle[0] - side / 2, middle[1] - side / 2,
           _faded(place[2]), haze)


def _paint_person(rng: np.random.Generator, image: np.ndarray, cast: Cast, story: Story,
                  person: int, picture: np.ndarray, haze: np.ndarray) -> None:
    head, whole = story.heads[person], bool(story.whole[person])
    share, centre = (HEAD_HIGH, HEAD_CENTRE) if whole else (BUST_HEAD_HIGH, BUST_CENTRE)
    high = max(8, round(head_px(story.lens, head) / HEAD_TALL / share))
    wide = max(8, round(high * picture.shape[1] / picture.shape[0]))
    middle = story.lens.project(head)
    left, top = middle[0] - centre[0] * wide, middle[1] - centre[1] * high
    fade = _faded(head[2])
    _paste(image, _sized(picture, wide, high), left, top, fade, haze)
    if not whole and top + high < len(image) + 4:
        _paint_desk(rng, image, cast, (left, top + high, wide), fade, haze)


def _paint_desk(rng: np.random.Generator, image: np.ndarray, cast: Cast,
                bust: tuple[float, float, int], fade: float, haze: np.ndarray) -> None:
    """Something that somebody sits behind, over the lower edge of their picture."""
    left, bottom, wide = bust
    panel = cast.panels[int(rng.integers(len(cast.panels)))]
    width = round(wide * rng.uniform(1.1, 1.7))
    height = max(6, round(wide * rng.uniform(0.35, 0.9)))
    panel = np.dstack([panel, np.full(panel.shape[:2], 255, np.uint8)])
    _paste(image, _sized(panel, width, height), left - (width - wide) * rng.uniform(0.2, 0.8),
           bottom - 0.12 * wide, fade, haze)


def _faded(away_m: float) -> float:
    return min(_MOST_HAZE, max(0.0, away_m - 0.8) / _HAZE_M)


def _sized(picture: np.ndarray, wide: int, high: int) -> np.ndarray:
    smaller = high < picture.shape[0]
    return cv2.resize(picture, (wide, high),
                      interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def _paste(image: np.ndarray, picture: np.ndarray, left: float, top: float, fade: float,
           haze: np.ndarray) -> None:
    """Put a premultiplied RGBA picture on, as far as it is inside."""
    x, y = round(left), round(top)
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + picture.shape[1], image.shape[1]), min(y + picture.shape[0], len(image))
    if x0 >= x1 or y0 >= y1:
        return
    seen = picture[y0 - y:y1 - y, x0 - x:x1 - x].astype(np.float32)
    alpha = seen[..., 3:] / 255
    colour = seen[..., :3] * np.float32(1 - fade) + alpha * (fade * haze)
    area = image[y0:y1, x0:x1]
    area[:] = (area * (1 - alpha) + colour).astype(np.uint8)


def _exposed(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """As some camera shows it: exposure, cast, blur, noise."""
    grey = np.arange(256)[:, None] / 255.0
    cast = np.exp(rng.normal(0, 0.07, 3))
    table = 255 * cast * rng.uniform(0.75, 1.2) * grey ** rng.uniform(0.7, 1.35)
    image = cv2.LUT(image, np.clip(table + rng.uniform(-10, 15), 0, 255).astype(np.uint8)[:, None])
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.9))
    if rng.random() < 0.4:
        noise: np.ndarray = np.empty(image.shape, np.int8)
        cv2.setRNGSeed(int(rng.integers(1 << 30)))
        cv2.randn(noise, np.zeros(3), np.full(3, rng.uniform(1, 7)))
        image = cv2.add(image, noise, dtype=cv2.CV_8U)
    return image


def _head_box(lens: Lens, head: np.ndarray) -> Box:
    high = head_px(lens, head)
    size = np.array([lens.width, lens.height])
    return _square(lens.project(head) / size, np.array([HEAD_WIDE * high, HEAD_TALL * high]) / size
                   / HEAD_TALL)


def _square(middle: np.ndarray, sides: np.ndarray) -> Box:
    (x, y), (wide, high) = middle.tolist(), (sides / 2).tolist()
    return x - wide, y - high, x + wide, y + high


def angle_of(direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Yaw and pitch, radians, as in `people.records.Facing`, of (..., 3) gaze directions."""
    return (np.arctan2(direction[..., 0], -direction[..., 2]),
            np.arctan2(direction[..., 1], np.hypot(direction[..., 0], direction[..., 2])))


def sheet(scenes: Sequence[Scene], across: int = 4, side: int = 320) -> np.ndarray:
    """Pictures with heads and what each looks at, side by side, uint8 RGB."""
    tiles = []
    for scene in scenes:
        high = round(side * scene.image.shape[0] / scene.image.shape[1])
        tile = cv2.resize(scene.image, (side, high), interpolation=cv2.INTER_LINEAR)
        size = np.array([side, high])
        for person, box in enumerate(scene.heads):
            corner = (np.array(box).reshape(2, 2) * size).astype(int)
            colour = (90, 230, 90) if scene.inside[person] else (255, 80, 80)
            cv2.rectangle(tile, corner[0].tolist(), corner[1].tolist(), colour, 1)
            if scene.inside[person]:
                middle = corner.mean(axis=0).astype(int).tolist()
                cv2.line(tile, middle, (scene.target[person] * size).astype(int).tolist(), colour,
                         1, cv2.LINE_AA)
        tiles.append(cv2.copyMakeBorder(tile, 0, math.ceil(side * 1.2) - high, 0, 4,
                                        cv2.BORDER_CONSTANT, value=(40, 40, 40)))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % across)
    return np.concatenate([np.concatenate(tiles[i:i + across], axis=1)
                           for i in range(0, len(tiles), across)])


def save_picture(path: str | Path, picture: np.ndarray) -> None:
    """Write (h, w, 3) uint8 RGB.

    Raises:
        ConfigError: nothing can be written there.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        written = cv2.imwrite(str(path), picture[..., ::-1])
    except (OSError, cv2.error) as error:
        raise ConfigError(f'{path}: cannot write there ({error})') from error
    if not written:
        raise ConfigError(f'{path}: cannot write there')
