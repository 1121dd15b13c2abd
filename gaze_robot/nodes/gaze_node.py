"""gaze_node: pictures in, fixations and head commands out. Converts messages, calls the eye.

The executor's one thread receives, publishes and keeps time; one worker thread looks. Between them
is a mailbox for one picture: a newer one replaces it.
"""

from collections.abc import Callable, Sequence
import functools
import sys
from typing import Any

import cv2
from geometry_msgs.msg import PointStamped
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from gaze_robot.config import GazeConfig, LIVE_GAZE, parameter_names
from gaze_robot.errors import CommandError, ConfigError, ImageError
from gaze_robot.nodes import _messages, _qos
from gaze_robot.nodes._desk import Desk
from gaze_robot.nodes._detections import heads_in, things_in
from gaze_robot.nodes._eye import Eye, Glance, Picture, Refusal
from gaze_robot.nodes._gaze_outputs import GazeOutputs
from gaze_robot.nodes._intake import direction_in_base
from gaze_robot.nodes._lifecycle import ManagedNode, run, transition
from gaze_robot.nodes._params import declare_config
from gaze_robot.nodes._stats import LoopStats
from gaze_robot.nodes._watch import Watch
from gaze_robot.nodes._worker import Worker
from gaze_robot.optional import available, require

LONGEST_PROMPT = 1000
OPTIONAL_MESSAGES = ('vision_msgs', 'control_msgs', 'tf2_msgs', 'cv_bridge')


class GazeNode(ManagedNode):
    """The eye of one robot; parameters are `GazeConfig`.

    In: image_raw (or image_raw/compressed), camera_info, joint_states, ~/look_at, ~/exemplar,
    ~/prompt, ~/heads where vision_msgs is there.
    Out: joint_trajectory, ~/fixation, ~/target, ~/gaze_targets, ~/mode, ~/on_target, /diagnostics;
    of a policy with a hand ~/action; while somebody listens ~/fovea/*, ~/salience,
    ~/debug_image, ~/markers, ~/glance, ~/mosaic.
    Services: ~/enable ~/reset.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__('gaze', **options)
        self.stats = LoopStats()
        self._watch = Watch(self, self.stats)
        self.on_glance: Callable[[Glance], None] | None = None
        """Called in the executor's thread after each glance is published."""
        self._eye: Eye | None = None
        self._worker: Worker[Picture, Glance | Refusal] | None = None
        self._guard = self.create_guard_condition(self._on_worker)
        self._enabled = True

    @transition
    def on_configure(self) -> None:
        """Read parameters, load the model, open the topics."""
        self.config = declare_config(self, GazeConfig, self._on_parameters)
        # Work this small gains nothing from a second thread and waits for it when the machine is
        # busy. Beside two other loads on two cores: network 83 instead of 163 ms at the 95th
        # percentile, foveation of a 720p picture 1.8 instead of 6.2 ms.
        require('torch').set_num_threads(1)
        cv2.setNumThreads(1)
        pipeline = require('gaze_robot.loading').load_pipeline(self.config)
        eye = Eye(pipeline, self.config, self.now_s)
        pipeline.warm_up()
        self._desk = Desk(self.config, pipeline.joint_names)
        self._looked_at_s: float | None = None
        self._open(pipeline.device, pipeline.runtime_name, bool(pipeline.joint_names))
        self._eye = eye
        self.get_logger().info(f'model: {self.config.model_path or "shipped"} on '
                               f'{pipeline.device} with {pipeline.runtime}')
        if pipeline.joint_names:
            self.get_logger().info(f'hand: ~/action moves {", ".join(pipeline.joint_names)}')
        for remark in pipeline.remarks:
            self.get_logger().warning(f'runtime not used: {remark}')
        self.get_logger().info(f'optional message packages: {_optional()}')

    def _open(self, device: str, runtime: str, hand: bool) -> None:
        self._outputs = GazeOutputs(self, self.config, hand)
        self._watch.open(self.config, self._desk, device, runtime)
        picture = (Image, 'image_raw') if self.config.image_transport == 'raw' \
            else (CompressedImage, 'image_raw/compressed')
        self._image_topic = self.resolve_topic_name(picture[1])
        # First: when both wait, the executor takes the pose before the picture that needs it.
        self.create_subscription(JointState, 'joint_states', self._desk.joints,
                                 **_qos.overridable(_qos.JOINT_STATES_IN))
        self.create_subscription(*picture, self._on_image, **_qos.overridable(_qos.IMAGE_IN))
        self.create_subscription(CameraInfo, 'camera_info', self._desk.info,
                                 **_qos.overridable(_qos.IMAGE))
        self.create_subscription(PointStamped, '~/look_at', self._on_look_at, _qos.COMMAND)
        self.create_subscription(Image, '~/exemplar', self._on_exemplar, _qos.LATCHED)
        self.create_subscription(String, '~/prompt', self._on_prompt, _qos.LATCHED)
        if self.config.people_heads == 'topic' and self.config.people_model:
            self._open_heads()
        self.create_service(SetBool, '~/enable', self._on_enable)
        self.create_service(Trigger, '~/reset', self._on_reset)
        # Of the steady clock: also with a /clock that stands still there are diagnostics.
        self.create_timer(1.0, self._on_second, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _open_heads(self) -> None:
        if not available('vision_msgs'):
            self.get_logger().warning('people.heads is topic and vision_msgs is absent: no heads '
                                      'will come; get it with: apt install '
                                      'ros-$ROS_DISTRO-vision-msgs')
            return
        self.create_subscription(require('vision_msgs.msg').Detection2DArray, '~/heads',
                                 self._on_heads, _qos.IMAGE)

    def _on_heads(self, message: Any) -> None:
        people = getattr(self._eye.pipeline, 'people', None) if self._eye is not None else None
        if people is not None and people.given is not None:
            people.given.put(_messages.seconds(message.header.stamp), heads_in(message),
                             things_in(message))

    @transition
    def on_activate(self) -> None:
        """Start looking."""
        assert self._eye is not None
        self._eye.pipeline.reset()
        self._worker = Worker(self._eye.look, self._guard.trigger)
        self._watch.begin()
        self._outputs.forget_state()

    @transition
    def on_deactivate(self) -> None:
        """Stop looking; the head holds still by its own command timeout."""
        self._stop_worker()
        self._outputs.state('stopped', False)

    @transition
    def on_cleanup(self) -> None:
        """Let the model go; the base class closes the topics."""

    @transition
    def on_shutdown(self) -> None:
        """The same, for good."""

    def close(self) -> None:
        """End the worker thread and let the model go."""
        self._stop_worker()
        people = getattr(self._eye.pipeline, 'people', None) if self._eye is not None else None
        if people is not None:
            people.close()
        self._eye = None

    def _stop_worker(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            self.stats.dropped.add('stopped', worker.stop())

    def _on_parameters(self, config: GazeConfig) -> None:
        """Apply what may change while the eye runs; refuse the rest until the next configure."""
        if self._eye is None:
            return
        fixed = [name for name, attribute in parameter_names(GazeConfig).items()
                 if attribute not in LIVE_GAZE
                 and getattr(config, attribute) != getattr(self.config, attribute)]
        if fixed:
            raise ConfigError(f'{", ".join(fixed)} of gaze is read at configure: deactivate and '
                              'clean up the node first')
        self._eye.pipeline.check_change(config)
        self.config = config
        self._desk.adapt(config)
        self._outputs.adapt(config)
        self._tell_eye(lambda eye: eye.adapt(config))

    def _on_image(self, message: Image | CompressedImage) -> None:
        now = self.now_s()
        self.stats.frame(now)
        if self._worker is None or not self._enabled:
            self._watch.drop('not active' if self._worker is None else 'disabled')
            return
        picture = self._desk.admit(message, now, lambda: self._outputs.wants_debug(now))
        if isinstance(picture, str):
            self._watch.drop(picture)
            return
        if self._looked_at_s is not None and not (      # over, or the clock went back
                self._looked_at_s - 1.0 <= now <= self._looked_at_s + self.config.target_timeout):
            self._looked_at_s = None
            self._tell_eye(lambda eye: eye.pipeline.look_at(None))
        if self._worker.post(picture) is not None:
            self._watch.drop('replaced')

    def _on_look_at(self, message: PointStamped) -> None:
        try:
            direction = direction_in_base(
                _messages.place_of(message), message.header.frame_id, self.config,
                self._desk.pose_at(_messages.seconds(message.header.stamp)))
        except CommandError as error:
            self.get_logger().warning(f'~/look_at: {error}')
            return
        self._looked_at_s = self.now_s()
        stamp_s = _messages.seconds(message.header.stamp) or self.now_s()
        self._tell_eye(lambda eye: eye.pipeline.look_at(direction, stamp_s))

    def _on_exemplar(self, message: Image) -> None:
        try:
            picture = _messages.rgb_from_image(message).copy()
        except ImageError as error:
            self.get_logger().warning(f'~/exemplar: {error}')
            return
        self._tell_eye(lambda eye: eye.look_for_picture(picture))

    def _on_prompt(self, message: String) -> None:
        if len(message.data) > LONGEST_PROMPT:
            self.get_logger().warning(f'~/prompt: {len(message.data)} characters are too many; '
                                      f'{LONGEST_PROMPT} are the most')
            return
        self._tell_eye(lambda eye: eye.prompt(message.data))

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response
                   ) -> SetBool.Response:
        if request.data and not self._enabled:          # the world has gone on meanwhile
            self._tell_eye(lambda eye: eye.pipeline.reset())
        self._enabled = request.data
        if not self._enabled:
            self._outputs.state('stopped', False)
        response.success, response.message = True, 'looking' if request.data else 'stopped'
        return response

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._tell_eye(lambda eye: eye.pipeline.reset())
        response.success, response.message = True, 'forgot past glances'
        return response

    def _tell_eye(self, action: Callable[[Eye], None]) -> None:
        if self._worker is not None and self._eye is not None:
            self._worker.call(functools.partial(action, self._eye))
        elif self._eye is not None:
            action(self._eye)

    def _on_worker(self) -> None:
        for glance in self._worker.collect() if self._worker is not None else ():
            if isinstance(glance, Refusal):
                self._watch.late += glance.reason == 'stale'
                self._watch.drop(glance.reason, glance.text)
            elif not self._enabled:
                self._watch.drop('disabled')
            elif (age_s := self.now_s() - glance.picture.stamp_s) > self.config.max_image_age:
                self._watch.late += 1
                self._watch.drop('stale', f'{age_s:.2f} s old once looked at; this machine is too '
                                 'slow for it: use a GPU or smaller pictures, or raise '
                                 'max_image_age')
            else:
                self._publish(glance)

    def _publish(self, glance: Glance) -> None:
        now = self.now_s()
        self.stats.processed.tick(now)
        if self._outputs.publish(glance, now):
            self.stats.command(self.now_s(), glance.picture.stamp_s)
        self._outputs.show(glance, now)
        self.stats.glance(glance.stages_ms, glance.confidence)
        self._watch.lens = glance.lens
        for remark in glance.remarks:
            self._watch.say(remark)
        if self.on_glance is not None:
            self.on_glance(glance)

    def _on_second(self) -> None:
        if self._desk.unstamped:
            self._watch.say('the camera does not stamp its pictures; their arrival is used')
        self._watch.second(self._enabled, self._image_topic)


def _optional() -> str:
    return ', '.join(f'{name} {"found" if available(name) else "absent"}'
                     for name in OPTIONAL_MESSAGES)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is stopped."""
    return run(GazeNode, args)


if __name__ == '__main__':
    sys.exit(main())
