"""Whatever is asked of a head, what leaves on its wire keeps to the limits.

Judged at the emulator, from the bytes that arrived, through the head loop of pan_tilt_node, the
driver, its library and the wire.
"""

import contextlib
import math
import re
import time

from hypothesis import given, HealthCheck, settings
from hypothesis import strategies as st
import pytest

from gaze_robot.config import PanTiltConfig
from gaze_robot.drivers.registry import make_configured
from gaze_robot.emulators.clock import ManualClock
from gaze_robot.emulators.dynamixel import DynamixelEmulator
from gaze_robot.emulators.feetech import FeetechEmulator
from gaze_robot.emulators.onvif import OnvifEmulator
from gaze_robot.emulators.pelco_d import PelcoDEmulator
from gaze_robot.errors import GazeRobotError
from gaze_robot.nodes._head import Head
from gaze_robot.types import PanTiltCommand, PanTiltLimits

pytest.importorskip('serial', reason='the extra hardware')

LIMITS = PanTiltLimits((-0.9, -0.4), (0.7, 0.5), (1.1, 0.5), (9.0, 6.0))
FULL_SPEED, FULL_RANGE = (1.4, 0.7), (3.1416, 1.5708)
TICK = 2 * math.pi / 4096
ANGLES = {f'limits_{axis}_{end}_{what}': getattr(LIMITS, f'{end}_{what}')[index]
          for index, axis in enumerate(('pan', 'tilt'))
          for end, what in (('min', 'position'), ('max', 'position'), ('max', 'velocity'),
                            ('max', 'acceleration'))}

# Steps of a servo's registers, from the vendors' manuals.
UNITS = {'dynamixel': (0.229 * 2 * math.pi / 60, 214.577 * 2 * math.pi / 3600),
         'feetech': (TICK, 100 * TICK)}


def servo_limits_hold(emulator, backend):
    velocity_step, acceleration_step = UNITS[backend]
    for number, acceleration, velocity, goal in emulator.goals:
        axis = number - 1
        assert LIMITS.min_position[axis] - 1e-9 <= (goal - 2048) * TICK
        assert (goal - 2048) * TICK <= LIMITS.max_position[axis] + 1e-9
        assert 0 < velocity * velocity_step <= LIMITS.max_velocity[axis] + 1e-9
        assert 0 < acceleration * acceleration_step <= LIMITS.max_acceleration[axis] + 1e-9
    for number, servo in emulator.servos.items():
        motion_holds(servo.axis, number - 1, TICK, 2048, TICK)


def motion_holds(axis, index, unit, centre, slack):
    assert (axis.lowest - centre) * unit >= LIMITS.min_position[index] - slack
    assert (axis.highest - centre) * unit <= LIMITS.max_position[index] + slack
    assert axis.fastest * unit <= LIMITS.max_velocity[index] + 1e-6


def speeds_hold(told, quantum):
    """(seconds, pan speed, tilt speed) one after the other; going to rest is always allowed.

    From one to the next, as much as the acceleration allows while the first held, a fiftieth of a
    second at least, and one step of what the wire can say.
    """
    for before, after in zip([(-1e9, 0.0, 0.0), *told], told):
        for axis in (0, 1):
            old, new = before[1 + axis], after[1 + axis]
            assert abs(new) <= LIMITS.max_velocity[axis] + 1e-9
            rise = abs(new - old) if old * new < 0 else abs(new) - abs(old)
            held_s = min(max(after[0] - before[0], 0.02), 0.1)
            assert rise <= LIMITS.max_acceleration[axis] * held_s + quantum[axis] + 1e-9


def pelco_holds(emulator, backend):
    speeds_hold(emulator.told, [full / 63 for full in FULL_SPEED])
    for index, axis in enumerate((emulator.pan, emulator.tilt)):
        motion_holds(axis, index, 1.0, 0.0, 0.02)


def onvif_holds(emulator, backend):
    for kind, x, y, fast_x, fast_y in emulator.told:
        assert kind == 'Absolute'
        for axis, (place, share) in enumerate(((x, fast_x), (y, fast_y))):
            assert LIMITS.min_position[axis] - 1e-5 <= -place * FULL_RANGE[axis]
            assert -place * FULL_RANGE[axis] <= LIMITS.max_position[axis] + 1e-5
            assert 0 < share * FULL_SPEED[axis] <= LIMITS.max_velocity[axis] + 1e-9
    for index, axis in enumerate(emulator.axes):
        motion_holds(axis, index, 1.0, 0.0, 1e-5)


def continuous_holds(emulator, backend):
    assert all(kind == 'Continuous' for kind, *_ in emulator.told)
    speeds = [(-x * FULL_SPEED[0], -y * FULL_SPEED[1]) for _, x, y, *_ in emulator.told]
    for pan, tilt in speeds:
        assert abs(pan) <= LIMITS.max_velocity[0] + 1e-3
        assert abs(tilt) <= LIMITS.max_velocity[1] + 1e-3
    for index, axis in enumerate(emulator.axes):
        motion_holds(axis, index, 1.0, 0.0, 0.03)


def onvif_of(**options):
    def make(clock):
        return OnvifEmulator(clock=clock, full_speed=FULL_SPEED, full_range=FULL_RANGE, **options)
    return make


HEADS = {
    'dynamixel': ('dynamixel', lambda clock: DynamixelEmulator(clock=clock), servo_limits_hold),
    'feetech': ('feetech', lambda clock: FeetechEmulator(clock=clock), servo_limits_hold),
    'pelco_d': ('pelco_d', lambda clock: PelcoDEmulator(clock=clock, full_speed=FULL_SPEED),
                pelco_holds),
    'onvif': ('onvif', onvif_of(), onvif_holds),
    'onvif, continuous': ('onvif', onvif_of(moves=('Continuous',), tells_position=False),
                          continuous_holds)}

anything = st.one_of(st.floats(), st.floats(-3, 3), st.sampled_from([math.nan, math.inf, -1e300]))
goals = st.tuples(anything, anything, anything, anything)
points = st.lists(st.tuples(st.one_of(st.floats(0, 1), anything), goals), max_size=3)
stamps = st.one_of(st.none(), st.floats(-1, 6), anything)
scripts = st.lists(st.one_of(
    st.tuples(st.just('accept'), points, stamps), st.tuples(st.just('command'), goals),
    st.tuples(st.sampled_from(['stop', 'home', 'runstop', 'release', 'off', 'on', 'zero'])),
    st.tuples(st.just('wait'), st.integers(1, 20))), min_size=1, max_size=10)


def do(head, clock, step):
    """One step of a script; refusals are part of it."""
    word, *values = step
    if word == 'accept':
        made = [(at, PanTiltCommand(*goal)) for at, goal in values[0]]
        head.accept(made, None if values[1] is None else clock() + values[1])
    elif word == 'command':                     # past the head loop, straight to the driver
        head._drive._driver.command(PanTiltCommand(*values[0]))
    elif word == 'wait':
        for _ in range(values[0]):
            clock.wait(0.01)
            head.tick()
    else:
        {'stop': head.stop, 'home': head.home, 'runstop': lambda: head.run_stop(True),
         'release': lambda: head.run_stop(False), 'off': lambda: head.enable(False),
         'on': lambda: head.enable(True), 'zero': head.set_zero}[word]()


@pytest.mark.parametrize('name', HEADS)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(scripts)
def test_nothing_that_is_asked_breaks_a_limit_on_the_wire(name, script):
    backend, make, holds = HEADS[name]
    if backend == 'dynamixel':
        pytest.importorskip('dynamixel_sdk')
    clock = ManualClock()
    with make(clock) as emulator:
        config = PanTiltConfig(
            backend=backend, port=emulator.port, full_speed=FULL_SPEED, full_range=FULL_RANGE,
            position_query=True, enable_at_start=True, **ANGLES)
        slow = {'timeout_s': 5.0, 'clock': clock}
        head = Head(lambda limits: make_configured(config, limits=limits, **slow), config, clock)
        try:
            # Something always moves: a plain goal first, and time to get there at the end.
            for step in [('accept', [(0.0, (0.5, 0.3, 0.0, 0.0))], None), ('wait', 5), *script,
                         ('wait', 10)]:
                with contextlib.suppress(GazeRobotError):
                    do(head, clock, step)
                assert head.fault == ''
        finally:
            head.close()
        with emulator.lock:
            emulator.catch_up()
        holds(emulator, backend)
        assert getattr(emulator, 'goals', None) or emulator.told


def test_the_judges_see_a_limit_that_is_broken():
    """The checks above fail where they should: a goal, a speed and a jump beyond the limits."""
    clock = ManualClock()
    servos = DynamixelEmulator(clock=clock)
    for goal in ((1, 20, 20, 3000), (1, 20, 60, 2048), (2, 100, 5, 2048), (2, 0, 5, 2048)):
        servos.goals = [goal]
        with pytest.raises(AssertionError):
            servo_limits_hold(servos, 'dynamixel')
    for told in ([(0.0, 1.2, 0.0)], [(0.0, 0.5, 0.0), (0.02, -0.5, 0.0)],
                 [(0.0, 0.0, 0.0), (0.02, 1.0, 0.0)]):
        with pytest.raises(AssertionError):
            speeds_hold(told, (0.02, 0.01))


def spoil(name, count):
    def start(emulator):
        setattr(emulator.faults, name, count)

    def end(emulator):
        setattr(emulator.faults, name, 0)
    return start, end


FAULTS = {
    'dropped byte': spoil('drop_byte', 1), 'every byte': spoil('drop_byte', -1),
    'wrong checksum': spoil('bad_checksum', 1), 'every checksum': spoil('bad_checksum', -1),
    'silence': spoil('silent', -1),
    'overheating': (lambda emulator: emulator.overheat(1),
                    lambda emulator: emulator.power_cycle()),
    'power cycle': (lambda emulator: emulator.power_cycle(), lambda emulator: None),
    'unplugged': (lambda emulator: emulator.unplug(), lambda emulator: emulator.plug())}
ABSORBED = {'dropped byte', 'wrong checksum'}
SAYS = {'every byte': 'garbled|packet|answer|XML|not', 'every checksum': 'garbled|packet|XML',
        'silence': 'did not answer|cannot reach', 'overheating': 'overheating',
        'power cycle': 'torque', 'unplugged': 'plugged in|on the network'}


@pytest.mark.parametrize('fault', FAULTS)
@pytest.mark.parametrize('name', ['dynamixel', 'feetech', 'pelco_d', 'onvif'])
def test_a_fault_under_motion_is_told_breaks_no_limit_and_is_recovered_from(name, fault):
    """Through the head loop: a spoilt answer is asked for again, the rest waits for ~/reset."""
    backend, make, holds = HEADS[name]
    if backend == 'dynamixel':
        pytest.importorskip('dynamixel_sdk')
    servos = backend in ('dynamixel', 'feetech')
    if fault == 'overheating' and not servos:
        pytest.skip('this head reports no temperature')
    clock = ManualClock()
    with make(clock) as emulator:
        config = PanTiltConfig(
            backend=backend, port=emulator.port, full_speed=FULL_SPEED, full_range=FULL_RANGE,
            position_query=True, enable_at_start=True, command_timeout=60.0, **ANGLES)
        head = Head(lambda limits: make_configured(config, limits=limits, clock=clock,
                                                   timeout_s=0.5), config, clock)
        head.accept([(0.0, PanTiltCommand(0.6, 0.3))])
        do(head, clock, ('wait', 15))
        start, end = FAULTS[fault]
        survives = fault in ABSORBED or (fault == 'power cycle' and not servos)
        if backend != 'onvif' and not survives:
            head._drive._driver._port.timeout_s = 0.05      # until it is reopened
        start(emulator)
        do(head, clock, ('wait', 60))
        if survives:
            assert head.fault == ''
        else:
            assert re.search(SAYS[fault], head.fault), head.fault
            assert head.report()[0].startswith('fault: ')
        if backend == 'pelco_d' and not survives and fault != 'unplugged':
            end_s = time.monotonic() + 10           # the head is told to stop, without an answer
            while emulator.told[-1][1:] != (0.0, 0.0) and time.monotonic() < end_s:
                time.sleep(0.001)
            assert emulator.told[-1][1:] == (0.0, 0.0)
        end(emulator)
        clock.wait(0.0 if survives else 6.0)
        head.reset()
        head.enable(True)
        head.accept([(0.0, PanTiltCommand(-0.4, -0.2))])
        do(head, clock, ('wait', 600 if backend == 'pelco_d' else 300))
        assert head.fault == ''
        assert (head.pose.pan_rad, head.pose.tilt_rad) == pytest.approx((-0.4, -0.2), abs=0.02)
        head.close()
        with emulator.lock:
            emulator.catch_up()
        if backend == 'pelco_d' and fault == 'unplugged':
            # Nobody can tell it to stop, and the protocol has no time-out: its own stops must.
            speeds_hold(emulator.told, [full / 63 for full in FULL_SPEED])
        else:
            holds(emulator, backend)
