"""Pose at the image stamp, saccade / pursuit / hold, and limits that nothing gets past."""

import math
import threading

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from gaze_robot.control.controller import Controller, ControllerConfig, Settling
from gaze_robot.control.latency import ahead
from gaze_robot.control.poses import PoseBuffer
from gaze_robot.drivers.kinematic import advance
from gaze_robot.errors import CommandError, ConfigError, DriverError
from gaze_robot.types import PanTiltLimits, PanTiltState

LIMITS = PanTiltLimits((-2.97, -1.05), (2.97, 1.05))
DT = 1 / 30


def look(pan, tilt=0.0):
    """A base-frame direction, written out by hand."""
    return np.array([math.cos(tilt) * math.cos(pan), math.cos(tilt) * math.sin(pan),
                     -math.sin(tilt)])


def pose(pan, tilt=0.0):
    return PanTiltState(pan, tilt)


# --- PoseBuffer


def filled(*stamps, speed=2.0):
    buffer = PoseBuffer()
    for stamp in stamps:
        buffer.add(PanTiltState(speed * stamp, -stamp, speed, -1.0, stamp))
    return buffer


def test_pose_between_two_is_interpolated_at_the_image_stamp():
    buffer = PoseBuffer()
    buffer.add(PanTiltState(0.0, 1.0, 0.0, 4.0, 10.0))
    buffer.add(PanTiltState(1.0, 0.0, 2.0, 0.0, 10.1))
    assert buffer.at(10.025) == PanTiltState(
        pytest.approx(0.25), pytest.approx(0.75), pytest.approx(0.5), pytest.approx(3.0), 10.025)


@given(st.floats(0.0, 3.0))
def test_head_at_constant_speed_is_known_exactly_at_any_stamp(stamp):
    buffer = filled(*np.cumsum([0.0] + [0.07, 0.013, 0.4] * 7)[:20].tolist())
    newest = buffer.latest.stamp_s
    state = buffer.at(min(stamp, newest + 0.05))
    assert state.pan_rad == pytest.approx(2.0 * min(stamp, newest + 0.05), abs=1e-9)
    assert state.tilt_rad == pytest.approx(-min(stamp, newest + 0.05), abs=1e-9)


def test_just_beyond_the_newest_its_speed_carries_on():
    state = filled(1.0, 2.0).at(2.04)
    assert state.pan_rad == pytest.approx(4.08)
    assert state.stamp_s == 2.04


def test_far_beyond_the_newest_it_is_the_newest_with_its_own_stamp():
    assert filled(1.0, 2.0).at(2.06) == filled(1.0, 2.0).latest


def test_before_the_oldest_it_is_the_oldest():
    assert filled(1.0, 2.0).at(0.3) == PanTiltState(2.0, -1.0, 2.0, -1.0, 1.0)


def test_stamp_of_a_kept_pose_gives_that_pose():
    buffer = filled(1.0, 1.5, 2.0)
    assert buffer.at(1.5) == PanTiltState(3.0, -1.5, 2.0, -1.0, 1.5)


@pytest.mark.parametrize('field', range(5))
@pytest.mark.parametrize('bad', [math.nan, math.inf])
def test_pose_that_is_not_finite_is_dropped_and_counted(field, bad):
    values = [0.0, 0.0, 0.0, 0.0, 5.0]
    values[field] = bad
    buffer = filled(1.0)
    assert not buffer.add(PanTiltState(*values))
    assert (buffer.dropped, len(buffer)) == (1, 1)


@pytest.mark.parametrize('stamp', [2.0, 1.9, 1.2])
def test_pose_out_of_order_is_dropped_and_counted(stamp):
    buffer = filled(1.0, 2.0)
    assert not buffer.add(PanTiltState(9.0, 9.0, 0.0, 0.0, stamp))
    assert (buffer.dropped, len(buffer)) == (1, 2)
    assert buffer.latest.stamp_s == 2.0


def test_clock_that_starts_again_empties_the_buffer_instead_of_blocking_it():
    buffer = filled(100.0, 100.1)
    assert buffer.add(PanTiltState(0.5, 0.0, 0.0, 0.0, 0.0))
    assert (len(buffer), buffer.at(0.0).pan_rad) == (1, 0.5)


def test_buffer_keeps_the_newest_of_its_capacity():
    buffer = PoseBuffer(capacity=3)
    for stamp in range(10):
        buffer.add(PanTiltState(stamp, 0.0, 0.0, 0.0, stamp))
    assert len(buffer) == 3
    assert buffer.at(0.0).stamp_s == 7


def test_empty_buffer_says_what_is_missing():
    buffer = PoseBuffer()
    assert buffer.latest is None
    with pytest.raises(DriverError, match='no head pose has arrived'):
        buffer.at(1.0)


def test_stamp_that_is_not_finite_is_refused():
    with pytest.raises(CommandError, match='finite'):
        filled(1.0).at(math.nan)


def test_capacity_of_one_cannot_interpolate():
    with pytest.raises(ConfigError, match='2'):
        PoseBuffer(capacity=1)


def test_buffer_may_be_filled_and_read_from_two_threads():
    buffer, done = PoseBuffer(capacity=8), threading.Event()

    def fill():
        for step in range(1, 3000):
            buffer.add(PanTiltState(step * 1e-3, 0.0, 1.0, 0.0, step * 1e-3))
        done.set()

    buffer.add(PanTiltState(0.0, 0.0, 1.0, 0.0, 0.0))
    thread = threading.Thread(target=fill)
    thread.start()
    while not done.is_set():
        newest = buffer.latest.stamp_s
        state = buffer.at(newest - 0.0005)
        assert state.pan_rad == pytest.approx(state.stamp_s, abs=1e-9)
    thread.join()


# --- Controller


def test_far_target_is_a_saccade_straight_to_it_with_no_speed():
    command, mode = Controller(LIMITS).step(look(1.0, -0.4), pose(0.0), DT)
    assert mode == 'saccade'
    assert (command.pan_rad, command.tilt_rad) == (pytest.approx(1.0), pytest.approx(-0.4))
    assert (command.pan_rad_s, command.tilt_rad_s) == (0.0, 0.0)


def test_target_at_hand_is_held_without_chasing_noise():
    controller = Controller(LIMITS)
    rng = np.random.default_rng(0)
    commands = {controller.step(look(0.2 + noise, 0.1), pose(0.2, 0.1), DT)[0]
                for noise in rng.uniform(-0.001, 0.001, 40)}
    assert len(commands) == 1


def test_target_that_leaves_the_deadband_is_no_longer_held():
    controller = Controller(LIMITS)
    assert controller.step(look(0.001), pose(0.0), DT)[1] == 'hold'
    command, mode = controller.step(look(0.02), pose(0.0), DT)
    assert mode == 'pursue'
    assert command.pan_rad == pytest.approx(0.02, abs=1e-3)


def test_moving_target_is_pursued_with_its_speed():
    controller = Controller(LIMITS, ControllerConfig(pursuit_gain=0.9))
    for step in range(40):
        target = 0.4 * step * DT
        command, mode = controller.step(look(target, -target / 2),
                                        pose(target - 0.05, -target / 2), DT)
    assert mode == 'pursue'
    assert 0.8 * 0.4 < command.pan_rad_s <= 0.9 * 0.4       # what may be noise counts less
    assert -0.9 * 0.2 <= command.tilt_rad_s < -0.8 * 0.2


def test_pursuit_keeps_a_moving_target_within_half_a_degree():
    """The loop with a real head model: 15 deg/s, pictures 50 ms old."""
    controller, position, velocity = Controller(LIMITS), np.zeros(2), np.zeros(2)
    history, errors = [], []
    speed = math.radians(15)
    for step in range(90):
        history.append((position.copy(), speed * step * DT))
        seen_pose, seen_target = history[max(0, step - 1)]
        command, _ = controller.step(look(seen_target), pose(*seen_pose), DT)
        goal = np.array([command.pan_rad, command.tilt_rad])
        drift = np.array([command.pan_rad_s, command.tilt_rad_s])
        position, velocity = advance(position, velocity, goal, LIMITS, DT, drift)
        errors.append(abs(position[0] - speed * (step + 1) * DT))
    assert math.degrees(max(errors[45:])) < 1.2         # 2 pictures at 15 deg/s: 1 degree


def test_saccade_arrives_and_holds():
    controller, position, velocity = Controller(LIMITS), np.zeros(2), np.zeros(2)
    modes = []
    for _ in range(45):
        command, mode = controller.step(look(1.2, 0.3), pose(*position), DT)
        modes.append(mode)
        position, velocity = advance(position, velocity, np.array(
            [command.pan_rad, command.tilt_rad]), LIMITS, DT)
    assert modes[0] == 'saccade'
    assert modes[-20:] == ['hold'] * 20
    np.testing.assert_allclose(position, [1.2, 0.3], atol=0.003)


def test_fixation_that_only_follows_the_heads_own_motion_dies_away():
    """'Stay' in the picture, with a moving head and an old pose, must not sustain the motion."""
    controller, position, velocity = Controller(LIMITS), np.zeros(2), np.array([1.0, 0.0])
    poses = [position, position]
    for _ in range(120):
        seen = poses[-2]
        command, _ = controller.step(look(*seen), pose(*seen), DT)
        position, velocity = advance(
            position, velocity, np.array([command.pan_rad, command.tilt_rad]), LIMITS, DT,
            np.array([command.pan_rad_s, command.tilt_rad_s]))
        poses.append(position)
    assert abs(velocity[0]) < 1e-3
    assert abs(position[0]) < 0.2


def test_a_new_target_is_not_taken_for_a_fast_one():
    controller = Controller(LIMITS)
    controller.step(look(0.0), pose(0.0), DT)
    controller.step(look(0.5), pose(0.5 - 0.05), DT)
    command, mode = controller.step(look(0.5), pose(0.45), DT)
    assert mode == 'pursue'
    assert command.pan_rad_s == 0


def test_speed_is_forgotten_after_a_gap_and_a_reset():
    def pursued(controller):
        for step in range(10):
            controller.step(look(0.02 * step), pose(0.02 * step - 0.05), DT)
        return controller

    after_gap, _ = pursued(Controller(LIMITS)).step(look(0.2), pose(0.15), 3.0)
    assert after_gap.pan_rad_s == 0
    controller = pursued(Controller(LIMITS))
    controller.reset()
    assert controller.step(look(0.2), pose(0.15), DT)[0].pan_rad_s == 0


def test_on_target_needs_nearness_and_time():
    settling = Settling(ControllerConfig(settle_s=0.1))
    near = [settling.step(0.05, DT) for _ in range(5)]
    assert near == [False, False, False, True, True]    # the first begins the wait
    assert not settling.step(0.1, DT)                   # 5.7 degrees
    near = [settling.step(0.05, DT) for _ in range(4)]
    assert near == [False, False, False, True]
    assert not settling.step(None, DT)
    near = [settling.step(0.0, 1.0) for _ in range(2)]  # a slow camera
    assert near == [False, True]


def test_target_behind_the_limits_is_looked_for_at_the_nearer_limit():
    command, _ = Controller(LIMITS).step(look(3.0), pose(0.0), DT)
    assert command.pan_rad == 2.97
    command, _ = Controller(LIMITS).step(look(-3.0), pose(0.0), DT)
    assert command.pan_rad == -2.97


def test_target_wandering_behind_the_head_does_not_swing_it_round():
    controller = Controller(LIMITS)
    pans = [controller.step(look(math.pi + 0.1 * math.sin(step)), pose(2.97), DT)[0].pan_rad
            for step in range(30)]
    assert set(pans) == {2.97}


def test_target_in_reach_is_gone_to_also_when_the_other_limit_is_nearer():
    command, mode = Controller(LIMITS).step(look(-2.96), pose(2.97), DT)
    assert (command.pan_rad, mode) == (pytest.approx(-2.96), 'saccade')


def test_head_that_turns_more_than_once_takes_the_short_way():
    wide = PanTiltLimits((-6.0, -1.0), (6.0, 1.0))
    command, _ = Controller(wide).step(look(-3.0), pose(3.0), DT)
    assert command.pan_rad == pytest.approx(2 * math.pi - 3.0)


directions = st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 3).filter(any)
HEADS = (LIMITS, PanTiltLimits((-0.5, 0.1), (2.0, 0.4), (0.7, 0.05), (0.9, 4.0)),
         PanTiltLimits((-20.0, -1.5), (20.0, 1.5)))


@settings(deadline=None)
@given(st.sampled_from(HEADS), st.lists(st.tuples(
    directions, st.floats(-50, 50), st.floats(-50, 50), st.floats(0, 2)), max_size=12))
def test_no_sequence_of_fixations_gets_past_the_limits(limits, script):
    controller = Controller(limits)
    for direction, pan, tilt, dt_s in script:
        command, mode = controller.step(np.array(direction), pose(pan, tilt), dt_s)
        assert mode in ('saccade', 'pursue', 'hold')
        for axis, (position, speed) in enumerate((
                (command.pan_rad, command.pan_rad_s), (command.tilt_rad, command.tilt_rad_s))):
            assert limits.min_position[axis] <= position <= limits.max_position[axis]
            assert abs(speed) <= limits.max_velocity[axis]
            assert mode != 'hold' or speed == 0


@pytest.mark.parametrize('direction', [
    [math.nan, 0.0, 1.0], [math.inf, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0], [[1.0, 0.0, 0.0]]],
    ids=str)
def test_no_direction_is_never_a_motion(direction):
    with pytest.raises(CommandError, match='fixation direction'):
        Controller(LIMITS).step(np.array(direction), pose(0.0), DT)


@pytest.mark.parametrize('where, dt_s', [
    (pose(math.nan), DT), (pose(0.0, math.inf), DT), (pose(0.0), math.nan), (pose(0.0), -0.1),
    (pose(0.0), math.inf)], ids=str)
def test_nonsense_pose_or_time_is_never_a_motion(where, dt_s):
    with pytest.raises(CommandError, match='finite'):
        Controller(LIMITS).step(look(0.5), where, dt_s)


def test_refused_step_leaves_the_controller_as_it_was():
    controllers = Controller(LIMITS), Controller(LIMITS)
    for step in range(12):
        target, at = look(0.01 * step), pose(0.01 * step - 0.05)
        expected = controllers[0].step(target, at, DT)
        with pytest.raises(CommandError):
            controllers[1].step(np.full(3, math.nan), at, DT)
        assert controllers[1].step(target, at, DT) == expected


@pytest.mark.parametrize('wrong, reason', [
    ({'deadband_rad': 0.2}, 'below saccade_above_rad'), ({'pursuit_gain': 1.0}, 'below 1'),
    ({'settle_s': -1.0}, 'settle_s'), ({'noise_rad': math.nan}, 'noise_rad')])
def test_settings_that_make_no_sense_are_refused(wrong, reason):
    with pytest.raises(ConfigError, match=reason):
        ControllerConfig(**wrong)


# --- pictures taken during a saccade


def flying(pan, speed):
    """The head at `pan` in the middle of a saccade."""
    return PanTiltState(pan, 0.0, speed, 0.0)


def test_a_smeared_picture_does_not_turn_a_saccade():
    controller = Controller(LIMITS)
    goal, _ = controller.step(look(1.0), pose(0.0), DT)
    smeared, mode = controller.step(look(0.6), flying(0.4, 2.5), DT)
    assert (smeared, mode) == (goal, 'saccade')
    landed, _ = controller.step(look(0.9), flying(0.85, 0.2), DT)
    assert landed.pan_rad == pytest.approx(0.9, abs=5e-3), 'a sharp one corrects it'


def test_smeared_pictures_may_be_used_all_the_same():
    controller = Controller(LIMITS, ControllerConfig(suppress_above_rad_s=0.0))
    controller.step(look(1.0), pose(0.0), DT)
    assert controller.step(look(0.6), flying(0.4, 2.5), DT)[0].pan_rad == pytest.approx(0.6)


def test_a_saccade_that_never_ends_is_corrected_after_a_while():
    controller = Controller(LIMITS, ControllerConfig(longest_saccade_s=1.0))
    controller.step(look(1.0), pose(0.0), DT)
    pans = [controller.step(look(0.6), flying(0.0, 2.5), 0.1)[0].pan_rad for _ in range(12)]
    assert pans[:9] == [pytest.approx(1.0)] * 9
    assert pans[-1] == pytest.approx(0.6)


def test_without_a_saccade_a_head_that_turns_sees_all_the_same():
    """Turned by hand, say: what it sees is all there is."""
    controller = Controller(LIMITS)
    controller.step(look(0.05), pose(0.0), DT)
    assert controller.step(look(0.5), flying(0.0, 2.5), DT)[0].pan_rad == pytest.approx(0.5)


def test_what_a_turning_head_sees_counts_less():
    """Its pose is not known as exactly: dates of pictures are good to some 20 ms only."""
    controllers = Controller(LIMITS), Controller(LIMITS)
    for controller in controllers:
        for _ in range(10):
            controller.step(look(0.05), pose(0.0), DT)
    still, turning = (controller.step(look(0.09), flying(0.0, speed), DT)[0].pan_rad
                      for controller, speed in zip(controllers, (0.0, 2.0)))
    assert 0.05 < turning < 0.06 < still < 0.09


def test_a_saccade_to_a_moving_target_aims_where_it_is_going():
    controller = Controller(LIMITS)
    for step in range(30):
        controller.step(look(0.5 * step * DT), pose(0.5 * step * DT - 0.05), DT)
    command, mode = controller.step(look(0.5), pose(0.2), DT)
    assert mode == 'saccade'
    assert 0.3 < command.pan_rad_s <= 0.9 * 0.5
    later, _ = controller.step(look(0.5), flying(0.3, 3.0), 0.1)
    assert later.pan_rad == pytest.approx(0.5 + 0.1 * command.pan_rad_s), 'also unseen'


def test_noise_is_not_taken_for_motion():
    """Led by 0.1 s, a speed made of noise would double the noise."""
    controller, rng = Controller(LIMITS), np.random.default_rng(2)
    seen = 0.3 + rng.normal(0.0, 0.003, 60)
    speeds = [controller.step(look(place), pose(0.25), DT)[0].pan_rad_s for place in seen]
    assert np.abs(speeds).mean() < 0.01


def test_a_target_that_wanders_beyond_the_limit_does_not_make_the_head_chatter():
    controller, rng = Controller(LIMITS), np.random.default_rng(0)
    commands = [controller.step(look(2.97 + abs(noise)), pose(2.97), DT)[0]
                for noise in rng.normal(0.0, 0.02, 60)]
    assert {command.pan_rad for command in commands} == {2.97}
    assert all(command.pan_rad_s <= 0 for command in commands)


def test_following_its_own_motion_dies_away_also_when_it_is_led():
    """As above, with a lead as long as the picture is old: the loop's gain stays below 1."""
    controller, position, velocity = Controller(LIMITS), np.zeros(2), np.array([1.0, 0.0])
    poses = [(position, velocity)] * 4
    for _ in range(240):
        seen = poses[-4]
        command, _ = controller.step(look(*seen[0]), PanTiltState(*seen[0], *seen[1]), DT)
        command = ahead(command, 3 * DT, LIMITS)
        position, velocity = advance(
            position, velocity, np.array([command.pan_rad, command.tilt_rad]), LIMITS, DT,
            np.array([command.pan_rad_s, command.tilt_rad_s]))
        poses.append((position, velocity))
    assert abs(velocity[0]) < 1e-3


@pytest.mark.parametrize('field', ['pan_rad_s', 'tilt_rad_s'])
def test_a_speed_that_is_not_finite_is_never_a_motion(field):
    with pytest.raises(CommandError, match='finite'):
        Controller(LIMITS).step(look(0.5), PanTiltState(0.0, 0.0, **{field: math.nan}), DT)
