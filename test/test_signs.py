"""What signs a node shows for what it has seen."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

from gaze_robot.signs import LEVELS, MEANINGS, Sign, summary, Window


def test_an_unknown_sign_is_a_bug():
    with pytest.raises(ValueError, match='MEANINGS'):
        Sign('headache', 'it aches')


def test_every_sign_says_what_to_do_and_how_bad_it_is():
    for level, fix in MEANINGS.values():
        assert level in LEVELS[1:]
        assert len(fix) > 10


def test_every_sign_is_in_the_documents(root):
    page = (root / 'docs' / 'faults.md').read_text(encoding='utf-8')
    for sign, (level, fix) in MEANINGS.items():
        assert f'| `{sign}` | {level} | {fix} |' in page, 'run `make faults`'


def test_the_worst_comes_first():
    level, text = summary([Sign('unstamped', 'first'), Sign('no image', 'second')], 'fine')
    assert (level, text) == ('error', 'second; first')
    assert summary([], 'fine') == ('ok', 'fine')


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40))
def test_a_window_adds_up_what_came_within_it(steps):
    window, total = Window(3.0), 0
    for second, step in enumerate(steps):
        total += step
        risen = window.rises(float(second), {'seen': total})
        assert risen.get('seen', 0) == sum(steps[max(0, second - 2):second + 1]) - (
            steps[0] if second < 3 else 0)


def test_a_counter_that_was_reset_has_not_risen():
    window = Window()
    window.rises(0.0, {'seen': 100})
    assert window.rises(1.0, {'seen': 3}) == {}
