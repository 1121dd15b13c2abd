"""Libraries that not everybody needs: imported where they are used, and missed with advice."""

import importlib
import importlib.util
from types import ModuleType

from gaze_robot.errors import MissingDependencyError

_ROS = ('source /opt/ros/<distro>/setup.bash, or without a ROS installation: '
        "pip install -e '.[ros]'")
_SIM = "pip install -e '.[sim]'"
_HARDWARE = "pip install -e '.[hardware]'"
_BACKBONES = "pip install -e '.[backbones]'"
_DEMOS = "pip install -e '.[demos]'"
_RUNTIMES = "pip install -e '.[runtimes]'"
_BAGS = "pip install -e '.[bags]'"
_VIEWER = "pip install -e '.[viewer]'"
_PHYSICS = "pip install -e '.[physics]'"
_PEOPLE = "pip install -e '.[people]'"

INSTALL = {
    'serial': f'{_HARDWARE}, or with apt: python3-serial',
    'cv2': "pip install 'opencv-python-headless<5', or with apt: python3-opencv",
    'dynamixel_sdk': f'{_HARDWARE}, or with apt: ros-$ROS_DISTRO-dynamixel-sdk',
    'gaze_robot_sim': 'pip install -e . in a checkout, or colcon build',
    'gymnasium': _SIM,
    'h5py': _DEMOS,
    'huggingface_hub': _BACKBONES,
    'matplotlib': _SIM,
    'nicegui': _VIEWER,
    'norfair': _PEOPLE,
    'mink': _PHYSICS,
    'mujoco': _PHYSICS,
    'numpy': 'pip install numpy, or with apt: python3-numpy',
    'onnx': _RUNTIMES,
    'onnxruntime': _RUNTIMES,
    'openvino': _RUNTIMES,
    'PIL': _SIM,
    'pyarrow': _DEMOS,
    'pygame': _SIM,
    'rclpy': _ROS,
    'rosbags': _BAGS,
    'rich': 'pip install rich',
    'safetensors': 'pip install safetensors',
    'scipy': _PEOPLE,
    'stable_baselines3': _SIM,
    'tensorboard': _SIM,
    'torch': 'pip install torch',
    'tqdm': _SIM,
    'transformers': _BACKBONES,
    'tyro': 'pip install tyro',
    'yaml': 'pip install PyYAML, or with apt: python3-yaml',
    **dict.fromkeys((
        'builtin_interfaces', 'diagnostic_msgs', 'geometry_msgs', 'lifecycle_msgs',
        'rcl_interfaces', 'sensor_msgs', 'std_msgs', 'std_srvs', 'trajectory_msgs',
        'visualization_msgs'), _ROS),
}
"""Top-level module name -> how to get it."""


def require(module: str) -> ModuleType:
    """Import `module`, or explain how to get what it is missing.

    Args:
        module: dotted name, also of a module of this package that imports optional libraries.

    Raises:
        MissingDependencyError: a library in `INSTALL` is absent.
        ModuleNotFoundError: any other module is absent, which is a bug and not a choice.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        if missing not in INSTALL:
            raise
        raise MissingDependencyError(
            f'{missing} is needed here and not installed. Get it with: {INSTALL[missing]}',
            name=missing) from error


def available(module: str) -> bool:
    """Whether the top-level `module` can be found, without importing it."""
    return importlib.util.find_spec(module) is not None
