"""The whole way from 'look there' to the wire: whatever comes in, the limits hold at the end."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np

from gaze_robot.config import PanTiltConfig
from gaze_robot.control.controller import Controller
from gaze_robot.control.latency import ahead
from gaze_robot.control.poses import PoseBuffer
from gaze_robot.drivers.kinematic import KinematicDriver
from gaze_robot.errors import CommandError, DriverError
from gaze_robot.nodes._head import Head
from gaze_robot.types import PanTiltCommand, PanTiltState

TICK, SAMPLES = 0.01, 8
CONFIG = PanTiltConfig(
    limits_pan_min_position=-1.5, limits_pan_max_position=2.0, limits_pan_max_velocity=2.0,
    limits_tilt_min_position=-0.4, limits_tilt_max_position=0.6, limits_tilt_max_velocity=1.0,
    limits_pan_max_acceleration=20.0, limits_tilt_max_acceleration=8.0)
LOW, HIGH = np.array(CONFIG.limits.min_position), np.array(CONFIG.limits.max_position)
FASTEST = np.array(CONFIG.limits.max_velocity)
STRENGTH = np.array(CONFIG.limits.max_acceleration)


class Wire(KinematicDriver):
    """A head that remembers what it was sent."""

    def __init__(self, limits, clock, streams):
        super().__init__(limits, clock=clock)
        self.streams, self.sent = streams, []

    def command(self, goal):
        self.sent.append((goal.pan_rad, goal.tilt_rad, goal.pan_rad_s, goal.tilt_rad_s))
        return super().command(goal)


class Chain:
    """Pose buffer, controller, lead, head and a simulated head, on a clock that is turned."""

    def __init__(self, streams):
        self.now_s, self.streams = 100.0, streams
        self.head = Head(lambda limits: self.wire(limits), CONFIG, lambda: self.now_s)
        self.controller, self.poses = Controller(CONFIG.limits), PoseBuffer()
        self.moved = []
        """(T, 4) true position and speed, `SAMPLES` times a tick."""

    def wire(self, limits):
        self.driver = Wire(limits, lambda: self.now_s, self.streams)
        return self.driver

    def tick(self, count):
        for _ in range(count):
            for _ in range(SAMPLES):
                self.now_s += TICK / SAMPLES
                pose = self.driver.read()
                self.moved.append((pose.pan_rad, pose.tilt_rad, pose.pan_rad_s, pose.tilt_rad_s))
            self.poses.add(self.head.tick())

    def see(self, direction, stamp_s, dt_s):
        """One picture's worth; what is refused is refused as an error of this package."""
        try:
            pose = self.poses.at(stamp_s)
            command, _ = self.controller.step(np.array(direction), pose, dt_s)
            self.head.accept([(0.0, ahead(command, self.now_s - stamp_s, CONFIG.limits))])
        except (CommandError, DriverError) as error:
            return str(error)
        return ''

    def check(self):
        rows = np.array(self.moved)
        assert np.isfinite(rows).all()
        assert (rows[:, :2] >= LOW - 1e-9).all()
        assert (rows[:, :2] <= HIGH + 1e-9).all()
        assert (np.abs(rows[:, 2:]) <= FASTEST + 1e-9).all()
        gained = np.abs(np.diff(rows[:, 2:], axis=0)) / (TICK / SAMPLES)
        assert (gained <= STRENGTH * (1 + 1e-6)).all()
        sent = np.array(self.driver.sent).reshape(-1, 4)
        assert np.isfinite(sent).all()
        assert (sent[:, :2] >= LOW).all()
        assert (sent[:, :2] <= HIGH).all()
        assert (np.abs(sent[:, 2:]) <= FASTEST).all()


anything = st.floats(allow_nan=True, allow_infinity=True)
directions = st.one_of(st.tuples(anything, anything, anything),
                       st.tuples(*[st.floats(-1, 1)] * 3))
ages = st.one_of(st.floats(-0.2, 0.5), anything)
gaps = st.one_of(st.floats(0.0, 0.2), anything)


@settings(deadline=None, max_examples=40)
@given(st.booleans(), st.lists(st.tuples(directions, ages, gaps, st.integers(1, 12)),
                               min_size=1, max_size=10))
def test_nothing_that_comes_in_gets_a_limit_broken(streams, script):
    chain = Chain(streams)
    chain.tick(2)
    for direction, age_s, gap_s, ticks in script:
        chain.see(direction, chain.now_s - age_s, gap_s)
        chain.tick(ticks)
    chain.check()


@settings(deadline=None, max_examples=40)
@given(st.booleans(), st.lists(st.tuples(st.tuples(*[anything] * 4), st.floats(0.0, 0.4),
                                         st.integers(1, 12)), min_size=1, max_size=10))
def test_nothing_that_is_commanded_gets_a_limit_broken(streams, script):
    """The head alone: its limits do not rely on the controller's."""
    chain = Chain(streams)
    chain.tick(1)
    for goal, due_s, ticks in script:
        if all(math.isfinite(value) for value in goal):
            chain.head.accept([(due_s, PanTiltCommand(*goal))])
        chain.tick(ticks)
    chain.check()


def sent_pans(streams):
    """Positions on the wire while a target 45 degrees to the left is looked at for 0.9 s."""
    chain = Chain(streams)
    chain.tick(1)
    for _ in range(30):
        assert not chain.see((1.0, 1.0, 0.0), chain.now_s, 1 / 30)
        chain.tick(3)
    return np.array(chain.driver.sent)[:, 0]


def test_a_head_that_streams_gets_small_steps_at_every_tick():
    pans = sent_pans(streams=True)
    assert len(pans) == 90
    assert np.abs(np.diff(pans, prepend=0.0)).max() <= 2.0 * TICK + 1e-9
    assert abs(pans[-1] - math.pi / 4) < 1e-6


def test_any_other_head_gets_the_goal_with_every_picture():
    pans = sent_pans(streams=False)
    assert len(pans) == 30
    np.testing.assert_allclose(pans, math.pi / 4, atol=1e-9)


def test_a_blocked_head_is_not_pushed_on(monkeypatch):
    """Somebody holds it: setpoints do not run away, and none wait for it to be let go."""
    chain = Chain(streams=True)
    chain.tick(1)
    monkeypatch.setattr(chain.driver, 'read', lambda: PanTiltState(0.0, 0.0, stamp_s=chain.now_s))
    for _ in range(40):
        chain.head.accept([(0.0, PanTiltCommand(1.9, 0.0))])
        chain.tick(3)
    assert np.array(chain.driver.sent)[:, 0].max() < 0.25 * 2.0 + 0.05
    assert int(chain.head.report()[1]['blocked']) >= 1
