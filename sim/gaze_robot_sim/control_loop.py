"""The control loop in simulated time: late pictures, joint states, a servo head. No rendering.

A picture gives the direction of the target with noise, as perception would; everything after that
is what runs on a robot: pose buffer, controller, lead, head loop, setpoints.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
import math
from types import TracebackType
from typing import Any

import numpy as np

from gaze_robot.config import PanTiltConfig
from gaze_robot.control.controller import Controller, ControllerConfig
from gaze_robot.control.latency import ahead
from gaze_robot.control.poses import PoseBuffer
from gaze_robot.drivers._servos import stopping_point
from gaze_robot.geometry import angle_between, base_ray, direction_from_pan_tilt, optical_ray
from gaze_robot.nodes._head import Head
from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState
from gaze_robot_sim.dynamics import EyeDynamics
from gaze_robot_sim.motion import Motion

STEP_HZ = 1000
TICK_STEPS = 10
"""The head loop runs at 100 Hz."""

SERVO = EyeDynamics(latency_s=(0.02, 0.02), backlash_rad=(0.0044, 0.0044),
                    encoder_noise_rad=(0.00044, 0.00044))
"""Play and encoder of `dynamics.PRESETS['typical']`, and a bus that answers within 20 ms."""


@dataclass(frozen=True)
class Loop:
    """How good the loop is; the defaults are what the product does."""

    image_delay_s: float = 0.08
    """From exposure to decision."""

    rate_hz: float = 30.0
    noise_rad: float = 0.002
    """Of perception, per axis, standard deviation."""

    compensated: bool = True
    """Whether the command is led by the picture's age and the dead time."""

    stamp_error_s: float = 0.0
    """How much too late pictures are stamped."""

    pose_at_stamp: bool = True
    """Whether the pose is that of the picture, or the newest there is."""

    controller: ControllerConfig = field(default_factory=ControllerConfig)
    limits: PanTiltLimits = field(default_factory=PanTiltLimits)


@dataclass(frozen=True, eq=False)
class Track:
    """What happened, every millisecond."""

    time_s: np.ndarray
    target_rad: np.ndarray
    """(T, 2) pan and tilt."""
    gaze_rad: np.ndarray
    """(T, 2) where the camera truly looked."""
    setpoint_rad: np.ndarray
    """(T, 2) last position sent to the servos."""
    first_command_s: float
    """When the first command reached the head loop."""

    @property
    def error_rad(self) -> np.ndarray:
        """(T,) angle between gaze and target."""
        return angle_between(direction_from_pan_tilt(*self.gaze_rad.T),
                             direction_from_pan_tilt(*self.target_rad.T))


class ServoHead:
    """Two position servos as `gaze_robot.drivers` moves them, made of `Motion`."""

    streams = True

    def __init__(self, limits: PanTiltLimits, clock: Callable[[], float], seed: int,
                 dynamics: EyeDynamics = SERVO) -> None:
        self.limits, self._clock = limits, clock
        self._random = np.random.default_rng([seed, 1])
        self._motion = Motion(dynamics, 1, limits, STEP_HZ)
        self._motion.start(0, self._random, np.zeros(2))
        self.goal = np.zeros(2)
        self.latency_s = dynamics.latency_s[1]

    @property
    def gaze(self) -> np.ndarray:
        """(2,) where the camera truly looks."""
        return self._motion.pose[0].copy()

    def live(self) -> None:
        """One step."""
        self._motion.step(self.goal[None])

    def read(self) -> PanTiltState:
        """What the encoders say; see `PanTiltDriver`."""
        pan, tilt = self._motion.measured([0], [self._random])[0]
        speed = self._motion.speed[0]
        return PanTiltState(float(pan), float(tilt), float(speed[0]), float(speed[1]),
                            self._clock())

    def command(self, goal: PanTiltCommand) -> PanTiltCommand:
        """See `PanTiltDriver`."""
        sent = self.limits.clip(goal)
        self.goal = np.array(stopping_point(sent, self.limits))
        return sent

    def stop(self) -> None:
        """Stay."""
        self.goal = self._motion.pose[0].copy()

    def connect(self) -> None:
        """Nothing to do."""

    def disconnect(self) -> None:
        """Nothing to do."""

    def set_torque(self, on: bool) -> None:
        """Nothing to switch."""

    def health(self) -> dict[str, float | str]:
        """Nothing to say."""
        return {}

    def __enter__(self) -> 'ServoHead':
        """Connect."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """Disconnect."""


def run_loop(loop: Loop, target: Callable[[float], tuple[float, float]], seconds: float, seed: int
             ) -> Track:
    """Look at a target for some time.

    Args:
        loop: what is in it.
        target: (pan, tilt) at a time in seconds.
        seconds: how long.
        seed: of noise, and of when in the period of the camera the run begins.
    """
    rng = np.random.default_rng(seed)
    now = [0.0]
    servo = ServoHead(loop.limits, lambda: now[0], seed)
    head = Head(lambda limits: servo, _head_config(loop.limits), lambda: now[0])
    controller, poses = Controller(loop.limits, loop.controller), PoseBuffer()
    next_shot_s = rng.uniform(0.0, 1.0 / loop.rate_hz)
    waiting: list[tuple[float, np.ndarray]] = []
    last_stamp_s: float | None = None
    first_command_s = math.inf
    rows = np.zeros((round(seconds * STEP_HZ), 3, 2))
    for step in range(len(rows)):
        now[0] = step / STEP_HZ
        servo.live()
        if step % TICK_STEPS == 0:
            poses.add(head.tick())
        if now[0] >= next_shot_s:
            next_shot_s += 1.0 / loop.rate_hz
            waiting.append((now[0], _seen(target(now[0]), servo.gaze, loop.noise_rad, rng)))
        if waiting and now[0] >= waiting[0][0] + loop.image_delay_s:
            shot_s, ray = waiting.pop(0)
            stamp_s = shot_s + loop.stamp_error_s
            pose = poses.at(stamp_s) if loop.pose_at_stamp else poses.at(now[0])
            command, _ = controller.step(
                base_ray(ray, pose.pan_rad, pose.tilt_rad), pose,
                0.0 if last_stamp_s is None else stamp_s - last_stamp_s)
            dead_s = servo.latency_s + TICK_STEPS / STEP_HZ
            lead_s = now[0] - stamp_s + dead_s if loop.compensated else 0.0
            head.accept([(0.0, ahead(command, lead_s, loop.limits))])
            last_stamp_s = stamp_s
            first_command_s = min(first_command_s, now[0])
        rows[step] = target(now[0]), servo.gaze, servo.goal
    return Track(np.arange(len(rows)) / STEP_HZ, rows[:, 0], rows[:, 1], rows[:, 2],
                 first_command_s)


def _head_config(limits: PanTiltLimits) -> PanTiltConfig:
    rows = {'min_position': limits.min_position, 'max_position': limits.max_position,
            'max_velocity': limits.max_velocity, 'max_acceleration': limits.max_acceleration,
            'max_jerk': limits.max_jerk}
    values: dict[str, Any] = {f'limits_{axis}_{name}': row[index] for name, row in rows.items()
                              for index, axis in enumerate(('pan', 'tilt'))}
    return PanTiltConfig(**values)


def _seen(target: tuple[float, float], gaze: np.ndarray, noise_rad: float,
          rng: np.random.Generator) -> np.ndarray:
    """(3,) ray of the target in the optical frame, as perception finds it."""
    ray = optical_ray(direction_from_pan_tilt(*target), *gaze)
    return ray + rng.normal(0.0, noise_rad, 3)
