"""How punctual the head loop is beside an eye at work, in processes of their own."""

from collections.abc import Callable, Sequence
import math
import multiprocessing
from multiprocessing.connection import Connection
import os
import time
from typing import Any

import numpy as np

from gaze_robot.config import PanTiltConfig
from gaze_robot.control.latency import ahead
from gaze_robot.drivers.registry import make_driver
from gaze_robot.errors import GazeRobotError
from gaze_robot.nodes._head import Head
from gaze_robot.nodes._realtime import ask_for_realtime, PRIORITY
from gaze_robot.optional import available
from gaze_robot.types import PanTiltCommand, PanTiltLimits

RATE_HZ = 100.0
"""Of the head loop; commands come at a third of it."""

_SETTLE = 100
"""First ticks, left out."""


def measure_jitter(seconds: float, seed: int) -> dict[str, Any]:
    """Run head loop, emulated servos and eye, each in a process.

    Returns:
        loop_jitter_p99_ms (how late ticks begin), loop_rate_hz, and what it was measured on:
        emulated Dynamixel servos, or without dynamixel-sdk the simulated head; real-time threads,
        or without permission ordinary ones.
    """
    context = multiprocessing.get_context('spawn')
    servos = available('dynamixel_sdk')
    ours, theirs = context.Pipe()
    with context.Manager() as manager:
        end, looking = manager.Event(), manager.Event()
        processes = [context.Process(target=_look, args=(looking, end, seed), daemon=True)]
        port = ''
        if servos:
            port_here, port_there = context.Pipe()
            processes.append(context.Process(target=_serve, args=(port_there, end), daemon=True))
        for process in processes:
            process.start()
        try:
            port = port_here.recv() if servos else ''
            while not looking.wait(0.2):
                _check_alive(processes)
            head = context.Process(target=_tick, args=(theirs, port, seconds), daemon=True)
            processes.append(head)
            head.start()
            while not ours.poll(0.2):
                _check_alive(processes)
            late_s, worked_s, spent_s, fault, realtime = ours.recv()
        finally:
            end.set()
            for process in processes:
                process.join(10.0)
    late_ms = 1e3 * np.asarray(late_s)[_SETTLE:]
    return {'loop_jitter_p99_ms': float(np.percentile(late_ms, 99)),
            'loop_jitter_p50_ms': float(np.median(late_ms)),
            'loop_jitter_max_ms': float(late_ms.max()),
            'loop_tick_p99_ms': float(np.percentile(1e3 * np.asarray(worked_s)[_SETTLE:], 99)),
            'loop_rate_hz': len(late_s) / spent_s, 'loop_fault': fault or 'none',
            'loop_realtime': realtime,
            'loop_head': 'emulated Dynamixel servos' if servos else 'simulated head',
            'load_average_1_min': os.getloadavg()[0]}


def _check_alive(processes: Sequence[Any]) -> None:
    if not all(process.is_alive() for process in processes):
        raise GazeRobotError('a process of the measurement died; its error is above')


def _tick(answer: Connection, port: str, seconds: float) -> None:
    """The head loop as pan_tilt_node runs it, following a slow swing."""
    # Emulated servos wait for a processor, which real ones do not: late answers are to count as
    # late ticks, not as a fault.
    options: dict[str, Any] = ({'port': port, 'timeout_s': 0.3} if port
                               else {'clock': time.monotonic})
    backend = 'dynamixel' if port else 'sim'
    realtime = ask_for_realtime()
    head = Head(lambda limits: make_driver(backend, limits=limits, **options),
                PanTiltConfig(backend=backend, enable_at_start=True), time.monotonic)
    late_s, worked_s = [], []
    start_s = time.monotonic()
    for tick in range(round(seconds * RATE_HZ)):
        due_s = start_s + tick / RATE_HZ
        time.sleep(max(due_s - time.monotonic(), 0.0))
        begun_s = time.monotonic()
        late_s.append(begun_s - due_s)
        if not head.fault and tick % 3 == 0:
            head.accept([(0.0, _swing(begun_s - start_s, head.limits))])
        head.tick()
        worked_s.append(time.monotonic() - begun_s)
    spent_s = time.monotonic() - start_s
    fault = head.fault
    head.close()
    answer.send((late_s, worked_s, spent_s, fault, realtime))


def _swing(time_s: float, limits: PanTiltLimits) -> PanTiltCommand:
    angle = math.pi * 0.5 * time_s
    return ahead(PanTiltCommand(0.5 * math.sin(angle), 0.2 * math.cos(angle),
                                0.25 * math.pi * math.cos(angle),
                                -0.1 * math.pi * math.sin(angle)), 0.0, limits)


def _serve(port: Connection, end: Any) -> None:
    """Emulated servos: real ones do not wait for a processor, so these go before the head loop."""
    ask_for_realtime(PRIORITY + 1)
    from gaze_robot.emulators.dynamixel import DynamixelEmulator
    with DynamixelEmulator() as servos:
        port.send(servos.port)
        end.wait()


def _look(looking: Any, end: Any, seed: int) -> None:
    """The eye as gaze_node runs it: VGA pictures at 30 Hz, a search that goes on and on."""
    import torch

    from gaze_robot.camera import CameraModel
    from gaze_robot.config import GazeConfig
    from gaze_robot.pipeline import GazePipeline
    from gaze_robot.types import Frame, PanTiltState
    from gaze_robot_sim.scenes import open_world
    torch.set_num_threads(1)
    world = open_world('procedural', seed)
    scene = world.scene(0)
    panorama = scene.panorama()
    camera = CameraModel.from_hfov(640, 480, math.radians(90))
    pictures = [panorama.picture(camera, pan, 0.0) for pan in (-1.0, -0.3, 0.4, 1.2)]
    pipeline = GazePipeline.from_checkpoint(config=GazeConfig(model_device='cpu'))
    pipeline.warm_up()
    pipeline.look_for(scene.sample_target(np.random.default_rng(seed)).exemplar)
    looking.set()
    _at_rate(30.0, end, lambda index: pipeline.step(
        Frame(pictures[index // 30 % 4], index / 30, camera), PanTiltState(0.0, 0.0)))
    world.close()


def _at_rate(rate_hz: float, end: Any, work: Callable[[int], object]) -> None:
    """Do something at a rate until told to end; what comes late is not made up for."""
    index, due_s = 0, time.monotonic()
    while not end.wait(max(due_s - time.monotonic(), 0.0)):
        work(index)
        index += 1
        due_s = max(due_s + 1 / rate_hz, time.monotonic())
