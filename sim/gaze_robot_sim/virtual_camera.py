"""A camera on a pan-tilt head inside a world: where it looks, and what it sees there."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from gaze_robot.camera import CameraModel
from gaze_robot.control.poses import PoseBuffer
from gaze_robot.geometry import direction_from_pan_tilt
from gaze_robot.head_geometry import HeadGeometry
from gaze_robot.types import PanTiltState
from gaze_robot_sim.dynamics import EyeDynamics
from gaze_robot_sim.motion import exposure_poses
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.board import StandingBoard
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
    """The camera's own pan and tilt at the exposure; `stamp_s` is its time."""

    @property
    def gaze(self) -> np.ndarray:
        """(3,) unit direction of the optical axis, base frame."""
        return direction_from_pan_tilt(self.pose.pan_rad, self.pose.tilt_rad)


@dataclass(frozen=True)
class Rig:
    """How a camera truly sits on its head, whatever the head's own software believes."""

    geometry: HeadGeometry = field(default_factory=HeadGeometry)
    zero_rad: tuple[float, float] = (0.0, 0.0)
    """What joint states say while the joints are truly at 0."""

    direction: tuple[int, int] = (1, 1)
    """-1 for a joint that truly turns against what joint states say."""

    board: StandingBoard | None = None
    """What stands near it."""

    def joints(self, said: PanTiltState) -> PanTiltState:
        """The true joint angles behind a joint state."""
        pan, tilt = self.direction
        return replace(said, pan_rad=pan * (said.pan_rad - self.zero_rad[0]),
                       tilt_rad=tilt * (said.tilt_rad - self.zero_rad[1]),
                       pan_rad_s=pan * said.pan_rad_s, tilt_rad_s=tilt * said.tilt_rad_s)


class VirtualCamera:
    """Takes pictures of a panorama from where the head was at the moment of exposure."""

    def __init__(self, camera: CameraModel, dynamics: EyeDynamics | None = None,
                 rng: np.random.Generator | None = None, rig: Rig | None = None) -> None:
        """Make a camera whose head is elsewhere.

        Args:
            camera: lens and size.
            dynamics: exposure, gain, noise, lost pictures and changing light are drawn once from
                these ranges; motion is what the joint states say. None: an ideal camera.
            rng: for these and for the noise; None: seed 0.
            rig: how it sits on the head; None: ideally.
        """
        self.rig = Rig() if rig is None else rig
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
        joints = self.rig.joints(pose)
        poses = exposure_poses(np.array([joints.pan_rad, joints.tilt_rad]),
                               np.array([joints.pan_rad_s, joints.tilt_rad_s]),
                               self._exposure_s, 1.0 / self.camera.fx)
        image = exposed([self._see(panorama, PanTiltState(pan, tilt), now_s, sprites)
                         for pan, tilt in poses.tolist()])
        apply(image, self._lighting.gain(now_s - self._lit_since_s))
        self.sensor.develop(image, 0, self._random)
        return Shot(image, self.rig.geometry.view(joints)[0])

    def _see(self, panorama: Panorama, joints: PanTiltState, now_s: float,
             sprites: Sequence[Sprite]) -> np.ndarray:
        geometry = self.rig.geometry
        view, roll_rad = geometry.view(joints)
        picture = panorama.picture(self.camera, view.pan_rad, view.tilt_rad, roll_rad)
        draw_on_picture(picture, self.camera, view.pan_rad, view.tilt_rad, sprites, roll_rad)
        if self.rig.board is not None:
            self.rig.board.draw(picture, self.camera,
                                *geometry.optical(joints.pan_rad, joints.tilt_rad), now_s)
        return picture
