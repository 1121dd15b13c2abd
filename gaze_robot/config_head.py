"""Settings of the head: what it can do, how it is moved, where it is plugged in.

`gaze_robot.config` says how settings are written, and gathers those of every node.
"""

from dataclasses import dataclass, field
from typing import Any

from gaze_robot.errors import ConfigError
from gaze_robot.head_geometry import HeadGeometry
from gaze_robot.schema import check_ranges
from gaze_robot.types import PanTiltLimits


def setting(default: Any, **metadata: Any) -> Any:
    """A field with its `min`, `max`, `choices` or `name`."""
    return field(default=default, metadata=metadata)


_POSITION = {'min': -12.6, 'max': 12.6}
_VELOCITY, _ACCELERATION = {'min': 1e-3, 'max': 50.0}, {'min': 1e-3, 'max': 1000.0}
_JERK = {'min': 0.1, 'max': 1e5}
_OFFSET = {'min': -2.0, 'max': 2.0}


@dataclass(frozen=True)
class HeadConfig:
    """What every node must know of the head; pan_tilt_node alone enforces it."""

    joints: tuple[str, str] = ('pan', 'tilt')
    """Names in joint_states and joint_trajectory: the joint that turns about +z, then about +y."""

    limits_pan_min_position: float = setting(
        -3.14, name='limits.pan.min_position', **_POSITION)
    """Rightmost pan, radians."""

    limits_pan_max_position: float = setting(
        3.14, name='limits.pan.max_position', **_POSITION)
    """Leftmost pan, radians."""

    limits_pan_max_velocity: float = setting(3.14, name='limits.pan.max_velocity', **_VELOCITY)
    """Fastest pan, rad/s."""

    limits_pan_max_acceleration: float = setting(
        30.0, name='limits.pan.max_acceleration', **_ACCELERATION)
    """Strongest pan acceleration, rad/s^2."""

    limits_pan_max_jerk: float = setting(1500.0, name='limits.pan.max_jerk', **_JERK)
    """Quickest change of pan acceleration, rad/s^3, of heads that are sent setpoints (servos)."""

    limits_tilt_min_position: float = setting(
        -1.05, name='limits.tilt.min_position', **_POSITION)
    """Highest tilt (positive looks down), radians."""

    limits_tilt_max_position: float = setting(
        1.05, name='limits.tilt.max_position', **_POSITION)
    """Lowest tilt, radians."""

    limits_tilt_max_velocity: float = setting(3.14, name='limits.tilt.max_velocity', **_VELOCITY)
    """Fastest tilt, rad/s."""

    limits_tilt_max_acceleration: float = setting(
        30.0, name='limits.tilt.max_acceleration', **_ACCELERATION)
    """Strongest tilt acceleration, rad/s^2."""

    limits_tilt_max_jerk: float = setting(1500.0, name='limits.tilt.max_jerk', **_JERK)
    """The same of tilt, rad/s^3."""

    tilt_axis_forward: float = setting(0.0, name='tilt_axis.forward', **_OFFSET)
    """How far the tilt axis lies in front of the pan axis, metres; `gaze-robot calibrate head`."""

    tilt_axis_roll: float = setting(0.0, name='tilt_axis.roll', min=-0.5, max=0.5)
    """How far the tilt axis is turned about x out of square with the pan axis, radians."""

    camera_mount_rpy: tuple[float, float, float] = setting(
        (0.0, 0.0, 0.0), name='camera_mount.rpy', min=-3.15, max=3.15)
    """Roll, pitch and yaw of camera_link in tilt_link, radians, as URDF's rpy."""

    camera_mount_xyz: tuple[float, float, float] = setting(
        (0.0, 0.0, 0.0), name='camera_mount.xyz', **_OFFSET)
    """The camera's optical centre in tilt_link, metres."""

    def __post_init__(self) -> None:
        check_ranges(self)
        _ = self.geometry                       # refuses what is no head
        if self.joints[0] == self.joints[1] or not all(self.joints):
            raise ConfigError(f'joints must be two different names, got {list(self.joints)}')
        for axis in ('pan', 'tilt'):
            low = getattr(self, f'limits_{axis}_min_position')
            high = getattr(self, f'limits_{axis}_max_position')
            if low >= high:
                raise ConfigError(f'limits.{axis}.min_position ({low}) must be below '
                                  f'limits.{axis}.max_position ({high})')

    @property
    def limits(self) -> PanTiltLimits:
        """The limits as drivers and controller take them, (pan, tilt)."""
        return PanTiltLimits(*(
            (getattr(self, f'limits_pan_{row}'), getattr(self, f'limits_tilt_{row}'))
            for row in ('min_position', 'max_position', 'max_velocity', 'max_acceleration',
                        'max_jerk')))

    @property
    def geometry(self) -> HeadGeometry:
        """How the camera sits on the axes."""
        return HeadGeometry(self.tilt_axis_forward, self.tilt_axis_roll, self.camera_mount_rpy,
                            self.camera_mount_xyz)


@dataclass(frozen=True)
class PanTiltConfig(HeadConfig):
    """Settings of pan_tilt_node: the head and what it may do."""

    backend: str = 'sim'
    """Which driver moves the head: sim, dynamixel, feetech, pelco_d, onvif or trajectory; see
    docs/heads."""

    port: str = ''
    """Where the head is: a serial device, /dev/serial/by-id/...; for onvif the address of the
    camera's device service, http://HOST/onvif/device_service."""

    baud_rate: int = setting(0, min=0, max=4_500_000)
    """Bits per second of a serial port; 0: the backend's own, 1000000 for servos, 9600 for
    pelco_d."""

    ids: tuple[int, int] = setting((1, 2), min=0, max=255)
    """Ids of the pan and the tilt servo; for pelco_d the first is the head's address."""

    bus_watchdog_ms: int = setting(200, min=0, max=2540)
    """With dynamixel: a servo that hears nothing for so long stops by itself, milliseconds; 0:
    never."""

    answer_timeout: float = setting(0.0, min=0.0, max=5.0)
    """How long a head may take to answer, seconds; 0: the backend's own, 0.02 for servos."""

    extended_position: bool = False
    """With dynamixel: several turns instead of one."""

    position_query: bool = False
    """With pelco_d: whether the head answers where it is; if not, it is reckoned."""

    full_speed: tuple[float, float] = setting((0.7, 0.35), min=1e-3, max=50.0)
    """With pelco_d and onvif: pan and tilt speed at full command, rad/s; measure it."""

    full_range: tuple[float, float] = setting((3.1416, 1.5708), min=1e-3, max=12.6)
    """With onvif: pan and tilt at position 1 of the camera's own scale, radians."""

    user: str = ''
    """With onvif: name of a user of the camera; the password comes from the environment variable
    GAZE_ROBOT_PASSWORD."""

    controller: str = 'joint_trajectory_controller'
    """With trajectory: name of the controller, which listens to CONTROLLER/joint_trajectory."""

    torque_off_on_shutdown: bool = False
    """Whether the motors go limp when the node ends; otherwise they hold still."""

    direction: tuple[int, int] = setting((1, 1), choices=(1, -1))
    """Per joint, -1 where the motor turns against REP 103 (pan left, tilt down positive)."""

    offset: tuple[float, float] = setting((0.0, 0.0), min=-6.3, max=6.3)
    """Per joint, what the motor reads when the head looks straight ahead, radians."""

    command_timeout: float = setting(0.3, min=0.02, max=60.0)
    """Without a command for this long the head stops, seconds."""

    rate: float = setting(100.0, min=1.0, max=1000.0)
    """Joint states per second, Hz."""

    frame_prefix: str = ''
    """Put before every frame name."""

    publish_tf: bool = True
    """Whether to publish the head's transforms, where tf2_msgs imports."""

    enable_at_start: bool | None = None
    """Whether the head obeys commands from the start; unset: yes in simulation, no on hardware."""

    @property
    def enabled_at_start(self) -> bool:
        """`enable_at_start` with its default filled in."""
        return self.backend == 'sim' if self.enable_at_start is None else self.enable_at_start
