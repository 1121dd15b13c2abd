from dataclasses import replace

import pytest

pytest.importorskip('rclpy', reason='its package needs rclpy')

from gaze_robot.nodes._eye_signs import (
    ClockWatch,
    eye_signs,
    EyeSeen,
    others_named,
    Since,
)

WELL = EyeSeen('active', True, True, '/image_raw', 1, 0.0, silent_s=0.02, unused_s=0.03,
               joints_silent_s=0.01, joints=('pan', 'tilt'), risen={'in': 90, 'processed': 90})


def codes(**changes):
    return [sign.code for sign in eye_signs(replace(WELL, **changes))]


def test_all_well_shows_nothing():
    assert codes() == []
    assert codes(risen={'in': 180, 'processed': 90, 'dropped: above processing_rate': 90}) == []


@pytest.mark.parametrize('changes, wanted', [
    ({'state': 'inactive'}, ['inactive']), ({'enabled': False}, ['disabled']),
    ({'silent_s': 2.5}, ['no image']), ({'lens': 'no camera_info'}, ['uncalibrated camera']),
    ({'unstamped': True}, ['unstamped']), ({'twins': 1}, ['same name twice']),
    ({'clock': 'stands still'}, ['clock stands still']),
    ({'clock': 'went back'}, ['clock went back']),
    ({'publishers': 2}, []), ({'publishers': 2, 'crowded_s': 30.0}, ['several publishers']),
    ({'joints_silent_s': 3.0}, ['no joint states']),
    ({'joints_silent_s': 3.0, 'other_joints': ('a',)}, ['wrong joints']),
    ({'joints_silent_s': 3.0, 'turns': False}, []),
    ({'risen': {'in': 90, 'processed': 90, 'bad joints': 4}}, ['bad joint states'])])
def test_one_thing_wrong_is_one_sign(changes, wanted):
    assert codes(**changes) == wanted


@pytest.mark.parametrize('reason, code', [
    ('stale', 'stale stamps'), ('from the future', 'stamps from the future'),
    ('out of order', 'frozen camera'), ('no pose', 'no pose'),
    ('wrong size', 'no usable image'), ('unknown encoding', 'no usable image')])
def test_pictures_of_which_none_can_be_used_are_named_by_the_commonest_reason(reason, code):
    assert codes(unused_s=9.0, risen={'in': 90, f'dropped: {reason}': 80, 'dropped: empty': 10}
                 ) == [code]


def test_a_few_lost_pictures_are_no_news_and_many_are():
    assert codes(risen={'in': 90, 'processed': 85, 'dropped: stale': 5}) == []
    assert codes(risen={'in': 90, 'processed': 70, 'dropped: stale': 20}) == ['images dropped']


def test_slow_is_who_cannot_keep_up():
    assert codes(risen={'in': 90, 'processed': 60, 'dropped: replaced': 30}) == ['slow inference']


def test_the_text_names_topic_and_counts():
    text = eye_signs(replace(WELL, silent_s=4.2))[0].text
    assert '/image_raw' in text
    assert '1 publisher' in text
    assert '4 s' in text


def test_a_clock_is_watched_against_the_steady_one():
    watch = ClockWatch()
    assert [watch.look(clock_s, steady_s) for clock_s, steady_s in (
        (10.0, 0.0), (11.0, 1.0), (11.0, 2.0), (11.0, 3.0), (11.5, 4.0), (3.0, 5.0), (4.0, 6.0),
        (7.0, 9.0))] == ['', '', '', 'stands still', '', 'went back', 'went back', '']


def test_since_counts_from_the_last_rise():
    since = Since(100.0)
    assert since.silent_s(0, 103.0) == 3.0
    assert since.silent_s(5, 104.0) == 0.0
    assert since.silent_s(5, 106.0) == 2.0


def test_only_others_of_exactly_this_name_are_twins():
    everyone = [('gaze', '/'), ('gaze', '/left'), ('gaze', '/'), ('world', '/')]
    assert others_named('gaze', '/', everyone) == 1
    assert others_named('gaze', '/left', everyone) == 0
    assert others_named('gone', '/', everyone) == 0
