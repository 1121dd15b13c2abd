"""EyeRobot's demonstrations: joints in HDF5 beside a 360-degree video.

    demos/<task>/<day>/processed/<sequence>/downsampled_<time>_joint_data.h5
                                            downsampled.mp4, trimmed.mp4

An h5 file holds joint_data (T, J), timestamps (T,) and gripper_data or interpolated_gripper_data
(T,), 0 to 255. A hand there is taught to go where the joints went, so these are its actions too.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gaze_robot.errors import DemoError
from gaze_robot.optional import require
from gaze_robot_sim.demos.recording import Recording

VIDEOS = ('downsampled.mp4', 'trimmed.mp4')
"""Of the 360-degree camera, in low and in full resolution; the first that is there is taken."""

UR5 = ('shoulder_pan', 'shoulder_lift', 'elbow', 'wrist_1', 'wrist_2', 'wrist_3')
_GRIPPERS = ('interpolated_gripper_data', 'gripper_data')


def find_sequences(root: Path) -> list[Path]:
    """Folders at or under a folder that hold an h5 file and a 360-degree video, or one of a pair
    whose other is missing, in order.
    """
    folders = {path.parent for pattern in ('downsampled_*.h5', *VIDEOS)
               for path in root.rglob(pattern)}
    return sorted(folders)


def read_eyerobot(root: Path, instruction: str = '') -> Iterator[Recording | DemoError]:
    """The demonstrations under a folder, one by one; an error in place of an unreadable one.

    Args:
        instruction: what to do, in words; '': the name of the task's folder.

    Raises:
        DemoError: there are none.
        MissingDependencyError: h5py is not installed.
    """
    h5py = require('h5py')
    folders = find_sequences(root)
    if not folders:
        raise DemoError(f'{root} has no folder with downsampled_*.h5 and {VIDEOS[0]}')
    for folder in folders:
        try:
            yield _recording(folder, root, instruction, h5py)
        except DemoError as error:
            yield error


def _recording(folder: Path, root: Path, instruction: str, h5py: Any) -> Recording:
    name = '/'.join(folder.relative_to(root).parts) or root.name
    files = sorted(folder.glob('*.h5'))
    videos = [folder / video for video in VIDEOS if (folder / video).is_file()]
    if len(files) != 1 or not videos:
        raise DemoError(f'{name}: a demonstration is one h5 file and {" or ".join(VIDEOS)}, found '
                        f'{len(files)} and {len(videos)} in {folder}')
    data = _read(files[0], name, h5py)
    joints = data['joint_data']
    names = UR5 if joints.shape[1] == len(UR5) else tuple(
        f'joint_{number}' for number in range(joints.shape[1]))
    gripper = next((data[key] for key in _GRIPPERS if key in data), None)
    if gripper is not None:
        joints = np.column_stack([joints, gripper / 255.0])
        names = (*names, 'gripper')
    words = instruction or _task(folder, root)
    return Recording(name, words, names, joints, names, joints, np.arange(len(joints)),
                     data['timestamps'], 0.0, videos[0],
                     notes=(f'from EyeRobot, {files[0].name} and {videos[0].name}',))


def _read(path: Path, name: str, h5py: Any) -> dict[str, np.ndarray]:
    """The data sets that are used, as float64 of the shapes they should have.

    Raises:
        DemoError: one of them is missing, of another shape, or the file is damaged.
    """
    shapes = {'joint_data': 2, 'timestamps': 1, **dict.fromkeys(_GRIPPERS, 1)}
    try:
        with h5py.File(path, 'r') as file:
            found = {key: np.asarray(file[key], float).squeeze() if dims == 1 else
                     np.asarray(file[key], float) for key, dims in shapes.items() if key in file}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DemoError(f'{name}: {path} cannot be read as HDF5 ({error}); copy it again'
                        ) from error
    for key in ('joint_data', 'timestamps'):
        if key not in found:
            raise DemoError(f'{name}: {path} has no {key!r}; it has {", ".join(found) or "none"}')
    for key, values in found.items():
        if values.ndim != shapes[key] or len(values) != len(found['joint_data']):
            raise DemoError(f'{name}: {key!r} of {path} has shape {values.shape}, the joints '
                            f'{found["joint_data"].shape}; each has a row for each moment')
    return found


def _task(folder: Path, root: Path) -> str:
    """The folder under demos/, else the one that was named, as words."""
    parts = folder.resolve().parts
    if 'demos' in parts[:-1]:
        name = parts[len(parts) - parts[::-1].index('demos')]
    else:
        name = root.resolve().name
    return name.replace('_', ' ').strip() or 'task'
