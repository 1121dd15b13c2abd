"""Broken demonstrations are refused with the reason, or repaired on request; never silently."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from gaze_robot.errors import DemoError
from gaze_robot_sim.demos.recording import Recording, task_embedding
from gaze_robot_sim.demos.repair import _bridged, fitted, Repair

T, RATE = 40, 30.0


@pytest.fixture(scope='module')
def video(tmp_path_factory, write_ramp):
    return write_ramp(tmp_path_factory.mktemp('video') / 'ramp.mp4', T, RATE)


def line(times_s):
    """Joints that go along straight lines: what lies between two rows is known."""
    return np.stack([2 * times_s, 5 - 3 * times_s], axis=1)


@pytest.fixture
def recording(video):
    times = np.arange(T) / RATE
    return Recording('reach', 'reach for it', ('a', 'b'), line(times), ('x', 'y'),
                     line(times) + 1, np.arange(T), times, RATE, video)


def without(recording, rows):
    keep = np.setdiff1d(np.arange(len(recording.row)), rows)
    return replace(recording, **{name: getattr(recording, name)[keep]
                                 for name in ('joints', 'actions', 'row', 'stamp_s')})


def with_nan(recording, rows, what='joints', column=1):
    values = getattr(recording, what).copy()
    values[rows, column] = np.nan
    return replace(recording, **{what: values})


def refused(recording, reason):
    with pytest.raises(DemoError, match=rf'reach: {reason}'):
        fitted(recording)


def test_what_fits_is_left_as_it_is(recording):
    for repair in (None, Repair()):
        same = fitted(recording, repair)
        assert same.notes == ()
        assert (same.frames, same.rate_hz) == (T, RATE)
        np.testing.assert_array_equal(same.joints, recording.joints)


def test_a_missing_frame(recording):
    broken = without(recording, [7])
    refused(broken, 'frame 7 is missing; repair it, or try --repair')
    refused(without(recording, [7, 8, 20]), 'frame 7 is missing, and 2 more')
    mended = fitted(broken, Repair())
    np.testing.assert_allclose(mended.joints, recording.joints)
    np.testing.assert_allclose(mended.actions, recording.actions)
    assert '1 missing frames were put in by straight lines' in mended.notes
    assert len(mended.row) == mended.frames == T


def test_a_joint_that_is_no_number(recording):
    broken = with_nan(recording, [4, 5])
    refused(broken, r"joints 'b' is not a finite number at row 4 \(2 rows in all\)")
    refused(with_nan(recording, [9], 'actions', 0), "actions 'x' is not a finite number at row 9")
    mended = fitted(broken, Repair())
    np.testing.assert_allclose(mended.joints, recording.joints)
    assert mended.notes == ('2 numbers of its joints were not finite and bridged by straight '
                            'lines',)


def test_gaps_longer_than_allowed_are_refused_also_with_repair(recording):
    broken = with_nan(recording, np.arange(10, 20))          # from row 9 to row 20: 11 / 30 s
    assert fitted(broken, Repair(0.37)).notes
    with pytest.raises(DemoError, match=r"'b' lacks 0.37 s in a row, and at most 0.3 s"):
        fitted(broken, Repair(0.3))
    with pytest.raises(DemoError, match='no finite number at all'):
        fitted(with_nan(recording, np.arange(T)), Repair(60))
    with pytest.raises(DemoError, match='lacks'):
        fitted(without(recording, np.arange(10, 30)), Repair(0.5))


def test_at_its_ends_the_nearest_value_is_kept(recording):
    mended = fitted(with_nan(recording, [0, 1, T - 1]), Repair())
    assert (mended.joints[[0, 1], 1] == recording.joints[2, 1]).all()
    assert mended.joints[T - 1, 1] == recording.joints[T - 2, 1]


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(1, 18), max_size=12), st.integers(0, 99))
def test_bridges_leave_the_rest_alone_and_lie_between_their_ends(gaps, seed):
    rows = sorted(gaps)
    rng = np.random.default_rng(seed)
    stamp, values = np.cumsum(rng.uniform(0.01, 0.1, 20)), rng.normal(size=20)
    whole = Recording('e', 'e', ('a',), values[:, None], ('a',), values[:, None], np.arange(20),
                      stamp, 0.0, None)
    broken = values.copy()
    broken[rows] = np.nan
    mended = _bridged(whole, Repair(60), broken, 'a')
    for k in range(20):
        if k not in gaps:
            assert mended[k] == values[k]
        else:
            before = max(j for j in range(k) if j not in gaps)
            after = min(j for j in range(k + 1, 20) if j not in gaps)
            low, high = sorted((values[before], values[after]))
            assert low - 1e-12 <= mended[k] <= high + 1e-12


def test_a_rate_that_is_stated_wrong(recording):
    broken = replace(recording, rate_hz=15.0)
    refused(broken, 'rates do not match: stated 15 rows per second, by the time stamps 30, '
            'pictures 30')
    mended = fitted(broken, Repair())
    assert mended.rate_hz == RATE
    assert 'one row for each picture' in mended.notes[0]
    np.testing.assert_array_equal(mended.joints, recording.joints)


@pytest.mark.parametrize('rate', [15.0, 100.0], ids=lambda rate: f'{rate:g}Hz')
def test_rows_at_another_rate_than_pictures(recording, rate):
    count = round(T / RATE * rate)
    times = 100.0 + np.arange(count) / rate
    broken = replace(recording, joints=line(times), actions=line(times) + 1,
                     row=np.arange(count), stamp_s=times, rate_hz=rate)
    refused(broken, f'rates do not match: stated {rate:g} rows per second, by the time stamps '
            f'{rate:g}, pictures 30')
    mended = fitted(broken, Repair())
    assert mended.rate_hz == RATE
    assert f'rows were resampled from {rate:g} to 30 per second' in mended.notes
    asked = 100.0 + np.arange(len(mended.row)) / RATE
    known = asked <= times[-1]
    np.testing.assert_allclose(mended.joints[known], line(asked)[known])
    assert known.sum() >= T - 2
    # After the last row its value stands until the next would have come.
    assert len(mended.row) == T
    np.testing.assert_array_equal(mended.joints[~known], np.tile(line(times)[-1],
                                                                 ((~known).sum(), 1)))


def test_rows_without_pictures_and_pictures_without_rows(recording, tmp_path, write_ramp):
    short = replace(recording, video=write_ramp(tmp_path / 'short.mp4', T - 6, RATE))
    refused(short, '40 rows and 34 pictures: pictures are missing')
    mended = fitted(short, Repair())
    assert (len(mended.row), mended.frames) == (34, 34)
    assert mended.notes == ('6 rows without pictures at its end were left out',)
    np.testing.assert_array_equal(mended.joints, recording.joints[:34])
    fewer = without(recording, np.arange(30, T))
    refused(fewer, '30 rows and 40 pictures: rows are missing')
    assert fitted(fewer, Repair()).frames == 30


def test_a_truncated_video_without_its_index_cannot_be_repaired(recording, tmp_path):
    data = recording.video.read_bytes()
    cut = tmp_path / 'cut.mp4'
    cut.write_bytes(data[:len(data) // 2])
    broken = replace(recording, video=cut)
    refused(broken, f'{cut} is not a video that can be played; is it damaged or cut short')
    with pytest.raises(DemoError, match=f'nothing can be read of {cut}.*cannot be repaired'):
        fitted(broken, Repair())


def test_a_truncated_video_with_its_index_is_used_up_to_where_it_breaks(
        recording, tmp_path, index_first):
    cut = tmp_path / 'cut.mp4'
    data = index_first(recording.video.read_bytes())
    cut.write_bytes(data)
    assert fitted(replace(recording, video=cut)).notes == ()
    cut.write_bytes(data[:-len(data) // 3])
    broken = replace(recording, video=cut)
    refused(broken, f'{cut} breaks off before frame')
    mended = fitted(broken, Repair())
    assert 5 < mended.frames < T - 1
    assert len(mended.row) == mended.frames
    assert mended.notes[0] == f'its video breaks off: {mended.frames} pictures are left'


def test_rows_out_of_order_and_times_that_stand_still_are_refused(recording):
    order = np.arange(T)
    order[[5, 6]] = order[[6, 5]]
    swapped = replace(recording, row=order)
    stuck = replace(recording, stamp_s=np.zeros(T))
    for repair in (None, Repair()):
        with pytest.raises(DemoError, match='out of order after number'):
            fitted(swapped, repair)
        with pytest.raises(DemoError, match='time stamps do not grow'):
            fitted(stuck, repair)


def test_recordings_have_rows_of_one_length(recording):
    with pytest.raises(DemoError, match='actions have shape'):
        replace(recording, actions=recording.actions[:-1])
    with pytest.raises(DemoError, match='at least 2'):
        without(recording, np.arange(1, T))
    with pytest.raises(DemoError, match='0 to 60 s'):
        Repair(-1.0)


def test_instructions_become_vectors_by_their_words():
    one = task_embedding('Pick up the red cup')
    assert one.dtype == np.float32
    assert np.linalg.norm(one) == pytest.approx(1.0)
    np.testing.assert_array_equal(one, task_embedding('pick UP the red, cup!'))
    near, far = task_embedding('pick up the blue cup'), task_embedding('wipe a table')
    assert one @ near > 0.5 > abs(one @ far)
    for words in ('', '?!'):
        with pytest.raises(DemoError, match='has words'):
            task_embedding(words)
    # Two words in one place with opposite signs would cancel out; there is a vector all the same.
    numbers = [task_embedding(f'w{a} w{b}', 1) for a in range(6) for b in range(6)]
    assert all(abs(abs(number[0]) - 1) < 1e-6 for number in numbers)
