"""Every setting of every node: what YAML files, the command line and ROS parameters agree on.

To add a setting, add a field here, then write config/gaze_robot.yaml anew with
test/tools/write_parameter_file.py. Radians and metres, except in names that end in `_deg`.
"""

from dataclasses import dataclass, field
from typing import Any

from gaze_robot.errors import ConfigError
from gaze_robot.schema import check_ranges as check_ranges
from gaze_robot.schema import from_mapping as from_mapping
from gaze_robot.schema import load_yaml as load_yaml
from gaze_robot.schema import Parameter as Parameter
from gaze_robot.schema import parameter_names as parameter_names
from gaze_robot.schema import parameters as parameters
from gaze_robot.schema import to_mapping as to_mapping
from gaze_robot.types import PanTiltLimits


def _setting(default: Any, **metadata: Any) -> Any:
    return field(default=default, metadata=metadata)


_POSITION = {'min': -12.6, 'max': 12.6}
_VELOCITY, _ACCELERATION = {'min': 1e-3, 'max': 50.0}, {'min': 1e-3, 'max': 1000.0}
_JERK = {'min': 0.1, 'max': 1e5}


@dataclass(frozen=True)
class HeadConfig:
    """What every node must know of the head; pan_tilt_node alone enforces it."""

    joints: tuple[str, str] = ('pan', 'tilt')
    """Names in joint_states and joint_trajectory: the joint that turns about +z, then about +y."""

    limits_pan_min_position: float = _setting(
        -3.14, name='limits.pan.min_position', **_POSITION)
    """Rightmost pan, radians."""

    limits_pan_max_position: float = _setting(
        3.14, name='limits.pan.max_position', **_POSITION)
    """Leftmost pan, radians."""

    limits_pan_max_velocity: float = _setting(3.14, name='limits.pan.max_velocity', **_VELOCITY)
    """Fastest pan, rad/s."""

    limits_pan_max_acceleration: float = _setting(
        30.0, name='limits.pan.max_acceleration', **_ACCELERATION)
    """Strongest pan acceleration, rad/s^2."""

    limits_pan_max_jerk: float = _setting(1500.0, name='limits.pan.max_jerk', **_JERK)
    """Quickest change of pan acceleration, rad/s^3, of heads that are sent setpoints (servos)."""

    limits_tilt_min_position: float = _setting(
        -1.05, name='limits.tilt.min_position', **_POSITION)
    """Highest tilt (positive looks down), radians."""

    limits_tilt_max_position: float = _setting(
        1.05, name='limits.tilt.max_position', **_POSITION)
    """Lowest tilt, radians."""

    limits_tilt_max_velocity: float = _setting(3.14, name='limits.tilt.max_velocity', **_VELOCITY)
    """Fastest tilt, rad/s."""

    limits_tilt_max_acceleration: float = _setting(
        30.0, name='limits.tilt.max_acceleration', **_ACCELERATION)
    """Strongest tilt acceleration, rad/s^2."""

    limits_tilt_max_jerk: float = _setting(1500.0, name='limits.tilt.max_jerk', **_JERK)
    """The same of tilt, rad/s^3."""

    def __post_init__(self) -> None:
        check_ranges(self)
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


@dataclass(frozen=True)
class GazeConfig(HeadConfig):
    """Settings of gaze_node: camera in, fixation and head commands out."""

    image_transport: str = _setting('raw', choices=('raw', 'compressed'))
    """Which image topic to read: 'raw' (image_raw) or 'compressed' (image_raw/compressed)."""

    hfov_deg: float = _setting(90.0, min=5.0, max=170.0)
    """Horizontal field of view assumed when the camera_info is absent or uncalibrated, degrees."""

    model_path: str = _setting('', name='model.path')
    """Folder of a checkpoint; empty: the weights shipped with the package."""

    model_device: str = _setting('auto', name='model.device', choices=('auto', 'cpu', 'cuda'))
    """Where the network runs; 'auto': cuda where there is one, else cpu."""

    model_runtime: str = _setting('auto', name='model.runtime',
                                  choices=('auto', 'torch', 'onnxruntime', 'openvino'))
    """What computes it; 'auto': on a CPU the fastest that is installed, on a GPU torch."""

    model_keep: float = _setting(1.0, name='model.keep', min=0.1, max=1.0)
    """Share of the tokens that go through all of the encoder; the others are fused early. Those of
    the sharpest level always do."""

    processing_rate: float = _setting(30.0, min=0.1, max=240.0)
    """Pictures processed per second at most, Hz; the newest waiting one is taken."""

    control_rate: float = _setting(30.0, min=1.0, max=500.0)
    """Head commands per second at most, Hz."""

    max_image_age: float = _setting(0.25, min=0.01, max=10.0)
    """A picture older than this when its turn comes is dropped, seconds."""

    target_timeout: float = _setting(2.0, min=0.0, max=3600.0)
    """How long an explicit target (look_at), or one gone from view, is still gazed at, seconds."""

    on_target_lost: str = _setting('search', choices=('hold', 'home', 'search'))
    """What to do when the target stays lost: hold still, look straight ahead, or search."""

    sources_search: float = _setting(1.0, name='sources.search', min=0.0, max=100.0)
    """Whether to search for a target shown as a picture: 0 is off, anything above it on."""

    sources_people: float = _setting(0.0, name='sources.people', min=0.0, max=100.0)
    """Weight of people in where to look while nothing is searched for. It needs weights with a
    head for them: `gaze-robot train people`."""

    sources_salience: float = _setting(0.0, name='sources.salience', min=0.0, max=100.0)
    """Weight of what stands out in where to look while nothing is searched for."""

    confidence_threshold: float = _setting(0.5, min=0.0, max=1.0)
    """Least probability at which a candidate counts as the target."""

    dead_time: float = _setting(0.0, min=0.0, max=0.5)
    """From sending a command until the head begins to follow, seconds; moving targets are led by
    this and by the age of their picture."""

    deadband: float = _setting(0.003, min=0.0, max=0.5)
    """Errors smaller than this are not corrected, radians."""

    debug_rate: float = _setting(5.0, min=0.1, max=60.0)
    """Debug pictures per second at most, Hz; none are drawn while nobody subscribes."""

    debug_explain: str = _setting('off', choices=('off', 'relevance', 'rollout'))
    """What debug pictures show beside the camera's: the tokens that the search goes by, judged by
    gradients or by attention alone. One more pass through the network for each of them."""

    fixed_frame: str = 'base_link'
    """Frame of published targets; `frame_prefix` is put before it."""

    frame_prefix: str = ''
    """Put before every frame name."""

    exemplar: str = ''
    """Picture of what to look for; 'auto': a distinctive patch of the first frame; empty: wait for
    the ~/exemplar topic."""

    exemplar_width_deg: float = _setting(0.0, min=0.0, max=89.0)
    """Horizontal angle the exemplar covers, degrees; 0: it has the camera's own scale."""

    eye: str = _setting('head', choices=('head', 'picture'))
    """'head': the head turns; 'picture': nothing turns, the fixation moves inside the picture."""


@dataclass(frozen=True)
class PanTiltConfig(HeadConfig):
    """Settings of pan_tilt_node: the head and what it may do."""

    backend: str = 'sim'
    """Which driver moves the head: sim, dynamixel, feetech, pelco_d, onvif or trajectory; see
    docs/heads."""

    port: str = ''
    """Where the head is: a serial device, /dev/serial/by-id/...; for onvif the address of the
    camera's device service, http://HOST/onvif/device_service."""

    baud_rate: int = _setting(0, min=0, max=4_500_000)
    """Bits per second of a serial port; 0: the backend's own, 1000000 for servos, 9600 for
    pelco_d."""

    ids: tuple[int, int] = _setting((1, 2), min=0, max=255)
    """Ids of the pan and the tilt servo; for pelco_d the first is the head's address."""

    bus_watchdog_ms: int = _setting(200, min=0, max=2540)
    """With dynamixel: a servo that hears nothing for so long stops by itself, milliseconds; 0:
    never."""

    answer_timeout: float = _setting(0.0, min=0.0, max=5.0)
    """How long a head may take to answer, seconds; 0: the backend's own, 0.02 for servos."""

    extended_position: bool = False
    """With dynamixel: several turns instead of one."""

    position_query: bool = False
    """With pelco_d: whether the head answers where it is; if not, it is reckoned."""

    full_speed: tuple[float, float] = _setting((0.7, 0.35), min=1e-3, max=50.0)
    """With pelco_d and onvif: pan and tilt speed at full command, rad/s; measure it."""

    full_range: tuple[float, float] = _setting((3.1416, 1.5708), min=1e-3, max=12.6)
    """With onvif: pan and tilt at position 1 of the camera's own scale, radians."""

    user: str = ''
    """With onvif: name of a user of the camera; the password comes from the environment variable
    GAZE_ROBOT_PASSWORD."""

    controller: str = 'joint_trajectory_controller'
    """With trajectory: name of the controller, which listens to CONTROLLER/joint_trajectory."""

    torque_off_on_shutdown: bool = False
    """Whether the motors go limp when the node ends; otherwise they hold still."""

    direction: tuple[int, int] = _setting((1, 1), choices=(1, -1))
    """Per joint, -1 where the motor turns against REP 103 (pan left, tilt down positive)."""

    offset: tuple[float, float] = _setting((0.0, 0.0), min=-6.3, max=6.3)
    """Per joint, what the motor reads when the head looks straight ahead, radians."""

    command_timeout: float = _setting(0.3, min=0.02, max=60.0)
    """Without a command for this long the head stops, seconds."""

    rate: float = _setting(100.0, min=1.0, max=1000.0)
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


@dataclass(frozen=True)
class CameraConfig:
    """Settings of camera_node: a USB camera, video, picture or folder as a standard camera."""

    source: str = '0'
    """USB camera number, device (/dev/video0), video file, picture, or folder of pictures."""

    width: int = _setting(0, min=0, max=7680)
    """Picture width asked of a USB camera, pixels; 0: what it gives."""

    height: int = _setting(0, min=0, max=4320)
    """Picture height asked of a USB camera, pixels; 0: what it gives."""

    rate: float = _setting(0.0, min=0.0, max=240.0)
    """Pictures per second, Hz; 0: the source's own (30 for a picture, 1 for a folder)."""

    loop: bool = True
    """Whether a video or folder starts again at its end."""

    hfov_deg: float = _setting(90.0, min=5.0, max=170.0)
    """Horizontal field of view published in camera_info when `camera_info` is empty, degrees."""

    camera_info: str = ''
    """Calibration file as ROS's camera_calibration writes it; empty: an ideal pinhole."""

    reliability: str = _setting('best_effort', choices=('best_effort', 'reliable'))
    """Quality of service of the pictures."""

    frame_prefix: str = ''
    """Put before every frame name."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if (self.width == 0) != (self.height == 0):
            raise ConfigError('give both width and height, or neither, got '
                              f'{self.width}x{self.height}')


@dataclass(frozen=True)
class WorldConfig(HeadConfig):
    """Settings of world_node: the simulator as a camera."""

    world: str = 'procedural'
    """'procedural', or a panorama picture, a folder of them, or a 360-degree video."""

    width: int = _setting(640, min=16, max=7680)
    """Picture width, pixels."""

    height: int = _setting(480, min=16, max=4320)
    """Picture height, pixels."""

    hfov_deg: float = _setting(90.0, min=5.0, max=170.0)
    """Horizontal field of view, degrees."""

    rate: float = _setting(30.0, min=0.1, max=240.0)
    """Pictures per second, Hz."""

    seed: int = _setting(0, min=0)
    """Seed of rooms, targets, starts and noise."""

    dynamics: str = _setting('head', choices=('off', 'head', 'typical', 'random'))
    """What the camera does to its pictures; 'off' and 'head': nothing; 'typical': motion blur,
    changing light, noise and lost pictures of a webcam; 'random': drawn from the seed. Motion is
    the driver's."""

    movers: int = _setting(0, min=0, max=64)
    """People and things that move in front of every scene of the world."""

    reliability: str = _setting('best_effort', choices=('best_effort', 'reliable'))
    """Quality of service of the pictures."""

    hold_s: float = _setting(1.0, min=0.0, max=60.0)
    """How long the target must be held before the next one is shown, seconds."""

    search_timeout_s: float = _setting(10.0, min=0.1, max=3600.0)
    """After this long a search counts as failed and the next target is shown, seconds."""

    max_start_deg: float = _setting(90.0, min=1.0, max=180.0)
    """Targets lie at most this far from where the head looks, degrees."""

    frame_prefix: str = ''
    """Put before every frame name."""
