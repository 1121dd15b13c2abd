"""A robot in processes of its own, its camera and joint states ours to spoil, and a witness."""

from collections.abc import Callable, Iterator
import contextlib
import json
import math
import os
from pathlib import Path
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PointStamped
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image, JointState
from trajectory_msgs.msg import JointTrajectory

from gaze_robot.config import PanTiltConfig
from gaze_robot.geometry import direction_from_pan_tilt
from gaze_robot.nodes import _messages, _qos
from gaze_robot.signs import KEY, LEVELS

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
LIMITS = PanTiltConfig().limits
PATIENCE_S = 60.0
"""Discovery of a late node takes 0.1 to 3 s here; the rest is for a busy machine."""

BUSY = {'slow inference', 'images dropped', 'commands stopped'}
"""Signs that a machine with other work shows now and then."""


def _close_pipes(process: subprocess.Popen) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


class Witness:
    """Sees what a robot does: where the head is, what is commanded, what the diagnostics say."""

    def __init__(self, domain: int) -> None:
        self.context = rclpy.context.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node('witness', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.status: dict[str, tuple[float, object]] = {}
        self.own_clock = False
        """Whether the stamps are of a clock that may jump."""
        self.wild = False
        """Whether somebody else commands the head meanwhile."""
        self.commands = 0
        self.states = 0
        self.last: tuple[float, float, float] | None = None
        self.beyond: list[str] = []
        """Every joint state that broke a limit."""
        self.spoil: Callable[[JointState], JointState | None] = lambda message: message
        """What becomes of the joint states that gaze_node gets."""
        create = self.node.create_subscription
        create(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        create(JointTrajectory, 'joint_trajectory', self._on_command, 1)
        create(JointState, 'joint_states', self._on_state, 50)
        self.relay = self.node.create_publisher(JointState, 'seen/joint_states', 10)
        self.exemplars = self.node.create_publisher(Image, 'gaze/exemplar', _qos.LATCHED)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.status[status.name] = (time.monotonic(), status)

    def _on_command(self, message: JointTrajectory) -> None:
        self.commands += 1
        point = message.points[0]
        if not self.wild and not all(map(math.isfinite, [*point.positions, *point.velocities])):
            self.beyond.append(f'command {point}')

    def _on_state(self, message: JointState) -> None:
        self.states += 1
        now_s = _messages.seconds(message.header.stamp)
        if self.own_clock:
            self.last = None                    # positions alone can be judged
        self._judge(now_s, *message.position)
        self._judge_speed(message)
        spoilt = self.spoil(message)
        if spoilt is not None:
            self.relay.publish(spoilt)

    def _judge_speed(self, message: JointState) -> None:
        if any(abs(speed) > 1.001 * fastest
               for speed, fastest in zip(message.velocity, LIMITS.max_velocity)):
            self.beyond.append(f'speeds {list(message.velocity)}')

    def _judge(self, now_s: float, pan: float, tilt: float) -> None:
        """Positions against limits; mean speeds between joint states against the fastest."""
        for name, value, low, high in zip(('pan', 'tilt'), (pan, tilt), LIMITS.min_position,
                                          LIMITS.max_position):
            if not low - 1e-6 <= value <= high + 1e-6:
                self.beyond.append(f'{name} at {value}')
        # After a longer silence the head may be another one: a simulated head begins at 0.
        if self.last is not None and 0.005 < now_s - self.last[0] < 0.25:
            for name, now, before, fastest in zip(('pan', 'tilt'), (pan, tilt), self.last[1:],
                                                  LIMITS.max_velocity):
                if abs(now - before) / (now_s - self.last[0]) > 1.05 * fastest + 0.02:
                    self.beyond.append(f'{name} at {(now - before) / (now_s - self.last[0])}/s')
        self.last = now_s, pan, tilt

    def spin(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Whether `until` came true within so many seconds; without it, wait them out."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self.executor.spin_once(timeout_sec=0.02)
            if until is not None and until():
                return True
        return until is None or until()

    def values(self, name: str) -> dict[str, str]:
        """Newest diagnostics of a node ('gaze', 'pan_tilt')."""
        status = self.status_of(name)
        return {} if status is None else {each.key: each.value for each in status.values}

    def status_of(self, name: str):
        """Newest status of a node, if it is not older than 2.5 s."""
        for key, (seen_s, status) in self.status.items():
            if f'/{name}:' in key and time.monotonic() - seen_s < 2.5:
                return status
        return None

    def signs(self, name: str) -> list[str]:
        return list(filter(None, self.values(name).get(KEY, '').split(', ')))

    def level(self, name: str) -> str:
        status = self.status_of(name)
        return 'silent' if status is None else LEVELS[status.level[0]]

    def shows(self, sign: str, name: str = 'gaze', seconds: float = PATIENCE_S) -> float:
        """Seconds until a node's diagnostics name this sign."""
        start_s = time.monotonic()
        assert self.spin(seconds, lambda: sign in self.signs(name)), (
            f'{name} shows {self.signs(name)} and not {sign!r} within {seconds} s: '
            f'{self.values(name)}')
        return time.monotonic() - start_s

    def healthy(self, seconds: float = PATIENCE_S) -> float:
        """Seconds until neither node shows more than a busy machine, and commands flow."""
        start_s, commands = time.monotonic(), self.commands
        assert self.spin(seconds, lambda: self.well('gaze') and self.well('pan_tilt')
                         and self.commands > commands + 3), (
            f'not well within {seconds} s: gaze {self.level("gaze")} {self.signs("gaze")}, '
            f'pan_tilt {self.level("pan_tilt")} {self.signs("pan_tilt")}, '
            f'{self.commands - commands} commands; {self.values("gaze")}')
        return time.monotonic() - start_s

    def well(self, name: str) -> bool:
        return self.level(name) != 'silent' and set(self.signs(name)) <= BUSY

    def call(self, kind, name: str, seconds: float = PATIENCE_S, **request):
        client = self.node.create_client(kind, name)
        assert self.spin(seconds, client.service_is_ready), f'no service {name}'
        future = client.call_async(kind.Request(**request))
        assert self.spin(seconds, future.done), f'{name} does not answer'
        self.node.destroy_client(client)
        return future.result()

    def close(self) -> None:
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)


class Robot:
    """Processes of one ROS domain, and a witness."""

    def __init__(self, checkpoint: str, domain: int) -> None:
        self.domain = domain
        self.env = {**os.environ, 'ROS_DOMAIN_ID': str(self.domain), 'OMP_NUM_THREADS': '1',
                    'FASTRTPS_DEFAULT_PROFILES_FILE': str(ROOT / 'config' / 'fastdds.xml'),
                    'PYTHONPATH': os.pathsep.join([str(ROOT), str(ROOT / 'sim')])}
        self.checkpoint = checkpoint
        self.processes: dict[str, subprocess.Popen] = {}
        self._logs: dict[str, Any] = {}
        self.witness = Witness(self.domain)
        self.looks = self.witness.node.create_publisher(PointStamped, 'gaze/look_at', 1)
        self.exemplar()

    def exemplar(self) -> None:
        """Something to look for, so that the eye moves."""
        picture = np.random.default_rng(1).integers(0, 256, (24, 24, 3), np.uint8)
        self.witness.exemplars.publish(
            _messages.ImageFiller()(picture, _messages.header(_messages.stamp(1.0), '')))

    def start(self, key: str, module: str, *parameters: str, remap: tuple[str, ...] = (),
              env: dict[str, str] | None = None) -> subprocess.Popen:
        words = [word for each in parameters for word in ('-p', each)]
        words += [word for each in remap for word in ('-r', each)]
        self.processes[key] = subprocess.Popen(
            [sys.executable, '-m', module, '--ros-args', *words], cwd=ROOT,
            env={**self.env, **(env or {})}, stdout=subprocess.DEVNULL,
            stderr=self._log(key))
        return self.processes[key]

    def gaze(self, *parameters: str) -> subprocess.Popen:
        return self.start(
            'gaze', 'gaze_robot.nodes.gaze_node', f'model.path:={self.checkpoint}',
            'model.runtime:=torch', *parameters, remap=('joint_states:=seen/joint_states',))

    def head(self, *parameters: str) -> subprocess.Popen:
        return self.start('pan_tilt', 'gaze_robot.nodes.pan_tilt_node', *parameters)

    def camera(self, **settings) -> subprocess.Popen:
        """The camera, with these settings; started if it is not there."""
        process = self.processes.get('camera')
        if process is None or process.poll() is not None:
            if process is not None:
                _close_pipes(process)
            process = self.processes['camera'] = subprocess.Popen(
                [sys.executable, str(HERE / 'camera_process.py')], cwd=ROOT, env=self.env,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        process.stdin.write(json.dumps(settings) + '\n')
        process.stdin.flush()
        line = ' '
        while line and line.strip() != 'applied':       # Fast DDS writes on stdout, too
            line = process.stdout.readline()
        assert line, 'the camera ended'
        return process

    def _log(self, key: str):
        if key not in self._logs:
            self._logs[key] = tempfile.TemporaryFile('w+', errors='replace')  # noqa: SIM115
        return self._logs[key]

    def look_at(self, pan: float, tilt: float) -> None:
        """Tell gaze_node to look there (base frame), again and again until it has heard."""
        ray = direction_from_pan_tilt(np.array(pan), np.array(tilt))
        message = _messages.point_from_ray(ray, _messages.header(_messages.stamp(0.0), ''))
        self.witness.spin(PATIENCE_S, lambda: self.looks.get_subscription_count() > 0)
        self.looks.publish(message)

    @contextlib.contextmanager
    def busy(self, count: int) -> Iterator[None]:
        """So many processes that do nothing but keep the machine busy."""
        loops = [subprocess.Popen([sys.executable, '-c', 'while True: pass'])
                 for _ in range(count)]
        try:
            yield
        finally:
            for loop in loops:
                loop.kill()
                loop.wait()

    def said(self, key: str) -> str:
        """Everything that the processes of this key wrote on stderr so far."""
        with open(f'/proc/self/fd/{self._logs[key].fileno()}', errors='replace') as log:
            return log.read()

    def usage(self, key: str) -> tuple[float, int, int]:
        """(resident MiB, threads, open files) of a process."""
        folder = Path('/proc') / str(self.processes[key].pid)
        fields = dict(line.split(':', 1) for line in (folder / 'status').read_text().splitlines())
        return (int(fields['VmRSS'].split()[0]) / 1024, int(fields['Threads']),
                len(list((folder / 'fd').iterdir())))

    def kill(self, key: str, how: signal.Signals = signal.SIGKILL) -> int:
        process = self.processes[key]
        process.send_signal(how)
        return process.wait(30)

    def alive(self) -> list[str]:
        return [key for key, process in self.processes.items() if process.poll() is None]

    def close(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()
            _close_pipes(process)
        for log in self._logs.values():
            log.close()
        self.witness.close()
