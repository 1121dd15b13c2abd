"""A bag through the eye without a running ROS: the same messages, the same decisions, every time.

What waits and drops in gaze_node depends on how fast a machine is. Here each picture is looked at
at the moment of its stamp, with the joint states of that moment, however late the recorder
received either; so the outcome depends on nothing but the bag.
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import replace
import json
from pathlib import Path
from typing import Any

from rclpy.serialization import deserialize_message

from gaze_robot.bags.commands import ProcessConfig
from gaze_robot.bags.store import Bag, Entry, open_bag, Topic
from gaze_robot.bringup import BringupConfig, parameters
from gaze_robot.config import from_mapping, GazeConfig
from gaze_robot.errors import BagError, CommandError, ImageError
from gaze_robot.nodes import _messages
from gaze_robot.nodes._bag_record import message_class
from gaze_robot.nodes._desk import Desk, POSE_WITHIN_S
from gaze_robot.nodes._eye import Eye, Glance
from gaze_robot.nodes._gaze_outputs import due
from gaze_robot.nodes._intake import direction_in_base, Throttle
from gaze_robot.optional import require

PICTURES = {'sensor_msgs/msg/Image': 'raw', 'sensor_msgs/msg/CompressedImage': 'compressed'}
_NOT_A_CAMERA = ('/exemplar', '/salience', '/fovea/image_raw', '/debug_image',
                 '/debug_image/compressed')


class Offline:
    """gaze_node's desk and eye, fed from a bag."""

    def __init__(self, config: GazeConfig, image_topic: str) -> None:
        """Load the model; `image_topic` is the pictures' name in the bag."""
        torch = require('torch')
        torch.set_num_threads(1)
        pipeline = require('gaze_robot.loading').load_pipeline(config)
        self._now_s = 0.0
        self.config = config
        self.eye = Eye(pipeline, config, lambda: self._now_s)
        pipeline.warm_up()
        self._desk = Desk(config, pipeline.joint_names)
        self._commands = Throttle(config.control_rate)
        self._looked_at_s: float | None = None
        beside = image_topic.removesuffix('/compressed').rpartition('/')[0]
        self._serve = {image_topic: self._picture, f'{beside}/camera_info': self._info}
        self.dropped: Counter[str] = Counter()
        self.glances = 0

    def take(self, entry: Entry, joints: 'JointStates') -> dict[str, Any] | None:
        """One message in; what a picture led to, or None for any other message."""
        serve = self._serve.get(entry.topic.name) or next(
            (by for end, by in (('/exemplar', self._exemplar), ('/look_at', self._look_at),
                                ('/prompt', self._prompt)) if entry.topic.name.endswith(end)),
            None)
        if serve is None:
            return None
        message = deserialize_message(entry.data, message_class(entry.topic.kind))
        self._now_s = entry.stamp_ns * 1e-9
        if serve == self._picture:
            self._now_s = _messages.seconds(message.header.stamp) or self._now_s
        for state in joints.until(self._now_s, entry.stamp_ns):
            self._desk.joints(state)
        return serve(message)

    def _info(self, message: Any) -> None:
        self._desk.info(message)

    def _exemplar(self, message: Any) -> None:
        try:
            self.eye.look_for_picture(_messages.rgb_from_image(message).copy())
        except ImageError as error:
            self.dropped[f'exemplar: {error}'] += 1

    def _look_at(self, message: Any) -> None:
        stamp_s = _messages.seconds(message.header.stamp)
        try:
            self.eye.pipeline.look_at(direction_in_base(
                _messages.place_of(message), message.header.frame_id, self.config,
                self._desk.pose_at(stamp_s)), stamp_s or self._now_s)
            self._looked_at_s = self._now_s
        except CommandError as error:
            self.dropped[f'look_at: {error}'] += 1

    def _prompt(self, message: Any) -> None:
        self.eye.prompt(message.data)

    def _picture(self, message: Any) -> dict[str, Any]:
        now_s = self._now_s
        if self._looked_at_s is not None and now_s > (
                self._looked_at_s + self.config.target_timeout):
            self._looked_at_s = None
            self.eye.pipeline.look_at(None)
        picture = self._desk.admit(message, now_s, lambda: False)
        stamp = message.header.stamp
        line = {'stamp': f'{stamp.sec}.{stamp.nanosec:09d}'}
        if isinstance(picture, str):
            self.dropped[picture] += 1
            return {**line, 'dropped': picture}
        glance = self.eye.look(picture)
        if not isinstance(glance, Glance):
            self.dropped[glance.reason] += 1
            return {**line, 'dropped': glance.reason}
        self.glances += 1
        return {**line, **self._decision(glance)}

    def _decision(self, glance: Glance) -> dict[str, Any]:
        result = glance.result
        made: dict[str, Any] = {
            'mode': result.mode, 'on_target': bool(result.on_target),
            'pose': [result.pose.pan_rad, result.pose.tilt_rad],
            'fixation': [float(value) for value in result.fixation],
            'confidence': glance.confidence, 'candidates': len(result.candidates)}
        if result.target is not None:
            made['target'] = [float(value) for value in result.target.direction]
        if result.actions is not None:
            made['actions'] = result.actions.positions.tolist()
        if self.config.eye == 'head' and self._commands.allows(self._now_s):
            command, in_s = due(result, self.config, self._now_s)
            made['command'] = [float(command.pan_rad), float(command.tilt_rad), float(in_s)]
        if glance.remarks:
            made['remarks'] = list(glance.remarks)
        return made


def process(config: ProcessConfig) -> dict[str, Any]:
    """See `gaze_robot.bags.commands.process`."""
    with open_bag(Path(config.bag)) as bag:
        pictures = _pictures_of(bag, config.image_topic)
        settings = _settings(config, pictures,
                             any(map(_is_joint_states, bag.topics)))
        offline = Offline(settings, pictures.name)
        Path(config.out).parent.mkdir(parents=True, exist_ok=True)
        with Path(config.out).open('w', encoding='utf-8') as out:
            for line in _lines(bag, offline):
                out.write(json.dumps(line, allow_nan=False) + '\n')
        return {'bag': config.bag, 'cut_off': bag.mended, 'out': config.out,
                'image_topic': pictures.name, 'eye': settings.eye, 'glances': offline.glances,
                'dropped': dict(offline.dropped.most_common())}


class JointStates:
    """The joint states of a bag, handed out as the pictures need them."""

    def __init__(self, bag: Bag) -> None:
        self._left = deque(bag.entries(_is_joint_states))
        self._next: Any = None

    def until(self, now_s: float, received_ns: int) -> Iterator[Any]:
        """Those stamped up to a little after `now_s`, or received by then, in their order."""
        while self._left:
            entry = self._left[0]
            if self._next is None:
                self._next = deserialize_message(entry.data, message_class(entry.topic.kind))
            stamp_s = _messages.seconds(self._next.header.stamp)
            if entry.stamp_ns > received_ns and stamp_s > now_s + POSE_WITHIN_S:
                return
            self._left.popleft()
            state, self._next = self._next, None
            yield state


def _is_joint_states(topic: Topic) -> bool:
    return topic.kind == 'sensor_msgs/msg/JointState'


def _lines(bag: Bag, offline: Offline) -> Iterator[dict[str, Any]]:
    joints = JointStates(bag)
    for entry in bag.entries(lambda topic: not _is_joint_states(topic)):
        line = offline.take(entry, joints)
        if line is not None:
            yield line


def _pictures_of(bag: Bag, wanted: str) -> Topic:
    """The topic of the camera's pictures."""
    found = [topic for topic in bag.topics if topic.kind in PICTURES
             and not topic.name.endswith(_NOT_A_CAMERA)]
    if wanted:
        found = [topic for topic in found if topic.name.lstrip('/') == wanted.lstrip('/')]
    if len(found) == 1:
        return found[0]
    names = ', '.join(f'{topic.name} ({topic.kind})' for topic in bag.topics) or 'nothing'
    raise BagError(f'{len(found)} topics could be the pictures; name one with --image-topic. The '
                   f'bag holds {names}')


def _settings(config: ProcessConfig, pictures: Topic, has_joints: bool) -> GazeConfig:
    """gaze's parameters; torch computes, unless the file says otherwise.

    Which runtime is the fastest depends on the moment, and each rounds differently.
    """
    eye = config.eye if config.eye != 'auto' else 'head' if has_joints else 'picture'
    given = parameters(BringupConfig(camera='none', params_file=config.params_file,
                                     exemplar=config.exemplar or None, eye=eye,
                                     policy=config.policy or None))['gaze']
    settings = from_mapping(GazeConfig, given)
    settings = replace(settings, image_transport=PICTURES[pictures.kind],
                       processing_rate=240.0 if 'processing_rate' not in given
                       else settings.processing_rate)
    return replace(settings, model_runtime='torch') if settings.model_runtime == 'auto' \
        else settings
