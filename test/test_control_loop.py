"""The control loop in simulated time: what `bench control` promises, and how it judges."""

import math

import numpy as np
import pytest

from gaze_robot.errors import ConfigError
from gaze_robot.types import PanTiltLimits
from gaze_robot_sim import benchmark_control
from gaze_robot_sim.benchmark_control import bench_control, BenchControlConfig
from gaze_robot_sim.control_loop import Loop, run_loop, Track


@pytest.fixture(scope='module')
def figures(tmp_path_factory):
    picture = tmp_path_factory.mktemp('control') / 'control.png'
    return bench_control(BenchControlConfig(runs=1, seed=5, loop_seconds=0.0,
                                            picture=str(picture)))


def test_pursuit_at_30_degrees_per_second_with_pictures_80_ms_old(figures):
    assert figures['pursuit_rms_deg'] <= 1.0
    assert figures['pursuit_rms_uncompensated_deg'] >= 2 * figures['pursuit_rms_deg']


def test_a_target_that_changes_its_speed_is_pursued_better_too(figures):
    swing = figures['pursuit_swing_rms_deg']
    assert swing < 1.5
    assert figures['pursuit_swing_rms_uncompensated_deg'] >= 2 * swing


def test_a_saccade_of_40_degrees_settles_soon_and_does_not_overshoot(figures):
    assert 0.8 < figures['saccade_settle_ratio'] <= 1.2
    assert figures['saccade_overshoot_percent'] <= 2.0


def test_an_old_picture_does_not_push_a_fast_head_beyond_the_target(figures):
    assert figures['stale_overshoot_deg'] <= 1.0
    assert figures['stale_overshoot_naive_deg'] > 10.0


def test_the_picture_is_drawn(figures):
    with open(figures['picture'], 'rb') as file:
        assert file.read(4) == b'\x89PNG'


def test_the_same_seed_is_the_same_run_and_another_is_not():
    first, again, other = (run_loop(Loop(), benchmark_control.jump, 0.6, seed)
                           for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.gaze_rad, again.gaze_rad)
    assert np.abs(first.gaze_rad - other.gaze_rad).max() > 0


@pytest.mark.parametrize('error_s', [-0.03, 0.03])
def test_a_camera_that_stamps_wrongly_by_30_ms_does_not_make_the_head_chase_itself(error_s):
    run = run_loop(Loop(stamp_error_s=error_s), benchmark_control.jump, 2.5, seed=1)
    assert np.degrees(run.error_rad[1500:]).max() < 0.5


def track(gaze_deg, target_deg, first_command_s=0.1):
    """A track in pan, one value per millisecond."""
    rows = np.zeros((2, len(gaze_deg), 2))
    rows[0, :, 0], rows[1, :, 0] = np.radians(gaze_deg), np.radians(target_deg)
    return Track(np.arange(len(gaze_deg)) / 1000, rows[1], rows[0], rows[0], first_command_s)


def test_the_bound_is_speed_up_cruise_slow_down():
    limits = PanTiltLimits(max_velocity=(2.0, 2.0), max_acceleration=(10.0, 10.0))
    assert benchmark_control.least_s(1.0, limits) == pytest.approx(0.2 + 0.3 + 0.2)
    assert benchmark_control.least_s(0.1, limits) == pytest.approx(0.2), 'too short to cruise'


def test_settling_counts_from_when_the_servos_obey_until_the_gaze_stays():
    time_ms = np.arange(1000)
    gaze = np.where(time_ms < 420, 0.0, 40.0)
    gaze[500] = 41.0                                    # more than 2 % beyond, once
    limits = PanTiltLimits(max_velocity=(1.0, 1.0), max_acceleration=(10.0, 10.0))
    bound_s = math.radians(40) + 0.1
    assert benchmark_control.settle_ratio(track(gaze, np.full(1000, 40.0)), limits) == \
        pytest.approx((0.5 - 0.1 - 0.02) / bound_s)
    assert benchmark_control.settle_ratio(
        track(np.zeros(1000), np.full(1000, 40.0)), limits) == math.inf


def test_overshoot_and_rms_are_of_the_gaze():
    assert benchmark_control.overshoot_deg(track([0, 39, 43, 41], [40] * 4)) == pytest.approx(3.0)
    assert benchmark_control.overshoot_deg(track([0, 39], [40] * 2)) == 0.0
    error = np.where(np.arange(3000) < 1500, 99.0, 2.0)
    assert benchmark_control.rms_deg(track(error, np.zeros(3000))) == pytest.approx(2.0)


@pytest.mark.parametrize('wrong, told', [
    ({'runs': 0}, 'at least 1'), ({'seed': -1}, 'not negative'),
    ({'loop_seconds': math.nan}, '600'), ({'image_delay': 0.9}, '0.4'),
    ({'picture': 'a.gif'}, '.png')], ids=str)
def test_settings_that_measure_nothing_are_refused(wrong, told):
    with pytest.raises(ConfigError, match=told):
        BenchControlConfig(**wrong)


@pytest.mark.slow
def test_the_head_loop_keeps_its_rate_beside_an_eye_at_work():
    """Punctuality itself depends on what else this machine does: see `bench control`."""
    pytest.importorskip('torch', reason='the eye needs torch')
    from gaze_robot_sim.jitter import measure_jitter
    figures = measure_jitter(3.0, seed=0)
    assert figures['loop_fault'] == 'none'
    assert 80.0 < figures['loop_rate_hz'] < 101.0
    assert 0.0 <= figures['loop_jitter_p50_ms'] <= figures['loop_jitter_p99_ms']
