"""A player that is the robot: camera pictures of the simulated place go through its own pipeline.

Nothing of the truth reaches it but what a robot has: pictures, their stamps, and the head's own
measured pose.
"""

import math

import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.config import GazeConfig
from gaze_robot.pipeline import GazePipeline
from gaze_robot.types import Frame, PanTiltState
from gaze_robot_sim.envs.batch import EyeBatch
from gaze_robot_sim.oracles import act
from gaze_robot_sim.scenes.overlay import draw_on_picture

CAMERA = CameraModel.from_hfov(640, 480, math.radians(90))


class RobotPlayer:
    """One pipeline per eye; see `oracles.Player`."""

    def __init__(self, config: GazeConfig, camera: CameraModel = CAMERA) -> None:
        """Take the robot's settings.

        Raises:
            CheckpointError, ConfigError, MissingDependencyError: see `GazePipeline`, once the
                first picture comes.
        """
        self._config, self._camera = config, camera
        self._robots: list[GazePipeline] = []
        self.stages_ms: dict[str, list[float]] = {}
        """Of every picture so far."""

    def __call__(self, _: dict[str, np.ndarray], batch: EyeBatch) -> np.ndarray:
        """One action per eye."""
        while len(self._robots) < batch.eyes:
            self._robots.append(GazePipeline.from_checkpoint(
                self._config.model_path, batch.config.limits, self._config))
        goals = np.array([self._step(eye, batch) for eye in range(batch.eyes)])
        return act(batch, goals - batch.reported)

    def _step(self, eye: int, batch: EyeBatch) -> tuple[float, float]:
        robot, step = self._robots[eye], int(batch.steps[eye])
        if step == 0:
            robot.reset()
        stamp_s = step / batch.config.rate_hz
        (pan, tilt), (pan_s, tilt_s) = batch.reported[eye].tolist(), batch.speed[eye].tolist()
        result = robot.step(Frame(picture(batch, eye, self._camera), stamp_s, self._camera),
                            PanTiltState(pan, tilt, pan_s, tilt_s, stamp_s))
        for stage, ms in result.stages_ms.items():
            self.stages_ms.setdefault(stage, []).append(ms)
        return result.command.pan_rad, result.command.tilt_rad


def picture(batch: EyeBatch, eye: int, camera: CameraModel) -> np.ndarray:
    """(h, w, 3) uint8 RGB: what a camera at an eye's place and pose sees now."""
    scene, t_s = batch.scene[eye], batch.scene_time(eye)
    assert scene is not None
    pan, tilt = batch.pose[eye].tolist()
    seen = scene.panorama(t_s).picture(camera, pan, tilt)
    draw_on_picture(seen, camera, pan, tilt, [*scene.sprites(t_s), *batch.things(eye)])
    return seen
