"""A camera on a pan-tilt head inside a world: where it looks, and what it sees there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.control.poses import PoseBuffer
from gaze_robot.geometry import direction_from_pan_tilt
from gaze_robot.types import PanTiltState
from gaze_robot_sim.dynamics import EyeDynamics
from gaze_robot_sim.motion import exposure_poses
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.lighting import apply, Lighting
from gaze_robot_sim.scenes.overlay import draw_on_picture, Sprite
from gaze_robot_sim.sensor import exposed, Sensor

FRESH_S = 0.05


@dataclass(frozen=True, eq=False)
class Shot:
    """One exposure."""

    image: np.ndarray
    """(height, width, 3) uint8 RGB."""

    pose: PanTiltState
    """Of the head at the exposure; `stamp_s` is its time."""

    @property
    def gaze(self) -> np.ndarray:
        """(3,) unit direction of the optical axis, base frame."""
        return direction_from_pan_tilt(self.pose.pan_rad, self.pose.tilt_rad)


class VirtualCamera:
    """Takes pictures of a panorama from where the head was at the moment of exposure."""

    def __init__(self, camera: CameraModel, dynamics: EyeDynamics | None = None,
                 rng: np.random.Generator | None = None) -> None:
        """Make a camera whose head is elsewhere.

        Args:
            camera: lens and size.
            dynamics: exposure, gain, noise, lost pictures and changing light are drawn once from
                these ranges; motion is what the joint states say. None: an ideal camera.
            rng: for these and for the noise; None: seed 0.
        """
        dynamics = EyeDynamics() if dynamics is None else dynamics
        self.camera = camera
        self._random = np.random.default_rng(0) if rng is None else rng
        self._exposure_s = dynamics.draw('exposure_s', self._random)
        self.sensor = Sensor(dynamics)
        self.sensor.start(0, self._random)
        self._lighting = Lighting(self._random, dynamics.draw('lighting', self._random))
        self._lit_since_s: float | None = None
        self.poses = PoseBuffer()
        self._last_stamp_s = float('-inf')

    def exposure(self, now_s: float) -> PanTiltState:
        """The head's pose at the moment of the next exposure, with that moment as its stamp.

        With fresh joint states the shutter falls at the newest one: its pose is then known and
        not guessed. Without any the head is taken to look straight ahead.
        """
        newest = self.poses.latest
        if newest is None:
            return PanTiltState(0.0, 0.0, stamp_s=now_s)
        if self._last_stamp_s < newest.stamp_s <= now_s <= newest.stamp_s + FRESH_S:
            return newest
        pose = self.poses.at(now_s)
        return PanTiltState(pose.pan_rad, pose.tilt_rad, pose.pan_rad_s, pose.tilt_rad_s, now_s)

    def loses_picture(self) -> bool:
        """Whether the next picture does not arrive; ask once for each."""
        return self.sensor.dropped(0, self._random)

    def shoot(self, panorama: Panorama, now_s: float, sprites: Sequence[Sprite] = ()) -> Shot:
        """One picture of a panorama and what moves before it; stamps grow from shot to shot."""
        pose = self.exposure(now_s)
        self._last_stamp_s = pose.stamp_s
        if self._lit_since_s is None:
            self._lit_since_s = now_s
        poses = exposure_poses(np.array([pose.pan_rad, pose.tilt_rad]),
                               np.array([pose.pan_rad_s, pose.tilt_rad_s]),
                               self._exposure_s, 1.0 / self.camera.fx)
        pictures = [panorama.picture(self.camera, pan, tilt) for pan, tilt in poses]
        for picture, (pan, tilt) in zip(pictures, poses):
            draw_on_picture(picture, self.camera, pan, tilt, sprites)
        image = exposed(pictures)
        apply(image, self._lighting.gain(now_s - self._lit_since_s))
        self.sensor.develop(image, 0, self._random)
        return Shot(image, pose)
