"""Milliseconds per stage, from picture to command, for three camera sizes. `make bench`.

Pictures come from a procedural room through the virtual camera, the exemplar from that room, the
weights from the package. Medians and 95th percentiles over the last rounds; the first ones, which
fill caches, are left out. Prints one table; --json FILE writes it too.
"""

import argparse
import json
import math
from pathlib import Path
import time

import numpy as np
import torch

from gaze_robot.camera import CameraModel
from gaze_robot.config import GazeConfig
from gaze_robot.pipeline import GazePipeline
from gaze_robot.types import Frame, PanTiltState
from gaze_robot_sim.scenes import open_world

SIZES = ((640, 480), (1280, 720), (3840, 2160))
WARM_UP = 5


def measure(model_path: str, size: tuple[int, int], rounds: int, seed: int
            ) -> dict[str, list[float]]:
    """Milliseconds of every stage in every round, at one camera size."""
    rng = np.random.default_rng(seed)
    world = open_world('procedural', seed)
    scene = world.scene(0)
    panorama, target = scene.panorama(), scene.sample_target(rng)
    camera = CameraModel.from_hfov(*size, math.radians(90))
    pipeline = GazePipeline.from_checkpoint(model_path, config=GazeConfig(model_device='cpu'))
    pipeline.warm_up()
    pipeline.look_for(target.exemplar)
    pose = PanTiltState(0.0, 0.0)
    spent: dict[str, list[float]] = {}
    for index in range(rounds + WARM_UP):
        start_s = time.perf_counter()
        picture = panorama.picture(camera, pose.pan_rad, pose.tilt_rad)
        render_ms = 1e3 * (time.perf_counter() - start_s)
        result = pipeline.step(Frame(picture, index / 30, camera), pose)
        pose = PanTiltState(result.command.pan_rad, result.command.tilt_rad,
                            stamp_s=index / 30)
        if index >= WARM_UP:
            stages = {**result.stages_ms, 'sum': sum(result.stages_ms.values()),
                      '(simulated camera)': render_ms}
            for name, value in stages.items():
                spent.setdefault(name, []).append(value)
    world.close()
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n', 1)[0])
    parser.add_argument('--rounds', type=int, default=60)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--model-path', default='', help='a checkpoint; default: the shipped one')
    parser.add_argument('--json', type=Path, metavar='FILE')
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    spent = {size: measure(given.model_path, size, given.rounds, given.seed) for size in SIZES}
    result = {f'{width}x{height}': {
        name: {'p50': float(np.median(values)), 'p95': float(np.percentile(values, 95))}
        for name, values in spent[width, height].items()} for width, height in SIZES}
    print(f'ms, p50 / p95 of {given.rounds}; torch {torch.__version__}, {given.threads} threads')
    print(' ' * 20 + ''.join(f'{size:>18}' for size in result))
    for name in next(iter(result.values())):
        cells = (f'{row[name]["p50"]:.2f} / {row[name]["p95"]:.2f}' for row in result.values())
        print(f'{name:<20}' + ''.join(f'{cell:>18}' for cell in cells))
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=2) + '\n')


if __name__ == '__main__':
    main()
