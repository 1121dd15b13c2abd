"""What the networks for drawn figures learn from: pictures of rooms with figures and things.

Nobody of the tasks' cast is among them, and no room of an evaluation.

h, w cells of a label, each STRIDE pixels
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import math

import cv2
import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.geometry import base_ray, optical_ray, pan_tilt_from_direction
from gaze_robot.people.figure_heads import head_crop
from gaze_robot.people.figure_net import STRIDE, WIDTH
from gaze_robot.people.records import Box
from gaze_robot_sim.envs import cast
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.figures import (
    ASPECT,
    draw_person,
    HEAD_CENTRE,
    HEAD_HIGH,
    random_person,
)
from gaze_robot_sim.scenes.overlay import axes, draw_on_picture, Sprite
from gaze_robot_sim.scenes.rooms import make_room, Room
from gaze_robot_sim.scenes.things import draw_thing, random_thing

_ROOMS, _FIGURES, _THINGS, _USES = 6, 24, 40, 40
"""How many of each are at hand, and for how many pictures before some give way to others."""
_CAMERA_PX = 640
_LENSES = ((90.0, 480), (90.0, 480), (90.0, 480), (68.0, 480), (78.0, 352), (100.0, 480))
"""Fields of view, degrees, and heights: a few, as a plan is made for each."""
_HEAD_WIDE = 0.85
"""Width of a head with hair over its height."""
_LEAST_PX = 7.0
"""Heads lower than this, of WIDTH, are neither right nor wrong."""


@dataclass(frozen=True, eq=False)
class FigurePicture:
    """One picture and what is in it."""

    image: np.ndarray
    """(H, WIDTH, 3) uint8 RGB."""

    heads: np.ndarray
    """(K, 4) boxes in its pixels, of figures whose heads are surely seen."""

    unsure: np.ndarray
    """(K, 4) those that may be hidden or are too small."""

    things: np.ndarray
    """(K, 4) boxes of things."""

    crops: np.ndarray
    """(K, CROP, CROP, 3) uint8, heads of figures, off the middle as a detector's are."""

    gazes: np.ndarray
    """(K, 3) unit vectors right, down and away along which they look."""


def figure_pictures(seed: int) -> Iterator[FigurePicture]:
    """Endless and different for each seed."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng([seed, 23])
    rooms = [_open(make_room(rng)) for _ in range(_ROOMS)]
    figures = [_figure(rng) for _ in range(_FIGURES)]
    things = [draw_thing(random_thing(rng)) for _ in range(_THINGS)]
    while True:
        rooms[int(rng.integers(_ROOMS))] = _open(make_room(rng))
        for _ in range(_USES):
            for _ in range(2):
                figures[int(rng.integers(_FIGURES))] = _figure(rng)
            things[int(rng.integers(_THINGS))] = draw_thing(random_thing(rng))
            yield _picture(rng, *rooms[int(rng.integers(_ROOMS))], figures, things)


def _open(room: Room) -> tuple[Panorama, Room]:
    return Panorama(room.image), room


def _figure(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Somebody, and the unit vector along which they look."""
    right = float(rng.uniform(-1.75, 1.75) if rng.random() < 0.85 else rng.uniform(-3.14, 3.14))
    down = float(np.clip(rng.normal(0.1, 0.45), -0.9, 1.0))
    level = math.cos(down)
    gaze = np.array([math.sin(right) * level, math.sin(down), -math.cos(right) * level])
    return draw_person(random_person(rng), (right, down), int(rng.choice((112, 128, 192)))), gaze


def _picture(rng: np.random.Generator, panorama: Panorama, room: Room,
             figures: Sequence[tuple[np.ndarray, np.ndarray]], things: Sequence[np.ndarray]
             ) -> FigurePicture:
    hfov_deg, tall_px = _LENSES[int(rng.integers(len(_LENSES)))]
    camera = CameraModel.from_hfov(_CAMERA_PX, tall_px, math.radians(hfov_deg))
    pan, tilt = float(rng.uniform(-math.pi, math.pi)), float(rng.normal(0.0, 0.2))
    picture = panorama.picture(camera, pan, tilt)
    sprites: list[Sprite] = []
    heads: list[Box] = []
    gazes: list[np.ndarray] = []
    for _ in range(int(rng.choice(4, p=(0.05, 0.55, 0.25, 0.15)))):
        drawn, gaze = figures[int(rng.integers(len(figures)))]
        sprite = cast.standing(drawn, *_place(rng, camera, pan, tilt),
                               math.radians(rng.uniform(28, 66)))
        box, body = head_box(sprite, camera, pan, tilt), _body_box(sprite, camera, pan, tilt)
        if box is not None and all(_apart(box, other) and (body is None or _apart(body, other))
                                   for other in heads):
            sprites.append(sprite)
            heads.append(box)
            gazes.append(gaze)
    laid = [Sprite(things[int(rng.integers(len(things)))], _towards(rng, camera, pan, tilt),
                   math.radians(rng.uniform(3.5, 9.0))) for _ in range(int(rng.integers(2, 7)))]
    boxes = [(thing, sprite_box(thing, camera, pan, tilt)) for thing in laid]
    kept = [(thing, box) for thing, box in boxes if box is not None
            and all(_apart(box, head) for head in heads)]
    draw_on_picture(picture, camera, pan, tilt, [*sprites, *(thing for thing, _ in kept)])
    picture = _exposed(rng, picture)
    crops = [head_crop(picture, _jittered(rng, box, camera)) for box in heads]
    shown = [gaze for crop, gaze in zip(crops, gazes) if crop is not None]
    decor = [box for direction, half in room.heads
             if (box := _round_box(direction, half, camera, pan, tilt)) is not None]
    scale = WIDTH / camera.width
    small = cv2.resize(picture, (WIDTH, round(camera.height * scale)),
                       interpolation=cv2.INTER_AREA)
    sure = [box for box in heads if (box[3] - box[1]) * scale >= _LEAST_PX]
    return FigurePicture(
        small, _rows(sure, scale), _rows(decor, scale), _rows([box for _, box in kept], scale),
        np.array([crop for crop in crops if crop is not None], np.uint8), np.array(shown))


def labels(picture: FigurePicture) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `SceneNet` should say of a picture.

    Returns:
        heat (2, h, w), 1 at the middle of a head or thing and less around it; weight (2, h, w), 0
        where nothing is right or wrong; sizes (7, h, w), as the network's other channels, NaN
        where there is none.
    """
    h, w = -(-picture.image.shape[0] // STRIDE), -(-picture.image.shape[1] // STRIDE)
    heat, weight = np.zeros((2, h, w), np.float32), np.ones((2, h, w), np.float32)
    sizes = np.full((7, h, w), np.nan, np.float32)
    down, across = np.indices((h, w)) + 0.5
    for box in picture.unsure / STRIDE:
        weight[0][(across > box[0] - 1) & (across < box[2] + 1) & (down > box[1] - 1)
                  & (down < box[3] + 1)] = 0
    for kind, boxes in enumerate((picture.heads, picture.things)):
        for box in boxes / STRIDE:
            x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            wide, tall = box[2] - box[0], box[3] - box[1]
            spread = max(0.55, 0.18 * min(wide, tall))
            bell = np.exp(-((across - x) ** 2 + (down - y) ** 2) / (2 * spread ** 2))
            heat[kind] = np.maximum(heat[kind], bell)
            near = (bell > 0.45) & (bell >= heat[kind] - 1e-6)
            values = (x - across, y - down, math.log(max(wide, 0.1)), math.log(max(tall, 0.1))
                      ) if kind == 0 else (x - across, y - down, math.log(max(wide, tall, 0.1)))
            for channel, value in enumerate(values):
                sizes[4 * kind + channel][near] = value[near] if np.ndim(value) else value
            middle = int(min(max(y, 0), h - 1e-3)), int(min(max(x, 0), w - 1e-3))
            if 0 <= x < w and 0 <= y < h:
                heat[kind][middle] = 1.0
                weight[kind][middle] = 1.0
    return heat, weight, sizes


def sprite_box(sprite: Sprite, camera: CameraModel, pan_rad: float, tilt_rad: float,
               centre: tuple[float, float] = (0.5, 0.5), size: tuple[float, float] = (1.0, 1.0)
               ) -> Box | None:
    """The part of a sprite that is `size` of it around `centre`, in pixels; None if not in view.

    In view is whose middle is.
    """
    right, down, ahead = (np.array(axis) for axis in axes(sprite.direction, sprite.roll_rad))
    wide, tall = (2 * half for half in sprite.half_size)
    x, y = (centre[0] - 0.5) * wide, (centre[1] - 0.5) * tall
    corners = np.array([(0.0, 0.0), (-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
    rays = (ahead + (x + corners[:, :1] * size[0] * wide) * right
            + (y + corners[:, 1:] * size[1] * tall) * down)
    seen = optical_ray(rays, pan_rad, tilt_rad)
    if seen[:, 2].min() < 0.1:
        return None
    pixels = seen[:, :2] / seen[:, 2:] * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    if not ((pixels[0] > 0) & (pixels[0] < (camera.width, camera.height))).all():
        return None
    low, high = pixels[1:].min(axis=0), pixels[1:].max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def head_box(sprite: Sprite, camera: CameraModel, pan_rad: float, tilt_rad: float) -> Box | None:
    """The head of a whole figure, in pixels; None if its middle is not in view."""
    return sprite_box(sprite, camera, pan_rad, tilt_rad, HEAD_CENTRE,
                      (HEAD_HIGH * _HEAD_WIDE / ASPECT, HEAD_HIGH * 1.05))


def _body_box(sprite: Sprite, camera: CameraModel, pan_rad: float, tilt_rad: float
              ) -> Box | None:
    return sprite_box(sprite, camera, pan_rad, tilt_rad, (0.5, 0.5), (0.5, 1.0))


def _round_box(direction: np.ndarray, half_rad: float, camera: CameraModel, pan_rad: float,
               tilt_rad: float) -> Box | None:
    ray = optical_ray(direction, pan_rad, tilt_rad)
    if ray[2] < 0.1:
        return None
    x, y = ray[:2] / ray[2] * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    tall = camera.fy * math.tan(half_rad) / ray[2]
    if not (-tall < x < camera.width + tall and -tall < y < camera.height + tall):
        return None
    return x - _HEAD_WIDE * tall, y - tall, x + _HEAD_WIDE * tall, y + tall


def _towards(rng: np.random.Generator, camera: CameraModel, pan_rad: float, tilt_rad: float
             ) -> np.ndarray:
    """A direction somewhere in the picture."""
    pixel = rng.uniform(0.03, 0.97, 2) * (camera.width, camera.height)
    return base_ray(camera.unproject(pixel), pan_rad, tilt_rad)


def _place(rng: np.random.Generator, camera: CameraModel, pan_rad: float, tilt_rad: float
           ) -> tuple[float, float]:
    """Pan and tilt of a head in view, not far from level."""
    pan, tilt = pan_tilt_from_direction(_towards(rng, camera, pan_rad, tilt_rad))
    return float(pan), float(np.clip(tilt, -0.45, 0.35))


def _apart(box: Box, head: Box) -> bool:
    """Whether a thing's middle, and most of it, is beside a head."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    wide, tall = (box[2] - box[0]) * 0.35, (box[3] - box[1]) * 0.35
    return not (head[0] - wide < x < head[2] + wide and head[1] - tall < y < head[3] + tall)


def _jittered(rng: np.random.Generator, box: Box, camera: CameraModel) -> Box:
    """A box as a detector may give it, shares of the picture."""
    tall = box[3] - box[1]
    x, y = ((box[0] + box[2]) / 2 + rng.normal(0, 0.06) * tall,
            (box[1] + box[3]) / 2 + rng.normal(0, 0.06) * tall)
    half = tall / 2 * math.exp(rng.normal(0, 0.08))
    return ((x - _HEAD_WIDE * half) / camera.width, (y - half) / camera.height,
            (x + _HEAD_WIDE * half) / camera.width, (y + half) / camera.height)


def _exposed(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Light, colour, noise and blur of one camera."""
    gain = rng.uniform(0.6, 1.3) * rng.uniform(0.92, 1.08, 3)
    grey = np.arange(256)[:, None] / 255.0
    table = np.clip(255 * grey ** rng.uniform(0.8, 1.3) * gain, 0, 255).astype(np.uint8)
    out = cv2.LUT(picture, np.ascontiguousarray(table[:, None]))
    if rng.random() < 0.3:
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.4, 1.0))
    noise = rng.uniform(0, 5)
    if noise > 1:
        rough = rng.integers(-64, 65, out.shape, np.int8)              # uniform, spread 37
        out = np.clip(out + rough * np.float32(noise / 37), 0, 255).astype(np.uint8)
    return out


def _rows(boxes: Sequence[Box], scale: float) -> np.ndarray:
    return np.array(boxes, float).reshape(-1, 4) * scale
