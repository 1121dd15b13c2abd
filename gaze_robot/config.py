"""Every setting of every node: what YAML files, the command line and ROS parameters agree on.

To add a setting, add a field here, or of the head in config_head, then write
config/gaze_robot.yaml anew with test/tools/write_parameter_file.py. Radians and metres, except in
names that end in `_deg`.
"""

from dataclasses import dataclass

from gaze_robot.config_head import HeadConfig as HeadConfig
from gaze_robot.config_head import PanTiltConfig as PanTiltConfig
from gaze_robot.config_head import setting
from gaze_robot.config_viewer import ViewerConfig as ViewerConfig
from gaze_robot.errors import ConfigError
from gaze_robot.schema import check_ranges as check_ranges
from gaze_robot.schema import from_mapping as from_mapping
from gaze_robot.schema import load_yaml as load_yaml
from gaze_robot.schema import Parameter as Parameter
from gaze_robot.schema import parameter_names as parameter_names
from gaze_robot.schema import parameters as parameters
from gaze_robot.schema import to_mapping as to_mapping


@dataclass(frozen=True)
class GazeConfig(HeadConfig):
    """Settings of gaze_node: camera in, fixation and head commands out."""

    image_transport: str = setting('raw', choices=('raw', 'compressed'))
    """Which image topic to read: 'raw' (image_raw) or 'compressed' (image_raw/compressed)."""

    hfov_deg: float = setting(90.0, min=5.0, max=170.0)
    """Horizontal field of view assumed when the camera_info is absent or uncalibrated, degrees."""

    model_path: str = setting('', name='model.path')
    """Folder of a checkpoint; empty: the search shipped with the package; 'bcrl': its hand and
    eye; 'workspace:press', 'workspace:bucket' or 'workspace:read': its hand and eye for that."""

    model_device: str = setting('auto', name='model.device', choices=('auto', 'cpu', 'cuda'))
    """Where the network runs; 'auto': cuda where there is one, else cpu."""

    model_runtime: str = setting('auto', name='model.runtime',
                                  choices=('auto', 'torch', 'onnxruntime', 'openvino'))
    """What computes it; 'auto': on a CPU the fastest that is installed, on a GPU torch."""

    model_keep: float = setting(1.0, name='model.keep', min=0.1, max=1.0)
    """Share of the tokens that go through all of the encoder; the others are fused early. Those of
    the sharpest level always do."""

    processing_rate: float = setting(30.0, min=0.1, max=240.0)
    """Pictures processed per second at most, Hz; the newest waiting one is taken."""

    control_rate: float = setting(30.0, min=1.0, max=500.0)
    """Head commands per second at most, Hz."""

    max_image_age: float = setting(0.25, min=0.01, max=10.0)
    """A picture older than this when its turn comes is dropped, seconds."""

    target_timeout: float = setting(2.0, min=0.0, max=3600.0)
    """How long an explicit target (look_at), or one gone from view, is still gazed at, seconds."""

    on_target_lost: str = setting('search', choices=('hold', 'home', 'search'))
    """What to do when the target stays lost: hold still, look straight ahead, or search."""

    sources_search: float = setting(1.0, name='sources.search', min=0.0, max=100.0)
    """Whether to search for a target shown as a picture: 0 is off, anything above it on."""

    sources_people: float = setting(0.0, name='sources.people', min=0.0, max=100.0)
    """Weight of people in where to look: of what they look at with `people.model`, else of their
    heads, which needs weights with a head for them (`gaze-robot train heads`)."""

    sources_salience: float = setting(0.0, name='sources.salience', min=0.0, max=100.0)
    """Weight of what stands out in where to look."""

    people_model: str = setting('', name='people.model')
    """How to judge where people look: 'coarse' (geometry), 'figures' (the simulator's),
    'attention' (the package's own network), a gaze model of `gaze-robot weights list`, or a path
    (.pt, .onnx, a run of `train people`); empty: only heads are marked."""

    people_heads: str = setting('cascade', name='people.heads')
    """How heads are found for that: 'cascade' (OpenCV's own), 'figures' (the simulator's), the
    path of a YuNet file, or 'topic': ~/heads, a vision_msgs/Detection2DArray."""

    confidence_threshold: float = setting(0.5, min=0.0, max=1.0)
    """Least probability at which a candidate counts as the target."""

    dead_time: float = setting(0.0, min=0.0, max=0.5)
    """From sending a command until the head begins to follow, seconds; moving targets are led by
    this and by the age of their picture."""

    deadband: float = setting(0.003, min=0.0, max=0.5)
    """Errors smaller than this are not corrected, radians."""

    debug_rate: float = setting(5.0, min=0.1, max=60.0)
    """Debug pictures per second at most, Hz; none are drawn while nobody subscribes."""

    debug_explain: str = setting('off', choices=('off', 'relevance', 'rollout'))
    """What debug pictures show beside the camera's: the tokens that the search goes by, judged by
    gradients or by attention alone. One more pass through the network for each of them."""

    fixed_frame: str = 'base_link'
    """Frame of published targets; `frame_prefix` is put before it."""

    frame_prefix: str = ''
    """Put before every frame name."""

    exemplar: str = ''
    """Picture of what to look for; 'auto': a distinctive patch of the first frame; empty: wait for
    the ~/exemplar topic."""

    exemplar_width_deg: float = setting(0.0, min=0.0, max=89.0)
    """Horizontal angle the exemplar covers, degrees; 0: it has the camera's own scale."""

    task: str = ''
    """What to do, for checkpoints that have a hand: one of the tasks they know; empty: wait for
    the ~/prompt topic."""

    action_ensemble: bool = False
    """Whether ~/action averages what the last glances said of each moment (temporal ensembling):
    smoother, and slower to change its mind."""

    eye: str = setting('head', choices=('head', 'picture'))
    """'head': the head turns; 'picture': nothing turns, the fixation moves inside the picture."""


LIVE_GAZE = (
    'processing_rate', 'control_rate', 'debug_rate', 'max_image_age', 'target_timeout',
    'on_target_lost', 'confidence_threshold', 'dead_time', 'sources_search', 'sources_people',
    'sources_salience')
"""Fields of GazeConfig that take effect while the node runs."""


@dataclass(frozen=True)
class CameraConfig:
    """Settings of camera_node: a USB camera, video, picture or folder as a standard camera."""

    source: str = '0'
    """USB camera number, device (/dev/video0), video file, picture, or folder of pictures."""

    width: int = setting(0, min=0, max=7680)
    """Picture width asked of a USB camera, pixels; 0: what it gives."""

    height: int = setting(0, min=0, max=4320)
    """Picture height asked of a USB camera, pixels; 0: what it gives."""

    rate: float = setting(0.0, min=0.0, max=240.0)
    """Pictures per second, Hz; 0: the source's own (30 for a picture, 1 for a folder)."""

    loop: bool = True
    """Whether a video or folder starts again at its end."""

    hfov_deg: float = setting(90.0, min=5.0, max=170.0)
    """Horizontal field of view published in camera_info when `camera_info` is empty, degrees."""

    camera_info: str = ''
    """Calibration file as ROS's camera_calibration writes it; empty: an ideal pinhole."""

    reliability: str = setting('best_effort', choices=('best_effort', 'reliable'))
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
    """'procedural', or a panorama picture, a folder of them, or a 360-degree video; with an arm:
    workspace:press, workspace:bucket, workspace:wipe, workspace:shelf or workspace:read."""

    width: int = setting(640, min=16, max=7680)
    """Picture width, pixels."""

    height: int = setting(480, min=16, max=4320)
    """Picture height, pixels."""

    hfov_deg: float = setting(90.0, min=5.0, max=170.0)
    """Horizontal field of view, degrees."""

    rate: float = setting(30.0, min=0.1, max=240.0)
    """Pictures per second, Hz."""

    seed: int = setting(0, min=0)
    """Seed of rooms, targets, starts and noise."""

    dynamics: str = setting('head', choices=('off', 'head', 'typical', 'random'))
    """What the camera does to its pictures; 'off' and 'head': nothing; 'typical': motion blur,
    changing light, noise and lost pictures of a webcam; 'random': drawn from the seed. Motion is
    the driver's."""

    camera_info: str = ''
    """Calibration file of the lens that the camera has; empty: an ideal pinhole of hfov_deg."""

    board: str = ''
    """A calibration board near the camera, such as charuco:9x6:30 (squares, millimetres); empty:
    none."""

    board_xyz: tuple[float, float, float] = setting((1.0, 0.0, 0.0), min=-20.0, max=20.0)
    """Its centre in base_link, metres; it faces the base."""

    board_rpy: tuple[float, float, float] = setting((0.0, 0.0, 0.0), min=-1.5, max=1.5)
    """How it is turned from facing the base, radians."""

    board_waved: bool = False
    """Whether somebody waves it about, as to calibrate a camera."""

    true_zero: tuple[float, float] = setting((0.0, 0.0), min=-6.3, max=6.3)
    """What joint_states say while pan and tilt are truly 0, radians: a head not yet calibrated."""

    true_direction: tuple[int, int] = setting((1, 1), choices=(1, -1))
    """-1 for a joint that truly turns against what joint_states say."""

    movers: int = setting(0, min=0, max=64)
    """People and things that move in front of every scene of the world."""

    reliability: str = setting('best_effort', choices=('best_effort', 'reliable'))
    """Quality of service of the pictures."""

    game: str = setting('search', choices=('search', 'follow'))
    """What there is to do: find what a picture shows, or look where a figure looks."""

    hold_s: float = setting(1.0, min=0.0, max=60.0)
    """How long the target must be held before the next one is shown, seconds."""

    search_timeout_s: float = setting(10.0, min=0.1, max=3600.0)
    """After this long a search counts as failed and the next target is shown, seconds."""

    max_start_deg: float = setting(90.0, min=1.0, max=180.0)
    """Targets lie at most this far from where the head looks, degrees."""

    frame_prefix: str = ''
    """Put before every frame name."""


NODES: dict[str, type] = {'gaze': GazeConfig, 'pan_tilt': PanTiltConfig, 'world': WorldConfig,
                          'camera': CameraConfig, 'viewer': ViewerConfig}
"""Every node by its name, and its parameters."""
