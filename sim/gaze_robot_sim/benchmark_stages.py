"""Milliseconds per stage of the eye, from a camera's picture to a command."""

import math
import time

import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.config import GazeConfig
from gaze_robot.pipeline import GazePipeline
from gaze_robot.types import Frame, PanTiltState
from gaze_robot_sim.scenes import open_world

WARM_UP = 5
"""Pictures left out: they fill caches."""


def measure_stages(policy: str, size: tuple[int, int], pictures: int, seed: int,
                   runtime: str = 'auto') -> tuple[dict[str, list[float]], str]:
    """Search a procedural room through a virtual camera of this size, on the CPU.

    Returns:
        milliseconds of every stage for every picture, with their sum; the runtime's name.
    """
    rng = np.random.default_rng(seed)
    world = open_world('procedural', seed)
    scene = world.scene(0)
    panorama, target = scene.panorama(), scene.sample_target(rng)
    camera = CameraModel.from_hfov(*size, math.radians(90))
    pipeline = GazePipeline.from_checkpoint(
        policy, config=GazeConfig(model_device='cpu', model_runtime=runtime))
    pipeline.warm_up()
    pipeline.look_for(target.exemplar)
    pose = PanTiltState(0.0, 0.0)
    spent: dict[str, list[float]] = {}
    for index in range(pictures + WARM_UP):
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
    return spent, pipeline.runtime.runtime.name
