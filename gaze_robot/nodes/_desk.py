"""What arrives for the eye: pictures with their lens and pose, kept until they can be used."""

from collections.abc import Callable, Sequence
import functools
import math

from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Header

from gaze_robot.camera import CameraModel
from gaze_robot.config import GazeConfig
from gaze_robot.control.joints import JointBuffer
from gaze_robot.control.poses import PoseBuffer
from gaze_robot.head_geometry import HeadGeometry
from gaze_robot.nodes import _messages
from gaze_robot.nodes._encodings import ENCODINGS
from gaze_robot.nodes._eye import Picture
from gaze_robot.nodes._intake import Intake, undecodable
from gaze_robot.types import PanTiltState

POSE_WITHIN_S = 0.1
"""A picture whose nearest joint state is further from it in time than this has no pose."""

POSE_WITHIN_RAD = 0.02
"""Nor has one since which the head has turned by more than this."""


class Desk:
    """Turns messages into `Picture`s, or says why not."""

    def __init__(self, config: GazeConfig, hand: Sequence[str] = ()) -> None:
        """`hand` are the joints of a hand that the policy wants to know of."""
        self.config = config
        self.unstamped = False
        """Whether the camera was seen to leave its stamps empty."""
        self._intake = Intake(config.max_image_age, config.processing_rate)
        self._poses = PoseBuffer()
        self._hand = JointBuffer(hand) if hand else None
        self._geometry = config.geometry if config.eye == 'head' else HeadGeometry()
        self._info: CameraInfo | None = None
        self.joints_heard = 0
        """Joint states so far that held the head's joints and could be used."""
        self.joints_bad = 0
        """Joint states so far whose positions were not finite."""
        self.other_joints: tuple[str, ...] = ()
        """What the last joint state held, if not the head's joints."""

    def adapt(self, config: GazeConfig) -> None:
        """Go by other settings of `LIVE_GAZE` from now on."""
        if config != self.config:
            self.config = config
            self._intake.adapt(config.max_image_age, config.processing_rate)

    def info(self, message: CameraInfo) -> None:
        """Keep the newest camera_info."""
        self._info = message

    def joints(self, message: JointState) -> None:
        """Keep a head pose, and where the hand is; other joints are passed over."""
        if self._hand is not None:
            self._hand.add(_messages.seconds(message.header.stamp), message.name,
                           message.position)
        pose = _messages.pose_from_joint_state(message, self.config.joints)
        if pose is not None and not math.isfinite(pose.pan_rad + pose.tilt_rad):
            self.joints_bad += 1
        elif pose is None:
            self.other_joints = tuple(message.name)[:8] or ('nothing',)
        elif self._poses.add(pose):
            self.joints_heard += 1
            self.other_joints = ()

    def admit(self, message: Image | CompressedImage, now_s: float, draw: Callable[[], bool]
              ) -> Picture | str:
        """A picture for the eye, or the reason to drop it.

        Args:
            message: not decoded here.
            now_s: on the clock of the stamps.
            draw: asked, for a picture that will be used, whether to make its debug picture.
        """
        if _messages.too_large(message):
            return 'too large'
        stamp_s = self._stamp(message, now_s)
        reason = self._intake.refuse(stamp_s, now_s)
        if reason is not None:
            return reason
        joints = self.pose_at(stamp_s)
        if joints is None:
            return 'no pose'
        pose, roll_rad = self._geometry.view(joints)
        frame_id = message.header.frame_id or self.config.frame_prefix + 'camera_optical_frame'
        decode, reason = _decoder(message)
        return Picture(stamp_s, pose, decode, reason, self._lens(),
                       Header(stamp=message.header.stamp, frame_id=frame_id), draw(), roll_rad,
                       None if self._hand is None else self._hand.at(stamp_s, POSE_WITHIN_S))

    def pose_at(self, stamp_s: float) -> PanTiltState | None:
        """The joints at that moment (0: now), not at the moment of asking; None if unknown.

        An electronic eye's camera never turns.
        """
        if self.config.eye == 'picture':
            return PanTiltState(0.0, 0.0, stamp_s=stamp_s)
        latest = self._poses.latest
        if latest is None or not stamp_s:
            return latest
        pose = self._poses.at(stamp_s)
        apart_s = abs(pose.stamp_s - stamp_s)               # 0 where it was interpolated
        turned_rad = apart_s * max(abs(pose.pan_rad_s), abs(pose.tilt_rad_s))
        near = apart_s <= POSE_WITHIN_S and turned_rad <= POSE_WITHIN_RAD
        return pose if near else None

    def _stamp(self, message: Image | CompressedImage, now_s: float) -> float:
        if message.header.stamp.sec == message.header.stamp.nanosec == 0:
            self.unstamped = True
            message.header.stamp = _messages.stamp(now_s)
        return _messages.seconds(message.header.stamp)

    def _lens(self) -> Callable[[int, int], CameraModel] | None:
        return None if self._info is None else functools.partial(_lens_of, self._info)


def _lens_of(info: CameraInfo, width: int, height: int) -> CameraModel:
    return _messages.camera_from_info(info, width, height)


def _decoder(message: Image | CompressedImage) -> tuple[Callable, str]:
    """What decodes this message, and what to count it under when that fails."""
    if isinstance(message, Image):
        return functools.partial(_messages.rgb_from_image, message), undecodable(
            message.encoding, message.encoding in ENCODINGS, message.width, message.height,
            len(message.data))
    return functools.partial(_messages.rgb_from_compressed_image, message), undecodable(
        '', True, 0, 0, len(message.data))
