"""What the page tells the robot, as topics and services."""

import asyncio
from typing import Any

from geometry_msgs.msg import PointStamped
import numpy as np
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future
from sensor_msgs.msg import Image
from std_msgs.msg import Header, String
from std_srvs.srv import SetBool, Trigger

from gaze_robot.config import ViewerConfig
from gaze_robot.errors import CommandError
from gaze_robot.nodes import _messages, _qos
from gaze_robot.nodes._viewer_record import RecordButton
from gaze_robot.viewer.board import Board

ANSWER_S = 2.0
SOURCES = ('search', 'people', 'salience')


class RosRobot:
    """`viewer.board.Robot` over ROS; called in the event loop, answered by the executor."""

    def __init__(self, node: Node, config: ViewerConfig, board: Board) -> None:
        self._node = node
        self._button = RecordButton(node, config, board)
        self._frame = config.frame_prefix + config.fixed_frame
        self._look_at = node.create_publisher(PointStamped, 'gaze/look_at', _qos.COMMAND)
        self._exemplar = node.create_publisher(Image, 'gaze/exemplar', _qos.LATCHED)
        self._prompt = node.create_publisher(String, 'gaze/prompt', _qos.LATCHED)
        client = node.create_client
        self._enable = client(SetBool, 'gaze/enable')
        self._run_stop = client(SetBool, 'pan_tilt/runstop')
        self._power = client(SetBool, 'pan_tilt/torque_enable')
        self._home = client(Trigger, 'pan_tilt/home')
        self._get = client(GetParameters, 'gaze/get_parameters')
        self._set = client(SetParameters, 'gaze/set_parameters')

    def _header(self) -> Header:
        return Header(stamp=self._node.get_clock().now().to_msg(), frame_id=self._frame)

    async def look_at(self, direction: np.ndarray) -> str:
        """Look along a base-frame direction (3,) for a while."""
        self._look_at.publish(_messages.point_from_ray(direction, self._header()))
        return 'looking there'

    async def show(self, picture: np.ndarray) -> str:
        """Search for what this (h, w, 3) uint8 RGB cut-out of the camera's picture shows."""
        self._exemplar.publish(_messages.ImageFiller()(picture, self._header()))
        return f'Searching for this: {picture.shape[1]} x {picture.shape[0]} pixels'

    async def prompt(self, text: str) -> str:
        """Do what these words say."""
        self._prompt.publish(String(data=text))
        return f'Told: {text}' if text else 'Told nothing'

    async def run_stop(self, stop: bool) -> str:
        """Stop the head at once, or release it."""
        await self._switch(self._run_stop, stop)
        return 'The head is stopped' if stop else 'The head is released'

    async def enable(self, looking: bool) -> str:
        """Let the eye look, or rest."""
        await self._switch(self._enable, looking)
        return 'The eye looks' if looking else 'The eye rests'

    async def power(self, on: bool) -> str:
        """Let the head obey commands, or not."""
        await self._switch(self._power, on)
        return 'The head obeys' if on else 'The head holds still and obeys nobody'

    async def home(self) -> str:
        """Rest the eye and turn the head straight ahead."""
        await self._switch(self._enable, False)
        await self._call(self._home, Trigger.Request())
        return 'Turning straight ahead; the eye rests until it is switched on again'

    async def weights(self) -> dict[str, float]:
        """Weights of the sources: search, people, salience."""
        names = [f'sources.{source}' for source in SOURCES]
        answer = await self._answer(self._get, GetParameters.Request(names=names))
        return {source: float(value.double_value or value.integer_value)
                for source, value in zip(SOURCES, answer.values)}

    async def weigh(self, source: str, weight: float) -> str:
        """Change the weight of one of them."""
        value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=float(weight))
        answer = await self._answer(self._set, SetParameters.Request(
            parameters=[Parameter(name=f'sources.{source}', value=value)]))
        refused = [result.reason for result in answer.results if not result.successful]
        if refused:
            raise CommandError(refused[0] or f'the weight of {source} cannot be changed')
        return f'{source} weighs {weight:g}'

    async def record(self, start: bool) -> str:
        """Start or stop recording."""
        return await self._button.press(start)

    def close(self) -> None:
        """End what runs by itself."""
        self._button.close()

    async def _switch(self, client: Client, on: bool) -> None:
        await self._call(client, SetBool.Request(data=on))

    async def _call(self, client: Client, request: Any) -> None:
        answer = await self._answer(client, request)
        if not answer.success:
            raise CommandError(answer.message or f'{client.srv_name} was refused')

    async def _answer(self, client: Client, request: Any) -> Any:
        """A service's answer; CommandError where nobody answers in time."""
        if not client.service_is_ready():
            raise CommandError(f'nobody offers {client.srv_name}: is that node running?')
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Any] = loop.create_future()

        def settle(future: Future) -> None:
            loop.call_soon_threadsafe(_pass_on, future, answered)
        future = client.call_async(request)
        future.add_done_callback(settle)
        try:
            return await asyncio.wait_for(answered, ANSWER_S)
        except asyncio.TimeoutError as error:
            client.remove_pending_request(future)
            raise CommandError(f'{client.srv_name} did not answer within {ANSWER_S:g} s: is that '
                               'node still running?') from error


def _pass_on(future: Future, answered: 'asyncio.Future[Any]') -> None:
    if answered.done():
        return
    error = future.exception()
    if error is not None:
        answered.set_exception(error)
    else:
        answered.set_result(future.result())
