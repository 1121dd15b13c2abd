"""The bounded memory of scenes and frames."""

from dataclasses import dataclass
import gc
from threading import Barrier, Thread

import pytest

from gaze_robot_sim.scenes.cache import Recent


@dataclass(eq=False)
class Thing:
    nbytes: int = 10


def test_the_longest_unused_goes_first():
    recent = Recent(30)
    for key in 'abc':
        recent.put(key, Thing())
    recent.get('a')
    recent.put('d', Thing())
    assert {key for key in 'abcd' if key in recent} == {'a', 'c', 'd'}
    assert recent.nbytes == 30


def test_the_newest_stays_however_large():
    recent = Recent(30)
    recent.put('small', Thing())
    recent.put('large', Thing(1000))
    assert ('small' in recent, 'large' in recent) == (False, True)


def test_growth_counts_when_the_next_comes():
    recent = Recent(30)
    first = recent.put('first', Thing())
    recent.put('second', Thing())
    first.nbytes = 25
    recent.put('third', Thing())
    assert len(recent) == 2
    assert 'first' not in recent


def test_growth_counts_when_another_is_used():
    recent = Recent(30)
    things = {key: recent.put(key, Thing()) for key in 'abc'}
    for thing in things.values():
        thing.nbytes = 15
    recent.get('a')
    assert recent.nbytes <= 30
    assert 'a' in recent


def test_what_somebody_holds_is_not_made_again():
    recent = Recent(10)
    held = recent.get_or_make('held', Thing)
    recent.put('other', Thing())
    assert 'held' not in recent
    assert recent.get_or_make('held', lambda: pytest.fail('made again')) is held


def test_what_nobody_holds_is_gone():
    recent = Recent(10)
    recent.put('a', Thing())
    recent.put('b', Thing())
    gc.collect()
    assert recent.get('a') is None


def test_threads_that_make_the_same_get_the_same():
    recent, together, got = Recent(100), Barrier(4), []

    def make():
        together.wait()                                  # all of them are making it at once
        return Thing()
    threads = [Thread(target=lambda: got.append(recent.get_or_make('a', make))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(got) == 4
    assert all(thing is got[0] for thing in got)
    assert len(recent) == 1


def test_a_failure_is_passed_on_and_not_kept():
    recent = Recent(100)
    with pytest.raises(ZeroDivisionError):
        recent.get_or_make('a', lambda: 1 // 0)
    assert recent.get('a') is None
