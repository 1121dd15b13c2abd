"""Heads and sensors that are not ideal: against closed forms, brute force and statistics."""

from dataclasses import fields, replace
import math
import pickle

import numpy as np
import pytest

from gaze_robot.config import parameters, WorldConfig
from gaze_robot.errors import CommandError, ConfigError
from gaze_robot.geometry import angle_between, direction_from_pan_tilt
from gaze_robot.types import PanTiltLimits
from gaze_robot_sim.dynamics import EyeDynamics, PRESETS
from gaze_robot_sim.motion import MOST_EXPOSURES, Motion
from gaze_robot_sim.sensor import exposed, Sensor

LIMITS = PanTiltLimits(min_position=(-3.0, -1.0), max_position=(3.0, 1.0),
                       max_velocity=(3.0, 2.0), max_acceleration=(30.0, 20.0))
RATES = pytest.mark.parametrize('rate_hz', [10.0, 30.0, 120.0], ids=lambda hz: f'{hz:g}Hz')


def generators(eyes):
    return [np.random.default_rng([5, eye]) for eye in range(eyes)]


def motion(dynamics, eyes=1, rate_hz=30.0, at=(0.0, 0.0), limits=LIMITS):
    """Started heads, and their generators."""
    heads, random = Motion(dynamics, eyes, limits, rate_hz), generators(eyes)
    for eye in range(eyes):
        heads.start(eye, random[eye], np.array(at))
    return heads, random


def trajectory(heads, goals):
    """(T, B, 2) poses after each of the goals (T, B, 2)."""
    poses = []
    for goal in goals:
        heads.step(goal)
        poses.append(heads.pose.copy())
    return np.array(poses)


def wandering_goals(steps, eyes, hold=5):
    """(steps, eyes, 2) goals that change every few steps, also against the head's motion."""
    drawn = np.random.default_rng(8).uniform(-0.5, 0.5, (steps // hold + 1, eyes, 2))
    return np.repeat(drawn, hold, axis=0)[:steps]


def trapezoid(t_s, distance, velocity, acceleration):
    """Where a move from rest to rest is at a time, by the textbook's three phases."""
    ramp_s = min(velocity / acceleration, math.sqrt(distance / acceleration))
    top = acceleration * ramp_s
    cruise_s = (distance - top * ramp_s) / top
    t_s = np.clip(t_s, 0.0, 2 * ramp_s + cruise_s)
    left_s = 2 * ramp_s + cruise_s - t_s
    return np.where(t_s < ramp_s, 0.5 * acceleration * t_s ** 2,
                    np.where(left_s < ramp_s, distance - 0.5 * acceleration * left_s ** 2,
                             0.5 * top * ramp_s + top * (t_s - ramp_s)))


def play_by_hand(motor, width):
    """The camera behind a motor trace (T, 2) with free play, sample by sample."""
    camera, trace = motor[0].copy(), []
    for angle in motor:
        for axis in range(2):
            if camera[axis] - angle[axis] > width / 2:
                camera[axis] = angle[axis] + width / 2
            elif angle[axis] - camera[axis] > width / 2:
                camera[axis] = angle[axis] - width / 2
        trace.append(camera.copy())
    return np.array(trace)


# ---- parameters


@pytest.mark.parametrize('name, value', [
    ('latency_s', (-0.1, 0.0)), ('latency_s', (0.0, 2.0)), ('backlash_rad', (0.02, 0.01)),
    ('gain', 1.0), ('gain', (0.0, 1.0)), ('drop_rate', (0.0, 1.0)), ('exposure_s', (0.0,)),
    ('sensor_noise', (0.0, math.nan)), ('max_velocity_rad_s', (0.0, 1.0)),
    ('max_acceleration_rad_s2', ('1', '2')), ('lighting', None)])
def test_a_wrong_range_is_refused_by_name(name, value):
    with pytest.raises(ConfigError, match=f'^{name} must be'):
        EyeDynamics(**{name: value})


def test_an_instant_head_has_no_speed_limit():
    with pytest.raises(ConfigError, match='instant'):
        EyeDynamics(instant=True, max_velocity_rad_s=(1.0, 2.0))


def test_an_unknown_preset_is_told_the_known_ones():
    with pytest.raises(ConfigError, match='off, head, typical, random'):
        EyeDynamics.named('real')


def test_the_camera_node_knows_every_preset():
    choices = {p.name: p.choices for p in parameters(WorldConfig)}['dynamics']
    assert choices == tuple(PRESETS)
    assert EyeDynamics.named(WorldConfig().dynamics) == EyeDynamics()


def test_random_spans_what_typical_is():
    typical, random = PRESETS['typical'], PRESETS['random']
    for item in fields(EyeDynamics):
        value, span = getattr(typical, item.name), getattr(random, item.name)
        if item.name == 'instant' or value is None:
            continue
        assert value[0] == value[1], f'typical {item.name} is not fixed'
        assert span[0] <= value[0] <= span[1], item.name


def test_a_range_is_filled_and_not_left():
    rng, dynamics = np.random.default_rng(0), EyeDynamics(latency_s=(0.02, 0.1))
    drawn = [dynamics.draw('latency_s', rng) for _ in range(400)]
    assert 0.02 <= min(drawn) < 0.025
    assert 0.095 < max(drawn) <= 0.1


@pytest.mark.parametrize('arguments', [(0, 30.0), (1, 0.0), (1, math.inf), (1, math.nan)])
def test_no_eyes_or_no_rate_is_refused(arguments):
    with pytest.raises(ConfigError, match='at least one eye and a positive rate'):
        Motion(EyeDynamics(), arguments[0], LIMITS, arguments[1])


# ---- the head


def test_off_is_where_it_is_told_to_be_and_touches_no_generator():
    dynamics, view = PRESETS['off'], np.full((8, 8, 3), 77, np.uint8)
    heads, random = motion(dynamics, eyes=3)
    sensor = Sensor(dynamics, 3)
    for goal in wandering_goals(20, 3, hold=1) * 10:
        heads.step(goal)
        inside = np.clip(goal, LIMITS.min_position, LIMITS.max_position)
        np.testing.assert_array_equal(heads.pose, inside)
        np.testing.assert_array_equal(heads.measured([0, 1, 2], random), inside)
        for eye in range(3):
            sensor.start(eye, random[eye])
            np.testing.assert_array_equal(heads.exposures(eye, 1e-9), inside[eye:eye + 1])
            assert not sensor.dropped(eye, random[eye])
            sensor.develop(view, eye, random[eye])
    assert (view == 77).all()
    assert [rng.bit_generator.state for rng in random] == [
        rng.bit_generator.state for rng in generators(3)]


@RATES
@pytest.mark.parametrize('latency_s', [0.0, 0.04, 0.1])
@pytest.mark.parametrize('distance', [0.05, 0.4, 2.5])
def test_the_step_response_is_the_textbook_trapezoid(distance, latency_s, rate_hz):
    """Of each axis with its own limits, `latency_s` late, at every moment to a millionth."""
    heads, _ = motion(EyeDynamics(latency_s=(latency_s, latency_s)), rate_hz=rate_hz)
    steps = round(2.0 * rate_hz)
    poses = trajectory(heads, np.tile([distance, -0.3 * distance], (steps, 1, 1)))[:, 0]
    t_s = (np.arange(steps) + 1) / rate_hz - latency_s
    np.testing.assert_allclose(poses[:, 0], trapezoid(t_s, distance, 3.0, 30.0),
                               atol=1e-6 * distance)
    np.testing.assert_allclose(-poses[:, 1], trapezoid(t_s, 0.3 * distance, 2.0, 20.0),
                               atol=1e-6 * distance)


def test_every_head_has_its_own_speed_and_acceleration_inside_the_ranges():
    dynamics = EyeDynamics(max_velocity_rad_s=(1.0, 2.0), max_acceleration_rad_s2=(10.0, 40.0))
    heads, _ = motion(dynamics, eyes=40, rate_hz=100.0)
    heads.step(np.full((40, 2), 1.0))
    acceleration = heads.speed[:, 0] * 100.0            # still speeding up after 10 ms
    poses = trajectory(heads, np.full((60, 40, 2), 1.0))
    velocity = np.diff(poses[..., 0], axis=0).max(axis=0) * 100.0
    for found, low, high in ((acceleration, 10.0, 40.0), (velocity, 1.0, 2.0)):
        assert low <= found.min() + 1e-9 < low + 0.2 * (high - low)
        assert high - 0.2 * (high - low) < found.max() - 1e-9 <= high
        assert len(np.unique(found.round(9))) == 40
    trace = trapezoid((np.arange(61) + 1) / 100.0, 1.0, velocity[7], acceleration[7])
    np.testing.assert_allclose(poses[:, 7, 0], trace[1:], atol=1e-9)


@pytest.mark.parametrize('latency_s', [0.0, 0.05, 0.1, 0.125])
def test_the_result_does_not_depend_on_the_step(latency_s):
    """Goals held for 20 fine steps: with latency the same as 20 times coarser steps."""
    dynamics = EyeDynamics(latency_s=(latency_s, latency_s), backlash_rad=(0.02, 0.02))
    goals = wandering_goals(150, 2)
    coarse, _ = motion(dynamics, eyes=2, rate_hz=40.0)
    fine, _ = motion(dynamics, eyes=2, rate_hz=800.0)
    expected = trajectory(fine, np.repeat(goals, 20, axis=0))[19::20]
    np.testing.assert_allclose(trajectory(coarse, goals), expected, atol=1e-9)


def test_backlash_is_free_play_behind_the_motor():
    """Against the motor's own trace, forty times finer, and the play worked out by hand."""
    goals = wandering_goals(240, 1, hold=3)
    fine, _ = motion(EyeDynamics(), rate_hz=1200.0)
    motor = np.concatenate([np.zeros((1, 2)),
                            trajectory(fine, np.repeat(goals, 40, axis=0))[:, 0]])
    loose, random = motion(EyeDynamics(backlash_rad=(0.03, 0.03)))
    camera = trajectory(loose, goals)[:, 0]
    np.testing.assert_allclose(camera, play_by_hand(motor, 0.03)[40::40], atol=5e-6)
    np.testing.assert_allclose(loose.measured([0], random)[0], motor[-1], atol=1e-9)
    assert np.abs(camera - motor[40::40]).max() == pytest.approx(0.015)


def test_inside_the_play_the_camera_stands_while_the_motor_turns():
    heads, random = motion(EyeDynamics(backlash_rad=(0.1, 0.1)), rate_hz=100.0)
    for goal in (0.045, -0.045, 0.03):
        trajectory(heads, np.full((3, 1, 2), goal))
        assert heads.measured([0], random).any()
        assert not heads.pose.any()
        assert not heads.speed.any()
    trajectory(heads, np.full((20, 1, 2), 1.0))
    assert heads.speed[0] == pytest.approx([3.0, 2.0])


def test_encoder_noise_is_in_the_report_and_not_in_the_pose():
    heads, random = motion(EyeDynamics(encoder_noise_rad=(0.01, 0.01)), eyes=2, at=(0.2, -0.1))
    reports = np.array([heads.measured([1, 0], random) for _ in range(2000)]) - [0.2, -0.1]
    assert reports.std(axis=0) == pytest.approx(0.01, rel=0.07)
    assert reports.mean(axis=0) == pytest.approx(0.0, abs=0.001)
    assert abs(np.corrcoef(reports.reshape(2000, 4).T) - np.eye(4)).max() < 0.1
    np.testing.assert_array_equal(heads.pose, [[0.2, -0.1]] * 2)


def test_goals_beyond_the_limits_end_at_the_limits():
    heads, _ = motion(PRESETS['head'])
    poses = trajectory(heads, np.tile([99.0, -99.0], (90, 1, 1)))[:, 0]
    np.testing.assert_allclose(poses[-1], [3.0, -1.0])
    assert (np.abs(poses) <= [3.0 + 1e-12, 1.0 + 1e-12]).all()


@pytest.mark.parametrize('goal', [np.full((2, 2), np.nan), np.full((2, 2), np.inf),
                                  np.zeros((3, 2)), np.zeros(2)], ids=str)
@pytest.mark.parametrize('name', PRESETS)
def test_goals_that_are_none_are_refused_and_change_nothing(goal, name):
    heads, _ = motion(PRESETS[name], eyes=2)
    with pytest.raises(CommandError, match='2 eyes need as many finite goals'):
        heads.step(goal)
    assert not heads.pose.any()


@pytest.mark.parametrize('pose', [[math.nan, 0.0], [0.0, 0.0, 0.0]])
def test_a_start_that_is_no_pose_is_refused(pose):
    with pytest.raises(CommandError, match='finite'):
        motion(PRESETS['head'], at=pose)


def test_a_head_that_starts_anew_forgets_where_it_was_going():
    heads, random = motion(PRESETS['typical'])
    trajectory(heads, np.full((8, 1, 2), 0.9))
    assert heads.speed.any()
    heads.start(0, random[0], np.array([-0.2, 0.1]))
    assert not heads.speed.any()
    np.testing.assert_array_equal(trajectory(heads, np.full((8, 1, 2), [-0.2, 0.1])),
                                  np.full((8, 1, 2), [-0.2, 0.1]))


def test_a_step_leaves_earlier_arrays_alone():
    heads, _ = motion(PRESETS['typical'])
    pose, speed = heads.pose, heads.speed
    trajectory(heads, np.ones((9, 1, 2)))
    assert heads.pose.any()
    assert not pose.any()
    assert not speed.any()


# ---- the sensor


@pytest.mark.parametrize('sigma, averaged', [(0.7, 1.0), (3.0, 1.0), (20.0, 1.0), (8.0, 16.0)])
def test_noise_has_its_deviation_no_bias_and_no_memory(sigma, averaged):
    sensor, rng = Sensor(EyeDynamics(sensor_noise=(sigma, sigma))), np.random.default_rng(0)
    sensor.start(0, rng)
    views = np.full((20, 64, 64, 3), 128, np.uint8)
    for view in views:
        sensor.develop(view, 0, rng, averaged)
    noise = views.astype(float) - 128
    expected = math.sqrt(sigma ** 2 / averaged + 1 / 12)      # rounding to grey levels adds 1/12
    assert noise.std() == pytest.approx(expected, rel=0.02)
    assert abs(noise.mean()) < 5 * expected / math.sqrt(noise.size)
    rows = np.concatenate([noise.reshape(20, -1)[:, :4096],
                           noise.reshape(-1, 3)[:4096].T])
    assert abs(np.corrcoef(rows) - np.eye(len(rows)))[:20, :20].max() < 0.1
    assert abs(np.corrcoef(rows[20:]) - np.eye(3)).max() < 0.1


def test_gain_multiplies_and_stops_at_white():
    sensor, rng = Sensor(EyeDynamics(gain=(1.5, 1.5))), np.random.default_rng(0)
    sensor.start(0, rng)
    ramp = np.arange(256, dtype=np.uint8)[:, None, None].repeat(3, axis=2)
    view = ramp.copy()
    sensor.develop(view, 0, rng)
    assert abs(view - np.minimum(1.5 * ramp, 255)).max() <= 0.5


def test_gain_comes_before_noise():
    """Noise would be amplified in the other order."""
    dynamics = EyeDynamics(gain=(0.25, 0.25), sensor_noise=(8.0, 8.0))
    sensor, rng = Sensor(dynamics), np.random.default_rng(0)
    sensor.start(0, rng)
    view = np.full((256, 256, 3), 200, np.uint8)
    sensor.develop(view, 0, rng)
    assert (view.mean(), view.std()) == pytest.approx((50.0, 8.0), rel=0.02)


def test_a_picture_larger_than_the_bank_is_noisy_everywhere():
    sensor, rng = Sensor(EyeDynamics(sensor_noise=(4.0, 4.0))), np.random.default_rng(0)
    sensor.start(0, rng)
    view = np.full((1080, 1920, 3), 128, np.uint8)
    sensor.develop(view, 0, rng)
    assert view.reshape(108, -1).std(axis=1) == pytest.approx(4.0, rel=0.05)


def test_a_slice_of_a_larger_array_is_developed_in_place():
    sensor, rng = Sensor(EyeDynamics(gain=(2.0, 2.0))), np.random.default_rng(0)
    sensor.start(0, rng)
    whole = np.full((6, 9, 3), 50, np.uint8)
    sensor.develop(whole[1:5, ::2], 0, rng)
    expected = np.full((6, 9, 3), 50, np.uint8)
    expected[1:5, ::2] = 100
    np.testing.assert_array_equal(whole, expected)


def test_pictures_are_lost_at_the_rate():
    sensor, rng = Sensor(EyeDynamics(drop_rate=(0.2, 0.2))), np.random.default_rng(0)
    sensor.start(0, rng)
    assert sum(sensor.dropped(0, rng) for _ in range(4000)) == pytest.approx(800, abs=130)


@pytest.mark.parametrize('goal', [(2.5, 0.0), (-2.5, 0.95), (0.0, 0.95)])
def test_an_exposure_covers_the_motion_evenly(goal):
    """As many poses as steps fit between where the axis is when the shutter opens and shuts."""
    heads, _ = motion(EyeDynamics(exposure_s=(0.02, 0.02)), at=(0.0, goal[1] and 0.8))
    assert len(heads.exposures(0, 1e-4)) == 1           # it stands
    trajectory(heads, np.full((4, 1, 2), goal))
    pose, half = heads.pose[0], 0.01 * heads.speed[0]
    swept = angle_between(direction_from_pan_tilt(*(pose - half)),
                          direction_from_pan_tilt(*(pose + half)))
    for steps, count in ((0.48, 1), (0.52, 2), (0.98, 2), (2.02, 3), (3.95, 4),
                         (50, MOST_EXPOSURES)):
        poses = heads.exposures(0, swept / steps)
        assert len(poses) == count
        np.testing.assert_allclose(poses.mean(axis=0), pose, atol=1e-12)
        np.testing.assert_allclose(np.diff(poses, axis=0),
                                   np.tile(2 * half / count, (count - 1, 1)))


def test_an_exposure_is_the_mean_of_its_pictures():
    pictures = np.random.default_rng(0).integers(0, 256, (7, 5, 6, 3), np.uint8)
    np.testing.assert_array_equal(exposed(list(pictures[:1])), pictures[0])
    assert abs(exposed(list(pictures)) - pictures.mean(axis=0)).max() <= 0.501


# ---- alone and together


def live(heads, sensor, random, number):
    """Five steps of the eyes `number`, all they can be asked for."""
    goals, seen = wandering_goals(5, 6, hold=1), []
    for goal in goals[:, number]:
        heads.step(goal)
        views = np.full((len(number), 4, 4, 3), 100, np.uint8)
        for eye, rng in enumerate(random):
            if not sensor.dropped(eye, rng):
                sensor.develop(views[eye], eye, rng)
        seen.append((heads.pose, heads.speed, heads.measured(range(len(random)), random), views,
                     [heads.exposures(eye, 0.001) for eye in range(len(random))]))
    return seen


@pytest.mark.parametrize('name', PRESETS)
def test_eyes_do_not_depend_on_their_neighbours(name):
    """Six together, some started anew half-way, and each alone: to the last bit."""
    dynamics = replace(PRESETS[name], drop_rate=(0.3, 0.3))
    heads, random = motion(dynamics, 6)
    sensor = Sensor(dynamics, 6)
    for eye in reversed(range(6)):
        sensor.start(eye, random[eye])
    together = live(heads, sensor, random, range(6))
    for eye in (4, 1):
        heads.start(eye, random[eye], np.array([0.5, 0.1]))
        sensor.start(eye, random[eye])
    together += live(heads, sensor, random, range(6))
    for eye in range(6):
        alone, own = Motion(dynamics, 1, LIMITS, 30.0), [generators(6)[eye]]
        single = Sensor(dynamics)
        alone.start(0, own[0], np.zeros(2))
        single.start(0, own[0])
        apart = live(alone, single, own, [eye])
        if eye in (4, 1):
            alone.start(0, own[0], np.array([0.5, 0.1]))
            single.start(0, own[0])
        apart += live(alone, single, own, [eye])
        for both, one in zip(together, apart):
            for column in range(5):
                np.testing.assert_array_equal(both[column][eye], one[column][0])


def test_pickled_eyes_go_on_as_if_nothing_had_happened():
    dynamics = PRESETS['random']
    heads, random = motion(dynamics, 2)
    sensor = Sensor(dynamics, 2)
    for eye in range(2):
        sensor.start(eye, random[eye])
    live(heads, sensor, random, [0, 1])
    copy = pickle.loads(pickle.dumps((heads, sensor, random)))  # noqa: S301
    for own, other in zip(live(heads, sensor, random, [0, 1]), live(*copy, [0, 1])):
        for column in range(4):
            np.testing.assert_array_equal(own[column], other[column])
