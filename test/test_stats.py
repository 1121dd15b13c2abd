import pytest

from gaze_robot.nodes._stats import Drops, LoopStats, Rate, Samples


def test_percentiles_of_one_to_hundred():
    samples = Samples()
    for value in range(1, 101):
        samples.add(value)
    assert samples.percentiles() == {'p50': 50.5, 'p95': pytest.approx(95.05)}


def test_percentiles_of_the_last_few_only():
    samples = Samples()
    for value in (1000, 1000, 1000, 1, 2, 3):
        samples.add(value)
    assert samples.percentiles(recent=3)['p50'] == 2


def test_percentiles_without_samples_are_none():
    assert Samples().percentiles() == {'p50': None, 'p95': None}


def test_samples_keep_a_bounded_number():
    samples = Samples(size=10)
    for value in range(1000):
        samples.add(value)
    assert samples.percentiles()['p50'] == 994.5


def test_rate_forgets_what_is_older_than_its_window():
    rate = Rate(window_s=2.0)
    for frame in range(90):                      # 30 Hz for 3 s
        rate.tick(frame / 30)
    assert rate.hz(89 / 30) == pytest.approx(30, abs=0.5)
    assert rate.hz(10.0) == 0
    assert rate.count == 90


def test_drops_come_most_frequent_first_and_without_zeros():
    drops = Drops()
    drops.add('stale')
    drops.add('replaced', 3)
    drops.add('stopped', 0)
    assert list(drops.as_dict().items()) == [('replaced', 3), ('stale', 1)]


def make_stats():
    stats = LoopStats()
    for step in range(31):                       # 10 Hz for 3 s, 40 ms from picture to command
        stats.frame(step / 10)
        stats.processed.tick(step / 10)
        stats.glance({'encode': 5.0}, 0.75)
        stats.command(step / 10 + 0.04, step / 10)
    stats.frame(3.1)
    stats.dropped.add('no pose')
    return stats


def test_report_has_the_loop_half_of_the_keys():
    assert make_stats().report() == {
        'frames_in': 32, 'frames_processed': 31, 'commands': 31, 'command_rate_hz': 10.0,
        'latency_ms': {'p50': 40.0, 'p95': 40.0},
        'stages_ms': {'encode': {'p50': 5.0, 'p95': 5.0}},
        'dropped': {'no pose': 1}}


def test_command_rate_of_fewer_than_two_commands_is_zero():
    stats = LoopStats()
    assert stats.command_rate_hz == 0
    stats.command(1.0, 0.9)
    assert stats.command_rate_hz == 0


def test_diagnostics_name_every_stage_and_reason():
    values = make_stats().key_values(now_s=3.2)
    assert values['encode p95 [ms]'] == '5.00'
    assert values['image age at command p50 [ms]'] == '40.00'
    assert values['dropped: no pose'] == '1'
    assert values['confidence'] == '0.75'
    assert values['since last image [s]'] == '0.10'
