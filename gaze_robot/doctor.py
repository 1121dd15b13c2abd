"""What this machine has, what it lacks, and the fix for each: one row per subject.

Works with nothing installed but Python. Libraries are looked up by name, never imported at the
top, and a broken one is a row, not a crash.
"""

from collections.abc import Callable
from dataclasses import dataclass
import fcntl
import functools
import hashlib
import importlib.metadata
import json
import os
from pathlib import Path
import shutil
import sys
import time

from gaze_robot.errors import CheckpointError, MissingDependencyError
from gaze_robot.optional import available, INSTALL, require

OK, LESS, BAD = 'ok', 'less', 'bad'
SHM_MIB_PER_NODE = 64
"""Shared memory that one process takes with the Fast DDS profile in config/, MiB."""

NODES_AT_ONCE = 4
"""Processes of ours in a full bringup: world or camera, gaze, pan_tilt, and one that listens."""

OPTIONAL_MESSAGES = ('vision_msgs', 'control_msgs', 'tf2_msgs')
PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')

_REFETCH = 'git checkout gaze_robot/weights in a checkout, or reinstall the package'


@dataclass(frozen=True)
class Row:
    """One subject."""

    name: str
    state: str
    """'ok'; 'less': works without, with something missing; 'bad': the loop cannot run."""

    found: str
    fix: str = ''
    """A command or an action; empty when there is nothing to fix."""


def check(seed: int = 0) -> list[Row]:
    """Examine everything; never raises for something that is missing or broken.

    Args:
        seed: of the random picture that the self-test looks at.
    """
    rows = [one() for one in CHECKS]
    rows.append(self_test(seed))
    return rows


def fit(rows: list[Row]) -> bool:
    """Whether the closed loop can run here."""
    return all(row.state != BAD for row in rows)


def line(row: Row) -> str:
    """One line of text, with the fix at the end."""
    mark = {OK: 'ok', LESS: '--', BAD: '!!'}[row.state]
    return f'{mark}  {row.name:<19}{row.found}' + (f'   fix: {row.fix}' if row.fix else '')


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ''


def _broken(name: str, error: Exception) -> Row:
    """A library that is there and cannot be imported."""
    reason = ' '.join(str(error).split())[:160]
    return Row(name, BAD, f'installed, but importing it fails: {reason}',
               'reinstall it for this Python, in a virtual environment of its own')


def check_python() -> Row:
    """Python 3.10 to 3.12 are what ROS 2 Humble to Jazzy and our dependencies have in common."""
    found = f'{sys.version.split()[0]} at {sys.executable}'
    if (3, 10) <= sys.version_info[:2] <= (3, 12):
        return Row('Python', OK, found)
    return Row('Python', BAD, found, 'use 3.10, 3.11 or 3.12: make install PYTHON=python3.12')


def _library(name: str, module: str, needed: bool, extra: str = '') -> Row:
    """A library that only has to be importable."""
    try:
        found = str(getattr(require(module), '__version__', 'found'))
    except MissingDependencyError:
        return Row(name, BAD if needed else LESS, f'missing{extra}', INSTALL[module])
    except (ImportError, OSError, AttributeError, RuntimeError) as error:
        return _broken(name, error)
    return Row(name, OK, found)


def check_numpy() -> Row:
    """numpy, the one library that everything here needs."""
    return _library('numpy', 'numpy', needed=True)


def check_opencv() -> Row:
    """OpenCV 4: version 5 changed functions this package calls."""
    row = _library('OpenCV', 'cv2', needed=True)
    if row.state == OK and int(row.found.split('.')[0]) >= 5:
        return Row('OpenCV', BAD, row.found, INSTALL['cv2'])
    return row


def check_tyro() -> Row:
    """The command line's own options."""
    return _library('tyro', 'tyro', needed=False,
                    extra=': of gaze-robot only doctor works, the ROS nodes all do')


def check_torch() -> Row:
    """torch and where the network will run."""
    row = _library('torch', 'torch', needed=True)
    if row.state != OK:
        return row
    torch = require('torch')
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu'
    return Row('torch', OK, f'{row.found}, runs on {device}, {torch.get_num_threads()} threads')


def check_runtimes() -> Row:
    """What computes the network faster than torch does on a CPU."""
    found = [f'{name} {_version(name)}' for name in ('onnxruntime', 'openvino') if available(name)]
    if found and available('onnx'):
        return Row('runtimes', OK, ', '.join(['torch', *found]))
    missing = 'onnx' if found else 'onnxruntime or openvino, faster on a CPU'
    return Row('runtimes', LESS, f'{", ".join(["torch", *found])}; missing: {missing}',
               INSTALL['onnx'])


def check_training() -> Row:
    """gymnasium and stable-baselines3."""
    missing = [name for name in ('gymnasium', 'stable_baselines3', 'tensorboard', 'matplotlib')
               if not available(name)]
    if missing:
        return Row('training', LESS, f'cannot train here: no {", ".join(missing)}',
                   INSTALL['gymnasium'])
    return Row('training', OK, f'gymnasium {_version("gymnasium")}, '
                               f'stable-baselines3 {_version("stable-baselines3")}')


def check_rclpy() -> Row:
    """ROS: from wheels or from an installation, not both."""
    distro = os.environ.get('ROS_DISTRO', '')
    wheel = _version('ros-rclpy')
    if distro and wheel:
        return Row('rclpy', LESS, f'twice: wheel {wheel} and ROS {distro}; which one loads is '
                   'up to PYTHONPATH',
                   'pip uninstall ros-rclpy, or a shell without the ROS setup file')
    row = _library('rclpy', 'rclpy', needed=True)
    if row.state != OK:
        return row
    origin = f'wheel {wheel}' if wheel else f'ROS {distro or "installation, ROS_DISTRO unset"}'
    return Row('rclpy', OK, f'{_version("rclpy") or "found"} ({origin})')


def _rmw() -> str:
    """Name of the middleware that rclpy would load; empty where there is no rclpy."""
    try:
        return str(require('rclpy.utilities').get_rmw_implementation_identifier())
    except (ImportError, OSError, AttributeError, RuntimeError):
        return ''


def check_rmw() -> Row:
    """The middleware."""
    name = _rmw()
    if name:
        return Row('middleware', OK, name)
    wanted = os.environ.get('RMW_IMPLEMENTATION', '')
    return Row('middleware', LESS, f'{wanted or "none"} cannot be loaded',
               'unset RMW_IMPLEMENTATION, or install what it names')


def check_messages() -> Row:
    """Message packages that outputs depend on where they exist."""
    missing = [name for name in OPTIONAL_MESSAGES if not available(name)]
    found = ', '.join(name for name in OPTIONAL_MESSAGES if name not in missing) or 'none'
    if not missing:
        return Row('optional messages', OK, found)
    distro = os.environ.get('ROS_DISTRO') or '<distro>'
    packages = ' '.join(f'ros-{distro}-{name.replace("_", "-")}' for name in missing)
    return Row('optional messages', LESS, f'{found}; missing: {", ".join(missing)}',
               f'with a ROS installation: apt install {packages}')


def check_cv_bridge() -> Row:
    """cv_bridge decodes rare encodings; the package of that name on PyPI is not it."""
    if _version('cv-bridge').startswith('1.13'):
        return Row('cv_bridge', BAD, f'the wrong one, {_version("cv-bridge")} from PyPI: it '
                   'misreads pictures', 'pip uninstall cv-bridge')
    if not available('cv_bridge'):
        return Row('cv_bridge', LESS, 'missing: only the common encodings are decoded',
                   'with a ROS installation: apt install ros-<distro>-cv-bridge')
    return Row('cv_bridge', OK, 'found')


def profile_path() -> Path | None:
    """Our Fast DDS profile, in a checkout or in an installed share folder; None if neither."""
    package = Path(__file__).resolve().parent
    folders = [package.parent / 'config', Path(sys.prefix) / 'share' / 'gaze_robot' / 'config']
    folders += [Path(prefix) / 'share' / 'gaze_robot' / 'config'
                for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if prefix]
    found = [path for folder in folders for path in sorted(folder.glob('*fastdds*.xml'))]
    return found[0] if found else None


def check_profile() -> Row:
    """With Fast DDS's defaults most camera frames between processes are lost."""
    rmw = _rmw()
    if rmw and 'fastrtps' not in rmw:
        return Row('Fast DDS profile', OK, f'not needed with {rmw}')
    named = next((os.environ[name] for name in PROFILE_VARIABLES if os.environ.get(name)), '')
    if named and Path(named).is_file():
        return Row('Fast DDS profile', OK, named)
    found = f'{named} is not a file' if named else (
        'not set in this shell: pictures from other processes get lost (our launch files set it)')
    path = profile_path() or 'config/<profile>.xml of this package'
    return Row('Fast DDS profile', LESS, found, f'export {PROFILE_VARIABLES[0]}={path}')


def check_shared_memory(folder: Path = Path('/dev/shm')) -> Row:
    """Room for the segments of the profile, and what killed processes left of theirs."""
    if not folder.is_dir():
        return Row('shared memory', LESS, f'no {folder}', 'use a Linux with a mounted /dev/shm')
    room_mib = shutil.disk_usage(folder).free // 2 ** 20
    needed_mib = SHM_MIB_PER_NODE * NODES_AT_ONCE
    left_mib = sum(map(_orphaned_bytes, folder.glob('fastrtps_*_el'))) // 2 ** 20
    if left_mib >= needed_mib:
        return Row('shared memory', LESS, f'{left_mib} MiB in {folder} are of processes that were '
                   f'killed; {room_mib} free', 'fastdds shm clean, while no node runs')
    if room_mib >= needed_mib:
        return Row('shared memory', OK, f'{room_mib} MiB free in {folder}')
    return Row('shared memory', LESS, f'{room_mib} MiB free in {folder}; {NODES_AT_ONCE} nodes '
               f'with the Fast DDS profile take {needed_mib}',
               'docker run --shm-size=1g, or mount -o remount,size=1g /dev/shm')


def _orphaned_bytes(lock: Path) -> int:
    """Size of a segment of Fast DDS if no process holds its lock, NAME_el beside NAME; else 0."""
    try:
        with lock.open('rb') as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return lock.with_name(lock.name.removesuffix('_el')).stat().st_size
    except OSError:                                         # locked, another user's, or gone
        return 0


def check_launch() -> Row:
    """ros2 launch; the composed run of gaze-robot bringup does without."""
    if shutil.which('ros2') and available('launch_ros'):
        return Row('ros2 launch', OK, str(shutil.which('ros2')))
    return Row('ros2 launch', LESS, 'missing', 'gaze-robot bringup runs the same nodes in one '
               'process; or source a ROS installation')


def check_weights(folder: Path = Path(__file__).parent / 'weights' / 'search') -> Row:
    """The shipped weights are there and are the ones that were measured."""
    try:
        meta = json.loads((folder / 'meta.json').read_text(encoding='utf-8'))
        digest = hashlib.sha256((folder / 'weights.safetensors').read_bytes()).hexdigest()
        good, seed = digest == meta['weights_sha256'], meta.get('seed', 'unknown')
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Row('weights', BAD, f'cannot be read: {" ".join(str(error).split())}', _REFETCH)
    if not good:
        return Row('weights', BAD, f'{folder}: altered or half copied', _REFETCH)
    return Row('weights', OK, f'shipped, hash good, seed {seed}')


CHECKS: tuple[Callable[[], Row], ...] = (
    check_python, check_numpy, check_opencv,
    functools.partial(_library, 'PyYAML', 'yaml', needed=True), check_tyro, check_torch,
    functools.partial(_library, 'safetensors', 'safetensors', needed=True), check_runtimes,
    check_training, check_rclpy, check_rmw, check_messages, check_cv_bridge, check_profile,
    check_shared_memory, check_launch, check_weights)


def self_test(seed: int) -> Row:
    """Load the shipped weights, which checks their hash, and look at one random picture."""
    name = 'self-test'
    try:
        numpy = require('numpy')
        types = require('gaze_robot.types')
        pipeline = require('gaze_robot.pipeline').GazePipeline.from_checkpoint()
        pipeline.warm_up()
        camera = require('gaze_robot.camera').CameraModel.from_hfov(640, 480, 1.57)
        noise = numpy.random.default_rng(seed)
        picture = noise.integers(0, 256, (480, 640, 3), dtype=numpy.uint8)
        patch = types.Exemplar(picture[200:280, 280:360].copy(), 0.2)
        pipeline.look_for(patch)
        start_s = time.perf_counter()
        pipeline.step(types.Frame(picture, 0.0, camera), types.PanTiltState(0.0, 0.0))
        spent_ms = 1000 * (time.perf_counter() - start_s)
    except CheckpointError as error:
        return Row(name, BAD, ' '.join(str(error).split()), _REFETCH)
    except MissingDependencyError as error:
        return Row(name, BAD, f'not run: {error.name} is missing', 'see that line above')
    except (ImportError, OSError, RuntimeError) as error:
        return _broken(name, error)
    return Row(name, OK, f'the shipped weights look at one picture in {spent_ms:.1f} ms')
