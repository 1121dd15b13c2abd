"""Commands brought to the moment they take effect."""

import math

from hypothesis import given
from hypothesis import strategies as st
import pytest

from gaze_robot.control.latency import ahead, LONGEST_LEAD_S
from gaze_robot.errors import CommandError
from gaze_robot.types import PanTiltCommand, PanTiltLimits

LIMITS = PanTiltLimits((-1.0, -0.5), (1.0, 0.5))


def test_a_target_at_30_degrees_per_second_is_3_degrees_on_after_100_ms():
    moved = ahead(PanTiltCommand(0.0, 0.0, math.radians(30), -math.radians(10)), 0.1, LIMITS)
    assert math.degrees(moved.pan_rad) == pytest.approx(3.0)
    assert math.degrees(moved.tilt_rad) == pytest.approx(-1.0)
    assert moved.pan_rad_s == math.radians(30)


@pytest.mark.parametrize('lead_s', [0.0, -0.3, -math.inf])
def test_stamps_from_the_future_lead_nothing(lead_s):
    command = PanTiltCommand(0.1, 0.2, 1.0, 1.0)
    assert ahead(command, lead_s, LIMITS) == command


@pytest.mark.parametrize('lead_s', [LONGEST_LEAD_S, 100.0, math.inf])
def test_a_very_old_picture_is_not_led_further_and_further(lead_s):
    assert ahead(PanTiltCommand(0.0, 0.0, 1.0), lead_s, LIMITS).pan_rad == LONGEST_LEAD_S


def test_beyond_the_limit_it_stops_there():
    assert ahead(PanTiltCommand(0.9, 0.0, 2.0), 0.2, LIMITS) == PanTiltCommand(1.0, 0.0)


def test_no_number_of_seconds_is_refused():
    with pytest.raises(CommandError, match='one clock'):
        ahead(PanTiltCommand(0.0, 0.0), math.nan, LIMITS)


numbers = st.floats(-1e6, 1e6)


@given(numbers, numbers, numbers, numbers, st.floats(allow_nan=False))
def test_it_never_leads_out_of_the_limits(pan, tilt, pan_speed, tilt_speed, lead_s):
    moved = ahead(PanTiltCommand(pan, tilt, pan_speed, tilt_speed), lead_s, LIMITS)
    assert LIMITS.clip(moved) == moved
