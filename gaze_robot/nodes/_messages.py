"""Messages to this package's types and back. No node, no graph: plain functions.

Image data goes out through the message's own array.array, kept and overwritten (0.01 ms for VGA);
an ndarray handed to the setter is checked number by number (40 ms).
"""

import array
from collections.abc import Sequence
import importlib
import math

from builtin_interfaces.msg import Duration, Time
import cv2
from geometry_msgs.msg import PointStamped
import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from gaze_robot.camera import CameraModel, COEFFICIENTS
from gaze_robot.camera_file import at_size
from gaze_robot.errors import CameraModelError, CommandError, ImageError
from gaze_robot.nodes._encodings import (
    claimed_size,
    ENCODINGS,
    LARGEST_BYTES,
    LARGEST_COMPRESSED_BYTES,
    LARGEST_PIXELS,
    rgb_from_bytes,
    rgb_from_compressed,
)
from gaze_robot.types import ActionChunk, PanTiltCommand, PanTiltState

JOINTS = ('pan', 'tilt')
MOST_JOINTS, MOST_POINTS = 1000, 10_000
"""Messages about more than this are not looked at."""

_LENS_ALIASES = {'fisheye': 'equidistant', 'rational': 'rational_polynomial',
                 'radtan': 'plumb_bob'}


# --- time ----------------------------------------------------------------------------------------

def seconds(stamp: Time) -> float:
    """Seconds of a builtin_interfaces/Time or Duration."""
    return stamp.sec + stamp.nanosec * 1e-9


def stamp(seconds_: float) -> Time:
    """A builtin_interfaces/Time; exact to about 0.2 microseconds at today's dates."""
    whole = math.floor(seconds_)
    nanosec = round((seconds_ - whole) * 1e9)
    return Time(sec=whole + nanosec // 1_000_000_000, nanosec=nanosec % 1_000_000_000)


def header(stamp_: Time, frame_id: str) -> Header:
    """A header with this stamp and frame."""
    return Header(stamp=stamp_, frame_id=frame_id)


# --- pictures ------------------------------------------------------------------------------------

def rgb_from_image(message: Image) -> np.ndarray:
    """(height, width, 3) uint8 RGB; for plain rgb8 a view of the message's own data.

    Raises:
        ImageError: nobody here can decode it, or its sizes contradict each other.
    """
    if message.encoding not in ENCODINGS:
        return _rgb_by_cv_bridge(message)
    return rgb_from_bytes(message.data, message.width, message.height, message.encoding,
                          message.step, bool(message.is_bigendian))


def _rgb_by_cv_bridge(message: Image) -> np.ndarray:
    known = ', '.join(sorted(ENCODINGS))
    try:
        bridge = importlib.import_module('cv_bridge').CvBridge()
    except Exception as error:
        raise ImageError(f'encoding {message.encoding!r} cannot be decoded (cv_bridge: {error}); '
                         f'set the camera to one of {known}') from error
    try:
        return np.asarray(bridge.imgmsg_to_cv2(message, 'rgb8'))
    except Exception as error:
        raise ImageError(f'cv_bridge cannot decode encoding {message.encoding!r}: {error}; '
                         f'set the camera to one of {known}') from error


def rgb_from_compressed_image(message: CompressedImage) -> np.ndarray:
    """(height, width, 3) uint8 RGB of a JPEG or PNG message; ImageError says what is wrong."""
    return rgb_from_compressed(message.data, message.format)


def too_large(message: Image | CompressedImage) -> bool:
    """Whether a picture has, or claims to have, more than any camera gives: by its sizes alone."""
    if isinstance(message, Image):
        return (len(message.data) > LARGEST_BYTES
                or message.width * message.height > LARGEST_PIXELS)
    if len(message.data) > LARGEST_COMPRESSED_BYTES:
        return True
    width, height = claimed_size(np.frombuffer(message.data, np.uint8))
    return width * height > LARGEST_PIXELS


class ImageFiller:
    """Makes Image messages of pictures, reusing one message and its buffer.

    The message returned is overwritten by the next call: publish it before.
    """

    def __init__(self) -> None:
        self._message = Image()

    def __call__(self, picture: np.ndarray, header_: Header) -> Image:
        """Fill the message: (h, w, 3) uint8 -> rgb8, (h, w) uint8 -> mono8, float32 -> 32FC1."""
        message = self._message
        message.header = header_
        message.height, message.width = int(picture.shape[0]), int(picture.shape[1])
        message.encoding = _encoding_of(picture)
        message.is_bigendian = 0
        message.step = picture.nbytes // message.height
        if len(message.data) != picture.nbytes:
            message.data = array.array('B', bytes(picture.nbytes))
        # In place: depending on its field checks, the setter keeps what it is given or a copy.
        out = np.frombuffer(message.data, picture.dtype).reshape(picture.shape)
        np.copyto(out, picture)
        return message


def _encoding_of(picture: np.ndarray) -> str:
    kinds = {('uint8', 3, 3): 'rgb8', ('uint8', 2, 1): 'mono8', ('float32', 2, 1): '32FC1'}
    channels = picture.shape[2] if picture.ndim == 3 else 1
    try:
        return kinds[picture.dtype.name, picture.ndim, channels]
    except KeyError:
        raise ImageError(f'no encoding for a picture of shape {picture.shape} '
                         f'{picture.dtype}') from None


def jpeg_message(picture: np.ndarray, header_: Header, quality: int = 80) -> CompressedImage:
    """A JPEG CompressedImage of an (h, w, 3) uint8 RGB or (h, w) uint8 picture."""
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    good, encoded = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not good:
        raise ImageError(f'a picture of shape {picture.shape} cannot be written as JPEG')
    message = CompressedImage(header=header_, format='jpeg')
    message.data = array.array('B', encoded.tobytes())
    return message


# --- cameras -------------------------------------------------------------------------------------

def camera_from_info(info: CameraInfo, width: int, height: int) -> CameraModel:
    """The lens of a width x height picture that comes with this camera_info.

    A picture resized as a whole is matched by scaling; one of another shape is refused.

    Raises:
        CameraModelError: not calibrated, an unknown lens model, or made for another picture.
    """
    lens = _LENS_ALIASES.get(info.distortion_model, info.distortion_model)
    coefficients = tuple(info.d)
    if lens in COEFFICIENTS and not coefficients:
        coefficients = (0.0,) * COEFFICIENTS[lens][0]
    roi = info.roi
    camera = CameraModel.from_camera_info(
        info.width, info.height, tuple(info.k), lens, coefficients,
        (info.binning_x, info.binning_y), (roi.x_offset, roi.y_offset, roi.width, roi.height))
    try:
        return at_size(camera, width, height)
    except CameraModelError as error:
        raise CameraModelError(f'camera_info does not fit: {error}') from error


def info_from_camera(camera: CameraModel, header_: Header) -> CameraInfo:
    """The camera_info of a lens; ROS counts pixel centres from 0, hence the half pixel."""
    cx, cy = camera.cx - 0.5, camera.cy - 0.5
    return CameraInfo(
        header=header_, width=camera.width, height=camera.height,
        distortion_model=camera.model, d=[float(value) for value in camera.distortion],
        k=[camera.fx, 0.0, cx, 0.0, camera.fy, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[camera.fx, 0.0, cx, 0.0, 0.0, camera.fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0])


# --- the head ------------------------------------------------------------------------------------

def pose_from_joint_state(message: JointState,
                          joints: Sequence[str] = JOINTS) -> PanTiltState | None:
    """The head's pose, found by joint NAME; None when the message does not hold both positions.

    Positions are passed on as they are, also NaN: who keeps poses drops and counts those.
    A missing or NaN velocity is 0.
    """
    if len(message.name) > MOST_JOINTS:
        return None
    order = {name: index for index, name in enumerate(message.name)}
    rows = [order.get(joint, -1) for joint in joints]
    if min(rows) < 0 or max(rows) >= len(message.position):
        return None
    pan, tilt = (float(message.position[row]) for row in rows)
    speed = [float(message.velocity[row]) if row < len(message.velocity) else 0.0 for row in rows]
    pan_speed, tilt_speed = (value if math.isfinite(value) else 0.0 for value in speed)
    return PanTiltState(pan, tilt, pan_speed, tilt_speed, seconds(message.header.stamp))


def joint_state_from_pose(pose: PanTiltState, joints: Sequence[str] = JOINTS) -> JointState:
    """A JointState stamped with the pose's own time."""
    return JointState(header=Header(stamp=stamp(pose.stamp_s)), name=list(joints),
                      position=[float(pose.pan_rad), float(pose.tilt_rad)],
                      velocity=[float(pose.pan_rad_s), float(pose.tilt_rad_s)])


def trajectory_from_command(command: PanTiltCommand, joints: Sequence[str] = JOINTS,
                            time_from_start_s: float = 0.0) -> JointTrajectory:
    """One point, velocities filled, header stamp 0: 'now', for ros2_controllers as for us."""
    point = JointTrajectoryPoint(
        positions=[float(command.pan_rad), float(command.tilt_rad)],
        velocities=[float(command.pan_rad_s), float(command.tilt_rad_s)])
    _fill_duration(point.time_from_start, time_from_start_s)
    return JointTrajectory(joint_names=list(joints), points=[point])


def trajectory_from_chunk(chunk: ActionChunk, age_s: float) -> JointTrajectory:
    """A hand's next actions, header stamp 0: times count from now.

    Args:
        chunk: what it is to do.
        age_s: of the picture it comes from; what was to be done by now is left out.
    """
    points = []
    for step, positions in enumerate(chunk.positions.tolist()):
        due_s = (step + 1) * chunk.period_s - age_s
        if due_s > 0:
            points.append(JointTrajectoryPoint(positions=positions))
            _fill_duration(points[-1].time_from_start, due_s)
    return JointTrajectory(joint_names=list(chunk.names), points=points)


def _fill_duration(out: Duration, seconds_: float) -> None:
    out.sec = int(seconds_)
    out.nanosec = int((seconds_ % 1.0) * 1e9)


def commands_from_trajectory(message: JointTrajectory, joints: Sequence[str] = JOINTS
                             ) -> list[tuple[float, PanTiltCommand]]:
    """(time from start in s, goal) of each point; joints are found by NAME, in any order.

    Returns:
        In order of time. Empty for a trajectory without points, which means: hold.

    Raises:
        CommandError: other joints, a wrong count of numbers, not finite, times that run backwards.
    """
    if sorted(message.joint_names[:MOST_JOINTS]) != sorted(joints):
        raise CommandError(f'the trajectory is for joints {list(message.joint_names[:8])}; this '
                           f'head has {list(joints)}')
    if len(message.points) > MOST_POINTS:
        raise CommandError(f'the trajectory has {len(message.points)} points; {MOST_POINTS} are '
                           'the most')
    rows = [list(message.joint_names).index(joint) for joint in joints]
    goals: list[tuple[float, PanTiltCommand]] = []
    for point in message.points:
        if len(point.positions) != len(rows) or len(point.velocities) not in (0, len(rows)):
            raise CommandError(f'a trajectory point needs {len(rows)} positions and {len(rows)} '
                               f'or no velocities, got {len(point.positions)} and '
                               f'{len(point.velocities)}')
        speeds = [point.velocities[row] for row in rows] if len(point.velocities) else (0.0, 0.0)
        at = seconds(point.time_from_start)
        if at < 0 or (goals and at <= goals[-1][0]):
            raise CommandError('time_from_start must grow from point to point, got '
                               f'{at:g} s after {goals[-1][0] if goals else 0.0:g} s')
        goals.append((at, PanTiltCommand(*(point.positions[row] for row in rows), *speeds)))
    return goals


# --- rays ----------------------------------------------------------------------------------------

def point_from_ray(ray: np.ndarray, header_: Header) -> PointStamped:
    """A unit ray as a PointStamped in the header's frame."""
    message = PointStamped(header=header_)
    message.point.x, message.point.y, message.point.z = (float(value) for value in ray)
    return message


def place_of(message: PointStamped) -> np.ndarray:
    """(3,) the point, in the message's frame; CommandError where it says no direction."""
    place = np.array([message.point.x, message.point.y, message.point.z])
    length = float(np.linalg.norm(place))
    if not math.isfinite(length) or length == 0:
        raise CommandError(f'a point to look at must be finite and not the origin, got {place}')
    return place
