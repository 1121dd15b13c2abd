"""Breaks a running robot in every way it knows, one after the other, and watches it heal."""

from collections.abc import Callable, Iterator
import contextlib
from dataclasses import dataclass, field
import os
import signal
import time
from typing import Any

import numpy as np

from gaze_robot.errors import SoakError
from gaze_robot.nodes._alone import Alone, running
from gaze_robot.nodes._soak_witness import SoakWitness
from gaze_robot.optional import require
from gaze_robot.soak import KILLS_UNTIL, SoakConfig
from gaze_robot.soak.processes import Processes
from gaze_robot.soak.verdict import Fault, Sample

START_S, SHOW_S, HEAL_S = 240.0, 20.0, 120.0
SAMPLE_EVERY_S = 5.0
RESPAWN_S = 2.0
WARM_UP = 0.1
"""Share of the run that comes after the last kill and is not judged."""


@dataclass(frozen=True)
class Kind:
    """One way to break a robot."""

    name: str
    act: Callable[['Soak'], contextlib.AbstractContextManager[None]]
    """Breaks it on entry and undoes that on exit."""

    node: str
    """Whose diagnostics are to tell."""

    signs: tuple[str, ...]
    """Any of these tells; 'silent': that there are no diagnostics any more."""

    kills: bool = False


@dataclass
class Soak:
    """A run: what it works with, and what it found."""

    config: SoakConfig
    processes: Processes
    run: Alone
    witness: SoakWitness
    samples: list[Sample] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    calm_from_s: float = 0.0
    _sampled_s: float = 0.0

    @property
    def beyond(self) -> list[str]:
        """Every time that the head left its limits."""
        return self.witness.beyond

    def wait(self, seconds: float, until: Callable[[], bool] = lambda: False) -> float | None:
        """Go on for so long or `until`, measuring; seconds it took, None: it never came true."""
        start_s = time.monotonic()
        while not self.run.stop.is_set():
            self.run.spin_some(time.monotonic() + 0.02)
            now_s = time.monotonic()
            if now_s - self._sampled_s >= SAMPLE_EVERY_S:
                self._sampled_s = now_s
                self.samples += self.processes.sample()
            if until():
                return now_s - start_s
            if now_s - start_s >= seconds:
                return None
        return None

    def all_is_well(self) -> bool:
        """Both nodes say so, and commands flow."""
        return self.witness.is_well()

    def suffer(self, kind: Kind, at_s: float) -> Fault:
        """One fault, from its begin until all is well again."""
        def shows() -> bool:
            return bool(set(kind.signs) & self.witness.signs(kind.node))
        with kind.act(self):
            shown_s = self.wait(SHOW_S, shows)
            told = ', '.join(sorted(self.witness.signs(kind.node)))
            self.wait(0.5)
        if shown_s is None:                 # a short one may show just after
            late_s = self.wait(2.0, shows)
            shown_s = None if late_s is None else SHOW_S + late_s
        self.witness.commands_before = self.witness.commands
        healed_s = self.wait(HEAL_S, self.all_is_well)
        return Fault(kind.name, round(at_s, 1), _rounded(shown_s), _rounded(healed_s), told)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


# --- ways to break it ----------------------------------------------------------------------------

@contextlib.contextmanager
def _frozen(soak: Soak, name: str) -> Iterator[None]:
    soak.processes.send(name, signal.SIGSTOP)
    try:
        yield
    finally:
        soak.processes.send(name, signal.SIGCONT)


@contextlib.contextmanager
def _killed(soak: Soak, name: str) -> Iterator[None]:
    soak.processes.send(name, signal.SIGKILL)
    try:
        yield
    finally:
        soak.wait(RESPAWN_S)
        soak.processes.start(name)


@contextlib.contextmanager
def _switched(soak: Soak, service: str, bad: bool) -> Iterator[None]:
    soak.witness.switch(service, bad)
    try:
        yield
    finally:
        soak.witness.switch(service, not bad)


@contextlib.contextmanager
def _poured(soak: Soak, what: str) -> Iterator[None]:
    soak.witness.pour(what)
    try:
        yield
    finally:
        soak.witness.pour('')


@contextlib.contextmanager
def _put_down(soak: Soak, node: str) -> Iterator[None]:
    soak.witness.transition(node, 'deactivate')
    try:
        yield
    finally:
        soak.witness.transition(node, 'activate')


KINDS = (
    Kind('the camera hangs', lambda soak: _frozen(soak, 'world'), 'gaze', ('no image',)),
    Kind('the head hangs', lambda soak: _frozen(soak, 'pan_tilt'), 'gaze', ('no joint states',)),
    Kind('the eye hangs', lambda soak: _frozen(soak, 'gaze'), 'gaze', ('silent',)),
    Kind('run-stop', lambda soak: _switched(soak, 'pan_tilt/runstop', True), 'pan_tilt',
         ('run-stopped',)),
    Kind('torque off', lambda soak: _switched(soak, 'pan_tilt/torque_enable', False), 'pan_tilt',
         ('torque off',)),
    Kind('disabled', lambda soak: _switched(soak, 'gaze/enable', False), 'gaze', ('disabled',)),
    Kind('the eye is deactivated', lambda soak: _put_down(soak, 'gaze'), 'gaze', ('inactive',)),
    Kind('the head is deactivated', lambda soak: _put_down(soak, 'pan_tilt'), 'pan_tilt',
         ('inactive',)),
    Kind('commands beyond the limits', lambda soak: _poured(soak, 'wild commands'), 'pan_tilt',
         ('limits', 'commands refused')),
    Kind('damaged pictures', lambda soak: _poured(soak, 'damaged pictures'), 'gaze',
         ('images dropped', 'no usable image')),
    Kind('pictures of the future', lambda soak: _poured(soak, 'pictures of the future'), 'gaze',
         ('images dropped', 'stamps from the future')),
    Kind('joint states that are NaN', lambda soak: _poured(soak, 'NaN joint states'), 'gaze',
         ('bad joint states',)),
    Kind('the eye is killed', lambda soak: _killed(soak, 'gaze'), 'gaze', ('silent',), True),
    Kind('the head is killed', lambda soak: _killed(soak, 'pan_tilt'), 'gaze',
         ('no joint states',), True),
    Kind('the camera is killed', lambda soak: _killed(soak, 'world'), 'gaze', ('no image',), True),
)


def run_soak(config: SoakConfig, processes: Processes) -> Soak:
    """Run for so long, one fault after the other, in an order drawn from the seed.

    Raises:
        SoakError: the robot does not even start.
    """
    os.environ.update(processes.environment)
    console: Any = require('rich.console').Console(stderr=True)
    rng = np.random.default_rng(config.seed)
    with running(SoakWitness) as run:
        soak = Soak(config, processes, run, run.node)
        if soak.wait(START_S, lambda: soak.all_is_well() or bool(processes.ended())) is None or (
                processes.ended()):
            raise SoakError(f'the robot is not well within {START_S:g} s: '
                            f'{soak.witness.describe()}; {processes.log()}')
        length_s, start_s = config.minutes * 60, time.monotonic()
        left: list[Kind] = []
        while (at_s := time.monotonic() - start_s) < length_s and not run.stop.is_set():
            killing = at_s < KILLS_UNTIL * length_s
            if not killing and not soak.calm_from_s:
                soak.calm_from_s = soak.samples[-1].at_s + WARM_UP * length_s
            left = [kind for kind in left if killing or not kind.kills] or _shuffled(rng, killing)
            fault = soak.suffer(left.pop(), at_s)
            soak.faults.append(fault)
            console.print(f'{at_s:7.0f} s  {fault.name}: told after {fault.shown_s} s '
                          f'({fault.sign}), well after {fault.healed_s} s', highlight=False)
            soak.ended += processes.ended()
            if soak.ended:
                break
            soak.wait(float(rng.uniform(0.5, 1.5)) * config.rest)
    return soak


def _shuffled(rng: np.random.Generator, killing: bool) -> list[Kind]:
    kinds = [kind for kind in KINDS if killing or not kind.kills]
    return [kinds[index] for index in rng.permutation(len(kinds))]
