"""What the head for people learns from: glances at rooms with drawn figures whose heads are known.

L levels   C cells across a level
"""

from collections.abc import Iterator, Sequence
import math

import cv2
import numpy as np
from torch.utils.data import get_worker_info, IterableDataset

from gaze_robot.allocator import keep_large_blocks
from gaze_robot.foveation import FILL, FoveationPattern
from gaze_robot.gaze_target.evidence import CELLS
from gaze_robot.geometry import direction_from_pan_tilt, optical_ray, pan_tilt_from_direction
from gaze_robot.perception import valid_cells
from gaze_robot_sim.cameras import random_camera
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.figures import (
    ASPECT,
    BUST_CENTRE,
    BUST_HEAD_HIGH,
    draw_bust,
    draw_person,
    HEAD_CENTRE,
    HEAD_HIGH,
    random_person,
)
from gaze_robot_sim.scenes.overlay import axes, draw_on_levels, Sprite
from gaze_robot_sim.scenes.rooms import make_room, Room

Head = tuple[np.ndarray, float]
"""(3,) direction of the middle, base frame; half the height, radians."""

UNJUDGED = -1
_TILT_LIMIT = 1.0
_NARROW = 0.8
"""Width of a head over its height."""


class Crowds(IterableDataset):
    """Endless stream of glances: level0 ..., valid (L, C, C) bool, label (L, C, C) int8."""

    def __init__(self, pattern: FoveationPattern, seed: int, rooms: int = 6, looks: int = 16,
                 uses: int = 64) -> None:
        """Describe the stream.

        Args:
            pattern: what a glance samples.
            seed: equal ones give equal streams.
            rooms, looks: rooms and pictures of figures at a time.
            uses: glances before a room and four figures give way to new ones.
        """
        self.pattern, self.seed, self.uses = pattern, seed, uses
        self.rooms, self.looks = rooms, looks

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        cv2.setNumThreads(1)
        keep_large_blocks()
        info = get_worker_info()
        rng = np.random.default_rng([self.seed, 17, info.id if info else 0])
        rooms = [_open(make_room(rng)) for _ in range(self.rooms)]
        looks = [_figure(rng) for _ in range(self.looks)]
        while True:
            rooms[int(rng.integers(len(rooms)))] = _open(make_room(rng))
            for _ in range(4):
                looks[int(rng.integers(len(looks)))] = _figure(rng)
            for _ in range(self.uses):
                yield self._sample(rng, *rooms[int(rng.integers(len(rooms)))], looks)

    def _sample(self, rng: np.random.Generator, panorama: Panorama, standing: list[Head],
                hidden: list[Head], looks: list[tuple[np.ndarray, bool]]
                ) -> dict[str, np.ndarray]:
        sprites: list[Sprite] = []
        heads = list(standing)
        for _ in range(int(rng.choice(3, p=(0.3, 0.5, 0.2)))):
            sprite, head = _place(rng, *looks[int(rng.integers(len(looks)))])
            if all(sprite.direction @ other.direction < math.cos(
                    0.6 * (_tall_rad(sprite) + _tall_rad(other))) for other in sprites):
                sprites.append(sprite)
                heads.append(head)
        pan, tilt = _gaze(rng, heads)
        levels = panorama.levels(pan, tilt, self.pattern, samples=2)
        draw_on_levels(levels, self.pattern, pan, tilt, sprites)
        masks = self.pattern.inside_camera(*random_camera(rng))
        levels = [_exposed(level, mask, lut) for lut in [_exposure(rng)]
                  for level, mask in zip(levels, masks)]
        valid = valid_cells(masks)
        return {**{f'level{i}': level for i, level in enumerate(levels)}, 'valid': valid,
                'label': label_heads(heads, hidden, pan, tilt, valid, self.pattern)}


def label_heads(heads: Sequence[Head], hidden: Sequence[Head], pan_rad: float, tilt_rad: float,
                valid: np.ndarray, pattern: FoveationPattern) -> np.ndarray:
    """What a cell shows: 1 a head, 0 none, UNJUDGED where it is neither here nor there.

    A head is an ellipse; the cell that holds its middle counts too, unless the head is smaller
    than a quarter of the cell. Not judged are the rim, such small heads, hidden ones, and what
    lies outside the picture.

    Args:
        heads, hidden: seen for sure, and perhaps.
        valid: (L, C, C) bool.

    Returns:
        (L, C, C) int8.
    """
    label = np.zeros(valid.shape, np.int8)
    for sure, some in ((False, hidden), (True, heads)):
        for direction, half_rad in some:
            ray = optical_ray(direction, pan_rad, tilt_rad)
            if ray[2] < 0.1:
                continue
            for level in range(pattern.levels):
                cell = 2 * pattern.half_tangent(level) / CELLS
                steps = (np.arange(CELLS) + 0.5 - CELLS / 2) * cell
                high = math.tan(half_rad)
                right, down = np.abs(steps - ray[0] / ray[2]), np.abs(steps - ray[1] / ray[2])
                apart = np.hypot(right[None] / (_NARROW * high), down[:, None] / high)
                middle = (right[None] <= cell / 2) & (down[:, None] <= cell / 2)
                shown = (apart <= 1) | (middle & (2 * high >= cell / 4))
                near = (apart <= 1.5) | middle
                label[level][near & (label[level] == 0)] = UNJUDGED
                if sure:
                    label[level][shown] = 1
    label[~valid] = UNJUDGED
    return label


def _open(room: Room) -> tuple[Panorama, list[Head], list[Head]]:
    """The picture, the heads in it, and those that a thing may hide."""
    seen: list[Head] = []
    hidden: list[Head] = []
    for direction, half_rad in room.heads:
        covered = any(direction @ thing.direction > math.cos(0.7 * thing.width_rad + half_rad)
                      for thing in room.objects)
        (hidden if covered else seen).append((direction, half_rad))
    return Panorama(room.image), seen, hidden


def _figure(rng: np.random.Generator) -> tuple[np.ndarray, bool]:
    """Somebody, and whether head and shoulders only."""
    bust = bool(rng.random() < 0.5)
    gaze = float(rng.normal(0, 1.0)), float(rng.normal(0.1, 0.25))
    picture = draw_bust(random_person(rng), gaze, 160) if bust else \
        draw_person(random_person(rng), gaze, 320)
    return picture, bust


def _place(rng: np.random.Generator, picture: np.ndarray, bust: bool) -> tuple[Sprite, Head]:
    """A figure somewhere around, its head about level with the eye."""
    high, centre = (BUST_HEAD_HIGH, BUST_CENTRE) if bust else (HEAD_HIGH, HEAD_CENTRE)
    half_deg = math.exp(rng.uniform(math.log(1.5), math.log(11.0))) if bust else \
        math.exp(rng.uniform(math.log(0.8), math.log(5.0)))
    tall = 2 * math.tan(math.radians(half_deg)) / high                 # of the picture
    up = (0.5 - centre[1]) * tall
    width = 2 * math.atan(tall * (1.0 if bust else ASPECT) / 2)
    direction = direction_from_pan_tilt(rng.uniform(-math.pi, math.pi),
                                        rng.normal(0.0, 0.2) + math.atan(up))
    roll = float(rng.normal(0, 0.1))
    _, down, ahead = (np.array(axis) for axis in axes(direction, roll))
    middle = ahead - up * down
    half = math.atan(up + high * tall / 2) - math.atan(up)
    return Sprite(picture, direction, width, roll), (middle / np.linalg.norm(middle), half)


def _tall_rad(sprite: Sprite) -> float:
    return 2 * math.atan(max(sprite.half_size))


def _gaze(rng: np.random.Generator, heads: Sequence[Head]) -> tuple[float, float]:
    kind = rng.random()
    if kind < 0.3 or not heads:
        return float(rng.uniform(-math.pi, math.pi)), float(rng.uniform(-0.6, 0.6))
    pan, tilt = pan_tilt_from_direction(heads[int(rng.integers(len(heads)))][0])
    spread = 0.1 if kind < 0.5 else 0.3 if kind < 0.75 else 0.7
    return (float(pan) + rng.uniform(-spread, spread),
            float(np.clip(tilt + rng.uniform(-spread, spread), -_TILT_LIMIT, _TILT_LIMIT)))


def _exposure(rng: np.random.Generator) -> tuple[np.ndarray, float, np.random.Generator]:
    """One camera's (256, 1, 3) table of grey levels, and its noise."""
    gain = rng.uniform(0.7, 1.25) * rng.uniform(0.9, 1.1, 3)
    grey = np.arange(256)[:, None] / 255.0
    table = 255 * (grey ** rng.uniform(0.75, 1.35)) * gain + rng.uniform(-12, 12)
    return np.clip(table, 0, 255).astype(np.uint8)[:, None], float(rng.uniform(0, 5)), rng


def _exposed(level: np.ndarray, mask: np.ndarray,
             camera: tuple[np.ndarray, float, np.random.Generator]) -> np.ndarray:
    table, noise, rng = camera
    level = cv2.LUT(level, table)
    if noise > 1:
        level = np.clip(level + noise * rng.standard_normal(level.shape, np.float32), 0,
                        255).astype(np.uint8)
    level[~mask] = FILL
    return level
