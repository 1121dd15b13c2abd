"""What perception is pretrained on: glances at rooms and pictures, each with something to find."""

from collections.abc import Iterator
import math

import cv2
import numpy as np
from torch.utils.data import get_worker_info, IterableDataset

from gaze_robot.allocator import keep_large_blocks
from gaze_robot.errors import ConfigError, WorldError
from gaze_robot.foveation import FILL, FoveationPattern
from gaze_robot.gaze_target.evidence import (
    CELLS,
    correlate,
    make_templates,
    square,
    square_width_rad,
)
from gaze_robot.geometry import (
    angle_between,
    direction_from_pan_tilt,
    optical_ray,
    pan_tilt_from_direction,
)
from gaze_robot.perception import size_in_cells, valid_cells
from gaze_robot.types import Exemplar
from gaze_robot_sim.cameras import random_camera
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes import open_world, World
from gaze_robot_sim.scenes.rooms import make_room
from gaze_robot_sim.scenes.targets import APART_RAD, show_exemplar, template_match

TILT_LIMIT = 1.0

_GLANCE_PIXELS_PER_DEGREE = 0.53
"""At which look-alikes are looked for: what cannot be told apart in the periphery."""

_LOOKS = 2
"""Glances per thing to find: half the time of one sample is its picture and its templates."""

_TWIN = 0.88
"""What correlates more than this with an exemplar, seen sharply, is not called something else: the
tasks have no such twins, and who is taught that they are wrong doubts what is right."""

_WIDEST = 4096
"""Wider pictures are made smaller: the eye does not resolve more."""


class Glances(IterableDataset):
    """Endless stream of training samples; rooms are replaced as it goes."""

    def __init__(self, pattern: FoveationPattern, seed: int, rooms: int = 8, uses: int = 96,
                 pictures: World | None = None, share: float = 0.5) -> None:
        """Describe the stream.

        Args:
            pattern: what a glance samples.
            seed: equal ones give equal streams.
            rooms: at a time.
            uses: glances before one of them gives way to a new one.
            pictures: of the user, of `open_pictures`; None: made-up rooms only.
            share: of the rooms that are such pictures.

        Raises:
            ConfigError: share is not between 0 and 1.
        """
        if not 0 <= share <= 1:
            raise ConfigError(f'pictures_share is a part of all rooms, 0 to 1; got {share}')
        self.pattern, self.seed, self.rooms, self.uses = pattern, seed, rooms, uses
        self.pictures, self.share = pictures, share

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        cv2.setNumThreads(1)
        keep_large_blocks()
        info = get_worker_info()
        rng = np.random.default_rng([self.seed, info.id if info else 0])
        rooms = [self._room(rng) for _ in range(self.rooms)]
        while True:
            rooms[int(rng.integers(len(rooms)))] = self._room(rng)
            for _ in range(self.uses // _LOOKS):
                panorama, objects = rooms[int(rng.integers(len(rooms)))]
                yield from self._samples(rng, panorama, *self._thing(rng, panorama, objects))

    def _room(self, rng: np.random.Generator) -> tuple[Panorama, list]:
        if self.pictures is not None and rng.random() < self.share:
            return self._picture(rng, self.pictures), []
        room = make_room(rng)
        return Panorama(room.image), room.objects

    def _picture(self, rng: np.random.Generator, world: World) -> Panorama:
        """One of the user's, as it is or mirrored."""
        scene = world.scene(int(rng.integers(world.count or 1)))
        image = scene.panorama(rng.uniform(0, scene.duration_s) if scene.duration_s else 0.0).image
        if image.shape[1] > _WIDEST:
            image = cv2.resize(image, (_WIDEST, _WIDEST // 2), interpolation=cv2.INTER_AREA)
        return Panorama(np.ascontiguousarray(image[:, ::-1]) if rng.random() < 0.5 else image)

    def _thing(self, rng: np.random.Generator, panorama: Panorama, objects: list
               ) -> tuple[np.ndarray, float, Exemplar]:
        """Something to look for: an object, or any patch with contrast."""
        for _ in range(20):
            if objects and rng.random() < 0.5:
                thing = objects[int(rng.integers(len(objects)))]
                direction, width = thing.direction, float(thing.width_rad)
            else:
                direction = direction_from_pan_tilt(rng.uniform(-math.pi, math.pi),
                                                    rng.uniform(-0.5, 0.5))
                width = math.radians(rng.uniform(6, 12))
            exemplar = show_exemplar(rng, panorama, np.asarray(direction), width)
            if exemplar.image.mean(axis=2).std() >= 12:
                break
        return np.asarray(direction), width, exemplar

    def _gaze(self, rng: np.random.Generator, panorama: Panorama, direction: np.ndarray,
              exemplar: Exemplar) -> tuple[float, float]:
        """Pan and tilt: anywhere (15 %), at what looks like it from afar (20 %), or near it."""
        kind = rng.random()
        if kind < 0.15:
            return rng.uniform(-math.pi, math.pi), rng.uniform(-TILT_LIMIT, TILT_LIMIT)
        if kind < 0.35:
            direction = _look_alike(rng, panorama, direction, exemplar)
        pan, tilt = (float(angle) for angle in pan_tilt_from_direction(direction))
        spread = 0.1 if kind < 0.35 else 0.17 if kind < 0.62 else 0.36 if kind < 0.75 else 0.8
        return (pan + rng.uniform(-spread, spread) / max(0.5, math.cos(tilt)),
                float(np.clip(tilt + rng.uniform(-spread, spread), -TILT_LIMIT, TILT_LIMIT)))

    def _samples(self, rng: np.random.Generator, panorama: Panorama, direction: np.ndarray,
                 width: float, exemplar: Exemplar) -> Iterator[dict[str, np.ndarray]]:
        """A few glances with the same thing to find, and no twin of it instead."""
        templates = make_templates(exemplar, self.pattern)
        shown = {'exemplar': square(exemplar), 'size': size_in_cells(width, self.pattern),
                 'width': np.array(square_width_rad(exemplar), np.float32)}
        looks = 0
        while looks < _LOOKS:
            pan, tilt = self._gaze(rng, panorama, direction, exemplar)
            levels, valid = self._view(rng, panorama, pan, tilt)
            evidence = correlate(levels, templates)
            label = label_cells(optical_ray(direction, pan, tilt), valid, self.pattern)
            if label[0] == CELLS * CELLS and evidence[0].max() > _TWIN:
                continue
            looks += 1
            yield {**{f'level{i}': level for i, level in enumerate(levels)}, **shown,
                   'valid': valid, 'evidence': evidence, 'label': label}

    def _view(self, rng: np.random.Generator, panorama: Panorama, pan: float, tilt: float
              ) -> tuple[list[np.ndarray], np.ndarray]:
        """What a random camera shows there, with noise in half of the cases: levels, valid."""
        levels = panorama.levels(pan, tilt, self.pattern, samples=2)
        masks = self.pattern.inside_camera(*random_camera(rng))
        for level, mask in zip(levels, masks):
            level[~mask] = FILL
        if rng.random() < 0.5:
            strength = rng.uniform(0, 5)
            levels = [np.clip(level + strength * rng.standard_normal(level.shape, np.float32),
                              0, 255).astype(np.uint8) for level in levels]
        return levels, valid_cells(masks)


def _look_alike(rng: np.random.Generator, panorama: Panorama, direction: np.ndarray,
                exemplar: Exemplar) -> np.ndarray:
    """(3,) one of the places that plain template matching at a coarse resolution takes for it.

    What an eye has to tell from the thing itself, once it looks there.
    """
    places = template_match(panorama, exemplar, _GLANCE_PIXELS_PER_DEGREE, 4)
    others = places[angle_between(places, direction) > APART_RAD]
    return others[int(rng.integers(len(others)))] if len(others) else direction


def label_cells(ray: np.ndarray, valid: np.ndarray, pattern: FoveationPattern) -> np.ndarray:
    """Flat index of the cell that holds an optical ray, per level; CELLS ** 2 if none does."""
    labels = np.full(pattern.levels, CELLS * CELLS, np.int64)
    if ray[2] <= 0.01:
        return labels
    for level in range(pattern.levels):
        x, y = ((ray[:2] / ray[2] / pattern.half_tangent(level) + 1) / 2 * CELLS)
        if 0 <= x < CELLS and 0 <= y < CELLS and valid[level, int(y), int(x)]:
            labels[level] = int(y) * CELLS + int(x)
    return labels


def open_pictures(spec: str) -> World:
    """Open the user's panoramas (a folder, a picture, a 360-degree video), and look at each.

    Raises:
        WorldError: there is none, or one cannot be used; told before training, not during it.
    """
    if spec == 'procedural':
        raise WorldError('pictures are your own: give a folder of equirectangular pictures; '
                         'made-up rooms are there anyway')
    world = open_world(spec)
    for index in range(world.count or 1):
        world.scene(index)
    return world
