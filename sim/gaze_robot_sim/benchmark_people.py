"""How long people take: `gaze-robot bench people`.

The robot's whole step, from a camera's picture with three people to a command, at the camera's own
pace, so that a detector in a second thread has the time that it has on a robot; and what twelve
people cost beside one where a large backbone reads the picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
import functools
import math
from pathlib import Path
import time
from typing import Any

import cv2
import numpy as np
import torch
from tqdm import tqdm

from gaze_robot.camera import CameraModel
from gaze_robot.config import GazeConfig
from gaze_robot.errors import ConfigError
from gaze_robot.geometry import direction_from_pan_tilt
from gaze_robot.optional import require
from gaze_robot.people.gazelle import GazeDecoder
from gaze_robot.people.gazelle_model import GazeLLE
from gaze_robot.people.records import GazeModel, Head
from gaze_robot.people.watch import make_model, read_picture
from gaze_robot.pipeline import GazePipeline
from gaze_robot.types import Frame, PanTiltState
from gaze_robot_sim.benchmark_encoder import percentiles
from gaze_robot_sim.benchmarks import machine
from gaze_robot_sim.envs import cast
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes import open_world
from gaze_robot_sim.scenes.overlay import draw_on_panorama, Sprite

_RATE_HZ = 30.0
_WARM_UP = 15
"""Pictures left out: caches fill, and heads are found."""
_SWING_RAD, _SWING_HZ = math.radians(6), 0.2
"""How the camera turns meanwhile."""
_CAMERA = (640, 480)
_LARGE = {'hidden_size': 768, 'num_hidden_layers': 12, 'num_attention_heads': 12,
          'patch_size': 14, 'image_size': 518}
"""DINOv2 B/14; its weights are drawn by lot, as time does not depend on them."""


@dataclass(frozen=True)
class BenchPeopleConfig:
    """Time the people path of the robot, and what many people cost."""

    picture: tuple[str, ...] = ()
    """Photographs of people, side by side, to time OpenCV's cascades on as well; the drawn figures
    of the simulator are not what these were made for."""

    model: str = 'figures'
    """How gazes of drawn figures are judged: 'figures', 'attention' or another gaze model."""

    pictures: int = 150
    """Camera pictures per path."""

    rounds: int = 3
    """How often one and twelve people are timed in turn, with DINOv2-B; 0: not at all."""

    seed: int = 0
    """Of the room, the figures and the weights."""

    def __post_init__(self) -> None:
        if self.pictures < 1 or min(self.rounds, self.seed) < 0:
            raise ConfigError('pictures is at least 1, rounds and seed not negative, got '
                              f'{self.pictures}, {self.rounds} and {self.seed}')


def bench_people(config: BenchPeopleConfig) -> dict[str, Any]:
    """Measure; progress goes to stderr.

    Returns:
        paths: for each how heads are found, people (their mean number), people_ms (heads, gaze,
        together), step_ms (all of it, from picture to command), step_cpu_ms (of which the thread
        computed, and did not wait for others) and stages_ms, each p50 and p95;
        large and small: one_ms and twelve_ms of Gaze-LLE on DINOv2-B and of the package's own
        network, medians of processor time, and ratio, the median of the rounds' own; machine.
    """
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)                                          # both as gaze_node
    cv2.setNumThreads(1)
    try:
        paths = {'figures': timed_path(figures(config.seed), config.model, 'figures', config)}
        if config.picture:
            paths['cascade'] = timed_path(photographs(config.picture), 'coarse', 'cascade', config)
        crowds = {name: many_people(make(), config.rounds, config.seed) for name, make in (
            ('large', functools.partial(gaze_lle, config.seed)),
            ('small', functools.partial(make_model, 'attention'))) if config.rounds}
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])
    return {'paths': paths, **crowds, 'machine': machine()}


def figures(seed: int) -> Panorama:
    """A room with three figures and some things in front of the camera."""
    world = open_world('procedural', seed)
    image = world.scene(0).panorama().image.copy()
    world.close()
    sprites = [cast.standing(cast.person(index, right, down), pan, 0.0, math.radians(50))
               for index, (pan, right, down) in enumerate(
                   ((0.45, 45, -5), (0.0, -15, 20), (-0.45, -45, -5)))]
    sprites += [Sprite(cast.thing(index), direction_from_pan_tilt(pan, 0.15), 0.1)
                for index, pan in enumerate((0.2, -0.2))]
    draw_on_panorama(image, sprites)
    return Panorama(image)


def photographs(paths: Sequence[str]) -> Panorama:
    """Photographs side by side as they would fill the middle 60 degrees of a panorama."""
    out = np.full((1024, 2048, 3), 128, np.uint8)
    images = [read_picture(Path(path)) for path in paths]
    wide = 2048 * 60 // 360
    tall = min(round(wide / sum(image.shape[1] / image.shape[0] for image in images)), 1024)
    row = np.concatenate([cv2.resize(image, (max(1, round(
        tall * image.shape[1] / image.shape[0])), tall), interpolation=cv2.INTER_AREA)
        for image in images], axis=1)
    top, left = (1024 - tall) // 2, (2048 - row.shape[1]) // 2
    out[top:top + tall, left:left + row.shape[1]] = row
    return Panorama(out)


def timed_path(panorama: Panorama, model: str, heads: str, config: BenchPeopleConfig
               ) -> dict[str, Any]:
    """One way of finding heads and gazes, picture by picture at the camera's pace."""
    hfov = math.radians(60 if heads == 'cascade' else 90)
    camera = CameraModel.from_hfov(*_CAMERA, hfov)
    pipeline = GazePipeline.from_checkpoint(config=GazeConfig(
        model_device='cpu', sources_people=1.0, people_model=model, people_heads=heads))
    pipeline.warm_up()
    spent: dict[str, list[float]] = {}
    there = []
    begin_s = time.perf_counter()
    for index in tqdm(range(config.pictures + _WARM_UP), desc=heads, unit='picture'):
        time.sleep(max(0.0, begin_s + index / _RATE_HZ - time.perf_counter()))
        stamp_s = index / _RATE_HZ
        pan = _SWING_RAD * math.sin(2 * math.pi * _SWING_HZ * stamp_s)
        picture = panorama.picture(camera, pan, 0.0)
        before_s = time.thread_time()
        result = pipeline.step(Frame(picture, stamp_s, camera), PanTiltState(
            pan, 0.0, stamp_s=stamp_s))
        cpu_ms = 1e3 * (time.thread_time() - before_s)
        if index < _WARM_UP:
            continue
        there.append(len(result.people))
        stages = result.stages_ms
        people = sum(stages[name] for name in ('heads', 'gaze', 'together'))
        for name, value in {**stages, '(people)': people, '(step)': sum(stages.values()),
                            '(cpu)': cpu_ms}.items():
            spent.setdefault(name, []).append(value)
    if pipeline.people is not None:
        pipeline.people.close()
    table = {name: percentiles(values) for name, values in spent.items()}
    return {'people': round(float(np.mean(there)), 2), 'people_ms': table.pop('(people)'),
            'step_ms': table.pop('(step)'), 'step_cpu_ms': table.pop('(cpu)'),
            'stages_ms': table}


def gaze_lle(seed: int) -> GazeLLE:
    """Gaze-LLE on DINOv2-B with random weights."""
    transformers: Any = require('transformers')
    backbones: Any = require('gaze_robot.backbones.backbone')
    torch.manual_seed(seed)
    backbone = backbones.Backbone(
        transformers.Dinov2Model(transformers.Dinov2Config(**_LARGE)).eval(),
        backbones.BackboneConfig(patch=14), 1.0)
    return GazeLLE(backbone, GazeDecoder(768, inout=True), 'random')


def many_people(model: GazeModel, rounds: int, seed: int) -> dict[str, float]:
    """One person and twelve in turn: processor time of the one thread, which other work on the
    machine changes little.
    """
    image = np.random.default_rng(seed).integers(0, 256, (480, 640, 3), np.uint8)
    crowd = [Head((0.02 + 0.07 * k, 0.3, 0.09 + 0.07 * k, 0.45), id=k + 1) for k in range(12)]
    model(image, crowd[:1])
    model(image, crowd)
    times = []
    for _ in tqdm(range(rounds), desc=model.source, unit='round'):
        row = []
        for people in (crowd[:1], crowd):
            start_s = time.thread_time()
            model(image, people)
            row.append(1e3 * (time.thread_time() - start_s))
        times.append(row)
    one, twelve = np.array(times).T
    return {'one_ms': float(np.median(one)), 'twelve_ms': float(np.median(twelve)),
            'ratio': float(np.median(twelve / one))}
