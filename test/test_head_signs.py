"""What pan_tilt_node shows, over the real authority and the simulated head."""

import itertools

import pytest

pytest.importorskip('rclpy', reason='its package needs rclpy')

from gaze_robot.config import PanTiltConfig
from gaze_robot.drivers.registry import make_configured
from gaze_robot.errors import CommandError
from gaze_robot.nodes._head import Head
from gaze_robot.nodes._head_signs import head_counters, head_signs
from gaze_robot.signs import Window
from gaze_robot.types import PanTiltCommand


@pytest.fixture
def head():
    clock = itertools.count(100.0, 0.01)
    config = PanTiltConfig()
    time_s = lambda: next(clock)  # noqa: E731
    head = Head(lambda limits: make_configured(config, limits=limits, clock=time_s), config,
                time_s)
    yield head
    head.close()


def shown(head, do=lambda: None, state='active', twins=0):
    """The names of the signs after something was done."""
    window = Window()
    window.rises(0.0, head_counters(head))
    do()
    return [sign.code for sign in head_signs(head, state, window.rises(1.0, head_counters(head)),
                                             twins)]


def test_a_head_that_is_well_shows_nothing(head):
    assert shown(head) == []
    assert shown(head, lambda: head.accept([(0.0, PanTiltCommand(0.2, 0.1))])) == []


def test_states_are_shown_while_they_last(head):
    assert shown(head, state='inactive') == ['inactive']
    assert shown(head, twins=2) == ['same name twice']
    assert shown(head, lambda: head.run_stop(True)) == ['run-stopped']
    head.run_stop(False)
    assert shown(head, lambda: head.enable(False)) == ['torque off']
    head.enable(True)
    assert shown(head) == []


def test_limits_and_refusals_are_shown_for_a_while(head):
    assert shown(head, lambda: head.accept([(0.0, PanTiltCommand(0.0, 9.0))])) == ['limits']

    def refused():
        head.run_stop(True)
        try:
            head.accept([(0.0, PanTiltCommand(0.0, 0.0))])
        except CommandError as error:
            head.count_refusal(error)
        head.run_stop(False)
    assert shown(head, refused) == ['commands refused']
    assert shown(head) == []


def test_a_commander_that_falls_silent_is_shown(head):
    def silence():
        head.accept([(0.0, PanTiltCommand(1.0, 0.0))])
        for _ in range(200):
            head.tick()
    assert shown(head, silence) == ['commands stopped']
